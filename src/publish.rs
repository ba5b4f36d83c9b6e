//! Records to Kafka, each until it is acknowledged by all in-sync replicas or refused. With `publish/topics.rs` and
//! `publish/verdict.rs` the only place that knows rdkafka.
//!
//! ```text
//! send ─▶ librdkafka's queue ─▶ leader ─▶ all in-sync replicas ─▶ delivery report ─▶ Ok
//!                 └──────────────┴─ not within message.timeout.ms, or purged ─▶ Waits: it is ours again
//! ```
//!
//! Whoever sends a record gets librdkafka's own verdict on it, so that a record which is then spooled is in no queue
//! any more. (It may still have landed: the answer can be lost.)
//!
//! One idempotent producer with one request under way per broker: within a partition, records land in the order they were sent. `FutureProducer::send` is
//! not used, since it retries a full queue and so reorders. When librdkafka declares the producer fatally broken (its
//! idempotence state is gone from the broker), a new one takes its place.

mod topics;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _, PurgeConfig};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::config::{ConfigError, Settings};
use crate::route::{Record, Routes, largest_dead_letter};
pub(crate) use topics::{TopicState, Watch, uneven};
use verdict::Verdict;

/// Why a record is not known to be in Kafka.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// Down, too slow, unauthorised, too few replicas: another time it may work. It may still have landed.
    #[error("{topic}: {source}")]
    Waits { topic: Arc<str>, source: KafkaError },
    /// librdkafka did not even say what became of it.
    #[error("{topic}: no delivery report")]
    Unreported { topic: Arc<str> },
    /// It will never take this record.
    #[error("{topic}: {source}")]
    TooLarge { topic: Arc<str>, source: KafkaError },
    /// It will never take this record.
    #[error("{topic}: {source}")]
    Rejected { topic: Arc<str>, source: KafkaError },
}

/// librdkafka looks once a second which records have timed out.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);
/// How long after it is due a record's report may come before everything under way is called back, and how long
/// after that it may still take.
const REPORT_GRACE: Duration = Duration::from_secs(1);

type Producer = FutureProducer<Context>;

/// The producer, and what keeps an eye on the topics.
pub(crate) struct Publisher {
    producer: ArcSwap<Producer>,
    /// Sends each record in a batch of its own; made when first needed.
    alone: ArcSwapOption<Producer>,
    config: ClientConfig,
    context: Context,
    message_timeout: Duration,
    watch: Watch,
    /// When Kafka last acknowledged a record: milliseconds of `since`.
    last_ack: AtomicU64,
    since: Instant,
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
        Ok(Publisher {
            producer: ArcSwap::from_pointee(producer),
            alone: ArcSwapOption::empty(),
            config,
            context,
            message_timeout: message_timeout(settings),
            watch,
            last_ack: AtomicU64::new(0),
            since: Instant::now(),
        })
    }

    /// Whether the topics are there.
    #[must_use]
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    fn now(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
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

    /// The first look at Kafka, and the missing topics made, so that the first events find them. That Kafka cannot be
    /// reached is no reason not to start.
    pub(crate) async fn start(&self) {
        self.watch.start(&self.producer.load_full()).await;
    }

    /// Sends `record` and waits for Kafka's verdict: librdkafka gives it within `http.ack_timeout`, or a little later.
    pub(crate) async fn publish(&self, record: Record) -> Result<(), PublishError> {
        let producer = self.producer.load_full();
        let sent = self.attempt(&producer, &record).await;
        let Err(PublishError::TooLarge { .. }) = sent else { return sent };
        // Kafka refuses a batch as a whole: whether it was this record that was too large, only it alone can tell.
        match self.alone() {
            Ok(alone) => self.attempt(&alone, &record).await,
            Err(_) => sent,
        }
    }

    fn alone(&self) -> Result<Arc<Producer>, ConfigError> {
        if let Some(alone) = self.alone.load_full() {
            return Ok(alone);
        }
        let alone = Arc::new(create(self.config.clone().set("batch.num.messages", "1"), &self.context)?);
        self.alone.store(Some(Arc::clone(&alone)));
        Ok(alone)
    }

    async fn attempt(&self, producer: &Arc<Producer>, record: &Record) -> Result<(), PublishError> {
        let (topic, sent_at) = (Arc::clone(&record.topic), self.now());
        let error = match producer.send_result(to_kafka(record)) {
            Ok(report) => match self.report(producer, report).await {
                Some(Ok(())) => {
                    self.last_ack.store(self.now(), Ordering::Relaxed);
                    self.watch.hear();
                    return Ok(());
                }
                Some(Err(error)) => error,
                None => return Err(PublishError::Unreported { topic }),
            },
            Err((error, _)) => error,
        };
        self.context.failing.notify_one();
        let timed_out = error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut);
        if timed_out && self.last_ack.load(Ordering::Relaxed) <= sent_at {
            self.watch.miss();
        }
        match verdict::of(&error) {
            Verdict::TooLarge => return Err(PublishError::TooLarge { topic, source: error }),
            Verdict::Rejected => return Err(PublishError::Rejected { topic, source: error }),
            Verdict::Wait | Verdict::Fatal => {}
        }
        if verdict::of(&error) == Verdict::Fatal || producer.client().fatal_error().is_some() {
            self.replace(producer);
        }
        Err(PublishError::Waits { topic, source: error })
    }

    /// Waits for a record's delivery report. Should librdkafka not give one in time, everything it has under way is
    /// called back, which makes it report at once.
    async fn report(&self, producer: &Producer, report: DeliveryFuture) -> Option<Result<(), KafkaError>> {
        tokio::pin!(report);
        let told = match timeout(self.message_timeout + SCAN_INTERVAL + REPORT_GRACE, &mut report).await {
            Ok(told) => told,
            Err(_) => {
                tracing::warn!(
                    "librdkafka did not say in time what became of a record; all records under way are called back"
                );
                call_back(producer);
                timeout(REPORT_GRACE, report).await.ok()?
            }
        };
        // A report that can no longer come: its producer is gone.
        Some(match told {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(error),
            Err(_) => Err(KafkaError::Canceled),
        })
    }

    /// Calls back everything that is not acknowledged yet; each record's sender gets it back.
    pub(crate) fn call_back_all(&self) {
        call_back(&self.producer.load());
        if let Some(alone) = &*self.alone.load() {
            call_back(alone);
        }
    }

    /// Puts a new producer in the place of one that is fatally broken.
    fn replace(&self, broken: &Arc<Producer>) {
        let alone = self.alone.load();
        if alone.as_ref().is_some_and(|alone| Arc::ptr_eq(alone, broken)) {
            self.alone.store(None);
            return;
        }
        if !Arc::ptr_eq(&self.producer.load(), broken) {
            return;
        }
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

fn call_back(producer: &Producer) {
    producer.purge(PurgeConfig::default().queue().inflight());
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

/// Timed out by then, and looked at up to a scan later, the verdict is there when the sender is due an answer.
fn message_timeout(settings: &Settings) -> Duration {
    let ack_timeout = settings.http.ack_timeout;
    ack_timeout.saturating_sub(SCAN_INTERVAL).max(ack_timeout / 2)
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
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        // librdkafka takes the success of a batch for that of the one before it, since a broker would have refused a
        // gap. But a leader that knows nothing of this producer yet takes any number as the first: with two batches
        // under way, the earlier one turned away ("not leader yet") and the later one taken, a record was acknowledged
        // that Kafka never had (confluentinc/confluent-kafka-go#921).
        .set("max.in.flight.requests.per.connection", "1")
        // The Java client's: topics written by either can be joined.
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", message_timeout(settings).as_millis().max(1).to_string())
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
