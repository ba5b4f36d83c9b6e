//! Steps of scenarios that are played against one broker.

use std::time::Duration;

use super::Rig;

impl Rig {
    /// `kill -9` of Kafka; says when.
    pub(crate) fn kill_kafka(&mut self) -> Duration {
        let since = self.tell("kill -9 of Kafka");
        self.kafka.kill();
        since
    }

    /// Starts Kafka after a kill, and waits until events are published again.
    pub(crate) fn start_kafka(&mut self) {
        self.tell("Kafka is started");
        self.kafka.start();
        let since = self.tell("Kafka listens");
        self.recovered(since);
    }

    /// For scenarios in which it matters that Kafka is away, not how: the bridge reaches it by way of a proxy, which spares
    /// Kafka's start.
    pub(crate) fn put_proxy_before_kafka(&mut self) {
        self.setup.bootstrap = self.kafka.front();
        self.kafka.open_front();
    }

    /// Closes that proxy: connections are cut, and new ones refused. Says when.
    pub(crate) fn cut_kafka_off(&mut self) -> Duration {
        let since = self.tell("Kafka is cut off");
        self.kafka.close_front();
        since
    }

    /// Opens that proxy, and waits until events are published again.
    pub(crate) fn give_kafka_back(&mut self) {
        self.kafka.open_front();
        let since = self.tell("Kafka can be reached");
        self.recovered(since);
    }
}
