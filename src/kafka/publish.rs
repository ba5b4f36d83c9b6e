//! Records to Kafka, each until it is acknowledged by all in-sync replicas or refused. With its folder the only place that
//! knows rdkafka's producers.
//!
//! ```text
//! record ─▶ line ─▶ librdkafka's queue ─▶ leader ─▶ all in-sync replicas ─▶ delivery report ─▶ Ok
//!                        └──────────────────┴─ not within message.timeout.ms, or purged ─▶ Waits: it is ours again
//! ```
//!
//! Whoever sends a record gets librdkafka's own verdict on it, so that a record which is then spooled is in no queue
//! any more. (It may still have landed: the answer can be lost.)
//!
//! **Senders' records** wait in a line (`line`) for those before them, and go in bursts. How many producers share them follows the load
//! (`scale`). Each is idempotent, and has several requests under way; only what Kafka itself has confirmed counts (`report`). Two
//! records that are under way together are promised no order, so any producer may take any record at any time: an event that
//! arrives when another is answered finds that one written. `FutureProducer::send` is not used, since it waits for a full queue.
//!
//! **What comes from the spool** has producers of its own, which no sender waits for, with one request under way each: there one record
//! follows another of its key without waiting for it, and by the same producer (`clients`). (A sender's record of the same key may
//! still be under way then. It is not answered yet, so no order is promised.)
//!
//! A new producer takes the place of one that librdkafka declares fatally broken (its idempotence state is gone from the broker), of
//! one that does not get through while a new client does (`supervisor`), and of each when the configuration is read again.

mod clients;
mod clock;
mod error;
mod evidence;
mod gather;
mod generation;
mod hand_over;
mod line;
mod message;
mod outage;
mod partitions;
mod producer;
mod properties;
mod replication;
mod report;
mod scale;
mod sending;
mod slot;
mod statistics;
mod supervisor;
mod topics;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{OwnedMessage, ToBytes};
use rdkafka::producer::{DeliveryFuture, FutureRecord, Producer as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::config::{ConfigError, Settings};
use crate::kafka::latest::LatestTopics;
use crate::kafka::partition;
use crate::kafka::route::Routes;
use crate::ordering::Gate;
pub(crate) use clients::{Clients, Patience};
use clock::Clock;
pub(crate) use clock::span;
pub(crate) use error::{PrepareError, PublishError};
use evidence::TopicPartition;
use generation::Generation;
use producer::{Context, Producer};
pub(crate) use properties::unfit_properties;
pub(crate) use replication::{AskError, OneReplica};
use report::DeliveryReport;
pub(crate) use sending::{Landed, Sending};
use slot::ProducerSlot;
#[cfg(test)]
pub(crate) use statistics::Failures;
pub(crate) use statistics::Summary;
use supervisor::{Cause, Replaced};
pub(crate) use topics::{Differing, LookError, TopicState, Unwritable, View, Watch};
use verdict::Verdict;

/// How long the reports of what was called back may take.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// How often is looked whether producers that were replaced have nothing under way any more.
const RETIRING: Duration = Duration::from_millis(50);

/// What became of handing a record to librdkafka.
struct Sent {
    at: Instant,
    producer: Arc<Producer>,
    report: Result<DeliveryFuture, KafkaError>,
}

/// Why a record is not known to be in Kafka; and the record itself, where it may be taken when it is alone.
type Failed = (PublishError, Option<OwnedMessage>);

/// The producers, and what keeps an eye on the topics.
pub(crate) struct Publisher {
    clients: ArcSwap<Clients>,
    context: Context,
    watch: Watch,
    clock: Clock,
    /// When Kafka last acknowledged a record: milliseconds of `since`.
    last_ack: AtomicU64,
    since: Instant,
    replaced: Replaced,
    generation: Generation,
    latest: Arc<LatestTopics>,
    /// The line waits for a moment.
    gathers: Notify,
}

impl Publisher {
    /// Why a producer may be replaced.
    pub(crate) const REPLACED_FOR: [&str; 3] = Cause::LABELS;

    /// Makes the senders' producers; connects in the background.
    ///
    /// # Errors
    /// When librdkafka does not know a property of `kafka.properties`, or does not take its value.
    pub(crate) fn new(settings: &Settings, routes: &Routes) -> Result<Publisher, ConfigError> {
        let context = Context::apart();
        let clients = Clients::new(settings, &context)?;
        Ok(Publisher {
            watch: Watch::new(settings, routes, clients.config.clone(), context.clone()),
            clients: ArcSwap::from_pointee(clients),
            context,
            clock: Clock::default(),
            last_ack: AtomicU64::new(0),
            since: Instant::now(),
            replaced: Replaced::default(),
            generation: Generation::default(),
            latest: LatestTopics::new(routes.latest_times().keys().cloned().collect(), settings.kafka.latest_keys),
            gathers: Notify::new(),
        })
    }

    /// Producers as `settings` has them, once Kafka has shown them all topics. While Kafka cannot be used by those in force
    /// either, there is nothing to be seen, and they may be what mends it.
    ///
    /// # Errors
    /// When librdkafka does not take a property, or Kafka these producers.
    pub(crate) async fn prepare(&self, settings: &Settings) -> Result<Clients, PrepareError> {
        // Why these do not work has nothing to do with those.
        let context = Context { reason: Arc::default(), ..self.context.clone() };
        let clients = Clients::new(settings, &context)?;
        if self.trouble().is_some() {
            return Ok(clients);
        }
        let producer = clients.first(&context)?;
        let seen = self.watch.try_out(&producer, &clients.reason).await;
        drop(producer);
        match seen {
            Ok(()) => Ok(clients),
            Err(error) => {
                end(clients).await;
                Err(PrepareError::Kafka(error))
            }
        }
    }

    /// Lets `clients` take over. Those before finish what they have under way, if Kafka takes it, and end.
    pub(crate) async fn replace(&self, clients: Clients) {
        self.watch.take_over(clients.config.clone(), Arc::clone(&clients.reason));
        let before = self.generation.next(|| self.clients.swap(Arc::new(clients)));
        self.context.failing.notify_one();
        // Whoever has a record under way holds them. What would time out late is called back: at once, if Kafka is away.
        let patient = if self.watch.is_away() { Duration::ZERO } else { before.for_senders[0].message_timeout };
        let (patient, latest) = (Instant::now() + patient, Instant::now() + patient + LAST_REPORTS);
        while Arc::strong_count(&before) > 1 && Instant::now() < latest {
            if Instant::now() >= patient {
                before.slots().for_each(ProducerSlot::purge_all);
            }
            sleep(RETIRING).await;
        }
        end(before).await;
    }

    /// What the producers last said of themselves.
    pub(crate) fn statistics(&self) -> Summary {
        self.context.told.summary()
    }

    /// How many producers were replaced since they did not work, by reason.
    pub(crate) fn replaced(&self) -> impl IntoIterator<Item = (&'static str, u64)> + use<> {
        self.replaced.counts()
    }

    /// Why Kafka cannot take events, or not those of one producer; `None` when it can.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        self.watch.trouble().or_else(|| self.clients.load().slots().find_map(ProducerSlot::trouble))
    }

    /// Why some states cannot be written yet, though Kafka takes events.
    pub(crate) fn unknown_states(&self) -> Option<String> {
        self.latest.held().map(|topic| format!("the newest states of {topic} are not known yet"))
    }

    /// Whether the topics are there.
    #[must_use]
    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What is known of the latest topics.
    pub(crate) fn latest(&self) -> &Arc<LatestTopics> {
        &self.latest
    }

    /// The time that records get.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.since).as_millis() as u64
    }

    /// Looks after the topics and the producers until the task is dropped.
    pub(crate) async fn keep_watch(self: Arc<Self>) {
        let watch = self.watch.keep(|| self.producer());
        tokio::join!(watch, supervisor::keep(&self), supervisor::keep_scale(&self), self.keep_gathering());
    }

    /// One look at Kafka: reachable, topics there (made if `create`).
    ///
    /// # Errors
    /// Kafka's own words when it cannot be reached.
    pub(crate) async fn look(&self, create: bool) -> Result<View, LookError> {
        let producer = self.producer()?;
        self.watch.look(&producer, create, topics::LOOK_TIMEOUT).await
    }

    /// What is not as it should be in the configuration of topics that it matters for, of those that are there.
    ///
    /// # Errors
    /// Kafka's own words when it does not tell.
    pub(crate) async fn differing_configs(&self, view: &View) -> Result<Vec<Differing>, AskError> {
        self.watch.differing_configs(view).await
    }

    /// The topics that may lose an acknowledged record with one disk, of those that are there.
    ///
    /// # Errors
    /// Kafka's own words when it does not tell.
    pub(crate) async fn one_replica(&self, view: &View) -> Result<Option<OneReplica>, AskError> {
        self.watch.one_replica(view).await
    }

    /// The first look at Kafka, and the missing topics made, so that the first events find them. That Kafka cannot be
    /// reached is no reason not to start.
    pub(crate) async fn start(&self) {
        if let Ok(producer) = self.producer() {
            self.watch.start(&producer).await;
        }
    }

    /// The partition that a record with this key goes through.
    pub(crate) fn gate(&self, topic: &Arc<str>, key: &str) -> Gate {
        Gate::Partition(Arc::clone(topic), self.watch.partition(topic, partition::hash(key.as_bytes())))
    }

    /// Changes whenever a producer does.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.now()
    }

    /// Hands `record` to librdkafka, unless there is no producer.
    fn send<K: ToBytes + ?Sized>(&self, slot: &ProducerSlot, record: FutureRecord<'_, K, [u8]>) -> Option<Sent> {
        let at = Instant::now();
        let producer = slot.get(&self.context).inspect_err(|error| {
            // It could be made at start.
            tracing::error!(%error, "cannot create a new Kafka producer");
        });
        let producer = producer.ok()?;
        let report = producer.send_result(record).map_err(|(error, _)| error);
        Some(Sent { at, producer, report })
    }

    /// Waits for the verdict on what was sent to `place`; gives its partition and offset, or the record back, if librdkafka had it.
    async fn settle(
        &self,
        slot: &ProducerSlot,
        place: &TopicPartition,
        sent: Option<Sent>,
    ) -> Result<(i32, i64), Failed> {
        let topic = &place.0;
        let waits = |error| PublishError::Waits { topic: Arc::clone(topic), error };
        let Some(Sent { at, producer, report }) = sent else { return Err((waits(KafkaError::Canceled), None)) };
        let (error, record) = match report {
            Ok(report) => match report::of(slot, &producer, place, at, report).await {
                DeliveryReport::Acknowledged(partition, offset) => {
                    self.last_ack.store(self.millis(Instant::now()), Ordering::Relaxed);
                    self.watch.mark_reachable();
                    slot.note_acknowledged(topic, partition, at.elapsed());
                    return Ok((partition, offset));
                }
                DeliveryReport::Inferred => return Err((PublishError::Unconfirmed { topic: Arc::clone(topic) }, None)),
                DeliveryReport::Failed(error, record) => (error, record),
                DeliveryReport::Missing => return Err((PublishError::Unreported { topic: Arc::clone(topic) }, None)),
            },
            Err(error) => (error, None),
        };
        self.context.failing.notify_one();
        let timed_out = error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut);
        if timed_out && self.last_ack.load(Ordering::Relaxed) <= self.millis(at) {
            self.watch.mark_silent();
        }
        let verdict = verdict::of(&error);
        let broken = producer.client().fatal_error().map(|(code, _)| code);
        if verdict == Verdict::Fatal || broken.is_some() {
            let discarded = slot.has(&producer) && self.generation.next(|| slot.discard(&producer));
            // A producer of the spool stops at each batch that Kafka refuses.
            if discarded && broken != Some(RDKafkaErrorCode::GaplessGuarantee) {
                self.replaced.count(Cause::Fatal);
                tracing::error!(
                    producer = slot.name(),
                    "a Kafka producer failed with a fatal error; a new one takes over"
                );
            }
        } else if verdict == Verdict::Wait {
            slot.note_failed();
        }
        // The record is of use only to one who may send it alone.
        let record = record.filter(|_| verdict.is_about_a_record());
        let error = match verdict {
            Verdict::TooLarge => PublishError::TooLarge { topic: Arc::clone(topic), error },
            Verdict::Rejected => PublishError::Rejected { topic: Arc::clone(topic), error },
            Verdict::Wait | Verdict::Neighbour | Verdict::Fatal => waits(error),
        };
        Err((error, record))
    }

    /// Calls back everything that is not acknowledged yet; each record's sender gets it back.
    pub(crate) fn call_back_all(&self) {
        self.send_all_waiting(&self.clients.load());
        self.generation.next(|| self.clients.load().slots().for_each(ProducerSlot::purge_all));
    }

    /// Waits until everything sent is acknowledged or given up; says how many records are left.
    pub(crate) async fn flush(&self, timeout: Duration) -> i32 {
        let clients = self.clients.load_full();
        self.send_all_waiting(&clients);
        join_all(clients.slots().map(|slot| slot.flush(timeout))).await.into_iter().sum()
    }

    fn producer(&self) -> Result<Arc<Producer>, ConfigError> {
        self.clients.load().first(&self.context)
    }
}

/// Ends producers where they may be waited for: they end with their threads.
async fn end(clients: impl Send + 'static) {
    let _ = tokio::task::spawn_blocking(|| drop(clients)).await;
}
