//! Kafka is away, and senders go on as fast as they are answered.

use std::thread::sleep;
use std::time::Duration;

use crate::history::Answer;
use crate::load::Plan;
use crate::metrics;
use crate::rig::{Outcome, Rig};
use crate::size::{full, pick, plan};
use crate::table;

/// Of the healthy rate, in the same run.
const LEAST_SHARE: f64 = 0.5;
/// A broker's absence is noticed by a timeout: `http.ack_timeout` (2 s), and a second more for those that were sent last.
const NOTICED: Duration = Duration::from_secs(4);
/// What the memory in use may grow by while Kafka is away: what waits is on disk.
const GROWTH: u64 = 32 << 20;

/// With 64 connections, each of which sends the next event when it has the answer to the last: 202 come at no less than
/// half the rate at which 200 came, and the memory in use stays what it was.
pub(super) fn away_at_full_speed(rig: &mut Rig) -> Outcome {
    rig.start(Plan { rate: None, ..plan() });
    // Until all connections are there, and all pools have their size.
    sleep(Duration::from_secs(pick(2, 5)));
    let healthy = rate(rig, "published", pick(2, 15));
    let before = resident(rig);

    rig.kill_kafka();
    sleep(NOTICED);
    let first_half = rate(rig, "spooled", pick(2, 15));
    let middle = resident(rig);
    let second_half = rate(rig, "spooled", pick(2, 15));
    let end = resident(rig);

    rig.load().at_rate(pick(250, 1500));
    rig.start_kafka();
    let mut outcome = rig.finish();
    let away = first_half.min(second_half);
    table::note(format!(
        "{} connections, as fast as answers come: {healthy:.0} answers 200 a second; with Kafka away {first_half:.0}, then \
         {second_half:.0} answers 202 a second; memory of the bridge {} MiB, {} MiB, {} MiB.",
        plan().connections,
        before >> 20,
        middle >> 20,
        end >> 20
    ));
    // How fast a machine is that does other things meanwhile is no question for a test.
    if full() && away < healthy * LEAST_SHARE {
        outcome.complaints.push(format!("{healthy:.0} answers a second with Kafka, {away:.0} without"));
    }
    if end > middle + GROWTH || end > before + 2 * GROWTH {
        outcome.complaints.push(format!("its memory grows: {before}, {middle}, {end} bytes"));
    }
    outcome
}

/// Events that get this outcome, per second, for so many seconds.
fn rate(rig: &mut Rig, wanted: &str, seconds: u64) -> f64 {
    let since = rig.history.now();
    sleep(Duration::from_secs(seconds));
    let until = rig.history.now();
    // A dead letter counts as well, wherever it went.
    let is_wanted = |outcome: &str| outcome == wanted || outcome == "dead_lettered";
    let count = rig.history.count(|a| {
        (since..until).contains(&a.ended) && matches!(&a.answer, Answer::Accepted(outcome) if is_wanted(outcome))
    });
    let rate = count as f64 / until.saturating_sub(since).as_secs_f64();
    rig.tell(&format!("{rate:.0} {wanted} a second"));
    rate
}

fn resident(rig: &mut Rig) -> u64 {
    let bytes = metrics::resident(rig.bridge().pid());
    rig.tell(&format!("the bridge has {} MiB of memory in use", bytes >> 20));
    bytes
}
