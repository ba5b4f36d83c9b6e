//! Latest topics never go backwards: which state of a key is the newest that is written, and whether another may be written.
//!
//! ```text
//! claim(topic, key, updated_at) ─┬─ a newer state is written ─▶ superseded: the record is left out
//!                                ├─ one that is under way decides ─▶ waits for its verdict
//!                                └─▶ a ticket ─▶ sent ─▶ acknowledged: this is the newest now
//! ```
//!
//! **The topic is the truth.** What is known of it are its states up to some offset of each partition: what we wrote ourselves, by its
//! acknowledgement, and what others wrote (`kafka/follow` reads it). Both are saved together from time to time (`store`), so after a
//! crash what came later is read again, and a lost file is made anew from the topic.
//!
//! **What we cannot know in time is mended.** Another instance, or a record that was given up and landed later, may write an older
//! state behind a newer one. It is seen when it is read, and the newer one is written once more.
//!
//! No I/O but in `store`. One lock, held for a look at a map.

mod coverage;
mod known;
mod settings;
pub(crate) mod store;
mod turns;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use coverage::Coverage;
use known::{Changes, KeyHash, KnownState, KnownStates, StatePlace, hash_of};
pub(crate) use settings::topic_configs;
use store::Saved;
pub(crate) use turns::{Channel, Waits};
use turns::{Claimed, KeyTurns, TurnAnswer};

/// What states of a key are ordered by: `updated_at`. A state without one is older than all with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StateVersion(i64);

impl StateVersion {
    const NONE: i64 = i64::MIN;

    /// Of a state that was last changed then, in milliseconds since 1970, if it says so.
    pub(crate) fn of(updated_at: Option<i64>) -> StateVersion {
        StateVersion(updated_at.map_or(Self::NONE, |at| at.max(Self::NONE + 1)))
    }
}

/// All latest topics.
pub(crate) struct LatestTopics {
    topics: Vec<Arc<str>>,
    /// Whether enough is known of each for states to be written.
    open: Vec<watch::Sender<bool>>,
    /// How many states of each were written once more.
    rewritten: Vec<AtomicU64>,
    ledger: Mutex<Ledger>,
}

struct Ledger {
    known: KnownStates,
    turns: HashMap<KeyHash, KeyTurns>,
    /// By topic and partition.
    coverage: Vec<BTreeMap<i32, Coverage>>,
    /// Keys whose newest states have older ones behind them.
    overtaken: HashSet<KeyHash>,
    last_id: u64,
}

impl Ledger {
    fn written(&self, hash: &KeyHash) -> Option<StateVersion> {
        self.known.get(hash).map(|known| known.version)
    }

    fn note(&mut self, hash: KeyHash, state: KnownState) {
        if self.known.note(hash, state) {
            self.overtaken.insert(hash);
        }
    }

    /// Does `work` with the turns of a key, which are kept only while there are any.
    fn with_turns<T>(&mut self, hash: KeyHash, work: impl FnOnce(&mut KeyTurns, Option<StateVersion>) -> T) -> T {
        let written = self.written(&hash);
        let turns = self.turns.entry(hash).or_default();
        let done = work(turns, written);
        if turns.is_empty() {
            self.turns.remove(&hash);
        }
        done
    }
}

/// What a claim came to.
pub(crate) enum Claim {
    /// A newer state is written.
    Superseded,
    /// It may be sent now.
    Now(Ticket),
    /// It has to wait.
    Later(Queued),
}

/// What became of a record with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteEnd {
    /// It is at this partition and offset.
    Written(i32, i64),
    /// Kafka will never take it, or somebody sends it once more.
    NotWritten,
    /// Kafka takes nothing now.
    NotNow,
}

impl LatestTopics {
    /// Knows nothing, and lets everything be written. `most` is how many keys it knows for certain; it holds twice as many at the most.
    pub(crate) fn new(mut topics: Vec<Arc<str>>, most: usize) -> Arc<LatestTopics> {
        topics.sort_unstable();
        topics.truncate(usize::from(u16::MAX));
        let ledger = Ledger {
            known: KnownStates::new(most),
            turns: HashMap::new(),
            coverage: topics.iter().map(|_| BTreeMap::new()).collect(),
            overtaken: HashSet::new(),
            last_id: 0,
        };
        let open = topics.iter().map(|_| watch::Sender::new(true)).collect();
        let rewritten = topics.iter().map(|_| AtomicU64::default()).collect();
        Arc::new(LatestTopics { topics, open, rewritten, ledger: Mutex::new(ledger) })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn number(&self, topic: &str) -> Option<u16> {
        let found = self.topics.binary_search_by(|name| (**name).cmp(topic)).ok()?;
        u16::try_from(found).ok()
    }

    /// All of them, in order.
    pub(crate) fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    /// Takes over what was saved; from here on changes are kept to be saved.
    pub(crate) fn load(&self, saved: Saved) {
        let mut ledger = self.ledger();
        let overtaken = saved.states.iter().filter(|(_, state, _)| state.is_overtaken()).map(|(hash, ..)| *hash);
        ledger.overtaken.extend(overtaken);
        ledger.known.load(saved.generation, saved.states.into_iter());
        for (topic, partition, next) in saved.next {
            ledger.coverage[usize::from(topic)].insert(partition, Coverage::from(next));
        }
    }

    /// Lets nothing be written until the topic is [open](LatestTopics::open).
    pub(crate) fn hold(&self) {
        self.open.iter().for_each(|open| _ = open.send_replace(false));
    }

    /// Lets states of this topic be written; says whether they were not before.
    pub(crate) fn open(&self, topic: &str) -> bool {
        self.number(topic).is_some_and(|number| !self.open[usize::from(number)].send_replace(true))
    }

    /// Whether states of this topic may be written.
    pub(crate) fn is_open(&self, topic: &str) -> bool {
        self.number(topic).is_none_or(|number| *self.open[usize::from(number)].borrow())
    }

    /// A topic of which no states may be written yet.
    pub(crate) fn held(&self) -> Option<&str> {
        self.topics.iter().zip(&self.open).find(|(_, open)| !*open.borrow()).map(|(topic, _)| &**topic)
    }

    /// Waits until states of this topic may be written.
    pub(crate) async fn opened(&self, topic: &str) {
        if let Some(number) = self.number(topic) {
            // The sender lives as long as this.
            let _ = self.open[usize::from(number)].subscribe().wait_for(|is_open| *is_open).await;
        }
    }

    /// A state of `key` is to be written to `topic`.
    pub(crate) fn claim(
        self: &Arc<Self>,
        topic: &str,
        key: &str,
        version: StateVersion,
        how: (Channel, Waits),
    ) -> Claim {
        let number = self.number(topic).unwrap_or_default();
        let ticket = Ticket { latest: Arc::clone(self), hash: hash_of(topic, key), topic: number, version, id: 0 };
        ticket.claim(how)
    }

    /// How many keys are known, and how many were dropped for want of room.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let ledger = self.ledger();
        (ledger.known.len(), ledger.known.dropped())
    }

    /// A state was written once more, since an older one came behind it.
    pub(crate) fn count_rewritten(&self, topic: &str) {
        if let Some(number) = self.number(topic) {
            self.rewritten[usize::from(number)].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many states of each topic were written once more.
    pub(crate) fn rewritten(&self) -> impl Iterator<Item = (&str, u64)> {
        self.topics.iter().zip(&self.rewritten).map(|(topic, count)| (&**topic, count.load(Ordering::Relaxed)))
    }
}

/// What who reads the topics needs.
impl LatestTopics {
    /// The first offset of a partition that is not known.
    pub(crate) fn next(&self, topic: &str, partition: i32) -> i64 {
        let Some(number) = self.number(topic) else { return 0 };
        self.ledger().coverage[usize::from(number)].get(&partition).map_or(0, Coverage::next)
    }

    /// Which offsets before `end` have to be read, if any.
    pub(crate) fn missing(&self, topic: &str, partition: i32, end: i64) -> Option<Range<i64>> {
        let number = self.number(topic)?;
        self.ledger().coverage[usize::from(number)].entry(partition).or_default().missing(end)
    }

    /// All before `end` was read.
    pub(crate) fn read_up_to(&self, topic: &str, partition: i32, end: i64) {
        if let Some(number) = self.number(topic) {
            self.ledger().coverage[usize::from(number)].entry(partition).or_default().read_up_to(end);
        }
    }

    /// A record of `key` was read; `None` is a tombstone.
    pub(crate) fn note_read(&self, topic: &str, partition: i32, offset: i64, key: &str, version: Option<StateVersion>) {
        let Some(number) = self.number(topic) else { return };
        let (hash, place) = (hash_of(topic, key), StatePlace { topic: number, partition, offset });
        let mut ledger = self.ledger();
        match version {
            Some(version) => ledger.note(hash, KnownState::of(version, place)),
            None => ledger.known.bury(&hash, place),
        }
        // Who waits for others of the key may have nothing to wait for any more.
        if ledger.turns.contains_key(&hash) {
            ledger.with_turns(hash, KeyTurns::advance);
        }
    }

    /// The topic was made anew: nothing is known of it.
    pub(crate) fn clear(&self, topic: &str) {
        if let Some(number) = self.number(topic) {
            let mut ledger = self.ledger();
            ledger.known.clear(number);
            ledger.coverage[usize::from(number)].clear();
        }
    }

    /// Where the newest states are that have older ones behind them, and what each is.
    pub(crate) fn take_overtaken(&self) -> Vec<Overtaken> {
        let mut ledger = self.ledger();
        let overtaken = std::mem::take(&mut ledger.overtaken);
        let still = overtaken.into_iter().filter_map(|hash| Some((hash, ledger.known.get(&hash)?)));
        let of = |(hash, state): (KeyHash, KnownState)| Overtaken {
            topic: Arc::clone(&self.topics[usize::from(state.place.topic)]),
            partition: state.place.partition,
            offset: state.place.offset,
            version: state.version,
            hash,
        };
        still.filter(|(_, state)| state.is_overtaken()).map(of).collect()
    }

    /// One that could not be written again yet.
    pub(crate) fn put_back(&self, overtaken: &Overtaken) {
        self.ledger().overtaken.insert(overtaken.hash);
    }

    /// One that is not in its topic any more: nothing is known of its key.
    pub(crate) fn forget(&self, overtaken: &Overtaken) {
        let Some(topic) = self.number(&overtaken.topic) else { return };
        let everything = StatePlace { topic, partition: overtaken.partition, offset: i64::MAX };
        self.ledger().known.bury(&overtaken.hash, everything);
    }

    /// What is to be saved; everything if `all`, since the file has nothing of it.
    pub(crate) fn take_unsaved(&self, all: bool) -> Option<Unsaved> {
        let mut ledger = self.ledger();
        let topics = u16::try_from(self.topics.len()).unwrap_or(u16::MAX);
        let changes = if all { ledger.known.take_all(topics) } else { ledger.known.take_changes() }?;
        let of = |(topic, partitions): (usize, &BTreeMap<i32, Coverage>)| {
            let topic = u16::try_from(topic).unwrap_or(u16::MAX);
            partitions.iter().map(move |(&partition, known)| (topic, partition, known.next())).collect::<Vec<_>>()
        };
        let next = ledger.coverage.iter().enumerate().flat_map(of).collect();
        Some(Unsaved { changes, next })
    }
}

/// The newest state of a key, which has an older one behind it.
#[derive(Debug)]
pub(crate) struct Overtaken {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) version: StateVersion,
    hash: KeyHash,
}

/// What is known and not saved yet.
pub(crate) struct Unsaved {
    changes: Changes,
    /// By topic and partition, the first offset that is not known.
    next: Vec<(u16, i32, i64)>,
}

/// The right to write a state. Dropped, it is taken for one that was not written.
pub(crate) struct Ticket {
    latest: Arc<LatestTopics>,
    hash: KeyHash,
    topic: u16,
    version: StateVersion,
    /// 0 is that of no claim.
    id: u64,
}

impl Ticket {
    fn claim(mut self, how: (Channel, Waits)) -> Claim {
        let latest = Arc::clone(&self.latest);
        let mut ledger = latest.ledger();
        ledger.last_id += 1;
        let id = ledger.last_id;
        let claimed = ledger.with_turns(self.hash, |turns, written| turns.claim(id, self.version, written, how));
        drop(ledger);
        match claimed {
            Claimed::Superseded => Claim::Superseded,
            Claimed::Now => {
                self.id = id;
                Claim::Now(self)
            }
            Claimed::Later(told) => {
                self.id = id;
                Claim::Later(Queued { ticket: self, told })
            }
        }
    }

    /// The record is with its channel: others may follow.
    pub(crate) fn hand(&self) {
        self.latest.ledger().with_turns(self.hash, |turns, written| turns.hand(self.id, written));
    }

    /// What became of the record.
    pub(crate) fn end(mut self, fate: WriteEnd) {
        self.finish(fate);
    }

    /// The record is to be sent once more, behind what was sent meanwhile.
    pub(crate) fn again(mut self, how: (Channel, Waits)) -> Claim {
        self.finish(WriteEnd::NotWritten);
        let Ticket { latest, hash, topic, version, .. } = &self;
        Ticket { latest: Arc::clone(latest), hash: *hash, topic: *topic, version: *version, id: 0 }.claim(how)
    }

    fn finish(&mut self, fate: WriteEnd) {
        let id = std::mem::take(&mut self.id);
        if id == 0 {
            return;
        }
        let mut ledger = self.latest.ledger();
        if let WriteEnd::Written(partition, offset) = fate {
            let place = StatePlace { topic: self.topic, partition, offset };
            ledger.note(self.hash, KnownState::of(self.version, place));
            if let Some(partitions) = ledger.coverage.get_mut(usize::from(self.topic)) {
                partitions.entry(partition).or_default().add(offset);
            }
        }
        ledger.with_turns(self.hash, |turns, written| turns.end(id, written, fate != WriteEnd::NotNow));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.finish(WriteEnd::NotWritten);
    }
}

/// A state that waits for its turn.
pub(crate) struct Queued {
    ticket: Ticket,
    told: oneshot::Receiver<TurnAnswer>,
}

/// What waiting came to.
pub(crate) enum Turned {
    /// It may be sent now.
    Now(Ticket),
    Superseded,
    /// The one before it was not taken, so it would not be either.
    NotNow,
}

impl Queued {
    /// Waits until it is its turn. Whoever stops waiting loses it.
    pub(crate) async fn turn(self) -> Turned {
        let Queued { ticket, told } = self;
        match told.await {
            Ok(TurnAnswer::Go) => Turned::Now(ticket),
            Ok(TurnAnswer::Superseded) => Turned::Superseded,
            Ok(TurnAnswer::NotNow) | Err(_) => Turned::NotNow,
        }
    }
}

#[cfg(test)]
mod tests;
