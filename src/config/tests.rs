//! The configuration as its users write it, and what they are told when they err.

use std::collections::BTreeMap;

use super::load::from_text;
use super::*;
use crate::values::secret::Secret;

const SMALLEST: &str = r#"
[kafka]
bootstrap_servers = "localhost:9092"
[registry]
url = "http://localhost:8081/"
[sources.wegly]
secrets = ["s3cret"]
[sources.whazing]
tokens = "tok"
"#;

fn read(text: &str, env: &[(&str, &str)]) -> Result<Settings, String> {
    let env: BTreeMap<_, _> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    from_text("hookbridge.toml", text, &env.into()).map_err(|e| e.to_string())
}

/// What is wrong, without the file and the line.
fn complaint(text: &str, env: &[(&str, &str)]) -> String {
    let words = read(text, env).err().unwrap();
    match words.strip_prefix("hookbridge.toml").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => rest.to_owned(),
        None => words,
    }
}

#[test]
fn the_smallest_configuration_is_enough() {
    let settings = read(SMALLEST, &[]).unwrap();
    assert_eq!(settings.http.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.http.max_body_bytes, 16 << 20);
    assert_eq!(settings.kafka.partitions, 12);
    assert_eq!(settings.registry.url, "http://localhost:8081");
    assert_eq!(settings.sources["whazing"].profile.name, "whazing");
}

#[test]
fn the_sample_documents_every_key_and_is_valid() {
    let sample = include_str!("../../hookbridge.toml");
    read(sample, &[]).unwrap();
    // Each commented key, once uncommented, is one that the program knows.
    let uncommented: String = sample
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            // A line of prose is no TOML.
            Some(key) if !key.starts_with(' ') && key.contains(" = ") && key.parse::<toml::Table>().is_ok() => key,
            _ => line,
        })
        .map(|line| line.to_owned() + "\n")
        .collect();
    for key in schema::known_keys() {
        let last = key.rsplit('.').next().unwrap();
        let there = sample.lines().any(|l| {
            let line = l.trim_start_matches(['#', ' ']);
            line.starts_with(&format!("{last} = ")) || line.starts_with(&format!("[{key}]"))
        });
        assert!(there || last == schema::ANY_NAME || key == "sources", "{key} is not in the sample");
    }
    let (_, misfits) = crate::values::toml_reading::read::<written::WrittenSettings>(uncommented.parse().unwrap());
    assert_eq!(misfits, []);
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    for (text, expected) in [
        ("[sources]\nwegly = \"hunter2\"", "sources.wegly: expected a table"),
        ("[sources.wegly]\nsecrets = { a = \"hunter2\" }", "sources.wegly.secrets: "),
        ("[sources.wegly.profile]\na = \"hunter2\"", "sources.wegly.profile: "),
        ("registry = \"hunter2\"", "registry: expected a table"),
        ("sources = [\"hunter2\"]", "sources: expected a table"),
        (
            &SMALLEST.replace("[registry]", "[registry]\ntoken = \"hunter2\\n\""),
            "registry.token: cannot be sent in a header",
        ),
    ] {
        let complaint = complaint(text, &[]);
        assert!(complaint.contains(expected) && !complaint.contains("hunter2"), "{complaint}");
    }
}

#[test]
fn the_environment_goes_over_the_file() {
    let settings = read(
        &SMALLEST.replace("[sources.whazing]", "[sources.whazing-acme]\nprofile = \"whazing\""),
        &[
            ("HOOKBRIDGE__KAFKA__PARTITIONS", "3"),
            ("HOOKBRIDGE__HTTP__ACK_TIMEOUT", "250ms"),
            ("HOOKBRIDGE__KAFKA__CREATE_TOPICS", "false"),
            ("HOOKBRIDGE__SOURCES__WHAZING_ACME__TOKENS", "[\"a\", \"b\"]"),
            ("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "007"),
            ("HOOKBRIDGE__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_SSL"),
            ("HOOKBRIDGE__KAFKA__PROPERTIES__SASL_MECHANISM", "PLAIN"),
            ("HOOKBRIDGE__KAFKA__PROPERTIES__SASL_USERNAME", "u"),
            ("HOOKBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD", "$${x}"),
            ("OTHER", "x"),
        ],
    )
    .unwrap();
    assert_eq!(settings.kafka.partitions, 3);
    assert_eq!(settings.http.ack_timeout.as_millis(), 250);
    assert!(!settings.kafka.create_topics);
    assert_eq!(settings.kafka.properties["sasl.password"].expose(), "${x}");
    assert!(settings.sources.contains_key("whazing-acme"));
}

#[test]
fn variables_and_files_stand_in_any_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "fi le\n\n").unwrap();
    let text = SMALLEST
        .replace("\"s3cret\"", &format!("\"${{file:{}}}\"", path.display()))
        .replace("localhost:9092", "${HOST}:9092")
        .replace("[registry]", "partitions = \"${N}\"\n[registry]");
    let settings = read(&text, &[("HOST", "kafka"), ("N", "5")]).unwrap();
    assert_eq!((settings.kafka.bootstrap_servers.as_str(), settings.kafka.partitions), ("kafka:9092", 5));
    assert_eq!(
        complaint(&text, &[("HOST", "kafka")]),
        "kafka.partitions: the environment variable N is not set: set N, or use ${file:/path}"
    );
    let missing = complaint(&text.replace("secret}", "secrets}"), &[("HOST", "kafka"), ("N", "5")]);
    assert!(missing.starts_with("sources.wegly.secrets[0]: ") && missing.contains("No such file"), "{missing}");
}

#[test]
fn a_text_in_the_environment_may_begin_as_a_list_does() {
    let env = [
        ("HOOKBRIDGE__REGISTRY__USERNAME", "u"),
        ("HOOKBRIDGE__REGISTRY__PASSWORD", "[kX9q2mPz7LwRt4"),
        ("HOOKBRIDGE__KAFKA__PROPERTIES__SSL_KEY_PASSWORD", "[\"a\"]"),
        ("HOOKBRIDGE__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SSL"),
        ("HOOKBRIDGE__KAFKA__PROPERTIES__LOG_LEVEL", "6"),
    ];
    let settings = read(SMALLEST, &env).unwrap();
    let property = |name: &str| settings.kafka.properties[name].expose().to_owned();
    assert_eq!([property("ssl.key.password"), property("log_level")], ["[\"a\"]", "6"]);
    let error = read(SMALLEST, &[("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "[kX9q2mPz7LwRt4")]).err().unwrap();
    assert!(error.contains("not a list in TOML"), "{error}");
}

#[test]
fn relative_paths_are_seen_wherever_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "s3cret").unwrap();
    let whole = format!("data_dir = \"/var/lib/hookbridge\"\n{SMALLEST}");
    let is_relative = |text: &str| read(text, &[]).unwrap().has_relative_paths();
    let secret = |path: &str| whole.replace("\"s3cret\"", &format!("\"${{file:{path}}}\""));
    assert!(!is_relative(&whole));
    assert!(!is_relative(&secret(&file.display().to_string())));
    assert!(is_relative(SMALLEST), "data_dir is `data` then");
    let root = std::env::current_dir().unwrap().components().skip(1).map(|_| "../").collect::<String>();
    assert!(is_relative(&secret(&format!("{root}{}", file.display().to_string().trim_start_matches('/')))));
    let with = |lines: &str| format!("{whole}\n{lines}\n");
    for (prefix, relative) in [("", true), ("/etc/", false)] {
        for lines in [
            format!("[http.tls]\ncertificate_file = \"{prefix}a.pem\"\nkey_file = \"/etc/b.pem\""),
            format!("[tracing]\notlp_endpoint = \"https://collector:4318\"\notlp_ca_file = \"{prefix}ca.pem\""),
            format!("[kafka.properties]\nsecurity.protocol = \"SSL\"\nssl.ca.location = \"{prefix}ca.pem\""),
        ] {
            assert_eq!(is_relative(&with(&lines)), relative, "{lines}");
        }
    }
    assert!(!is_relative(&with("[kafka.properties]\nsecurity.protocol = \"SSL\"\nssl.ca.location = \"probe\"")));
}

#[test]
fn what_is_wrong_is_told_by_its_key() {
    let with = |from: &str, to: &str| complaint(&SMALLEST.replace(from, to), &[]);
    for (words, expected) in [
        (with("[registry]", "partition = 3\n[registry]"), "kafka.partition: unknown key: did you mean `partitions`?"),
        (
            with("[registry]", "partitions = 0\n[registry]"),
            "kafka.partitions: expected a whole number from 1 to 100,000, got 0",
        ),
        (
            with("[registry]", "partitions = \"x\"\n[registry]"),
            "kafka.partitions: expected a whole number from 1 to 100,000, got \"x\"",
        ),
        (
            with("[registry]", "[kafka.properties]\nacks = 1\n[registry]"),
            "kafka.properties.acks: must not be set: hookbridge sets it",
        ),
        (
            with("[registry]", "[kafka.properties]\ndelivery.timeout.ms = 1\n[registry]"),
            "kafka.properties.delivery.timeout.ms: must not be set: hookbridge sets it",
        ),
        (
            with("[registry]", "[kafka.properties]\nstatistics.interval.ms = 60000\n[registry]"),
            "kafka.properties.statistics.interval.ms: must not be set: hookbridge sets it, since its metrics",
        ),
        (with("\"localhost:9092\"", "\"\""), "kafka.bootstrap_servers: empty"),
        (with("http://localhost:8081/", "localhost:8081"), "registry.url: expected an http"),
        (with("http://localhost", "http://u:p@localhost"), "registry.url: must not hold credentials"),
        (with("[\"s3cret\"]", "[\" \"]"), "sources.wegly.secrets[0]: blank"),
        (with("secrets = [\"s3cret\"]", ""), "sources.wegly.secrets: missing"),
        (
            with("tokens = \"tok\"", "secrets = \"tok\""),
            "sources.whazing.secrets: not for this source: profile whazing verifies by `tokens`",
        ),
        (
            with("tokens = \"tok\"", "tokens = \"tok\"\nallow_unauthenticated = true"),
            "sources.whazing.allow_unauthenticated: `tokens` is set, too",
        ),
        (with("[sources.whazing]", "[sources.other]"), "sources.other.profile: unknown profile \"other\""),
        (with("[sources.whazing]", "[sources.Big]"), "sources.Big.profile: unknown profile"),
        (
            with("[kafka]", "[kafka]\njoin_topics = \"yes\""),
            "kafka.join_topics: expected true, false, \"all\", or a list of join topics, got \"yes\": the topics are wegly.chat-by-deal, ",
        ),
        (
            with("[kafka]", "[kafka]\njoin_topics = [\"wegly.chat-by-deal\", \"chat-by-lead\"]"),
            "kafka.join_topics[1]: expected true, false, \"all\", or a list of join topics, got \"chat-by-lead\"",
        ),
        (with("[kafka]", "[kafka]\njoin_topics = 1"), "kafka.join_topics: "),
        (
            with("[kafka]", "[kafka]\njoin_topics = [\"wegly.deal-timeline\"]"),
            "kafka.join_topics[0]: expected true, false, \"all\", or a list of join topics, got \"wegly.deal-timeline\"",
        ),
        (
            with("[kafka]", "[kafka]\nproducers = 65"),
            "kafka.producers: expected \"auto\" or a number from 1 to 64, got 65",
        ),
        (
            with("[kafka]", "[kafka]\ntopics = \"each\""),
            "kafka.topics: expected \"per-entity\" or \"per-event\", got \"each\"",
        ),
        (with("[kafka]", "shutdown_delay = \"1h\"\n[kafka]"), "shutdown_delay: must be shorter"),
        (
            with("[kafka]", "[http]\nmax_body_bytes = \"1 GiB\"\n[kafka]"),
            "http.max_body_bytes: expected 1 byte to 900 MiB",
        ),
        (
            with("[registry]", "[kafka.properties]\ntopic.partitioner = \"random\"\n[registry]"),
            "kafka.properties.topic.partitioner: must not be set: hookbridge sets it",
        ),
        (
            with("[kafka]", "[http]\nmax_connections = 9223372036854775807\n[kafka]"),
            "http.max_connections: expected a whole number from 1 to 1,000,000, got 9223372036854775807",
        ),
        (
            with("[kafka]", "[http]\nmax_in_flight_bytes = 9223372036854775807\n[kafka]"),
            "http.max_in_flight_bytes: expected from http.max_body_bytes to 1 TiB",
        ),
        (
            with("[kafka]", "[spool]\nmax_bytes = \"1 MiB\"\nmax_lane_bytes = \"2 MiB\"\n[kafka]"),
            "spool.max_lane_bytes: must not exceed spool.max_bytes",
        ),
        (
            with("[kafka]", "[spool]\nmin_free_bytes = 0\n[kafka]"),
            "spool.min_free_bytes: expected from 64 MiB to 1 PiB",
        ),
        (with("[kafka]", "[http]\nidle_timeout = 0\n[kafka]"), "http.idle_timeout: expected from 1 ms to 1 day, got 0"),
        (with("[kafka]", "[http]\nack_timeout = \"1000y\"\n[kafka]"), "http.ack_timeout: expected from 1 ms to 1 day"),
        (
            with("[kafka]", "[log]\nlevel = \"loud\"\n[kafka]"),
            "log.level: expected one of off, error, warn, info, debug, trace, got \"loud\"",
        ),
        (with("[kafka]", "[admin]\nlisten = \"0.0.0.0:8080\"\n[kafka]"), "admin.listen: must differ from http.listen"),
        (with("[kafka]", "[catalog]\ndir = \"/nonexistent\"\n[kafka]"), "catalog.dir: /nonexistent: no such directory"),
        (complaint("[kafka", &[]), "unclosed table"),
        (
            complaint(SMALLEST, &[("HOOKBRIDGE__KAFKA__TOPIX", "x")]),
            "HOOKBRIDGE__KAFKA__TOPIX: unknown key kafka.topix: did you mean `HOOKBRIDGE__KAFKA__TOPICS`?",
        ),
    ] {
        assert!(words.starts_with(expected), "{words}");
    }
}

#[test]
fn media_goes_to_a_folder_of_data_dir_unless_a_place_is_named() {
    let settings = read(SMALLEST, &[]).unwrap();
    assert_eq!((settings.media.inline_max_bytes, settings.media.max_bytes), (512 << 10, 10 << 30));
    let MediaPlace::Folder(folder) = settings.media.place else { panic!("no folder") };
    assert!(folder.is_absolute() && folder.ends_with("data/media"), "{}", folder.display());

    let s3 = "[media]\nurl = \"s3://bucket/a/b/\"\n[media.options]\nregion = \"sa-east-1\"\nallow_http = true\n[kafka]";
    let env =
        [("HOOKBRIDGE__MEDIA__OPTIONS__SECRET_ACCESS_KEY", "s3cret"), ("HOOKBRIDGE__KAFKA__MAX_RECORD_BYTES", "5000")];
    let settings = read(&SMALLEST.replace("[kafka]", s3), &env).unwrap();
    assert_eq!(settings.media.inline_max_bytes, 3125, "a record cannot hold more");
    let MediaPlace::S3 { bucket, prefix, options } = settings.media.place else { panic!("no bucket") };
    assert_eq!((bucket.as_str(), prefix.as_str()), ("bucket", "a/b"));
    assert_eq!(options.keys().collect::<Vec<_>>(), ["allow_http", "region", "secret_access_key"]);
    assert_eq!(options["secret_access_key"].expose(), "s3cret");

    let with = |media: &str| complaint(&SMALLEST.replace("[kafka]", &format!("[media]\n{media}\n[kafka]")), &[]);
    for (words, expected) in [
        (with("url = \"gs://bucket\""), "media.url: expected s3://"),
        (with("url = \"media\""), "media.url: expected s3://"),
        (with("url = \"s3://\""), "media.url: expected a bucket, such as s3://bucket/prefix"),
        (with("url = \"s3://key:secret@bucket\""), "media.url: must not hold credentials"),
        (with("url = \"s3://bucket?region=x\""), "media.url: must have no port"),
        (with("url = \"file://host/folder\""), "media.url: expected an absolute path"),
        (with("url = \"s3://b\"\nmax_bytes = \"1 GiB\""), "media.max_bytes: only for a folder"),
        (with("options = { region = \"x\" }"), "media.options: only for a bucket, and media.url is not set"),
        (
            with("url = \"file:///m\"\noptions = { region = \"x\" }"),
            "media.options: only for a bucket, and media.url is a folder",
        ),
        (with("url = \"s3://b\"\noptions = { region = [1] }"), "media.options.region: expected a single value"),
    ] {
        assert!(words.starts_with(expected), "{words}");
    }
}

#[test]
fn a_profile_that_hashes_wants_a_key_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("whazing")).unwrap();
    let profile = std::fs::read_to_string("avro/whazing/profile.toml").unwrap();
    let profile = profile.replacen("[media]", "hash = [\"contact.phoneNumber\"]\n[media]", 1);
    std::fs::write(dir.path().join("whazing/profile.toml"), profile).unwrap();
    let with = |key: &str| {
        let catalog = format!("[catalog]\ndir = {:?}\n{key}\n[kafka]", dir.path().display().to_string());
        SMALLEST.replace("[kafka]", &catalog).replace("s3cret", "a secret of 23 letters!")
    };
    let settings = read(&with("hash_key = \"0123456789abcdef\""), &[]).unwrap();
    assert!(settings.sources["whazing"].profile.hasher.hash("x").is_some());
    for (text, expected) in [
        (
            with(""),
            "catalog.hash_key: missing: sources.whazing has the profile whazing, which hashes contact.phoneNumber",
        ),
        (with("hash_key = \"0123456789abcde\""), "catalog.hash_key: shorter than 16 bytes: make one with `openssl"),
        (with("hash_key = \"                 \""), "catalog.hash_key: shorter than 16 bytes"),
        (with("hash_key = \"a secret of 23 letters!\""), "catalog.hash_key: the same as a secret of sources.wegly"),
    ] {
        let words = complaint(&text, &[]);
        assert!(words.starts_with(expected) && !words.contains("0123456789"), "{words}");
    }
    // Nobody asks for a key for what no source sends.
    let (wegly, _) = SMALLEST.split_once("[sources.whazing]").unwrap();
    read(&wegly.replace("[kafka]", &format!("[catalog]\ndir = {:?}\n[kafka]", dir.path())), &[]).unwrap();
}

#[test]
fn no_error_repeats_a_secret() {
    for number in ["4242.5", "true", "424242424242424242424242424242424242", "-4242"] {
        let words = complaint(&SMALLEST.replace("[\"s3cret\"]", number), &[]);
        assert!(!words.contains(number), "{words}");
        let words = complaint(&SMALLEST.replace("[registry]", &format!("[registry]\npassword = {number}")), &[]);
        assert!(!words.contains(number), "{words}");
    }
    let words = complaint(&SMALLEST.replace("8081/", "8081/?key=s3cret"), &[]);
    assert!(words.starts_with("registry.url: must not have") && !words.contains("s3cret"), "{words}");
    let words = complaint(SMALLEST, &[("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "[s3cret")]);
    assert!(words.starts_with("HOOKBRIDGE__SOURCES__WEGLY__SECRETS: ") && !words.contains("s3cret"), "{words}");
    for text in [
        SMALLEST.replace("[\"s3cret\"]", "{ a = \"s3cret\" }"),
        SMALLEST.replace("[\"s3cret\"]", "[[\"s3cret\"], 5]"),
        SMALLEST.replace("[\"s3cret\"]", "[\"s3cret\", ]]"),
        SMALLEST.replace("[registry]", "[registry]\npassword = \"s3cret\""),
        SMALLEST.replace("[registry]", "[kafka.properties]\nsasl.password = [\"s3cret\"]\n[registry]"),
    ] {
        assert!(!complaint(&text, &[]).contains("s3cret"), "{text}");
    }
    assert!(!format!("{:?}", "s3cret".parse::<Secret>()).contains("s3cret"));
}
