//! What of `kafka.properties` librdkafka does not take: every property, not only the first.

use std::collections::BTreeMap;
use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::producer::{Context, client_config, try_create};
use crate::config::{ConfigError, MECHANISMS, PROBE, Settings};
use crate::disk::access::explain;
use crate::kafka::property_words::{is_number, of_all, of_property};
use crate::values::secret::Secret;
use crate::values::showable;
use crate::values::similar::closest;

/// Properties that people set, to recognise slips: librdkafka does not list its own.
const USUAL: [&str; 44] = [
    "batch.num.messages",
    "batch.size",
    "broker.address.family",
    "broker.address.ttl",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "debug",
    "enable.ssl.certificate.verification",
    "linger.ms",
    "log_level",
    "metadata.max.age.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.keystore.location",
];

/// Words that a property takes.
const WORDS: [(&str, &[&str]); 12] = [
    ("security.protocol", &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
    ("sasl.mechanisms", &MECHANISMS),
    ("sasl.mechanism", &MECHANISMS),
    ("compression.type", &["none", "gzip", "snappy", "lz4", "zstd"]),
    ("compression.codec", &["none", "gzip", "snappy", "lz4", "zstd"]),
    ("broker.address.family", &["any", "v4", "v6"]),
    ("client.dns.lookup", &["use_all_dns_ips", "resolve_canonical_bootstrap_servers_only"]),
    ("metadata.recovery.strategy", &["none", "rebootstrap"]),
    ("queuing.strategy", &["fifo", "lifo"]),
    ("ssl.endpoint.identification.algorithm", &["none", "https"]),
    ("sasl.oauthbearer.method", &["default"]),
    ("debug", DEBUG),
];
/// Of `debug`, several with commas between them.
const DEBUG: &[&str] = &[
    "all",
    "generic",
    "broker",
    "topic",
    "metadata",
    "feature",
    "queue",
    "msg",
    "protocol",
    "security",
    "interceptor",
    "plugin",
    "admin",
    "eos",
    "conf",
    "telemetry",
];
/// Properties that take fractions of a number.
const FRACTIONS: [&str; 2] = ["linger.ms", "queue.buffering.max.ms"];

/// The properties that librdkafka does not know, or whose values it does not take; or else why it does not take all of them
/// together. Nothing is connected to.
pub(crate) fn unfit_properties(settings: &Settings) -> Vec<ConfigError> {
    let properties = &settings.kafka.properties;
    let alone = properties.iter().filter_map(|(name, value)| of_words(name, value));
    let files = properties.iter().filter(|(name, _)| name.ends_with(".location")).filter_map(|(name, file)| {
        let path = Path::new(file.expose());
        let error = std::fs::metadata(path).err().filter(|_| file.expose() != PROBE)?;
        Some(ConfigError::key(
            format!("kafka.properties.{name}"),
            format!("{}: {}", showable::path(path), explain(path, &error)),
        ))
    });
    let alone: Vec<ConfigError> = alone.chain(files).collect();
    if !alone.is_empty() {
        return alone;
    }
    let mut together = client_config(settings);
    together.remove("bootstrap.servers");
    try_create(&together, &Context::apart()).err().map(|error| of_them_all(&error, properties)).into_iter().collect()
}

/// What librdkafka says of a property that has this value.
fn said(name: &str, value: &str) -> Option<String> {
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config().err()? {
        KafkaError::ClientConfig(_, words, ..) => Some(words),
        other => Some(other.to_string()),
    }
}

/// What is wrong with one property, and what was probably meant.
fn of_words(name: &str, value: &Secret) -> Option<ConfigError> {
    let value = value.expose();
    let words = said(name, value).or_else(|| cut_number(name, value))?;
    let fail = |what: String| ConfigError::key(format!("kafka.properties.{name}"), what);
    if words.contains("No such configuration property") {
        let remedy = match closest(name, USUAL).filter(|meant| *meant != name) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "see librdkafka's CONFIGURATION.md for all there are".to_owned(),
        };
        return Some(fail(of_property(&words)).or_remedy(&remedy));
    }
    let Some((_, known)) = WORDS.iter().find(|(other, _)| *other == name) else {
        return Some(fail(of_property(&words)));
    };
    let error = fail(format!("expected one of {}", known.join(", ")));
    Some(match closest(value, known.iter().copied()) {
        Some(meant) => error.or_remedy(&format!("did you mean {meant:?}?")),
        None => error,
    })
}

/// The same for a number that librdkafka takes, but not whole: it reads `60s` as 60, `0.5` as 0, and what has more than 32 bits as
/// what is left of it.
fn cut_number(name: &str, value: &str) -> Option<String> {
    let number = said(name, "?").filter(|words| is_number(words))?;
    let value = value.trim();
    if FRACTIONS.contains(&name) {
        return value.parse::<f64>().is_err().then_some(number);
    }
    match value.parse::<i64>() {
        Ok(whole) if i32::try_from(whole).is_ok() => None,
        // Its range, if it has a smaller one.
        Ok(_) => [i32::MAX, i32::MIN].iter().find_map(|end| said(name, &end.to_string())).or(Some(number)),
        Err(_) if value.starts_with("0x") => None,
        Err(_) => Some(number),
    }
}

/// Why librdkafka does not take all of them together, at the one that it names.
fn of_them_all(error: &KafkaError, properties: &BTreeMap<String, Secret>) -> ConfigError {
    let (name, what) = of_all(&error.to_string(), properties.keys().map(String::as_str));
    // It may quote a value, which may be a secret in the wrong place.
    let hide = |what: String, value: &Secret| what.replace(&format!("\"{}\"", value.expose()), "(hidden)");
    let what = properties.values().fold(what, hide);
    match name {
        Some(name) => ConfigError::key(format!("kafka.properties.{name}"), what),
        None => ConfigError::key("kafka.properties", what),
    }
}
