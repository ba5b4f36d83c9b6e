//! What is between the bridge and one broker breaks, while the brokers reach each other: no broker is replaced, since
//! Kafka sees nothing wrong.

use std::thread::sleep;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::front::Way;
use crate::rig::{Outcome, Rig};
use crate::size::{cluster_accepted, cluster_plan};

/// Longer than `http.ack_timeout` (2 s), and than any single try of a client.
const OUTAGE: Duration = Duration::from_secs(40);

/// Nothing goes either way.
pub(in crate::scenarios) fn unreachable(rig: &mut Rig<Cluster>) -> Outcome {
    play(rig, &[(Way::Held, Way::Held), (Way::Held, Way::Held)])
}

/// What the bridge sends arrives, and the answers do not; then the reverse.
pub(in crate::scenarios) fn unreachable_one_way(rig: &mut Rig<Cluster>) -> Outcome {
    play(rig, &[(Way::Open, Way::Held), (Way::Held, Way::Open)])
}

/// Answers come late: within `http.ack_timeout`, then after it.
pub(in crate::scenarios) fn slow_acknowledgements(rig: &mut Rig<Cluster>) -> Outcome {
    let slow = |millis| (Way::Open, Way::Slow(Duration::from_millis(millis)));
    play(rig, &[slow(700), slow(3000)])
}

/// One broker after the other, each for a while.
fn play(rig: &mut Rig<Cluster>, faults: &[(Way, Way)]) -> Outcome {
    rig.start_settled(cluster_plan());
    for (node, &(requests, answers)) in faults.iter().enumerate() {
        rig.wait_more(1000);
        let began = rig.set_front(node, requests, answers);
        sleep(OUTAGE);
        let ended = rig.set_front(node, Way::Open, Way::Open);
        rig.healed(began, ended);
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}
