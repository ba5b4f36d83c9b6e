//! What is told of the webhook listener.

use prometheus::{Error, IntCounter, IntGauge};

use super::make::Make;

/// A certificate that expires within so many days is warned of; as the alert has it.
pub(crate) const CERTIFICATE_WARNING_DAYS: u32 = 14;

pub(crate) struct Listener {
    pub(crate) connections: IntGauge,
    pub(crate) in_flight_bytes: IntGauge,
    pub(crate) failed_handshakes: IntCounter,
    /// Seconds since 1970; 0 without TLS.
    pub(crate) certificate_ends_at: IntGauge,
}

impl Listener {
    pub(super) fn new(make: &Make<'_>) -> Result<Listener, Error> {
        let bytes = "Bytes of the bodies in flight (being received or published).";
        let failed = "Failed TLS handshakes of the webhook listener.";
        let ends_at = "When the webhook listener's certificate expires, in seconds since 1970; 0 without TLS.";
        Ok(Listener {
            connections: make.gauge("http_connections", "Open connections of the webhook listener.")?,
            in_flight_bytes: make.gauge("http_in_flight_bytes", bytes)?,
            failed_handshakes: make.single("tls_handshake_failures_total", failed)?,
            certificate_ends_at: make.gauge("tls_certificate_not_after_seconds", ends_at)?,
        })
    }
}
