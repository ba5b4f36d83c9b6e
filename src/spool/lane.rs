//! A lane: the deliveries that wait for one topic, and whether new ones may go past them.
//!
//! ```text
//!            first failure, or anything in the spool
//!   open  ─────────────────────────────────────────▶  closed: everything new queues in the spool
//!     ▲                                                  │        ▲
//!     │ the last one is in Kafka                caught up │        │ Kafka does not take one, or it takes long
//!     │                                                  ▼        │
//!     └───────────────────────────  opening: what is new waits a moment, so that the lane gets empty
//! ```
//!
//! That keeps the promised order: an event that arrives after another was answered is written after it. Either the
//! other is in Kafka already, or it is in the spool, and then the lane is not open. Without the moment's waiting a lane
//! would stay closed for as long as events keep coming, since there would always be one in the spool.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long new deliveries wait for a lane that opens.
const OPENING_PATIENCE: Duration = Duration::from_millis(500);

/// What waits for one topic. No I/O: the spool counts here what it does.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The topic's name, or a subject's for the events of one type that wait apart from their topic's others.
    pub(crate) name: Arc<str>,
    /// Changed only with the load held.
    way: watch::Sender<Way>,
    load: Mutex<Load>,
    /// Up to this number all have left the lane. What of them is still in the file could not be removed yet, and is not
    /// to be read again.
    drained: AtomicI64,
    /// What the file holds for it, or was to hold, is not what it was.
    pub(super) changed: Notify,
}

/// Where new deliveries go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    Opening,
    Closed,
}

/// What is in the spool or on its way there.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    records: u64,
    bytes: u64,
    /// Someone empties the lane.
    draining: bool,
}

impl Lane {
    pub(super) fn new(name: &str) -> Lane {
        Lane {
            name: name.into(),
            way: watch::Sender::new(Way::Open),
            load: Mutex::default(),
            drained: AtomicI64::new(0),
            changed: Notify::new(),
        }
    }

    /// Whether nothing waits in it.
    pub(crate) fn is_open(&self) -> bool {
        *self.way.borrow() == Way::Open
    }

    /// Whether a new delivery may go straight to Kafka; waits a moment for a lane that opens.
    pub(crate) async fn lets_past(&self) -> bool {
        let way = *self.way.borrow();
        if way != Way::Opening {
            return way == Way::Open;
        }
        let mut way = self.way.subscribe();
        let settled = timeout(OPENING_PATIENCE, way.wait_for(|way| *way != Way::Opening)).await;
        match settled {
            Ok(way) => way.is_ok_and(|way| *way == Way::Open),
            Err(_) => {
                // The others need not wait as well.
                self.hold();
                false
            }
        }
    }

    /// The drain has caught up: what is new shall wait, so that the lane gets empty.
    pub(crate) fn catch_up(&self) {
        self.turn(Way::Closed, Way::Opening);
    }

    /// Opening takes too long, or Kafka does not take what is in the lane.
    pub(crate) fn hold(&self) {
        self.turn(Way::Opening, Way::Closed);
    }

    fn turn(&self, from: Way, to: Way) {
        let _load = self.load();
        self.way.send_if_modified(|way| {
            let turns = *way == from;
            if turns {
                *way = to;
            }
            turns
        });
    }

    /// The number after which the next drain begins.
    pub(crate) fn drained(&self) -> i64 {
        self.drained.load(Ordering::Acquire)
    }

    /// All up to number `seq` left the lane.
    pub(crate) fn set_drained(&self, seq: i64) {
        self.drained.store(seq, Ordering::Release);
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn records(&self) -> u64 {
        self.load().records
    }

    /// Makes room for a delivery and closes the lane; `None` when that would be more than `max_bytes`. Says whether
    /// nobody empties the lane yet: then the caller sees to it.
    pub(super) fn reserve(&self, records: u64, bytes: u64, max_bytes: u64) -> Option<bool> {
        let mut load = self.load();
        if load.bytes + bytes > max_bytes {
            return None;
        }
        load.records += records;
        load.bytes += bytes;
        // One that waited for long enough while the lane opened does not close it again for the others.
        self.way.send_if_modified(|way| *way == Way::Open && std::mem::replace(way, Way::Closed) == Way::Open);
        Some(!std::mem::replace(&mut load.draining, true))
    }

    /// What was reserved is free again: gone from the spool, or never there.
    pub(super) fn release(&self, records: u64, bytes: u64) {
        let mut load = self.load();
        load.records = load.records.saturating_sub(records);
        load.bytes = load.bytes.saturating_sub(bytes);
    }

    /// Opens the lane if nothing waits in it; whoever emptied it is then done.
    pub(crate) fn open_if_empty(&self) -> bool {
        let mut load = self.load();
        if load.records == 0 {
            load.draining = false;
            self.way.send_replace(Way::Open);
        }
        load.records == 0
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Whether a new delivery may go past at once; `None` when it has to wait.
    fn lets_past(lane: &Lane) -> Option<bool> {
        match pin!(lane.lets_past()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(past) => Some(past),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_lane_is_closed_while_anything_waits_and_emptied_by_one() {
        let lane = Lane::new("wegly.deal");
        assert_eq!(lets_past(&lane), Some(true));
        assert_eq!(lane.reserve(1, 10, 100), Some(true), "somebody has to empty it");
        assert_eq!(lane.reserve(1, 90, 100), Some(false), "somebody does");
        assert!(lets_past(&lane) == Some(false) && !lane.open_if_empty());
        lane.release(1, 10);
        assert!(!lane.open_if_empty());
        lane.release(1, 90);
        assert_eq!(lets_past(&lane), Some(false), "only whoever empties it opens it");
        assert!(lane.open_if_empty() && lets_past(&lane) == Some(true));
        assert_eq!(lane.reserve(1, 1, 100), Some(true));
    }

    #[test]
    fn a_lane_takes_no_more_than_its_share() {
        let lane = Lane::new("wegly.deal");
        assert_eq!(lane.reserve(1, 101, 100), None);
        assert_eq!(lets_past(&lane), Some(true), "what was not taken closes nothing");
        assert_eq!(lane.reserve(1, 100, 100), Some(true));
        assert_eq!(lane.reserve(1, 1, 100), None);
    }

    #[tokio::test]
    async fn what_is_new_waits_for_a_lane_that_opens_and_only_the_first_of_them_in_vain() {
        let lane = Arc::new(Lane::new("wegly.deal"));
        lane.catch_up();
        assert!(lane.lets_past().await, "an open lane stays open");
        lane.reserve(1, 1, 100);
        lane.catch_up();
        let waiting = tokio::spawn({
            let lane = Arc::clone(&lane);
            async move { lane.lets_past().await }
        });
        tokio::task::yield_now().await;
        lane.release(1, 1);
        assert!(lane.open_if_empty());
        assert!(waiting.await.unwrap());

        lane.reserve(1, 1, 100);
        lane.catch_up();
        assert!(!lane.lets_past().await);
        let once_more = timeout(Duration::ZERO, lane.lets_past()).await;
        assert_eq!(once_more, Ok(false), "at once");
    }
}
