//! The door: from a delivery nobody vouches for to one whose sender proved who it is.
//!
//! ```text
//! headers ──admit──▶ Admission ──with the body──▶ Unverified ──verify──▶ Verified
//! ```
//!
//! [`Admission`] is what can be known before the body is read, so that a stranger's body never is. Only
//! [`Unverified::verify`] makes a [`Verified`] ([`Verified::kept`] restores one that it made before), and every later
//! stage takes nothing else. Comparisons take the same
//! time wherever the bytes differ, every configured secret is tried, and there is one answer for all failures.

mod credentials;
mod evidence;
mod keys;
mod part;
mod signer;
mod spelled;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, Request, Uri, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::catalog::{Method, Verification};
use crate::outcome::Refusal;
use crate::source::Source;
use crate::values::secret::Secret;
use credentials::holds_credential;
use evidence::SignatureEvidence;
use keys::{ProofKeys, secret_bytes};
pub(crate) use keys::{SecretFlaw, hmac_key_length};
pub(crate) use part::{PART_LINE, Part};
#[cfg(any(test, fuzzing))]
pub(crate) use signer::signature;
pub(crate) use signer::{CredentialPair, Signer};

/// Why somebody does not prove who they are. There is one answer to all of them: only the operator is told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    /// There is no signature, token or signed time.
    Missing,
    /// What is there cannot be one.
    Malformed,
    /// It is not of this sender, or not of this body.
    Wrong,
    /// It is right, but of another time: a delivery that somebody repeats, or a clock that is wrong.
    Stale,
    /// A header, or the time, is there several times: which of them is meant?
    Several,
}

impl From<Unauthorized> for Refusal {
    fn from(unauthorized: Unauthorized) -> Refusal {
        match unauthorized {
            Unauthorized::Missing => Refusal::Missing,
            Unauthorized::Malformed => Refusal::Malformed,
            Unauthorized::Wrong => Refusal::Wrong,
            Unauthorized::Stale => Refusal::Stale,
            Unauthorized::Several => Refusal::Several,
        }
    }
}

/// What a request says before its body.
#[derive(Clone, Copy)]
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a HttpMethod,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> RequestHead<'a> {
        RequestHead { method: request.method(), uri: request.uri(), headers: request.headers() }
    }
}

/// A source's secrets, ready for use.
pub(crate) struct Verifier {
    scheme: Scheme,
    /// What a handshake may bring in its query.
    handshake_tokens: Tokens,
    /// The first of the secrets, for `send`.
    first_secret: Option<Secret>,
}

/// What a delivery has to show.
enum Scheme {
    Signature {
        rule: Verification,
        keys: ProofKeys,
    },
    Token {
        rule: Verification,
        tokens: Tokens,
    },
    /// `user:password`
    Basic {
        rule: Verification,
        tokens: Tokens,
    },
    /// `allow_unauthenticated`
    Open,
}

/// Shared secrets that are sent as they are.
struct Tokens {
    /// SHA-256 of each: digests have one length, so comparing them says nothing about a token's.
    digests: Vec<[u8; 32]>,
    all: Vec<Secret>,
}

impl Tokens {
    fn new(tokens: &[Secret]) -> Tokens {
        let digests = tokens.iter().map(|token| Sha256::digest(token.expose()).into()).collect();
        Tokens { digests, all: tokens.to_vec() }
    }

    /// Whether `token` is one of them; all are tried.
    fn include(&self, token: &[u8]) -> Choice {
        let digest = Sha256::digest(token);
        let mut right = Choice::from(0);
        for expected in &self.digests {
            right |= digest.ct_eq(expected);
        }
        right
    }
}

/// What stands against a source's check so far. Only this module can make one.
pub(crate) struct Admission(Proof);

enum Proof {
    /// A signature, as the head has it, still to be held against the body.
    Signature(SignatureEvidence),
    /// The token was right, or none is asked for.
    Enough,
}

impl Verifier {
    /// Prepares `secrets`, or says which of them cannot be used; without any, everything is let in.
    pub(crate) fn new(rule: &Verification, secrets: &[Secret]) -> Result<Self, (usize, SecretFlaw)> {
        let rule = rule.clone();
        let scheme = match ProofKeys::new(&rule, secrets).transpose()? {
            _ if secrets.is_empty() => Scheme::Open,
            Some(keys) => Scheme::Signature { rule, keys },
            None => {
                let tokens = Tokens::new(secrets);
                match rule.method {
                    Method::Basic => Scheme::Basic { rule, tokens: with_password(tokens)? },
                    _ => Scheme::Token { rule, tokens },
                }
            }
        };
        Ok(Verifier { scheme, handshake_tokens: Tokens::new(&[]), first_secret: secrets.first().cloned() })
    }

    /// What the first secret or token is as it is written; `None` where everybody is let in.
    pub(crate) fn first_secret(&self) -> Option<&Secret> {
        self.first_secret.as_ref()
    }

    /// The same, and who brings one of `tokens` in a handshake is let in there.
    pub(crate) fn with_handshake_tokens(self, tokens: &[Secret]) -> Verifier {
        Verifier { handshake_tokens: Tokens::new(tokens), ..self }
    }

    /// Whether a token may stand in the path.
    pub(crate) fn takes_token_in_path(&self) -> bool {
        matches!(self.scheme, Scheme::Token { .. } | Scheme::Open)
    }

    /// Whether a head that is admitted proves who sends: a token does, a signature only with the body.
    pub(crate) fn proves_by_head(&self) -> bool {
        matches!(self.scheme, Scheme::Token { .. } | Scheme::Basic { .. })
    }

    /// Checks what the request's head can tell: that there is one signature, or that a token is right.
    pub(crate) fn admit(&self, head: RequestHead<'_>, in_path: Option<&str>) -> Result<Admission, Unauthorized> {
        match &self.scheme {
            Scheme::Open => Ok(Admission(Proof::Enough)),
            Scheme::Signature { rule, .. } => SignatureEvidence::of(rule, head).map(Proof::Signature).map(Admission),
            Scheme::Token { rule, tokens } => {
                let prefix = rule.prefix.as_deref().unwrap_or_default().as_bytes();
                let in_headers = head.headers.get_all(&rule.header).iter();
                let in_headers = in_headers.filter_map(|value| value.as_bytes().strip_prefix(prefix));
                let authorization = head.headers.get_all(header::AUTHORIZATION).iter();
                let bearers = authorization.filter_map(|value| credentials_of(b"bearer ", value.as_bytes()));
                any_is_right(tokens, in_headers.chain(bearers).chain(in_path.map(str::as_bytes)))
            }
            Scheme::Basic { rule, tokens } => {
                let values = head.headers.get_all(&rule.header).iter();
                let written = values.map(|value| credentials_of(b"basic ", value.as_bytes()));
                let passwords = written.map(|text| spelled::base64(std::str::from_utf8(text?).ok()?));
                let passwords = passwords.collect::<Option<Vec<_>>>().ok_or(Unauthorized::Malformed)?;
                any_is_right(tokens, passwords.iter().map(Vec::as_slice))
            }
        }
    }

    /// Whether a handshake's token is one of the source's.
    pub(crate) fn takes_handshake_token(&self, token: Option<&str>) -> Result<(), Unauthorized> {
        any_is_right(&self.handshake_tokens, token.into_iter().map(str::as_bytes)).map(|_| ())
    }

    fn check_signature(&self, evidence: &SignatureEvidence, body: &[u8]) -> Result<(), Unauthorized> {
        let Scheme::Signature { rule, keys } = &self.scheme else { return Err(Unauthorized::Wrong) };
        let candidates = evidence.candidates(rule)?;
        let right = keys.any_made(&evidence.message(body), &candidates);
        if bool::from(right) { Ok(()) } else { Err(Unauthorized::Wrong) }
    }

    /// A time is believed once the signature is right: only then it is the sender's.
    fn check_time(&self, evidence: &SignatureEvidence, now: i64) -> Result<(), Unauthorized> {
        let Scheme::Signature { rule, .. } = &self.scheme else { return Err(Unauthorized::Wrong) };
        evidence.check_time(rule, now)
    }

    /// Whether a header's value gives a token away: proxies like to repeat the path, which may hold one.
    fn is_given_away_by(&self, value: &[u8]) -> bool {
        let (Scheme::Token { tokens, .. } | Scheme::Basic { tokens, .. }) = &self.scheme else { return false };
        let holds = |part: &[u8]| value.windows(part.len()).any(|window| window == part);
        holds(b"/webhooks/") || tokens.all.iter().any(|token| holds(token.expose().as_bytes()))
    }
}

/// Each of them has a password.
fn with_password(tokens: Tokens) -> Result<Tokens, (usize, SecretFlaw)> {
    let has_password =
        |token: &Secret| token.expose().split_once(':').is_some_and(|(_, password)| !password.is_empty());
    match tokens.all.iter().position(|token| !has_password(token)) {
        Some(index) => Err((index, SecretFlaw::NoPassword)),
        None => Ok(tokens),
    }
}

/// Holds each of `given` against all tokens.
fn any_is_right<'a>(tokens: &Tokens, given: impl Iterator<Item = &'a [u8]>) -> Result<Admission, Unauthorized> {
    let (mut right, mut count) = (Choice::from(0), 0);
    for token in given {
        right |= tokens.include(token);
        count += 1;
    }
    match (bool::from(right), count) {
        (true, _) => Ok(Admission(Proof::Enough)),
        (false, 0) => Err(Unauthorized::Missing),
        (false, _) => Err(Unauthorized::Wrong),
    }
}

/// What stands behind `scheme`, which is in small letters with a space at its end, in a value of `Authorization`.
fn credentials_of<'a>(scheme: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (start, credentials) = value.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| credentials.trim_ascii())
}

/// A delivery that arrived, with what its head had to show.
pub(crate) struct Unverified {
    pub(crate) source: Arc<Source>,
    pub(crate) admission: Admission,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Milliseconds since 1970.
    pub(crate) received_at: i64,
}

/// A delivery whose sender proved who it is. Nothing in it is a credential any more.
pub(crate) struct Verified {
    id: String,
    source: Arc<Source>,
    headers: HeaderMap,
    body: Bytes,
    received_at: i64,
    /// Set when it is one of several events that came together.
    part: Option<Box<Part>>,
}

impl Unverified {
    /// Holds the evidence against the raw body.
    pub(crate) fn verify(self) -> Result<Verified, Unauthorized> {
        let Unverified { source, admission, mut headers, body, received_at } = self;
        let verifier = source.verifier.load_full();
        if let Proof::Signature(evidence) = &admission.0 {
            verifier.check_signature(evidence, &body)?;
            verifier.check_time(evidence, received_at)?;
        }
        let telling = headers
            .iter()
            .filter(|&(name, value)| ends_at_the_door(name, &source) || verifier.is_given_away_by(value.as_bytes()));
        for name in telling.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            headers.remove(name);
        }
        detach(&mut headers);
        Ok(Verified { id: event_id(&source.name, &body), source, headers, body, received_at, part: None })
    }
}

/// Whether the header may hold a credential, of `source` or of anybody. One that tells an event's type does not, whatever
/// it is called.
fn ends_at_the_door(name: &HeaderName, source: &Source) -> bool {
    source.credential_headers.contains(name) || (holds_credential(name) && !source.profile.tells_type(name))
}

/// Gives header values memory of their own, one piece for all: they share what the whole request was read into, with every
/// credential in it.
fn detach(headers: &mut HeaderMap) {
    let mut values = BytesMut::with_capacity(headers.values().map(HeaderValue::len).sum());
    headers.values().for_each(|value| values.extend_from_slice(value.as_bytes()));
    let mut values = values.freeze();
    for value in headers.values_mut() {
        // Bytes that made a value make it again.
        if let Ok(detached) = HeaderValue::from_maybe_shared(values.split_to(value.len())) {
            *value = detached;
        }
    }
}

impl Verified {
    /// The event's id, the same on every retry of the delivery.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The request's headers, without those that may hold a credential.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Puts our place in the trace where the sender's stood, if it had one.
    pub(crate) fn set_traceparent(&mut self, ours: HeaderValue) {
        self.headers.insert("traceparent", ours);
    }

    /// The body as it arrived.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Milliseconds since 1970.
    pub(crate) fn received_at(&self) -> i64 {
        self.received_at
    }

    /// Which event it is of those that came together; `None` for a delivery as a whole.
    pub(crate) fn part(&self) -> Option<&Part> {
        self.part.as_deref()
    }

    /// The same as one of several events that came together, if `part` says so.
    pub(crate) fn with_part(self, part: Option<Part>) -> Verified {
        Verified { part: part.map(Box::new), ..self }
    }

    /// One of the events in it, as a delivery of its own.
    pub(crate) fn part_of(&self, part: Part, body: Bytes) -> Verified {
        Verified {
            id: part.id(),
            source: Arc::clone(&self.source),
            headers: self.headers.clone(),
            body,
            received_at: self.received_at,
            part: Some(Box::new(part)),
        }
    }

    /// The headers as text: one `name: value` line each. Values are bytes, but never line ends.
    pub(crate) fn header_lines(&self) -> Vec<u8> {
        let mut lines = self.part().map(|part| part.line(&self.body)).unwrap_or_default();
        for (name, value) in &self.headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"] {
                lines.extend_from_slice(part);
            }
        }
        lines
    }

    /// A delivery that was verified before, as the spool or a dead letter kept it. What was kept by an earlier version may
    /// have headers that end at the door today.
    pub(crate) fn kept(
        id: String,
        source: Arc<Source>,
        header_lines: &[u8],
        body: Bytes,
        received_at: i64,
    ) -> Verified {
        let mut headers = HeaderMap::new();
        for line in header_lines.split(|&byte| byte == b'\n') {
            let Some(end) = line.windows(2).position(|window| window == b": ") else { continue };
            let name = HeaderName::from_bytes(&line[..end]);
            let value = HeaderValue::from_bytes(&line[end + 2..]);
            if let (Ok(name), Ok(value)) = (name, value)
                && !ends_at_the_door(&name, &source)
            {
                headers.append(name, value);
            }
        }
        let part = Part::kept(header_lines).map(Box::new);
        Verified { id, source, headers, body, received_at, part }
    }
}

/// Identifies a delivery: a `UUIDv8` (RFC 9562) of the first 16 bytes of SHA-256 over the source's name, one zero byte and
/// the raw body. The same on every retry.
pub(crate) fn event_id(source: &str, body: &[u8]) -> String {
    uuid_v8(Sha256::new().chain_update(source).chain_update([0]).chain_update(body))
}

/// A `UUIDv8` of the first 16 bytes of a digest.
fn uuid_v8(digest: Sha256) -> String {
    let mut id = [0; 16];
    id.copy_from_slice(&digest.finalize()[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid().to_string()
}

#[cfg(test)]
mod tests;
