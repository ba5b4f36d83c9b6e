//! Records to Kafka, each until it is acknowledged by all in-sync replicas or refused. With `publish/topics.rs` the
//! only place that knows rdkafka.
//!
//! ```text
//! send ──▶ librdkafka's queue ──▶ leader ──▶ all in-sync replicas ──▶ delivery report ──▶ answer
//!   └ full: at once              └ not within http.ack_timeout: given up, though it may still have landed
//! ```
//!
//! One idempotent producer: within a partition, records land in the order they were sent. `FutureProducer::send` is
//! not used, since it retries a full queue and so reorders. When librdkafka declares the producer fatally broken (its
//! idempotence state is gone from the broker), a new one takes its place.

mod topics;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::{Notify, OnceCell};
use tokio::time::Instant;

use crate::config::{ConfigError, Settings};
use crate::route::{Record, Routes, largest_dead_letter};
pub(crate) use topics::{TopicState, Watch, uneven};

/// Why a record is not known to be in Kafka.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// librdkafka's own queue is full.
    #[error("the producer's queue is full")]
    QueueFull,
    /// It may still land.
    #[error("{topic}: not acknowledged in time")]
    TimedOut { topic: Arc<str> },
    /// Down, unauthorised, too few replicas: another time it may work.
    #[error("{topic}: {source}")]
    Unavailable { topic: Arc<str>, source: KafkaError },
    /// It will never take this record.
    #[error("{topic}: {source}")]
    TooLarge { topic: Arc<str>, source: KafkaError },
    /// It will never take this record.
    #[error("{topic}: {source}")]
    Rejected { topic: Arc<str>, source: KafkaError },
}

type Producer = FutureProducer<Context>;

/// The producer, and what keeps an eye on the topics.
pub(crate) struct Publisher {
    producer: ArcSwap<Producer>,
    /// Sends each record in a batch of its own; made when first needed.
    alone: OnceCell<Producer>,
    config: ClientConfig,
    context: Context,
    watch: Watch,
}

impl Publisher {
    /// Makes the producer; connects in the background.
    ///
    /// # Errors
    /// When librdkafka does not know a property of `kafka.properties`, or does not take its value.
    pub(crate) fn new(settings: &Settings, routes: &Routes) -> Result<Publisher, ConfigError> {
        let config = client_config(settings);
        let context = Context { failing: Arc::new(Notify::new()) };
        let producer = create(&config, &context)?;
        let watch = Watch::new(settings, routes, config.clone(), Arc::clone(&context.failing));
        Ok(Publisher { producer: ArcSwap::from_pointee(producer), alone: OnceCell::new(), config, context, watch })
    }

    /// Whether the topics are there.
    #[must_use]
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Looks after the topics until the task is dropped.
    pub(crate) async fn keep_watch(self: Arc<Self>) {
        self.watch.keep(|| self.producer.load_full()).await;
    }

    /// One look at Kafka: reachable, topics there (made if `create`).
    ///
    /// # Errors
    /// Kafka's own words when it cannot be reached.
    pub(crate) async fn look(&self, create: bool) -> Result<Vec<TopicState>, String> {
        self.watch.look(&self.producer.load_full(), create, topics::LOOK_TIMEOUT).await
    }

    /// The settings of the dead-letter topic that are not as they should be: (key, as it is, as it should be).
    ///
    /// # Errors
    /// Kafka's own words when it does not tell.
    pub(crate) async fn differing_dead_letter_configs(&self) -> Result<Vec<(String, String, String)>, String> {
        self.watch.differing_dead_letter_configs().await
    }

    /// Sends `record` and waits for the acknowledgement, until `deadline` at the longest.
    pub(crate) async fn publish(&self, record: Record, deadline: Instant) -> Result<(), PublishError> {
        let producer = self.producer.load_full();
        let sent = self.attempt(&producer, &record, deadline).await;
        if sent.is_err() && producer.client().fatal_error().is_some() {
            self.replace(&producer);
        }
        let Err(PublishError::TooLarge { .. }) = sent else { return sent };
        // Kafka refuses a batch as a whole: whether it was this record that was too large, only it alone can tell.
        let one_by_one = async || create(self.config.clone().set("batch.num.messages", "1"), &self.context);
        match self.alone.get_or_try_init(one_by_one).await {
            Ok(alone) => self.attempt(alone, &record, deadline).await,
            Err(_) => sent,
        }
    }

    async fn attempt(&self, producer: &Producer, record: &Record, deadline: Instant) -> Result<(), PublishError> {
        let topic = Arc::clone(&record.topic);
        let sent = producer.send_result(to_kafka(record)).map_err(|(error, _)| error);
        let error = match sent {
            Ok(report) => match tokio::time::timeout_at(deadline, report).await {
                Ok(Ok(Ok(_))) => return Ok(()),
                Ok(Ok(Err((error, _)))) => error,
                Ok(Err(_)) => KafkaError::Canceled,
                Err(_) => {
                    self.context.failing.notify_one();
                    return Err(PublishError::TimedOut { topic });
                }
            },
            Err(error) => error,
        };
        Err(self.classify(topic, error))
    }

    fn classify(&self, topic: Arc<str>, source: KafkaError) -> PublishError {
        use RDKafkaErrorCode as Code;
        match source.rdkafka_error_code() {
            Some(Code::QueueFull) => return PublishError::QueueFull,
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
                return PublishError::TooLarge { topic, source };
            }
            Some(Code::InvalidRecord | Code::InvalidMessage | Code::InvalidTimestamp | Code::PolicyViolation) => {
                return PublishError::Rejected { topic, source };
            }
            _ => self.context.failing.notify_one(),
        }
        match source.rdkafka_error_code() {
            Some(Code::MessageTimedOut) => PublishError::TimedOut { topic },
            _ => PublishError::Unavailable { topic, source },
        }
    }

    /// Puts a new producer in the place of one that is fatally broken.
    fn replace(&self, broken: &Arc<Producer>) {
        match create(&self.config, &self.context) {
            Ok(producer) => {
                let before = self.producer.compare_and_swap(broken, Arc::new(producer));
                if Arc::ptr_eq(&before, broken) {
                    tracing::error!("the Kafka producer is fatally broken; a new one takes over");
                }
            }
            Err(error) => tracing::error!(%error, "no new Kafka producer could be made"),
        }
    }

    /// Waits until everything sent is acknowledged or given up; says how many records are left.
    pub(crate) async fn flush(&self, timeout: Duration) -> i32 {
        let producer = self.producer.load_full();
        let flushed = tokio::task::spawn_blocking(move || {
            // What is left is told by the count, in the records' own reports, and by the answers they got.
            let _ = producer.flush(timeout);
            producer.in_flight_count()
        });
        flushed.await.unwrap_or(-1)
    }
}

fn to_kafka(record: &Record) -> FutureRecord<'_, str, [u8]> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    FutureRecord::to(&record.topic)
        .key(record.key.as_str())
        .payload(record.value.as_slice())
        .headers(headers)
        .timestamp(record.timestamp)
}

fn create(config: &ClientConfig, context: &Context) -> Result<Producer, ConfigError> {
    config.create_with_context(context.clone()).map_err(|error| {
        let key = match &error {
            KafkaError::ClientConfig(_, _, key, _) => format!("kafka.properties.{key}"),
            _ => "kafka.properties".to_owned(),
        };
        // The key and librdkafka's words, not the value, which may be a secret.
        let what = match error {
            KafkaError::ClientConfig(_, words, _, _) => words,
            other => other.to_string(),
        };
        ConfigError::key(key, what)
    })
}

/// librdkafka's properties: ours, which the promises rest on, over the user's.
fn client_config(settings: &Settings) -> ClientConfig {
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
    let ack_timeout = settings.http.ack_timeout.as_millis().to_string();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        // The Java client's: topics written by either can be joined.
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", ack_timeout)
        // Topics are made with the partitions that were asked for, or not at all.
        .set("allow.auto.create.topics", "false")
        .set("message.max.bytes", largest_dead_letter(settings).to_string())
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

/// Carries librdkafka's logs to ours, and its alarms to the watch.
#[derive(Clone)]
struct Context {
    failing: Arc<Notify>,
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

    fn error(&self, error: KafkaError, reason: &str) {
        // The watch says once that Kafka is away, and once that it is back; this is the detail.
        tracing::debug!(%error, "Kafka client: {reason}");
        self.failing.notify_one();
    }
}
