//! What of `kafka.properties` librdkafka does not take: every property, not only the first.

use std::path::Path;

use super::producer::{Context, client_config, create};
use crate::config::{ConfigError, Settings};
use crate::disk::access::explain;
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
const WORDS: [(&str, &[&str]); 5] = [
    ("security.protocol", &["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
    ("sasl.mechanisms", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]),
    ("sasl.mechanism", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]),
    ("compression.type", &["none", "gzip", "snappy", "lz4", "zstd"]),
    ("compression.codec", &["none", "gzip", "snappy", "lz4", "zstd"]),
];

/// The properties that librdkafka does not know, or whose values it does not take; or else why it does not take all of them
/// together. Nothing is connected to.
pub(crate) fn unfit_properties(settings: &Settings) -> Vec<ConfigError> {
    let properties = &settings.kafka.properties;
    let alone = properties.iter().filter_map(|(name, value)| {
        let mut config = rdkafka::ClientConfig::new();
        config.set(name, value.expose());
        let error = config.create_native_config().err()?;
        Some(explained(super::producer::refused(error), name, value.expose()))
    });
    let files = properties.iter().filter(|(name, _)| name.ends_with(".location")).filter_map(|(name, file)| {
        let path = Path::new(file.expose());
        let error = std::fs::metadata(path).err().filter(|_| file.expose() != "probe")?;
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
    create(&together, &Context::apart()).err().into_iter().collect()
}

/// The same with what was probably meant.
fn explained(error: ConfigError, name: &str, value: &str) -> ConfigError {
    let is_unknown = !USUAL.contains(&name) && error.to_string().contains("No such configuration property");
    if is_unknown {
        return match closest(name, USUAL) {
            Some(meant) => error.or_remedy(&format!("did you mean `{meant}`?")),
            None => error.or_remedy("see librdkafka's CONFIGURATION.md for all there are"),
        };
    }
    let Some((_, words)) = WORDS.iter().find(|(other, _)| *other == name) else { return error };
    match closest(value, words.iter().copied()) {
        Some(meant) => error.or_remedy(&format!("did you mean {meant:?}?")),
        None => error.or_remedy(&format!("expected one of {}", words.join(", "))),
    }
}
