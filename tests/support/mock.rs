//! librdkafka's mock cluster, for where no Kafka can be had, and for outages that a shared Kafka cannot be put
//! through: a broker that goes down really closes its port and its connections.
//!
//! The cluster cannot change threads, so it lives on one of its own and takes orders.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as ErrorCode};
use tokio::net::TcpSocket;

use super::bridge::SOON;
use super::eventually;

enum Order {
    Topic(String, i32),
    Refuse(String, bool),
    Lead(String, i32, bool),
    After(Duration),
    TurnAwayOnce,
    Down,
    Up,
}

pub(crate) struct Mock {
    /// As `kafka.bootstrap_servers` has it.
    pub(crate) address: String,
    orders: Mutex<Sender<(Order, Sender<()>)>>,
    /// Held while the broker is down, so that nobody else gets its port: librdkafka ends the process if it is taken.
    port: Mutex<Option<TcpSocket>>,
}

impl Mock {
    pub(crate) fn start() -> Mock {
        let (orders, inbox) = mpsc::channel::<(Order, Sender<()>)>();
        let (tell, address) = mpsc::channel();
        thread::spawn(move || {
            let cluster = MockCluster::new(1).expect("a mock cluster");
            // From version 10 on it tells who leads a partition, and crashes where nobody does.
            cluster.apiversion(RDKafkaApiKey::Produce, Some(0), Some(9)).expect("versions of Produce");
            let _ = tell.send(cluster.bootstrap_servers());
            let mut topics = HashSet::new();
            for (order, done) in inbox {
                match order {
                    Order::Topic(name, partitions) => {
                        // A second bridge on the same topics finds them there.
                        if topics.insert(name.clone()) {
                            cluster.create_topic(&name, partitions, 1).expect("a topic");
                        }
                    }
                    Order::Refuse(name, refuse) => {
                        let error = if refuse {
                            ErrorCode::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
                        } else {
                            ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR
                        };
                        cluster.topic_error(&name, error).expect("a topic");
                    }
                    Order::Lead(name, partition, lead) => {
                        cluster.partition_leader(&name, partition, lead.then_some(1)).expect("a partition");
                    }
                    Order::After(time) => {
                        cluster.broker_round_trip_time(1, time).expect("a broker that takes its time");
                    }
                    Order::TurnAwayOnce => {
                        let refused = [ErrorCode::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION];
                        cluster.request_errors(RDKafkaApiKey::Produce, &refused);
                    }
                    Order::Down => cluster.broker_down(1).expect("a broker that goes down"),
                    Order::Up => cluster.broker_up(1).expect("a broker that comes up"),
                }
                let _ = done.send(());
            }
        });
        Mock { address: address.recv().expect("a mock cluster"), orders: Mutex::new(orders), port: Mutex::default() }
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        self.order(Order::Topic(name.to_owned(), partitions));
    }

    /// From now on nobody may use the topic, or everybody again.
    pub(crate) fn refuse(&self, topic: &str, refuse: bool) {
        self.order(Order::Refuse(topic.to_owned(), refuse));
    }

    /// From now on nobody leads the partition, or the broker again.
    #[allow(dead_code, reason = "only the integration tests take leaders away")]
    pub(crate) fn lead(&self, topic: &str, partition: i32, lead: bool) {
        self.order(Order::Lead(topic.to_owned(), partition, lead));
    }

    /// Every answer comes after this time.
    #[allow(dead_code, reason = "the fault suite has no use for it")]
    pub(crate) fn acknowledge_after(&self, time: Duration) {
        self.order(Order::After(time));
    }

    /// The next request to write is turned away: the broker does not lead that partition.
    #[allow(dead_code, reason = "only the integration tests turn single requests away")]
    pub(crate) fn turn_away_once(&self) {
        self.order(Order::TurnAwayOnce);
    }

    pub(crate) fn go_down(&self) {
        self.order(Order::Down);
        let port = TcpSocket::new_v4().expect("a socket");
        port.set_reuseaddr(true).expect("a socket");
        let address = self.address.split(',').next().and_then(|one| one.parse().ok()).expect("an address");
        // Until then a connection of another test may have it.
        eventually("the broker's port is held", SOON, || port.bind(address).ok());
        *self.port.lock().expect("the port") = Some(port);
    }

    pub(crate) fn come_up(&self) {
        self.order(Order::Up);
        self.port.lock().expect("the port").take();
    }

    fn order(&self, order: Order) {
        let (done, wait) = mpsc::channel();
        self.orders.lock().expect("orders").send((order, done)).expect("the cluster lives");
        wait.recv().expect("the cluster lives");
    }
}
