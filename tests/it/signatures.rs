//! Who gets in: every accepted spelling of a signature, secrets in rotation, tokens in three places. And who does not:
//! one answer for all, whatever is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use crate::support::bridge::{Bridge, Setup};
use crate::support::reader;
use crate::support::sender::{self, Answer, Line, OLD_SECRET, OLD_TOKEN, SECRET, TOKEN, WEGLY_HEADER, hex, mac};

const JSON: (&str, &str) = ("content-type", "application/json");
const WEGLY: &str = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-0000000000aa"}}"#;
const WHAZING: &str = r#"{"Type":"NewTicket","ticket":{"id":5}}"#;

fn signed(bridge: &Bridge, signature: &str) -> Answer {
    sender::post(bridge.http, "/webhooks/wegly", &[(WEGLY_HEADER, signature), JSON], WEGLY.as_bytes())
}

#[test]
fn every_accepted_spelling_of_a_signature_is_let_in() {
    let bridge = Setup::new("spellings").start();
    for secret in [SECRET, OLD_SECRET] {
        let mac = mac(secret, WEGLY.as_bytes());
        let plain = [
            hex(&mac),
            hex(&mac).to_uppercase(),
            STANDARD.encode(mac),
            STANDARD_NO_PAD.encode(mac),
            URL_SAFE.encode(mac),
            URL_SAFE_NO_PAD.encode(mac),
        ];
        for spelling in plain.iter().flat_map(|text| [text.clone(), format!("sha256={text}")]) {
            assert_eq!(signed(&bridge, &spelling).sum(), (200, "published".into()), "{spelling}");
        }
    }
    assert_eq!(reader::read(&bridge.topic("wegly.lead")).len(), 24);
}

#[test]
fn a_token_may_stand_in_its_header_as_bearer_or_in_the_path() {
    let bridge = Setup::new("tokens").start();
    let post = |path: &str, headers: &[(&str, &str)]| {
        sender::post(bridge.http, path, &[headers, &[JSON]].concat(), WHAZING.as_bytes()).sum()
    };
    let published = (200, "published".to_owned());
    for token in [TOKEN, OLD_TOKEN] {
        let bearer = format!("Bearer {token}");
        let path = format!("/webhooks/whazing/{token}");
        assert_eq!(post("/webhooks/whazing", &[("x-n8n-api-key", token)]), published);
        assert_eq!(post("/webhooks/whazing", &[("Authorization", &bearer)]), published);
        assert_eq!(post("/webhooks/whazing", &[("Authorization", &bearer.replace("Bearer", "bearer"))]), published);
        assert_eq!(post(&path, &[]), published);
        // One right one in any one place will do.
        assert_eq!(post(&path, &[("x-n8n-api-key", "wrong")]), published);
    }
}

#[test]
fn whatever_is_wrong_with_the_proof_the_answer_is_one_and_the_same() {
    let bridge = Setup::new("unauthorized").start();
    let right = hex(&mac(SECRET, WEGLY.as_bytes()));
    let other_body = hex(&mac(SECRET, b"{}"));
    let other_secret = hex(&mac("guess", WEGLY.as_bytes()));
    let one_off = right.replace(&right[63..], if right.ends_with('0') { "1" } else { "0" });
    let truncated = STANDARD.encode(&mac(SECRET, WEGLY.as_bytes())[..31]);
    let too_long = format!("{right}00");
    let quoted = format!("\"{right}\"");
    let wegly: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![(WEGLY_HEADER, "")],
        vec![(WEGLY_HEADER, "   ")],
        vec![(WEGLY_HEADER, "sha256=")],
        vec![(WEGLY_HEADER, "not a signature")],
        vec![(WEGLY_HEADER, &other_body)],
        vec![(WEGLY_HEADER, &other_secret)],
        vec![(WEGLY_HEADER, &one_off)],
        vec![(WEGLY_HEADER, &right[..62])],
        vec![(WEGLY_HEADER, &right[..63])],
        vec![(WEGLY_HEADER, &too_long)],
        vec![(WEGLY_HEADER, &quoted)],
        vec![(WEGLY_HEADER, &truncated)],
        vec![(WEGLY_HEADER, &right), (WEGLY_HEADER, &right)],
        vec![(WEGLY_HEADER, &right), (WEGLY_HEADER, "")],
        vec![("x-signature", &right)],
        vec![("authorization", &right)],
    ];
    let bearer = format!("Basic {TOKEN}");
    let whazing: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![("x-n8n-api-key", "")],
        vec![("x-n8n-api-key", &TOKEN[1..])],
        vec![("authorization", TOKEN)],
        vec![("authorization", &bearer)],
        vec![("authorization", "Bearer ")],
    ];
    let mut answers = Vec::new();
    for headers in wegly {
        answers.push(sender::post(bridge.http, "/webhooks/wegly", &[&headers[..], &[JSON]].concat(), WEGLY.as_bytes()));
    }
    for headers in whazing {
        let headers = [&headers[..], &[JSON]].concat();
        answers.push(sender::post(bridge.http, "/webhooks/whazing", &headers, WHAZING.as_bytes()));
    }
    answers.push(sender::post(bridge.http, "/webhooks/whazing/wrong-token", &[JSON], WHAZING.as_bytes()));
    // The proof counts before the content type.
    answers.push(sender::post(bridge.http, "/webhooks/wegly", &[("content-type", "text/plain")], b"x"));
    for answer in &answers {
        assert_eq!(answer.sum(), (401, "unauthorized".into()), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.body, answers[0].body);
        for secret in [SECRET, TOKEN, &right] {
            assert!(!answer.body.contains(secret));
        }
    }
    // A refused request leaves nothing in Kafka.
    assert_eq!(bridge.metric("hookbridge_http_requests_total{code=\"unauthorized\"}"), answers.len() as u64);
    for topic in ["wegly.lead", "whazing.ticket", "hookbridge.dead-letters"] {
        assert_eq!(reader::read(&bridge.topic(topic)).len(), 0);
    }
}

#[test]
fn a_body_without_a_signature_is_not_even_read() {
    let bridge = Setup::new("unread").start();
    let mut line = Line::open(bridge.http);
    // The body never comes, and the answer does not wait for it.
    line.head("POST", "/webhooks/wegly", &[JSON, ("content-length", "1000000")]);
    let started = std::time::Instant::now();
    assert_eq!(line.answer().unwrap().status, 401);
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn an_open_source_takes_anything_and_says_so_in_its_configuration() {
    let mut setup = Setup::new("open");
    setup.sources = "[sources.wegly]\nallow_unauthenticated = true\n".into();
    let bridge = setup.start();
    assert_eq!(sender::post(bridge.http, "/webhooks/wegly", &[JSON], WEGLY.as_bytes()).status, 200);
}
