//! The checks before a delivery is taken, in the order of the contract; and in words for the operator why one fails. A sender
//! never gets to see these.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method as HttpMethod, Uri};

use super::{TrialRequest, as_if_let_in};
use crate::catalog::{HandshakeProof, Method};
use crate::http::check_content_type;
use crate::outcome::Refusal;
use crate::source::Source;
use crate::source::handshake::{HandshakeAnswer, answer_to_head};
use crate::source::verify::{RequestHead, Unauthorized, Unverified, Verified};

/// A request that is not let in.
pub(super) struct TurnedAway {
    pub(super) refusal: Refusal,
    /// In words.
    pub(super) why: String,
    /// Whether all that it lacks is the right proof.
    pub(super) unproven: bool,
}

impl TurnedAway {
    fn with(refusal: Refusal, why: impl Into<String>) -> TurnedAway {
        TurnedAway { refusal, why: why.into(), unproven: false }
    }
}

/// The answer to a handshake that is recognised by its head, or why it is refused; `None` if the request may be a delivery.
pub(super) fn handshake(source: &Arc<Source>, request: &TrialRequest) -> Option<Result<HandshakeAnswer, TurnedAway>> {
    let (verifier, uri) = (source.verifier.load(), uri(source, request));
    if request.path.is_some() && !verifier.takes_token_in_path() {
        return None;
    }
    let head = head(request, &uri);
    let answer = answer_to_head(&source.profile.handshakes, &verifier, head, request.path.as_deref())?;
    Some(answer.map_err(|reason| {
        let why = why_unanswered(source, request, reason);
        TurnedAway { unproven: true, ..TurnedAway::with(reason.into(), why) }
    }))
}

/// Why a handshake is not answered.
fn why_unanswered(source: &Arc<Source>, request: &TrialRequest, reason: Unauthorized) -> String {
    let token = source.profile.handshakes.iter().find_map(|handshake| match &handshake.proof {
        HandshakeProof::Token(name) => Some(name),
        HandshakeProof::Delivery | HandshakeProof::Open => None,
    });
    match (token, reason) {
        (None, reason) => why_unproven(source, request, reason),
        (Some(name), Unauthorized::Missing) => format!("the query has no {name}, which holds a verify token"),
        (Some(name), _) => format!("{name} in the query matches none of the source's handshake_tokens"),
    }
}

/// Lets a request in, or says why not.
pub(super) fn pass(source: &Arc<Source>, request: &TrialRequest) -> Result<Verified, TurnedAway> {
    let (verifier, uri) = (source.verifier.load(), uri(source, request));
    if request.path.is_some() && !verifier.takes_token_in_path() {
        return Err(TurnedAway::with(Refusal::NotFound, "this source takes no token in the path"));
    }
    if request.method != HttpMethod::POST {
        let why = format!("{}: expected POST, or what a handshake of the profile has", request.method);
        return Err(TurnedAway::with(Refusal::MethodNotAllowed, why));
    }
    if !request.unsigned
        && let Err(reason) = verifier.admit(head(request, &uri), request.path.as_deref())
    {
        return Err(unproven(source, request, reason));
    }
    check_content_type(&request.headers)
        .map_err(|refusal| TurnedAway::with(refusal, "expected the content type application/json and no encoding"))?;
    let (bytes, most) = (request.body.len(), source.max_body_bytes);
    if bytes > most {
        let why = format!("the body has {bytes} bytes, and this source takes {most}");
        return Err(TurnedAway::with(Refusal::BodyTooLarge, why));
    }
    if request.unsigned {
        return Ok(as_if_let_in(source, request));
    }
    verified(source, request, request.body.clone()).map_err(|reason| unproven(source, request, reason))
}

fn unproven(source: &Arc<Source>, request: &TrialRequest, reason: Unauthorized) -> TurnedAway {
    let why = why_unproven(source, request, reason);
    TurnedAway { unproven: true, ..TurnedAway::with(reason.into(), why) }
}

/// Where the request goes.
fn uri(source: &Source, request: &TrialRequest) -> Uri {
    let rest = request.path.as_ref().map(|path| format!("/{path}")).unwrap_or_default();
    let query = request.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    format!("/webhooks/{}{rest}{query}", source.name).parse().unwrap_or_default()
}

fn head<'a>(request: &'a TrialRequest, uri: &'a Uri) -> RequestHead<'a> {
    RequestHead { method: &request.method, uri, headers: &request.headers }
}

/// The delivery of `request` with `body`, if that is what its proof is of.
fn verified(source: &Arc<Source>, request: &TrialRequest, body: Bytes) -> Result<Verified, Unauthorized> {
    let uri = uri(source, request);
    let admission = source.verifier.load().admit(head(request, &uri), request.path.as_deref())?;
    let (source, headers, received_at) = (Arc::clone(source), request.headers.clone(), request.received_at);
    Unverified { source, admission, headers, body, received_at }.verify()
}

/// What proves the sender, where it does.
pub(super) fn what_proves(source: &Source, request: &TrialRequest) -> String {
    let (verifier, uri, none) = (source.verifier.load(), uri(source, request), HeaderMap::new());
    let header = &source.profile.verification.header;
    let nothing = RequestHead { headers: &none, ..head(request, &uri) };
    if verifier.admit(nothing, None).is_ok() {
        return "none asked for: allow_unauthenticated is set".into();
    }
    match source.profile.verification.method {
        Method::Token if verifier.admit(head(request, &uri), None).is_ok() => "the token in a header is right".into(),
        Method::Token => "the token in the path is right".into(),
        Method::Basic => format!("the user and password in {header} are right"),
        _ => format!("the signature in {header} is right"),
    }
}

/// Why the request does not prove its sender.
fn why_unproven(source: &Arc<Source>, request: &TrialRequest, reason: Unauthorized) -> String {
    let verification = &source.profile.verification;
    let header = &verification.header;
    match (verification.method, reason, request.headers.get_all(header).iter().count()) {
        (Method::Token, Unauthorized::Missing, _) => {
            format!("no token: expected it in {header}, as `Authorization: Bearer`, or in the path")
        }
        (Method::Token, ..) => "the token matches none of the source's tokens".into(),
        (_, Unauthorized::Missing, 0) => format!("the header {header} is missing"),
        (_, Unauthorized::Missing, _) => {
            format!("{header} holds no proof as the profile's [verify] says, or something that is signed is missing")
        }
        (_, Unauthorized::Several, 2..) => format!("the header {header} is there more than once"),
        (_, Unauthorized::Several, _) => "a signed header or time is there more than once".into(),
        (_, Unauthorized::Malformed, _) => format!("{header} is not spelled as the profile's [verify] says"),
        (_, Unauthorized::Stale, _) => {
            let most = verification.tolerance.map(humantime::format_duration);
            let most = most.map(|most| format!(", more than {most} from now")).unwrap_or_default();
            format!("the signature in {header} is right, but of another time{most}")
        }
        (Method::Basic, Unauthorized::Wrong, _) => "user and password match none of the source's secrets".into(),
        (_, Unauthorized::Wrong, _) => {
            let bytes = request.body.len();
            let wrong =
                format!("the signature in {header} matches none of the source's secrets over these {bytes} bytes");
            near_miss(source, request).map_or(wrong.clone(), |hint| format!("{wrong}; {hint}"))
        }
    }
}

/// Bytes that the signature would be right over. Editors and terminals change a body without a word.
fn near_miss(source: &Arc<Source>, request: &TrialRequest) -> Option<&'static str> {
    let body = &request.body[..];
    let trimmed = body.trim_ascii_end();
    let compact = || Some(serde_json::from_slice::<serde_json::Value>(body).ok()?.to_string());
    let is_over = |body: &[u8]| verified(source, request, Bytes::copy_from_slice(body)).is_ok();
    if trimmed.len() < body.len() && is_over(trimmed) {
        Some("it is right without the white space at the body's end: the file has bytes that the sender did not sign")
    } else if is_over(&[body, b"\n"].concat()) {
        Some("it is right with a line end after the body: the file lacks a byte that the sender signed")
    } else if compact().is_some_and(|compact| is_over(compact.as_bytes())) {
        Some("it is right over the same JSON without white space: the file is not the body as it was sent")
    } else {
        None
    }
}
