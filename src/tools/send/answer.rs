//! What became of a posted event: what the bridge said, or why nobody said anything.

use std::error::Error;
use std::io;

use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde_json::Value;

use super::Signed;
use crate::outbound;
use crate::outcome::Accepted;

/// An answer says what became of an event.
const MAX_ANSWER: usize = 64 << 10;

/// What came back for an event.
#[derive(Clone, Debug)]
pub(crate) enum SendAnswer {
    Said {
        status: StatusCode,
        /// The outcome, or the problem's code; `None` where it is not one of a bridge's.
        word: Option<String>,
        id: Option<String>,
        /// Why it is a dead letter.
        reason: Option<String>,
        /// Where it redirects to.
        location: Option<String>,
    },
    Nothing(NoAnswer),
}

/// Why nobody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Nothing listens there.
    Refused,
    /// There is no such host.
    NoHost(String),
    /// The certificate, or what TLS is made of.
    Tls(String),
    TooSlow,
    Broken(String),
}

impl NoAnswer {
    /// What all of them are counted as.
    pub(super) const NAME: &str = "no answer";

    fn of(error: &reqwest::Error) -> NoAnswer {
        let mut causes = Vec::new();
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            causes.push(error);
            cause = error.source();
        }
        let words = causes.last().map(ToString::to_string).unwrap_or_default();
        let is_refused = |error: &&(dyn Error + 'static)| {
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        };
        let speaks_of = |word: &str| causes.iter().any(|error| error.to_string().to_ascii_lowercase().contains(word));
        if error.is_timeout() {
            NoAnswer::TooSlow
        } else if causes.iter().any(is_refused) {
            NoAnswer::Refused
        } else if speaks_of("dns error") {
            NoAnswer::NoHost(words)
        } else if speaks_of("certificate") || speaks_of("ssl") {
            NoAnswer::Tls(words)
        } else {
            NoAnswer::Broken(words)
        }
    }
}

impl SendAnswer {
    /// The outcome, the problem's code, the status, or that there was none.
    pub(crate) fn name(&self) -> String {
        match self {
            SendAnswer::Said { word: Some(word), .. } => word.clone(),
            SendAnswer::Said { status, .. } => status.to_string(),
            SendAnswer::Nothing(_) => NoAnswer::NAME.to_owned(),
        }
    }

    /// Whether the bridge has accepted the event.
    pub(crate) fn is_acceptance(&self) -> bool {
        matches!(self, SendAnswer::Said { word: Some(word), .. } if Accepted::is_name(word))
    }

    /// An answer with this status and body, for tests.
    #[cfg(test)]
    pub(crate) fn said(status: u16, body: &str) -> SendAnswer {
        SendAnswer::read(StatusCode::from_u16(status).unwrap_or_default(), None, body.as_bytes())
    }

    fn read(status: StatusCode, location: Option<String>, body: &[u8]) -> SendAnswer {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        SendAnswer::Said {
            status,
            word: text("outcome").or_else(|| text("code")),
            id: text("id"),
            reason: text("reason"),
            location,
        }
    }
}

/// Posts it.
pub(super) async fn post(client: &reqwest::Client, request: Signed) -> SendAnswer {
    let post = request.headers.iter().fold(client.post(&request.url), |post, (name, value)| post.header(name, value));
    let answer = match post.body(request.body).send().await {
        Ok(answer) => answer,
        Err(error) => return SendAnswer::Nothing(NoAnswer::of(&error)),
    };
    let (status, location) = (answer.status(), answer.headers().get(LOCATION));
    let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = outbound::body(answer, MAX_ANSWER).await.unwrap_or_default();
    SendAnswer::read(status, location, &body)
}
