//! Sees to it that there are as many producers as senders need, and that every one works: one that does not is replaced when a new client of the same configuration gets
//! further, whatever librdkafka thinks of its brokers.
//!
//! ```text
//!            ┌────────── asked every few seconds ──────────┐
//! producer ──┤                                             ├─ works
//!            └─ fails, or its records are not acknowledged ─▶ a new client tries ─┬─ fails too: it is Kafka, wait
//!                                                                                └─ gets through ─▶ replace the producer
//! ```
//!
//! librdkafka has been seen to drop all its brokers for good when a broker whose controller was fenced answered a request for
//! metadata with none (confluentinc/librdkafka#5301). So a producer under suspicion is asked only once a new client has seen
//! brokers: asking it earlier could bring about what it is asked for. And a producer may see its brokers and still send
//! nothing: then its records tell ([`super::evidence`]), against a new client that reaches the leader of their partition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::config::ClientConfig;
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::producer::Producer as _;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::evidence::TopicPartition;
use super::producer::{Context, Producer, create};
use super::scale;
use super::slot::{MetadataAnswer, ProducerSlot};
use super::{Clients, LookError, Publisher};
use crate::config::ConfigError;
use crate::ordering::ANY_PARTITION;

/// Between two looks at what is known of the producers.
const TICK: Duration = Duration::from_secs(1);
/// How long a new client may take to see the brokers, or the leader of a partition.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// A broker that comes back may show itself first, then nothing until its controller has taken it in again. So brokers are to be
/// seen for this long before producers are asked.
const SETTLED: Duration = Duration::from_secs(2);
/// A client is no longer a new one after this time.
const NEW: Duration = Duration::from_secs(20);
/// So many replicas in sync are enough, as a rule.
const ENOUGH: usize = 2;
/// Leaders that are tried at once.
const LEADERS: usize = 16;

/// Why a producer was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// librdkafka declared it broken.
    Fatal,
    /// It reached no broker, and a new client did.
    Unreachable,
    /// Its records were not acknowledged, and a new client reached their leader.
    Stalled,
}

impl Cause {
    /// By the number of the cause.
    pub(super) const LABELS: [&str; 3] = ["fatal", "unreachable", "stalled"];
}

/// How many producers were replaced, by cause.
#[derive(Debug, Default)]
pub(super) struct Replaced([AtomicU64; 3]);

impl Replaced {
    pub(super) fn count(&self, cause: Cause) {
        self.0[cause as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> [(&'static str, u64); 3] {
        let count = |at: usize| (Cause::LABELS[at], self.0[at].load(Ordering::Relaxed));
        [count(0), count(1), count(2)]
    }
}

/// Looks after the producers until the task is dropped.
pub(super) async fn keep(publisher: &Publisher) {
    let mut probe = Probe::default();
    loop {
        sleep(TICK).await;
        let clients = publisher.clients.load_full();
        look(publisher, &clients, &mut probe).await;
    }
}

/// Sees to it that there are as many producers as senders need, until the task is dropped.
pub(super) async fn keep_scale(publisher: &Publisher) {
    loop {
        sleep(scale::TICK).await;
        rescale(publisher, &publisher.clients.load_full());
    }
}

/// Makes producers that the senders need, and ends those that they need no more.
fn rescale(publisher: &Publisher, clients: &Clients) {
    match clients.rescale(&publisher.context) {
        Ok(idle) => {
            for slot in idle {
                // Nothing is handed to it meanwhile.
                publisher.generation.next(|| slot.idle().is_some_and(|producer| slot.discard(&producer)));
            }
        }
        // One could be made at start.
        Err(error) => tracing::error!(%error, "cannot create a further Kafka producer"),
    }
}

async fn look(publisher: &Publisher, clients: &Clients, probe: &mut Probe) {
    let (now, away) = (Instant::now(), publisher.watch.is_away());
    let due: Vec<_> = clients.slots().filter(|slot| slot.current().is_some()).collect();
    let due: Vec<_> = due.into_iter().filter(|slot| away || slot.is_due(now)).collect();
    if due.is_empty() {
        probe.end();
        return;
    }
    let topic = publisher.watch.a_topic();
    if away || due.iter().any(|slot| slot.is_suspect()) {
        match probe.sees_brokers(&clients.config, &topic).await {
            Ok(since) if since.elapsed() >= SETTLED => {
                let answers = ask(&due, &topic).await;
                judge(publisher, answers, probe).await;
            }
            Ok(_) => {}
            Err(error) => {
                // It is Kafka. What the watch sees says so as well, as a rule.
                for slot in due.iter().filter(|slot| slot.trouble().is_some() || !slot.places().is_empty()) {
                    slot.set_trouble(format!("{} cannot reach Kafka, nor can a new client: {error}", slot.name()));
                }
            }
        }
        return;
    }
    for (slot, _, answer) in ask(&due, &topic).await {
        match answer {
            MetadataAnswer::Fails(words) => slot.set_trouble(no_broker(slot, &words)),
            // Its records will tell.
            MetadataAnswer::Works | MetadataAnswer::Busy => slot.mark_well(),
        }
    }
}

/// What each producer says, asked side by side.
async fn ask<'a>(
    slots: &[&'a ProducerSlot],
    topic: &Arc<str>,
) -> Vec<(&'a ProducerSlot, Arc<Producer>, MetadataAnswer)> {
    let answers = join_all(slots.iter().map(|slot| slot.ask(Arc::clone(topic)))).await;
    let answers = slots.iter().zip(answers);
    answers.filter_map(|(slot, answer)| answer.map(|(producer, answer)| (*slot, producer, answer))).collect()
}

fn no_broker(slot: &ProducerSlot, words: &str) -> String {
    format!("{} cannot reach any broker: {words}", slot.name())
}

/// Decides what becomes of producers that were asked once a new client had seen brokers.
async fn judge(publisher: &Publisher, answers: Vec<(&ProducerSlot, Arc<Producer>, MetadataAnswer)>, probe: &mut Probe) {
    let mut others = Vec::new();
    for (slot, producer, answer) in answers {
        match answer {
            MetadataAnswer::Fails(words) => {
                replace(publisher, slot, &producer, Cause::Unreachable, &no_broker(slot, &words));
            }
            MetadataAnswer::Works | MetadataAnswer::Busy => others.push((slot, producer)),
        }
    }
    let places: BTreeSet<_> = others.iter().flat_map(|(slot, _)| slot.places()).collect();
    probe.try_leaders(places.into_iter().take(LEADERS).collect()).await;
    for (slot, producer) in others {
        let Some((place, time)) = slot.worst(|place| probe.reachable_since(place)) else {
            slot.mark_well();
            continue;
        };
        if time >= slot.patience() {
            replace(publisher, slot, &producer, Cause::Stalled, &no_acknowledgement(slot, &place, time));
        } else if time >= slot.patience() / 2 {
            slot.set_trouble(no_acknowledgement(slot, &place, time));
        }
    }
}

fn no_acknowledgement(slot: &ProducerSlot, (topic, partition): &TopicPartition, time: Duration) -> String {
    let partition = if *partition == ANY_PARTITION { String::new() } else { format!(", partition {partition}") };
    let (name, seconds) = (slot.name(), time.as_secs());
    format!("{name} got no acknowledgement for {seconds} s from {topic}{partition}, whose leader can be reached")
}

/// Replaces a producer, unless another was replaced in its place just now.
fn replace(publisher: &Publisher, slot: &ProducerSlot, producer: &Arc<Producer>, cause: Cause, words: &str) {
    slot.set_trouble(words.to_owned());
    if !slot.may_be_replaced() {
        return;
    }
    match publisher.generation.next(|| slot.replace(producer, &publisher.context)) {
        Ok(true) => {
            publisher.replaced.count(cause);
            tracing::warn!(
                reason = words,
                "replaced a Kafka producer that had stopped working although Kafka is reachable"
            );
            // Whether Kafka is ready may have been asked by that producer.
            publisher.context.failing.notify_one();
        }
        Ok(false) => {}
        // It could be made at start.
        Err(error) => {
            tracing::error!(%error, reason = words, "a Kafka producer has stopped working, and a new one cannot be created");
        }
    }
}

/// A new client, while one is needed.
#[derive(Default)]
struct Probe {
    client: Option<(Arc<Producer>, Instant)>,
    /// Since when brokers were seen each time.
    seen_since: Option<Instant>,
    /// Leaders that were reached each time they were tried, and since when.
    reachable: BTreeMap<TopicPartition, Instant>,
}

impl Probe {
    /// Since when a new client has seen brokers; or why it sees none.
    async fn sees_brokers(&mut self, config: &ClientConfig, topic: &Arc<str>) -> Result<Instant, LookError> {
        if self.client.as_ref().is_some_and(|(_, made)| made.elapsed() > NEW) {
            self.end_client();
        }
        let client = match &self.client {
            Some((client, _)) => Arc::clone(client),
            None => {
                let client = Arc::new(probe_client(config)?);
                self.client = Some((Arc::clone(&client), Instant::now()));
                client
            }
        };
        let topic = Arc::clone(topic);
        let found = spawn_blocking(move || match client.client().fetch_metadata(Some(&topic), PROBE_TIMEOUT) {
            Ok(metadata) if metadata.brokers().is_empty() => Err(LookError::NoBrokers),
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        });
        let found = found.await.unwrap_or_else(|error| Err(error.into()));
        if found.is_err() {
            self.end();
        }
        found?;
        Ok(*self.seen_since.get_or_insert_with(Instant::now))
    }

    /// Finds out whether records could be written to these partitions, or to any of a topic of which no partition is known.
    async fn try_leaders(&mut self, places: Vec<TopicPartition>) {
        let Some((client, _)) = &self.client else { return };
        let tries = places.into_iter().map(async |place| {
            let (client, tried) = (Arc::clone(client), place.clone());
            let reached = spawn_blocking(move || reaches_leader(&client, &tried)).await;
            (place, reached.unwrap_or(false))
        });
        for (place, reached) in join_all(tries).await {
            if reached {
                self.reachable.entry(place).or_insert_with(Instant::now);
            } else {
                self.reachable.remove(&place);
            }
        }
    }

    fn reachable_since(&self, place: &TopicPartition) -> Option<Instant> {
        self.reachable.get(place).copied()
    }

    fn end(&mut self) {
        self.end_client();
        self.seen_since = None;
        self.reachable.clear();
    }

    /// Ends it where that may be waited for.
    fn end_client(&mut self) {
        if let Some(client) = self.client.take() {
            spawn_blocking(move || drop(client));
        }
    }
}

/// Whether the leader answers. With one replica in sync of several it may have to refuse records, which is not the producer's
/// fault.
fn reaches_leader(client: &Producer, (topic, partition): &TopicPartition) -> bool {
    let client = client.client();
    let Ok(metadata) = client.fetch_metadata(Some(topic), PROBE_TIMEOUT) else { return false };
    let partitions = metadata.topics().first().map(MetadataTopic::partitions).unwrap_or_default();
    let mut found = partitions.iter().filter(|found| *partition == ANY_PARTITION || found.id() == *partition);
    let writable = |found: &&MetadataPartition| {
        let (replicas, in_sync) = (found.replicas().len(), found.isr().len());
        found.leader() >= 0 && (in_sync >= ENOUGH || in_sync == replicas)
    };
    let Some(found) = found.find(writable) else { return false };
    client.fetch_watermarks(topic, found.id(), PROBE_TIMEOUT).is_ok()
}

/// A client that connects as the producers do, and is heard of by nobody.
fn probe_client(config: &ClientConfig) -> Result<Producer, ConfigError> {
    let mut config = config.clone();
    // Neither is a question of whether it can connect.
    config.set("enable.idempotence", "false").set("statistics.interval.ms", "0");
    create(&config, &Context::apart())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_counted_by_cause() {
        let replaced = Replaced::default();
        replaced.count(Cause::Stalled);
        replaced.count(Cause::Stalled);
        replaced.count(Cause::Fatal);
        assert_eq!(replaced.counts(), [("fatal", 1), ("unreachable", 0), ("stalled", 2)]);
    }
}
