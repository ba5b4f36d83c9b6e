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

/// How long a sender goes on with what was refused.
pub(crate) struct SenderPatience<'a> {
    pub(crate) source: &'a str,
    pub(crate) whole: Duration,
    pub(crate) left: Duration,
    /// Something was refused, and nothing accepted since.
    pub(crate) is_refused: bool,
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
        for SenderPatience { source, left, .. } in self.left() {
            self.gauge.with_label_values(&[source]).set(left.as_secs_f64());
        }
    }

    /// What is left of each sender's patience that is known.
    pub(crate) fn left(&self) -> impl Iterator<Item = SenderPatience<'_>> {
        self.sources.iter().map(|(source, Sender { whole, since })| {
            let gone = since.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed());
            let left = whole.saturating_sub(gone.unwrap_or_default());
            SenderPatience { source, whole: *whole, left, is_refused: gone.is_some() }
        })
    }
}
