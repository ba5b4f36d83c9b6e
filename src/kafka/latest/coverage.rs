//! Which offsets of a partition are known: what we wrote ourselves, and what was read.

use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges that are not joined yet. With more, the oldest are given up and read again.
const MOST_RANGES: usize = 4096;

/// The known offsets of one partition: all before `next`, and ranges above it.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    next: i64,
    /// By their first offset, the offset behind their last.
    above: BTreeMap<i64, i64>,
}

impl Coverage {
    pub(super) fn from(next: i64) -> Coverage {
        Coverage { next, above: BTreeMap::new() }
    }

    /// The first offset that is not known.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Takes note of one offset.
    pub(super) fn add(&mut self, offset: i64) {
        if offset < self.next {
            return;
        }
        let (mut start, mut end) = (offset, offset + 1);
        if let Some((&before, &its_end)) = self.above.range(..=offset).next_back()
            && its_end >= offset
        {
            (start, end) = (before, its_end.max(end));
        }
        if let Some(behind) = self.above.remove(&end) {
            end = behind;
        }
        self.above.insert(start, end);
        self.join();
        if self.above.len() > MOST_RANGES {
            self.above.pop_first();
        }
    }

    /// All before `end` is known.
    pub(super) fn read_up_to(&mut self, end: i64) {
        self.next = self.next.max(end);
        self.join();
    }

    /// Moves ranges that have no gap before them to what is known as a whole.
    fn join(&mut self) {
        while let Some(first) = self.above.first_entry().filter(|first| *first.key() <= self.next) {
            self.next = self.next.max(first.remove());
        }
    }

    /// From the first to the last offset before `end` that is not known; what is between them may be known.
    pub(super) fn missing(&self, end: i64) -> Option<Range<i64>> {
        let reaches_end = |(&start, &behind): (&i64, &i64)| start < end && behind >= end;
        let last = self.above.iter().next_back().filter(|range| reaches_end(*range)).map_or(end, |(&start, _)| start);
        (self.next < last).then_some(self.next..last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_we_wrote_ourselves_need_not_be_read() {
        let mut ours = Coverage::from(5);
        for offset in [5, 7, 6, 8] {
            ours.add(offset);
        }
        assert_eq!((ours.next(), ours.missing(9)), (9, None));
        ours.add(11);
        assert_eq!(ours.missing(12), Some(9..11), "others wrote 9 and 10");
        ours.read_up_to(11);
        assert_eq!((ours.next(), ours.missing(12)), (12, None));
    }

    proptest! {
        #[test]
        fn it_never_takes_for_known_what_is_not(offsets in prop::collection::vec(0_i64..60, 0..80), end in 0_i64..60) {
            let (mut coverage, known) = (Coverage::default(), offsets.iter().copied().collect::<BTreeSet<_>>());
            for &offset in &offsets {
                coverage.add(offset);
            }
            prop_assert!((0..coverage.next()).all(|offset| known.contains(&offset)));
            let missing = coverage.missing(end).unwrap_or(0..0);
            prop_assert!((0..end).all(|offset| known.contains(&offset) || missing.contains(&offset)));
        }
    }
}
