//! What became of reloads of the configuration.

use prometheus::{Error, IntCounterVec, IntGauge};

use super::make::Make;

pub(crate) struct Reloads {
    outcomes: IntCounterVec,
    last_successful: IntGauge,
}

impl Reloads {
    pub(super) fn new(make: &Make<'_>) -> Result<Reloads, Error> {
        let outcomes = "Reloads of the configuration (SIGHUP): taken_over, or refused with nothing changed.";
        let last = "1 unless the last reload was refused; then what runs is not what the configuration file says.";
        let last_successful = make.gauge("last_reload_successful", last)?;
        last_successful.set(1);
        let outcomes = make.announced("reloads_total", outcomes, "outcome", &["taken_over", "refused"])?;
        Ok(Reloads { outcomes, last_successful })
    }

    /// A reload was taken over, or refused.
    pub(crate) fn note(&self, taken_over: bool) {
        self.outcomes.with_label_values(&[if taken_over { "taken_over" } else { "refused" }]).inc();
        self.last_successful.set(taken_over.into());
    }

    /// Whether the last reload was refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.last_successful.get() == 0
    }
}
