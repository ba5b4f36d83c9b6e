//! Payloads other than their schema, told by record and key. Names of keys come from senders, so they are bounded.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus::{Error, IntCounterVec};

use super::make::Make;
use super::tallies::{SeriesValue, tally};
use crate::values::printable;

/// So many are told apart; further ones are [`OTHER`].
const MOST: usize = 500;
const OTHER: &str = "other";

pub(crate) struct Drift {
    counter: IntCounterVec,
    /// (source, type, field) that are told apart.
    told: Mutex<HashSet<(String, String, String)>>,
}

impl Drift {
    pub(super) fn new(make: &Make<'_>) -> Result<Drift, Error> {
        let help = "Values without a field in the schema, which went to `extra`, by record and key; from the 500th key on, field=other.";
        let counter = make.counter("drift_total", help, &["source", "type", "field"])?;
        Ok(Drift { counter, told: Mutex::default() })
    }

    /// How often which field was met, by source, type and field.
    pub(super) fn tally(&self) -> Vec<SeriesValue<3>> {
        tally(&self.counter, ["source", "type", "field"])
    }

    /// Makes the series of an event type be there.
    pub(super) fn announce(&self, source: &str, event_type: &str) {
        self.counter.with_label_values(&[source, event_type, OTHER]);
    }

    /// A payload was other than its schema in these fields.
    pub(crate) fn note(&self, source: &str, event_type: &str, fields: &[String]) {
        for field in fields {
            // The sender chose the key, and somebody may look at the metrics in a terminal.
            let field = printable::line(field);
            let key = (source.to_owned(), event_type.to_owned(), field.clone().into_owned());
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let apart = told.contains(&key) || (told.len() < MOST && told.insert(key));
            drop(told);
            self.counter.with_label_values(&[source, event_type, if apart { &*field } else { OTHER }]).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn fields_are_told_apart_up_to_a_bound() {
        let registry = Registry::new();
        let drift = Drift::new(&Make(&registry)).unwrap();
        let fields: Vec<_> = (0..MOST + 20).map(|n| format!("DealSnapshot.f{n}")).collect();
        drift.note("wegly", "deal.won", &fields);
        drift.note("wegly", "deal.won", &fields[..1]);
        let count = |field: &str| drift.counter.with_label_values(&["wegly", "deal.won", field]).get();
        assert_eq!((count("DealSnapshot.f0"), count("DealSnapshot.f499"), count(OTHER)), (2, 1, 20));
        assert_eq!(registry.gather()[0].get_metric().len(), MOST + 1);
    }

    #[test]
    fn a_key_in_a_label_has_no_control_characters() {
        let registry = Registry::new();
        let drift = Drift::new(&Make(&registry)).unwrap();
        drift.note("wegly", "deal.won", &["DealSnapshot.\u{1b}[2J\u{9b}m\u{202e}x".to_owned()]);
        let families = registry.gather();
        let label = families[0].get_metric()[0].get_label().iter().find(|label| label.name() == "field").unwrap();
        assert_eq!(label.value(), "DealSnapshot.\\u{1b}[2J\\u{9b}m\\u{202e}x");
    }
}
