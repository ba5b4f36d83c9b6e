//! One hour in points, made of readings, and when each event type was last seen. Never asks for the time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Serialize;

use super::reading::Reading;
use crate::outcome::Accepted;

/// One hour, at a point every 10 s.
const POINTS: usize = 3600 / 10;

/// The time since the point before: what was answered per second, how fast, and what waits at its end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Point {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) published: f64,
    pub(super) spooled: f64,
    pub(super) dead_lettered: f64,
    pub(super) refused: f64,
    /// Seconds; none without an answer.
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
    /// Deliveries in the spool.
    pub(super) waiting: u64,
}

/// When a type's count last moved, and to what.
#[derive(Default)]
struct Seen {
    count: u64,
    at: Option<i64>,
}

#[derive(Default)]
pub(crate) struct MetricHistory {
    points: VecDeque<Point>,
    last: Option<Reading>,
    seen: BTreeMap<(String, String), Seen>,
}

impl MetricHistory {
    /// Notes which types have come in since the last look.
    pub(super) fn see(&mut self, now: i64, reading: &Reading) {
        for (key, counts) in &reading.counts {
            if !self.seen.contains_key(key) {
                self.seen.insert(key.clone(), Seen::default());
            }
            if let Some(seen) = self.seen.get_mut(key)
                && seen.count != counts.seen()
            {
                *seen = Seen { count: counts.seen(), at: Some(now) };
            }
        }
    }

    /// Adds the point at `now`, `elapsed` after the one before. The first reading is what the others are held against.
    pub(super) fn sample(&mut self, now: i64, elapsed: Duration, reading: Reading) {
        self.see(now, &reading);
        let seconds = elapsed.as_secs_f64();
        if let Some(last) = self.last.take().filter(|_| seconds > 0.0) {
            let rate = |now: u64, before: u64| rounded(now.saturating_sub(before) as f64 / seconds, 1e3);
            let answered = |code: &str| rate(reading.answered(code), last.answered(code));
            let within = |q: f64| reading.quantile(&last, q).map(|seconds| rounded(seconds, 1e5));
            if self.points.len() == POINTS {
                self.points.pop_front();
            }
            self.points.push_back(Point {
                at: now,
                published: answered(Accepted::PUBLISHED),
                spooled: answered(Accepted::SPOOLED),
                dead_lettered: answered(Accepted::DEAD_LETTERED),
                refused: rate(reading.turned_away(), last.turned_away()),
                p50: within(0.5),
                p99: within(0.99),
                waiting: reading.lanes.values().map(|lane| lane.records).sum(),
            });
        }
        self.last = Some(reading);
    }

    pub(super) fn points(&self) -> &VecDeque<Point> {
        &self.points
    }

    /// Within how many seconds half of the answers came, and 99 of 100, by the newest point of the last minute that has any.
    pub(super) fn answer_times(&self, now: i64) -> Option<(f64, f64)> {
        let mut fresh = self.points.iter().rev().take_while(|point| now - point.at <= 60_000);
        fresh.find_map(|point| point.p50.zip(point.p99))
    }

    /// When the newest point was taken.
    pub(super) fn latest(&self) -> Option<i64> {
        self.points.back().map(|point| point.at)
    }

    /// When an event of this source and type last came in, to within the time between two looks.
    pub(super) fn last_seen(&self, key: &(String, String)) -> Option<i64> {
        self.seen.get(key)?.at
    }
}

/// More digits than a plot has room for only make the page's data larger.
fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
