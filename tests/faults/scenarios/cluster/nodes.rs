//! Nodes are killed, restarted and stopped in their tracks.

use std::thread::sleep;
use std::time::Duration;

use crate::cluster::{Cluster, NODES};
use crate::rig::{Outcome, Rig};
use crate::size::{cluster_accepted, cluster_plan, pick};

/// Longer than a broker may be silent (9 s) before the others do without it.
const FREEZE: Duration = Duration::from_secs(19);

/// `kill -9` of a broker that leads a third of the partitions, and does not lead the controllers.
pub(in crate::scenarios) fn leader_killed(rig: &mut Rig<Cluster>) -> Outcome {
    rig.start_settled(cluster_plan());
    for _ in 0..pick(1, 3) {
        rig.wait_more(pick(200, 1000));
        let node = rig.kafka.plain_node();
        killed(rig, node);
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}

/// The bridge must be well twice: when the others have taken over, and when the node is back.
fn killed(rig: &mut Rig<Cluster>, node: usize) {
    let began = rig.kill_node(node);
    let taken_over = rig.led_without(&[node]);
    rig.healed(began, taken_over);
    let back = rig.start_nodes(&[node]);
    rig.healed(back, back);
    rig.wait_whole();
}

/// `SIGTERM` and a start of each node in turn, as for an update of Kafka.
pub(in crate::scenarios) fn rolling_restart(rig: &mut Rig<Cluster>) -> Outcome {
    rig.start_settled(cluster_plan());
    for _ in 0..pick(1, 2) {
        rig.wait_more(pick(200, 1000));
        let began = rig.tell("the rolling restart begins");
        for node in 0..NODES {
            rig.tell(&format!("SIGTERM to node {}", node + 1));
            rig.kafka.stop(node);
            rig.start_nodes(&[node]);
            rig.wait_whole();
        }
        let ended = rig.tell("the rolling restart is over");
        rig.healed(began, ended);
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}

/// `SIGSTOP`: connections to it are there and hang. In the full form the active controller freezes too.
pub(in crate::scenarios) fn one_frozen(rig: &mut Rig<Cluster>) -> Outcome {
    rig.start_settled(cluster_plan());
    for round in 0..pick(1, 4) {
        rig.wait_more(pick(200, 1000));
        let node = if round % 2 == 0 { rig.kafka.plain_node() } else { rig.kafka.active_controller() };
        let began = rig.pause_node(node);
        sleep(FREEZE);
        rig.resume_node(node);
        let ended = rig.led_without(&[]);
        rig.healed(began, ended);
        rig.wait_whole();
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}

/// `kill -9` of the node that leads the controllers: nobody elects leaders until another does.
pub(in crate::scenarios) fn active_controller_killed(rig: &mut Rig<Cluster>) -> Outcome {
    rig.start_settled(cluster_plan());
    for _ in 0..3 {
        rig.wait_more(1000);
        let node = rig.kafka.active_controller();
        killed(rig, node);
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}

/// Two of three: no controllers that agree, and no second copy of anything, so nothing can be written.
pub(in crate::scenarios) fn two_of_three_down(rig: &mut Rig<Cluster>) -> Outcome {
    rig.start_settled(cluster_plan());
    for left in 0..2 {
        rig.wait_more(1000);
        let down: Vec<_> = (0..NODES).filter(|&node| node != left).collect();
        let began = rig.kill_node(down[0]);
        rig.kill_node(down[1]);
        sleep(FREEZE);
        rig.start_nodes(&down);
        // Before that, a write finds too few copies.
        let ended = rig.wait_whole();
        rig.healed(began, ended);
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}

/// A node loses its disk, and gets all it had from the others.
pub(in crate::scenarios) fn back_with_an_empty_disk(rig: &mut Rig<Cluster>) -> Outcome {
    rig.start_settled(cluster_plan());
    for _ in 0..2 {
        rig.wait_more(1000);
        let node = rig.kafka.plain_node();
        let began = rig.kill_node(node);
        let taken_over = rig.led_without(&[node]);
        rig.healed(began, taken_over);
        rig.tell("its disk is empty");
        rig.kafka.wipe(node);
        let back = rig.start_nodes(&[node]);
        rig.healed(back, back);
        rig.wait_whole();
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}
