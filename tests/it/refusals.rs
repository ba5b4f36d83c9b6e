//! What an operator sees of refused requests: their source and reason in the metrics and in the log, and how little of it when there are
//! many. Nothing of it is made of what a stranger sends.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::doors::{H2, behind_tls, frame, head};
use crate::support::bridge::{Bridge, SOON, Setup};
use crate::support::eventually;
use crate::support::sender::{self, Line, SECRET, TOKEN, WEGLY_HEADER, WHAZING_HEADER, hex, mac};

const JSON: (&str, &str) = ("content-type", "application/json");
const BODY: &str = r#"{"event_key":"lead.won","payload":{"lead":{"id":"00000000-0000-4000-8000-0000000000ee"}}}"#;
const WHAZING: &str = r#"{"Type":"NewTicket","ticket":{"id":5}}"#;

/// Source, status, reason; method, path, headers, body.
type Case<'a> = (&'a str, u16, &'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

fn count(bridge: &Bridge, source: &str, reason: &str) -> u64 {
    bridge.metric(&format!("hookbridge_refused_total{{reason=\"{reason}\",source=\"{source}\"}}"))
}

/// The lines of the log about refusals.
fn lines(bridge: &Bridge) -> Vec<Value> {
    let lines = bridge.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines.filter(|line| line["message"].as_str().is_some_and(|message| message.starts_with("refused: "))).collect()
}

/// Of the lines about `source` and `reason`: how many there are, and for how many requests they stand.
fn logged(bridge: &Bridge, source: &str, reason: &str) -> (usize, u64) {
    let lines = lines(bridge);
    let mut requests = Vec::new();
    for line in lines.iter().filter(|line| line["source"] == source && line["reason"] == reason) {
        requests.push(line["requests"].as_u64().unwrap());
    }
    (requests.len(), requests.iter().sum())
}

#[test]
fn every_refusal_has_its_source_and_reason_in_the_metrics_and_in_the_log() {
    let mut setup = Setup::new("refusals");
    setup.http += "max_body_bytes = 1000\nbody_timeout = \"1s\"\n";
    setup.sources += &format!("[sources.limited]\nprofile = \"whazing\"\ntokens = [\"{TOKEN}\"]\nrate_limit = 1\n");
    let bridge = setup.start();
    let right = hex(&mac(SECRET, BODY.as_bytes()));
    let signed = (WEGLY_HEADER, right.as_str());
    let key = (WHAZING_HEADER, TOKEN);
    let large = "x".repeat(2000);
    let nobody = format!("/webhooks/nobody-{TOKEN}");
    let cases: [Case<'_>; 17] = [
        ("wegly", 401, "missing", "POST", "/webhooks/wegly", &[JSON], BODY),
        ("wegly", 401, "malformed", "POST", "/webhooks/wegly", &[JSON, (WEGLY_HEADER, "sha256=?")], BODY),
        ("wegly", 401, "wrong", "POST", "/webhooks/wegly", &[JSON, signed], "{}"),
        ("wegly", 401, "several", "POST", "/webhooks/wegly", &[JSON, signed, signed], BODY),
        ("wegly", 415, "content_type", "POST", "/webhooks/wegly", &[signed], BODY),
        (
            "wegly",
            415,
            "content_encoding",
            "POST",
            "/webhooks/wegly",
            &[JSON, signed, ("content-encoding", "gzip")],
            BODY,
        ),
        ("wegly", 413, "body_too_large", "POST", "/webhooks/wegly", &[JSON, signed], &large),
        ("wegly", 405, "method_not_allowed", "PUT", "/webhooks/wegly", &[JSON, signed], BODY),
        ("wegly", 404, "not_found", "POST", "/webhooks/wegly/a-token", &[JSON, signed], BODY),
        ("whazing", 401, "missing", "POST", "/webhooks/whazing", &[JSON], WHAZING),
        ("whazing", 401, "wrong", "POST", "/webhooks/whazing/wrong-token", &[JSON], WHAZING),
        ("whazing", 415, "content_type", "POST", "/webhooks/whazing", &[key, ("content-type", "text/plain")], WHAZING),
        ("whazing", 413, "body_too_large", "POST", "/webhooks/whazing", &[key, JSON], &large),
        ("(none)", 404, "unknown_source", "POST", &nobody, &[JSON], BODY),
        ("(none)", 404, "unknown_source", "GET", "/webhooks/%28none%29", &[], ""),
        ("(none)", 404, "not_found", "POST", "/elsewhere", &[JSON], BODY),
        ("(none)", 404, "not_found", "POST", "/webhooks/wegly/a/b/c", &[JSON], BODY),
    ];
    let (mut expected, mut bodies) = (BTreeMap::new(), BTreeMap::new());
    for (source, status, reason, method, path, headers, body) in cases {
        let answer = sender::request(bridge.http, method, path, headers, body.as_bytes());
        assert_eq!(answer.status, status, "{reason}: {}", answer.body);
        bodies.entry(status).or_insert_with(BTreeSet::new).insert(answer.body);
        *expected.entry((source, reason, status)).or_insert(0) += 1;
    }
    // The sender learns nothing of the reason.
    assert_eq!([401, 415].map(|status| bodies[&status].len()), [1, 1]);
    // One that breaks off, and one that does not go on.
    let mut line = Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[key, JSON, ("content-length", "30")]);
    drop(line);
    eventually("it broke off", SOON, || (count(&bridge, "whazing", "bad_request") == 1).then_some(()));
    let mut line = Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[key, JSON, ("content-length", "30")]);
    assert_eq!(line.answer().unwrap().status, 408);
    let limited = || sender::post(bridge.http, "/webhooks/limited", &[key, JSON], WHAZING.as_bytes()).status;
    eventually("it is over its rate", SOON, || (limited() == 429).then_some(()));
    expected.extend([
        (("whazing", "bad_request", 400), 1),
        (("whazing", "read_timeout", 408), 1),
        (("limited", "rate_limited", 429), 1),
    ]);

    for (&(source, reason, status), &refused) in &expected {
        assert_eq!(count(&bridge, source, reason), refused, "{source} {reason}");
        let line = eventually("the first has a line at once", SOON, || {
            lines(&bridge).into_iter().find(|line| line["source"] == source && line["reason"] == reason)
        });
        assert_eq!((&line["status"], &line["requests"]), (&status.into(), &1.into()), "{line}");
        assert_eq!(line["level"], if source == "(none)" { "INFO" } else { "WARN" });
    }
    let unauthorized =
        |reason: &str| bridge.metric(&format!("hookbridge_unauthorized_total{{reason=\"{reason}\",source=\"wegly\"}}"));
    assert_eq!(["missing", "malformed", "wrong", "stale", "several"].map(unauthorized), [1, 1, 1, 0, 1]);
    // What nobody was refused for is there, too.
    for reason in ["stale", "overloaded", "unavailable", "shutting_down"] {
        assert_eq!(count(&bridge, "limited", reason), 0);
    }
    for line in bridge.log().iter().filter(|line| line.contains("refused: ")) {
        for untrusted in ["nobody", "elsewhere", "wrong-token", "a-token", "lead.won", "sha256=?", &right] {
            assert!(!line.contains(untrusted), "{untrusted} in {line}");
        }
    }
}

#[test]
fn a_flood_of_refusals_makes_few_lines_and_no_further_series_and_all_are_told_of() {
    let mut bridge = Setup::new("refusals-flood").start();
    let began = Instant::now();
    let http = bridge.http;
    let threads = [0, 1, 2, 3].map(|thread| {
        thread::spawn(move || {
            for n in 0..250 {
                let wrong = [JSON, (WHAZING_HEADER, "wrong")];
                assert_eq!(sender::post(http, "/webhooks/whazing", &wrong, b"{}").status, 401);
                assert_eq!(sender::post(http, &format!("/webhooks/nobody-{thread}-{n}"), &[JSON], b"{}").status, 404);
            }
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    let metrics = sender::get(bridge.admin, "/metrics").body;
    let series = metrics.lines().filter(|line| line.starts_with("hookbridge_refused_total{"));
    let sources: BTreeSet<_> =
        series.map(|line| line.split_once("source=\"").unwrap().1.split_once('"').unwrap().0).collect();
    assert_eq!(sources, BTreeSet::from(["(none)", "wegly", "whazing"]));
    for (source, reason) in [("whazing", "wrong"), ("(none)", "unknown_source")] {
        assert_eq!(count(&bridge, source, reason), 1000);
    }
    // Those that no line stands for yet have one at the end.
    bridge.terminate();
    bridge.wait_end();
    for (source, reason) in [("whazing", "wrong"), ("(none)", "unknown_source")] {
        let lines = eventually("all are told of", SOON, || {
            let (lines, requests) = logged(&bridge, source, reason);
            (requests == 1000).then_some(lines)
        });
        let most = 3 + usize::try_from(began.elapsed().as_secs() / 10).unwrap();
        assert!((2..=most).contains(&lines), "{lines} lines of {source} {reason}");
    }
}

#[test]
fn what_was_held_back_has_a_line_though_nothing_more_is_refused() {
    let bridge = Setup::new("refusals-rest").start();
    for _ in 0..5 {
        assert_eq!(sender::post(bridge.http, "/webhooks/wegly", &[JSON], b"{}").status, 401);
    }
    eventually("the others are told of", 2 * SOON, || (logged(&bridge, "wegly", "missing").1 == 5).then_some(()));
    assert!(logged(&bridge, "wegly", "missing").0 <= 3);
}

#[test]
fn a_refusal_is_seen_at_once_though_its_body_is_still_to_come() {
    let Some((bridge, _folder)) = behind_tls("refusals-body", "body_timeout = \"300s\"\n", "") else { return };
    let mut h2 = H2::open(bridge.http);
    h2.send(&frame(1, 0x4, 1, &head())).unwrap();
    h2.settle();
    eventually("it is counted", SOON, || (count(&bridge, "wegly", "missing") == 1).then_some(()));
}
