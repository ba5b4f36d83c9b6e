//! What is pending, by records made up here.

use super::*;

const A: &str = "00000000-0000-8000-8000-00000000000a";
const B: &str = "00000000-0000-8000-8000-00000000000b";

fn record(id: &str, (partition, offset): (i32, i64), timestamp: i64, headers: &[(&str, &str)]) -> ReadRecord {
    ReadRecord {
        topic: "hookbridge.dead-letters".into(),
        partition,
        offset,
        timestamp: Some(timestamp),
        key: Some(id.into()),
        value: Some(b"{}".to_vec()),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
    }
}

fn letter(id: &str, place: (i32, i64), timestamp: i64, reason: &str) -> ReadRecord {
    let headers = [(REASON, reason), (SOURCE, "wegly"), ("ce_type", "wegly.lead.won"), (ERROR, "why")];
    record(id, place, timestamp, &headers)
}

fn mark(id: &str, place: (i32, i64), timestamp: i64) -> ReadRecord {
    ReadRecord { value: None, ..record(id, place, timestamp, &[(REPLAYED_AT, "2026-06-02T12:00:00Z")]) }
}

fn chosen(records: &[ReadRecord], filter: &Filter, replayed_too: bool) -> Vec<Letter> {
    let mut letters = Letters::default();
    for found in records {
        letters.take(found);
    }
    letters.chosen(filter, replayed_too)
}

fn pending(records: &[ReadRecord]) -> Vec<String> {
    chosen(records, &Filter::default(), false).iter().map(|letter| letter.id.to_string()).collect()
}

#[test]
fn a_mark_settles_what_stands_before_it_and_nothing_behind_it() {
    assert_eq!(pending(&[letter(A, (0, 0), 1, "unknown_type"), letter(B, (1, 0), 2, "unknown_type")]), [A, B]);
    assert_eq!(
        pending(&[letter(A, (0, 0), 1, "unknown_type"), letter(B, (0, 1), 2, "unknown_type"), mark(A, (0, 2), 3)]),
        [B]
    );
    // The time received of one that waited in the spool may be before that of the mark.
    let again = [letter(A, (0, 0), 1, "unknown_type"), mark(A, (0, 1), 9), letter(A, (0, 2), 5, "schema_violation")];
    let found = chosen(&again, &Filter::default(), false);
    assert_eq!((found.len(), &*found[0].reason, found[0].copies), (1, "schema_violation", 2));
}

#[test]
fn in_a_topic_that_was_given_more_partitions_time_decides() {
    let moved = [mark(A, (2, 0), 5), letter(A, (0, 0), 1, "unknown_type")];
    assert_eq!(pending(&moved), Vec::<String>::new());
    let newer = [letter(A, (1, 0), 7, "unknown_type"), mark(A, (2, 0), 5), letter(A, (0, 0), 1, "missing_key")];
    let found = chosen(&newer, &Filter::default(), false);
    assert_eq!((found.len(), &*found[0].reason), (1, "unknown_type"));
}

#[test]
fn those_that_were_replayed_are_told_apart_when_asked_for() {
    let records = [letter(A, (0, 0), 1, "unknown_type"), mark(A, (0, 1), 3), letter(B, (0, 2), 2, "unknown_type")];
    let all = chosen(&records, &Filter::default(), true);
    let replayed: Vec<_> = all.iter().map(|letter| letter.replayed_at).collect();
    assert_eq!(replayed, [Some(1_780_401_600_000), None]);
}

#[test]
fn a_mark_without_a_letter_and_what_others_wrote_are_nothing() {
    let odd = [
        mark(A, (0, 0), 1),
        record("no id", (0, 1), 1, &[(REASON, "unknown_type")]),
        record(B, (0, 2), 1, &[]),
        ReadRecord { key: None, ..letter(B, (0, 3), 1, "unknown_type") },
    ];
    assert!(chosen(&odd, &Filter::default(), true).is_empty());
}

#[test]
fn filters_narrow_together_and_each_takes_any_of_its_values() {
    let records = [letter(A, (0, 0), 10, "unknown_type"), letter(B, (0, 1), 20, "missing_key")];
    let count = |filter: Filter| chosen(&records, &filter, false).len();
    let none = Filter::default;
    assert_eq!(count(Filter { reasons: vec![Reason::UnknownType], ..none() }), 1);
    assert_eq!(count(Filter { reasons: vec![Reason::UnknownType, Reason::MissingKey], ..none() }), 2);
    assert_eq!(count(Filter { sources: vec!["wegly".into()], from: Some(11), ..none() }), 1);
    assert_eq!(count(Filter { sources: vec!["whazing".into()], ..none() }), 0);
    assert_eq!(count(Filter { event_types: vec!["lead.won".into()], to: Some(20), ..none() }), 1);
    assert_eq!(count(Filter { event_types: vec!["wegly.lead.won".into()], ..none() }), 2);
    assert_eq!(count(Filter { event_types: vec!["won".into()], ..none() }), 0);
    assert_eq!(count(Filter { ids: BTreeSet::from([B.parse().unwrap()]), ..none() }), 1);
}
