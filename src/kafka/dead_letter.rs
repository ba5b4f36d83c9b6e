//! Authentic, but not to be converted: the body verbatim and why, so that nothing is lost and all can be looked at.
//!
//! One that was published after all is followed by a *mark*: a record with its key and no value, in its partition. Whoever
//! reads the topic knows by that alone which ones are still pending, and a topic that is compacted forgets the others.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::kafka::route::{Event, Record};
use crate::outcome::{End, Rejection};
use crate::values::{redact, time};

/// Header with the reason's code: what has it is a dead letter.
pub(crate) const REASON: &str = "hookbridge_reason";
/// Header with a sentence that names the place in the body.
pub(crate) const ERROR: &str = "hookbridge_error";
pub(crate) const SOURCE: &str = "hookbridge_source";
pub(crate) const RECEIVED_AT: &str = "hookbridge_received_at";
/// Header of a mark: when the dead letter before it was published.
pub(crate) const REPLAYED_AT: &str = "hookbridge_replayed_at";
/// Header of a mark: what was before it is not published, since its profile ignores it by now.
pub(crate) const IGNORED: &str = "hookbridge_ignored";
/// What stands before the names of the request's headers.
pub(crate) const HTTP: &str = "http_";

/// The record of a dead letter. What the profile redacts or hashes is blanked, as far as the body can be read at all.
pub(crate) fn record(topic: &Arc<str>, event: &Event<'_>, rejection: &Rejection) -> Record {
    let delivery = event.delivery;
    let mut headers = event.cloud_event_headers();
    for (name, value) in [
        (REASON, rejection.reason.code()),
        (ERROR, rejection.error.as_str()),
        (SOURCE, delivery.source().name.as_str()),
        (RECEIVED_AT, time::to_rfc3339(delivery.received_at()).as_str()),
    ] {
        headers.push((name.into(), value.to_owned().into()));
    }
    for (name, value) in delivery.headers() {
        headers.push((format!("{HTTP}{name}").into(), value.as_bytes().to_vec().into()));
    }
    let blanked =
        std::str::from_utf8(delivery.body()).ok().map(|json| redact::blank(json, &delivery.source().profile.guarded));
    let value = match blanked {
        Some(Cow::Owned(blanked)) => blanked.into(),
        _ => delivery.body().clone(),
    };
    let timestamp = delivery.received_at();
    Record {
        topic: Arc::clone(topic),
        key: delivery.id().to_owned(),
        value: Some(value),
        headers,
        timestamp,
        version: None,
    }
}

/// The mark behind the dead letter `id`: it was published at `now`, or nobody wants it any more, as `end` says.
pub(crate) fn mark(topic: &Arc<str>, id: String, now: i64, end: End) -> Record {
    let mut headers = vec![("ce_id".into(), id.clone().into()), (REPLAYED_AT.into(), time::to_rfc3339(now).into())];
    if end == End::Ignored {
        headers.push((IGNORED.into(), Bytes::from_static(b"true")));
    }
    Record { topic: Arc::clone(topic), key: id, value: None, headers, timestamp: now, version: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Reason;

    #[test]
    fn a_verdict_is_kept_before_the_headers() {
        for reason in Reason::ALL {
            let rejection = Rejection { reason, error: "wegly.lead: é\nat $.id".into() };
            let headers = [&rejection.line()[..], b"content-type: application/json\n"].concat();
            let kept = Rejection { reason, error: "wegly.lead: é at $.id".into() };
            assert_eq!(Rejection::kept(&headers), Some(kept));
        }
        for headers in ["", "content-type: application/json\n", ":dead_letter\n", ":dead_letter other words\n"] {
            assert_eq!(Rejection::kept(headers.as_bytes()), None, "{headers}");
        }
    }
}
