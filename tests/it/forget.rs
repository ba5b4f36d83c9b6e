//! What tools say of a topic's keys: where they are, and that one is to be forgotten.

use serde_json::json;

use crate::support::bridge::{Setup, words};
use crate::support::reader;

const DEAL: &str = "0a000000-0000-4000-8000-0000000000d1";

#[test]
fn an_entity_is_forgotten_by_a_tombstone_where_its_states_are() {
    let mut setup = Setup::new("forget");
    setup.partitions = 12;
    let bridge = setup.start();
    let body = json!({"event_key": "deal.updated", "payload": {"id": DEAL, "title": "T"}}).to_string();
    assert_eq!(bridge.deliver("wegly", &body).status, 200);
    let topic = bridge.topic("wegly.deal-latest");

    // Written otherwise, it is the same id.
    let forgotten = bridge.setup.run(&["forget", &topic, &DEAL.to_uppercase(), "--yes"]);
    assert!(forgotten.status.success(), "{}", words(&forgotten));
    let records = reader::read(&topic);
    assert_eq!(
        records.iter().map(|r| (r.key.as_str(), r.value.is_empty())).collect::<Vec<_>>(),
        [(DEAL, false), (DEAL, true)]
    );
    assert_eq!(records[0].partition, records[1].partition);
    let place = bridge.setup.run(&["where", &topic, DEAL]);
    assert_eq!((place.status.code(), words(&place)), (Some(0), format!("{}\n", records[0].partition)));
}

#[test]
fn only_what_is_a_latest_topics_can_be_forgotten() {
    let setup = Setup::new("forget-not");
    let topic = |name: &str| setup.topic(name);
    let (deals, latest) = (topic("wegly.deal"), topic("wegly.deal-latest"));
    for (args, code, expected) in [
        (["forget", &deals, DEAL], 64, "not a latest topic: expected one of"),
        (["forget", "wegly.deal-latest", DEAL], 64, "not a latest topic"),
        (["forget", &latest, "deal-1"], 64, "deal-1: not an id in the form of the keys of"),
        (["where", &deals, DEAL], 69, "missing topic"),
    ] {
        let output = setup.run(&args);
        assert_eq!(output.status.code(), Some(code), "{args:?} {}", words(&output));
        assert!(words(&output).contains(expected), "{args:?} {}", words(&output));
    }
    let gone = setup.run(&["forget", &latest, DEAL, "--yes"]);
    assert_eq!(gone.status.code(), Some(69), "{}", words(&gone));
    assert!(words(&gone).contains("missing topic"), "{}", words(&gone));
    let mut off = setup.clone();
    off.kafka = "latest_topics = false\n".into();
    assert!(words(&off.run(&["forget", &latest, DEAL])).contains("kafka.latest_topics is false"));
}

#[test]
fn where_needs_no_kafka_when_it_is_told_the_count() {
    let setup = Setup::new("where");
    let output = setup.run(&["where", "any", "21", "--partitions", "12", "--kafka", "127.0.0.1:1"]);
    assert_eq!(
        (output.status.code(), words(&output)),
        (Some(0), format!("{}\n", crate::partitions::partition_of_12("21")))
    );
    assert_eq!(setup.run(&["where", "any", "21", "--partitions", "0"]).status.code(), Some(64));
}
