//! Steps of scenarios that are played against the cluster. Each tells what it does, and those that begin or end a fault say
//! when.

use std::time::Duration;

use super::Rig;
use crate::cluster::{Cluster, number};
use crate::front::Way;

impl Rig<Cluster> {
    /// `kill -9` of a node.
    pub(crate) fn kill_node(&mut self, node: usize) -> Duration {
        let since = self.tell(&format!("kill -9 of node {}", number(node)));
        self.kafka.kill(node);
        since
    }

    /// Starts nodes that are down; the fault has ended when every partition has a leader again.
    pub(crate) fn start_nodes(&mut self, nodes: &[usize]) -> Duration {
        self.tell(&format!("nodes {:?} are started", nodes.iter().map(|&node| number(node)).collect::<Vec<_>>()));
        self.kafka.start(nodes);
        self.led_without(&[])
    }

    /// Waits until Kafka has found a leader for every partition, other than these nodes.
    pub(crate) fn led_without(&mut self, nodes: &[usize]) -> Duration {
        self.kafka.wait_led(&self.setup.prefix, nodes);
        self.tell("every partition has a leader")
    }

    /// Waits until every replica is in sync, as an operator would before the next step.
    pub(crate) fn wait_whole(&mut self) -> Duration {
        self.kafka.wait_whole(&self.setup.prefix);
        self.tell("every replica is in sync")
    }

    /// `SIGSTOP` to a node.
    pub(crate) fn pause_node(&mut self, node: usize) -> Duration {
        let since = self.tell(&format!("SIGSTOP to node {}", number(node)));
        self.kafka.pause(node);
        since
    }

    /// `SIGCONT` to a node.
    pub(crate) fn resume_node(&mut self, node: usize) -> Duration {
        self.kafka.resume(node);
        self.tell(&format!("SIGCONT to node {}", number(node)))
    }

    /// What becomes of what goes between the bridge and one broker.
    pub(crate) fn set_front(&mut self, node: usize, requests: Way, answers: Way) -> Duration {
        self.kafka.set_front(node, requests, answers);
        self.tell(&format!("to node {}: requests {requests:?}, answers {answers:?}", number(node)))
    }
}
