//! The bridge's clock is wrong for a while. Kafka refuses what is from more than an hour ahead of it.

use std::thread::sleep;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::rig::{Outcome, Rig, work_dir};
use crate::size::{cluster_accepted, cluster_plan};
use crate::support::wrong_clock::WrongClock;

const WRONG_FOR: Duration = Duration::from_secs(25);

/// In seconds, ahead and behind.
const WRONG_BY: [i64; 4] = [61 * 60, -61 * 60, 2 * 60 * 60, -24 * 60 * 60];

/// What is missing to set a clock of its own, and what would help.
pub(in crate::scenarios) fn no_wrong_clock() -> Option<String> {
    let why = WrongClock::compile(&work_dir("clock")).err()?;
    Some(format!("{why}; to enable it, install a C compiler"))
}

/// Forward and back again, back and forward again.
pub(in crate::scenarios) fn clock_wrong(rig: &mut Rig<Cluster>) -> Outcome {
    let clock = WrongClock::compile(&work_dir("clock")).expect("a library");
    rig.setup.runner.extend(clock.runner());
    rig.start_settled(cluster_plan());
    for seconds in WRONG_BY {
        rig.wait_more(1000);
        clock.set(seconds);
        let began = rig.tell(&format!("the bridge's clock is wrong by {seconds} s"));
        sleep(WRONG_FOR);
        clock.set(0);
        let ended = rig.tell("it is right again");
        rig.healed(began, ended);
    }
    rig.wait_accepted(cluster_accepted());
    rig.finish()
}
