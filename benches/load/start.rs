//! How long the bridge takes from its start until it can publish: with every topic to be made and every schema to be registered,
//! and once more with the topics there and the schemas' ids known.

use std::time::Instant;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::contender::Contender;
use crate::report::{self, Start};

/// Starts it in both states, with topics and a data directory of each round's own.
pub(crate) fn measure(cluster: &Cluster, rounds: usize) {
    let starts: Vec<_> = (0..rounds.max(1)).map(|round| starts(cluster, round)).collect();
    report::starts(&starts);
}

fn starts(cluster: &Cluster, round: usize) -> Start {
    let contender = Contender::alone(cluster, &format!("start-{round}"));
    let [cold, cached] = [(); 2].map(|()| {
        let began = Instant::now();
        let running = contender.start_bridge(can_publish_all);
        let took = began.elapsed();
        drop(running);
        took
    });
    cluster.delete(&contender.prefix);
    Start { cold, cached }
}

/// Whether events of all types would be published, by what `/readyz` says. Ids known from before are used while they are verified.
fn can_publish_all(report: &Value) -> bool {
    report["kafka"]["ok"] == true && report["schemas"]["known"] == report["schemas"]["all"]
}
