//! Reads topics on from where it read to last.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::support::reader::Record;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) struct Follower {
    consumer: BaseConsumer,
    /// Each of one partition, with the offset that is to be read next.
    topics: Vec<(String, i64)>,
}

impl Follower {
    /// Reads topics of one partition each, from their beginning.
    pub(crate) fn of(bootstrap: &str, topics: impl Iterator<Item = String>) -> Follower {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "follows by assignment")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        let topics: Vec<_> = topics.map(|topic| (topic, 0)).collect();
        let mut assigned = TopicPartitionList::new();
        for (topic, _) in &topics {
            assigned.add_partition_offset(topic, 0, Offset::Beginning).expect("a partition");
        }
        consumer.assign(&assigned).expect("assigned");
        Follower { consumer, topics }
    }

    /// What has come since, topic by topic.
    pub(crate) fn more(&mut self) -> Vec<Record> {
        let consumer = &self.consumer;
        let end = |topic: &str| consumer.fetch_watermarks(topic, 0, LIMIT).expect("watermarks").1;
        let ends: Vec<_> = self.topics.iter().map(|(topic, _)| end(topic)).collect();
        let (mut records, started) = (Vec::new(), Instant::now());
        while self.topics.iter().zip(&ends).any(|((_, next), end)| next < end) {
            assert!(started.elapsed() < LIMIT, "{:?}, and not yet {ends:?}", self.topics);
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
            let topic = self.topics.iter_mut().find(|(topic, _)| topic == message.topic());
            topic.expect("a topic of ours").1 = message.offset() + 1;
            records.push(Record::of(&message));
        }
        records
    }
}
