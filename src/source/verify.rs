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
mod part;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::catalog::Method;
use crate::source::Source;
use crate::values::secret::Secret;
use credentials::holds_credential;
pub(crate) use part::{PART_LINE, Part};

/// The one answer to everything that does not prove who sent it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unauthorized;

/// A source's secrets, ready for use.
pub(crate) enum Verifier {
    Hmac {
        header: HeaderName,
        keys: Vec<Hmac<Sha256>>,
    },
    /// SHA-256 of each token: digests have one length, so comparing them says nothing about a token's.
    Token {
        header: HeaderName,
        digests: Vec<[u8; 32]>,
        tokens: Vec<Secret>,
    },
    /// `allow_unauthenticated`
    Open,
}

/// What stands against a source's check so far. Only this module can make one.
pub(crate) struct Admission(Proof);

enum Proof {
    /// A signature, as the header has it, still to be held against the body.
    Signature(String),
    /// The token was right, or none is asked for.
    Enough,
}

impl Verifier {
    /// Prepares `secrets`; without any, everything is let in.
    pub(crate) fn new(method: Method, header: HeaderName, secrets: &[Secret]) -> Self {
        if secrets.is_empty() {
            return Verifier::Open;
        }
        match method {
            Method::HmacSha256 => {
                // HMAC takes a key of any length.
                let keys = secrets.iter().filter_map(|s| Hmac::new_from_slice(s.expose().as_bytes()).ok()).collect();
                Verifier::Hmac { header, keys }
            }
            Method::Token => {
                let digests = secrets.iter().map(|s| Sha256::digest(s.expose()).into()).collect();
                Verifier::Token { header, digests, tokens: secrets.to_vec() }
            }
        }
    }

    /// Whether a token may stand in the path.
    pub(crate) fn takes_token_in_path(&self) -> bool {
        !matches!(self, Verifier::Hmac { .. })
    }

    /// Whether a head that is admitted proves who sends: a token does, a signature only with the body.
    pub(crate) fn proves_by_head(&self) -> bool {
        matches!(self, Verifier::Token { .. })
    }

    /// Checks what the request's head can tell: that there is one signature, or that a token is right.
    pub(crate) fn admit(&self, headers: &HeaderMap, in_path: Option<&str>) -> Result<Admission, Unauthorized> {
        match self {
            Verifier::Open => Ok(Admission(Proof::Enough)),
            Verifier::Hmac { header, .. } => {
                let mut values = headers.get_all(header).iter();
                let (Some(one), None) = (values.next(), values.next()) else { return Err(Unauthorized) };
                let signature = one.to_str().map_err(|_| Unauthorized)?.trim();
                if signature.is_empty() { Err(Unauthorized) } else { Ok(Admission(Proof::Signature(signature.into()))) }
            }
            Verifier::Token { header, digests, .. } => {
                let in_headers = headers.get_all(header).iter().map(HeaderValue::as_bytes);
                let bearers = headers.get_all(header::AUTHORIZATION).iter().filter_map(|v| bearer(v.as_bytes()));
                let mut right = Choice::from(0);
                for token in in_headers.chain(bearers).chain(in_path.map(str::as_bytes)) {
                    let digest = Sha256::digest(token);
                    for expected in digests {
                        right |= digest.ct_eq(expected);
                    }
                }
                if bool::from(right) { Ok(Admission(Proof::Enough)) } else { Err(Unauthorized) }
            }
        }
    }

    fn check_signature(&self, signature: &str, body: &[u8]) -> Result<(), Unauthorized> {
        let Verifier::Hmac { keys, .. } = self else { return Err(Unauthorized) };
        let signature = decode_signature(signature).ok_or(Unauthorized)?;
        let mut right = Choice::from(0);
        for key in keys {
            let expected = key.clone().chain_update(body).finalize().into_bytes();
            right |= expected.ct_eq(&signature);
        }
        if bool::from(right) { Ok(()) } else { Err(Unauthorized) }
    }

    /// Whether a header's value gives a token away: proxies like to repeat the path, which may hold one.
    fn is_given_away_by(&self, value: &[u8]) -> bool {
        let Verifier::Token { tokens, .. } = self else { return false };
        let holds = |part: &[u8]| value.windows(part.len()).any(|window| window == part);
        holds(b"/webhooks/") || tokens.iter().any(|token| holds(token.expose().as_bytes()))
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// The 32 bytes of a signature in any spelling that is in use: hex in either case or base64 (standard or URL
/// alphabet, padded or not), with or without `sha256=` in front.
fn decode_signature(text: &str) -> Option<[u8; 32]> {
    let text = match text.split_at_checked(7) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("sha256=") => rest,
        _ => text,
    };
    let mut bytes = [0; 32];
    if text.len() == 64 {
        return base16ct::mixed::decode(text, &mut bytes).is_ok().then_some(bytes);
    }
    let standard: String = text
        .strip_suffix('=')
        .unwrap_or(text)
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    STANDARD_NO_PAD.decode(standard).ok()?.try_into().ok()
}

/// The signature that a sender with this secret puts on `body`, in hex.
pub(crate) fn signature(secret: &Secret, body: &[u8]) -> String {
    match Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) {
        Ok(mac) => base16ct::lower::encode_string(&mac.chain_update(body).finalize().into_bytes()),
        // HMAC takes a key of any length.
        Err(_) => String::new(),
    }
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
        if let Proof::Signature(signature) = &admission.0 {
            verifier.check_signature(signature, &body)?;
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
