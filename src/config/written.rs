//! `hookbridge.toml` as it is written: every key that exists, unknown ones refused. The docs of the keys are what editors show
//! (see `schema`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::log::WrittenLog;
use super::settings::{RegistryMode, Timestamps, Topics};
use super::spool::WrittenSpool;
use super::tracing::WrittenTracing;
use super::units::{Bytes, Choice, OneOrMany, Period, SwitchOrNames, Text, WholeNumber, names_of_sources, properties};
use crate::values::secret::Secret;

/// The configuration of hookbridge. Any value may contain ${VAR}, an environment variable, or ${file:/path}, a file's content.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "hookbridge.toml")]
pub(super) struct WrittenSettings {
    /// Folder for the spool, large files and cached schema ids; on a disk that survives a restart. Default: "data".
    pub(super) data_dir: Option<Text<String>>,
    /// After SIGTERM, requests are still served for this long while /readyz already fails; less than shutdown_timeout. Default: "0s".
    pub(super) shutdown_delay: Option<Text<Period>>,
    /// The process exits at the latest this long after SIGTERM, up to 1 day. Default: "20s".
    pub(super) shutdown_timeout: Option<Text<Period>>,
    /// The listener for webhooks.
    pub(super) http: WrittenHttp,
    /// The listener for probes, metrics and the console.
    pub(super) admin: WrittenAdmin,
    /// Where records go.
    pub(super) kafka: WrittenKafka,
    /// Where schemas are registered.
    pub(super) registry: WrittenRegistry,
    /// Where large files of events go.
    pub(super) media: WrittenMedia,
    /// Further profiles.
    pub(super) catalog: WrittenCatalog,
    /// What is logged.
    pub(super) log: WrittenLog,
    /// Events that Kafka cannot accept now.
    pub(super) spool: WrittenSpool,
    /// Spans of deliveries, by OTLP.
    pub(super) tracing: WrittenTracing,
    /// The senders, by name: /webhooks/NAME.
    #[schemars(transform = names_of_sources)]
    pub(super) sources: BTreeMap<String, WrittenSource>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenHttp {
    /// Address for webhooks. Default: "0.0.0.0:8080".
    pub(super) listen: Option<Text<String>>,
    /// Longest time from the end of a body to the answer, up to 1 day. Default: "5s".
    pub(super) ack_timeout: Option<Text<Period>>,
    /// Largest body, up to 900 MiB. Default: "16 MiB".
    pub(super) max_body_bytes: Option<Text<Bytes>>,
    /// All bodies in flight together, up to 1 TiB. Default: "256 MiB".
    pub(super) max_in_flight_bytes: Option<Text<Bytes>>,
    /// Connections, up to 1,000,000. Default: 16384.
    pub(super) max_connections: Option<Text<WholeNumber<1, 1_000_000>>>,
    /// Time for a request's line and headers. Default: "10s".
    pub(super) header_timeout: Option<Text<Period>>,
    /// Time for a body, plus one second for every 256 KiB received. Default: "10s".
    pub(super) body_timeout: Option<Text<Period>>,
    /// An idle connection is closed after this. Default: "75s".
    pub(super) idle_timeout: Option<Text<Period>>,
    /// TLS on the webhook listener: both keys or neither.
    pub(super) tls: Option<WrittenTls>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenTls {
    /// The server's certificate followed by those of its issuers, in PEM.
    pub(super) certificate_file: Option<Text<String>>,
    /// Its private key without a passphrase, in PEM.
    pub(super) key_file: Option<Text<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenAdmin {
    /// Address for /livez, /readyz, /metrics and the console; without authentication. Default: "127.0.0.1:9464".
    pub(super) listen: Option<Text<String>>,
    /// Host names of this listener, as a list or separated by commas.
    pub(super) hosts: Option<OneOrMany>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenKafka {
    /// Kafka's addresses, such as "one:9092", as a list or separated by commas. Required.
    pub(super) bootstrap_servers: Option<OneOrMany>,
    /// One topic per entity, or one per event type. Default: "per-entity".
    pub(super) topics: Option<Text<Choice<Topics>>>,
    /// In front of every topic's name. Default: "".
    pub(super) topic_prefix: Option<Text<String>>,
    /// Create missing topics. Default: true.
    pub(super) create_topics: Option<Text<bool>>,
    /// Partitions of topics that hookbridge creates, up to 100,000. Default: 12.
    pub(super) partitions: Option<Text<WholeNumber<1, 100_000>>>,
    /// Replication factor of topics that hookbridge creates, up to 100; -1 is the broker's default. Default: -1.
    pub(super) replication_factor: Option<Text<WholeNumber<-1, 100>>>,
    /// The records' timestamp. Default: "received".
    pub(super) timestamp: Option<Text<Choice<Timestamps>>>,
    /// Number of producers: "auto", or 1 to 64. Default: "auto".
    pub(super) producers: Option<Text<String>>,
    /// An event with a larger record becomes a dead letter; from 500 bytes to 900 MiB. Default: 1000000.
    pub(super) max_record_bytes: Option<Text<Bytes>>,
    /// Write the same record again for each entity that an event is linked to: true, false, "all", or a list of topics. Default: true.
    pub(super) join_topics: Option<SwitchOrNames>,
    /// Write the last state of each entity to log-compacted topics. Default: true.
    pub(super) latest_topics: Option<Text<bool>>,
    /// For so many keys the newest state is known, from 1,000 to 100,000,000. Default: 500000.
    pub(super) latest_keys: Option<Text<WholeNumber<1000, 100_000_000>>>,
    /// Write every event that concerns a deal again with the deal's id as the key. Default: false.
    pub(super) timeline_topics: Option<Text<bool>>,
    /// Any other librdkafka property, such as "security.protocol".
    #[schemars(schema_with = "properties")]
    pub(super) properties: toml::Table,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenRegistry {
    /// Address of a registry with Confluent's REST API. Required.
    pub(super) url: Option<Text<String>>,
    /// Register missing schemas, or only look them up. Default: "register".
    pub(super) mode: Option<Text<Choice<RegistryMode>>>,
    /// For basic authentication, with password.
    pub(super) username: Option<Text<String>>,
    /// For basic authentication, with username.
    pub(super) password: Option<Text<Secret>>,
    /// For bearer authentication.
    pub(super) token: Option<Text<Secret>>,
    /// Certificate authorities in PEM, in addition to the system's.
    pub(super) ca_file: Option<Text<String>>,
    /// Timeout of one request, up to 1 day. Default: "5s".
    pub(super) timeout: Option<Text<Period>>,
    /// How often the schema ids are verified, at least once a day. Default: "30s".
    pub(super) verify_interval: Option<Text<Period>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenMedia {
    /// A file with more bytes goes to the media store; up to 900 MiB. Default: "512 KiB".
    pub(super) inline_max_bytes: Option<Text<Bytes>>,
    /// The most bytes that a folder may hold, from 1 kB to 1 PiB. Default: "10 GiB".
    pub(super) max_bytes: Option<Text<Bytes>>,
    /// "file:///folder" or "s3://bucket/prefix". Default: the folder `media` in `data_dir`.
    pub(super) url: Option<Text<String>>,
    /// Options for S3, as the object_store crate names them.
    #[schemars(schema_with = "properties")]
    pub(super) options: toml::Table,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenCatalog {
    /// A folder with one folder per profile.
    pub(super) dir: Option<Text<String>>,
    /// The key for fields that a profile hashes: at least 16 bytes, used for nothing else.
    pub(super) hash_key: Option<Text<Secret>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenSource {
    /// The kind of sender: wegly, whazing, or a profile of catalog.dir. Default: the source's name.
    pub(super) profile: Option<Text<String>>,
    /// For a profile that verifies a signature: any one of them may match.
    pub(super) secrets: Option<OneOrMany>,
    /// For a profile that verifies a token: any one of them may match.
    pub(super) tokens: Option<OneOrMany>,
    /// For a profile whose vendor sends a verify token in a handshake.
    pub(super) handshake_tokens: Option<OneOrMany>,
    /// Accept events from anybody. Default: false.
    pub(super) allow_unauthenticated: Option<Text<bool>>,
    /// Between kafka.topic_prefix and the topic's name, for this source's events. Default: "".
    pub(super) topic_prefix: Option<Text<String>>,
    /// Overrides http.max_body_bytes for this source.
    pub(super) max_body_bytes: Option<Text<Bytes>>,
    /// Events per second, up to 1,000,000; beyond it, requests get 429. Default: unlimited.
    pub(super) rate_limit: Option<Text<WholeNumber<1, 1_000_000>>>,
    /// How long the sender retries a delivery, up to 1 year. Default: what the profile says.
    pub(super) patience: Option<Text<Period>>,
}
