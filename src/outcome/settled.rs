//! What became of a request, for who watches each of them: `dev`, which prints a line. Nothing here is made of a body but an event's
//! type and key, and nothing of a credential.

use std::sync::Arc;

use super::{Accepted, EachAccepted, Refusal};

/// Is told of each request when it is answered. It must not take long.
pub(crate) type RequestWatcher = Arc<dyn Fn(SettledRequest) + Send + Sync>;

/// A request that is answered.
#[derive(Debug)]
pub(crate) struct SettledRequest {
    /// The source that it was for; `None` if the configuration has none of that name.
    pub(crate) source: Option<String>,
    /// The status of the answer.
    pub(crate) status: u16,
    pub(crate) end: RequestEnd,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum RequestEnd {
    Refused(Refusal),
    /// A vendor asked before it sends.
    Handshake,
    /// An event, or those of a delivery that holds several, and how many of them were accepted how.
    Accepted(Vec<SettledEvent>, Option<EachAccepted>),
}

/// An event that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SettledEvent {
    pub(crate) id: String,
    /// Its place among the events of its delivery.
    pub(crate) part: u32,
    /// `None` if it was not recognised.
    pub(crate) event_type: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) accepted: Accepted,
    /// Where its own record is, or its dead letter, if it is in Kafka.
    pub(crate) written: Option<WrittenAt>,
}

/// Where in Kafka a record was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrittenAt {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}
