//! How long senders that are turned away still try.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Error, GaugeVec};

use super::make::Make;
use crate::config::Settings;

pub(crate) struct PatienceGauge {
    gauge: GaugeVec,
    sources: BTreeMap<String, Sender>,
}

struct Sender {
    whole: Duration,
    /// When the first delivery was turned away with none taken since.
    since: Mutex<Option<Instant>>,
}

impl PatienceGauge {
    pub(super) fn new(make: &Make<'_>, settings: &Settings) -> Result<PatienceGauge, Error> {
        let help = "Seconds until the sender may stop retrying the oldest delivery that was refused; the whole \
                    sources.NAME.patience while none is. Only for sources whose patience is known.";
        let gauge = make.seconds("sender_patience_seconds", help, &["source"])?;
        let known = settings.sources.values().filter_map(|source| Some((source.name.clone(), source.patience?)));
        let sources = known.map(|(name, whole)| (name, Sender { whole, since: Mutex::default() })).collect();
        Ok(PatienceGauge { gauge, sources })
    }

    /// A delivery of the source was turned away.
    pub(super) fn turned_away(&self, source: &str) {
        if let Some(sender) = self.sources.get(source) {
            sender.since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
        }
    }

    /// One was taken: what was turned away before is taken when it is sent again.
    pub(super) fn taken(&self, source: &str) {
        if let Some(sender) = self.sources.get(source) {
            sender.since.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    pub(crate) fn show(&self) {
        for (source, Sender { whole, since }) in &self.sources {
            let gone = since.lock().unwrap_or_else(PoisonError::into_inner).map_or(Duration::ZERO, |t| t.elapsed());
            self.gauge.with_label_values(&[source.as_str()]).set(whole.saturating_sub(gone).as_secs_f64());
        }
    }
}
