//! Whether a producer's records are acknowledged, partition by partition, in so far as they are not soon.
//!
//! A record that takes long is noted, and its partition is forgotten when the producer has any record of it acknowledged.
//! What stays is held against what a new client finds: when it has reached the partition's leader all the while and the
//! producer got nothing through, then the producer is at fault and not Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::ordering::ANY_PARTITION;

/// A topic and its partition, [`ANY_PARTITION`] when it is not known.
pub(super) type TopicPartition = (Arc<str>, i32);

/// Without records for this long, what was found before says nothing about what comes.
const GAP: Duration = Duration::from_secs(5);
/// Partitions that are kept in mind; when so many have trouble, more would tell nothing new.
const MOST: usize = 64;

/// What one producer got no acknowledgement for.
#[derive(Debug, Default)]
pub(super) struct Evidence(BTreeMap<TopicPartition, Unacknowledged>);

/// Records of one partition, none of them acknowledged.
#[derive(Debug)]
struct Unacknowledged {
    /// When the first one was sent.
    since: Instant,
    /// How many wait for their verdict.
    waiting: usize,
    /// When the last verdict came.
    last: Instant,
}

impl Evidence {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &TopicPartition> {
        self.0.keys()
    }

    /// A record that was sent at `sent` takes long.
    pub(super) fn note(&mut self, place: &TopicPartition, sent: Instant) {
        if !self.0.contains_key(place) && self.0.len() >= MOST {
            return;
        }
        let first = || Unacknowledged { since: sent, waiting: 0, last: sent };
        let records = self.0.entry(place.clone()).or_insert_with(first);
        if records.waiting == 0 && sent.saturating_duration_since(records.last) > GAP {
            records.since = sent;
        }
        records.waiting += 1;
    }

    /// A record that was noted does not wait any more, and was not acknowledged.
    pub(super) fn failed(&mut self, place: &TopicPartition, now: Instant) {
        if let Some(records) = self.0.get_mut(place) {
            records.waiting = records.waiting.saturating_sub(1);
            records.last = now;
        }
    }

    /// A record of `place` was acknowledged.
    pub(super) fn acknowledged(&mut self, topic: &Arc<str>, partition: i32) {
        for partition in [partition, ANY_PARTITION] {
            self.0.remove(&(Arc::clone(topic), partition));
        }
    }

    /// Forgets what is too old to say anything.
    pub(super) fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, records| records.waiting > 0 || now.saturating_duration_since(records.last) <= GAP);
    }

    /// The partition for which there was no acknowledgement for the longest, and for how long. Only the time counts in which
    /// records were sent and the leader could be reached: since `reachable` says, if at all.
    pub(super) fn worst(
        &self,
        now: Instant,
        reachable: impl Fn(&TopicPartition) -> Option<Instant>,
    ) -> Option<(&TopicPartition, Duration)> {
        let time = |(place, records): (_, &Unacknowledged)| {
            let until = if records.waiting > 0 { now } else { records.last };
            Some((place, until.saturating_duration_since(records.since.max(reachable(place)?))))
        };
        self.0.iter().filter_map(time).max_by_key(|(_, time)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn place(partition: i32) -> TopicPartition {
        ("wegly.deal".into(), partition)
    }

    /// For how long nothing was acknowledged `at` a second, in seconds, if the leader is reachable from second `since` on.
    fn worst(evidence: &Evidence, start: Instant, at: u32, since: u32) -> Option<u64> {
        let found = evidence.worst(start + at * SECOND, |_| Some(start + since * SECOND));
        found.map(|(_, time)| time.as_secs())
    }

    #[test]
    fn only_the_time_counts_in_which_a_record_waited_and_its_leader_could_be_reached() {
        let (mut evidence, start) = (Evidence::default(), Instant::now());
        assert_eq!(worst(&evidence, start, 100, 0), None);
        evidence.note(&place(3), start);
        assert_eq!(worst(&evidence, start, 8, 0), Some(8));
        assert_eq!(worst(&evidence, start, 8, 6), Some(2), "Kafka was away before");
        assert!(evidence.worst(start + 8 * SECOND, |_| None).is_none(), "its leader cannot be reached");
        evidence.failed(&place(3), start + 9 * SECOND);
        assert_eq!(worst(&evidence, start, 90, 0), Some(9), "nothing was tried since");
        evidence.note(&place(3), start + 10 * SECOND);
        assert_eq!(worst(&evidence, start, 13, 0), Some(13), "the next one fares no better");
        evidence.failed(&place(3), start + 14 * SECOND);
        evidence.note(&place(3), start + 60 * SECOND);
        assert_eq!(worst(&evidence, start, 62, 0), Some(2), "long after, it is another story");
    }

    #[test]
    fn an_acknowledgement_clears_its_own_partition() {
        let (mut evidence, start) = (Evidence::default(), Instant::now());
        for partition in [ANY_PARTITION, 1, 2] {
            evidence.note(&place(partition), start);
        }
        evidence.acknowledged(&place(1).0, 1);
        assert_eq!(evidence.places().collect::<Vec<_>>(), [&place(2)]);
        // The verdict on one that was noted comes late.
        evidence.failed(&place(1), start);
        evidence.failed(&place(2), start);
        evidence.forget_old(start + 10 * SECOND);
        assert!(evidence.is_empty());
    }
}
