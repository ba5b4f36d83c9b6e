//! The one place where an outcome becomes a status and a body.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::flow::intake::Outcome;
use crate::outcome::Reason;
use crate::source::verify::Unauthorized;

/// Seconds after which a sender does well to try again.
const RETRY_AFTER: &str = "5";
/// The same for a sender that is over its rate, which is per second.
const RETRY_AFTER_RATE: &str = "1";

/// The content type of everything that is not 2xx.
pub(super) const PROBLEM: &str = "application/problem+json";

/// A promise kept: Kafka has it, or our own disk.
#[derive(Debug)]
pub(super) enum Kept {
    Published { id: String },
    Spooled { id: String },
    DeadLettered { id: String, reason: Reason },
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    UnknownSource,
    MethodNotAllowed,
    Overloaded,
    ShuttingDown,
    Unavailable,
    Unauthorized,
    UnsupportedMediaType,
    BodyTooLarge,
    BadRequest,
    ReadTimeout,
    RateLimited,
}

pub(super) type Answer = Result<Kept, Refusal>;

/// Every label that [`code`] can give.
pub(crate) const ANSWERS: [&str; 15] = [
    "published",
    "spooled",
    "dead_lettered",
    "not_found",
    "unknown_source",
    "method_not_allowed",
    "overloaded",
    "shutting_down",
    "unavailable",
    "unauthorized",
    "unsupported_media_type",
    "body_too_large",
    "bad_request",
    "read_timeout",
    "rate_limited",
];

impl From<Unauthorized> for Refusal {
    fn from(Unauthorized: Unauthorized) -> Self {
        Refusal::Unauthorized
    }
}

impl Refusal {
    /// Status, code and a sentence for the sender's log.
    fn describe(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Refusal::NotFound => (StatusCode::NOT_FOUND, "not_found", "webhooks go to /webhooks/{source}"),
            Refusal::UnknownSource => (StatusCode::NOT_FOUND, "unknown_source", "no source of this name is configured"),
            Refusal::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "a webhook is a POST request")
            }
            Refusal::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too much is under way; try again"),
            Refusal::ShuttingDown => {
                (StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "this instance is ending; try again")
            }
            Refusal::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the event could not be stored; try again")
            }
            Refusal::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "the signature or token is missing or wrong")
            }
            Refusal::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "application/json without content encoding is due",
            ),
            Refusal::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is over the limit"),
            Refusal::BadRequest => (StatusCode::BAD_REQUEST, "bad_request", "the body is broken or cut off"),
            Refusal::ReadTimeout => (StatusCode::REQUEST_TIMEOUT, "read_timeout", "the body did not arrive in time"),
            Refusal::RateLimited => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "over the source's rate limit; try again")
            }
        }
    }

    fn retry_after(self) -> Option<&'static str> {
        match self {
            Refusal::Overloaded | Refusal::ShuttingDown | Refusal::Unavailable => Some(RETRY_AFTER),
            Refusal::RateLimited => Some(RETRY_AFTER_RATE),
            _ => None,
        }
    }
}

/// What the sender is told of an outcome.
pub(super) fn from_outcome(outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Published { id } => Ok(Kept::Published { id }),
        Outcome::Spooled { id } => Ok(Kept::Spooled { id }),
        Outcome::DeadLettered { id, reason } => Ok(Kept::DeadLettered { id, reason }),
        Outcome::Unavailable => Err(Refusal::Unavailable),
        Outcome::Overloaded => Err(Refusal::Overloaded),
    }
}

/// The label of an answer in the metrics: its outcome, or its problem's code.
pub(super) fn code(answer: &Answer) -> &'static str {
    match answer {
        Ok(Kept::Published { .. }) => "published",
        Ok(Kept::Spooled { .. }) => "spooled",
        Ok(Kept::DeadLettered { .. }) => "dead_lettered",
        Err(refusal) => refusal.describe().1,
    }
}

/// The status of an answer.
pub(super) fn status(answer: &Answer) -> StatusCode {
    match answer {
        Ok(Kept::Published { .. }) => StatusCode::OK,
        Ok(Kept::Spooled { .. } | Kept::DeadLettered { .. }) => StatusCode::ACCEPTED,
        Err(refusal) => refusal.describe().0,
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
        Ok(Kept::Published { id }) => ("application/json", json!({ "id": id, "outcome": "published" })),
        Ok(Kept::Spooled { id }) => ("application/json", json!({ "id": id, "outcome": "spooled" })),
        Ok(Kept::DeadLettered { id, reason }) => {
            ("application/json", json!({ "id": id, "outcome": "dead_lettered", "reason": reason.code() }))
        }
        Err(refusal) => {
            let (_, code, detail) = refusal.describe();
            (PROBLEM, problem(status, code, detail))
        }
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Err(refusal) = answer {
        if let Some(seconds) = refusal.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        match refusal {
            Refusal::MethodNotAllowed => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            // RFC 9110 wants a challenge; there is no scheme for "as agreed with the sender".
            Refusal::Unauthorized => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_counted_under_a_label_that_is_there_from_the_start() {
        use Refusal::{
            BadRequest, BodyTooLarge, MethodNotAllowed, NotFound, Overloaded, RateLimited, ReadTimeout, ShuttingDown,
            Unauthorized, Unavailable, UnknownSource, UnsupportedMediaType,
        };
        for refusal in [
            NotFound,
            UnknownSource,
            MethodNotAllowed,
            Overloaded,
            ShuttingDown,
            Unavailable,
            Unauthorized,
            UnsupportedMediaType,
            BodyTooLarge,
            BadRequest,
            ReadTimeout,
            RateLimited,
        ] {
            assert!(ANSWERS.contains(&code(&Err(refusal))), "{refusal:?}");
        }
    }
}
