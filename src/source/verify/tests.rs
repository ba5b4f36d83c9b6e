//! Only who proves who they are gets past the door, in every spelling that is in use.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const BODY: &[u8] = br#"{"event_key":"lead.updated"}"#;

fn secret(text: &str) -> Secret {
    text.parse().unwrap_or_else(|never| match never {})
}

/// A door of a profile that has these lines under `[verify]`.
fn door(lines: &str, secrets: &[&str]) -> Verifier {
    let secrets: Vec<_> = secrets.iter().map(|s| secret(s)).collect();
    Verifier::new(&Verification::from_lines(lines), &secrets).ok().unwrap()
}

fn hmac_door(secrets: &[&str]) -> Verifier {
    door("method = \"hmac-sha256\"\nheader = \"x-wegly-signature\"", secrets)
}

fn token_door(tokens: &[&str]) -> Verifier {
    door("method = \"token\"\nheader = \"x-n8n-api-key\"", tokens)
}

/// The head of a delivery with these headers.
fn head(headers: &HeaderMap) -> RequestHead<'_> {
    static URI: std::sync::LazyLock<Uri> = std::sync::LazyLock::new(|| "/webhooks/x?a=b".parse().unwrap());
    RequestHead { method: &HttpMethod::POST, uri: &URI, headers }
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
    match door.admit(head(&headers(pairs)), in_path) {
        Ok(Admission(Proof::Enough)) => true,
        Ok(Admission(Proof::Signature(signature))) => door.check_signature(&signature, BODY).is_ok(),
        Err(_) => false,
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

/// A source of the profile that is called so.
fn source(profile: &str, secrets: &str) -> Arc<Source> {
    let text = format!(
        "[kafka]\nbootstrap_servers = \"k:1\"\n[registry]\nurl = \"http://r:1\"\n[sources.{profile}]\n{secrets}\n"
    );
    let settings = crate::config::from_text("test", &text, &crate::config::Environment::default()).unwrap();
    Arc::clone(&settings.sources[profile])
}

#[test]
fn no_credential_gets_past_the_door_nor_out_of_what_was_kept_earlier() {
    let source = source("whazing", "tokens = [\"t0ken-1\"]");
    let sent = [
        ("x-n8n-api-key", "t0ken-1"),
        ("x-auth-token", "a"),
        ("x-wegly-signature", "b"),
        ("cookie", "c"),
        ("x-seen", "it is t0ken-1"),
        ("user-agent", "Whazing/1"),
        ("idempotency-key", "7"),
    ];
    let headers = headers(&sent);
    let admission = source.verifier.load().admit(head(&headers), None).ok().unwrap();
    let unverified =
        Unverified { source: Arc::clone(&source), admission, headers, body: Bytes::from_static(BODY), received_at: 0 };
    let verified = unverified.verify().unwrap();
    let mut names: Vec<_> = verified.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["idempotency-key", "user-agent"]);

    let lines = b":dead_letter unknown_type why\nx-auth-token: a\nuser-agent: Whazing/1\nx-api-key: b\n";
    let kept = Verified::kept("id".into(), source, lines, Bytes::new(), 0);
    assert_eq!(kept.header_lines(), b"user-agent: Whazing/1\n");
}

proptest! {
    #[test]
    fn no_text_is_a_signature_by_chance(text in "[ -~]{0,80}") {
        let door = hmac_door(&["s3cret"]);
        prop_assert!(!passes(&door, &[("x-wegly-signature", text.trim())], None));
    }
}

mod vendors;

const BEFORE: &str = "the-secret-before";
const NOW: &str = "the-secret-now-in";

/// The right signature by `NOW`, but for one of its 64 digits.
fn wrong_at(place: usize) -> String {
    let mut hex = base16ct::lower::encode_string(&sign(NOW, BODY));
    let other = if &hex[place..=place] == "0" { "1" } else { "0" };
    hex.replace_range(place..=place, other);
    hex
}

/// Whom the next test sends to the door in vain: the function that is watched, and what they bring.
fn visitors() -> [(&'static str, String); 8] {
    let (signature, token) = ("check_signature", "admit");
    [
        (signature, wrong_at(0)),
        (signature, wrong_at(31)),
        (signature, wrong_at(63)),
        (signature, base16ct::lower::encode_string(&sign("that-of-no-source", BODY))),
        (token, "The-secret-now-in".into()),
        (token, "the-secret-now-iN".into()),
        (token, "the-secret-Before".into()),
        (token, "something-else---".into()),
    ]
}

#[test]
#[ignore = "one visit, for a_refusal_runs_through_the_same_code_wherever_the_proof_is_wrong to watch"]
fn one_visit() {
    #[expect(clippy::disallowed_methods, reason = "the caller says which")]
    let which: usize = std::env::var("HOOKBRIDGE_TEST_VISITOR").unwrap().parse().unwrap();
    let (watched, proof) = &visitors()[which];
    let (door, header) = match *watched {
        "admit" => (token_door(&[BEFORE, NOW]), "x-n8n-api-key"),
        _ => (hmac_door(&[BEFORE, NOW]), "x-wegly-signature"),
    };
    assert!(!passes(&door, &[(header, proof)], None));
}

/// How many instructions one visit runs through in the function that is watched, as valgrind counts them.
fn instructions(which: usize, watched: &str) -> Result<u64, String> {
    // The name without the crate's.
    let (_, one_visit) = concat!(module_path!(), "::one_visit").split_once("::").unwrap();
    let output = std::process::Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=hookbridge::source::verify::Verifier::{watched}"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", one_visit, "--ignored", "--test-threads=1"])
        .env("HOOKBRIDGE_TEST_VISITOR", which.to_string())
        .output()
        .map_err(|e| format!("valgrind: {e}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let counted = words.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    Ok(counted.unwrap_or_else(|| panic!("no count in {words}")))
}

/// Time tells a stranger how far a guess was right only if the code does more, or less, for it. So the code is held against
/// itself: no time is measured.
#[test]
fn a_refusal_runs_through_the_same_code_wherever_the_proof_is_wrong() {
    let mut seen = std::collections::BTreeMap::new();
    for (which, (watched, proof)) in visitors().into_iter().enumerate() {
        let count = match instructions(which, watched) {
            Ok(count) => count,
            Err(missing) => return println!("SKIPPED: {missing}; to enable it, install valgrind"),
        };
        assert!(count > 1000, "{watched} was not watched: {count}");
        let first = *seen.entry(watched).or_insert(count);
        assert_eq!(count, first, "{watched}: {proof}");
    }
}
