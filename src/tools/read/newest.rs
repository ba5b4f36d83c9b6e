//! The newest records of topics, in the order of time over all partitions.
//!
//! The newest are at the ends of the partitions. Offsets between records may be missing (compaction, transactions) and some records may
//! not be wanted, so that reading begins some offsets before each end, and further back until there are enough.

use std::collections::BTreeMap;

use super::{From, ReadError, ReadRecord, Reader};
use crate::config::KafkaSettings;

/// How much further back each time.
const FURTHER: i64 = 8;
/// So many offsets are looked at, at the least.
const FIRST: i64 = 64;

/// The `count` newest records that are `wanted`, oldest first, and a reader that goes on behind them. `look` is called for each record
/// that is read.
///
/// # Errors
/// Kafka's own words, or that no topic is called so.
pub(crate) fn newest(
    kafka: &KafkaSettings,
    patterns: &[String],
    count: usize,
    wanted: impl Fn(&ReadRecord) -> bool,
    mut look: impl FnMut(),
) -> Result<(Vec<ReadRecord>, Reader), ReadError> {
    let mut back = FIRST.max(count as i64);
    loop {
        let mut reader = Reader::open(kafka, patterns, From::Back(back), false)?;
        let mut found = Newest { count, ..Newest::default() };
        while let Some(record) = reader.next()? {
            look();
            if wanted(&record) {
                found.add(record);
            }
        }
        let is_enough = |place| found.of_each.get(place).is_some_and(|&of| of >= count);
        if reader.cut.iter().all(is_enough) {
            return Ok((found.sorted(), reader));
        }
        back = back.saturating_mul(FURTHER);
    }
}

/// The newest so far.
#[derive(Default)]
struct Newest {
    count: usize,
    /// At most twice as many.
    records: Vec<ReadRecord>,
    /// How many each partition had.
    of_each: BTreeMap<(String, i32), usize>,
}

impl Newest {
    fn add(&mut self, record: ReadRecord) {
        *self.of_each.entry((record.topic.clone(), record.partition)).or_default() += 1;
        self.records.push(record);
        if self.records.len() > self.count.saturating_mul(2) {
            self.keep();
        }
    }

    fn keep(&mut self) {
        self.records.sort_by(|a, b| {
            let of = |record: &ReadRecord| (record.timestamp, record.partition, record.offset);
            of(a).cmp(&of(b)).then_with(|| a.topic.cmp(&b.topic))
        });
        self.records.drain(..self.records.len().saturating_sub(self.count));
    }

    fn sorted(mut self) -> Vec<ReadRecord> {
        self.keep();
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_in_the_order_of_time() {
        let mut newest = Newest { count: 3, ..Newest::default() };
        for (partition, offset, timestamp) in
            [(0, 0, 5), (0, 1, 9), (1, 0, 1), (1, 1, 7), (2, 0, 7), (2, 1, 2), (0, 2, 8)]
        {
            newest.add(ReadRecord {
                topic: "t".into(),
                partition,
                offset,
                timestamp: Some(timestamp),
                key: None,
                value: None,
                headers: Vec::new(),
            });
        }
        assert_eq!(newest.of_each[&("t".to_owned(), 0)], 3);
        let kept: Vec<_> = newest.sorted().iter().map(|record| record.timestamp).collect();
        assert_eq!(kept, [Some(7), Some(8), Some(9)]);
    }
}
