//! Single records of a topic, by their places.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Consumer, PATIENCE, POLL, ReadError, ReadRecord, connect, failed};
use crate::config::KafkaSettings;

/// Up to so many records that nobody asked for are read over rather than begun anew behind.
const GAP: i64 = 100;

/// Where a record stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordPlace {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Reads records of one topic, at the places that are asked for.
pub(crate) struct PlaceReader<'a> {
    consumer: Consumer,
    kafka: &'a KafkaSettings,
    topic: &'a str,
}

impl<'a> PlaceReader<'a> {
    /// Connects when first asked.
    ///
    /// # Errors
    /// When librdkafka does not take a property.
    pub(crate) fn of(kafka: &'a KafkaSettings, topic: &'a str) -> Result<Self, ReadError> {
        Ok(PlaceReader { consumer: connect(kafka, "earliest")?, kafka, topic })
    }

    /// The records at `places`, in any order; without those that are no longer there.
    ///
    /// # Errors
    /// Kafka's own words, or that it sends none.
    pub(crate) fn read(&self, places: impl IntoIterator<Item = RecordPlace>) -> Result<Vec<ReadRecord>, ReadError> {
        let mut wanted: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
        for RecordPlace { partition, offset } in places {
            wanted.entry(partition).or_default().insert(offset);
        }
        let mut found = Vec::new();
        while !wanted.is_empty() {
            self.read_runs(&mut wanted, &mut found)?;
            wanted.retain(|_, offsets| !offsets.is_empty());
        }
        Ok(found)
    }

    /// Reads the first run of each partition.
    fn read_runs(
        &self,
        wanted: &mut BTreeMap<i32, BTreeSet<i64>>,
        found: &mut Vec<ReadRecord>,
    ) -> Result<(), ReadError> {
        let fail = |e| failed(&self.consumer, &e);
        let mut assigned = TopicPartitionList::new();
        let mut ends = BTreeMap::new();
        for (&partition, offsets) in &*wanted {
            let Some((first, last)) = first_run(offsets) else { continue };
            assigned.add_partition_offset(self.topic, partition, Offset::Offset(first)).map_err(fail)?;
            ends.insert(partition, last);
        }
        self.consumer.assign(&assigned).map_err(fail)?;
        let mut heard = Instant::now();
        while !ends.is_empty() {
            let Some(polled) = self.consumer.poll(POLL) else {
                if heard.elapsed() > PATIENCE {
                    let servers = self.kafka.bootstrap_servers.clone();
                    return Err(ReadError::TooSlow { servers, topic: self.topic.to_owned() });
                }
                continue;
            };
            heard = Instant::now();
            let message = polled.map_err(fail)?;
            let (partition, offset) = (message.partition(), message.offset());
            let (Some(offsets), Some(&last)) = (wanted.get_mut(&partition), ends.get(&partition)) else { continue };
            if offsets.contains(&offset) {
                found.push(ReadRecord::from(&message));
            }
            // What was passed and not seen is gone.
            offsets.retain(|&wanted| wanted > offset);
            if offset >= last {
                ends.remove(&partition);
            }
        }
        Ok(())
    }
}

/// The first and last of those offsets that are read in one go.
fn first_run(offsets: &BTreeSet<i64>) -> Option<(i64, i64)> {
    let first = *offsets.first()?;
    let last = offsets.iter().fold(first, |last, &offset| if offset - last <= GAP { offset } else { last });
    Some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_where_reading_over_what_lies_between_would_take_long() {
        for (offsets, run) in [
            (vec![], None),
            (vec![7], Some((7, 7))),
            (vec![7, 8, 60, 160, 261, 262], Some((7, 160))),
            (vec![0, 1000, 1001], Some((0, 0))),
        ] {
            assert_eq!(first_run(&offsets.into_iter().collect()), run);
        }
    }
}
