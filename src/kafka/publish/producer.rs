//! librdkafka's producers: how they are set and made, and what they tell us.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::producer::FutureProducer;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use super::statistics::{INTERVAL, ProducerStats};
use crate::config::{ConfigError, PROBE, Settings};
use crate::kafka::property_words::of_property;
use crate::kafka::route::largest_dead_letter;

pub(super) type Producer = FutureProducer<Context>;

pub(super) fn create(config: &ClientConfig, context: &Context) -> Result<Producer, ConfigError> {
    try_create(config, context).map_err(refused)
}

/// The same, with what librdkafka says.
pub(super) fn try_create(config: &ClientConfig, context: &Context) -> Result<Producer, KafkaError> {
    config.create_with_context(context.clone())
}

/// What librdkafka does not take of its properties.
fn refused(error: KafkaError) -> ConfigError {
    match error {
        KafkaError::ClientConfig(_, words, key, _) => {
            ConfigError::key(format!("kafka.properties.{key}"), of_property(&words))
        }
        other => ConfigError::key("kafka.properties", other.to_string()),
    }
}

/// librdkafka's properties: ours, which the promises rest on, over the user's.
pub(super) fn client_config(settings: &Settings) -> ClientConfig {
    let kafka = &settings.kafka;
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("client.id", "hookbridge"),
        // Long enough for all records of a burst (`line`) to be there when its first request is made, and no longer.
        ("linger.ms", "0.2"),
        // After an outage the next attempt must not wait longer than senders do (librdkafka's default is 10 s).
        ("reconnect.backoff.max.ms", "500"),
        ("socket.keepalive.enable", "true"),
        // The bundled OpenSSL knows no authorities of its own; this finds the system's.
        ("ssl.ca.location", PROBE),
    ] {
        config.set(name, value);
    }
    for (name, value) in &kafka.properties {
        config.set(name, value.expose());
    }
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("statistics.interval.ms", INTERVAL.as_millis().to_string())
        .set("acks", "all")
        .set("enable.idempotence", "true")
        // As many as idempotence allows: for what makes it safe see `report`.
        .set("max.in.flight.requests.per.connection", "5")
        // The Java client's: topics written by either can be joined.
        .set("partitioner", "murmur2_random")
        // Topics are made with the partitions that were asked for, or not at all.
        .set("allow.auto.create.topics", "false")
        .set("message.max.bytes", largest_dead_letter(settings).to_string())
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Why the last connection failed, in librdkafka's words.
pub(super) type LastFailure = Arc<Mutex<Option<String>>>;

/// Carries librdkafka's logs to ours, and its alarms to the watch.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) failing: Arc<Notify>,
    pub(super) told: Arc<ProducerStats>,
    pub(super) reason: LastFailure,
    /// Set when this client has trouble with its connections: whether it still works is then to be found out.
    pub(super) suspect: Arc<AtomicBool>,
}

impl Context {
    /// For a client that nobody else is to hear of.
    pub(super) fn apart() -> Context {
        Context { failing: Arc::default(), told: Arc::default(), reason: Arc::default(), suspect: Arc::default() }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(facility, "Kafka client: {message}");
            }
            _ => tracing::debug!(facility, "Kafka client warns: {message}"),
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(statistics) => self.told.take(statistics),
            Err(error) => tracing::warn!(%error, "cannot read librdkafka's statistics"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The watch says once that Kafka is away, and once that it is back; this is the detail.
        tracing::debug!(%error, "Kafka client: {reason}");
        // That all are down says less than why one is.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
        self.suspect.store(true, Ordering::Relaxed);
        self.failing.notify_one();
    }
}
