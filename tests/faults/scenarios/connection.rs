//! Connections are cut between the senders and the bridge: in the middle of a body, or before the answer is through.

use crate::cutter::Cutter;
use crate::load::Plan;
use crate::rig::{Outcome, Rig};
use crate::size::{pick, plan};

/// Bodies that take many packets, so that most cuts are within one.
const PADDING: usize = 48 << 10;

pub(super) fn cut(rig: &mut Rig) -> Outcome {
    rig.start_bridge();
    rig.bridge().wait_ready();
    let cutter = Cutter::start(rig.bridge().http, 3 * PADDING as u64);
    // Each attempt is some 48 KiB through two more processes.
    rig.send_to(cutter.address, Plan { padding: PADDING, rate: Some(pick(150, 600)), ..plan() });
    rig.wait_accepted(pick(500, 19_000));
    cutter.calm();
    let since = rig.tell("no more cuts");
    rig.recovered(since);
    let mut outcome = rig.finish();
    let cuts = cutter.cuts();
    if cuts < pick(50, 1000) {
        outcome.complaints.push(format!("only {cuts} connections were cut"));
    }
    outcome
}
