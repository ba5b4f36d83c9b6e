//! Whether the line waits for a moment after a burst: for those whom it answered, and who send their next event at once.
//!
//! Without that moment, senders fall into two groups that wait for each other: the records of one gather while those of the other are
//! under way, so that each waits for two bursts, and bursts are half as large. The moment ends as soon as as many records wait as
//! waited or were under way at any time of the burst. Where it ends without them, senders do not follow each other's answers: then the next
//! bursts go without it, twice as many each time.

use std::time::Duration;

/// So long at the most. The timer counts in milliseconds.
pub(super) const MOMENT: Duration = Duration::from_millis(1);
/// A burst of fewer records has nobody to wait for.
const LEAST: usize = 4;
/// It was worth waiting if so many of eight came.
const WORTH: usize = 7;
/// Bursts in a row that go without it, at the most.
const MOST_WITHOUT: u32 = 64;

#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// While it waits: for so many records.
    expected: Option<usize>,
    /// So many bursts go without it.
    without: u32,
    /// So many went without it the last time.
    went_without: u32,
}

impl Gathering {
    /// A burst of `records` has ended. At the most `together` waited or were under way, and `waiting` wait now. Says whether the
    /// line is to wait for a moment.
    pub(super) fn begin(&mut self, records: usize, together: usize, waiting: usize) -> bool {
        if records < LEAST || waiting >= together {
            return false;
        }
        if self.without > 0 {
            self.without -= 1;
            return false;
        }
        self.expected = Some(together);
        true
    }

    pub(super) fn is_on(&self) -> bool {
        self.expected.is_some()
    }

    /// Whether all are there that it waits for.
    pub(super) fn has_all(&self, waiting: usize) -> bool {
        self.expected.is_some_and(|expected| waiting >= expected)
    }

    /// It has waited, and `waiting` are there.
    pub(super) fn end(&mut self, waiting: usize) {
        let Some(expected) = self.expected.take() else { return };
        self.went_without =
            if waiting * 8 >= expected * WORTH { 0 } else { (self.went_without * 2).clamp(1, MOST_WITHOUT) };
        self.without = self.went_without;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_once_as_many_wait_as_were_there_together() {
        let mut gathering = Gathering::default();
        assert!(gathering.begin(32, 64, 30) && gathering.is_on());
        assert!(!gathering.has_all(63) && gathering.has_all(64));
        gathering.end(64);
        assert!(!gathering.is_on() && gathering.begin(64, 64, 0), "it was worth it");
    }

    #[test]
    fn a_small_burst_or_one_whose_senders_are_back_needs_none() {
        let mut gathering = Gathering::default();
        assert!(!gathering.begin(3, 3, 0) && !gathering.begin(64, 64, 64) && !gathering.is_on());
    }

    #[test]
    fn where_nobody_comes_ever_more_bursts_go_without_it() {
        let mut gathering = Gathering::default();
        let mut without = Vec::new();
        for _ in 0..8 {
            let mut bursts = 0;
            while !gathering.begin(32, 64, 30) {
                bursts += 1;
            }
            without.push(bursts);
            gathering.end(40);
        }
        assert_eq!(without, [0, 1, 2, 4, 8, 16, 32, 64]);
        while !gathering.begin(32, 64, 30) {}
        gathering.end(60);
        assert!(gathering.begin(60, 64, 0), "once it is worth it, the next burst has it again");
    }
}
