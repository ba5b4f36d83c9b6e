//! librdkafka's producers: how they are set, made, replaced, and what they tell us.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use super::statistics::{INTERVAL, Told};
use crate::config::{ConfigError, Settings};
use crate::route::largest_dead_letter;

pub(super) type Producer = FutureProducer<Context>;

/// A producer for one purpose, made when it is first needed and again when it is fatally broken.
pub(super) struct Slot {
    config: ClientConfig,
    /// librdkafka's `message.timeout.ms`.
    pub(super) message_timeout: Duration,
    producer: ArcSwapOption<Producer>,
}

impl Slot {
    pub(super) fn new(config: &ClientConfig, message_timeout: Duration) -> Slot {
        let mut config = config.clone();
        config.set("message.timeout.ms", message_timeout.as_millis().max(1).to_string());
        Slot { config, message_timeout, producer: ArcSwapOption::empty() }
    }

    /// The producer; connects in the background.
    ///
    /// # Errors
    /// When librdkafka does not know a property of `kafka.properties`, or does not take its value.
    pub(super) fn get(&self, context: &Context) -> Result<Arc<Producer>, ConfigError> {
        if let Some(producer) = self.producer.load_full() {
            return Ok(producer);
        }
        let made = Arc::new(create(&self.config, context)?);
        // Another may have been quicker.
        let none: Option<Arc<Producer>> = None;
        let before = self.producer.compare_and_swap(&none, Some(Arc::clone(&made)));
        Ok(before.as_ref().map_or(made, Arc::clone))
    }

    /// Lets go of a producer that is fatally broken; the next record makes a new one.
    pub(super) fn discard(&self, broken: &Arc<Producer>) {
        let before = self.producer.compare_and_swap(broken, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, broken)) {
            tracing::error!("a Kafka producer is fatally broken; a new one takes over");
        }
    }

    /// Calls back what is not acknowledged yet; each record's sender gets it back.
    pub(super) fn call_back(&self) {
        if let Some(producer) = &*self.producer.load() {
            producer.purge(PurgeConfig::default().queue().inflight());
        }
    }

    /// How many records are not acknowledged yet, once `timeout` was given them for that.
    pub(super) async fn flush(&self, timeout: Duration) -> i32 {
        let Some(producer) = self.producer.load_full() else { return 0 };
        let flushed = tokio::task::spawn_blocking(move || {
            // What is left is told by the count, in the records' own reports, and by the answers they got.
            let _ = producer.flush(timeout);
            producer.in_flight_count()
        });
        flushed.await.unwrap_or(-1)
    }
}

fn create(config: &ClientConfig, context: &Context) -> Result<Producer, ConfigError> {
    config.create_with_context(context.clone()).map_err(|error| {
        let key = match &error {
            KafkaError::ClientConfig(_, _, key, _) => format!("kafka.properties.{key}"),
            _ => "kafka.properties".to_owned(),
        };
        // librdkafka quotes the value, which may be a secret in the wrong place.
        let what = match error {
            KafkaError::ClientConfig(_, words, _, value) => words.replace(&format!("\"{value}\""), "(hidden)"),
            other => other.to_string(),
        };
        ConfigError::key(key, what)
    })
}

/// librdkafka's properties: ours, which the promises rest on, over the user's.
pub(super) fn client_config(settings: &Settings) -> ClientConfig {
    let kafka = &settings.kafka;
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("client.id", "hookbridge"),
        // A request waits for its acknowledgement, so waiting for company only makes it slower.
        ("linger.ms", "0"),
        // After an outage the next attempt must not wait longer than senders do (librdkafka's default is 10 s).
        ("reconnect.backoff.max.ms", "500"),
        ("socket.keepalive.enable", "true"),
        // The bundled OpenSSL knows no authorities of its own; this finds the system's.
        ("ssl.ca.location", "probe"),
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
        // librdkafka takes the success of a batch for that of the one before it, since a broker would have refused a
        // gap. But a leader that knows nothing of this producer yet takes any number as the first: with two batches
        // under way, the earlier one turned away ("not leader yet") and the later one taken, a record was acknowledged
        // that Kafka never had (confluentinc/confluent-kafka-go#921).
        .set("max.in.flight.requests.per.connection", "1")
        // The Java client's: topics written by either can be joined.
        .set("partitioner", "murmur2_random")
        // Topics are made with the partitions that were asked for, or not at all.
        .set("allow.auto.create.topics", "false")
        .set("message.max.bytes", largest_dead_letter(settings).to_string())
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Why the last connection failed, in librdkafka's words.
pub(super) type Reason = Arc<Mutex<Option<String>>>;

/// Carries librdkafka's logs to ours, and its alarms to the watch.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) failing: Arc<Notify>,
    pub(super) told: Arc<Told>,
    pub(super) reason: Reason,
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
            Err(error) => tracing::warn!(%error, "librdkafka's statistics could not be read"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The watch says once that Kafka is away, and once that it is back; this is the detail.
        tracing::debug!(%error, "Kafka client: {reason}");
        // That all are down says less than why one is.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
        self.failing.notify_one();
    }
}
