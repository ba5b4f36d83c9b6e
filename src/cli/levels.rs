//! What is said of subjects at which a registry lets in more than what is promised.

use std::collections::BTreeMap;

use crate::kafka::registry::{PROMISED_LEVEL, SubjectReport};

/// How many subjects are at which level below the promise, and how to change that; `None` where there are none.
pub(super) fn low_levels(url: &str, reports: &[SubjectReport]) -> Option<String> {
    let mut low: BTreeMap<&str, usize> = BTreeMap::new();
    for level in reports.iter().filter_map(SubjectReport::low_level) {
        *low.entry(level).or_default() += 1;
    }
    if low.is_empty() {
        return None;
    }
    let counts: Vec<_> = low.iter().map(|(level, count)| format!("{count} at {level}")).collect();
    Some(format!(
        "registry: its own compatibility level is below {PROMISED_LEVEL} for {} of {} subjects ({}), so others may register what \
         breaks readers. Raise it: curl -X PUT -H 'content-type: application/json' -d '{{\"compatibility\": \
         \"{PROMISED_LEVEL}\"}}' {url}/config, or {url}/config/SUBJECT for a subject with a level of its own",
        low.values().sum::<usize>(),
        reports.len(),
        counts.join(", "),
    ))
}
