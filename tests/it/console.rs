//! The console over HTTP: the page and what protects it, the stream of what it shows, and that neither holds up the end.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::bridge::{SOON, Setup};
use crate::support::eventually;
use crate::support::sender::{self, Line};

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
    let catalogue = sender::get(bridge.admin, "/console/catalog.json");
    let catalogue: Value = serde_json::from_str(&catalogue.body).unwrap();
    let fields = catalogue["types"]["wegly.LeadWon"]["fields"].as_array().unwrap();
    assert!(fields.iter().any(|field| field["name"] == "event" && field["doc"] != ""), "{fields:?}");
    for path in ["/", "/console/events", "/console/catalog.json"] {
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
    setup.top = "shutdown_delay = \"3s\"\nshutdown_timeout = \"10s\"\n".into();
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
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}
