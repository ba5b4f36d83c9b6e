//! Partitions without a leader: who is told, and that nothing else suffers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::partitions;
use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::mock::Mock;
use crate::support::{eventually, reader};

/// On the mock cluster every topic has so many.
const PARTITIONS: i32 = 3;

/// Ids of which the keys go to this partition.
fn ids_in(partition: i32) -> impl Iterator<Item = String> {
    let ids = (0..).map(|n| format!("00000000-0000-4000-8000-{n:012}"));
    ids.filter(move |id| partitions::partition_of(id, PARTITIONS as u32) == partition)
}

/// A lead of which the key goes to this partition.
fn lead_in(partition: i32) -> String {
    lead(&ids_in(partition).next().unwrap(), 0)
}

fn lead(id: &str, code: u32) -> String {
    format!(r#"{{"event_key":"lead.updated","payload":{{"id":"{id}","code":{code}}}}}"#)
}

fn leaderless(bridge: &Bridge, topic: &str) -> u64 {
    let topic = bridge.topic(topic);
    let labels = format!("{{reason=\"leaderless\",topic=\"{topic}\"}}");
    bridge.metric(&format!("hookbridge_kafka_partitions_unwritable{labels}"))
}

fn note(bridge: &Bridge) -> Value {
    bridge.readyz().1["kafka"]["note"].clone()
}

fn lines(bridge: &Bridge, words: &str) -> Vec<String> {
    bridge.log().into_iter().filter(|line| line.contains(words)).collect()
}

#[test]
fn a_partition_without_a_leader_is_told_of_everywhere_and_takes_no_bridge_out_of_use() {
    let (kafka, bridge) = Bridge::on_its_own_kafka("leaderless", "");
    let topic = bridge.topic("wegly.lead");
    assert_eq!((leaderless(&bridge, "wegly.lead"), note(&bridge)), (0, Value::Null));
    kafka.lead(&topic, 1, false);
    assert_eq!(bridge.deliver("wegly", lead_in(1)).sum(), (202, "spooled".into()));
    eventually("it is seen", SOON, || (leaderless(&bridge, "wegly.lead") == 1).then_some(()));
    assert_eq!(leaderless(&bridge, "wegly.deal"), 0);
    let (status, report) = bridge.readyz();
    assert_eq!((status, &report["kafka"]["ok"]), (200, &true.into()), "{report}");
    let expected = format!("{topic} 1 (no leader)");
    assert!(report["kafka"]["note"].as_str().unwrap().ends_with(&expected), "{report}");
    assert_eq!(bridge.metric("hookbridge_kafka_up"), 1);
    let output = bridge.setup.run(&["check"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("FAIL   topic {topic}: partition 1 has no leader and cannot be written")), "{said}");

    kafka.lead(&topic, 1, true);
    eventually("the end is seen", SOON, || (leaderless(&bridge, "wegly.lead") == 0).then_some(()));
    assert_eq!(note(&bridge), Value::Null);
    let lane = format!("hookbridge_spool_records{{lane=\"{topic}\"}}");
    eventually("what waited is published", SOON, || (bridge.metric(&lane) == 0).then_some(()));
    let began = bridge.says("cannot write some partitions");
    assert!(began.len() == 1 && began[0].contains(&expected), "{began:?}");
    assert_eq!(bridge.says("can write all partitions again").len(), 1);
}

/// By key the `code` of what is in the topic, each once.
fn written(kafka: &Mock, topic: &str) -> BTreeMap<String, Vec<i64>> {
    let mut written: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for record in reader::read_from(&kafka.address, topic) {
        let codes = written.entry(record.key.clone()).or_default();
        let code = record.decode()["lead"]["code"].as_i64().unwrap();
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    written
}

#[test]
fn a_partition_without_a_leader_holds_up_its_own_keys_and_no_others() {
    let (kafka, bridge) = Bridge::on_its_own_kafka("leaderless-others", "");
    let topic = bridge.topic("wegly.lead");
    let waiting = || bridge.metric(&format!("hookbridge_spool_records{{lane=\"{topic}\"}}"));
    let ids: Vec<Vec<_>> = (0..PARTITIONS).map(|partition| ids_in(partition).take(4).collect()).collect();
    let deliver = |id: &String, code| bridge.deliver("wegly", lead(id, code)).sum();
    let (published, spooled) = ((200, "published".into()), (202, "spooled".into()));

    // A backlog of all, while nothing is written.
    kafka.go_down();
    bridge.wait_kafka(false);
    for code in 0..3 {
        ids.iter().flatten().for_each(|id| assert_eq!(deliver(id, code), spooled));
    }
    kafka.lead(&topic, 1, false);
    kafka.come_up();
    eventually("the other partitions' events are written", SOON, || (waiting() == 12).then_some(()));
    for code in 3..6 {
        for (partition, ids) in ids.iter().enumerate() {
            let due = if partition == 1 { &spooled } else { &published };
            for id in ids {
                assert_eq!(deliver(id, code), *due, "partition {partition}");
            }
        }
    }
    assert_eq!(waiting(), 24);

    kafka.lead(&topic, 1, true);
    eventually("what waited is published", SOON, || (waiting() == 0).then_some(()));
    eventually("its keys are written at once again", SOON, || (deliver(&ids[1][0], 6) == published).then_some(()));
    let (written, all) = (written(&kafka, &topic), [0, 1, 2, 3, 4, 5]);
    ids.iter().flatten().for_each(|id| assert_eq!(written[id][..6], all, "{id}"));
}

#[test]
fn a_bridge_that_cannot_write_any_event_says_that_kafka_is_at_fault() {
    const NO_SPOOL: &str = "[spool]\nmax_bytes = 0\n";
    let (kafka, bridge) = Bridge::on_its_own_kafka("leaderless-all", NO_SPOOL);
    let topics = ["wegly.chat", "wegly.contract", "wegly.deal", "wegly.delivery", "wegly.lead", "wegly.satisfaction"];
    let topics = topics.iter().chain(&["wegly.task", "whazing.channel", "whazing.message", "whazing.tenant"]);
    let lead = |topic: &str, lead| (0..PARTITIONS).for_each(|id| kafka.lead(&bridge.topic(topic), id, lead));
    topics.for_each(|topic| lead(topic, false));
    // One topic is left.
    assert_eq!(bridge.deliver("wegly", lead_in(0)).status, 503);
    eventually("it is seen", SOON, || (leaderless(&bridge, "wegly.lead") == 3).then_some(()));
    assert_eq!((bridge.readyz().0, bridge.metric("hookbridge_kafka_up")), (200, 1));
    lead("whazing.ticket", false);
    let report = bridge.wait_not_ready();
    assert!(report["kafka"]["reason"].as_str().unwrap().contains("no partition can be written"), "{report}");
    assert_eq!(bridge.metric("hookbridge_kafka_up"), 0);
    lead("whazing.ticket", true);
    bridge.wait_ready();
}

/// With longer, states are written without the others being known.
const HOLD: Duration = Duration::from_secs(20);

#[test]
fn a_leaderless_partition_of_a_latest_topic_holds_up_no_other_state_at_the_start() {
    let (kafka, setup) = Setup::on_its_own_kafka("leaderless-latest", &[]);
    kafka.lead(&setup.topic("wegly.deal-latest"), 1, false);
    let bridge = setup.start_unready();
    bridge.wait_kafka(true);
    let mut codes = 0..;
    eventually("states are written", HOLD / 2, || {
        let body = lead("00000000-0000-4000-8000-000000000001", codes.next()?);
        (bridge.deliver("wegly", body).status == 200).then_some(())
    });
    assert_eq!(lines(&bridge, "are not known yet"), [""; 0]);
}
