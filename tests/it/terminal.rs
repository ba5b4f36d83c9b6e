//! What a sender wrote is looked at in terminals: nothing that is printed of it may do more there than be read.

use serde_json::Value;

use crate::support::bridge::{Setup, words};
use crate::support::sender::{self, TOKEN, WHAZING_HEADER, event_id};

/// ESC and OSC, CSI as one character of C1, DEL, and what turns the order of text around.
const HOSTILE: &str = "a\u{1b}]0;title\u{7}b\u{9b}2Jc\u{7f}d\u{202e}e";

/// The same, as it may stand in JSON: of these characters only C0 has to be escaped there.
fn in_json() -> String {
    serde_json::to_string(HOSTILE).unwrap()
}

fn acts(c: char) -> bool {
    (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c)
}

/// What a command prints, on both streams, when it ends well.
fn printed(setup: &Setup, args: &[&str]) -> String {
    let output = setup.run(args);
    let text = words(&output);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {text:?}");
    assert!(!text.contains(acts), "{args:?}: {text:?}");
    text
}

#[test]
fn nothing_that_a_sender_wrote_acts_on_a_terminal() {
    let bridge = Setup::new("terminal").start();
    let id = "00000000-0000-4000-8000-0000000000e1";
    let published = format!(
        r#"{{"event_key":"lead.updated","payload":{{"id":"{id}","title":{0},"stage":{{"x":{0}}},{0}:1}}}}"#,
        in_json()
    );
    assert_eq!(bridge.deliver("wegly", &published).sum(), (200, "published".into()));
    let unknown = format!(r#"{{"event_key":{},"payload":{{}}}}"#, in_json());
    assert_eq!(bridge.deliver("wegly", &unknown).get("reason"), "unknown_type");
    // Raw bytes that are no JSON, and a header whose bytes are C1 in UTF-8.
    let raw = format!("{HOSTILE}\r\n{{");
    let headers = [("content-type", "application/json"), ("x-note", "n\u{9b}2J"), (WHAZING_HEADER, TOKEN)];
    let answer = sender::post(bridge.http, "/webhooks/whazing", &headers, raw.as_bytes());
    assert_eq!(answer.get("reason"), "malformed_json", "{}", answer.body);

    let setup = &bridge.setup;
    let (leads, letters) = (bridge.topic("wegly.lead"), bridge.topic("hookbridge.dead-letters"));
    let spelled = |text: &str| text.contains("a\\u{1b}]0;title") || text.contains("a\\u001b]0;title");
    for topic in [&leads, &letters] {
        let text = printed(setup, &["tail", topic, "--headers", "--format", "text"]);
        assert!(spelled(&text), "{text}");
        // As JSON it says what was sent.
        let json = printed(setup, &["tail", topic, "--headers", "--format", "json"]);
        let records: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if *topic == leads {
            assert_eq!(records[0]["value"]["lead"]["title"], HOSTILE);
            assert_eq!(records[0]["value"]["lead"]["stage"]["x"], HOSTILE);
            assert_eq!(records[0]["value"]["lead"]["extra"][HOSTILE], 1);
        } else {
            assert!(records.iter().any(|record| record["value"] == raw), "{json}");
            assert!(records.iter().any(|record| record["headers"]["http_x-note"] == "n\u{9b}2J"), "{json}");
        }
    }
    assert!(spelled(&printed(setup, &["dead-letters", "list"])));
    let listed = printed(setup, &["dead-letters", "list", "--json"]);
    assert!(listed.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{listed}");
    let shown = printed(setup, &["dead-letters", "show", &event_id("whazing", raw.as_bytes())]);
    assert!(spelled(&shown) && shown.contains("http_x-note: n\\u{9b}2J\n"), "{shown}");
    // For another program it is as it came.
    let alone = setup.run(&["dead-letters", "show", &event_id("whazing", raw.as_bytes()), "--body"]);
    assert_eq!(alone.stdout, raw.as_bytes());

    let metrics = sender::get(bridge.admin, "/metrics").body;
    assert!(metrics.contains("LeadSnapshot.a\\\\u{1b}]0;title") && !metrics.contains(acts), "{metrics}");
    let log = bridge.log();
    assert!(!log.iter().any(|line| line.contains(acts)), "{log:?}");
}
