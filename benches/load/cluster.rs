//! The Kafka and the registry that all contenders use, and what is in their topics.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;

use crate::distance::Distance;
use crate::support::RUNTIME;
use crate::support::bridge::{SOON, TOPICS};
use crate::support::java::{self, Kafka, Server};
use crate::support::kafka_nodes;
use crate::support::mock::Mock;
use crate::support::reader::{self, Record};

/// Partitions of each topic: what `kafka.partitions` is by default.
pub(crate) const PARTITIONS: i32 = 12;

/// Records as large as the largest bodies; and the files of deleted topics go at once, since there are gigabytes of them.
const PROPERTIES: &str = "message.max.bytes=33554432\nlog.segment.delete.delay.ms=1000\n";

/// What Kafka's own start script tells its JVM.
const JVM: [&str; 6] = [
    "-Xms1g",
    "-Xmx1g",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// The same for each of several nodes on one machine.
const JVM_OF_SEVERAL: [&str; 4] = ["-Xms512m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];

/// What each of several nodes has beside that: every record is on three disks before it is acknowledged.
const REPLICATED: &str = "default.replication.factor=3\nmin.insync.replicas=2\n";

/// Which Kafka.
pub(crate) struct Kind {
    /// None, but a stand-in that acknowledges after this time.
    pub(crate) stand_in: Option<Duration>,
    pub(crate) brokers: usize,
    /// How much later each byte arrives, each way.
    pub(crate) distance: Option<Duration>,
}

/// Starts an Apache Kafka, at a distance if there is to be one.
fn start_kafka(kind: &Kind) -> Result<Broker, String> {
    let ways: Option<Vec<_>> = kind.distance.map(|delay| (0..kind.brokers).map(|_| Distance::new(delay)).collect());
    let fronts = ways.as_ref().map(|ways| ways.iter().map(Distance::address).collect::<Vec<_>>());
    let nodes = if kind.brokers == 1 {
        let kafka = java::prepare_kafka("kafka-of-load", fronts.map(|fronts| fronts[0]), PROPERTIES, &[], &JVM)?;
        kafka.start()?;
        vec![kafka]
    } else {
        // Without a distance nobody comes by the back doors.
        let fronts = fronts.unwrap_or_else(|| (0..kind.brokers).map(|_| java::local_address()).collect());
        let properties = format!("{PROPERTIES}{REPLICATED}");
        let nodes = kafka_nodes::prepare("kafka-of-load", &fronts, &properties, &JVM_OF_SEVERAL)?;
        kafka_nodes::start(&nodes.iter().collect::<Vec<_>>())?;
        nodes
    };
    let mut front = nodes[0].address.clone();
    if let Some(ways) = ways {
        front = ways[0].address().to_string();
        ways.into_iter().zip(&nodes).for_each(|(way, node)| way.lead_to(node.back_door.clone()));
    }
    Ok(Broker::Kafka { nodes, front })
}

/// A broker and an Apicurio, of this run alone.
pub(crate) struct Cluster {
    pub(crate) broker: Broker,
    pub(crate) registry_url: String,
    _registry: Server,
}

pub(crate) enum Broker {
    /// An Apache Kafka, of one node or several; where contenders reach it is `front`, at a distance if one was given.
    Kafka { nodes: Vec<Kafka>, front: String },
    /// librdkafka's mock cluster, in a thread of this process: it costs little, keeps nothing, and acknowledges after a
    /// time that is given.
    StandIn { mock: Mock, after: Duration },
}

impl Broker {
    /// As `kafka.bootstrap_servers` has it.
    pub(crate) fn address(&self) -> &str {
        match self {
            Broker::Kafka { nodes, .. } => &nodes[0].address,
            Broker::StandIn { mock, .. } => &mock.address,
        }
    }

    /// The same for contenders.
    pub(crate) fn front(&self) -> &str {
        match self {
            Broker::Kafka { front, .. } => front,
            Broker::StandIn { mock, .. } => &mock.address,
        }
    }

    /// Its processes, if it has any.
    pub(crate) fn pids(&self) -> Vec<u32> {
        match self {
            Broker::Kafka { nodes, .. } => nodes.iter().filter_map(|node| node.server.pid()).collect(),
            Broker::StandIn { .. } => Vec::new(),
        }
    }
}

impl Cluster {
    /// Starts both, or says what is missing.
    pub(crate) fn start(kind: &Kind) -> Result<Cluster, String> {
        let broker = match kind.stand_in {
            Some(after) => {
                let mock = Mock::start();
                mock.acknowledge_after(after);
                Broker::StandIn { mock, after }
            }
            None => start_kafka(kind)?,
        };
        let (registry, registry_url) = java::start_registry()?;
        Ok(Cluster { broker, registry_url, _registry: registry })
    }

    /// Makes the topics of a prefix, where the bridge cannot.
    pub(crate) fn prepare(&self, prefix: &str) {
        if let Broker::StandIn { mock, .. } = &self.broker {
            for name in TOPICS {
                mock.create_topic(&format!("{prefix}{name}"), PARTITIONS);
            }
        }
    }

    /// How many records were written to each topic so far.
    pub(crate) fn counts(&self, prefix: &str) -> BTreeMap<&'static str, i64> {
        let consumer: BaseConsumer = self.client().create().expect("a consumer");
        let count = |topic: &str| {
            let marks = |partition| consumer.fetch_watermarks(topic, partition, SOON).map_or(0, |(_, high)| high);
            (0..PARTITIONS).map(marks).sum()
        };
        TOPICS.iter().map(|&name| (name, count(&format!("{prefix}{name}")))).collect()
    }

    /// Reads what the two wrote to these topics, and says how many records and bytes each topic has.
    ///
    /// # Panics
    /// When they are not the same, byte for byte, but for the time received: then they did not do the same work.
    pub(crate) fn compare(
        &self,
        one: &str,
        other: &str,
        topics: &[&'static str],
    ) -> BTreeMap<&'static str, (usize, usize)> {
        let read = |prefix: &str, name: &str| {
            let mut records: Vec<_> = reader::read_from(self.broker.address(), &format!("{prefix}{name}"))
                .iter()
                .map(|record| (record.key.clone(), record.headers.clone(), without_received_at(record)))
                .collect();
            records.sort();
            records
        };
        let compared = |&name: &&'static str| {
            let (mut ours, theirs) = (read(one, name), read(other, name));
            let size = |records: &[(_, _, Vec<u8>)]| records.iter().map(|(_, _, value)| value.len()).sum();
            if is_latest(name) {
                // Which states are left out hangs on the order in which they come.
                let all = ours.len();
                ours.retain(|record| theirs.binary_search(record).is_ok());
                assert!(
                    ours.len() * 2 > all,
                    "{name}: only {} of {all} records by {one} are by {other} too",
                    ours.len()
                );
                return (name, (ours.len(), size(&ours)));
            }
            assert_eq!(ours.len(), theirs.len(), "records of {name} by {one} and by {other}");
            let differ = ours.iter().zip(&theirs).find(|(a, b)| a != b);
            assert!(differ.is_none(), "{name}: not the same records by {one} and by {other}: {differ:?}");
            (name, (ours.len(), size(&ours)))
        };
        topics.iter().map(compared).collect()
    }

    /// Makes topics of a prefix, for who cannot, as the bridge makes them.
    pub(crate) fn create(&self, prefix: &str, names: &[&str]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("a client");
        let names: Vec<_> = names.iter().map(|name| format!("{prefix}{name}")).collect();
        let new = names.iter().map(|name| {
            let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(-1));
            if name.ends_with("-latest") { topic.set("cleanup.policy", "compact") } else { topic }
        });
        let options = AdminOptions::new().operation_timeout(Some(SOON));
        let made =
            RUNTIME.block_on(admin.create_topics(&new.collect::<Vec<_>>(), &options)).expect("Kafka makes topics");
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// Deletes the topics of a prefix, those that are there.
    pub(crate) fn delete(&self, prefix: &str) {
        if matches!(self.broker, Broker::StandIn { .. }) {
            return;
        }
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("a client");
        let names: Vec<_> = TOPICS.iter().map(|name| format!("{prefix}{name}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let options = AdminOptions::new().operation_timeout(Some(SOON));
        let deleted = RUNTIME.block_on(admin.delete_topics(&names, &options)).expect("Kafka deletes topics");
        let gone =
            |one: &TopicResult| one.is_ok() || matches!(one, Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)));
        assert!(deleted.iter().all(gone), "{deleted:?}");
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.broker.address()).set("group.id", "looks only");
        config
    }
}

/// Whether a topic of this name takes no older states.
pub(crate) fn is_latest(name: &str) -> bool {
    name.ends_with("-latest")
}

/// The value but for `event.received_at`, which is when it was. `event` comes first in every record: four texts, a union
/// of null and a time, and that.
fn without_received_at(record: &Record) -> Vec<u8> {
    const FRAME: usize = 5;
    // Dead letters are JSON; there must be none, or the same.
    if record.value.first() != Some(&0) {
        return record.value.clone();
    }
    let mut rest = VecDeque::from(record.value[FRAME..].to_vec());
    let mut kept = record.value[..FRAME].to_vec();
    for _ in 0..4 {
        let length = take_varint(&mut rest, &mut kept);
        kept.extend(rest.drain(..usize::try_from(length).expect("a length")));
    }
    if take_varint(&mut rest, &mut kept) == 1 {
        take_varint(&mut rest, &mut kept);
    }
    take_varint(&mut rest, &mut Vec::new());
    kept.extend(rest);
    kept
}

/// Moves one of Avro's numbers from `rest` to `kept`; says which.
fn take_varint(rest: &mut VecDeque<u8>, kept: &mut Vec<u8>) -> i64 {
    let (mut bits, mut shift) = (0_u64, 0);
    while let Some(byte) = rest.pop_front() {
        kept.push(byte);
        bits |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}
