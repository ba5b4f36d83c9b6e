//! Follows the latest topics: reads what others wrote there, so that [`LatestTopics`] knows the newest state of each key.
//!
//! ```text
//! start ─▶ read from what was saved to the end ─▶ open ─┬▶ every second: read what others wrote up to a second ago
//!              └─ stalls, or takes too long (hold) ─▶ open ─┘  newest overtaken? written once more ─▶ save
//! ```
//!
//! What we wrote ourselves is known by its acknowledgement, so an instance that is alone reads nothing: it asks for the ends of
//! the partitions, one request to each broker.

mod cluster;
mod hold;
mod reader;
mod times;
mod version;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use crate::kafka::latest::store::LatestStore;
use crate::kafka::latest::{LatestTopics, Overtaken};
use crate::kafka::publish::{Landed, Patience, Publisher};
use crate::kafka::registry::SchemaReader;
use crate::kafka::route::{Record, Routes};
use hold::Hold;
pub(crate) use reader::FollowError;
use reader::{FoundState, TopicReader, Wanted};
use times::Times;

/// How long between two looks at the ends.
const BETWEEN: Duration = Duration::from_secs(1);
/// The same while topics have not been read.
const AT_START: Duration = Duration::from_millis(100);
/// After how many failures in a row that is said.
const FAILURES: u32 = 3;
/// How long a partition may give nothing of what it has, and a state take to be written once more. Then the others have their turn.
const STALLED: Duration = Duration::from_secs(5);
/// How many states are written once more between two looks.
const AT_ONCE: usize = 500;
/// How often is said how far reading is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Follows the latest topics.
pub(crate) struct Follower {
    latest: Arc<LatestTopics>,
    publisher: Arc<Publisher>,
    times: Times,
    store: Option<LatestStore>,
    /// What could not be saved is missing in the file.
    save_all: bool,
    reader: Option<TopicReader>,
    /// Whether this run follows a cluster that has no id.
    is_nameless: bool,
    /// The ends that the last look found. What is before them is acknowledged by now, or not ours.
    ends: BTreeMap<(Arc<str>, i32), i64>,
    /// Topics that ended before what is known of them, at the last look.
    behind: BTreeSet<Arc<str>>,
    /// While topics are read that are not open.
    holding: Option<Hold>,
    /// Told how many records of a topic were read, and how many there are at the most.
    on_progress: Box<dyn Fn(u64, u64) + Send + Sync>,
    /// How often in a row reading failed.
    failures: u32,
}

/// How a look ended.
enum Round {
    /// All is read that was to be read.
    Read,
    /// Kafka does not answer.
    Away,
}

/// How far a reading is.
struct ReadingProgress {
    records: u64,
    of: u64,
    said: Instant,
}

impl Follower {
    /// Of the topics of `publisher`. What `store` has is to be loaded already.
    pub(crate) fn new(
        publisher: &Arc<Publisher>,
        routes: &Routes,
        registry: SchemaReader,
        store: Option<LatestStore>,
    ) -> Follower {
        Follower {
            latest: Arc::clone(publisher.latest()),
            publisher: Arc::clone(publisher),
            times: Times::new(routes, registry),
            store,
            save_all: false,
            reader: None,
            is_nameless: false,
            ends: BTreeMap::new(),
            behind: BTreeSet::new(),
            holding: None,
            on_progress: Box::new(|_, _| ()),
            failures: 0,
        }
    }

    /// Follows them until the task is dropped.
    pub(crate) async fn keep(mut self) {
        loop {
            // Only what was read is known to be overtaken still.
            match self.round().await {
                Ok(Round::Read) => {
                    self.failures = 0;
                    self.rewrite().await;
                }
                Ok(Round::Away) => {}
                Err(error) => {
                    self.fail(&error).await;
                    if error.is_forbidden() {
                        self.rewrite().await;
                    }
                }
            }
            self.save().await;
            // Events wait for the first reading.
            sleep(if self.latest.held().is_some() { AT_START } else { BETWEEN }).await;
        }
    }

    /// Reads all topics up to their present ends, once; tells how far it is in each.
    ///
    /// # Errors
    /// When Kafka does not let us.
    pub(crate) async fn read_once(
        &mut self,
        on_progress: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<(), FollowError> {
        self.on_progress = Box::new(on_progress);
        // Kafka itself is asked which topics are there.
        self.latest.hold();
        match self.round().await? {
            Round::Read if self.latest.held().is_none() => Ok(()),
            Round::Read | Round::Away => Err(FollowError::NotConnected),
        }
    }

    /// Says why reading failed, once, and begins anew with another client.
    async fn fail(&mut self, error: &FollowError) {
        // A topic that was just made may not be known everywhere yet, and that Kafka is away is said by the watch.
        self.failures = if self.publisher.watch().is_away() { 0 } else { self.failures.saturating_add(1) };
        if self.failures == FAILURES {
            let remedy = if error.is_forbidden() { ". This principal needs READ on them" } else { "" };
            tracing::warn!(
                %error,
                "cannot read all latest topics: what other instances write there is not seen, and states may go backwards until it is{remedy}"
            );
        }
        if error.is_forbidden() {
            // The other topics are read by the same client.
            self.open_late();
            return;
        }
        // What was written since the last look may have been read by nobody: the next one reads to the present ends.
        self.ends.clear();
        if let Some(reader) = self.reader.take() {
            // It ends with its threads.
            let _ = spawn_blocking(|| drop(reader)).await;
        }
        self.open_late();
    }

    /// Reads what is not known, up to the ends of the last look; at first up to those of this one. A topic that cannot be read keeps
    /// no other from it.
    async fn round(&mut self) -> Result<Round, FollowError> {
        if self.publisher.watch().is_away() {
            return Ok(Round::Away);
        }
        if self.reader.is_none() {
            let reader = TopicReader::new(self.publisher.watch().client_config())?;
            self.check_cluster(&reader).await?;
            self.reader = Some(reader);
        }
        let there = self.there().await?;
        if there.is_empty() {
            return Ok(Round::Read);
        }
        let before: Vec<Vec<i64>> = there.iter().map(|(topic, count)| self.next(topic, *count)).collect();
        let Some(reader) = &self.reader else { return Err(FollowError::NotConnected) };
        let ends = reader.ends(&there).await?;
        let mut failed = None;
        for (((topic, _), ends), before) in there.iter().zip(&ends).zip(&before) {
            match self.read_on(topic, ends, before).await {
                Ok(()) if self.latest.open(topic) => {
                    tracing::debug!(topic = &**topic, "the newest states of a latest topic are known");
                }
                Ok(()) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(Round::Read), Err)
    }

    /// The topics that are there, with how many partitions each has. One that is missing has no states.
    async fn there(&mut self) -> Result<Vec<(Arc<str>, u32)>, FollowError> {
        let watch = self.publisher.watch();
        let seen = |topic: &Arc<str>| Some((Arc::clone(topic), watch.partition_count(topic)?));
        let there: Vec<_> = self.latest.topics().iter().filter_map(seen).collect();
        let (true, Some(reader)) = (self.latest.held().is_some(), &self.reader) else { return Ok(there) };
        if there.len() == self.latest.topics().len() {
            return Ok(there);
        }
        // Who makes the missing ones may take a while.
        let there = reader.counts(self.latest.topics()).await?;
        for topic in self.latest.topics() {
            if !there.iter().any(|(found, _)| found == topic) {
                self.latest.open(topic);
            }
        }
        Ok(there)
    }

    fn next(&self, topic: &str, count: u32) -> Vec<i64> {
        (0..i32::try_from(count).unwrap_or(i32::MAX)).map(|partition| self.latest.next(topic, partition)).collect()
    }

    /// Reads what is not known of one topic; `before` says what was known of its partitions before the look at their `ends`.
    async fn read_on(&mut self, topic: &Arc<str>, ends: &[Option<i64>], before: &[i64]) -> Result<(), FollowError> {
        let first = !self.latest.is_open(topic);
        self.compare(topic, ends.iter().zip(before).any(|(end, before)| end.is_some_and(|end| end < *before)), first);
        let mut wanted = Wanted::new();
        for (partition, &end) in (0..).zip(ends) {
            let Some(end) = end else {
                // Nobody leads it, so nobody writes to it. When it is back, it is read to its end then.
                self.ends.remove(&(Arc::clone(topic), partition));
                continue;
            };
            // What was written within the last second may be ours, and its acknowledgement on its way.
            let last = self.ends.insert((Arc::clone(topic), partition), end);
            let target = if first { end } else { last.unwrap_or(end).min(end) };
            wanted.extend(self.latest.missing(topic, partition, target).map(|offsets| (partition, offsets)));
        }
        self.read(topic, wanted).await
    }

    /// An end before what was known: this is another topic of the same name. But a new leader may be behind for a moment.
    fn compare(&mut self, topic: &Arc<str>, is_behind: bool, first: bool) {
        if !is_behind {
            self.behind.remove(topic);
        } else if first || !self.behind.insert(Arc::clone(topic)) {
            tracing::warn!(topic = &**topic, "the topic was made anew: its states are read from the beginning");
            self.behind.remove(topic);
            self.latest.clear(topic);
        }
    }

    async fn read(&mut self, topic: &Arc<str>, wanted: Wanted) -> Result<(), FollowError> {
        let Some(reader) = self.reader.take() else { return Ok(()) };
        let read = if wanted.is_empty() { Ok(()) } else { self.read_all(&reader, topic, wanted).await };
        self.reader = Some(reader);
        read
    }

    async fn read_all(&mut self, reader: &TopicReader, topic: &Arc<str>, wanted: Wanted) -> Result<(), FollowError> {
        let of = wanted.values().map(|offsets| (offsets.end - offsets.start).unsigned_abs()).sum();
        let mut progress = ReadingProgress { records: 0, of, said: Instant::now() };
        let (all, mut left) = (wanted.clone(), wanted);
        reader.begin(topic, &left).await?;
        let mut moved = Instant::now();
        while !left.is_empty() {
            let before = left.len();
            let (found, rest) = reader.next(topic, left).await?;
            left = rest;
            if !found.is_empty() || left.len() < before {
                moved = Instant::now();
            } else if moved.elapsed() > STALLED {
                reader.stop().await?;
                return Err(FollowError::Stalled);
            }
            if let Some(hold) = self.holding.as_mut().filter(|_| !found.is_empty()) {
                hold.goes_on(Instant::now());
            }
            progress.records += found.len() as u64;
            for state in found {
                self.note(topic, &state).await?;
            }
            for (&partition, offsets) in all.iter().filter(|(partition, _)| !left.contains_key(partition)) {
                self.latest.read_up_to(topic, partition, offsets.end);
            }
            self.tell(topic, &mut progress);
            self.open_late();
        }
        reader.stop().await
    }

    fn tell(&self, topic: &str, progress: &mut ReadingProgress) {
        (self.on_progress)(progress.records, progress.of);
        if progress.said.elapsed() < PROGRESS {
            return;
        }
        progress.said = Instant::now();
        let ReadingProgress { records, of, .. } = progress;
        tracing::info!(topic, records, of, "reading the newest states of a latest topic");
    }

    /// Lets states be written of topics that take too long to be read.
    fn open_late(&mut self) {
        let held = self.latest.topics().iter().any(|topic| !self.latest.is_open(topic));
        if !held || self.publisher.watch().is_away() {
            self.holding = None;
            return;
        }
        let now = Instant::now();
        if !self.holding.get_or_insert_with(|| Hold::begin(now)).is_over(now) {
            return;
        }
        for topic in self.latest.topics() {
            if self.latest.open(topic) {
                tracing::warn!(
                    topic = &**topic,
                    "the newest states of a latest topic are not known yet, and are written all the same; \
                     where the topic goes backwards, the newest state is written again when it is known"
                );
            }
        }
    }

    async fn note(&mut self, topic: &Arc<str>, state: &FoundState) -> Result<(), FollowError> {
        let version = match &state.value {
            None => None,
            Some(value) => Some(self.times.version(topic, value, state.timestamp).await),
        };
        self.latest.note_read(topic, state.partition, state.offset, &state.key, version);
        Ok(())
    }

    /// Writes the newest states once more that have older ones behind them.
    async fn rewrite(&mut self) {
        let mut goes_on = true;
        for (at, overtaken) in self.latest.take_overtaken().into_iter().enumerate() {
            // Others write meanwhile, and are to be read.
            let written = if goes_on && at < AT_ONCE { self.write_again(&overtaken).await } else { Ok(false) };
            if let Err(error) = &written {
                tracing::debug!(topic = &*overtaken.topic, %error, "a newer state cannot be written again yet");
                goes_on = false;
            }
            if !written.is_ok_and(|written| written) {
                self.latest.put_back(&overtaken);
            }
        }
    }

    /// Says whether that was done, or cannot be.
    async fn write_again(&mut self, overtaken: &Overtaken) -> Result<bool, FollowError> {
        let (topic, place) = (&overtaken.topic, (overtaken.partition, overtaken.offset));
        if !self.ends.contains_key(&(Arc::clone(topic), overtaken.partition)) {
            // Nobody leads the partition.
            return Ok(false);
        }
        let found = self.fetch(topic, place).await?;
        let Some(FoundState { key, value: Some(value), headers, timestamp, .. }) = found else {
            tracing::error!(
                topic = &**topic,
                partition = place.0,
                offset = place.1,
                "a latest topic went backwards, and the newer state is gone"
            );
            self.latest.forget(overtaken);
            return Ok(true);
        };
        let version = Some(overtaken.version);
        let record = Record { topic: Arc::clone(topic), key, value: Some(value), headers, timestamp, version };
        let report = self.publisher.publish(record, Patience::Command).report;
        match timeout(STALLED, report).await.map_err(|_| FollowError::Unanswered)? {
            Ok(Landed::At(..)) => self.latest.count_rewritten(topic),
            Ok(Landed::Superseded) => {}
            Err(error) if error.refusal().is_some() => {
                tracing::warn!(topic = &**topic, %error, "a latest topic went backwards, and Kafka refuses the newer state");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// The record at this place.
    async fn fetch(
        &mut self,
        topic: &Arc<str>,
        (partition, offset): (i32, i64),
    ) -> Result<Option<FoundState>, FollowError> {
        let Some(reader) = self.reader.take() else { return Err(FollowError::NotConnected) };
        let fetched = fetch(&reader, topic, (partition, offset)).await;
        self.reader = Some(reader);
        fetched
    }

    /// Saves what is new.
    async fn save(&mut self) {
        let Some(mut store) = self.store.take() else { return };
        let all = self.save_all;
        let Some(unsaved) = self.latest.take_unsaved(all) else {
            self.store = Some(store);
            return;
        };
        let save = move || (store.save(&unsaved), store);
        let Ok((saved, store)) = spawn_blocking(save).await else { return };
        if let (Err(error), false) = (&saved, all) {
            tracing::warn!(
                file = %store.path().display(), %error,
                "cannot save what is known of the latest topics; it is tried again, and the next start reads what is missing"
            );
        }
        self.save_all = saved.is_err();
        self.store = Some(store);
    }
}

async fn fetch(
    reader: &TopicReader,
    topic: &Arc<str>,
    (partition, offset): (i32, i64),
) -> Result<Option<FoundState>, FollowError> {
    let mut wanted = Wanted::from([(partition, offset..offset + 1)]);
    reader.begin(topic, &wanted).await?;
    let (mut found, began) = (Vec::new(), Instant::now());
    while found.is_empty() && !wanted.is_empty() {
        if began.elapsed() > STALLED {
            reader.stop().await?;
            return Err(FollowError::Stalled);
        }
        (found, wanted) = reader.next(topic, wanted).await?;
    }
    reader.stop().await?;
    Ok(found.pop())
}
