//! How many producers the senders need (`kafka.producers = "auto"`): one, unless bursts take much longer than an acknowledgement does.
//!
//! A burst has a request for each of its partitions, and a producer sends one at a time to each broker. With a Kafka that is far, or
//! that waits for copies on other brokers, a burst takes several times as long as an acknowledgement; with more producers its
//! requests wait side by side. With a Kafka that is near and fast there is little to wait for, and each further producer only makes
//! bursts smaller and requests more.

use std::time::Duration;

/// Producers at the most, half as many as a topic has partitions by default: more cost more processor time than they save waiting
/// (docs/performance.md). Each has its own threads and connections.
pub(super) const MOST: usize = 6;
/// An acknowledgement that takes less is no reason for another producer: it is work, not waiting.
const NEAR: Duration = Duration::from_millis(1);
/// So many times as long as the first acknowledgement, and a burst is too long.
const TOO_LONG: u32 = 2;
/// Bursts of so many records or fewer, on average, need no more producers than one.
const FEW: u64 = 2;
/// A second with fewer bursts says nothing.
const LEAST_BURSTS: u64 = 8;

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

    /// Both together.
    pub(super) fn and(self, other: LineLoad) -> LineLoad {
        let first = [self.first, other.first].into_iter().flatten().min();
        let (records, bursts) = (self.records + other.records, self.bursts + other.bursts);
        LineLoad { records, bursts, first, lasted: self.lasted + other.lasted }
    }

    /// How many producers there should be now that `count` had this load in the last second.
    pub(super) fn producers(&self, count: usize) -> usize {
        let Some(first) = self.first.filter(|_| self.bursts >= LEAST_BURSTS) else { return count.div_ceil(2) };
        let mean = self.lasted / u32::try_from(self.bursts).unwrap_or(u32::MAX);
        if first < NEAR || self.records <= self.bursts * FEW {
            count.div_ceil(2)
        } else if mean > first * TOO_LONG {
            (count * 2).min(MOST)
        } else {
            count
        }
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

    #[test]
    fn bursts_that_wait_for_several_acknowledgements_get_more_producers_up_to_the_most() {
        let far = load(50, 16, millis(5), millis(15));
        let mut counts = vec![1];
        for _ in 0..5 {
            counts.push(far.producers(counts[counts.len() - 1]));
        }
        assert_eq!(counts, [1, 2, 4, 6, 6, 6]);
        assert_eq!(load(50, 16, millis(5), millis(9)).producers(4), 4, "as long as one acknowledgement, or about");
    }

    #[test]
    fn a_near_kafka_few_records_or_none_need_one_producer() {
        let near = load(500, 16, Duration::from_micros(400), millis(3));
        let few = load(100, 1, millis(5), millis(15));
        for (what, load) in [("near", near), ("few", few), ("none", LineLoad::default())] {
            let mut counts = vec![6];
            for _ in 0..3 {
                counts.push(load.producers(counts[counts.len() - 1]));
            }
            assert_eq!(counts, [6, 3, 2, 1], "{what}");
        }
    }

    #[test]
    fn loads_of_several_lines_add_up() {
        let both = load(3, 2, millis(5), millis(7)).and(load(1, 4, millis(4), millis(6)));
        assert_eq!(both, LineLoad { records: 10, bursts: 4, first: Some(millis(4)), lasted: millis(27) });
    }
}
