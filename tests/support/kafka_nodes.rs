//! An Apache Kafka of several nodes on 127.0.0.1, each a broker and a controller: what a cluster does that one node cannot.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;

use super::java::{Kafka, KafkaProgram, fresh_dir, kafka_properties, local_address};

/// What the JVM of one node of several is told in tests: all of them share a small machine.
pub(crate) const JVM: [&str; 4] = ["-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// What a small machine needs little of, on every node.
const FEW_THREADS: &str = "num.network.threads=2\nnum.io.threads=3\nbackground.threads=2\n";

/// Makes a cluster that only has to be started, or says what is missing. Whoever comes by the back door of a node is told to find
/// each node at its address in `fronts`, of which there are as many as nodes. `properties` are further lines of their
/// configuration, `jvm` is what each JVM is told.
pub(crate) fn prepare(name: &str, fronts: &[SocketAddr], properties: &str, jvm: &[&str]) -> Result<Vec<Kafka>, String> {
    let program = KafkaProgram::get()?;
    let controllers: Vec<_> = fronts.iter().map(|_| local_address()).collect();
    let voters = voters(&controllers);
    let prepare_node = |(at, front): (usize, &SocketAddr)| {
        let dir = fresh_dir(&format!("{name}-{}", at + 1));
        let [address, back_door] = [(); 2].map(|()| local_address());
        let text = kafka_properties(&dir, at + 1, [address, back_door, *front, controllers[at]]);
        let text = format!("{text}controller.quorum.voters={voters}\n{FEW_THREADS}{properties}");
        (dir, text, [address, back_door])
    };
    let nodes: Vec<_> = fronts.iter().enumerate().map(prepare_node).collect();
    Ok(side_by_side(nodes, |(dir, text, addresses): (PathBuf, String, _)| {
        Kafka::prepare(&program, dir, &text, addresses, &[], jvm)
    }))
}

/// Starts all of `nodes`, and waits until each listens: none does so alone.
pub(crate) fn start(nodes: &[&Kafka]) -> Result<(), String> {
    side_by_side(nodes.to_vec(), Kafka::start).into_iter().collect()
}

/// Which node leads the controllers, as those of `nodes` that are named in `living` know it.
pub(crate) fn active_controller(nodes: &[Kafka], living: &[usize]) -> Option<usize> {
    let newest = living.iter().filter_map(|&at| {
        let file = nodes[at].server.dir().join("data/__cluster_metadata-0/quorum-state");
        let state: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
        Some((state["leaderEpoch"].as_i64()?, state["leaderId"].as_i64()?))
    });
    let (_, leader) = newest.max()?;
    usize::try_from(leader).ok()?.checked_sub(1)
}

fn voters(controllers: &[SocketAddr]) -> String {
    let voters: Vec<_> = controllers.iter().enumerate().map(|(at, address)| format!("{}@{address}", at + 1)).collect();
    voters.join(",")
}

/// Starting a JVM takes seconds.
fn side_by_side<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}
