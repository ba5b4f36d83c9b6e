//! Readers in other languages, on what `dev` has: Kafka's Java client, in a consumer group.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use crate::dev::Dev;
use crate::support::java::{KafkaProgram, available};
use crate::support::skip;

const TOPIC: &str = "wegly.deal";

fn here(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// How many records each key has.
fn count<'a>(keys: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key.to_owned()).or_default() += 1);
    counts
}

fn lines(output: &Output) -> impl Iterator<Item = &str> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    str::from_utf8(&output.stdout).unwrap().lines()
}

/// A `dev` with deals in it, and how many records each of their keys has.
fn dev_with_deals() -> (Dev, BTreeMap<String, usize>) {
    let dev = Dev::start();
    assert!(dev.send(&["wegly", "--count", "200"]).status.success());
    let records = dev.tail(&[TOPIC]);
    let keys = count(records.iter().map(|record| record["key"].as_str().unwrap()));
    assert!(keys.len() > 10, "{keys:?}");
    (dev, keys)
}

#[test]
fn kafkas_java_client_reads_from_dev() {
    let program = match available(17).and_then(|()| KafkaProgram::get()) {
        Ok(program) => program,
        Err(missing) => return skip("Java reads from dev", &missing, "install a JDK of 17 or later, and Maven"),
    };
    let (dev, keys) = dev_with_deals();
    let records: usize = keys.values().sum();
    let output = Command::new("java")
        .args(["-cp", program.class_path(), &here("tests/it/Read.java"), &dev.kafka, TOPIC, &records.to_string()])
        .output()
        .unwrap();
    assert_eq!(count(lines(&output)), keys);
}
