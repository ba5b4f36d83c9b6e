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

/// Kafka's murmur2 of `key` over 12 partitions. The golden vectors are its judge.
pub(crate) fn partition_of_12(key: &str) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let bytes = key.as_bytes();
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (k ^ (k >> 24)).wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    ((hash ^ (hash >> 15)) & 0x7fff_ffff) as i32 % 12
}

#[test]
fn the_tests_own_murmur2_is_the_java_clients() {
    assert!(golden().len() >= 60);
    for (key, partition) in golden() {
        assert_eq!(partition_of_12(key), partition, "{key}");
    }
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
