//! The bridge itself is killed, or told to end.

use std::thread::sleep;
use std::time::Duration;

use crate::rig::{Outcome, Rig};
use crate::size::{accepted, pick, plan};
use crate::support::payloads::Dice;

/// `kill -9` again and again, at random instants: with events under way, just started, not yet ready.
pub(super) fn killed(rig: &mut Rig) -> Outcome {
    rig.start(plan());
    let mut dice = Dice::new(u64::from(std::process::id()));
    for _ in 0..pick(3, 20) {
        sleep(Duration::from_millis(dice.roll(2500)));
        rig.kill_bridge();
        let since = rig.start_bridge();
        // Every third life ends before it came to anything, perhaps.
        if dice.roll(3) != 0 {
            rig.recovered(since);
        }
    }
    let now = rig.tell("the last life");
    rig.recovered(now);
    rig.wait_accepted(accepted());
    rig.finish()
}
