//! Only who proves who they are gets past the door, in every spelling that is in use.

use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const BODY: &[u8] = br#"{"event_key":"lead.updated"}"#;

fn secret(text: &str) -> Secret {
    text.parse().unwrap_or_else(|never| match never {})
}

fn hmac_door(secrets: &[&str]) -> Verifier {
    let secrets: Vec<_> = secrets.iter().map(|s| secret(s)).collect();
    Verifier::new(Method::HmacSha256, HeaderName::from_static("x-wegly-signature"), &secrets)
}

fn token_door(tokens: &[&str]) -> Verifier {
    let tokens: Vec<_> = tokens.iter().map(|t| secret(t)).collect();
    Verifier::new(Method::Token, HeaderName::from_static("x-n8n-api-key"), &tokens)
}

fn sign(secret: &str, body: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize().into_bytes().into()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Head and body through the door.
fn passes(door: &Verifier, pairs: &[(&'static str, &str)], in_path: Option<&str>) -> bool {
    match door.admit(&headers(pairs), in_path) {
        Ok(Admission(Evidence::Enough)) => true,
        Ok(Admission(Evidence::Signature(signature))) => door.check_signature(&signature, BODY).is_ok(),
        Err(Unauthorized) => false,
    }
}

fn spellings(signature: [u8; 32]) -> Vec<String> {
    let hex = base16ct::lower::encode_string(&signature);
    let bare = [
        hex.to_uppercase(),
        hex,
        STANDARD.encode(signature),
        STANDARD_NO_PAD.encode(signature),
        URL_SAFE.encode(signature),
        URL_SAFE_NO_PAD.encode(signature),
    ];
    bare.iter().flat_map(|s| [s.clone(), format!("sha256={s}")]).collect()
}

#[test]
fn a_signature_is_taken_in_every_spelling() {
    let door = hmac_door(&["s3cret"]);
    for signature in spellings(sign("s3cret", BODY)) {
        assert!(passes(&door, &[("x-wegly-signature", &signature)], None), "{signature}");
    }
}

#[test]
fn what_is_no_signature_of_this_body_is_refused() {
    let door = hmac_door(&["s3cret"]);
    let right = base16ct::lower::encode_string(&sign("s3cret", BODY));
    let mut wrong = spellings(sign("s3cret", b"another body"));
    wrong.extend(spellings(sign("other", BODY)));
    wrong.extend([
        right[..62].into(),
        format!("{right}00"),
        String::new(),
        " ".into(),
        "sha256=".into(),
        "sha1=".to_owned() + &right,
    ]);
    for signature in wrong {
        assert!(!passes(&door, &[("x-wegly-signature", &signature)], None), "{signature}");
    }
    assert!(!passes(&door, &[], None));
    assert!(!passes(&door, &[("x-wegly-signature", &right), ("x-wegly-signature", &right)], None));
    assert!(!passes(&door, &[("authorization", "Bearer s3cret")], Some("s3cret")));
}

#[test]
fn any_of_the_secrets_will_do() {
    let door = hmac_door(&["old", "new"]);
    for secret in ["old", "new"] {
        let signature = base16ct::lower::encode_string(&sign(secret, BODY));
        assert!(passes(&door, &[("x-wegly-signature", &signature)], None));
    }
}

#[test]
fn a_token_is_taken_from_header_bearer_or_path() {
    let door = token_door(&["tok-a", "tok-b"]);
    for (pairs, in_path, expected) in [
        (vec![("x-n8n-api-key", "tok-a")], None, true),
        (vec![("x-n8n-api-key", "tok-b")], None, true),
        (vec![("authorization", "Bearer tok-a")], None, true),
        (vec![("authorization", "bearer tok-a")], None, true),
        (vec![], Some("tok-b"), true),
        (vec![("x-n8n-api-key", "wrong")], Some("tok-a"), true),
        (vec![("x-n8n-api-key", "tok-a "), ("x-n8n-api-key", "no")], None, false),
        (vec![("x-n8n-api-key", "tok-")], None, false),
        (vec![("x-n8n-api-key", "")], Some(""), false),
        (vec![("authorization", "Basic tok-a")], None, false),
        (vec![("authorization", "tok-a")], None, false),
        (vec![], None, false),
    ] {
        // HTTP itself takes white space off a header's end; the map here does not.
        assert_eq!(passes(&door, &pairs, in_path), expected, "{pairs:?} {in_path:?}");
    }
}

proptest! {
    #[test]
    fn no_text_is_a_signature_by_chance(text in "[ -~]{0,80}") {
        let door = hmac_door(&["s3cret"]);
        prop_assert!(!passes(&door, &[("x-wegly-signature", text.trim())], None));
    }
}
