//! The spool as the console shows it: how much waits, since when, why, and for how long there is room.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use crate::spool::{ALTERED, Spool};

/// Over so long is measured how fast it grows, in milliseconds.
const SPAN: i64 = 60_000;
/// Nothing is said of how fast before so long.
const LEAST_SPAN: i64 = 6_000;

/// While more of the limit is left than this, nothing is said of when it will be full: a moment's growth says little. As the alerts
/// have it.
const AMPLE: f64 = 0.75;

/// What waits in one lane.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LaneFigures {
    pub(super) lane: String,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Bytes as a part of `spool.max_lane_bytes`.
    pub(super) share: f64,
    /// When the oldest was received, in milliseconds since 1970, as far as the disk told.
    pub(super) oldest_at: Option<i64>,
    /// Why it waits.
    pub(super) reason: String,
}

/// What waits, and how much more may.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct SpoolFigures {
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// `spool.max_bytes`, and bytes as a part of it.
    pub(super) limit_bytes: u64,
    pub(super) share: f64,
    /// Bytes that it would take now.
    pub(super) room_bytes: u64,
    pub(super) oldest_at: Option<i64>,
    /// Bytes per second that it grows by; negative while it empties.
    pub(super) growth: Option<f64>,
    /// Seconds until it is full, if it goes on growing like this.
    pub(super) full_in: Option<f64>,
    #[serde(skip)]
    pub(super) lanes: Vec<LaneFigures>,
}

impl SpoolFigures {
    /// What it would take now as a part of `spool.max_bytes`.
    pub(super) fn room_share(&self) -> f64 {
        share(self.room_bytes, self.limit_bytes)
    }
}

/// How full the spool was of late, and what the disk last told of the oldest deliveries.
#[derive(Debug, Default)]
pub(super) struct SpoolLog {
    bytes: VecDeque<(i64, u64)>,
    oldest: BTreeMap<Arc<str>, i64>,
}

impl SpoolLog {
    /// Takes note of when the oldest delivery of each lane was received.
    pub(super) fn note_oldest(&mut self, oldest: Vec<(Arc<str>, Option<i64>)>) {
        self.oldest = oldest.into_iter().filter_map(|(lane, at)| Some((lane, at?))).collect();
    }

    /// Takes note of how full it is at `now`.
    pub(super) fn note_bytes(&mut self, now: i64, bytes: u64) {
        self.bytes.push_back((now, bytes));
        while self.bytes.front().is_some_and(|(at, _)| now - at > SPAN) {
            self.bytes.pop_front();
        }
    }

    /// Bytes per second.
    fn growth(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.bytes.front()?, self.bytes.back()?);
        (to - from >= LEAST_SPAN).then(|| (*after as f64 - *before as f64) / ((to - from) as f64 / 1e3))
    }

    /// How the spool stands.
    pub(super) fn state(&self, spool: &Spool, is_kafka_down: bool) -> SpoolFigures {
        let (limits, room) = (spool.limits(), spool.room());
        let lanes = spool.lanes().into_iter().filter(|lane| lane.records() > 0).map(|lane| LaneFigures {
            lane: lane.name.to_string(),
            records: lane.records(),
            bytes: lane.bytes(),
            share: share(lane.bytes(), limits.max_lane_bytes),
            oldest_at: self.oldest.get(&lane.name).copied(),
            reason: match &*lane.name {
                ALTERED => "altered on disk: kept, and not published".into(),
                // What is said of single partitions then is the same.
                _ if is_kafka_down => "Kafka cannot be used".into(),
                _ => lane.reason().unwrap_or_else(|| "being published now".into()),
            },
        });
        let lanes: Vec<_> = lanes.collect();
        let growth = self.growth();
        SpoolFigures {
            records: lanes.iter().map(|lane| lane.records).sum(),
            bytes: spool.bytes(),
            limit_bytes: limits.max_bytes,
            share: share(spool.bytes(), limits.max_bytes),
            room_bytes: room.bytes,
            oldest_at: lanes.iter().filter_map(|lane| lane.oldest_at).min(),
            growth,
            full_in: growth.and_then(|growth| full_in(growth, room.bytes, limits.max_bytes)),
            lanes,
        }
    }
}

/// Seconds until `room` of `limit` bytes is used up, where that can be told.
fn full_in(growth: f64, room: u64, limit: u64) -> Option<f64> {
    (growth > 0.0 && share(room, limit) < AMPLE).then(|| room as f64 / growth)
}

fn share(bytes: u64, limit: u64) -> f64 {
    if limit == 0 { 1.0 } else { bytes as f64 / limit as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_measured_over_the_last_minute() {
        let mut log = SpoolLog::default();
        log.note_bytes(0, 100);
        assert_eq!(log.growth(), None);
        log.note_bytes(10_000, 1100);
        assert_eq!(log.growth(), Some(100.0));
        log.note_bytes(70_000, 500);
        assert_eq!(log.growth(), Some(-10.0), "what was before that minute does not count");
    }

    #[test]
    fn when_it_will_be_full_is_told_only_while_little_room_is_left() {
        assert_eq!(full_in(100.0, 74_000, 100_000), Some(740.0));
        assert_eq!(full_in(100.0, 75_000, 100_000), None, "as the alerts have it");
        assert_eq!(full_in(1e9, 98_000, 100_000), None, "one event is no emergency");
        assert_eq!(full_in(0.0, 100, 100_000), None);
        assert_eq!(full_in(-1.0, 100, 100_000), None, "it empties");
    }
}
