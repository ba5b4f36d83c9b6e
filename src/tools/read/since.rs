//! Whether Kafka is right that a partition has no record since some time.
//!
//! The embedded broker of `dev` keeps no index of times, and answers with the end of the partition whatever it is asked.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{PartitionOf, ReadError, Reader, connect, failed};
use crate::config::KafkaSettings;

/// Those of the partitions that `ends` has, with their ends, whose last record is of `since` or later.
pub(super) fn with_newer_records(
    kafka: &KafkaSettings,
    ends: BTreeMap<PartitionOf, i64>,
    since: i64,
) -> Result<BTreeSet<PartitionOf>, ReadError> {
    let mut newer = BTreeSet::new();
    if ends.is_empty() {
        return Ok(newer);
    }
    let consumer = connect(kafka, "latest")?;
    let mut last = TopicPartitionList::new();
    for ((topic, partition), end) in &ends {
        let fail = |error| failed(&consumer, &error);
        last.add_partition_offset(topic, *partition, Offset::Offset(end - 1)).map_err(fail)?;
    }
    consumer.assign(&last).map_err(|error| failed(&consumer, &error))?;
    let mut reader = Reader::of(consumer, ends);
    while let Some(record) = reader.next()? {
        if record.timestamp.is_some_and(|timestamp| timestamp >= since) {
            newer.insert((record.topic, record.partition));
        }
    }
    Ok(newer)
}
