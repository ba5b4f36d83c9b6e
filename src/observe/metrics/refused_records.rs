//! Records of join and latest topics that Kafka will never take, though the event's own record is no dead letter.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Error, IntCounterVec};

use super::make::Make;
use crate::outcome::Reason;

/// What a record is refused for.
const REASONS: [Reason; 2] = [Reason::RecordTooLarge, Reason::KafkaRejected];
/// They are logged no more often than this, topic by topic.
const INTERVAL: Duration = Duration::from_secs(60);

pub(crate) struct RefusedRecords {
    counter: IntCounterVec,
    /// By topic, when they were last logged, and how many came since.
    quiet: Mutex<BTreeMap<String, (Instant, u64)>>,
}

impl RefusedRecords {
    pub(super) fn new(make: &Make<'_>) -> Result<RefusedRecords, Error> {
        let help =
            "Records of join and latest topics that Kafka refused for good; their events are published without them.";
        let counter = make.counter("records_refused_total", help, &["topic", "reason"])?;
        Ok(RefusedRecords { counter, quiet: Mutex::default() })
    }

    /// Makes the series of a topic be there.
    pub(crate) fn announce(&self, topic: &str) {
        for reason in REASONS {
            self.counter.with_label_values(&[topic, reason.code()]);
        }
    }

    /// Counts one; gives how many there were since the last log line, if it is time for another.
    pub(crate) fn count(&self, topic: &str, reason: Reason) -> Option<u64> {
        self.counter.with_label_values(&[topic, reason.code()]).inc();
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        match quiet.get_mut(topic) {
            Some((logged, more)) if logged.elapsed() < INTERVAL => {
                *more += 1;
                None
            }
            before => {
                let records = before.map_or(0, |(_, more)| *more) + 1;
                quiet.insert(topic.to_owned(), (Instant::now(), 0));
                Some(records)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn each_refusal_is_counted_and_the_first_of_a_topic_is_logged() {
        let registry = Registry::new();
        let refused = RefusedRecords::new(&Make(&registry)).unwrap();
        let told = ["a", "a", "b", "a"].map(|topic| refused.count(topic, Reason::KafkaRejected));
        assert_eq!(told, [Some(1), None, Some(1), None]);
        assert_eq!(refused.counter.with_label_values(&["a", "kafka_rejected"]).get(), 3);
        // As it is when a minute has passed.
        let Some(long_ago) = Instant::now().checked_sub(INTERVAL) else { return };
        refused.quiet.lock().unwrap().get_mut("a").unwrap().0 = long_ago;
        assert_eq!(refused.count("a", Reason::KafkaRejected), Some(3));
    }
}
