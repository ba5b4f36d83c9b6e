//! What is known of the schemas' ids.

use prometheus::{Error, IntCounter, IntGaugeVec};

use super::make::Make;

pub(crate) struct SchemaMetrics {
    by_state: IntGaugeVec,
    ids_changed: IntCounter,
}

impl SchemaMetrics {
    pub(super) fn new(make: &Make<'_>) -> Result<SchemaMetrics, Error> {
        let changed = "Schema ids that turned out to be others than before: the registry was replaced or restored.";
        Ok(SchemaMetrics {
            by_state: make.gauges("schemas", "Schemas by state of their id: known, refused, unknown.", &["state"])?,
            ids_changed: make.single("schema_ids_changed_total", changed)?,
        })
    }

    /// Of `all` schemas so many have an id, and so many are refused; so many ids have changed since the start of the process.
    pub(crate) fn show(&self, (known, refused, all): (usize, usize, usize), changed: u64) {
        for (state, count) in [("known", known), ("refused", refused), ("unknown", all.saturating_sub(known + refused))]
        {
            self.by_state.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.ids_changed.inc_by(changed.saturating_sub(self.ids_changed.get()));
    }
}
