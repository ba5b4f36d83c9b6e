//! What latest topics are made with.

use crate::values::time::DAY;

/// Latest topics are tables: compacted, and good for a reader that was away for a week.
///
/// A record's time is that of its state, which an import has from many years. Kafka closes a segment when a record is
/// `segment.ms` later than the segment's first: of old states in their order, one a week apart, each would have a segment
/// and its open files. So that is a year. What closes segments, so that they are compacted, is their size.
/// `max.compaction.lag.ms` is left alone, since Kafka takes the smaller of the two.
pub(crate) fn topic_configs() -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "compact".to_owned()),
        ("segment.ms", (365 * DAY).to_string()),
        ("segment.bytes", (64 << 20).to_string()),
        // Who comes back within a week finds each state of that week: for tables that know what was when ...
        ("min.compaction.lag.ms", (7 * DAY).to_string()),
        // ... and the tombstones.
        ("delete.retention.ms", (7 * DAY).to_string()),
    ]
}
