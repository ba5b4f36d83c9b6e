//! What was counted up to one moment, as the console shows it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::observe::metrics::{REFUSED, Tallies};
use crate::outcome::Accepted;

/// How many rows of drift are shown: those that were met most often.
const MOST_DRIFT: usize = 200;

/// What became of a type's events since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TypeCounts {
    pub(super) accepted: u64,
    pub(super) published: u64,
    pub(super) dead_lettered: u64,
    pub(super) refused: u64,
}

impl TypeCounts {
    /// How many deliveries came in, taken or not.
    pub(super) fn seen(self) -> u64 {
        self.accepted + self.refused
    }
}

/// What waits in a lane of the spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LaneCounts {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// A field that the schema has no place for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct DriftRow {
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    field: String,
    count: u64,
}

/// One look at the metrics.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// By source and type.
    pub(super) counts: BTreeMap<(String, String), TypeCounts>,
    /// By source and reason.
    pub(super) dead_letters: BTreeMap<(String, String), u64>,
    /// By source and reason.
    pub(super) refusals: BTreeMap<(String, String), u64>,
    /// By outcome or problem code.
    pub(super) answers: BTreeMap<String, u64>,
    /// How many answers took at most so many seconds; the last bound is infinite.
    pub(super) times: Vec<(f64, u64)>,
    pub(super) lanes: BTreeMap<String, LaneCounts>,
    pub(super) drift: Vec<DriftRow>,
}

impl Reading {
    pub(super) fn of(tallies: Tallies) -> Reading {
        let mut reading = Reading::default();
        for ([source, event_type], count) in tallies.accepted {
            reading.counts.entry((source, event_type)).or_default().accepted = count;
        }
        for ([source, event_type, outcome], count) in tallies.events {
            let counts = reading.counts.entry((source, event_type)).or_default();
            match &*outcome {
                Accepted::PUBLISHED => counts.published = count,
                Accepted::DEAD_LETTERED => counts.dead_lettered = count,
                REFUSED => counts.refused = count,
                _ => {}
            }
        }
        for ([lane], records) in tallies.spool_records {
            reading.lanes.entry(lane).or_default().records = records;
        }
        for ([lane], bytes) in tallies.spool_bytes {
            reading.lanes.entry(lane).or_default().bytes = bytes;
        }
        let letters = tallies.dead_letters.into_iter();
        reading.dead_letters = letters.map(|([source, reason], count)| ((source, reason), count)).collect();
        let refused = tallies.refused.into_iter();
        reading.refusals = refused.map(|([source, reason], count)| ((source, reason), count)).collect();
        reading.answers = tallies.requests.into_iter().map(|([code], count)| (code, count)).collect();
        reading.times = tallies.answer_seconds;
        let drift = tallies.drift.into_iter().filter(|(_, count)| *count > 0);
        let row =
            |([source, event_type, field], count): ([String; 3], u64)| DriftRow { source, event_type, field, count };
        reading.drift = drift.map(row).collect();
        reading.drift.sort_by_key(|drift| Reverse(drift.count));
        reading.drift.truncate(MOST_DRIFT);
        reading
    }

    pub(super) fn answered(&self, code: &str) -> u64 {
        self.answers.get(code).copied().unwrap_or_default()
    }

    /// Requests that were turned away, whatever the reason.
    pub(super) fn turned_away(&self) -> u64 {
        let taken = |code: &str| Accepted::is_name(code);
        self.answers.iter().filter(|(code, _)| !taken(code)).map(|(_, count)| count).sum()
    }

    /// Seconds within which the part `q` of the answers since `before` came; `None` when there were none. Within a
    /// bucket they are taken to be spread evenly, as Prometheus does; beyond the last bound it is that bound.
    pub(super) fn quantile(&self, before: &Reading, q: f64) -> Option<f64> {
        let earlier = |at: usize| before.times.get(at).map_or(0, |(_, count)| *count);
        let since: Vec<_> = self
            .times
            .iter()
            .enumerate()
            .map(|(at, (bound, n))| (*bound, n.saturating_sub(earlier(at)) as f64))
            .collect();
        let all = since.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let rank = q * all;
        let at = since.iter().position(|(_, count)| *count >= rank)?;
        let (low, below) = at.checked_sub(1).map_or((0.0, 0.0), |before| since[before]);
        let (high, upto) = since[at];
        if high.is_infinite() || upto <= below {
            return Some(low);
        }
        Some(low + (high - low) * (rank - below) / (upto - below))
    }
}
