//! The one place where an outcome becomes a status and a body.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::outcome::{Accepted, Declined, EachAccepted, Refusal, RequestEnd, SettledEvent};
use crate::source::handshake::HandshakeAnswer;

/// Seconds after which a sender should try again.
const RETRY_AFTER: &str = "5";
/// The same for a sender that is over its rate, which is per second.
const RETRY_AFTER_RATE: &str = "1";

/// The content type of everything that is not 2xx.
pub(super) const PROBLEM: &str = "application/problem+json";

/// A delivery that was accepted, by its event's id.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) id: String,
    pub(super) accepted: Accepted,
    /// Of a delivery with several events.
    pub(super) each: Option<EachAccepted>,
    /// For who watches.
    pub(super) events: Vec<SettledEvent>,
}

/// What a request got that was not refused.
#[derive(Debug)]
pub(super) enum Granted {
    Delivery(Receipt),
    Handshake(HandshakeAnswer),
}

/// The label of a handshake in the metrics, in place of an outcome.
const HANDSHAKE: &str = "handshake";

/// What a refusal is answered with.
struct Problem {
    status: StatusCode,
    code: &'static str,
    /// A sentence for the sender's log.
    detail: &'static str,
}

/// Defines what each [`Refusal`] is answered with: status, code, and a sentence for the sender's log. What is wrong with a proof
/// is not for the sender to know.
macro_rules! problems {
    ($($($refusal:ident)|+: $status:ident, $code:literal, $detail:literal;)*) => {
        fn problem_of(refusal: Refusal) -> Problem {
            match refusal {
                $($(Refusal::$refusal)|+ => Problem { status: StatusCode::$status, code: $code, detail: $detail },)*
            }
        }

        /// Every label that [`code`] can give.
        pub(crate) const ANSWER_CODES: &[&str] = &[
            Accepted::PUBLISHED, Accepted::SPOOLED, Accepted::DEAD_LETTERED, Accepted::IGNORED, HANDSHAKE, $($code,)*
        ];
    };
}

problems! {
    NotFound: NOT_FOUND, "not_found", "no such path: send webhooks to /webhooks/{source}";
    UnknownSource: NOT_FOUND, "unknown_source", "no source with this name is configured";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method_not_allowed", "expected POST";
    Overloaded: SERVICE_UNAVAILABLE, "overloaded", "too many requests are in flight; try again";
    ShuttingDown: SERVICE_UNAVAILABLE, "shutting_down", "this instance is shutting down; try again";
    Unavailable: SERVICE_UNAVAILABLE, "unavailable", "the event could not be stored; try again";
    Missing | Malformed | Wrong | Stale | Several: UNAUTHORIZED, "unauthorized", "the signature or token is missing or wrong";
    ContentType | ContentEncoding: UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "expected application/json without content encoding";
    BodyTooLarge: PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than the limit";
    BadRequest: BAD_REQUEST, "bad_request", "the body is broken or cut off";
    ReadTimeout: REQUEST_TIMEOUT, "read_timeout", "the body did not arrive in time";
    RateLimited: TOO_MANY_REQUESTS, "rate_limited", "the source's rate limit is exceeded; try again";
}

pub(super) type Answer = Result<Granted, Refusal>;

impl From<Declined> for Refusal {
    fn from(declined: Declined) -> Self {
        match declined {
            Declined::Unavailable => Refusal::Unavailable,
            Declined::Overloaded => Refusal::Overloaded,
        }
    }
}

impl Refusal {
    /// The stable `code` of its problem.
    pub(crate) fn code(self) -> &'static str {
        problem_of(self).code
    }

    /// The status of its answer.
    pub(crate) fn status(self) -> StatusCode {
        problem_of(self).status
    }

    fn retry_after(self) -> Option<&'static str> {
        match self {
            Refusal::Overloaded | Refusal::ShuttingDown | Refusal::Unavailable => Some(RETRY_AFTER),
            Refusal::RateLimited => Some(RETRY_AFTER_RATE),
            _ => None,
        }
    }
}

/// The label of an answer in the metrics: its outcome, or its problem's code.
pub(super) fn code(answer: &Answer) -> &'static str {
    match answer {
        Ok(Granted::Delivery(kept)) => kept.accepted.name(),
        Ok(Granted::Handshake(_)) => HANDSHAKE,
        Err(refusal) => problem_of(*refusal).code,
    }
}

/// What became of a request, as far as its answer says.
pub(super) fn end(answer: &Answer) -> RequestEnd {
    match answer {
        Err(refusal) => RequestEnd::Refused(*refusal),
        Ok(Granted::Handshake(_)) => RequestEnd::Handshake,
        Ok(Granted::Delivery(Receipt { each, events, .. })) => RequestEnd::Accepted(events.clone(), *each),
    }
}

/// The status of an answer.
pub(super) fn status(answer: &Answer) -> StatusCode {
    match answer {
        Ok(Granted::Handshake(_)) => StatusCode::OK,
        Ok(Granted::Delivery(kept)) => match kept.accepted {
            Accepted::Published | Accepted::Ignored => StatusCode::OK,
            Accepted::Spooled | Accepted::DeadLettered(_) => StatusCode::ACCEPTED,
        },
        Err(refusal) => problem_of(*refusal).status,
    }
}

/// A problem as RFC 9457 has it, with a stable `code`.
pub(super) fn problem(status: StatusCode, code: &str, detail: &str) -> Value {
    let title = status.canonical_reason().unwrap_or_default();
    json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail })
}

/// The response; `closing` asks the sender to open no further requests on the connection.
pub(super) fn response(answer: &Answer, closing: bool) -> Response {
    let status = status(answer);
    let (content_type, body) = match answer {
        Ok(Granted::Handshake(answer)) => (answer.content_type, answer.text.clone()),
        Ok(Granted::Delivery(Receipt { id, accepted, each, .. })) => {
            let mut body = json!({ "id": id, "outcome": accepted.name() });
            for (name, count) in each.iter().flat_map(|each| each.named()) {
                body["events"][name] = count.into();
            }
            if let Accepted::DeadLettered(reason) = accepted {
                body["reason"] = reason.code().into();
            }
            ("application/json", body.to_string())
        }
        Err(refusal) => {
            let Problem { status, code, detail } = problem_of(*refusal);
            (PROBLEM, problem(status, code, detail).to_string())
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(Granted::Handshake(_)) = answer {
        // It repeats what somebody sent: no browser shall see a page in it, nor keep it.
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Err(refusal) = answer {
        if let Some(seconds) = refusal.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        match refusal {
            Refusal::MethodNotAllowed => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            // RFC 9110 wants a challenge; there is no scheme for "as agreed with the sender".
            refusal if refusal.is_unauthorized() => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Webhook"));
            }
            _ => {}
        }
    }
    if closing {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
