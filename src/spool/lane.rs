//! A lane: the deliveries that wait for one topic, and whether new ones may go past them.
//!
//! ```text
//!            first failure, or anything in the spool
//!   open  ─────────────────────────────────────────▶  closed: everything new queues in the spool
//!     ▲                                                  │
//!     └──────────────── the last one is in Kafka ────────┘
//! ```
//!
//! That keeps the promised order: an event that arrives after another was answered is written after it. Either the
//! other is in Kafka already, or it is in the spool, and then the lane is closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What waits for one topic. No I/O: the spool counts here what it does.
#[derive(Debug)]
pub(crate) struct Lane {
    /// The topic's name, or a subject's for the events of one type that wait apart from their topic's others.
    pub(crate) name: Arc<str>,
    open: AtomicBool,
    load: Mutex<Load>,
    /// What the file holds for it, or was to hold, is not what it was.
    pub(super) changed: Notify,
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
        Lane { name: name.into(), open: AtomicBool::new(true), load: Mutex::default(), changed: Notify::new() }
    }

    /// Whether a new event may go straight to Kafka.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
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
        self.open.store(false, Ordering::Release);
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
            self.open.store(true, Ordering::Release);
        }
        load.records == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_closed_while_anything_waits_and_emptied_by_one() {
        let lane = Lane::new("wegly.deal");
        assert!(lane.is_open());
        assert_eq!(lane.reserve(1, 10, 100), Some(true), "somebody has to empty it");
        assert_eq!(lane.reserve(1, 90, 100), Some(false), "somebody does");
        assert!(!lane.is_open() && !lane.open_if_empty());
        lane.release(1, 10);
        assert!(!lane.open_if_empty());
        lane.release(1, 90);
        assert!(!lane.is_open(), "only whoever empties it opens it");
        assert!(lane.open_if_empty() && lane.is_open());
        assert_eq!(lane.reserve(1, 1, 100), Some(true));
    }

    #[test]
    fn a_lane_takes_no_more_than_its_share() {
        let lane = Lane::new("wegly.deal");
        assert_eq!(lane.reserve(1, 101, 100), None);
        assert!(lane.is_open(), "what was not taken closes nothing");
        assert_eq!(lane.reserve(1, 100, 100), Some(true));
        assert_eq!(lane.reserve(1, 1, 100), None);
    }
}
