//! Authentic, but not to be converted: the body verbatim and why, so that nothing is lost and all can be looked at.

use std::sync::Arc;

use crate::redact;
use crate::route::{Event, Record};
use crate::time;

/// Why an event became a dead letter. The names are fixed: tools and alerts are built on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    MalformedJson,
    UnknownType,
    MissingKey,
    SchemaViolation,
    RecordTooLarge,
    KafkaRejected,
}

impl Reason {
    pub(crate) const ALL: [Reason; 6] = [
        Reason::MalformedJson,
        Reason::UnknownType,
        Reason::MissingKey,
        Reason::SchemaViolation,
        Reason::RecordTooLarge,
        Reason::KafkaRejected,
    ];

    pub(crate) fn code(self) -> &'static str {
        match self {
            Reason::MalformedJson => "malformed_json",
            Reason::UnknownType => "unknown_type",
            Reason::MissingKey => "missing_key",
            Reason::SchemaViolation => "schema_violation",
            Reason::RecordTooLarge => "record_too_large",
            Reason::KafkaRejected => "kafka_rejected",
        }
    }
}

/// A reason and a sentence with the place in the body.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) reason: Reason,
    pub(crate) error: String,
}

/// The record of a dead letter. What the profile redacts is blanked, as far as the body can be read at all.
pub(crate) fn record(topic: &Arc<str>, event: &Event<'_>, rejection: &Rejection) -> Record {
    let delivery = event.delivery;
    let mut headers = event.cloud_event_headers();
    for (name, value) in [
        ("hookbridge_reason", rejection.reason.code()),
        ("hookbridge_error", rejection.error.as_str()),
        ("hookbridge_source", delivery.source().name.as_str()),
        ("hookbridge_received_at", time::to_rfc3339(delivery.received_at()).as_str()),
    ] {
        headers.push((name.to_owned(), value.into()));
    }
    let shown =
        delivery.headers().iter().filter(|(_, value)| !delivery.source().verifier.is_given_away_by(value.as_bytes()));
    for (name, value) in shown {
        headers.push((format!("http_{name}"), value.as_bytes().to_vec()));
    }
    let value = match std::str::from_utf8(delivery.body()) {
        Ok(json) => redact::blank(json, &delivery.source().profile.redacted).into_owned().into_bytes(),
        Err(_) => delivery.body().to_vec(),
    };
    let timestamp = delivery.received_at();
    Record { topic: Arc::clone(topic), key: event.delivery.id().to_owned(), value, headers, timestamp }
}
