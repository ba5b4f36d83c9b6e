//! The place of one producer: what is in it may be replaced at any time.
//!
//! ```text
//! empty ─first record─▶ producer ─┬─ fatally broken ─▶ empty
//!                                 └─ does not get through, and a new client does ─▶ another producer
//! ```
//!
//! **Why order holds when a producer is replaced.** What it has under way is purged, so each record gets librdkafka's own
//! verdict ("purged"), and only then is its delivery the spool's. Nothing is handed to it any more by then
//! ([`super::generation`]). From the moment in which that is so its lane is closed, and
//! whatever arrives later queues behind it. Before that moment the event has no answer, and events that are under way together
//! are promised no order. A purged record may still land, since its request may have been sent: then it is the first of two
//! equal ones, or the second, and it is the order of first occurrences that is promised.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer as _, PurgeConfig};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::evidence::{Evidence, TopicPartition};
use super::producer::{Context, Producer, create};
use crate::config::ConfigError;

/// How often is looked whether a producer that was replaced has nothing under way any more.
const RETIRING: Duration = Duration::from_millis(50);
/// A producer is asked so often, each time with more patience: librdkafka may sleep through the moment in which a connection
/// comes up, and then an answer takes as long as it may.
const ASKING: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// A producer that works is asked again after this time.
const WELL: Duration = Duration::from_secs(5);
/// Between two replacements of one producer: at first, doubled as long as they do not help, and at the most.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long records go unacknowledged, though their leader can be reached, before their producer is replaced.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);
const MOST_PATIENCE: Duration = Duration::from_secs(10);
/// A record that is not acknowledged by then takes long.
const LONG: Duration = Duration::from_secs(2);

/// A producer for one purpose, made when it is first needed and again when it does not work.
pub(super) struct ProducerSlot {
    /// For the log.
    name: String,
    config: ClientConfig,
    /// librdkafka's `message.timeout.ms`; or, where that has no end, what counts as long.
    pub(super) message_timeout: Duration,
    /// A record waits until it is acknowledged, refused or called back.
    pub(super) is_endless: bool,
    producer: ArcSwapOption<Producer>,
    /// Something went wrong since it was last asked.
    suspect: Arc<AtomicBool>,
    /// Whether there is any evidence; looked at for each record.
    slow: AtomicBool,
    evidence: Mutex<Evidence>,
    state: Mutex<SlotState>,
}

/// What is known of the producer.
#[derive(Debug)]
struct SlotState {
    /// When it is to be asked again.
    next: Instant,
    /// Why it cannot be used.
    trouble: Option<String>,
    /// It is not replaced before.
    not_before: Instant,
    pause: Duration,
}

/// What a producer says when it is asked for metadata.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MetadataAnswer {
    Works,
    /// It knows of no broker that it could ask, or gets no answer.
    Fails(String),
    /// It did not answer while records wait for their acknowledgements: the question may have to wait behind them.
    Busy,
}

impl ProducerSlot {
    /// A slot for producers with this configuration, but for properties of their `own`.
    pub(super) fn new(
        name: String,
        config: &ClientConfig,
        message_timeout: Duration,
        own: &[(&str, &str)],
    ) -> ProducerSlot {
        let mut config = config.clone();
        config.set("message.timeout.ms", message_timeout.as_millis().max(1).to_string());
        for &(key, value) in own {
            config.set(key, value);
        }
        let is_endless = config.get("message.timeout.ms") == Some("0");
        let now = Instant::now();
        ProducerSlot {
            name,
            config,
            message_timeout,
            is_endless,
            producer: ArcSwapOption::empty(),
            suspect: Arc::default(),
            slow: AtomicBool::new(false),
            evidence: Mutex::default(),
            state: Mutex::new(SlotState { next: now + WELL, trouble: None, not_before: now, pause: FIRST_PAUSE }),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The producer; connects in the background.
    ///
    /// # Errors
    /// When librdkafka does not know a property of `kafka.properties`, or does not take its value.
    pub(super) fn get(&self, context: &Context) -> Result<Arc<Producer>, ConfigError> {
        if let Some(producer) = self.producer.load_full() {
            return Ok(producer);
        }
        let made = Arc::new(self.create(context)?);
        // Another may have been quicker.
        let none: Option<Arc<Producer>> = None;
        let before = self.producer.compare_and_swap(&none, Some(Arc::clone(&made)));
        Ok(before.as_ref().map_or(made, Arc::clone))
    }

    fn create(&self, context: &Context) -> Result<Producer, ConfigError> {
        create(&self.config, &Context { suspect: Arc::clone(&self.suspect), ..context.clone() })
    }

    /// The producer, if there is one.
    pub(super) fn current(&self) -> Option<Arc<Producer>> {
        self.producer.load_full()
    }

    /// Whether this is the producer in use.
    pub(super) fn has(&self, producer: &Arc<Producer>) -> bool {
        self.producer.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, producer))
    }

    /// The producer, if it works and has nothing to do.
    pub(super) fn idle(&self) -> Option<Arc<Producer>> {
        let producer = self.current()?;
        (producer.in_flight_count() == 0 && !self.is_suspect()).then_some(producer)
    }

    /// Lets go of a producer that is fatally broken, or not needed; the next record makes a new one. Says whether it was still in use.
    pub(super) fn discard(&self, broken: &Arc<Producer>) -> bool {
        let before = self.producer.compare_and_swap(broken, None);
        let discarded = before.as_ref().is_some_and(|before| Arc::ptr_eq(before, broken));
        if discarded {
            self.begin_anew();
            tokio::spawn(retire(Arc::clone(broken)));
        }
        discarded
    }

    /// Puts a new producer in the place of one that does not work, which gives back what it has under way. Says whether it was
    /// still in use.
    ///
    /// # Errors
    /// When none can be made, though it could be at the start.
    pub(super) fn replace(&self, stuck: &Arc<Producer>, context: &Context) -> Result<bool, ConfigError> {
        let made = Arc::new(self.create(context)?);
        let before = self.producer.compare_and_swap(stuck, Some(Arc::clone(&made)));
        if !before.as_ref().is_some_and(|before| Arc::ptr_eq(before, stuck)) {
            tokio::spawn(retire(made));
            return Ok(false);
        }
        self.begin_anew();
        {
            let mut state = self.state();
            state.not_before = Instant::now() + state.pause;
            state.pause = (state.pause * 2).min(LONGEST_PAUSE);
        }
        tokio::spawn(retire(Arc::clone(stuck)));
        Ok(true)
    }

    /// Nothing is known yet of the producer that comes.
    fn begin_anew(&self) {
        *self.evidence() = Evidence::default();
        self.slow.store(false, Ordering::Relaxed);
    }

    /// Calls back what is not acknowledged yet; each record's sender gets it back.
    pub(super) fn purge_all(&self) {
        if let Some(producer) = &*self.producer.load() {
            purge(producer);
        }
    }

    /// How many records are not acknowledged yet, once `timeout` was given them for that.
    pub(super) async fn flush(&self, timeout: Duration) -> i32 {
        let Some(producer) = self.producer.load_full() else { return 0 };
        let flushed = spawn_blocking(move || {
            // What is left is told by the count, in the records' own reports, and by the answers they got.
            let _ = producer.flush(timeout);
            producer.in_flight_count()
        });
        flushed.await.unwrap_or(-1)
    }

    /// After how long a record takes long.
    pub(super) fn long(&self) -> Duration {
        LONG.min(self.message_timeout / 2)
    }

    /// How long records may go unacknowledged while their leader can be reached.
    pub(super) fn patience(&self) -> Duration {
        self.message_timeout.clamp(LEAST_PATIENCE, MOST_PATIENCE)
    }

    /// A record of `producer` takes long; what this gives is told what became of it, or dropped.
    pub(super) fn note_slow(&self, producer: &Arc<Producer>, place: TopicPartition, sent: Instant) -> Slow<'_> {
        let mut evidence = self.evidence();
        // One that was replaced is no concern any more.
        let noted = self.has(producer);
        if noted {
            evidence.note(&place, sent);
            self.slow.store(true, Ordering::Relaxed);
        }
        Slow { slot: self, place: noted.then_some(place) }
    }

    /// A record was acknowledged `after` that time.
    pub(super) fn note_acknowledged(&self, topic: &Arc<str>, partition: i32, after: Duration) {
        if self.slow.load(Ordering::Relaxed) {
            self.evidence().acknowledged(topic, partition);
            if after < self.patience() {
                self.state().pause = FIRST_PAUSE;
            }
        }
    }

    /// A record was not acknowledged.
    pub(super) fn note_failed(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// Why it cannot be used, if that is known.
    pub(super) fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// Says that it cannot be used.
    pub(super) fn set_trouble(&self, words: String) {
        self.state().trouble = Some(words);
    }

    /// Whether there is reason to doubt it.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed) || self.slow.load(Ordering::Relaxed) || self.state().trouble.is_some()
    }

    /// Whether it is to be asked now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.is_suspect() || self.state().next <= now
    }

    /// Whether it was not replaced just now.
    pub(super) fn may_be_replaced(&self) -> bool {
        self.state().not_before <= Instant::now()
    }

    /// Asks its producer, if it has one, for the metadata of `topic`.
    pub(super) async fn ask(&self, topic: Arc<str>) -> Option<(Arc<Producer>, MetadataAnswer)> {
        let producer = self.current()?;
        self.suspect.store(false, Ordering::Relaxed);
        if let Some((code, words)) = producer.client().fatal_error() {
            return Some((producer, MetadataAnswer::Fails(format!("{code}: {words}"))));
        }
        let client = Arc::clone(&producer);
        let answer = spawn_blocking(move || ask(&client, &topic)).await.unwrap_or(MetadataAnswer::Busy);
        Some((producer, answer))
    }

    /// It answered: it is asked again in a while.
    pub(super) fn mark_well(&self) {
        let slow = self.slow.load(Ordering::Relaxed);
        let mut state = self.state();
        state.next = Instant::now() + WELL;
        state.trouble = None;
        if !slow && state.not_before <= Instant::now() {
            state.pause = FIRST_PAUSE;
        }
    }

    /// What it got no acknowledgement for. An ended record's evidence that is too old is left out.
    pub(super) fn places(&self) -> Vec<TopicPartition> {
        let mut evidence = self.evidence();
        evidence.forget_old(Instant::now());
        self.slow.store(!evidence.is_empty(), Ordering::Relaxed);
        evidence.places().cloned().collect()
    }

    /// As [`Evidence::worst`].
    pub(super) fn worst(
        &self,
        reachable: impl Fn(&TopicPartition) -> Option<Instant>,
    ) -> Option<(TopicPartition, Duration)> {
        let evidence = self.evidence();
        evidence.worst(Instant::now(), reachable).map(|(place, time)| (place.clone(), time))
    }

    fn evidence(&self) -> MutexGuard<'_, Evidence> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record that takes long.
pub(super) struct Slow<'a> {
    slot: &'a ProducerSlot,
    place: Option<TopicPartition>,
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            self.slot.evidence().failed(place, Instant::now());
        }
    }
}

/// Asks `producer`; waits where that may be.
fn ask(producer: &Producer, topic: &str) -> MetadataAnswer {
    let mut answer = MetadataAnswer::Busy;
    for patience in ASKING {
        answer = match producer.client().fetch_metadata(Some(topic), patience) {
            Ok(metadata) if metadata.brokers().is_empty() => MetadataAnswer::Fails("it knows no broker".to_owned()),
            Ok(_) => return MetadataAnswer::Works,
            Err(error) if is_timeout(&error) && producer.in_flight_count() > 0 => MetadataAnswer::Busy,
            Err(error) => MetadataAnswer::Fails(error.to_string()),
        };
    }
    answer
}

fn is_timeout(error: &KafkaError) -> bool {
    let timeouts = [RDKafkaErrorCode::OperationTimedOut, RDKafkaErrorCode::RequestTimedOut];
    error.rdkafka_error_code().is_some_and(|code| timeouts.contains(&code))
}

/// Has a producer give back everything that is not acknowledged. Does not wait for that, since the thread of a broker that
/// librdkafka dropped may not answer for long.
pub(super) fn purge(producer: &Producer) {
    producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
}

/// Purges a producer that was replaced until nobody waits for it any more, and ends it where that may be waited for.
async fn retire(producer: Arc<Producer>) {
    loop {
        // Again and again: whoever had it in hand when it was replaced may have sent a record by it since.
        purge(&producer);
        if Arc::strong_count(&producer) == 1 {
            break;
        }
        sleep(RETIRING).await;
    }
    let _ = spawn_blocking(move || drop(producer)).await;
}

#[cfg(test)]
mod tests {
    use rdkafka::producer::FutureRecord;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_producer_that_is_replaced_gives_its_records_back_and_another_follows_only_later() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1");
        let (slot, context) =
            (ProducerSlot::new("a producer".to_owned(), &config, Duration::from_secs(60), &[]), Context::apart());
        let stuck = slot.get(&context).unwrap();
        let record = FutureRecord::<str, str>::to("wegly.deal").key("k").payload("v");
        let Ok(report) = stuck.send_result(record) else { panic!("librdkafka takes it") };
        assert!(slot.may_be_replaced());

        assert!(slot.replace(&stuck, &context).unwrap());
        let verdict = timeout(Duration::from_secs(10), report).await.expect("at once").expect("a verdict");
        let (error, _) = verdict.expect_err("it was not sent");
        assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::PurgeQueue));
        let next = slot.current().unwrap();
        assert!(!Arc::ptr_eq(&next, &stuck));
        assert!(!slot.replace(&stuck, &context).unwrap(), "it is replaced once");
        assert!(Arc::ptr_eq(&slot.current().unwrap(), &next) && !slot.may_be_replaced());
    }
}
