//! Tests of the checker: a story with one thing wrong in it, and the checker must find that and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use libtest_mimic::Trial;

use crate::check::{Order, Verdict, check};
use crate::events::{DEAD_LETTERS, Entity, entities};
use crate::history::{Answer, Attempt, Sent};
use crate::record::{Avro, Found, Value};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, fn()); 10] = [
        ("what_is_as_it_should_be_has_no_complaint", what_is_as_it_should_be_has_no_complaint),
        ("an_accepted_event_that_is_not_there_is_lost", an_accepted_event_that_is_not_there_is_lost),
        ("an_event_that_nobody_accepted_may_be_missing", an_event_that_nobody_accepted_may_be_missing),
        (
            "a_first_occurrence_after_a_later_event_is_out_of_order",
            a_first_occurrence_after_a_later_event_is_out_of_order,
        ),
        ("a_duplicate_at_any_place_is_no_disorder", a_duplicate_at_any_place_is_no_disorder),
        ("a_duplicate_with_another_id_is_reported", a_duplicate_with_another_id_is_reported),
        ("a_duplicate_with_another_value_is_reported", a_duplicate_with_another_value_is_reported),
        ("a_record_under_another_key_or_topic_is_reported", a_record_under_another_key_or_topic_is_reported),
        (
            "where_partitions_were_added_each_has_an_order_of_its_own",
            where_partitions_were_added_each_has_its_own_order,
        ),
        ("what_is_too_large_may_be_a_dead_letter_for_that_reason", what_is_too_large_may_be_a_dead_letter),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(format!("check::{name}"), move || {
                test();
                Ok(())
            })
        })
        .collect()
}

const PLACES: usize = 3;

/// Three events of one deal, each accepted, and their records.
fn story() -> (BTreeMap<String, Sent>, Vec<Found>) {
    let deal: Entity = entities(1).remove(0);
    let events: Vec<_> = (0..3).map(|number| deal.event(number, 10)).collect();
    let attempt = |number: u64| Attempt {
        began: Duration::from_secs(number),
        ended: Duration::from_secs(number + 1),
        answer: Answer::Accepted("published".into()),
    };
    let sent = events.iter().enumerate().map(|(number, event)| {
        let sent = Sent { event: event.clone(), attempts: vec![attempt(number as u64)], may_be_gone: false };
        (event.id.clone(), sent)
    });
    let record = |place: usize| {
        let event = &events[place];
        let avro = Avro {
            schema_id: 7,
            id: event.id.clone(),
            entity_id: event.key.clone(),
            received_at: 1000,
            rest: event.body.clone(),
        };
        Found {
            topic: event.topic.into(),
            partition: 0,
            place,
            key: event.key.clone(),
            id: event.id.clone(),
            reason: String::new(),
            value: Value::Avro(avro),
        }
    };
    (sent.collect(), (0..PLACES).map(record).collect())
}

fn change(record: &mut Found, change: impl FnOnce(&mut Avro)) {
    if let Value::Avro(avro) = &mut record.value {
        change(avro);
    }
}

fn counts(verdict: &Verdict) -> [usize; 5] {
    let Verdict { duplicates, lost, disorder, differing, strangers, .. } = verdict;
    [*duplicates, lost.len(), disorder.len(), differing.len(), strangers.len()]
}

fn what_is_as_it_should_be_has_no_complaint() {
    let (sent, records) = story();
    let verdict = check(&sent, &records, Order::ByTopic);
    assert_eq!(verdict, Verdict { present: 3, ..Verdict::default() });
    assert!(verdict.complaints().is_empty());
}

fn an_accepted_event_that_is_not_there_is_lost() {
    let (sent, mut records) = story();
    let gone = records.remove(1);
    let verdict = check(&sent, &records, Order::ByTopic);
    assert_eq!(counts(&verdict), [0, 1, 0, 0, 0], "{verdict:?}");
    let complaint = verdict.complaints().remove(0);
    assert!(complaint.contains(&gone.id) && complaint.contains("around it in Kafka: [0, 2]"), "{complaint}");
}

fn an_event_that_nobody_accepted_may_be_missing() {
    let (mut sent, mut records) = story();
    let gone = records.remove(2);
    sent.get_mut(&gone.id).unwrap().attempts[0].answer = Answer::Silence;
    assert_eq!(counts(&check(&sent, &records, Order::ByTopic)), [0; 5]);
}

fn a_first_occurrence_after_a_later_event_is_out_of_order() {
    let (sent, mut records) = story();
    records.swap(1, 2);
    let verdict = check(&sent, &records, Order::ByTopic);
    assert_eq!(counts(&verdict), [0, 0, 1, 0, 0], "{verdict:?}");
    assert!(verdict.complaints()[0].contains("[0, 2, 1]"), "{verdict:?}");
}

fn a_duplicate_at_any_place_is_no_disorder() {
    let (sent, mut records) = story();
    // Sent again by its sender: received at another time, perhaps under a new registry's id.
    let mut again = records[0].clone();
    change(&mut again, |avro| (avro.received_at, avro.schema_id) = (2000, 9));
    records.push(again);
    let verdict = check(&sent, &records, Order::ByTopic);
    assert_eq!(counts(&verdict), [1, 0, 0, 0, 0], "{verdict:?}");
}

fn a_duplicate_with_another_id_is_reported() {
    let (sent, mut records) = story();
    let mut again = records[0].clone();
    again.id = "ffffffff-ffff-8fff-8fff-ffffffffffff".into();
    records.push(again);
    assert_eq!(counts(&check(&sent, &records, Order::ByTopic)), [0, 0, 0, 0, 1]);
    // In the header only another event's id: the record belongs to neither.
    let (sent, mut records) = story();
    let mut again = records[0].clone();
    again.id.clone_from(&records[1].id);
    records.push(again);
    let verdict = check(&sent, &records, Order::ByTopic);
    assert!(!verdict.differing.is_empty(), "{verdict:?}");
}

fn a_duplicate_with_another_value_is_reported() {
    let (sent, mut records) = story();
    let mut again = records[0].clone();
    change(&mut again, |avro| avro.rest.push(0));
    records.push(again);
    assert_eq!(counts(&check(&sent, &records, Order::ByTopic)), [1, 0, 0, 1, 0]);
}

fn a_record_under_another_key_or_topic_is_reported() {
    for at in 0..2 {
        let (sent, mut records) = story();
        *[&mut records[0].key].into_iter().next().unwrap() =
            if at == 0 { "other".into() } else { records[0].key.clone() };
        if at == 1 {
            records[0].topic = "wegly.lead".into();
        }
        let verdict = check(&sent, &records, Order::ByTopic);
        assert_eq!(counts(&verdict), [0, 0, 0, 1, 0], "{verdict:?}");
    }
}

fn where_partitions_were_added_each_has_its_own_order() {
    let (sent, mut records) = story();
    records.swap(1, 2);
    records[1].partition = 1;
    assert_eq!(counts(&check(&sent, &records, Order::ByPartition)), [0; 5]);
    assert_eq!(counts(&check(&sent, &records, Order::ByTopic)), [0, 0, 1, 0, 0]);
    records[2].partition = 1;
    assert_eq!(counts(&check(&sent, &records, Order::ByPartition)), [0, 0, 1, 0, 0]);
}

fn what_is_too_large_may_be_a_dead_letter() {
    let (mut sent, mut records) = story();
    let event = sent.get(&records[2].id).unwrap().event.clone();
    let dead = Found {
        topic: DEAD_LETTERS.into(),
        key: event.id.clone(),
        reason: "record_too_large".into(),
        value: Value::DeadLetter(event.body.clone()),
        ..records[2].clone()
    };
    // It was written, its acknowledgement was lost, and it was refused the second time.
    records.push(dead.clone());
    assert_eq!(counts(&check(&sent, &records, Order::ByTopic)), [1, 0, 0, 2, 0]);
    sent.get_mut(&event.id).unwrap().event.large = true;
    assert_eq!(counts(&check(&sent, &records, Order::ByTopic)), [1, 0, 0, 0, 0]);
    records[2] = Found { reason: "kafka_rejected".into(), ..dead };
    records.truncate(3);
    assert_eq!(counts(&check(&sent, &records, Order::ByTopic)), [0, 0, 0, 1, 0]);
}
