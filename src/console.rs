//! What the console shows: where each event type goes, what became of its events, and the last hour.
//!
//! ```text
//! metrics ─▶ Reading ─┬─ every 10 s ─▶ History: points of one hour, when each type was last seen
//!                     └─ while someone looks ─▶ state, with the routes and the health
//! catalog ─▶ catalogue, once
//! ```
//!
//! Names and numbers only: no header, body or secret is within its reach.

mod catalogue;
mod history;
mod page;
mod reading;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::flow::pipeline::Pipeline;
use crate::kafka::route::{Route, Target};
use crate::observe::metrics::{Metrics, NewestRefusal};
use crate::source::Source;
use crate::values::time::now_millis;
use history::MetricHistory;
pub(crate) use page::Page;
use reading::{Reading, TypeCounts};

/// From one point of the plots to the next.
const EVERY: Duration = Duration::from_secs(10);

/// What the console knows.
pub(crate) struct Console {
    pipeline: Arc<Pipeline>,
    sources: BTreeMap<String, Arc<Source>>,
    history: Mutex<MetricHistory>,
    /// Milliseconds since 1970.
    started_at: i64,
    /// The catalogue as JSON text; it does not change.
    pub(crate) catalogue: String,
}

impl Console {
    pub(crate) fn new(settings: &Settings, pipeline: Arc<Pipeline>) -> Console {
        Console {
            catalogue: catalogue::of(&settings.sources, &pipeline.routes).to_string(),
            sources: settings.sources.clone(),
            history: Mutex::default(),
            started_at: now_millis(),
            pipeline,
        }
    }

    /// Keeps the history, until `stop`.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut beat = interval(EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = stop.cancelled() => return,
            }
            let now = Instant::now();
            let reading = Reading::of(self.metrics().tallies());
            self.history().sample(now_millis(), now - last, reading);
            last = now;
        }
    }

    fn metrics(&self) -> &Metrics {
        &self.pipeline.metrics
    }

    fn history(&self) -> MutexGuard<'_, MetricHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last point was taken, and all points as JSON text, if there are newer ones than at `known`.
    pub(crate) fn points(&self, known: Option<i64>) -> Option<(i64, String)> {
        let history = self.history();
        let at = history.latest().unwrap_or(self.started_at);
        (known != Some(at)).then(|| (at, json!({ "points": history.points() }).to_string()))
    }

    /// How it stands at `now`; `health` is what readiness has to say.
    pub(crate) fn state(&self, now: i64, health: &Value) -> Value {
        let reading = Reading::of(self.metrics().tallies());
        let mut history = self.history();
        history.see(now, &reading);
        let sources: Vec<_> = self.sources.values().map(|source| self.source(source, &reading, &history)).collect();
        drop(history);
        let dead_letters = reading.dead_letters.iter().filter(|(_, count)| **count > 0);
        let lanes = reading.lanes.iter().filter(|(_, lane)| lane.records > 0);
        json!({
            "now": now,
            "started_at": self.started_at,
            "version": env!("CARGO_PKG_VERSION"),
            "health": health,
            "answers": reading.answers,
            "sources": sources,
            "lanes": lanes
                .map(|(name, lane)| json!({ "lane": name, "records": lane.records, "bytes": lane.bytes }))
                .collect::<Vec<_>>(),
            "dead_letters_topic": &*self.pipeline.routes.dead_letters,
            "dead_letters": dead_letters
                .map(|((source, reason), count)| json!({ "source": source, "reason": reason, "count": count }))
                .collect::<Vec<_>>(),
            "drift": reading.drift,
            "newest_refusals": self.newest_refusals(),
        })
    }

    /// The newest request of each source that was refused.
    fn newest_refusals(&self) -> Vec<Value> {
        let newest = self.metrics().refusals.newest();
        let newest = newest.map(|(source, NewestRefusal { at, status, refusal })| {
            let (reason, advice) = (refusal.reason(), refusal.advice());
            json!({ "source": source, "at": at, "status": status, "reason": reason, "advice": advice })
        });
        newest.collect()
    }

    fn source(&self, source: &Source, reading: &Reading, history: &MetricHistory) -> Value {
        let planned = source.profile.types.keys().map(String::as_str);
        // The type of what is not recognised, once there is such a thing.
        let others = reading.counts.iter().filter(|((of, name), counts)| {
            *of == source.name && !source.profile.types.contains_key(name) && counts.seen() > 0
        });
        let types: Vec<_> = planned
            .chain(others.map(|((_, name), _)| name.as_str()))
            .map(|name| {
                let route = self.pipeline.routes.get(&source.name, name);
                event_type(&source.name, name, route, reading, history)
            })
            .collect();
        json!({ "name": source.name, "profile": source.profile.name, "types": types })
    }
}

fn event_type(source: &str, name: &str, route: Option<&Route>, reading: &Reading, history: &MetricHistory) -> Value {
    let key = (source.to_owned(), name.to_owned());
    let TypeCounts { accepted, published, dead_lettered, refused } =
        reading.counts.get(&key).copied().unwrap_or_default();
    json!({
        "type": name,
        "main": route.map(|route| target(&route.main)),
        "joins": route.map(|route| route.joins.iter().map(target).collect::<Vec<_>>()).unwrap_or_default(),
        "latest": route.and_then(|route| route.latest.as_ref()).map(target),
        "accepted": accepted,
        "published": published,
        "dead_lettered": dead_lettered,
        "refused": refused,
        "last_seen": history.last_seen(&key),
    })
}

fn target(target: &Target) -> Value {
    let subject = &target.subject;
    json!({
        "topic": &*target.topic,
        "subject": subject.name,
        "id": subject.id(),
        "refused": subject.is_refused(),
    })
}

#[cfg(test)]
mod tests;
