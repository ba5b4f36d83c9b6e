//! What a listener's connections may take.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{IntCounter, IntGauge};

use super::budget::Budget;
use crate::config::HttpSettings;

/// What a listener's connections may take.
#[derive(Clone)]
pub(crate) struct ConnectionLimits {
    pub(crate) connections: usize,
    /// For a request's line and headers, from the first byte on.
    pub(crate) head: Duration,
    /// Without any request.
    pub(crate) idle: Duration,
    /// For a body, as `http.body_timeout` has it.
    pub(crate) body: Duration,
    /// Of those that are taken.
    pub(crate) largest_body: usize,
    pub(crate) counts: Option<ConnectionCounts>,
    /// What its requests are charged to.
    pub(crate) budget: Option<Arc<Budget>>,
}

/// What is told of connections.
#[derive(Clone)]
pub(crate) struct ConnectionCounts {
    /// How many are open.
    pub(crate) open: IntGauge,
    /// How many came to nothing in the handshake of TLS.
    pub(crate) failed_handshakes: IntCounter,
}

impl ConnectionLimits {
    /// For the webhook listener.
    pub(crate) fn of(settings: &HttpSettings, counts: Option<ConnectionCounts>) -> ConnectionLimits {
        let HttpSettings { max_connections, header_timeout, idle_timeout, body_timeout, max_body_bytes, .. } =
            *settings;
        ConnectionLimits {
            connections: max_connections,
            head: header_timeout,
            idle: idle_timeout,
            body: body_timeout,
            largest_body: max_body_bytes,
            counts,
            budget: None,
        }
    }

    /// For listeners whose clients are known: few connections, the usual times.
    pub(crate) fn for_few() -> ConnectionLimits {
        let (head, idle) = (Duration::from_secs(10), Duration::from_secs(75));
        ConnectionLimits { connections: 256, head, idle, body: head, largest_body: 0, counts: None, budget: None }
    }
}
