//! Holds what Kafka has against what the senders were promised. Pure: histories and records in, findings out.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::events::{DEAD_LETTERS, Event};
use crate::history::{Attempt, Sent};
use crate::record::{Found, Value};

/// Findings that are printed of each kind; the number is always exact.
const SHOWN: usize = 5;

/// What came of a history.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Events that Kafka has at least once.
    pub(crate) present: usize,
    /// Records beyond the first of their event.
    pub(crate) duplicates: usize,
    /// Accepted, and not in Kafka.
    pub(crate) lost: Vec<String>,
    /// First occurrences that come after that of a later event.
    pub(crate) disorder: Vec<String>,
    /// Records that differ from what they should be: duplicates from the first, all from what was sent.
    pub(crate) differing: Vec<String>,
    /// Records of events that nobody sent.
    pub(crate) strangers: Vec<String>,
}

impl Verdict {
    /// What must not be, in words; empty when all is well.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let kinds = [
            ("lost", &self.lost),
            ("out of order", &self.disorder),
            ("differing", &self.differing),
            ("that nobody sent", &self.strangers),
        ];
        let kinds = kinds.into_iter().filter(|(_, found)| !found.is_empty());
        kinds
            .map(|(kind, found)| {
                let shown: Vec<_> = found.iter().take(SHOWN).map(|words| format!("\n  {words}")).collect();
                format!("{} {kind}:{}", found.len(), shown.concat())
            })
            .collect()
    }
}

/// Within what the events of a key are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Its topic: a key stays in its partition.
    ByTopic,
    /// Each partition: their number changed, and with it the partition of some keys. Nobody promises that what is in the
    /// new one was written after what is in the old one.
    ByPartition,
}

/// The records of one key in their order: topic, key, and the partition if that matters.
type Log<'a> = (&'a str, &'a str, Option<i32>);

/// Judges `records`, each topic's in the order of its partitions, by what was `sent`.
pub(crate) fn check(sent: &BTreeMap<String, Sent>, records: &[Found], order: Order) -> Verdict {
    let mut verdict = Verdict::default();
    // By id, the first record; and by log, the events in the order of their first records.
    let mut firsts: HashMap<&str, &Found> = HashMap::new();
    let mut logs: HashMap<Log, Vec<&Sent>> = HashMap::new();
    let log = |record: &'_ Found| (order == Order::ByPartition).then_some(record.partition);
    for record in records {
        let Some(event) = sent.get(&record.id) else {
            verdict.strangers.push(record.to_string());
            continue;
        };
        if let Some(words) = unlike_sent(record, event) {
            verdict.differing.push(format!("{record}: {words}\n    {event}"));
        }
        match firsts.get(record.id.as_str()) {
            None => {
                firsts.insert(&record.id, record);
                logs.entry((&record.topic, &record.key, log(record))).or_default().push(event);
            }
            Some(first) => {
                verdict.duplicates += 1;
                // One that Kafka took may be refused when it is sent again, and become a dead letter too.
                let refused = event.event.large && record.topic != first.topic;
                if let Some(words) = unlike_first(record, first).filter(|_| !refused) {
                    verdict.differing.push(format!("{record}: {words}: {first}\n    {event}"));
                }
            }
        }
    }
    verdict.present = firsts.len();
    let gone = |sent: &&Sent| !firsts.contains_key(sent.event.id.as_str()) && !sent.may_be_gone;
    let promised = sent.values().filter(|sent| sent.accepted().is_some());
    verdict.lost = promised.filter(gone).map(|sent| lost(sent, &logs)).collect();
    for ((topic, key, _), events) in logs.iter().filter(|((topic, ..), _)| *topic != DEAD_LETTERS) {
        for pair in events.windows(2).filter(|pair| pair[0].event.number >= pair[1].event.number) {
            let numbers: Vec<_> = events.iter().map(|sent| sent.event.number).collect();
            let words = format!("{topic} {key} has {numbers:?}\n    {}\n    {}", pair[0], pair[1]);
            verdict.disorder.push(words);
        }
    }
    verdict
}

/// A lost event, and what there is of its key around its place.
fn lost(sent: &Sent, logs: &HashMap<Log, Vec<&Sent>>) -> String {
    let of_key = logs.iter().filter(|((topic, key, _), _)| (*topic, *key) == (sent.event.topic, &sent.event.key));
    let numbers = of_key.flat_map(|(_, events)| events).map(|sent| sent.event.number);
    let around: Vec<_> = numbers.filter(|n| n.abs_diff(sent.event.number) <= 3).collect();
    format!("{sent}\n    around it in Kafka: {around:?}")
}

/// How a record is not what was sent.
fn unlike_sent(record: &Found, sent: &Sent) -> Option<String> {
    let event = &sent.event;
    if event.large && record.topic == DEAD_LETTERS {
        return unlike_refused(record, event);
    }
    if (record.topic.as_str(), &record.key) != (event.topic, &event.key) {
        return Some(format!("should be in {} under {}", event.topic, event.key));
    }
    match &record.value {
        Value::DeadLetter(body) => (*body != event.body).then(|| "not the body that was sent".into()),
        Value::Avro(avro) if avro.id != event.id => Some(format!("event.id is {}", avro.id)),
        Value::Avro(avro) if avro.entity_id != event.key => Some(format!("event.entity_id is {}", avro.entity_id)),
        Value::Avro(avro) => {
            let there = avro.rest.windows(event.token.len()).any(|part| part == event.token.as_bytes());
            (!there).then(|| format!("no {} in it", event.token))
        }
        Value::Other => Some("no record of ours".into()),
    }
}

/// How a record is not the dead letter that becomes of an event which Kafka finds too large.
fn unlike_refused(record: &Found, event: &Event) -> Option<String> {
    let is_its = record.key == event.id && record.value == Value::DeadLetter(event.body.clone());
    match (is_its, record.reason.as_str()) {
        (true, "record_too_large") => None,
        (true, reason) => Some(format!("a dead letter because of {reason:?}")),
        (false, _) => Some("not the dead letter of that event".into()),
    }
}

/// How a duplicate is not the first again. Each delivery has a time of its own when it was received, and a registry
/// that was replaced gives other ids; all else must be equal.
fn unlike_first(record: &Found, first: &Found) -> Option<&'static str> {
    match (&record.value, &first.value) {
        (Value::Avro(one), Value::Avro(other)) if one.rest == other.rest => None,
        (one, other) if one == other => None,
        _ => Some("a duplicate with another value than the first"),
    }
}

/// Events that were taken though their sender was not told: Kafka has a record that was received during an attempt
/// whose connection `broke`. `at` turns a record's time into one of the history.
pub(crate) fn taken_but_unanswered<'a>(
    sent: &'a BTreeMap<String, Sent>,
    records: &[Found],
    at: impl Fn(i64) -> Duration,
    broke: impl Fn(&Attempt) -> bool,
) -> Vec<&'a Sent> {
    let taken = |record: &Found| {
        let (Value::Avro(avro), sent) = (&record.value, sent.get(&record.id)?) else { return None };
        let received = at(avro.received_at).as_millis();
        // Records have whole milliseconds.
        let during = |a: &&Attempt| (a.began.as_millis()..=a.ended.as_millis()).contains(&received);
        sent.attempts.iter().filter(during).any(&broke).then_some(sent)
    };
    records.iter().filter_map(taken).collect()
}
