//! What is refused and how: paths, methods, content types, sizes, slow and broken bodies. And that no body at all, if
//! only it is authentic, ends in a 5xx.

use std::time::{Duration, Instant};

use crate::support::assert_in_time;
use crate::support::bridge::{Bridge, Setup};
use crate::support::payloads::Dice;
use crate::support::sender::{self, Answer, Line, TOKEN, WHAZING_HEADER, proof};

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: (&str, &str) = (WHAZING_HEADER, TOKEN);

fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.sum(), (status, code.into()), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["type"].is_string());
}

#[test]
fn unknown_paths_and_sources_are_not_found() {
    let bridge = Setup::new("paths").start();
    let token = format!("/webhooks/wegly/{TOKEN}");
    for (path, code) in [
        ("/", "not_found"),
        ("/webhooks", "not_found"),
        ("/webhooks/", "not_found"),
        ("/metrics", "not_found"),
        ("/webhooks/whazing/a/b", "not_found"),
        ("/webhooks/nobody", "unknown_source"),
        ("/webhooks/nobody/token", "unknown_source"),
        ("/webhooks/%FF", "not_found"),
        // A source that signs has no token to be put in the path.
        (&token, "not_found"),
    ] {
        assert_problem(&sender::post(bridge.http, path, &[JSON, KEY], b"{}"), 404, code);
        // Path before method.
        assert_problem(&sender::get(bridge.http, path), 404, code);
    }
}

#[test]
fn a_webhook_is_a_post() {
    let bridge = Setup::new("methods").start();
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let answer = sender::request(bridge.http, method, "/webhooks/whazing", &[KEY, JSON], b"{}");
        assert_problem(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
}

#[test]
fn only_plain_json_is_taken() {
    let bridge = Setup::new("media").start();
    let post = |headers: &[(&str, &str)]| sender::post(bridge.http, "/webhooks/whazing", headers, b"{}");
    for content_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "json", ""] {
        assert_problem(&post(&[KEY, ("content-type", content_type)]), 415, "unsupported_media_type");
    }
    assert_problem(&post(&[KEY]), 415, "unsupported_media_type");
    for encoding in ["gzip", "br", "gzip, identity"] {
        assert_problem(&post(&[KEY, JSON, ("content-encoding", encoding)]), 415, "unsupported_media_type");
    }
    let chunks = ("transfer-encoding", "gzip, chunked");
    let mut line = sender::Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, chunks]);
    assert_problem(&line.answer().unwrap(), 415, "unsupported_media_type");
    assert_problem(&post(&[KEY, JSON, ("content-type", "text/plain")]), 415, "unsupported_media_type");
    for (content_type, encoding) in [
        ("application/json", "identity"),
        ("Application/JSON ; charset=UTF-8", ""),
        ("application/cloudevents+json", "utf-8"),
        ("application/json, application/json", "identity, identity"),
        ("text/json", "UTF8"),
    ] {
        let answer = post(&[KEY, ("content-type", content_type), ("content-encoding", encoding)]);
        assert_eq!(answer.sum(), (202, "dead_lettered".into()), "{content_type} {encoding}");
    }
    assert_eq!(post(&[KEY, JSON, JSON]).sum(), (202, "dead_lettered".into()), "twice");
}

fn limited(test: &str) -> Bridge {
    let mut setup = Setup::new(test);
    setup.http = "max_body_bytes = 100_000\nbody_timeout = \"3s\"\n".into();
    setup.start()
}

/// `bytes` bytes of JSON.
fn body_of(bytes: usize) -> Vec<u8> {
    format!("{{\"x\":\"{}\"}}", "a".repeat(bytes - 8)).into_bytes()
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_sender_sees_it() {
    let bridge = limited("size");
    let exact = body_of(100_000);
    assert_eq!(bridge.deliver("whazing", &exact).status, 202);
    assert_problem(&bridge.deliver("whazing", body_of(100_001)), 413, "body_too_large");
    // A sender that writes all of a far larger body before it reads.
    assert_problem(&bridge.deliver("whazing", body_of(4_000_000)), 413, "body_too_large");
    // One that asks first, and so need not send it.
    let mut line = Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", "100001"), ("expect", "100-continue")]);
    assert_problem(&line.answer().unwrap(), 413, "body_too_large");
}

#[test]
fn a_chunked_body_over_the_limit_by_one_byte_is_refused() {
    let bridge = limited("chunked");
    for (bytes, status) in [(100_000, 202), (100_001, 413)] {
        let mut line = Line::open(bridge.http);
        line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("transfer-encoding", "chunked")]);
        for chunk in body_of(bytes).chunks(30_000) {
            line.send(format!("{:x}\r\n", chunk.len()).as_bytes()).unwrap();
            line.send(chunk).unwrap();
            line.send(b"\r\n").unwrap();
        }
        line.send(b"0\r\n\r\n").unwrap();
        let answer = line.answer().unwrap();
        assert_eq!(answer.status, status, "{bytes}: {answer:?}");
    }
}

#[test]
fn the_limit_may_differ_by_source() {
    let mut setup = Setup::new("source-size");
    setup.http = "max_body_bytes = 1000\n".into();
    setup.sources += "max_body_bytes = \"2000\"\n";
    let bridge = setup.start();
    assert_eq!(bridge.deliver("whazing", body_of(2000)).status, 202);
    assert_eq!(bridge.deliver("whazing", body_of(2001)).status, 413);
    assert_eq!(bridge.deliver("wegly", body_of(1001)).status, 413);
}

#[test]
fn a_slow_body_is_given_up_after_its_time() {
    let bridge = limited("slow");
    let mut line = Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", "1000")]);
    let started = Instant::now();
    // Byte by byte: each one in time, the whole not.
    while started.elapsed() < Duration::from_secs(4) && line.send(b" ").is_ok() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_problem(&line.answer().unwrap(), 408, "read_timeout");
    assert_in_time(started, Duration::from_secs(4));
}

#[test]
fn a_body_that_is_cut_off_or_badly_chunked_is_no_event() {
    let bridge = limited("broken");
    let mut line = Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", "1000")]);
    line.send(b"{\"Type\":").unwrap();
    line.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_problem(&line.answer().unwrap(), 400, "bad_request");

    let mut line = Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("transfer-encoding", "chunked")]);
    line.send(b"2\r\n{}\r\nnot a length\r\n").unwrap();
    assert_problem(&line.answer().unwrap(), 400, "bad_request");

    // What came before the break did not become an event, and the bridge goes on.
    assert_eq!(
        bridge.metric("hookbridge_events_total{outcome=\"dead_lettered\",source=\"whazing\",type=\"unknown\"}"),
        0
    );
    assert_eq!(bridge.deliver("whazing", "{}").status, 202);
}

#[test]
fn an_unfinished_head_is_given_up() {
    let mut setup = Setup::new("head");
    setup.http = "header_timeout = \"1s\"\n".into();
    let bridge = setup.start();
    let mut line = Line::open(bridge.http);
    line.send(b"POST /webhooks/whazing HTTP/1.1\r\nHost: ").unwrap();
    let started = Instant::now();
    assert!(line.answer().is_none());
    assert_in_time(started, Duration::from_secs(1));
}

#[test]
fn bytes_that_are_not_http_get_a_bare_400_and_a_huge_head_a_431() {
    let bridge = Setup::new("no-http").start();
    let mut line = Line::open(bridge.http);
    line.send(b"\x16\x03\x01\x02\x00 hello\r\n\r\n").unwrap();
    assert_eq!(line.answer().unwrap().status, 400);
    let mut line = Line::open(bridge.http);
    let huge = "a".repeat(1_000_000);
    let _ = line.send(format!("POST /webhooks/whazing HTTP/1.1\r\nx: {huge}\r\n\r\n").as_bytes());
    assert_eq!(line.answer().unwrap().status, 431);
}

#[test]
fn no_authentic_body_whatever_its_bytes_ends_in_a_5xx() {
    let bridge = Setup::new("garbage").start();
    let mut dice = Dice::new(31);
    let valid = r#"{"event_key":"lead.won","payload":{"lead":{"id":"00000000-0000-4000-8000-0000000000ff","tags":[{"id":"x"}],"value":1.5},"won_date":"2026-06-02"}}"#;
    for round in 0..300 {
        let mut body = valid.as_bytes().to_vec();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(body.len() as u64) as usize;
            match dice.roll(3) {
                0 => body[at] = dice.roll(256) as u8,
                1 => body.truncate(at + 1),
                _ => body.insert(at, b"{}[]\",:\\0e-"[dice.roll(11) as usize]),
            }
        }
        let source = if round % 2 == 0 { "wegly" } else { "whazing" };
        let (name, value) = proof(source, &body);
        let answer = sender::post(bridge.http, &format!("/webhooks/{source}"), &[(name, &value), JSON], &body);
        assert!([200, 202].contains(&answer.status), "{answer:?} to {:?}", String::from_utf8_lossy(&body));
    }
}
