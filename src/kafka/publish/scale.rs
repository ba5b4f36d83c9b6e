//! How many producers the senders need (`kafka.producers = "auto"`): one, unless bursts take much longer than an acknowledgement does.
//!
//! A burst has a request for each of its partitions, and a producer has five of them under way at a time. A burst of more takes several
//! times as long as an acknowledgement; with more producers its requests wait side by side. Where bursts have few records there is
//! nothing to share, and each further producer only costs.

use std::time::Duration;

/// Producers at the most, where waiting for Kafka takes the time. Each has its own threads and connections.
pub(super) const MOST: usize = 8;
/// Producers at the most, where requests take hardly longer than the work on them: more cost more processor time than they save waiting
/// (docs/performance.md).
const MOST_NEAR: usize = 4;
/// An acknowledgement that takes less is work, not waiting.
const NEAR: Duration = Duration::from_millis(1);
/// Bursts that last by this much longer than their first acknowledgement are too long.
const TOO_LONG: f64 = 1.5;
/// So many times as many at once, at the most.
const STEP: usize = 4;
/// Bursts of so many records or fewer, on average, need no more producers than one.
const FEW: u64 = 4;
/// Fewer records say nothing.
const LEAST_RECORDS: u64 = 32;
/// Between two looks at the load.
pub(super) const TICK: Duration = Duration::from_millis(250);
/// So many looks in a row have to find that fewer would do: two seconds.
pub(super) const CALM: u32 = 8;

/// What went through the line of a producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LineLoad {
    pub(super) records: u64,
    bursts: u64,
    /// From the sending of a burst to its first verdict, the least.
    first: Option<Duration>,
    /// From the sending of a burst to its last verdict, the sum.
    lasted: Duration,
}

impl LineLoad {
    /// A burst has ended: its first verdict came after `first`, its last one after `took`.
    pub(super) fn add_burst(&mut self, first: Duration, took: Duration) {
        self.bursts += 1;
        self.lasted += took;
        self.first = Some(self.first.map_or(first, |least| least.min(first)));
    }

    /// How many producers there should be now that `count` had this load.
    pub(super) fn producers(&self, count: usize) -> usize {
        let Some(first) = self.first.filter(|_| self.records >= LEAST_RECORDS && self.records > self.bursts * FEW)
        else {
            return count.div_ceil(2);
        };
        let mean = self.lasted.as_secs_f64() / self.bursts.max(1) as f64;
        let times = mean / first.as_secs_f64().max(f64::EPSILON);
        let most = if first < NEAR { MOST_NEAR } else { MOST };
        let needed = if times > TOO_LONG { count * (times.ceil() as usize).clamp(2, STEP) } else { count };
        needed.min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Of so many bursts of `records` each.
    fn load(bursts: u64, records: u64, first: Duration, took: Duration) -> LineLoad {
        let mut load = LineLoad { records: bursts * records, ..LineLoad::default() };
        (0..bursts).for_each(|_| load.add_burst(first, took));
        load
    }

    /// How many there are look by look, from `count`.
    fn counts(load: LineLoad, count: usize) -> Vec<usize> {
        std::iter::successors(Some(count), |&count| Some(load.producers(count))).take(5).collect()
    }

    #[test]
    fn bursts_that_wait_for_several_acknowledgements_get_more_producers_up_to_the_most() {
        assert_eq!(counts(load(50, 16, millis(5), millis(15)), 1), [1, 3, 8, 8, 8]);
        assert_eq!(counts(load(5, 64, millis(5), millis(120)), 1), [1, 4, 8, 8, 8], "few bursts, since they take long");
        assert_eq!(counts(load(50, 16, millis(5), millis(8)), 1), [1, 2, 4, 8, 8], "hardly too long");
        assert_eq!(counts(load(500, 16, Duration::from_micros(400), millis(3)), 1), [1, 4, 4, 4, 4], "a near Kafka");
        assert_eq!(counts(load(50, 16, millis(5), millis(7)), 2), [2; 5], "as long as one acknowledgement, or about");
    }

    #[test]
    fn small_bursts_or_none_need_one_producer() {
        let (small, idle) = (load(100, 3, millis(5), millis(15)), LineLoad::default());
        for (what, load) in [("small", small), ("few records", load(2, 10, millis(5), millis(15))), ("none", idle)] {
            assert_eq!(counts(load, 4), [4, 2, 1, 1, 1], "{what}");
        }
    }
}
