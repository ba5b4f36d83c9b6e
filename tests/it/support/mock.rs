//! librdkafka's mock cluster, for where no Kafka can be had, and for outages that a shared Kafka cannot be put
//! through: a broker that goes down really closes its port and its connections.
//!
//! The cluster cannot change threads, so it lives on one of its own and takes orders.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;

use rdkafka::mocking::MockCluster;

enum Order {
    Topic(String, i32),
    Down,
    Up,
}

pub(crate) struct Mock {
    /// As `kafka.bootstrap_servers` has it.
    pub(crate) address: String,
    orders: Mutex<Sender<(Order, Sender<()>)>>,
}

impl Mock {
    pub(crate) fn start() -> Mock {
        let (orders, inbox) = mpsc::channel::<(Order, Sender<()>)>();
        let (tell, address) = mpsc::channel();
        thread::spawn(move || {
            let cluster = MockCluster::new(1).expect("a mock cluster");
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
                    Order::Down => cluster.broker_down(1).expect("a broker that goes down"),
                    Order::Up => cluster.broker_up(1).expect("a broker that comes up"),
                }
                let _ = done.send(());
            }
        });
        Mock { address: address.recv().expect("a mock cluster"), orders: Mutex::new(orders) }
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        self.order(Order::Topic(name.to_owned(), partitions));
    }

    pub(crate) fn go_down(&self) {
        self.order(Order::Down);
    }

    pub(crate) fn come_up(&self) {
        self.order(Order::Up);
    }

    fn order(&self, order: Order) {
        let (done, wait) = mpsc::channel();
        self.orders.lock().expect("orders").send((order, done)).expect("the cluster lives");
        wait.recv().expect("the cluster lives");
    }
}
