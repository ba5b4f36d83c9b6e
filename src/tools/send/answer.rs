//! What became of a posted event: what the bridge said, or why nobody said anything.

use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde_json::Value;

use super::Signed;
use crate::outbound::{self, NoAnswer};
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

/// What all answers that nobody gave are counted as.
pub(super) const NO_ANSWER: &str = "no answer";

impl SendAnswer {
    /// The outcome, the problem's code, the status, or that there was none.
    pub(crate) fn name(&self) -> String {
        match self {
            SendAnswer::Said { word: Some(word), .. } => word.clone(),
            SendAnswer::Said { status, .. } => status.to_string(),
            SendAnswer::Nothing(_) => NO_ANSWER.to_owned(),
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
