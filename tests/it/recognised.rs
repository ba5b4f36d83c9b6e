//! How types are told apart beyond a member of the body: by headers, by several parts, by patterns; what nobody wants is ignored,
//! and a vendor may add to the path.

use serde_json::json;

use crate::support::bridge::{Bridge, Setup, words};
use crate::support::reader;
use crate::support::sender::{self, Answer, SECRET, TOKEN, WHAZING_HEADER, event_id, hex, mac};
use crate::support::vendor::{self, HEAD};

/// Like GitHub: the event is in a header, its action in the body.
const FORGE: &str = r#"
path_suffixes = ["hooks-*"]
[[recognise]]
header = "X-Forge-Event"
values = { push = "push" }
ignore = ["ping"]
otherwise = "next"
[[recognise]]
template = "{header:x-forge-event}.{action}"
values = { "issues.opened" = "issue.opened" }
patterns = [{ like = "issues.*", type = "issue.changed" }]
[types]
"push" = { record = "Thing", topic = "push", key = "id", time = [] }
"issue.opened" = { record = "Thing", topic = "issue", key = "id", time = [] }
"issue.changed" = { record = "Thing", topic = "issue", key = "id", time = [] }
"#;

fn forge(test: &str) -> Bridge {
    let mut setup = Setup::new(test);
    let fields = format!(
        r#"{HEAD}{{"name": "id", "type": "long", "doc": "Id."}}, {{"name": "event_no", "json": "event", "type": ["null", "long"], "default": null, "doc": "No."}}"#
    );
    vendor::add(&mut setup, "forge", FORGE, &[("Thing", &fields)]);
    setup.prepare(&["forge.push", "forge.issue"]);
    setup.start()
}

fn post(bridge: &Bridge, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let signature = hex(&mac(SECRET, body.as_bytes()));
    let own = [("x-signature", signature.as_str()), ("content-type", "application/json")];
    sender::post(bridge.http, path, &[&own, headers].concat(), body.as_bytes())
}

#[test]
fn a_header_and_several_parts_tell_the_type_and_one_record_serves_several() {
    let bridge = forge("recognised");
    let path = "/webhooks/forge";
    for (event, body, outcome) in [
        ("push", r#"{"id":1,"event":7}"#, "published"),
        ("issues", r#"{"id":2,"action":"opened"}"#, "published"),
        ("issues", r#"{"id":3,"action":"closed"}"#, "published"),
        ("wiki", r#"{"id":4,"action":"x"}"#, "dead_lettered"),
    ] {
        assert_eq!(post(&bridge, path, &[("x-forge-event", event)], body).get("outcome"), outcome, "{body}");
    }
    let read = |topic: &str| {
        let records = reader::read(&bridge.topic(topic));
        records.iter().map(reader::Record::decode).collect::<Vec<_>>()
    };
    let pushed = read("forge.push").remove(0);
    assert_eq!((&pushed["event"]["type"], &pushed["event_no"]), (&json!("push"), &json!(7)));
    let mut issues = read("forge.issue");
    issues.sort_by_key(|issue| issue["id"].as_i64());
    assert_eq!(
        issues.iter().map(|issue| &issue["event"]["type"]).collect::<Vec<_>>(),
        ["issue.opened", "issue.changed"]
    );
    // The action of a type that is not the action alone is kept.
    assert_eq!(issues[1]["extra"], r#"{"action":"closed"}"#);
    let letters = reader::read(&bridge.topic("hookbridge.dead-letters"));
    let letter = letters.iter().find(|letter| letter.header("hookbridge_source") == Some("forge")).unwrap();
    assert_eq!(letter.header("hookbridge_reason"), Some("unknown_type"));
    assert_eq!(letter.header("http_x-forge-event"), Some("wiki"), "a replay needs it");
}

#[test]
fn what_a_profile_ignores_is_answered_counted_and_written_nowhere() {
    let bridge = forge("ignored");
    let body = r#"{"zen":"Half measures are as bad as nothing at all.","hook_id":1}"#;
    let answer = post(&bridge, "/webhooks/forge", &[("X-Forge-Event", "ping")], body);
    assert_eq!(answer.sum(), (200, "ignored".into()), "{answer:?}");
    assert_eq!(answer.get("id"), event_id("forge", body.as_bytes()));
    // Not so for who cannot prove to be the sender.
    let stranger = [("x-signature", "00"), ("content-type", "application/json"), ("x-forge-event", "ping")];
    assert_eq!(sender::post(bridge.http, "/webhooks/forge", &stranger, body.as_bytes()).status, 401);

    let button = r#"{"event":"test","origin":"webhook-config","timestamp":"2026-11-26T12:00:00.000Z"}"#;
    let answer = bridge.deliver("whazing", button);
    assert_eq!(answer.sum(), (200, "ignored".into()), "{answer:?}");
    for (series, expected) in [
        ("hookbridge_http_requests_total{code=\"ignored\"}", 2),
        ("hookbridge_events_total{outcome=\"ignored\",source=\"forge\",type=\"unknown\"}", 1),
        ("hookbridge_events_total{outcome=\"ignored\",source=\"whazing\",type=\"unknown\"}", 1),
        ("hookbridge_accepted_total{source=\"whazing\",type=\"unknown\"}", 0),
    ] {
        assert_eq!(bridge.metric(series), expected, "{series}");
    }
    assert_eq!(reader::read(&bridge.topic("hookbridge.dead-letters")).len(), 0);
}

#[test]
fn a_text_that_means_true_tells_a_message_that_was_sent() {
    let bridge = Setup::new("true-text").start();
    let body = r#"{"messageId":"b1","fromMe":"true","timestamp":1786000000,"ticket":{"id":70004}}"#;
    assert_eq!(bridge.deliver("whazing", body).sum(), (200, "published".into()));
    let record = reader::read(&bridge.topic("whazing.message")).remove(0).decode();
    assert_eq!((&record["event"]["type"], &record["from_me"]), (&json!("message.sent"), &json!(true)));
}

#[test]
fn a_vendor_may_add_to_the_path_where_its_profile_says_so() {
    let bridge = forge("suffix");
    let push = [("x-forge-event", "push")];
    let to = |path: &str| post(&bridge, path, &push, r#"{"id":1}"#).sum();
    assert_eq!(to("/webhooks/forge/hooks-upsert"), (200, "published".into()));
    for path in ["/webhooks/forge/hook", "/webhooks/forge/hooks-a/hooks-b", "/webhooks/forge/hooks-a/b/c"] {
        assert_eq!(to(path), (404, "not_found".into()), "{path}");
    }
    // A signature is asked for all the same.
    let headers = [("content-type", "application/json")];
    assert_eq!(sender::post(bridge.http, "/webhooks/forge/hooks-upsert", &headers, b"{}").sum().0, 401);
    // Whazing adds nothing: there a segment is a token, and only one.
    let headers = [(WHAZING_HEADER, TOKEN), ("content-type", "application/json")];
    let path = format!("/webhooks/whazing/{TOKEN}/messages-upsert");
    assert_eq!(sender::post(bridge.http, &path, &headers, b"{}").sum(), (404, "not_found".into()));
}

#[test]
fn a_token_in_the_path_may_have_such_an_addition_behind_it() {
    let mut setup = Setup::new("token-suffix");
    let fields = format!(r#"{HEAD}{{"name": "id", "type": "long", "doc": "Id."}}"#);
    vendor::add(&mut setup, "evo", FORGE, &[("Thing", &fields)]);
    let profile = setup.dir.path().join("catalog/evo/profile.toml");
    let text = std::fs::read_to_string(&profile).unwrap().replace("hmac-sha256", "token");
    std::fs::write(&profile, text).unwrap();
    setup.sources = setup.sources.replace("[sources.evo]\nsecrets", "[sources.evo]\ntokens");
    setup.prepare(&["evo.push", "evo.issue"]);
    let bridge = setup.start();
    let headers = [("content-type", "application/json"), ("x-forge-event", "push")];
    let to = |path: &str| sender::post(bridge.http, path, &headers, br#"{"id":1}"#).sum();
    assert_eq!(to(&format!("/webhooks/evo/{SECRET}")), (200, "published".into()));
    assert_eq!(to(&format!("/webhooks/evo/{SECRET}/hooks-upsert")), (200, "published".into()));
    assert_eq!(to(&format!("/webhooks/evo/{SECRET}/other")), (404, "not_found".into()));
    assert_eq!(to("/webhooks/evo/wrong/hooks-upsert"), (401, "unauthorized".into()));
    assert_eq!(to("/webhooks/evo/hooks-upsert"), (401, "unauthorized".into()));
}

#[test]
fn a_rule_that_can_never_match_stops_the_start() {
    let mut setup = Setup::new("never");
    let rules = FORGE.replace("otherwise = \"next\"", "default = \"push\"");
    let fields = format!(r#"{HEAD}{{"name": "id", "type": "long", "doc": "Id."}}"#);
    vendor::add(&mut setup, "forge", &rules, &[("Thing", &fields)]);
    let output = setup.run(&["check"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("forge/profile.toml:11: recognise[1]: can never match: recognise[0] applies first"),
        "{said}"
    );
}
