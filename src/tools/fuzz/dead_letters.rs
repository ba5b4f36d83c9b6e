//! Dead letters: one that was written is read back as the delivery it was, without what is redacted; and whatever stands in
//! the topic, each event is pending or replayed, once.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::{SOURCES, split};
use crate::kafka::dead_letter;
use crate::kafka::route::{Event, Record};
use crate::outcome::{Reason, Rejection};
use crate::source::verify::Verified;
use crate::tools::dead_letter_index::{Filter, Letters, RecordKind};
use crate::tools::read::ReadRecord;
use crate::tools::replay::restore;
use crate::values::redact;

/// The bytes as a body with headers, and as records of the topic.
pub fn dead_letters(data: &[u8]) {
    check_round(data);
    check_topic(data);
}

/// Header lines, an empty line, and a body, received by the source that the first byte tells.
fn check_round(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let source = SOURCES.values().nth(usize::from(choice) % SOURCES.len()).unwrap();
    let at = rest.windows(2).position(|window| window == b"\n\n");
    let (lines, body) = at.map_or((&[][..], rest), |at| (&rest[..at], &rest[at + 2..]));
    let id = "9a67c00d-b2c5-8677-8489-2cf44ff60965";
    let delivery =
        Verified::kept(id.into(), Arc::clone(source), lines, Bytes::copy_from_slice(body), 1_780_401_600_123);
    let rejection = Rejection { reason: Reason::ALL[usize::from(choice) % 6], error: "payload.x: why".into() };
    let event = Event { delivery: &delivery, event_type: None, key: None, occurred_at: None };
    let record = dead_letter::record(&"dead-letters".into(), &event, &rejection);
    check_blanked(body, record.value.as_deref().unwrap_or_default(), &source.profile.guarded);

    let mut letters = Letters::default();
    letters.take(&found(&record, (0, 0)));
    let chosen = letters.chosen(&Filter::default(), false);
    let [letter] = &chosen[..] else { panic!("{} letters", chosen.len()) };
    assert_eq!((&*letter.reason, &*letter.source), (rejection.reason.code(), source.name.as_str()));
    let restored = restore(letter, source, found(&record, (0, 0)));
    assert_eq!(restored.id(), delivery.id());
    assert_eq!(restored.received_at(), delivery.received_at());
    assert_eq!(restored.headers(), delivery.headers());
    assert_eq!(Some(restored.body()), record.value.as_ref());
}

/// What left of a body is the body, but for the redacted fields, whose values are nowhere.
fn check_blanked(body: &[u8], left: &[u8], names: &redact::GuardedNames) {
    let Ok(sent) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    let Ok(left) = std::str::from_utf8(left) else { panic!("JSON became bytes") };
    assert_eq!(redact::blank(left, names), left, "something was left to blank");
    let blanked: serde_json::Value = serde_json::from_str(left).unwrap();
    assert!(is_blanked(&sent, &blanked, names), "{left}");
}

fn is_blanked(sent: &serde_json::Value, left: &serde_json::Value, names: &redact::GuardedNames) -> bool {
    use serde_json::Value::{Array, Object, String};
    match (sent, left) {
        (Object(sent), Object(left)) => {
            sent.len() == left.len()
                && sent.iter().all(|(key, value)| match left.get(key) {
                    Some(left) if names.has(key) => left == "",
                    Some(left) => is_blanked(value, left, names),
                    None => false,
                })
        }
        (Array(sent), Array(left)) => {
            sent.len() == left.len() && sent.iter().zip(left).all(|(sent, left)| is_blanked(sent, left, names))
        }
        (String(sent_text), String(left_text)) if sent_text != left_text => {
            // JSON text in a string.
            let (sent, left) = (serde_json::from_str(sent_text), serde_json::from_str(left_text));
            sent.ok().zip(left.ok()).is_some_and(|(sent, left)| is_blanked(&sent, &left, names))
        }
        _ => sent == left,
    }
}

fn found(record: &Record, (partition, offset): (i32, i64)) -> ReadRecord {
    ReadRecord {
        topic: record.topic.to_string(),
        partition,
        offset,
        timestamp: Some(record.timestamp),
        key: Some(record.key.clone().into_bytes()),
        value: record.value.as_deref().map(<[u8]>::to_vec),
        headers: record.headers.iter().map(|(name, value)| (name.to_string(), value.to_vec())).collect(),
    }
}

/// Lines are records: their place and time, whether they have a value, a key and headers `name: value`, parted by tabs.
fn check_topic(data: &[u8]) {
    let mut records = Vec::new();
    for (offset, line) in data.split(|&byte| byte == b'\n').enumerate() {
        let [place, key_and_headers @ ..] = line else { continue };
        let mut parts = key_and_headers.split(|&byte| byte == b'\t');
        let key = parts.next().filter(|key| !key.is_empty()).map(<[u8]>::to_vec);
        let headers = parts.filter_map(|part| {
            let (name, value) = split(part, b':');
            Some((std::str::from_utf8(name).ok()?.to_owned(), value.trim_ascii_start().to_vec()))
        });
        records.push(ReadRecord {
            topic: "dead-letters".into(),
            partition: i32::from(place & 3),
            offset: offset as i64,
            timestamp: (place & 4 == 0).then_some(i64::from(place >> 4)),
            headers: headers.collect(),
            value: (place & 8 == 0).then(|| line.to_vec()),
            key,
        });
    }
    let read = |wanted: bool| {
        let mut letters = Letters::default();
        for found in &records {
            letters.take(found);
        }
        letters.chosen(&Filter::default(), wanted)
    };
    let (pending, all) = (read(false), read(true));
    let kinds: Vec<_> = records.iter().filter_map(RecordKind::of).collect();
    let written: BTreeSet<_> =
        kinds.iter().filter(|(_, kind)| *kind == RecordKind::Letter).map(|(id, _)| *id).collect();
    assert_eq!(all.iter().map(|letter| letter.id).collect::<BTreeSet<_>>(), written);
    assert_eq!(all.len(), written.len(), "an event stands twice");
    for letter in &all {
        let is_pending = pending.iter().any(|other| other.id == letter.id);
        assert_eq!(is_pending, letter.replayed_at.is_none());
        assert!(letter.copies > 0);
        let source = SOURCES.values().next().unwrap();
        let found = records.iter().find(|found| found.place() == letter.place).unwrap();
        let restored = restore(letter, source, found.clone());
        assert_eq!(restored.id(), letter.id.to_string());
    }
}
