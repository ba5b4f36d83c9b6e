//! What grows: since when a count that should stand still has been moving, and by how much. Never asks for the time.

use std::collections::BTreeMap;

use serde::Serialize;

/// A count that moved and has not stood still for long since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Growth {
    /// When it was seen to move first and last, in milliseconds since 1970.
    pub(super) since: i64,
    pub(super) last: i64,
    pub(super) count: u64,
}

#[derive(Debug, Default)]
struct Counted {
    total: u64,
    growth: Option<Growth>,
}

/// Counts by source and reason, from the start of the process on.
#[derive(Debug, Default)]
pub(super) struct GrowthLog(BTreeMap<(String, String), Counted>);

impl GrowthLog {
    /// Notes a count at `now`. After `pause` milliseconds without a move it begins anew.
    pub(super) fn note(&mut self, now: i64, pause: i64, key: &(String, String), total: u64) {
        if total == 0 {
            return;
        }
        let counted = self.0.entry(key.clone()).or_default();
        let more = total.saturating_sub(counted.total);
        counted.total = total;
        counted.growth = counted.growth.filter(|growth| now - growth.last <= pause);
        if more > 0 {
            let growth = counted.growth.get_or_insert(Growth { since: now, last: now, count: 0 });
            (growth.last, growth.count) = (now, growth.count + more);
        }
    }

    /// What has been growing of late.
    pub(super) fn growing(&self) -> impl Iterator<Item = (&(String, String), Growth)> {
        self.0.iter().filter_map(|(key, counted)| Some((key, counted.growth?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_lasts_until_the_count_has_stood_still_for_a_pause() {
        let (mut log, key) = (GrowthLog::default(), ("wegly".to_owned(), "wrong".to_owned()));
        let mut seen = Vec::new();
        for (now, total) in [(0, 0), (2, 3), (4, 3), (10, 5), (20, 5), (21, 5), (22, 6)] {
            log.note(now, 10, &key, total);
            seen.push(log.growing().next().map(|(_, growth)| (growth.since, growth.last, growth.count)));
        }
        let first = Some((2, 2, 3));
        let grown = Some((2, 10, 5));
        assert_eq!(seen, [None, first, first, grown, grown, None, Some((22, 22, 1))]);
    }
}
