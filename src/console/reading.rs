//! The metrics at one moment, as far as the console shows them: taken out of the gathered families by name, so that
//! what is counted and what is shown are one thing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use prometheus::proto::{Metric, MetricFamily};
use serde::Serialize;

use crate::observe::metrics::names;
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
    /// By outcome or problem code.
    pub(super) answers: BTreeMap<String, u64>,
    /// How many answers took at most so many seconds; the last bound is infinite.
    pub(super) times: Vec<(f64, u64)>,
    pub(super) lanes: BTreeMap<String, LaneCounts>,
    pub(super) drift: Vec<DriftRow>,
}

impl Reading {
    pub(super) fn of(families: &[MetricFamily]) -> Reading {
        let mut reading = Reading::default();
        for family in families {
            let Some(name) = family.name().strip_prefix(names::PREFIX).and_then(|name| name.strip_prefix('_')) else {
                continue;
            };
            for metric in family.get_metric() {
                reading.take(name, metric);
            }
        }
        reading.drift.sort_by_key(|drift| Reverse(drift.count));
        reading.drift.truncate(MOST_DRIFT);
        reading
    }

    fn take(&mut self, name: &str, metric: &Metric) {
        let label = |name: &str| {
            let label = metric.get_label().iter().find(|label| label.name() == name);
            label.map(|label| label.value().to_owned()).unwrap_or_default()
        };
        let count = metric.get_counter().get_value() as u64;
        let gauge = metric.get_gauge().get_value().max(0.0) as u64;
        match name {
            names::ACCEPTED => self.counts(label("source"), label("type")).accepted = count,
            names::EVENTS => {
                let counts = self.counts(label("source"), label("type"));
                match &*label("outcome") {
                    Accepted::PUBLISHED => counts.published = count,
                    Accepted::DEAD_LETTERED => counts.dead_lettered = count,
                    names::REFUSED => counts.refused = count,
                    _ => {}
                }
            }
            names::DEAD_LETTERS => {
                self.dead_letters.insert((label("source"), label("reason")), count);
            }
            names::REQUESTS => {
                self.answers.insert(label("code"), count);
            }
            names::SPOOL_RECORDS => self.lanes.entry(label("lane")).or_default().records = gauge,
            names::SPOOL_BYTES => self.lanes.entry(label("lane")).or_default().bytes = gauge,
            names::DRIFT if count > 0 => {
                let (source, event_type, field) = (label("source"), label("type"), label("field"));
                self.drift.push(DriftRow { source, event_type, field, count });
            }
            names::ANSWER_SECONDS => {
                let times = metric.get_histogram();
                let bound = |bucket: &prometheus::proto::Bucket| (bucket.upper_bound(), bucket.cumulative_count());
                self.times = times.get_bucket().iter().map(bound).collect();
                self.times.push((f64::INFINITY, times.get_sample_count()));
            }
            _ => {}
        }
    }

    fn counts(&mut self, source: String, event_type: String) -> &mut TypeCounts {
        self.counts.entry((source, event_type)).or_default()
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
