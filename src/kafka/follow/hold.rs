//! How long the first reading of the latest topics may keep states from being written.

use std::time::Duration;

use tokio::time::Instant;

/// How long reading may give nothing. Whatever is wrong then may not end soon, and new events are to be answered 200 again.
const IDLE: Duration = Duration::from_secs(20);
/// How long it may take in all: ten times as long as the 500,000 keys that are known by default, at the 15,000 states a second that a
/// busy machine reads.
const LONGEST: Duration = Duration::from_secs(10 * 500_000 / 15_000);

/// A reading for which states wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    since: Instant,
    /// When something was read last.
    moved: Instant,
}

impl Hold {
    pub(super) fn begin(now: Instant) -> Hold {
        Hold { since: now, moved: now }
    }

    /// Something was read.
    pub(super) fn goes_on(&mut self, now: Instant) {
        self.moved = now;
    }

    /// Whether states are written all the same: what goes backwards by that is written once more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.moved) >= IDLE || now.duration_since(self.since) >= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_lasts_while_something_is_read_and_not_for_ever() {
        let mut now = Instant::now();
        let mut hold = Hold::begin(now);
        for second in 1..LONGEST.as_secs() {
            now += SECOND;
            assert!(!hold.is_over(now), "after {second} s");
            hold.goes_on(now);
        }
        assert!(hold.is_over(now + SECOND));
    }

    #[test]
    fn it_ends_when_nothing_is_read() {
        let begin = Instant::now();
        let mut hold = Hold::begin(begin);
        hold.goes_on(begin + 15 * SECOND);
        assert!(!hold.is_over(begin + 34 * SECOND));
        assert!(hold.is_over(begin + 35 * SECOND));
    }
}
