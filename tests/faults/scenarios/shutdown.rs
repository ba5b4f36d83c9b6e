//! The bridge is told to end (SIGTERM) under load, and is started again.

use std::time::Duration;

use crate::check::taken_but_unanswered;
use crate::history::{Answer, Attempt};
use crate::rig::{Outcome, Rig};
use crate::size::{accepted, pick, plan};

/// As `shutdown_timeout` says by default.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(20);

/// With Kafka well.
pub(super) fn with_kafka(rig: &mut Rig) -> Outcome {
    rig.start(plan());
    let mut ends = Vec::new();
    for _ in 0..pick(2, 10) {
        rig.wait_more(pick(150, 1000));
        ends.push(end(rig));
        let since = rig.start_bridge();
        rig.recovered(since);
    }
    rig.wait_accepted(accepted());
    finish(rig, &ends)
}

/// With Kafka down: what waits then waits in the next life too.
pub(super) fn without_kafka(rig: &mut Rig) -> Outcome {
    rig.put_proxy_before_kafka();
    rig.start(plan());
    let mut ends = Vec::new();
    for _ in 0..pick(1, 3) {
        rig.wait_more(pick(150, 1000));
        rig.cut_kafka_off();
        std::thread::sleep(Duration::from_secs(pick(3, 10)));
        ends.push(end(rig));
        rig.start_bridge();
        std::thread::sleep(Duration::from_secs(2));
        // And once more: this life has not seen Kafka at all.
        ends.push(end(rig));
        rig.start_bridge();
        rig.give_kafka_back();
    }
    rig.wait_accepted(accepted());
    finish(rig, &ends)
}

/// From the signal to the end of the process.
struct End {
    from: Duration,
    until: Duration,
    code: Option<i32>,
}

fn end(rig: &mut Rig) -> End {
    let from = rig.tell("SIGTERM");
    rig.bridge().terminate();
    let code = rig.bridge().wait_end().code();
    let until = rig.tell("it ended");
    rig.drop_bridge();
    End { from, until, code }
}

fn finish(rig: &mut Rig, ends: &[End]) -> Outcome {
    let mut outcome = rig.finish();
    for End { from, until, code } in ends {
        if *code != Some(0) || until.saturating_sub(*from) > SHUTDOWN_TIMEOUT {
            outcome.complaints.push(format!("told to end at {from:?}, it ended with {code:?} at {until:?}"));
        }
    }
    // A connection may end without an answer only if nothing was taken from it.
    let broke = |attempt: &Attempt| {
        let ending = |end: &End| attempt.ended >= end.from && attempt.ended <= end.until + Duration::from_secs(1);
        matches!(attempt.answer, Answer::Broken(_)) && ends.iter().any(ending)
    };
    let sent = rig.history.sent.lock().expect("the history");
    let unanswered = taken_but_unanswered(&sent, &outcome.records, |millis| rig.history.at(millis), broke);
    for sent in unanswered.iter().take(3) {
        outcome.complaints.push(format!("taken, but not answered: {sent}"));
    }
    outcome
}
