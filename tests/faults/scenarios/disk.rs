//! The disk that the spool is on fills up, or cannot be written any more.

use std::thread::sleep;
use std::time::Duration;

use crate::failing_sync::FailingSync;
use crate::history::{Answer, Attempt};
use crate::load::Plan;
use crate::metrics;
use crate::rig::{Outcome, Rig, within, work_dir};
use crate::size::{pick, plan};
use crate::small_disk::SmallDisk;

/// Large, so that the disk fills within seconds.
const PADDING: usize = 12 << 10;
const PAGE: u64 = 4096;
/// The least that `spool.min_free_bytes` may be, in MiB. Beyond it 16 are kept for the log, which takes as much itself.
const LEFT: u64 = 64;
/// Until a small disk must be full, or a sync must have been tried.
const LIMIT: Duration = Duration::from_secs(60);

/// The database meets `ENOSPC`: another takes all there is, also what `spool.min_free_bytes` was to leave, and gives it
/// back only when Kafka has been back for a while. After that the spool accepts deliveries again, up to its own limit.
pub(super) fn full(rig: &mut Rig) -> Outcome {
    let disk = SmallDisk::mount(&rig.setup.data_dir(), megabytes(LEFT + pick(56, 96))).expect("a mount");
    rig.setup.sources += &format!("[spool]\nmin_free_bytes = {}\n", megabytes(LEFT));
    rig.put_proxy_before_kafka();
    rig.start(Plan { padding: PADDING, ..plan() });
    let mut complaints = Vec::new();
    rig.wait_more(pick(100, 1000));
    let down = rig.cut_kafka_off();
    let some = pick(100, 1000);
    if !within(LIMIT, || rig.history.count(|a| a.began > down && spooled(a)) > some) {
        complaints.push("nothing was spooled".into());
    }
    disk.take_all_but(0);
    complaints.extend(refuses(rig, "another has filled the disk"));
    rig.give_kafka_back();
    rig.wait_more(pick(100, 5000));
    drained(rig);
    disk.give_back();
    rig.tell("it has given it back");
    rig.wait_more(pick(100, 1000));
    let down = rig.cut_kafka_off();
    complaints.extend(fill_up(rig, &disk, down));
    rig.give_kafka_back();
    rig.wait_more(pick(100, 5000));
    drained(rig);
    end(rig, disk, complaints)
}

/// With `spool.min_free_bytes`: so much is left for others. And when another takes it, and gives it back, the spool goes
/// on.
pub(super) fn nearly_full(rig: &mut Rig) -> Outcome {
    let disk = SmallDisk::mount(&rig.setup.data_dir(), megabytes(LEFT + pick(56, 96))).expect("a mount");
    let left = megabytes(LEFT);
    rig.setup.sources += &format!("[spool]\nmin_free_bytes = {left}\n");
    rig.put_proxy_before_kafka();
    rig.start(Plan { padding: PADDING, ..plan() });
    let mut complaints = Vec::new();
    rig.wait_more(pick(100, 1000));
    rig.cut_kafka_off();
    disk.take_all_but(left - PAGE);
    complaints.extend(refuses(rig, "another has filled the disk to what it is to have"));
    disk.give_back();
    let down = rig.tell("it gives it back");
    complaints.extend(fill_up(rig, &disk, down));
    let free = disk.free();
    // A group that was begun is written: each connection has one delivery in it at most.
    let group = plan().connections * (PADDING + (8 << 10));
    if free + (group as u64) < left {
        complaints.push(format!("{free} bytes are free, and spool.min_free_bytes is {left}"));
    }
    rig.give_kafka_back();
    rig.wait_more(pick(100, 5000));
    drained(rig);
    end(rig, disk, complaints)
}

const fn megabytes(count: u64) -> u64 {
    count << 20
}

/// From now on senders must be told to come again.
fn refuses(rig: &mut Rig, why: &str) -> Option<String> {
    let since = rig.tell(why);
    let came = within(LIMIT, || rig.history.count(|a| a.began > since && refused(a)) > 0);
    (!came).then(|| format!("{why}, and 503 never came"))
}

/// Goes on until the spool takes nothing more. Before that, it must have taken something; then, senders are told to come
/// again.
fn fill_up(rig: &mut Rig, disk: &SmallDisk, since: Duration) -> Vec<String> {
    let mut complaints = Vec::new();
    let history = rig.history.clone();
    // More than what fits into one group, which a large delivery may have made too large.
    let many = 2 * plan().connections;
    let refusals = || history.count(|a| a.began > since && refused(a));
    if !within(LIMIT, || refusals() > many) {
        complaints.push(format!("with {} bytes free, 503 never came", disk.free()));
    }
    let full = rig.tell(&format!("503; {} bytes are free", disk.free()));
    let first = rig.history.attempts(|a| a.began > since && refused(a)).into_iter().map(|(_, a)| a.began).min();
    let before = rig.history.count(|a| a.began > since && spooled(a) && first.is_none_or(|first| a.ended < first));
    sleep(Duration::from_secs(pick(2, 20)));
    let (refusals, taken) = (refusals(), rig.history.count(|a| a.began > full && spooled(a)));
    rig.tell(&format!(
        "spooled before the first 503: {before}; since then {refusals} refusals, {taken} spooled; {} bytes are free",
        disk.free()
    ));
    if before < pick(100, 1000) {
        complaints.push(format!("only {before} were spooled before the first 503"));
    }
    complaints
}

/// Waits until nothing waits in the spool.
fn drained(rig: &mut Rig) {
    let admin = rig.bridge().admin;
    if within(LIMIT, || metrics::spool_records(admin) == 0) {
        rig.tell("the spool is empty");
    }
}

fn end(rig: &mut Rig, disk: SmallDisk, complaints: Vec<String>) -> Outcome {
    let mut outcome = rig.finish();
    outcome.complaints.extend(complaints);
    // Here, before the directory it is mounted on goes.
    drop(disk);
    outcome
}

/// What is missing for a disk that can be filled, and what would help.
pub(super) fn no_small_disk() -> Option<String> {
    let why = SmallDisk::mount(&work_dir("small_disk"), megabytes(1)).err()?;
    Some(format!("{why}; to enable it, run as root"))
}

/// What is missing for syncs that fail, and what would help.
pub(super) fn no_failing_sync() -> Option<String> {
    let why = FailingSync::compile().err()?;
    Some(format!("{why}; to enable it, install a C compiler"))
}

fn refused(attempt: &Attempt) -> bool {
    matches!(attempt.answer, Answer::Refused { .. })
}

/// In the spool, as it is or as a dead letter.
fn spooled(attempt: &Attempt) -> bool {
    matches!(&attempt.answer, Answer::Accepted(outcome) if outcome != "published")
}

/// A sync fails while Kafka is away. What the kernel then has of the file is anybody's guess, though later syncs may
/// succeed: nothing more may be promised on that file. The spool goes on with a new one by itself, and what was promised is
/// there after a kill.
pub(super) fn sync_fails(rig: &mut Rig) -> Outcome {
    let sync = FailingSync::compile().expect("a library");
    rig.setup.runner.extend(sync.runner());
    rig.put_proxy_before_kafka();
    rig.start(plan());
    let mut complaints = Vec::new();
    for _ in 0..pick(1, 5) {
        rig.wait_more(pick(100, 1000));
        rig.cut_kafka_off();
        sleep(Duration::from_secs(3));
        complaints.extend(fail_and_restart(rig, &sync));
        rig.give_kafka_back();
    }
    rig.wait_accepted(pick(600, 19_000));
    let mut outcome = rig.finish();
    outcome.complaints.extend(complaints);
    outcome
}

fn fail_and_restart(rig: &mut Rig, sync: &FailingSync) -> Option<String> {
    let before = sync.failed();
    sync.fail();
    rig.tell("syncs fail");
    let came = within(LIMIT, || sync.failed() > before);
    let failed = rig.tell(&format!("{} syncs failed", sync.failed() - before));
    sleep(Duration::from_secs(1));
    let wrongly = rig.history.attempts(|a| spooled(a) && a.began > failed);
    sync.succeed();
    let again = rig.tell("syncs succeed again");
    let goes_on = within(LIMIT, || rig.history.count(|a| spooled(a) && a.began > again) > 0);
    rig.tell("it is restarted");
    rig.kill_bridge();
    rig.start_bridge();
    if !came {
        return Some("the spool was never synced".into());
    }
    if !goes_on {
        return Some("the spool did not go on when syncs succeeded again".into());
    }
    let (event, attempt) = wrongly.first()?;
    Some(format!("{} spooled while syncs failed: {} {attempt:?}", wrongly.len(), event.id))
}
