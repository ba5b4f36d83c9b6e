//! What a request's head has to show where a signature is asked for: the signature as it is written, the time, and what is
//! signed beside the body.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::spelled::ProofBytes;
use super::{RequestHead, Unauthorized};
use crate::catalog::{MessagePart, Method, Verification};
use crate::values::time;

/// No sender signs with more keys at a time.
const MOST_CANDIDATES: usize = 16;
/// With Ed25519 each costs as much as the first, and a stranger may send them.
const MOST_ED25519_CANDIDATES: usize = 4;
/// A number of seconds since 1970 is below this until the year 5138; a larger one counts milliseconds.
const SECONDS_BELOW: i64 = 100_000_000_000;

/// Taken from a head, to be held against the body.
pub(super) struct SignatureEvidence {
    /// The header that holds the signature, or the list of signatures.
    proof: String,
    /// The time as it is written, without what stands in front of it.
    time: Option<String>,
    before_body: Vec<u8>,
    after_body: Vec<u8>,
}

impl SignatureEvidence {
    /// Takes from `head` what `rule` asks for.
    pub(super) fn of(rule: &Verification, head: RequestHead<'_>) -> Result<SignatureEvidence, Unauthorized> {
        let proof = proof_text(rule, head.headers)?;
        let time = time_text(rule, &proof, head.headers)?;
        let render = |parts: &[MessagePart]| render(parts, head, time.as_deref().unwrap_or_default());
        let (before_body, after_body) = (render(&rule.before_body)?, render(&rule.after_body)?);
        Ok(SignatureEvidence { proof, time, before_body, after_body })
    }

    /// What is signed: these parts, one behind the other.
    pub(super) fn message<'a>(&'a self, body: &'a [u8]) -> [&'a [u8]; 3] {
        [&self.before_body, body, &self.after_body]
    }

    /// What may be the signature; never nothing.
    pub(super) fn candidates(&self, rule: &Verification) -> Result<Vec<ProofBytes>, Unauthorized> {
        let length = rule.method.signature_length().ok_or(Unauthorized::Malformed)?;
        let texts = items(rule, &self.proof).filter_map(|item| without_prefix(rule, item));
        let most = if rule.method == Method::Ed25519 { MOST_ED25519_CANDIDATES } else { MOST_CANDIDATES };
        let mut candidates = Vec::with_capacity(1);
        for proof in texts.filter_map(|text| ProofBytes::read(text, rule.encoding, length)) {
            if candidates.len() == most {
                return Err(Unauthorized::Malformed);
            }
            candidates.push(proof);
        }
        if candidates.is_empty() { Err(Unauthorized::Malformed) } else { Ok(candidates) }
    }

    /// Whether the signed time is as near to `now` (milliseconds since 1970) as `rule` asks for.
    pub(super) fn check_time(&self, rule: &Verification, now: i64) -> Result<(), Unauthorized> {
        let (Some(tolerance), Some(text)) = (rule.tolerance, &self.time) else { return Ok(()) };
        let signed_at = instant(text).ok_or(Unauthorized::Malformed)?;
        let apart = u128::from(now.abs_diff(signed_at));
        if apart <= tolerance.as_millis() { Ok(()) } else { Err(Unauthorized::Stale) }
    }
}

/// The header of the proof. Where it is a list, it may stand in several lines, as lists in HTTP may.
fn proof_text(rule: &Verification, headers: &HeaderMap) -> Result<String, Unauthorized> {
    let text = |value: &HeaderValue| value.to_str().map(|text| text.trim().to_owned());
    let mut values = headers.get_all(&rule.header).iter();
    let first = values.next().ok_or(Unauthorized::Missing)?;
    let mut proof = text(first).map_err(|_| Unauthorized::Malformed)?;
    for value in values {
        let separator = rule.separator.as_deref().ok_or(Unauthorized::Several)?;
        proof.push_str(separator);
        proof.push_str(&text(value).map_err(|_| Unauthorized::Malformed)?);
    }
    if proof.is_empty() { Err(Unauthorized::Missing) } else { Ok(proof) }
}

/// The items of a list, or the text as a whole.
fn items<'a>(rule: &'a Verification, text: &'a str) -> impl Iterator<Item = &'a str> {
    let (list, whole) = match rule.separator.as_deref() {
        Some(separator) => (Some(text.split(separator)), None),
        None => (None, Some(text)),
    };
    list.into_iter().flatten().map(str::trim).chain(whole)
}

/// The proof in an item. Where the profile does not say what stands in front of it, the name of the algorithm may.
fn without_prefix<'a>(rule: &Verification, item: &'a str) -> Option<&'a str> {
    if let Some(prefix) = &rule.prefix {
        return item.strip_prefix(prefix.as_str());
    }
    let usual = rule.method.usual_prefix();
    match item.split_at_checked(usual.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(usual) => Some(rest),
        _ => Some(item),
    }
}

/// The time as it is written, without what stands in front of it.
fn time_text(rule: &Verification, proof: &str, headers: &HeaderMap) -> Result<Option<String>, Unauthorized> {
    let Some(time) = &rule.time else { return Ok(None) };
    if let Some(name) = &time.header {
        let text = only(headers, name)?.to_str().map_err(|_| Unauthorized::Malformed)?;
        let time = text.strip_prefix(time.prefix.as_str()).ok_or(Unauthorized::Malformed)?;
        return Ok(Some(time.to_owned()));
    }
    let mut times = items(rule, proof).filter_map(|item| item.strip_prefix(time.prefix.as_str()));
    match (times.next(), times.next()) {
        (Some(time), None) => Ok(Some(time.to_owned())),
        (None, _) => Err(Unauthorized::Missing),
        (Some(_), Some(_)) => Err(Unauthorized::Several),
    }
}

/// The header's value, which stands there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a HeaderValue, Unauthorized> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(Unauthorized::Missing),
        (Some(_), Some(_)) => Err(Unauthorized::Several),
    }
}

/// The bytes of `parts`.
fn render(parts: &[MessagePart], head: RequestHead<'_>, time: &str) -> Result<Vec<u8>, Unauthorized> {
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            MessagePart::Text(text) => bytes.extend_from_slice(text.as_bytes()),
            MessagePart::Header(name) => bytes.extend_from_slice(only(head.headers, name)?.as_bytes()),
            MessagePart::Method => bytes.extend_from_slice(head.method.as_str().as_bytes()),
            MessagePart::Path => bytes.extend_from_slice(head.uri.path().as_bytes()),
            MessagePart::Query => bytes.extend_from_slice(head.uri.query().unwrap_or_default().as_bytes()),
            MessagePart::Timestamp => bytes.extend_from_slice(time.as_bytes()),
        }
    }
    Ok(bytes)
}

/// Milliseconds since 1970: seconds or milliseconds in digits, or a date and time of ISO 8601.
fn instant(text: &str) -> Option<i64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return Some(if number < SECONDS_BELOW { number * 1000 } else { number });
    }
    time::parse_iso(text).filter(|iso| iso.has_time).map(|iso| iso.millis)
}
