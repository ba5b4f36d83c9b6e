//! The disk of the spool does not answer.

use std::time::{Duration, Instant};

use crate::hanging_disk::HangingDisk;
use crate::history::{Answer, Attempt};
use crate::metrics;
use crate::rig::{Outcome, Rig, within};
use crate::size::{pick, plan};
use crate::support::eventually;

/// `http.ack_timeout` here.
const ACK_TIMEOUT: Duration = Duration::from_secs(4);
/// From then on a disk that does not answer is known to hang, and nobody waits for it any more.
const KNOWN: Duration = Duration::from_secs(3);
/// What a busy machine adds.
const SLACK: Duration = Duration::from_secs(2);
const AT_ONCE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(60);

/// With Kafka up nobody notices; without it senders are told to come again, in time, and `/readyz` says why. What does not
/// wait goes straight to Kafka when that is back, and all is well when the disk answers.
pub(super) fn hangs(rig: &mut Rig) -> Outcome {
    let disk = HangingDisk::compile().expect("a library");
    rig.setup.runner.extend(disk.runner(&rig.setup.data_dir()));
    rig.setup.http = format!("ack_timeout = \"{}s\"\n", ACK_TIMEOUT.as_secs());
    rig.put_proxy_before_kafka();
    rig.start(plan());
    rig.wait_more(pick(100, 1000));
    for _ in 0..pick(1, 5) {
        nothing_waits(rig, &disk);
        something_waits(rig, &disk);
    }
    ends(rig, &disk);
    rig.wait_accepted(pick(600, 10_000));
    rig.finish()
}

/// The disk hangs first, then Kafka goes, comes back, and last the disk answers.
fn nothing_waits(rig: &mut Rig, disk: &HangingDisk) {
    eventually("the spool is empty", LIMIT, || (metrics::spool_records(rig.bridge().admin) == 0).then_some(()));
    disk.hang();
    let hung = rig.tell("the disk hangs, and nothing waits");
    rig.wait_more(pick(100, 1000));
    if rig.history.count(|a| a.began > hung && refused(a)) > 0 {
        rig.complain("503 while Kafka was up and nothing waited".into());
    }
    let cut = rig.cut_kafka_off();
    refuses(rig, disk, cut);
    rig.give_kafka_back();
    let back = rig.tell("the disk still hangs");
    let entities = plan().entities;
    if !within(LIMIT, || rig.history.served_since(back).len() == entities) {
        let served = rig.history.served_since(back).len();
        rig.complain(format!("with Kafka up and nothing in the spool, {served} of {entities} keys got 200"));
    }
    answers(rig, disk);
}

/// The disk hangs while events wait in the spool. Others go straight to Kafka when that is back.
fn something_waits(rig: &mut Rig, disk: &HangingDisk) {
    let cut = rig.cut_kafka_off();
    eventually("events wait in the spool", LIMIT, || {
        (rig.history.count(|a| a.began > cut && spooled(a)) > pick(20, 100)).then_some(())
    });
    disk.hang();
    let hung = rig.tell("the disk hangs, and events wait");
    refuses(rig, disk, hung);
    rig.give_kafka_back();
    rig.wait_more(pick(100, 1000));
    let late = rig.history.now();
    std::thread::sleep(Duration::from_secs(pick(2, 10)));
    no_longer_than(rig, late, AT_ONCE + SLACK);
    answers(rig, disk);
}

/// Senders are told to come again, the first of them in time, the later ones at once.
fn refuses(rig: &mut Rig, disk: &HangingDisk, since: Duration) {
    let waited = disk.waited();
    if !within(LIMIT, || rig.history.count(|a| a.began > since && refused(a)) > 0) {
        rig.complain("the disk hangs, Kafka is away, and 503 never came".into());
    }
    let ready = Instant::now();
    let mut report = (0, serde_json::Value::Null);
    let is_said = within(LIMIT, || {
        report = rig.bridge().readyz();
        report.0 == 503 && report.1["spool"]["reason"].to_string().contains("the disk has not answered for")
    });
    if !is_said {
        rig.complain(format!("/readyz is {report:?}"));
    }
    rig.tell(&format!("503; /readyz says so {:.1} s later; {waited} calls had waited", ready.elapsed().as_secs_f64()));
    let known = rig.history.now() + KNOWN;
    eventually("later events are refused", LIMIT, || {
        (rig.history.count(|a| a.began > known && refused(a)) > 20).then_some(())
    });
    // What was on its way to Kafka when that went had its own time there before.
    no_longer_than(rig, since, 2 * ACK_TIMEOUT + SLACK);
    no_longer_than(rig, since + ACK_TIMEOUT, ACK_TIMEOUT + SLACK);
    no_longer_than(rig, known, AT_ONCE);
    if let Some((event, attempt)) = rig.history.attempts(|a| a.began > known && spooled(a)).first() {
        rig.complain(format!("spooled on a disk that hangs: {} {attempt:?}", event.id));
    }
}

/// No attempt since then took longer.
fn no_longer_than(rig: &mut Rig, since: Duration, limit: Duration) {
    let took = |a: &Attempt| a.ended.saturating_sub(a.began);
    let slow = rig.history.attempts(|a| a.began > since && took(a) > limit);
    let slowest = rig.history.attempts(|a| a.began > since).into_iter().map(|(_, a)| took(&a)).max();
    rig.tell(&format!("since {:.1} s no answer took longer than {slowest:?}", since.as_secs_f64()));
    if let Some((event, attempt)) = slow.first() {
        rig.complain(format!("{} answers took longer than {limit:?}: {} {attempt:?}", slow.len(), event.id));
    }
}

/// The disk answers again: what waits leaves, and the spool takes deliveries.
fn answers(rig: &mut Rig, disk: &HangingDisk) {
    disk.answer();
    rig.tell("the disk answers");
    let mut report = (0, serde_json::Value::Null);
    let is_well = within(LIMIT, || {
        report = rig.bridge().readyz();
        report.0 == 200 && report.1["spool"]["ok"] == true
    });
    if !is_well {
        rig.complain(format!("the disk answers, and /readyz is {report:?}"));
    }
    if !within(LIMIT, || metrics::spool_records(rig.bridge().admin) == 0) {
        let left = metrics::spool_records(rig.bridge().admin);
        rig.complain(format!("the disk answers, and {left} are still in the spool"));
    }
    let cut = rig.cut_kafka_off();
    if !within(LIMIT, || rig.history.count(|a| a.began > cut && spooled(a)) > 0) {
        rig.complain("the disk answers, and nothing is spooled".into());
    }
    rig.give_kafka_back();
}

/// A bridge whose disk hangs ends when it is told to.
fn ends(rig: &mut Rig, disk: &HangingDisk) {
    let cut = rig.cut_kafka_off();
    eventually("events wait in the spool", LIMIT, || {
        (rig.history.count(|a| a.began > cut && spooled(a)) > 20).then_some(())
    });
    disk.hang();
    let hung = rig.tell("the disk hangs, and the bridge is told to end");
    refuses(rig, disk, hung);
    let told = Instant::now();
    rig.bridge().terminate();
    rig.bridge().wait_end();
    rig.tell(&format!("it ended after {:.1} s", told.elapsed().as_secs_f64()));
    disk.answer();
    rig.kill_bridge();
    rig.start_bridge();
    rig.give_kafka_back();
}

/// What is missing for a disk that hangs, and what would help.
pub(super) fn no_hanging_disk() -> Option<String> {
    let why = HangingDisk::compile().err()?;
    Some(format!("{why}; to enable it, install a C compiler"))
}

fn refused(attempt: &Attempt) -> bool {
    matches!(attempt.answer, Answer::Refused { .. })
}

fn spooled(attempt: &Attempt) -> bool {
    matches!(&attempt.answer, Answer::Accepted(outcome) if outcome == "spooled")
}
