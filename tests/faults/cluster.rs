//! The Kafka of three nodes, each a broker and a controller. The bridge reaches each broker through a [`Front`] of its own;
//! the brokers reach each other, and the suite reaches them, directly.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::Metadata;

use crate::front::{Front, Way};
use crate::setting::Setting;
use crate::support::bridge::Setup;
use crate::support::java::Kafka;
use crate::support::{eventually, kafka_nodes};

pub(crate) const NODES: usize = 3;
/// Three copies of everything, and two of them must have a record before it counts. Time limits are Kafka's own.
const PROPERTIES: &str = "default.replication.factor=3\nmin.insync.replicas=2\n";
/// Until a cluster that is whole again says so, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(90);
const ASK_LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Paused,
    Down,
}

pub(crate) struct Cluster {
    nodes: Vec<Kafka>,
    fronts: Vec<Front>,
    states: Mutex<[State; NODES]>,
}

/// The cluster, or what is missing to have one.
pub(crate) fn cluster() -> Result<&'static Cluster, &'static str> {
    static CLUSTER: LazyLock<Result<Cluster, String>> = LazyLock::new(|| {
        let fronts: Vec<_> = (0..NODES).map(|_| Front::new()).collect();
        let addresses: Vec<_> = fronts.iter().map(|front| front.address).collect();
        let nodes = kafka_nodes::prepare("cluster-of-faults", &addresses, PROPERTIES, &kafka_nodes::JVM)?;
        kafka_nodes::start(&nodes.iter().collect::<Vec<_>>())?;
        fronts.iter().zip(&nodes).for_each(|(front, node)| front.listen(&node.back_door));
        Ok(Cluster { nodes, fronts, states: Mutex::new([State::Up; NODES]) })
    });
    CLUSTER.as_ref().map_err(String::as_str)
}

/// Nodes are counted from 0 here, and Kafka's own numbers are one more.
impl Cluster {
    /// `kill -9`.
    pub(crate) fn kill(&self, node: usize) {
        self.nodes[node].server.order("KILL");
        self.set(node, State::Down);
    }

    /// `SIGTERM`: it gives its partitions away and ends.
    pub(crate) fn stop(&self, node: usize) {
        self.nodes[node].server.order("TERM");
        self.set(node, State::Down);
    }

    /// Starts nodes that are down, side by side, and waits until they listen.
    pub(crate) fn start(&self, nodes: &[usize]) {
        let down: Vec<_> = nodes.iter().map(|&node| &self.nodes[node]).collect();
        kafka_nodes::start(&down).expect("Kafka comes up again");
        for &node in nodes {
            self.set(node, State::Up);
        }
    }

    /// `SIGSTOP`: connections stay, and nothing is answered on them.
    pub(crate) fn pause(&self, node: usize) {
        self.nodes[node].server.order("STOP");
        self.set(node, State::Paused);
    }

    /// `SIGCONT`.
    pub(crate) fn resume(&self, node: usize) {
        self.nodes[node].server.order("CONT");
        self.set(node, State::Up);
    }

    /// Gives a node that is down an empty disk.
    pub(crate) fn wipe(&self, node: usize) {
        self.nodes[node].wipe();
    }

    /// What becomes of the bridge's requests to a broker, and of its answers.
    pub(crate) fn set_front(&self, node: usize, requests: Way, answers: Way) {
        self.fronts[node].set(requests, answers);
    }

    /// The node that leads the controllers.
    pub(crate) fn active_controller(&self) -> usize {
        eventually("there is an active controller", LIMIT, || {
            kafka_nodes::active_controller(&self.nodes, &self.living())
        })
    }

    /// A node that does not lead the controllers: what happens to it happens to a broker only.
    pub(crate) fn plain_node(&self) -> usize {
        (self.active_controller() + 1) % NODES
    }

    /// Waits until every partition whose topic begins with `prefix` is led, and by none of `without`.
    pub(crate) fn wait_led(&self, prefix: &str, without: &[usize]) {
        self.wait("every partition has a leader", |metadata| {
            let bad = |leader: i32| leader < 0 || without.iter().any(|&node| number(node) == leader);
            partitions(metadata, prefix).all(|(_, partition)| !bad(partition.leader()))
        });
    }

    /// Waits until all three brokers are there, and have all of the topics that begin with `prefix`.
    pub(crate) fn wait_whole(&self, prefix: &str) {
        self.wait("every replica is in sync", |metadata| {
            let whole = |partition: &rdkafka::metadata::MetadataPartition| {
                partition.leader() >= 0 && partition.isr().len() == partition.replicas().len()
            };
            metadata.brokers().len() == NODES && partitions(metadata, prefix).all(|(_, partition)| whole(partition))
        });
    }

    /// The replicas of every partition whose topic begins with `prefix`; the first leads it.
    pub(crate) fn replicas(&self, prefix: &str) -> Vec<(String, i32, Vec<i32>)> {
        let metadata = Self::ask(&self.client()).expect("Kafka answers");
        let found = partitions(&metadata, prefix);
        found.map(|(topic, partition)| (topic.to_owned(), partition.id(), partition.replicas().to_vec())).collect()
    }

    /// Waits until a partition has these replicas and no others.
    pub(crate) fn wait_replicas(&self, topic: &str, id: i32, wanted: &[i32]) {
        self.wait("the partition is moved", |metadata| {
            partitions(metadata, topic).any(|(name, partition)| {
                let is_it = name == topic && partition.id() == id;
                is_it && partition.replicas() == wanted && partition.isr().len() == wanted.len()
            })
        });
    }

    fn wait(&self, what: &str, mut is_so: impl FnMut(&Metadata) -> bool) {
        let client = self.client();
        eventually(what, LIMIT, || Self::ask(&client).filter(&mut is_so).map(drop));
    }

    fn ask(client: &BaseConsumer) -> Option<Metadata> {
        client.fetch_metadata(None, ASK_LIMIT).ok()
    }

    /// Only of what is up: it asks any that it knows of.
    fn client(&self) -> BaseConsumer {
        ClientConfig::new().set("bootstrap.servers", self.address()).create().expect("a client")
    }

    fn living(&self) -> Vec<usize> {
        self.in_state(State::Up)
    }

    fn set(&self, node: usize, state: State) {
        self.states.lock().expect("their states")[node] = state;
    }

    fn in_state(&self, wanted: State) -> Vec<usize> {
        let states = self.states.lock().expect("their states");
        (0..NODES).filter(|&node| states[node] == wanted).collect()
    }
}

impl Setting for Cluster {
    fn configure(&self, setup: &mut Setup) {
        let fronts: Vec<_> = self.fronts.iter().map(|front| front.address.to_string()).collect();
        setup.bootstrap = fronts.join(",");
        setup.partitions = 3;
    }

    fn address(&self) -> String {
        let living = self.living();
        living.iter().map(|&node| self.nodes[node].address.as_str()).collect::<Vec<_>>().join(",")
    }

    fn mend(&self) {
        self.in_state(State::Paused).into_iter().for_each(|node| self.resume(node));
        self.start(&self.in_state(State::Down));
        (0..NODES).for_each(|node| self.set_front(node, Way::Open, Way::Open));
        self.wait_whole("");
    }
}

/// As Kafka counts nodes.
pub(crate) fn number(node: usize) -> i32 {
    i32::try_from(node + 1).expect("few")
}

fn partitions<'a>(
    metadata: &'a Metadata,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a rdkafka::metadata::MetadataPartition)> {
    let topics = metadata.topics().iter().filter(move |topic| topic.name().starts_with(prefix));
    topics.flat_map(|topic| topic.partitions().iter().map(move |partition| (topic.name(), partition)))
}
