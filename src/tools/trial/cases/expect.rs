//! What a case expects, held against what a trial found.

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::Deserialize;
use serde_json::Value;

use crate::tools::trial::report::{Trial, TriedEvent};

/// `[case.expect]`; what is left out may be anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    status: Option<u16>,
    /// An outcome, or a problem's code.
    outcome: Option<String>,
    reason: Option<String>,
    /// What a handshake is answered.
    answer: Option<String>,
    /// All events, in their order.
    event: Option<Vec<ExpectedEvent>>,
}

/// What an event is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedEvent {
    #[serde(rename = "type")]
    event_type: Option<String>,
    id: Option<String>,
    key: Option<String>,
    occurred_at: Option<String>,
    /// All of them, in any order.
    topics: Option<BTreeSet<String>>,
    /// Paths, all of them, in any order.
    extra: Option<BTreeSet<String>>,
    /// JSON: what the event's own record has at least.
    record: Option<String>,
}

impl Expectation {
    /// Whether nothing can differ from it.
    pub(super) fn is_empty(&self) -> bool {
        self.status.is_none()
            && self.outcome.is_none()
            && self.reason.is_none()
            && self.answer.is_none()
            && self.event.is_none()
    }

    /// Whether what it says of records is JSON.
    pub(super) fn is_readable(&self) -> bool {
        let records = self.event.iter().flatten().filter_map(|event| event.record.as_ref());
        records.into_iter().all(|record| serde_json::from_str::<Value>(record).is_ok())
    }

    /// How `trial` differs from it, one line each.
    pub(crate) fn differences(&self, trial: &Trial) -> Vec<String> {
        let mut found = Differences::default();
        found.compare("status", self.status.as_ref(), Some(&trial.answer.status()));
        found.compare("outcome", self.outcome.as_deref(), Some(trial.answer.word()));
        found.compare("reason", self.reason.as_deref(), trial.answer.reason());
        let answer = trial.handshake.as_ref().map(|answer| answer.text.as_str());
        found.compare("answer", self.answer.as_deref(), answer);
        let Some(events) = &self.event else { return found.0 };
        found.compare("number of events", Some(&events.len()), Some(&trial.events.len()));
        for (at, (expected, event)) in events.iter().zip(&trial.events).enumerate() {
            expected.compare(&format!("event {}: ", at + 1), event, &mut found);
        }
        found.0
    }
}

impl ExpectedEvent {
    fn compare(&self, place: &str, event: &TriedEvent, found: &mut Differences) {
        let texts = [
            ("type", &self.event_type, event.event_type.as_ref()),
            ("id", &self.id, Some(&event.id)),
            ("key", &self.key, event.key.as_ref()),
            ("occurred_at", &self.occurred_at, event.occurred_at.as_ref()),
        ];
        for (name, expected, got) in texts {
            found.compare(&format!("{place}{name}"), expected.as_ref(), got);
        }
        let topics: BTreeSet<String> = event.records.iter().map(|record| record.topic.clone()).collect();
        found.compare(&format!("{place}topics"), self.topics.as_ref(), Some(&topics));
        let extra: BTreeSet<String> = event.extra.iter().map(|kept| kept.path.clone()).collect();
        found.compare(&format!("{place}extra"), self.extra.as_ref(), Some(&extra));
        let record = event.records.first().and_then(|record| serde_json::from_str(record.value.get()).ok());
        if let Some(expected) = self.record.as_deref().and_then(|record| serde_json::from_str(record).ok()) {
            found.compare_within(&format!("{place}record"), &expected, record.as_ref());
        }
    }
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn compare<T: PartialEq + Debug + ?Sized>(&mut self, name: &str, expected: Option<&T>, got: Option<&T>) {
        let Some(expected) = expected else { return };
        if got != Some(expected) {
            let got = got.map_or_else(|| "nothing".into(), |got| format!("{got:?}"));
            self.0.push(format!("{name}: expected {expected:?}, got {got}"));
        }
    }

    /// Every member of `expected` is to be in `got`; what is no object is to be the same.
    fn compare_within(&mut self, place: &str, expected: &Value, got: Option<&Value>) {
        if let (Value::Object(members), Some(Value::Object(got))) = (expected, got) {
            for (name, value) in members {
                self.compare_within(&format!("{place}.{name}"), value, got.get(name));
            }
        } else if got != Some(expected) {
            let got = got.map_or_else(|| "nothing".into(), Value::to_string);
            self.0.push(format!("{place}: expected {expected}, got {got}"));
        }
    }
}
