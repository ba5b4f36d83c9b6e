//! Latest topics: what was left out or written once more so that they do not go backwards.

use std::sync::{Mutex, PoisonError};

use prometheus::{Error, IntCounter, IntCounterVec, IntGauge};

use super::make::Make;
use crate::kafka::latest::LatestTopics;

pub(crate) struct LatestMetrics {
    /// By topic.
    pub(crate) skipped: IntCounterVec,
    rewritten: IntCounterVec,
    keys: IntGauge,
    dropped: IntCounter,
    /// Held while the counters are brought up to date, which two scrapes at once would do twice.
    counting: Mutex<()>,
}

impl LatestMetrics {
    pub(super) fn new(make: &Make<'_>) -> Result<LatestMetrics, Error> {
        let skipped = "States that were not written to a latest topic, since it has a newer one.";
        let rewritten = "Newest states that were written to a latest topic again, since an older one came behind them.";
        Ok(LatestMetrics {
            skipped: make.counter("latest_skipped_total", skipped, &["topic"])?,
            rewritten: make.counter("latest_rewritten_total", rewritten, &["topic"])?,
            keys: make.gauge("latest_keys", "Keys of latest topics whose newest state is known.")?,
            dropped: make.single(
                "latest_keys_dropped_total",
                "Keys that are not known any more, since kafka.latest_keys were newer.",
            )?,
            counting: Mutex::default(),
        })
    }

    /// Makes the series of a topic be there.
    pub(crate) fn announce(&self, topic: &str) {
        self.skipped.with_label_values(&[topic]);
        self.rewritten.with_label_values(&[topic]);
    }

    /// Brings the figures up to date.
    pub(crate) fn show(&self, latest: &LatestTopics) {
        let (keys, dropped) = latest.counts();
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        let _alone = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        self.dropped.inc_by(dropped.saturating_sub(self.dropped.get()));
        for (topic, total) in latest.rewritten() {
            let counter = self.rewritten.with_label_values(&[topic]);
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}
