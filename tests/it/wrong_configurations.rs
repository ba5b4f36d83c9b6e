//! Wrong configurations, one fault or a few each, and every word that is said of them: `wrong_configurations.txt` lists them, to be
//! read by a person. After a change of messages, run this with `HOOKBRIDGE_TEST_WRITE=1`, and read what has changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const BASE: &str = r#"[http]
listen = "127.0.0.1:18080"
[admin]
listen = "127.0.0.1:19464"
[kafka]
bootstrap_servers = "127.0.0.1:19092"
[registry]
url = "http://127.0.0.1:18081"
[sources.wegly]
secrets = ["d91735f8c6a2be40"]
"#;

/// What makes a configuration wrong.
#[derive(Clone, Copy)]
enum Edit {
    /// Of the good one, this instead of that.
    Replace(&'static str, &'static str),
    /// These lines behind it.
    Append(&'static str),
    /// These in front of it.
    Prepend(&'static str),
    /// All of it.
    Whole(&'static str),
    /// It is good, but for the environment.
    Variable(&'static str, &'static str),
}
use Edit::{Append, Prepend, Replace, Variable, Whole};

#[rustfmt::skip]
const CASES: &[(&str, &[Edit])] = &[
    ("a key with a typo", &[Replace("bootstrap_servers", "bootstrap_server")]),
    ("a section with a typo", &[Replace("[kafka]", "[kafak]")]),
    ("a key of a source with a typo", &[Replace("secrets =", "secret =")]),
    ("a key in camel case", &[Replace("bootstrap_servers", "bootstrapServers")]),
    ("a key in another section", &[Append("[http.tls]\nmax_in_flight_bytes = 5\n")]),
    ("a key above all sections", &[Prepend("bootstrap_servers = \"a:1\"\n")]),
    ("a key that nothing is close to", &[Append("[log]\ncolour = 1\n")]),
    ("a table where a string is expected", &[Replace("\"127.0.0.1:19092\"", "{ a = 1 }")]),
    ("a number where a string is expected", &[Replace("\"127.0.0.1:19092\"", "9092")]),
    ("a string where a section is expected", &[Prepend("spool = \"10 GiB\"\n")]),
    ("a list where a section is expected", &[Prepend("spool = [1]\n")]),
    ("a word where a number is expected", &[Replace("[registry]", "partitions = \"many\"\n[registry]")]),
    ("a fraction where a whole number is expected", &[Replace("[registry]", "partitions = 1.5\n[registry]")]),
    ("a number that is too large", &[Replace("[registry]", "partitions = 99999999999\n[registry]")]),
    ("a number that is too small", &[Replace("[registry]", "partitions = 0\n[registry]")]),
    ("a word where a switch is expected", &[Replace("[registry]", "create_topics = \"yes\"\n[registry]")]),
    ("a date where a duration is expected", &[Replace("[admin]", "ack_timeout = 2026-01-01\n[admin]")]),
    ("no secret", &[Replace("secrets = [\"d91735f8c6a2be40\"]", "")]),
    ("an empty list of secrets", &[Replace("[\"d91735f8c6a2be40\"]", "[]")]),
    ("an empty secret", &[Replace("\"d91735f8c6a2be40\"", "\"\"")]),
    ("a blank secret behind a good one", &[Replace("\"d91735f8c6a2be40\"", "\"good\", \" \"")]),
    ("a number as secret", &[Replace("[\"d91735f8c6a2be40\"]", "123456")]),
    ("numbers as secrets", &[Replace("\"d91735f8c6a2be40\"", "\"good\", 123456, true")]),
    ("two secrets in one text", &[Replace("[\"d91735f8c6a2be40\"]", "\"one,two\"")]),
    ("a secret and no authentication", &[Append("allow_unauthenticated = true\n")]),
    ("a file of a secret that does not exist", &[Replace("\"d91735f8c6a2be40\"", "\"${file:secrets/nope}\"")]),
    ("a folder as file of a secret", &[Replace("\"d91735f8c6a2be40\"", "\"${file:folder}\"")]),
    ("a file of a secret in UTF-16", &[Replace("\"d91735f8c6a2be40\"", "\"${file:utf16}\"")]),
    ("an empty file of a secret", &[Replace("\"d91735f8c6a2be40\"", "\"${file:empty}\"")]),
    ("a variable that is not set", &[Replace("\"d91735f8c6a2be40\"", "\"${WEGLY_SECRET}\"")]),
    ("a variable with a typo", &[Replace("\"d91735f8c6a2be40\"", "\"${WEGLY_SECRTE}\""), Variable("WEGLY_SECRET", "x")]),
    ("a variable without a name", &[Replace("\"d91735f8c6a2be40\"", "\"${}\"")]),
    ("a reference that is not closed", &[Replace("\"d91735f8c6a2be40\"", "\"${WEGLY\"")]),
    ("the same source twice", &[Append("[sources.wegly]\nsecrets = [\"x\"]\n")]),
    ("the same key twice", &[Replace("[registry]", "bootstrap_servers = \"x:1\"\n[registry]")]),
    ("a section that is not closed", &[Replace("[registry]", "[registry")]),
    ("text without quotes", &[Replace("\"127.0.0.1:19092\"", "127.0.0.1:19092")]),
    ("two lines that are no TOML", &[Replace("[registry]", "[registry"), Replace("[\"d91735f8c6a2be40\"]", "d91735f8c6a2be40")]),
    ("YAML", &[Whole("kafka:\n  bootstrap_servers: x\n")]),
    ("JSON", &[Whole("{ \"kafka\": {} }\n")]),
    ("an empty file", &[Whole("")]),
    ("comments only", &[Whole("# nothing\n")]),
    ("an address of the registry without http", &[Replace("http://127.0.0.1:18081", "127.0.0.1:18081")]),
    ("an address of the registry with a password", &[Replace("http://", "http://user:hunter2@")]),
    ("an address of the registry with a port that does not exist", &[Replace("18081", "99999")]),
    ("two addresses of registries", &[Replace("http://127.0.0.1:18081", "http://one:8081,http://two:8081")]),
    ("an address of the registry without a host", &[Replace("http://127.0.0.1:18081", "http://")]),
    ("an empty address of the registry", &[Replace("http://127.0.0.1:18081", "")]),
    ("a user without a password", &[Replace("[sources", "username = \"u\"\n[sources")]),
    ("a user and a token", &[Replace("[sources", "username = \"u\"\npassword = \"hunter2\"\ntoken = \"hunter2\"\n[sources")]),
    ("a Kafka with http", &[Replace("\"127.0.0.1:19092\"", "\"http://kafka:9092\"")]),
    ("a Kafka with a port that does not exist", &[Replace("127.0.0.1:19092", "kafka:99999")]),
    ("Kafkas separated by semicolons", &[Replace("127.0.0.1:19092", "one:9092;two:9092")]),
    ("an empty Kafka", &[Replace("127.0.0.1:19092", "")]),
    ("a negative size", &[Replace("[admin]", "max_body_bytes = -1\n[admin]")]),
    ("a size with an unknown unit", &[Replace("[admin]", "max_body_bytes = \"16 megabytes\"\n[admin]")]),
    ("a size with half a unit", &[Replace("[admin]", "max_body_bytes = \"16M\"\n[admin]")]),
    ("a size beyond any disk", &[Append("[spool]\nmax_bytes = \"9999999 TiB\"\n")]),
    ("a body of no byte", &[Replace("[admin]", "max_body_bytes = 0\n[admin]")]),
    ("less room in flight than for a body", &[Replace("[admin]", "max_in_flight_bytes = \"1 MiB\"\n[admin]")]),
    ("a larger body than there is room in flight", &[Append("max_body_bytes = \"512 MiB\"\n")]),
    ("a duration with an unknown unit", &[Replace("[admin]", "ack_timeout = \"5 parsecs\"\n[admin]")]),
    ("a negative duration", &[Replace("[admin]", "ack_timeout = \"-5s\"\n[admin]")]),
    ("a duration that is too long", &[Replace("[admin]", "ack_timeout = \"2 days\"\n[admin]")]),
    ("a duration of nothing", &[Replace("[admin]", "idle_timeout = 0\n[admin]")]),
    ("a delay longer than the end", &[Prepend("shutdown_delay = \"1m\"\n")]),
    ("a listener without a port", &[Replace("127.0.0.1:18080", "localhost")]),
    ("a listener without a host", &[Replace("127.0.0.1:18080", ":18080")]),
    ("a listener that is a port", &[Replace("\"127.0.0.1:18080\"", "18080")]),
    ("a listener with an unknown host", &[Replace("127.0.0.1:18080", "nohost.invalid:80")]),
    ("a listener with a port that does not exist", &[Replace("127.0.0.1:18080", "127.0.0.1:99999")]),
    ("the same listener twice", &[Replace("127.0.0.1:19464", "127.0.0.1:18080")]),
    ("a listener that covers the other", &[Replace("127.0.0.1:19464", "0.0.0.0:18080")]),
    ("no source", &[Replace("[sources.wegly]\nsecrets = [\"d91735f8c6a2be40\"]\n", "")]),
    ("sources as a list", &[Replace("[sources.wegly]", "[[sources]]")]),
    ("an unknown profile of the gallery", &[Append("[sources.stripe]\nsecrets = [\"x\"]\n")]),
    ("an unknown profile with a typo", &[Append("[sources.acme]\nprofile = \"whazzing\"\ntokens = [\"x\"]\n")]),
    ("an unknown profile", &[Append("[sources.acme]\ntokens = [\"x\"]\n")]),
    ("tokens for a profile that verifies signatures", &[Replace("secrets", "tokens")]),
    ("handshake tokens without a handshake", &[Append("handshake_tokens = [\"x\"]\n")]),
    ("a source with capitals", &[Append("[sources.Wegly]\nsecrets = [\"x\"]\n")]),
    ("a source with a blank", &[Append("[sources.\"my source\"]\nprofile = \"wegly\"\nsecrets = [\"x\"]\n")]),
    ("a rate of nothing", &[Append("rate_limit = 0\n")]),
    ("a prefix of topics with a slash", &[Append("topic_prefix = \"a/b\"\n")]),
    ("an unknown property of librdkafka", &[Append("[kafka.properties]\n\"sasl.mechanismus\" = \"PLAIN\"\n")]),
    ("two unknown properties of librdkafka", &[Append("[kafka.properties]\nlingr.ms = 5\nssl.ca.lokation = \"x\"\n")]),
    ("a wrong value of a property of librdkafka", &[Append("[kafka.properties]\n\"security.protocol\" = \"SSLL\"\n")]),
    ("a property that hookbridge sets", &[Append("[kafka.properties]\nacks = \"1\"\n")]),
    ("the servers as property", &[Append("[kafka.properties]\nbootstrap.servers = \"a:1\"\n")]),
    ("a file of authorities that does not exist", &[Append("[kafka.properties]\nssl.ca.location = \"nope.pem\"\nsecurity.protocol = \"SSL\"\n")]),
    ("an unknown level of the log", &[Append("[log]\nlevel = \"verbose\"\n")]),
    ("a level of the log with a typo", &[Append("[log]\nlevel = \"warning\"\n")]),
    ("an unknown form of the log", &[Append("[log]\nformat = \"logfmt\"\n")]),
    ("a choice with a typo", &[Replace("[registry]", "topics = \"per_entity\"\n[registry]")]),
    ("a join topic with a typo", &[Replace("[registry]", "join_topics = [\"wegly.chat-by-deal\", \"wegly.chat-by-leed\"]\n[registry]")]),
    ("join topics in one text, one with a typo", &[Replace("[registry]", "join_topics = \"wegly.chat-by-deal,wegly.chat-by-leed\"\n[registry]")]),
    ("a number of producers that is too large", &[Replace("[registry]", "producers = 65\n[registry]")]),
    ("half of TLS", &[Append("[http.tls]\ncertificate_file = \"x.pem\"\n")]),
    ("TLS without its files", &[Append("[http.tls]\ncertificate_file = \"x.pem\"\nkey_file = \"y.pem\"\n")]),
    ("a catalog that does not exist", &[Append("[catalog]\ndir = \"nope\"\n")]),
    ("a catalog that is a file", &[Append("[catalog]\ndir = \"empty\"\n")]),
    ("a short key for hashes", &[Append("[catalog]\nhash_key = \"hunter2\"\n")]),
    ("a data_dir that is a file", &[Prepend("data_dir = \"empty\"\n")]),
    ("a data_dir below a file", &[Prepend("data_dir = \"empty/data\"\n")]),
    ("a spool of a negative size", &[Append("[spool]\nmax_bytes = \"-1 GiB\"\n")]),
    ("a spool that leaves too little room", &[Append("[spool]\nmin_free_bytes = \"1 MiB\"\n")]),
    ("a lane larger than the spool", &[Append("[spool]\nmax_bytes = \"1 GiB\"\nmax_lane_bytes = \"2 GiB\"\n")]),
    ("an address of a collector without http", &[Append("[tracing]\notlp_endpoint = \"localhost:4318\"\n")]),
    ("tracing without a collector", &[Append("[tracing]\nsample_ratio = 0.5\n")]),
    ("a share beyond all", &[Append("[tracing]\notlp_endpoint = \"http://localhost:4318\"\nsample_ratio = 50\n")]),
    ("a bucket with one slash", &[Append("[media]\nurl = \"s3:/bucket\"\n")]),
    ("a folder for media without file://", &[Append("[media]\nurl = \"/srv/media\"\n")]),
    ("a variable with a default", &[Replace("\"d91735f8c6a2be40\"", "\"${WEGLY:-hunter2}\"")]),
    ("a secret in place of a variable's name", &[Replace("\"d91735f8c6a2be40\"", "\"${hunter2abc123!}\"")]),
    ("references of other tools", &[Replace("\"d91735f8c6a2be40\"", "\"${FILE:s}\", \"${file /x}\", \"${env:X}\", \"${A${B}}\", \"${file:}\"")]),
    ("a variable in small letters in a value", &[Replace("\"d91735f8c6a2be40\"", "\"${wegly_secret}\""), Variable("WEGLY_SECRET", "x")]),
    ("a Kafka with a password", &[Replace("127.0.0.1:19092", "user:hunter2@kafka:9092")]),
    ("a Kafka with a protocol and a password", &[Replace("127.0.0.1:19092", "sasl_ssl://user:hunter2@kafka:9092")]),
    ("a Kafka with a password in a variable", &[Replace("127.0.0.1:19092", "${KAFKA}"), Variable("KAFKA", "user:hunter2@kafka:9092")]),
    ("a Kafka with a password in the environment", &[Variable("HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS", "user:hunter2@kafka:9092")]),
    ("a secret where Kafka is expected, by a variable", &[Replace("127.0.0.1:19092", "${KAFKA}"), Variable("KAFKA", "hunter2:hunter3")]),
    ("a Kafka with an address of IPv6 without brackets", &[Replace("127.0.0.1:19092", "::1:9092")]),
    ("a listener with a password", &[Replace("127.0.0.1:18080", "http://u:hunter2@0.0.0.0:1")]),
    ("a listener with http", &[Replace("127.0.0.1:18080", "http://0.0.0.0:8080")]),
    ("a listener with a star", &[Replace("127.0.0.1:18080", "*:8080")]),
    ("a bucket with one slash and a password", &[Append("[media]\nurl = \"s3:/AKIA:hunter2@bucket/x\"\n")]),
    ("keys in place of their files", &[Append("[http.tls]\ncertificate_file = \"-----BEGIN CERTIFICATE-----hunter2\"\nkey_file = \"-----BEGIN PRIVATE KEY-----hunter2\"\n")]),
    ("an authority in place of its file", &[Replace("[sources", "ca_file = \"-----BEGIN CERTIFICATE-----hunter2\"\n[sources"), Append("[catalog]\ndir = \"-----BEGIN hunter2\"\n")]),
    ("a source that only a variable makes", &[Variable("HOOKBRIDGE__SOURCES__WEGLYY__SECRETS", "x")]),
    ("an empty Kafka in the environment", &[Variable("HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS", "")]),
    ("a token with two lines", &[Append("[sources.whazing]\ntokens = [\"${file:lines}\"]\n")]),
    ("a certificate as other programs call it", &[Append("[http.tls]\ncert_file = \"x.pem\"\nkey_file = \"y.pem\"\n")]),
    ("hosts of the console that are addresses", &[Replace("[kafka]", "hosts = [\"https://bridge.example.com\", \"*\"]\n[kafka]")]),
    ("a star as host of the console", &[Replace("[kafka]", "hosts = \"*\"\n[kafka]")]),
    ("a data_dir with a tilde", &[Prepend("data_dir = \"~/d\"\n")]),
    ("a data_dir that is an address", &[Prepend("data_dir = \"file:///tmp/x\"\n")]),
    ("a folder for media that is not absolute", &[Append("[media]\nurl = \"file:media\"\n")]),
    ("the root as folder for media", &[Append("[media]\nurl = \"file:///\"\n")]),
    ("no time for the end", &[Prepend("shutdown_timeout = 0\n")]),
    ("a duration that is too short", &[Replace("[admin]", "ack_timeout = \"1us\"\n[admin]")]),
    ("a section in itself", &[Append("[kafka.kafka]\npartitions = 3\n")]),
    ("a section in a source", &[Append("[sources.wegly.http]\nlisten = \"a:1\"\n")]),
    ("no source, and files that do not exist", &[
        Replace("[sources.wegly]\nsecrets = [\"d91735f8c6a2be40\"]\n", "ca_file = \"nope.pem\"\n"),
        Append("[http.tls]\ncertificate_file = \"x.pem\"\nkey_file = \"y.pem\"\n[catalog]\nhash_key = \"hunter2\"\n"),
    ]),
    ("an unknown option of a bucket", &[Append("[media]\nurl = \"s3://bucket/x\"\n[media.options]\naccess_key = \"hunter2\"\n")]),
    ("unknown options of a bucket, and wrong values", &[Append("[media]\nurl = \"s3://bucket/x\"\n[media.options]\nregoin = \"a\"\nend_point = \"b\"\nallow_http = \"hunter2\"\nskip_signature = \"hunter3\"\ntimeout = \"hunter4\"\n")]),
    ("half of the keys of a bucket", &[Append("[media]\nurl = \"s3://bucket/x\"\n[media.options]\naccess_key_id = \"hunter2\"\n")]),
    ("an endpoint of a bucket without http", &[Append("[media]\nurl = \"s3://bucket/x\"\n[media.options]\nendpoint = \"localhost:9000\"\n")]),
    ("an empty endpoint of a bucket", &[Append("[media]\nurl = \"s3://bucket/x\"\n[media.options]\nendpoint = \"\"\n")]),
    ("an endpoint of a bucket with a port that does not exist", &[Append("[media]\nurl = \"s3://bucket/x\"\n[media.options]\nendpoint = \"http://127.0.0.1:99999\"\n")]),
    ("an endpoint of a bucket with a password", &[Append("[media]\nurl = \"s3://bucket/x\"\n[media.options]\nendpoint = \"http://u:hunter2@a\"\n")]),
    ("other addresses of a bucket", &[Append("[media]\nurl = \"s3://bucket/x\"\n[media.options]\nmetadata_endpoint = \"a b\"\nproxy_url = \"u:hunter2@a:1\"\nregion = \"us east\"\n")]),
    ("options without a bucket", &[Append("[media.options]\nregion = \"x\"\n")]),
    ("a variable of the environment with a typo", &[Variable("HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVER", "x:9092")]),
    ("a variable with one underscore", &[Variable("HOOKBRIDGE_KAFKA_BOOTSTRAP_SERVERS", "x:9092")]),
    ("a variable with one underscore in the middle", &[Variable("HOOKBRIDGE__KAFKA_BOOTSTRAP_SERVERS", "x:9092")]),
    ("a variable in small letters", &[Variable("hookbridge__kafka__partitions", "3")]),
    ("a variable of a section with a typo", &[Variable("HOOKBRIDGE__KAFAK__BOOTSTRAP_SERVERS", "x:9092")]),
    ("a variable that names no key", &[Variable("HOOKBRIDGE__", "x")]),
    ("a variable that goes through a value", &[Variable("HOOKBRIDGE__HTTP__LISTEN__PORT", "1")]),
    ("a variable with a wrong value", &[Variable("HOOKBRIDGE__KAFKA__PARTITIONS", "many")]),
    ("an empty variable", &[Variable("HOOKBRIDGE__KAFKA__PARTITIONS", "")]),
    ("secrets in one variable, separated by commas", &[Variable("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "hunter2,hunter3")]),
    ("secrets in a variable, without quotes", &[Variable("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "[hunter2,hunter3]")]),
    ("two typos", &[Replace("bootstrap_servers", "bootstrap_server"), Replace("secrets", "secret")]),
    ("faults of every kind at once", &[
        Replace("bootstrap_servers", "bootstrap_server"), Replace("127.0.0.1:18080", "localhost"), Replace("http://", ""),
        Replace("\"d91735f8c6a2be40\"", "\"${NOPE}\""), Append("[kafka.properties]\nlingr.ms = 5\n"),
        Append("[log]\nlevel = \"loud\"\n"), Variable("HOOKBRIDGE__SPOOL__MAX_BYTES", "lots"),
        Variable("HOOKBRIDGE_DATA_DIR", "/data"),
    ]),
    ("more partitions than Kafka's client asks for", &[Replace("[registry]", "partitions = 1000000000\n[registry]")]),
    ("partitions in the environment", &[Variable("HOOKBRIDGE__KAFKA__PARTITIONS", "100001")]),
    ("more replicas than any cluster has", &[Replace("[registry]", "replication_factor = 32767\n[registry]")]),
    ("no replicas", &[Replace("[registry]", "replication_factor = 0\n[registry]")]),
    ("records of no byte", &[Replace("[registry]", "max_record_bytes = 0\n[registry]")]),
    ("records without room for an event", &[Replace("[registry]", "max_record_bytes = 100\n[registry]")]),
    ("records larger than Kafka's client takes", &[Replace("[registry]", "max_record_bytes = \"2 GiB\"\n[registry]")]),
    ("few keys of latest topics", &[Replace("[registry]", "latest_keys = 5\n[registry]")]),
    ("connections that no machine has", &[Replace("[admin]", "max_connections = 9999999\n[admin]")]),
    ("more in flight than any machine has", &[Replace("[admin]", "max_in_flight_bytes = \"9999 TiB\"\n[admin]")]),
    ("a long time for the registry", &[Replace("[sources", "timeout = \"10000 years\"\nverify_interval = \"1ns\"\n[sources")]),
    ("a long time for the end", &[Prepend("shutdown_timeout = \"100 years\"\n")]),
    ("a rate beyond any sender", &[Append("rate_limit = 4294967295\n")]),
    ("a negative rate", &[Append("rate_limit = -1\n")]),
    ("half an event in a second", &[Append("rate_limit = 0.5\n")]),
    ("a sender who never gives up", &[Append("patience = \"1000 years\"\n")]),
    ("a spool of one byte", &[Append("[spool]\nmax_bytes = 1\n")]),
    ("a lane of no byte", &[Append("[spool]\nmax_lane_bytes = 0\n")]),
    ("more room left free than there is on any disk", &[Append("[spool]\nmin_free_bytes = \"9000 TiB\"\n")]),
    ("files larger than any record", &[Append("[media]\ninline_max_bytes = \"8 TiB\"\n")]),
    ("a media folder of no byte", &[Append("[media]\nmax_bytes = 0\n")]),
    ("SASL without a protocol", &[Append("[kafka.properties]\nsasl.username = \"u\"\nsasl.password = \"hunter2\"\n")]),
    ("SASL in plain text", &[Append("[kafka.properties]\nsecurity.protocol = \"plaintext\"\nsasl.mechanism = \"PLAIN\"\n")]),
    ("SASL where TLS alone is asked for", &[Append("[kafka.properties]\nsecurity.protocol = \"SSL\"\nsasl.username = \"u\"\n")]),
    ("SASL in the environment, without a protocol", &[Variable("HOOKBRIDGE__KAFKA__PROPERTIES__SASL_USERNAME", "u")]),
    ("TLS without a protocol", &[Append("[kafka.properties]\nssl.ca.location = \"empty\"\n")]),
    ("TLS in plain text", &[Append("[kafka.properties]\nsecurity.protocol = \"SASL_PLAINTEXT\"\nssl.key.password = \"hunter2\"\n")]),
    ("TLS and SASL without a protocol", &[Append("[kafka.properties]\nssl.ca.location = \"empty\"\nsasl.mechanism = \"PLAIN\"\n")]),
    ("SASL without a mechanism", &[Append("[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\n")]),
    ("SASL with a mechanism that is not built in", &[Append("[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\nsasl.mechanism = \"GSSAPI\"\n")]),
    ("SASL with a typo in its mechanism", &[Append("[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\nsasl.mechanism = \"SCRAM-SHA512\"\n")]),
    ("SASL without a password", &[Append("[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\nsasl.mechanism = \"PLAIN\"\nsasl.username = \"u\"\n")]),
    ("two mechanisms of SASL", &[Append("[kafka.properties]\nsasl.mechanisms = \"PLAIN,hunter2\"\n")]),
    (
        "tokens of SASL, which hookbridge does not get",
        &[Append("[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\nsasl.mechanism = \"OAUTHBEARER\"\n")],
    ),
    (
        "a password that is a list",
        &[Append(
            "[kafka.properties]\nsecurity.protocol = \"SASL_SSL\"\nsasl.mechanism = \"PLAIN\"\nsasl.username = \"u\"\nsasl.password = [\"hunter2\"]\n",
        )],
    ),
    (
        "providers of OpenSSL",
        &[Append("[kafka.properties]\nsecurity.protocol = \"SSL\"\nssl.providers = \"default\"\n")],
    ),
    ("a server with another protocol", &[Replace("127.0.0.1:19092", "SASL_SSL://127.0.0.1:19092")]),
    ("a property beyond its range", &[Append("[kafka.properties]\nlinger.ms = 10000000\ncompression.level = 99\n")]),
    ("a property with a word in place of a number", &[Append("[kafka.properties]\nlinger.ms = \"hunter2\"\n")]),
    ("a property with a unit", &[Append("[kafka.properties]\nsocket.timeout.ms = \"60s\"\n")]),
    ("a property with a fraction", &[Append("[kafka.properties]\nretry.backoff.ms = 0.5\n")]),
    ("a property with more than 32 bits", &[Append("[kafka.properties]\nqueue.buffering.max.messages = 99999999999\n")]),
    ("a property with a word in place of a switch", &[Append("[kafka.properties]\nsocket.keepalive.enable = \"hunter2\"\n")]),
    ("properties with words that they do not take", &[Append("[kafka.properties]\ncompression.type = \"zst\"\nbroker.address.family = \"v5\"\ndebug = \"hunter2\"\n")]),
    ("a property without a value", &[Append("[kafka.properties]\nsecurity.protocol = \"\"\n")]),
    ("a property that no configuration can have", &[Append("[kafka.properties]\ndr_cb = \"hunter2\"\n")]),
    ("a plug-in that does not exist", &[Append("[kafka.properties]\nplugin.library.paths = \"hunter2\"\n")]),
    ("properties that contradict each other", &[Append("[kafka.properties]\nreconnect.backoff.ms = 100000\n")]),
    ("authorities that are no PEM", &[Append("[kafka.properties]\nsecurity.protocol = \"SSL\"\nssl.ca.location = \"lines\"\n")]),
    ("a certificate that is no PEM", &[Append("[kafka.properties]\nsecurity.protocol = \"SSL\"\nssl.certificate.location = \"lines\"\n")]),
    ("a private key that is no PEM", &[Append("[kafka.properties]\nsecurity.protocol = \"SSL\"\nssl.key.pem = \"hunter2\"\n")]),
    ("ciphers that do not exist", &[Append("[kafka.properties]\nsecurity.protocol = \"SSL\"\nssl.cipher.suites = \"hunter2\"\n")]),
    ("a variable with a capital, that names no key", &[Variable("Hookbridge__kafka__brokers", "x:9092")]),
    ("a variable in small letters that names no key", &[Variable("hookbridge__nonsense__x", "1")]),
    ("a variable in small letters and an empty file", &[Whole(""), Variable("hookbridge__kafka__bootstrap_servers", "x:9092")]),
    ("a variable in small letters of a source", &[Variable("hookbridge__sources__wegly__secrets", "hunter2")]),
    ("a variable in small letters with one underscore", &[Variable("hookbridge_kafka_partitions", "3")]),
    ("a key of Kafka as other programs call it", &[Replace("bootstrap_servers", "brokers")]),
    ("a variable of Kafka as other programs call it", &[Variable("HOOKBRIDGE__KAFKA__BROKERS", "x:9092")]),
    ("a source at the top", &[Replace("[sources.wegly]", "[wegly]")]),
    ("a source with a profile at the top", &[Append("[acme]\nprofile = \"wegly\"\nsecrets = [\"d91735f8c6a2be40\"]\n")]),
    ("a source with a typo at the top", &[Replace("[sources.wegly]\nsecrets", "[wegly]\nsecret")]),
    ("a section with a typo and a token", &[Replace("[registry]", "[registy]\ntoken = \"hunter2-of-24-characters\"")]),
    ("a source of a list at the top", &[Replace("[sources.wegly]", "[[wegly]]")]),
    ("a source in a section with another name", &[Replace("[sources.wegly]", "[webhooks.wegly]")]),
    ("a source in a section with a typo", &[Replace("[sources.wegly]", "[soruce.wegly]")]),
    ("a source at the top in the environment", &[Variable("HOOKBRIDGE__ACME__SECRETS", "hunter2-of-24-characters")]),
    ("a source with a dot", &[Append("[sources.acme.eu]\nprofile = \"wegly\"\nsecrets = [\"d91735f8c6a2be40\"]\n")]),
    ("sources with dots", &[Append("[sources.acme.eu]\nprofile = \"wegly\"\nsecrets = \"x\"\n[sources.acme.us.east]\nprofile = \"wegly\"\nsecrets = \"x\"\n")]),
    ("a source with a dot below another", &[Append("[sources.wegly.eu]\nsecrets = [\"d91735f8c6a2be40\"]\n")]),
    ("a source with a dot in quotes", &[Append("[sources.\"acme.eu\"]\nprofile = \"wegly\"\nsecrets = [\"d91735f8c6a2be40\"]\n")]),
    ("keys of a source without its name", &[Replace("[sources.wegly]", "[sources]\nprofile = \"wegly\"")]),
    // No faults, but told.
    ("a placeholder as secret", &[Replace("d91735f8c6a2be40", "change-me")]),
    ("a short secret", &[Replace("\"d91735f8c6a2be40\"", "\"d91735f8c6a2be40\", \"hunter2\"")]),
    ("a placeholder in a file", &[Replace("\"d91735f8c6a2be40\"", "\"${file:placeholder}\"")]),
    ("a placeholder in a variable", &[Replace("\"d91735f8c6a2be40\"", "\"${WEGLY_SECRET}\""), Variable("WEGLY_SECRET", "xxxxxxxxxxxxxxxxxxxx")]),
    ("a placeholder in the environment", &[Variable("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "<secret>")]),
    ("placeholders elsewhere", &[
        Replace("[sources", "username = \"u\"\npassword = \"password\"\n[sources"),
        Append("[sources.whazing]\ntokens = \"your-token\"\n[catalog]\nhash_key = \"your-secret-here\"\n[kafka.properties]\n\
            security.protocol = \"SASL_SSL\"\nsasl.mechanism = \"PLAIN\"\nsasl.username = \"test\"\nsasl.password = \"changeme\"\n"),
    ]),
    ("references of other programs", &[
        Replace("\"d91735f8c6a2be40\"", "\"$WEGLY_SECRET\", \"{{ HUNTER2 }}\", \"%HUNTER3%\""), Variable("WEGLY_SECRET", "hunter2"),
    ]),
    ("a byte-order mark", &[Prepend("\u{feff}")]),
    ("a secret with a line end", &[Replace("\"d91735f8c6a2be40\"", "\"${file:two-lines}\"")]),
    ("a secret with a byte-order mark", &[Replace("\"d91735f8c6a2be40\"", "\"${file:marked}\"")]),
    ("a secret with a blank", &[Replace("d91735f8c6a2be40", "d91735f8c6a2be40 ")]),
    ("a secret in a variable with quotes", &[Variable("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "\"hunter2-of-24-characters\"")]),
    ("a variable with one underscore and a typo", &[Variable("HOOKBRIDGE_KAFKA_BOOTSTRAP_SERVER", "x:9092")]),
    ("variables of Kubernetes", &[Variable("HOOKBRIDGE_SERVICE_HOST", "10.0.0.1"), Variable("HOOKBRIDGE_PORT_8080_TCP", "tcp://10.0.0.1:8080")]),
    ("Kafkas in one variable", &[Variable("HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS", "one:9092,two:9092")]),
];

struct Written {
    text: String,
    variables: BTreeMap<&'static str, &'static str>,
}

fn write(edits: &[Edit]) -> Written {
    let mut written = Written { text: BASE.to_owned(), variables: BTreeMap::new() };
    for edit in edits {
        match *edit {
            Replace(from, to) => {
                assert!(written.text.contains(from), "{from}");
                written.text = written.text.replacen(from, to, 1);
            }
            Append(lines) => written.text += lines,
            Prepend(lines) => written.text.insert_str(0, lines),
            Whole(text) => text.clone_into(&mut written.text),
            Variable(name, value) => _ = written.variables.insert(name, value),
        }
    }
    written
}

fn run(dir: &Path, Written { text, variables }: &Written, arguments: &[&str]) -> Output {
    fs::write(dir.join("hookbridge.toml"), text).unwrap();
    for (file, content) in [
        ("empty", &b""[..]),
        ("two-lines", b"hunter2-of-24-characters\n\n"),
        ("lines", b"hunter2\nhunter3\n"),
        ("marked", b"\xef\xbb\xbfhunter2-of-24-characters\n"),
        ("placeholder", b"your-secret-here\n"),
        ("utf16", b"\xff\xfeh\0i\0"),
    ] {
        fs::write(dir.join(file), content).unwrap();
    }
    fs::create_dir_all(dir.join("folder")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookbridge"));
    command.env_clear().envs(variables).current_dir(dir).args(arguments).output().unwrap()
}

/// The last line that a message is in: what of the configuration is not as it should be.
fn said(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    let is_fine = |line: &str| line.starts_with("ok ") || line.starts_with("all well");
    text.lines().filter(|line| !is_fine(line)).map(|line| format!("    {line}\n")).collect()
}

/// What is said of a case: to `check --offline`, and to `serve` if it cannot start.
fn case(edits: &[Edit]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let written = write(edits);
    let output = run(dir.path(), &written, &["check", "--offline"]);
    let code = output.status.code().unwrap();
    let words = said(&output);
    assert!(!words.contains("panic"), "{words}");
    assert!(!words.contains("hunter"), "a secret is shown: {words}");
    if code == 78 {
        let served = run(dir.path(), &written, &["serve"]);
        assert_eq!((said(&served), served.status.code()), (words.clone(), Some(78)), "serve says the same");
    }
    format!("exit code {code}\n{words}")
}

/// All cases, two at a time, in their order.
fn all() -> Vec<(&'static str, String)> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some((name, edits)) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
            let words = std::panic::catch_unwind(|| case(edits)).unwrap_or_else(|_| format!("{name} failed"));
            done.lock().unwrap().insert(CASES.iter().position(|(other, _)| other == name), (*name, words));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    done.into_inner().unwrap().into_values().collect()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a switch of this test, not a key")]
fn every_wrong_configuration_gets_the_messages_that_are_listed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wrong_configurations.txt");
    let mut list = String::from(
        "What is said of each configuration in wrong_configurations.rs, by `check --offline` and by `serve`.\n",
    );
    for (name, words) in all() {
        write!(list, "\n{name}: {words}").unwrap();
    }
    if std::env::var_os("HOOKBRIDGE_TEST_WRITE").is_some() {
        fs::write(&file, &list).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let differing = || list.lines().zip(kept.lines()).find(|(now, before)| now != before);
    assert!(list == kept, "{} is stale: {:?}; run this with HOOKBRIDGE_TEST_WRITE=1", file.display(), differing());
}
