//! Kafka is killed, away for long, or stands still.

use std::thread::sleep;
use std::time::Duration;

use crate::rig::{Outcome, Rig};
use crate::size::{accepted, pick, plan};

/// `kill -9` and a start on the same directory, again and again.
pub(super) fn killed(rig: &mut Rig) -> Outcome {
    rig.start(plan());
    for _ in 0..pick(1, 5) {
        rig.wait_more(pick(100, 1000));
        down_for(rig, Duration::from_secs(1));
    }
    rig.wait_accepted(accepted());
    rig.finish()
}

/// Away for longer than anything waits.
pub(super) fn down_for_long(rig: &mut Rig) -> Outcome {
    rig.start(plan());
    rig.wait_more(pick(100, 1000));
    down_for(rig, Duration::from_secs(pick(8, 120)));
    rig.wait_accepted(accepted());
    rig.finish()
}

fn down_for(rig: &mut Rig, time: Duration) {
    rig.kill_kafka();
    sleep(time);
    rig.start_kafka();
}

/// `SIGSTOP`: connections are there and hang, for longer than `http.ack_timeout` (2 s).
pub(super) fn paused(rig: &mut Rig) -> Outcome {
    rig.start(plan());
    for _ in 0..pick(1, 3) {
        rig.wait_more(pick(100, 1000));
        rig.tell("SIGSTOP to Kafka");
        rig.kafka.pause();
        sleep(Duration::from_secs(pick(5, 20)));
        rig.kafka.resume();
        let since = rig.tell("SIGCONT to Kafka");
        rig.recovered(since);
    }
    rig.wait_accepted(accepted());
    rig.finish()
}
