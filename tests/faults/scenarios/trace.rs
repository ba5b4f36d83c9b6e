//! The bridge under `strace`, with Kafka away: what it promises, it has synced before.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::load::Plan;
use crate::rig::{Outcome, Rig, work_dir};
use crate::size::{pick, plan};
use crate::trace;

/// Which calls; and so much of a buffer that a whole page of a database is there, escapes and all.
const CALLS: &str = "trace=write,writev,pwrite64,pwritev,pwritev2,sendto,fsync,fdatasync";
const STRACE: [&str; 8] = ["strace", "-D", "-f", "-y", "-s", "70000", "-e", CALLS];

/// What is missing to trace, and what would help.
pub(super) fn no_strace() -> Option<String> {
    let traces = Command::new("strace").args(["-f", "-y", "-o", "/dev/null", "true"]).output();
    let traces = traces.is_ok_and(|output| output.status.success());
    (!traces).then(|| "strace does not run; to enable it, install strace, and allow it to trace".into())
}

pub(super) fn every_202_follows_its_sync(rig: &mut Rig) -> Outcome {
    let file = work_dir("strace").join("trace");
    let _ = fs::remove_file(&file);
    let untraced = rig.setup.runner.clone();
    rig.setup.runner.extend(STRACE.map(String::from));
    rig.setup.runner.extend(["-o".into(), file.display().to_string()]);
    rig.put_proxy_before_kafka();
    rig.start_bridge();
    rig.bridge().wait_ready();
    // Before anything is sent: an answer that Kafka stands behind needs no sync.
    rig.cut_kafka_off();
    // Slow as it is under a tracer.
    rig.send(Plan { entities: 100, rate: Some(pick(60, 200)), ..plan() });
    sleep(Duration::from_secs(pick(8, 60)));
    rig.kill_bridge();
    rig.setup.runner = untraced;
    rig.start_bridge();
    rig.give_kafka_back();
    rig.wait_accepted(pick(200, 2000));
    let mut outcome = rig.finish();

    let sent = rig.history.sent.lock().expect("the history");
    let tokens: BTreeMap<_, _> = sent.iter().map(|(id, sent)| (id.clone(), sent.event.token.clone())).collect();
    let trace = fs::read_to_string(&file).unwrap_or_default();
    match trace::check(&trace, "spool", &tokens) {
        Ok(0) => outcome.complaints.push("no 202 was seen".into()),
        Ok(covered) => println!("{covered} answers 202, each after the sync of its event"),
        Err(findings) => {
            let words = findings.join("\n  ");
            outcome.complaints.push(format!("{} findings in {}:\n  {words}", findings.len(), file.display()));
        }
    }
    outcome
}
