//! Topics without copies, and one of three brokers is gone: what the two others have goes on, the rest waits.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use crate::cluster::{Cluster, NODES, number};
use crate::history::{Answer, Attempt};
use crate::rig::{Outcome, Rig};
use crate::setting::Setting as _;
use crate::size::{cluster_accepted, cluster_plan, pick};
use crate::support::bridge::TOPICS;
use crate::topics;

/// From the loss of a broker until events of the others' partitions must get 200 without a break.
const NOTICED: Duration = Duration::from_secs(10);

/// Partition `n` of each topic is on node `n` alone, so that what an event is written to is on one node.
pub(in crate::scenarios) fn one_partition_leaderless(rig: &mut Rig<Cluster>) -> Outcome {
    make_topics(rig);
    rig.start_settled(cluster_plan());
    let mut outages = Vec::new();
    for _ in 0..pick(1, 3) {
        rig.wait_more(pick(200, 1000));
        let node = rig.kafka.plain_node();
        let began = rig.kill_node(node);
        sleep(Duration::from_secs(pick(20, 60)));
        outages.push((node, began, rig.tell("that was without it")));
        let ended = rig.start_nodes(&[node]);
        rig.healed(began, ended);
    }
    rig.wait_accepted(cluster_accepted());
    let mut outcome = rig.finish();
    for (node, began, ended) in outages {
        let complaints = held_up(rig, &outcome, node, (began + NOTICED, ended));
        outcome.complaints.extend(complaints);
    }
    outcome
}

fn make_topics(rig: &Rig<Cluster>) {
    let nodes: Vec<_> = (0..NODES).map(|node| [number(node)]).collect();
    let assigned: Vec<&[i32]> = nodes.iter().map(<[i32; 1]>::as_slice).collect();
    let kafka = rig.kafka.address();
    for name in TOPICS {
        topics::create(&kafka, &rig.setup.topic(name), rig.setup.partitions, Some(&assigned));
    }
}

/// What was wrong while `node` was gone: each key of the others has to get its 200, none of its own can.
fn held_up(rig: &Rig<Cluster>, outcome: &Outcome, node: usize, (from, until): (Duration, Duration)) -> Vec<String> {
    let partitions = partitions(outcome);
    let (mut living, mut dead) = (BTreeMap::new(), BTreeMap::new());
    let dead_letter = Answer::Accepted("dead_lettered".into());
    let in_time = |attempt: &Attempt| attempt.began >= from && attempt.ended <= until && attempt.answer != dead_letter;
    for (event, attempt) in rig.history.attempts(in_time) {
        // What is in Kafka at last is where it was to go.
        let Some(&partition) = partitions.get(&(event.topic, event.key.as_str())) else { continue };
        let side = if partition == number(node) - 1 { &mut dead } else { &mut living };
        side.entry(event.key).or_insert_with(Vec::new).push(attempt);
    }
    let published = |attempts: &Vec<Attempt>| {
        attempts.iter().filter(|attempt| attempt.answer == Answer::Accepted("published".into())).count()
    };
    let mut complaints = Vec::new();
    let without: Vec<_> = living.iter().filter(|(_, attempts)| published(attempts) == 0).map(|(key, _)| key).collect();
    if !without.is_empty() || living.is_empty() {
        complaints.push(format!(
            "without node {}: {} of {} keys of the living nodes got no 200 from {from:?} to {until:?}, such as {:?}",
            number(node),
            without.len(),
            living.len(),
            without.iter().take(5).collect::<Vec<_>>()
        ));
    }
    let wrongly: usize = dead.values().map(published).sum();
    if wrongly != 0 || dead.is_empty() {
        complaints.push(format!("without node {}: {wrongly} times 200 to {} of its keys", number(node), dead.len()));
    }
    complaints
}

/// Where Kafka has the events of a key, which the last record says as well as the first.
fn partitions(outcome: &Outcome) -> BTreeMap<(&str, &str), i32> {
    outcome.records.iter().map(|record| ((record.topic.as_str(), record.key.as_str()), record.partition)).collect()
}
