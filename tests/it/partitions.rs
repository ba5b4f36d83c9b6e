//! A key goes to the partition where the Java client would put it, so that topics written by either can be joined.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::bridge::{Bridge, Setup};
use crate::support::reader;

/// Made with the Java client; its header says how.
const GOLDEN: &str = include_str!("murmur2.txt");

fn golden() -> BTreeMap<&'static str, i32> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').unwrap()).map(|(key, partition)| (key, partition.parse().unwrap())).collect()
}

/// The program's own answer; its golden vectors are those above.
#[path = "../../src/kafka/partition.rs"]
mod own;

pub(crate) fn partition_of_12(key: &str) -> i32 {
    partition_of(key, 12)
}

pub(crate) fn partition_of(key: &str, partitions: u32) -> i32 {
    own::of_key(key.as_bytes(), partitions) as i32
}

/// Source, topic and body of an event whose key is `key`.
fn event_with_key(key: &str) -> (&'static str, &'static str, String) {
    if key.len() == 36 && key.matches('-').count() == 4 {
        let body = json!({"event_key": "lead.updated", "payload": {"id": key}});
        return ("wegly", "wegly.lead", body.to_string());
    }
    if key.parse::<i64>().is_ok_and(|number| number.to_string() == key) {
        return ("whazing", "whazing.ticket", format!(r#"{{"Type":"NewTicket","ticket":{{"id":{key}}}}}"#));
    }
    ("whazing", "whazing.tenant", json!({"newTenantTest": true, "email": key}).to_string())
}

fn check_topic(bridge: &Bridge, topic: &str) -> usize {
    let golden = golden();
    let records = reader::read(&bridge.topic(topic));
    for record in &records {
        assert_eq!(record.partition, golden[record.key.as_str()], "{topic} {}", record.key);
    }
    records.len()
}

#[test]
fn keys_land_where_the_java_client_puts_them() {
    let mut setup = Setup::new("partitions");
    setup.partitions = 12;
    let bridge = setup.start();
    for key in golden().into_keys() {
        let (source, _, body) = event_with_key(key);
        assert_eq!(bridge.deliver(source, &body).status, 200, "{body}");
    }
    let found = ["wegly.lead", "whazing.ticket", "whazing.tenant"].map(|topic| check_topic(&bridge, topic));
    assert_eq!(found.iter().sum::<usize>(), golden().len());
    assert!(found.iter().all(|count| *count > 10), "{found:?}");
}
