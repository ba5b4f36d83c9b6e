//! Who was not let in, and who only asked.

use prometheus::{Error, IntCounterVec};

use super::make::Make;
use crate::config::Settings;
use crate::source::verify::Unauthorized;

/// What is counted of a source's requests that become no deliveries.
pub(crate) struct Doorstep {
    unauthorized: IntCounterVec,
    handshakes: IntCounterVec,
}

impl Doorstep {
    pub(super) fn new(make: &Make<'_>, settings: &Settings) -> Result<Doorstep, Error> {
        let help = "Requests answered 401, by source and reason: missing, malformed, wrong, stale.";
        let unauthorized = make.counter("unauthorized_total", help, &["source", "reason"])?;
        let handshakes = make.counter("handshakes_total", "Handshakes of vendors that were answered.", &["source"])?;
        for source in settings.sources.keys() {
            for reason in Unauthorized::ALL {
                unauthorized.with_label_values(&[source.as_str(), reason.reason()]);
            }
            handshakes.with_label_values(&[source.as_str()]);
        }
        Ok(Doorstep { unauthorized, handshakes })
    }

    /// A request did not prove who sends it.
    pub(crate) fn unauthorized(&self, source: &str, reason: Unauthorized) {
        self.unauthorized.with_label_values(&[source, reason.reason()]).inc();
    }

    /// A handshake was answered.
    pub(crate) fn handshake(&self, source: &str) {
        self.handshakes.with_label_values(&[source]).inc();
    }
}
