//! The console over HTTP: the page and what protects it, the stream of what it shows, what it says is wrong, and that none of it holds up
//! the end.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bridge::{Bridge, SOON, Setup, run};
use crate::support::sender::{self, Line};
use crate::support::{assert_in_time, eventually};

/// Someone who looks: an open stream of events.
struct Viewer(BufReader<std::net::TcpStream>);

impl Viewer {
    /// Opens the stream; the status if there is none to be had.
    fn open(admin: SocketAddr) -> Result<Viewer, String> {
        let mut line = Line::open(admin);
        line.head("GET", "/console/events", &[]);
        let mut reader = BufReader::new(line.stream);
        let mut status = String::new();
        reader.read_line(&mut status).unwrap();
        if status.starts_with("HTTP/1.1 200") { Ok(Viewer(reader)) } else { Err(status) }
    }

    /// The data of the next event of this kind; `None` when the stream has ended.
    fn next(&mut self, kind: &str) -> Option<Value> {
        let mut due = false;
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(name) = line.strip_prefix("event: ") {
                due = name.trim_end() == kind;
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| due) {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
    }

    /// The first that says so: what was sent a moment ago may still be on the way.
    fn until(&mut self, kind: &str, says: impl Fn(&Value) -> bool) -> Value {
        eventually("it is told", SOON, || Some(self.next(kind).expect("the stream goes on")).filter(&says))
    }
}

/// The row of an event type.
fn row<'a>(state: &'a Value, source: &str, event_type: &str) -> &'a Value {
    let sources = state["sources"].as_array().unwrap();
    let source = sources.iter().find(|s| s["name"] == source).unwrap();
    source["types"].as_array().unwrap().iter().find(|t| t["type"] == event_type).unwrap()
}

#[test]
fn the_page_comes_with_a_policy_that_lets_in_nothing_else() {
    let bridge = Setup::new("console-page").start();
    let page = sender::get(bridge.admin, "/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    for word in ["default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(word), "{word}: {policy}");
    }
    for (name, value) in
        [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
    {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    for elsewhere in ["http://", "https://", "src=\"//", "href=\"//"] {
        assert!(!page.body.contains(elsewhere), "{elsewhere}");
    }
    let catalog = sender::get(bridge.admin, "/console/catalog.json");
    let catalog: Value = serde_json::from_str(&catalog.body).unwrap();
    let fields = catalog["types"]["wegly.LeadWon"]["fields"].as_array().unwrap();
    assert!(fields.iter().any(|field| field["name"] == "event" && field["doc"] != ""), "{fields:?}");
    for path in ["/", "/console/events", "/console/state.json", "/console/catalog.json"] {
        assert_eq!(sender::post(bridge.admin, path, &[], b"").sum(), (405, "method_not_allowed".into()), "{path}");
        assert_eq!(sender::get(bridge.http, path).status, 404, "{path} is the admin listener's");
    }
    assert_eq!(sender::get(bridge.admin, "/console").sum(), (404, "not_found".into()));
}

#[test]
fn the_stream_tells_what_was_delivered_and_goes_on_telling() {
    let bridge = Setup::new("console-stream").start();
    let mut viewer = Viewer::open(bridge.admin).unwrap();
    let state = viewer.next("state").unwrap();
    let won = row(&state, "wegly", "lead.won");
    assert_eq!((&won["accepted"], &won["last_seen"]), (&0.into(), &Value::Null), "{won}");
    assert_eq!(won["main"]["topic"], bridge.topic("wegly.lead"));
    assert!(won["main"]["id"].is_u64(), "{won}");
    assert_eq!((&state["health"]["ready"], &state["version"]), (&true.into(), &env!("CARGO_PKG_VERSION").into()));
    assert!(viewer.next("history").unwrap()["points"].is_array());

    let began = state["now"].as_i64().unwrap();
    let body = r#"{"event_key":"lead.won","payload":{"lead":{"id":"00000000-0000-4000-8000-0000000000ee"}}}"#;
    for _ in 0..3 {
        assert_eq!(bridge.deliver("wegly", body).status, 200);
    }
    assert_eq!(bridge.deliver("wegly", "[]").status, 202);
    let state = viewer.until("state", |state| state["answers"]["dead_lettered"] == 1);
    let won = row(&state, "wegly", "lead.won");
    assert_eq!((&won["accepted"], &won["published"], &won["refused"]), (&3.into(), &3.into(), &0.into()), "{won}");
    assert!(won["last_seen"].as_i64().unwrap() >= began, "{won}");
    assert_eq!(row(&state, "wegly", "unknown")["dead_lettered"], 1);
    assert_eq!(state["dead_letters"][0]["reason"], "unknown_type");
    assert_eq!((&state["answers"]["published"], &state["answers"]["dead_lettered"]), (&3.into(), &1.into()));
    // A point every 10 s: the deliveries are in one of them, or in two.
    viewer.until("history", |history| {
        let points = history["points"].as_array().unwrap();
        points.iter().any(|point| point["published"].as_f64() > Some(0.0) && point["p99"].as_f64() > Some(0.0))
    });
}

/// `/console/state.json`, once it says so.
fn state_when(bridge: &Bridge, what: &str, says: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, || {
        let answer = sender::get(bridge.admin, "/console/state.json");
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        Some(serde_json::from_str(&answer.body).unwrap()).filter(&says)
    })
}

/// The open trouble with this code.
fn trouble(state: &Value, code: &str) -> Option<Value> {
    state["troubles"].as_array().unwrap().iter().find(|trouble| trouble["code"] == code).cloned()
}

/// Every trouble has what whoever is woken asks for.
fn assert_complete(state: &Value) {
    for trouble in state["troubles"].as_array().unwrap() {
        assert!(trouble["since"].as_i64().is_some_and(|since| since <= state["now"].as_i64().unwrap()), "{trouble}");
        for said in ["title", "detail", "server", "todo", "runbook", "severity"] {
            assert!(trouble[said].as_str().is_some_and(|words| !words.is_empty()), "{said}: {trouble}");
        }
    }
}

const MARK: &str = "only-the-body-has-this";

#[test]
fn refusals_and_dead_letters_turn_the_verdict_and_no_body_is_shown() {
    let bridge = Setup::new("console-troubles").start();
    let calm = state_when(&bridge, "there is no trouble", |state| state["verdict"]["level"] == "ok");
    assert_eq!(
        (&calm["troubles"], &calm["newest_dead_letters"], &calm["newest_refusals"]),
        (&json!([]), &json!([]), &json!([]))
    );
    assert!(calm["instance"].as_str().is_some_and(|name| !name.is_empty()), "{calm}");

    let refused = format!(r#"{{"event_key":"lead.won","secret":"{MARK}"}}"#);
    let wrong = [("content-type", "application/json"), ("x-wegly-signature", &"0".repeat(64)[..])];
    assert_eq!(sender::post(bridge.http, "/webhooks/wegly", &wrong, refused.as_bytes()).status, 401);
    let state = state_when(&bridge, "the refusal is shown", |state| trouble(state, "refused wegly wrong").is_some());
    assert_eq!(state["verdict"]["level"], "warning", "{}", state["verdict"]);
    assert_complete(&state);
    let newest = &state["newest_refusals"][0];
    assert_eq!(
        (&newest["source"], &newest["status"], &newest["reason"]),
        (&"wegly".into(), &401.into(), &"wrong".into())
    );
    assert_eq!(newest["counts"], json!([{ "reason": "wrong", "count": 1 }]));

    let body = format!(r#"{{"event_key":"lead.won","payload":{{"lead":{{"name":"{MARK}"}}}}}}"#);
    let answer = bridge.deliver("wegly", &body);
    assert_eq!(answer.status, 202);
    let code = "dead_letters wegly missing_key";
    let state = state_when(&bridge, "the dead letter is shown", |state| trouble(state, code).is_some());
    assert_complete(&state);
    let letter = &state["newest_dead_letters"][0];
    assert_eq!((&letter["id"], &letter["type"]), (&answer.get("id").into(), &"lead.won".into()));
    assert_eq!((&letter["reason"], &letter["in_spool"]), (&"missing_key".into(), &false.into()));
    assert!(letter["error"].as_str().unwrap().contains("payload.lead.id"), "{letter}");
    let shown = sender::get(bridge.admin, "/console/state.json").body + &sender::get(bridge.admin, "/").body;
    assert!(!shown.contains(MARK), "the body is shown");

    // The command is one that can be typed as it stands.
    let replay = letter["replay"].as_str().unwrap().to_owned();
    let words: Vec<_> = replay.split(' ').collect();
    let (file, args) = (words.last().unwrap(), &words[1..words.len() - 2]);
    assert_eq!((words[0], words[words.len() - 2]), ("hookbridge", "--config"));
    let replayed = run(args, Path::new(file));
    assert!(crate::support::bridge::words(&replayed).contains("stays: missing_key"), "{replay}: {replayed:?}");
}

#[test]
fn an_outage_is_shown_with_since_when_which_server_and_why_each_lane_waits() {
    let (kafka, bridge) = Bridge::on_its_own_kafka("console-outage", "");
    let lead = r#"{"event_key":"lead.won","payload":{"lead":{"id":"00000000-0000-4000-8000-0000000000aa"}}}"#;
    state_when(&bridge, "there is no trouble", |state| state["verdict"]["level"] == "ok");
    kafka.go_down();
    assert_eq!(bridge.deliver("wegly", lead).status, 202);
    assert_eq!(bridge.deliver("wegly", "[]").status, 202);
    let state = state_when(&bridge, "the outage and what waits are shown", |state| {
        let waits = state["lanes"].as_array().unwrap();
        trouble(state, "kafka").is_some() && waits.len() == 2 && waits.iter().all(|lane| lane["oldest_at"].is_i64())
    });
    assert_complete(&state);
    assert_eq!(state["troubles"][0]["code"], "kafka", "the cause comes first: {}", state["troubles"]);
    assert!(state["troubles"][0]["server"].as_str().unwrap().contains(&bridge.setup.bootstrap), "{state}");
    assert!(state["verdict"]["text"].as_str().unwrap().starts_with("Kafka cannot be used"), "{}", state["verdict"]);
    assert!(state["verdict"]["effect"].as_str().unwrap().starts_with("Senders get 202"), "{}", state["verdict"]);
    let lane =
        state["lanes"].as_array().unwrap().iter().find(|lane| lane["lane"] == bridge.topic("wegly.lead")).unwrap();
    assert!(lane["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{lane}");
    assert_eq!((&state["spool"]["records"], &state["newest_dead_letters"][0]["in_spool"]), (&2.into(), &true.into()));
    assert!(state["spool"]["share"].as_f64().is_some_and(|share| share > 0.0 && share < 0.01), "{}", state["spool"]);
    assert_eq!(state["senders"]["ack_timeout"], 1.0);
    let began = trouble(&state, "kafka").unwrap()["since"].clone();
    let later =
        state_when(&bridge, "it lasts", |later| later["now"].as_i64() > Some(state["now"].as_i64().unwrap() + 2500));
    assert_eq!(trouble(&later, "kafka").unwrap()["since"], began);
    kafka.come_up();
    state_when(&bridge, "it is over", |state| {
        trouble(state, "kafka").is_none() && trouble(state, "spool_waits").is_none() && state["lanes"] == json!([])
    });
    state_when(&bridge, "the dead letter is in its topic", |state| {
        state["newest_dead_letters"][0]["in_spool"] == false
    });
}

#[test]
fn eight_may_look_at_once_and_a_place_is_free_again() {
    let bridge = Setup::new("console-eight").start();
    let mut viewers: Vec<_> = (0..8).map(|_| Viewer::open(bridge.admin).unwrap()).collect();
    for viewer in &mut viewers {
        assert!(viewer.next("state").is_some());
    }
    assert!(Viewer::open(bridge.admin).is_err_and(|status| status.starts_with("HTTP/1.1 503")));
    assert_eq!(sender::get(bridge.admin, "/console/events").sum(), (503, "too_many_viewers".into()));
    drop(viewers.pop());
    eventually("one more may look", SOON, || Viewer::open(bridge.admin).ok());
}

#[test]
fn someone_who_looks_sees_the_end_and_does_not_hold_it_up() {
    let mut setup = Setup::new("console-ends");
    setup.top = "shutdown_delay = \"3s\"\nshutdown_timeout = \"40s\"\n".into();
    let mut bridge = setup.start();
    let mut viewer = Viewer::open(bridge.admin).unwrap();
    // Never reads.
    let _deaf = Viewer::open(bridge.admin).unwrap();
    assert_eq!(viewer.next("state").unwrap()["health"]["ending"], false);
    thread::sleep(Duration::from_millis(100));
    bridge.terminate();
    let started = Instant::now();
    viewer.until("state", |state| state["health"]["ending"] == true);
    while viewer.next("state").is_some() {}
    assert_eq!(bridge.wait_end().code(), Some(0));
    assert_in_time(started, Duration::from_secs(3));
}
