//! The door: nobody gets in without the secret, and who has it gets in.
//!
//! A byte that chooses, a line that is claimed, and the body.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::{SECRETS, SOURCES, TOKEN, split};
use crate::source::verify::{RequestHead, Unverified, Verified, signature};

/// A forged signature or token, whatever it looks like; a right one, in every spelling, whole and with one byte changed.
pub fn verify(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let (claim, body) = split(rest, b'\n');
    check_signature(claim, body);
    check_signature(&mutated(spelled(choice, body), claim), body);
    check_token(claim, body);
    check_token(&mutated(TOKEN.into(), claim), body);
}

fn check_signature(claim: &[u8], body: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(claim) else { return };
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-wegly-signature"), value)]);
    let taken = knock("wegly", headers, None, body);
    assert_eq!(taken.is_some(), SECRETS.iter().any(|secret| spells(claim, &hex(secret, body))), "{claim:?}");
    if let Some(taken) = taken {
        check_kept(&taken);
    }
}

fn check_token(claim: &[u8], body: &[u8]) {
    let right = claim == TOKEN.as_bytes();
    if let Ok(path) = std::str::from_utf8(claim) {
        assert_eq!(knock("whazing", HeaderMap::new(), Some(path), body).is_some(), right, "in the path: {path:?}");
    }
    let Ok(value) = HeaderValue::from_bytes(claim) else { return };
    let mut headers = HeaderMap::from_iter([(HeaderName::from_static("x-n8n-api-key"), value.clone())]);
    assert_eq!(knock("whazing", headers.clone(), None, body).is_some(), right, "{claim:?}");
    let bearer = HeaderValue::from_bytes(&[b"bEaReR ", claim].concat()).unwrap();
    let bearer = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
    assert_eq!(knock("whazing", bearer, None, body).is_some(), claim.trim_ascii() == TOKEN.as_bytes());
    // Whoever is let in leaves the token at the door, wherever else it stands.
    headers.insert("x-original-url", value.clone());
    headers.append("x-note", HeaderValue::from_bytes(&[claim, TOKEN.as_bytes(), claim].concat()).unwrap());
    headers.append("x-note", value);
    let taken = knock("whazing", headers, Some(TOKEN), body).unwrap();
    let holds_token = |value: &HeaderValue| value.as_bytes().windows(TOKEN.len()).any(|w| w == TOKEN.as_bytes());
    assert!(!taken.headers().values().any(holds_token));
    check_kept(&taken);
}

/// One request to the door.
fn knock(source: &str, headers: HeaderMap, in_path: Option<&str>, body: &[u8]) -> Option<Verified> {
    let source = SOURCES[source].clone();
    let head = RequestHead { method: &Method::POST, uri: &Uri::default(), headers: &headers };
    let admission = source.verifier.load().admit(head, in_path).ok()?;
    let body = Bytes::copy_from_slice(body);
    Unverified { source, admission, headers, body, received_at: 1_780_401_600_123 }.verify().ok()
}

/// What the spool keeps of a delivery is the delivery.
fn check_kept(taken: &Verified) {
    let (id, source) = (taken.id().to_owned(), taken.source().clone());
    let kept = Verified::kept(id, source, &taken.header_lines(), taken.body().clone(), taken.received_at());
    assert_eq!(kept.headers(), taken.headers());
}

fn hex(secret: &str, body: &[u8]) -> String {
    signature(&secret.parse().unwrap(), body)
}

/// The right signature in one of its spellings.
fn spelled(choice: u8, body: &[u8]) -> Vec<u8> {
    let hex = hex(SECRETS[usize::from(choice & 1)], body);
    let bytes = base16ct::lower::decode_vec(&hex).unwrap();
    let spelled = match choice >> 2 & 7 {
        0 => STANDARD.encode(bytes),
        1 => STANDARD_NO_PAD.encode(bytes),
        2 => URL_SAFE.encode(bytes),
        3 => URL_SAFE_NO_PAD.encode(bytes),
        4 => hex.to_uppercase(),
        _ => hex,
    };
    if choice & 2 == 0 { spelled.into_bytes() } else { format!("ShA256={spelled}").into_bytes() }
}

/// Put at a place that its first byte tells: the other bytes in place of as many; nothing where there are none.
fn mutated(mut right: Vec<u8>, by: &[u8]) -> Vec<u8> {
    if let [at, bytes @ ..] = by {
        let at = usize::from(*at) % (right.len() + 1);
        let end = (at + bytes.len()).min(right.len());
        right.splice(at..end, bytes.iter().copied());
    }
    right
}

/// Whether `claim` is a spelling of a signature, by another way than that of the door.
fn spells(claim: &[u8], hex: &str) -> bool {
    let bytes = base16ct::lower::decode_vec(hex).unwrap();
    let claim = claim.trim_ascii();
    let bare = match claim.split_at_checked(7) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(b"sha256=") => rest,
        _ => claim,
    };
    let standard: Vec<u8> = bare
        .iter()
        .map(|b| [(b'-', b'+'), (b'_', b'/')].iter().find(|(from, _)| from == b).map_or(*b, |(_, to)| *to))
        .collect();
    bare.eq_ignore_ascii_case(hex.as_bytes())
        || standard == STANDARD.encode(&bytes).as_bytes()
        || standard == STANDARD_NO_PAD.encode(&bytes).as_bytes()
}
