//! Who may send, and the proof that they did.

pub(crate) mod handshake;
pub(crate) mod verify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::DefaultDirectRateLimiter;
use http::HeaderName;

use crate::catalog::Profile;
use verify::Verifier;

/// A configured sender.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) profile: Arc<Profile>,
    pub(crate) topic_prefix: String,
    pub(crate) max_body_bytes: usize,
    /// A reload puts another in its place.
    pub(crate) verifier: ArcSwap<Verifier>,
    /// Headers in which any vendor sends a signature or token: senders mix them up.
    pub(crate) credential_headers: Arc<[HeaderName]>,
    pub(crate) rate_limit: Option<DefaultDirectRateLimiter>,
    /// How long its sender tries again before it gives a delivery up, where that is known.
    pub(crate) patience: Option<Duration>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("profile", &self.profile.name).finish_non_exhaustive()
    }
}
