//! Someone changes the topics while events come in.

use std::thread::sleep;
use std::time::Duration;

use crate::check::Order;
use crate::cluster::Cluster;
use crate::events::LINKED;
use crate::history::{Answer, Attempt};
use crate::load::{Large, Plan};
use crate::reassign;
use crate::record::Found;
use crate::rig::{Outcome, Rig};
use crate::setting::Setting as _;
use crate::size::{cluster_accepted, cluster_plan};
use crate::support::bridge::TOPICS;
use crate::topics;

/// Topics that events come to, without prefix.
const WRITTEN: [&str; 4] = ["wegly.deal", "wegly.lead", "whazing.message", LINKED];
/// As many as before, and as many more.
const MORE_PARTITIONS: usize = 6;
/// Until every client must have heard of something new: librdkafka asks every 5 minutes, or when a write fails.
const HEARD: Duration = Duration::from_secs(30);

/// Each partition is moved from its leader to the node that did not have it, with two copies of each. Kafka elects another
/// leader as soon as the new copy is complete.
pub(in crate::scenarios) fn partitions_moved(rig: &mut Rig<Cluster>) -> Outcome {
    rig.setup.kafka = "replication_factor = 2\n".into();
    rig.start_settled(cluster_plan());
    rig.wait_more(1000);
    for _ in 0..2 {
        let began = rig.tell("partitions are moved");
        for name in WRITTEN {
            let topic = rig.setup.topic(name);
            for (topic, id, replicas) in rig.kafka.replicas(&topic).into_iter().filter(|(found, ..)| *found == topic) {
                let other = (1..=3).find(|node| !replicas.contains(node)).expect("a third node");
                let wanted = [other, replicas[1]];
                reassign::start(&rig.kafka.address(), &topic, id, &wanted);
                rig.kafka.wait_replicas(&topic, id, &wanted);
            }
        }
        let ended = rig.tell("they are where they should be");
        rig.healed(began, ended);
        rig.wait_more(1000);
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}

/// All topics get twice as many partitions. Some keys have another one from then on, so the order of a key's events is one of
/// those in the old partition, and one of those in the new: that is all anybody promises.
pub(in crate::scenarios) fn partitions_added(rig: &mut Rig<Cluster>) -> Outcome {
    rig.order = Order::ByPartition;
    rig.start_settled(cluster_plan());
    rig.wait_more(1000);
    let names = TOPICS.map(|name| rig.setup.topic(name));
    let began = rig.tell("partitions are added");
    topics::add_partitions(&rig.kafka.address(), &names, MORE_PARTITIONS);
    let ended = rig.led_without(&[]);
    rig.healed(began, ended);
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}

/// `max.message.bytes` is lowered below what some events need, and set back. What is refused becomes a dead letter of the
/// reason `record_too_large`; the checks see to it that nothing else does.
pub(in crate::scenarios) fn size_limit_lowered(rig: &mut Rig<Cluster>) -> Outcome {
    const LIMIT: usize = 8 << 10;
    const DEFAULT: usize = 1_048_588;
    rig.start_settled(Plan { large: Some(Large { every: 7, padding: 2 * LIMIT }), ..cluster_plan() });
    rig.wait_more(1000);
    let names = WRITTEN.map(|name| rig.setup.topic(name));
    let began = rig.tell(&format!("no batch above {LIMIT} bytes from now on"));
    topics::limit_batches(&rig.kafka.address(), &names, LIMIT);
    sleep(HEARD);
    rig.wait_more(1000);
    let ended = rig.tell("larger batches are taken again");
    topics::limit_batches(&rig.kafka.address(), &names, DEFAULT);
    rig.healed(began, ended);
    rig.wait_accepted(cluster_accepted());
    let mut outcome = rig.finish();
    let complaints = refused_meanwhile(rig, &outcome.records, (began, ended));
    outcome.complaints.extend(complaints);
    outcome
}

/// A limit that refused nothing, or something that was sent outside its time, would show nothing.
fn refused_meanwhile(rig: &Rig<Cluster>, records: &[Found], (began, ended): (Duration, Duration)) -> Option<String> {
    let refused = records.iter().filter(|record| record.reason == "record_too_large").count();
    let dead = |a: &Attempt| a.answer == Answer::Accepted("dead_lettered".into());
    let answers = rig.history.attempts(dead);
    let of_large = answers.iter().filter(|(event, _)| event.large);
    let (inside, outside): (Vec<_>, Vec<_>) = of_large.partition(|(_, a)| a.ended >= began && a.began <= ended);
    let is_right = refused > 0 && !inside.is_empty() && outside.is_empty();
    (!is_right).then(|| {
        format!(
            "{refused} dead letters for their size; {} such answers while the limit held, {} outside",
            inside.len(),
            outside.len()
        )
    })
}
