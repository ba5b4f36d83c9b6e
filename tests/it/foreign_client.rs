//! The topics read back by clients that nobody here wrote: Python's `confluent-kafka` and `fastavro`, in a virtual
//! environment of their own under `target/test-servers`.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::partitions::partition_of_12;
use crate::publishes::deliver_all;
use crate::support::bridge::Setup;
use crate::support::payloads::assert_same;
use crate::support::servers::servers;
use crate::support::{python, skip};

/// The versions a run was last seen to work with.
pub(crate) const PACKAGES: [&str; 2] = ["confluent-kafka==2.16.1", "fastavro==1.13.1"];

/// What the foreign client reads in `topics`, by event id; `None`, said loudly, where it cannot be had.
pub(crate) fn read_back(bootstrap: &str, registry: &str, topics: &[String]) -> Option<BTreeMap<String, Value>> {
    let python = match python::python("venv", &PACKAGES) {
        Ok(python) => python,
        Err(missing) => {
            skip("the foreign client", &missing, python::ENABLE);
            return None;
        }
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/read_back.py");
    let output = Command::new(python).arg(script).args([bootstrap, registry]).args(topics).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    Some(lines.map(|l| (l["headers"]["ce_id"].as_str().unwrap().to_owned(), l)).collect())
}

#[test]
fn a_foreign_client_reads_back_every_value_sent() {
    let mut setup = Setup::new("foreign");
    setup.partitions = 12;
    let bridge = setup.start();
    let sent = deliver_all(&bridge, 2);
    let mut topics: Vec<_> = sent.iter().map(|sent| bridge.topic(&sent.event_type.topic)).collect();
    topics.sort();
    topics.dedup();

    let Some(found) = read_back(&servers().kafka, &servers().registry, &topics) else { return };
    assert_eq!(found.len(), sent.len());

    for sent in &sent {
        let name = sent.event_type.name;
        let line = found.get(&sent.id).unwrap_or_else(|| panic!("{name} {} is not there", sent.id));
        assert_eq!(line["topic"], bridge.topic(&sent.event_type.topic), "{name}");
        assert_eq!(line["key"], sent.key, "{name}");
        assert_eq!(line["partition"], partition_of_12(&sent.key), "{name}: {}", sent.key);
        assert_eq!(line["headers"]["ce_type"], format!("{}.{name}", sent.source()));
        assert_eq!(line["headers"]["ce_subject"], sent.key, "{name}");
        let received_at = line["timestamp"].as_i64().unwrap();
        assert!((sent.window.0..=sent.window.1).contains(&received_at), "{name}");
        assert_same(&sent.due(received_at), &line["record"], name);
    }
}
