//! Topics that were just made; and a topic that is deleted under the bridge, and made again: by the bridge itself, or by
//! hand.

use std::thread::sleep;
use std::time::Duration;

use crate::rig::{Outcome, Rig};
use crate::size::{accepted, pick, plan};
use crate::support::bridge::TOPICS;

const TOPIC: &str = "wegly.deal";

/// The first records of topics, sent while Kafka may still be about to make them.
pub(super) fn just_made(rig: &mut Rig) -> Outcome {
    rig.start(plan());
    for _ in 0..pick(4, 30) {
        rig.wait_more(pick(150, 500));
        rig.kill_bridge();
        rig.take_new_topics();
        let since = rig.start_bridge();
        rig.recovered(since);
    }
    rig.wait_accepted(accepted());
    rig.finish()
}

/// `kafka.create_topics` is true.
pub(super) fn made_again_by_the_bridge(rig: &mut Rig) -> Outcome {
    rig.start(plan());
    for _ in 0..pick(1, 3) {
        rig.wait_more(pick(150, 1500));
        rig.delete_topic(TOPIC);
        // What is answered in the first moment may still have gone to the old one.
        sleep(Duration::from_secs(2));
        let since = rig.tell("it should be there again soon");
        rig.recovered_in(Some(TOPIC), since);
    }
    rig.wait_accepted(accepted());
    rig.finish()
}

/// `kafka.create_topics` is false: meanwhile the other topics go on.
pub(super) fn made_again_by_hand(rig: &mut Rig) -> Outcome {
    rig.setup.kafka = "create_topics = false\n".into();
    for topic in TOPICS {
        rig.kafka.create_topic(&rig.setup.topic(topic), rig.setup.partitions);
    }
    rig.start(plan());
    rig.wait_more(pick(150, 1500));
    rig.delete_topic(TOPIC);
    sleep(Duration::from_secs(pick(5, 30)));
    let meanwhile = rig.history.now().saturating_sub(Duration::from_secs(2));
    rig.recovered_in(Some("wegly.lead"), meanwhile);
    let wrongly = rig.history.first_published(meanwhile, Some(TOPIC));
    rig.kafka.create_topic(&rig.setup.topic(TOPIC), rig.setup.partitions);
    let since = rig.tell("the topic is made by hand");
    rig.recovered_in(Some(TOPIC), since);
    rig.wait_accepted(accepted());
    let mut outcome = rig.finish();
    if let Some(at) = wrongly {
        outcome.complaints.push(format!("a 200 at {at:?} for a topic that was not there"));
    }
    outcome
}
