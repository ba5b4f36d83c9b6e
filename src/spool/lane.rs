//! A lane: the deliveries that wait for one topic, and which new ones may go past them.
//!
//! ```text
//!   new delivery ─┬─ none of its keys waits, all its gates are open ─▶ past: straight to Kafka
//!                 ├─ a key waits, and is about to be free ──▶ waits a moment for it
//!                 └─ else ──▶ queues in the spool
//! ```
//!
//! That keeps the promised order: an event that arrives after another was answered is written after it. Either the
//! other is in Kafka already, or it is in the spool, and then its keys wait. Without the moment's waiting a key that is
//! busy would stay in the spool for as long as its events keep coming, since one of them would always be there.
//!
//! A partition that cannot be written shuts a gate: what needs it queues at once, and nobody waits for it again in vain.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::keys::Keys;
use crate::ordering::{Gate, Needs};

/// How long new deliveries wait for keys that are about to be free.
const MOMENT: Duration = Duration::from_millis(500);

/// What waits for one topic. No I/O: the spool counts here what it does.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The topic's name.
    pub(crate) name: Arc<str>,
    load: Mutex<Load>,
    /// Nothing waits. Changed only with the load held.
    clear: AtomicBool,
    /// Keys were freed, or it does not pay any more to wait for that.
    freed: Notify,
    /// Up to this number all have left the lane. What of them is still in the file could not be removed yet, and is not
    /// to be read again.
    drained: AtomicI64,
    /// What the file holds for it, or was to hold, is not what it was.
    pub(crate) changed: Notify,
}

/// What is in the spool or on its way there.
#[derive(Debug, Default)]
struct Load {
    records: u64,
    bytes: u64,
    /// Of these, what the file should hold.
    stored: (u64, u64),
    /// Someone empties the lane.
    draining: bool,
    /// The keys of what waits.
    waiting: Keys,
    /// Of those, the ones that are not about to be free: something before them cannot be written.
    held: Keys,
    shut: BTreeSet<Gate>,
    /// Why nothing leaves, in words for people.
    reason: Option<String>,
    /// Little waits, and it leaves.
    leaving: bool,
    /// Set while there are deliveries of an earlier run whose keys are not known: up to this number.
    untold: Option<i64>,
    /// Up to here the keys of an earlier run's are known.
    told: i64,
    /// In Kafka, and still in the file.
    gone: HashSet<i64>,
}

/// What a new delivery does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Past,
    Soon,
    Queue,
}

impl Load {
    fn way(&self, needs: &Needs) -> Way {
        if self.untold.is_some() || needs.gates.iter().any(|gate| self.shut.contains(gate)) {
            return Way::Queue;
        }
        match self.waiting.has_any(&needs.keys) {
            false => Way::Past,
            true if self.leaving && !self.held.has_any(&needs.keys) => Way::Soon,
            true => Way::Queue,
        }
    }

    fn is_clear(&self) -> bool {
        self.untold.is_none() && self.waiting.is_empty() && self.shut.is_empty()
    }
}

impl Lane {
    pub(super) fn new(name: &str) -> Lane {
        Lane {
            name: name.into(),
            load: Mutex::default(),
            clear: AtomicBool::new(true),
            freed: Notify::new(),
            drained: AtomicI64::new(0),
            changed: Notify::new(),
        }
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Load) -> T) -> T {
        let mut load = self.load();
        let done = change(&mut load);
        self.clear.store(load.is_clear(), Ordering::Release);
        done
    }

    /// Whether a new delivery may go straight to Kafka; waits a moment for keys that are about to be free.
    pub(crate) async fn lets_past(&self, needs: &Needs) -> bool {
        if self.clear.load(Ordering::Acquire) {
            return true;
        }
        let until = Instant::now() + MOMENT;
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // From here on nothing is missed.
            freed.as_mut().enable();
            match self.load().way(needs) {
                Way::Past => return true,
                Way::Queue => return false,
                Way::Soon => {}
            }
            if timeout_at(until, freed).await.is_err() {
                // The others need not wait as well.
                self.set_leaving(false);
                return false;
            }
        }
    }

    /// Whether little waits, and it leaves: what is new shall wait a moment then.
    pub(crate) fn set_leaving(&self, leaving: bool) {
        let before = self.change(|load| std::mem::replace(&mut load.leaving, leaving));
        if before && !leaving {
            self.freed.notify_waiters();
        }
    }

    /// The number after which the next drain begins.
    pub(crate) fn drained(&self) -> i64 {
        self.drained.load(Ordering::Acquire)
    }

    pub(crate) fn records(&self) -> u64 {
        self.load().records
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.load().bytes
    }

    /// Makes room for a delivery with these keys; `None` when that would be more than `max_bytes`. Says whether nobody
    /// empties the lane yet: then the caller sees to it. The gates are shut: it could not go through them.
    pub(super) fn reserve(&self, keys: &[u64], shut: &[Gate], bytes: u64, max_bytes: u64) -> Option<bool> {
        self.change(|load| {
            if load.bytes + bytes > max_bytes {
                return None;
            }
            load.records += 1;
            load.bytes += bytes;
            load.waiting.add(keys);
            load.shut.extend(shut.iter().cloned());
            Some(!std::mem::replace(&mut load.draining, true))
        })
    }

    /// Counts what an earlier run left, up to number `last`. Says whether nobody empties the lane yet.
    pub(super) fn take_over(&self, records: u64, bytes: u64, last: i64) -> bool {
        self.change(|load| {
            load.records += records;
            load.bytes += bytes;
            load.stored = (load.stored.0 + records, load.stored.1 + bytes);
            load.untold = Some(last);
            !std::mem::replace(&mut load.draining, true)
        })
    }

    /// Learns the keys of a delivery that an earlier run left. Each is told once, in order.
    pub(crate) fn tell(&self, seq: i64, needs: &Needs) {
        self.change(|load| {
            if load.untold.is_some_and(|last| seq <= last) && seq > load.told {
                load.told = seq;
                load.waiting.add(&needs.keys);
            }
        });
    }

    /// The deliveries up to number `seq` have been told, all that wait if `seq` is `None`.
    pub(crate) fn told_up_to(&self, seq: Option<i64>) {
        self.change(|load| load.untold = load.untold.filter(|last| seq.is_some_and(|seq| seq < *last)));
    }

    /// What was reserved for a delivery is free again: it did not get to the file.
    pub(super) fn release(&self, bytes: u64) {
        self.change(|load| {
            load.records = load.records.saturating_sub(1);
            load.bytes = load.bytes.saturating_sub(bytes);
        });
    }

    /// A delivery for which room was reserved is in the file.
    pub(super) fn stored(&self, bytes: u64) {
        self.change(|load| load.stored = (load.stored.0 + 1, load.stored.1 + bytes));
    }

    /// Deliveries have left the file, or count as if they had.
    pub(super) fn left(&self, records: u64, bytes: u64) {
        self.change(|load| {
            load.records = load.records.saturating_sub(records);
            load.bytes = load.bytes.saturating_sub(bytes);
            load.stored = (load.stored.0.saturating_sub(records), load.stored.1.saturating_sub(bytes));
        });
    }

    /// Deliveries that the file should hold, and their bytes.
    pub(super) fn in_file(&self) -> (u64, u64) {
        self.load().stored
    }

    /// A delivery with these keys does not wait any more.
    pub(crate) fn free(&self, keys: &[u64]) {
        let leaving = self.change(|load| {
            load.waiting.remove(keys);
            load.leaving
        });
        if leaving {
            self.freed.notify_waiters();
        }
    }

    /// These are in Kafka. Until they are removed from the file, they are not to be read again.
    pub(crate) fn set_gone(&self, seqs: impl IntoIterator<Item = i64>) {
        self.load().gone.extend(seqs);
    }

    /// They are removed from the file.
    pub(super) fn removed(&self, seqs: impl IntoIterator<Item = i64>) {
        let mut load = self.load();
        seqs.into_iter().for_each(|seq| {
            load.gone.remove(&seq);
        });
    }

    /// What is in Kafka, and still in the file.
    pub(crate) fn gone(&self) -> HashSet<i64> {
        self.load().gone.clone()
    }

    /// Something before a delivery with these keys cannot be written.
    pub(crate) fn hold(&self, keys: &[u64]) {
        self.load().held.add(keys);
    }

    /// Whether any of these keys is held.
    pub(crate) fn holds(&self, keys: &[u64]) -> bool {
        self.load().held.has_any(keys)
    }

    /// What was held is looked at again.
    pub(crate) fn let_go(&self) {
        self.load().held = Keys::default();
    }

    /// Why nothing leaves, as far as whoever empties the lane knows.
    pub(crate) fn reason(&self) -> Option<String> {
        self.load().reason.clone()
    }

    pub(crate) fn set_reason(&self, reason: Option<String>) {
        self.load().reason = reason;
    }

    /// What cannot be gone through now.
    pub(crate) fn shut(&self) -> BTreeSet<Gate> {
        self.load().shut.clone()
    }

    pub(crate) fn set_shut(&self, shut: BTreeSet<Gate>) {
        self.change(|load| load.shut = shut);
    }

    /// Opens the lane if nothing waits in it; whoever emptied it, up to number `seq`, is then done.
    pub(crate) fn open_if_empty(&self, seq: i64) -> bool {
        let empty = self.change(|load| {
            let empty = load.records == 0;
            if empty {
                *load = Load::default();
                self.drained.fetch_max(seq, Ordering::AcqRel);
            }
            empty
        });
        if empty {
            self.freed.notify_waiters();
        }
        empty
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn gate(partition: i32) -> Gate {
        Gate::Partition("wegly.deal".into(), partition)
    }

    fn needs(key: u64) -> Needs {
        Needs::new(vec![key], vec![gate(key as i32 % 3)])
    }

    /// Whether a new delivery may go past at once; `None` when it has to wait.
    fn lets_past(lane: &Lane, key: u64) -> Option<bool> {
        let needs = needs(key);
        match pin!(lane.lets_past(&needs)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(past) => Some(past),
            Poll::Pending => None,
        }
    }

    #[test]
    fn what_shares_no_key_with_what_waits_goes_past() {
        let lane = Lane::new("wegly.deal");
        assert_eq!(lets_past(&lane, 1), Some(true));
        assert_eq!(lane.reserve(&[1], &[], 10, 100), Some(true), "somebody has to empty it");
        assert_eq!(lane.reserve(&[1, 2], &[], 90, 100), Some(false), "somebody does");
        assert_eq!([1, 2, 3].map(|key| lets_past(&lane, key)), [Some(false), Some(false), Some(true)]);
        lane.free(&[1]);
        assert_eq!(lets_past(&lane, 1), Some(false), "another with this key waits");
        lane.free(&[1, 2]);
        assert_eq!([1, 2].map(|key| lets_past(&lane, key)), [Some(true); 2]);
        assert!(!lane.open_if_empty(7), "they are still in the file");
        lane.left(2, 100);
        assert!(lane.open_if_empty(7) && lane.drained() == 7);
        assert_eq!(lane.reserve(&[1], &[], 1, 100), Some(true));
    }

    #[test]
    fn what_needs_a_gate_that_is_shut_queues() {
        let lane = Lane::new("wegly.deal");
        lane.reserve(&[1], &[gate(1)], 10, 100);
        assert_eq!([4, 2, 3].map(|key| lets_past(&lane, key)), [Some(false), Some(true), Some(true)]);
        lane.set_shut(BTreeSet::new());
        assert_eq!(lets_past(&lane, 4), Some(true));
    }

    #[test]
    fn nothing_goes_past_what_an_earlier_run_left_until_its_keys_are_known() {
        let lane = Lane::new("wegly.deal");
        assert!(lane.take_over(2, 20, 9));
        assert_eq!(lets_past(&lane, 3), Some(false));
        lane.tell(5, &needs(1));
        lane.tell(5, &needs(1));
        lane.told_up_to(Some(5));
        assert_eq!(lets_past(&lane, 3), Some(false), "one is to come");
        lane.tell(9, &needs(2));
        lane.told_up_to(Some(9));
        assert_eq!([1, 2, 3].map(|key| lets_past(&lane, key)), [Some(false), Some(false), Some(true)]);
        lane.free(&[1]);
        assert_eq!(lets_past(&lane, 1), Some(true), "it was told once");
        lane.take_over(1, 1, 9);
        lane.told_up_to(None);
        assert_eq!(lets_past(&lane, 3), Some(true), "there is no more");
    }

    #[test]
    fn a_lane_takes_no_more_than_its_share() {
        let lane = Lane::new("wegly.deal");
        assert_eq!(lane.reserve(&[1], &[gate(1)], 101, 100), None);
        assert_eq!(lets_past(&lane, 1), Some(true), "what was not taken holds up nothing");
        assert_eq!(lane.reserve(&[1], &[], 100, 100), Some(true));
        assert_eq!(lane.reserve(&[1], &[], 1, 100), None);
    }

    #[tokio::test]
    async fn what_is_new_waits_for_a_key_that_leaves_and_only_the_first_of_them_in_vain() {
        let lane = Arc::new(Lane::new("wegly.deal"));
        lane.reserve(&[1], &[], 1, 100);
        lane.set_leaving(true);
        assert_eq!(lets_past(&lane, 2), Some(true), "another key");
        assert_eq!(lets_past(&lane, 1), None);
        let waiting = tokio::spawn({
            let lane = Arc::clone(&lane);
            async move { lane.lets_past(&needs(1)).await }
        });
        tokio::task::yield_now().await;
        lane.free(&[1]);
        assert!(waiting.await.unwrap());

        lane.reserve(&[1], &[], 1, 100);
        assert!(!lane.lets_past(&needs(1)).await);
        assert_eq!(lets_past(&lane, 1), Some(false), "at once");
        lane.set_leaving(true);
        lane.hold(&[1]);
        assert_eq!(lets_past(&lane, 1), Some(false), "it does not leave");
        lane.let_go();
        assert_eq!(lets_past(&lane, 1), None);
    }
}
