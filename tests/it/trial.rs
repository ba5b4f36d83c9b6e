//! `try`: what would become of a request, with no server anywhere; and files of cases.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::sender::{event_id, hex, mac};
use crate::third_vendor::{PROFILE, write_catalog_to};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hookbridge");

const DEAL: &str = "11111111-1111-4111-8111-111111111111";

fn won() -> String {
    format!(
        r#"{{"event_key":"deal.won","novo":1,"payload":{{"deal":{{"id":"{DEAL}","code":"abc","value":12.50,"brand":{{"x":1e400}},"updated_at":"2026-06-02T12:00:00Z"}},"won_date":"2026-06-02T12:00:01Z"}}}}"#
    )
}

/// Runs `try` in `dir` with `body` on standard input.
fn try_out(dir: &Path, args: &[&str], body: &str) -> Output {
    let mut child = Command::new(PROGRAM)
        .arg("try")
        .args(args)
        .current_dir(dir)
        .env_remove("HOOKBRIDGE_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(body.as_bytes());
    child.wait_with_output().unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// What `--json` prints, and the exit code.
fn tried(dir: &Path, args: &[&str], body: &str) -> (Value, Option<i32>) {
    let output = try_out(dir, &[&["-", "--json"], args].concat(), body);
    let text = String::from_utf8(output.stdout).unwrap();
    let found = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {:?}", output.stderr));
    (found, output.status.code())
}

#[test]
fn a_signed_body_of_wegly_becomes_its_records_and_says_what_went_to_extra() {
    let (dir, body) = (folder(), won().replace("1e400", "2"));
    let signature = format!("x-wegly-signature: sha256={}", hex(&mac("demo-wegly-secret", body.as_bytes())));
    let (found, code) =
        tried(dir.path(), &["--source", "wegly", "-H", &signature, "--at", "2026-06-02T12:00:05Z"], &body);
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(found["proof"]["verdict"], "right");
    assert_eq!(found["answer"], json!({"status": 200, "outcome": "published"}));
    let event = &found["events"][0];
    assert_eq!(event["id"], event_id("wegly", body.as_bytes()));
    assert_eq!((&event["type"], &event["key"]), (&json!("deal.won"), &json!(DEAL)));
    assert_eq!(event["rule"], r#"recognise[0]: `event_key` is "deal.won""#);
    assert_eq!(event["occurred_at"], "2026-06-02T12:00:01.000Z");
    let topics: Vec<_> = event["records"].as_array().unwrap().iter().map(|record| &record["topic"]).collect();
    assert_eq!(topics, ["wegly.deal", "wegly.deal-latest"]);
    let record = &event["records"][0];
    assert_eq!(record["partition"], crate::partitions::partition_of_12(DEAL));
    assert_eq!(record["subject"], "wegly.deal-wegly.DealWon");
    assert_eq!(record["value"]["deal"]["value"], 12.5);
    assert_eq!(record["value"]["event"]["received_at"], "2026-06-02T12:00:05.000Z");
    assert_eq!(record["headers"]["ce_type"], "wegly.deal.won");
    let kept: Vec<_> = event["extra"].as_array().unwrap().iter().map(|kept| (&kept["path"], &kept["value"])).collect();
    assert_eq!(
        kept,
        [
            (&json!("deal.brand"), &json!({"x": 2})),
            (&json!("deal.code"), &json!("abc")),
            (&json!("$envelope.novo"), &json!(1)),
        ]
    );
    assert_eq!(event["extra"][1]["why"], "does not fit its type, long");
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing is written");
}

#[test]
fn what_is_kept_is_shown_as_it_is_spelled() {
    let output = try_out(folder().path(), &["-", "--source", "wegly", "--unsigned", "--json"], &won());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(r#"{"path":"deal.brand","value":{"x":1e400}"#), "{text}");
}

#[test]
fn why_a_proof_is_wrong_is_said_and_what_would_have_become_of_the_body() {
    let (dir, body) = (folder(), won().replace("1e400", "3"));
    let secret = "demo-wegly-secret";
    let compact = serde_json::from_str::<Value>(&body).unwrap();
    let (compact, spaced) = (compact.to_string(), format!("{compact:#}"));
    let over = |signed: &str| format!("x-wegly-signature: {}", hex(&mac(secret, signed.as_bytes())));
    for (headers, body, due) in [
        (vec![], body.clone(), "the header x-wegly-signature is missing"),
        (vec!["x-wegly-signature: a".into(), "x-wegly-signature: b".into()], body.clone(), "more than once"),
        (vec![over("another")], body.clone(), "matches none of the source's secrets"),
        (vec![over(&body)], format!("{body}\n"), "without the white space at the body's end"),
        (vec![over(&format!("{body}\n"))], body, "with a line end after the body"),
        (vec![over(&compact)], spaced, "the same JSON without white space"),
    ] {
        let headers: Vec<&str> = headers.iter().flat_map(|header: &String| ["-H", header]).collect();
        let (found, code) = tried(dir.path(), &[&["--source", "wegly"], &headers[..]].concat(), &body);
        assert_eq!(code, Some(1), "{due}");
        assert_eq!(found["answer"], json!({"status": 401, "outcome": "unauthorized"}));
        assert_eq!(found["proof"]["verdict"], "wrong");
        let why = found["proof"]["why"].as_str().unwrap();
        assert!(why.contains(due) && !why.contains(secret), "{due}: {why}");
        assert_eq!(found["events"][0]["type"], "deal.won");
    }
}

#[test]
fn a_message_of_whazing_is_tried_with_its_token_in_each_place() {
    let dir = folder();
    let body = r#"{"messageId":"m1","fromMe":false,"timestamp":1780401600,"body":"oi","ticket":{"id":42,"apiConfig":"deal-1"}}"#;
    for token in [
        ["-H", "X-N8N-API-KEY: demo-whazing-token"],
        ["-H", "Authorization: Bearer demo-whazing-token"],
        ["--path", "demo-whazing-token"],
    ] {
        let (found, code) = tried(dir.path(), &[&["--source", "whazing"], &token[..]].concat(), body);
        assert_eq!((code, &found["proof"]["verdict"]), (Some(0), &json!("right")), "{found}");
        let event = &found["events"][0];
        assert_eq!((&event["type"], &event["key"]), (&json!("message.received"), &json!("42")));
        let links = event["records"].as_array().unwrap().iter().find(|r| r["topic"] == "whazing.message-by-reference");
        assert_eq!(links.unwrap()["key"], "deal-1");
    }
    let (found, code) = tried(dir.path(), &["--source", "whazing", "--path", "other"], body);
    assert_eq!((code, &found["answer"]["status"]), (Some(1), &json!(401)));
    assert!(!found.to_string().contains("demo-whazing-token"), "{found}");
}

#[test]
fn a_dead_letter_says_why_and_other_refusals_do() {
    let dir = folder();
    let of = |args: &[&str], body: &str| tried(dir.path(), &[&["--source", "wegly"], args].concat(), body);
    let (found, code) = of(&["--unsigned"], r#"{"event_key":"deal.won","payload":{"deal":{}}}"#);
    assert_eq!(code, Some(1));
    assert_eq!(found["answer"], json!({"status": 202, "outcome": "dead_lettered", "reason": "missing_key"}));
    let event = &found["events"][0];
    assert_eq!(event["rejection"]["error"], "payload.deal.id: absent, but it is the record's key");
    assert_eq!(event["records"][0]["topic"], "hookbridge.dead-letters");
    assert_eq!(event["records"][0]["headers"]["hookbridge_reason"], "missing_key");

    let (found, code) = of(&["--unsigned", "-H", "content-type: text/plain"], "{}");
    assert_eq!((code, &found["answer"]["outcome"]), (Some(1), &json!("unsupported_media_type")));
    assert_eq!(found["events"], json!([]));
    let (found, _) = of(&["--path", "x"], "{}");
    assert_eq!(found["answer"], json!({"status": 404, "outcome": "not_found"}));
}

#[test]
fn wrong_usage_ends_with_64_and_what_is_known_is_named() {
    let dir = folder();
    for (args, due) in [
        (vec!["-"], "--source"),
        (vec!["-", "--source", "nobody"], "expected one of wegly, whazing"),
        (vec!["none.json", "--source", "wegly"], "none.json"),
        (vec!["-", "--source", "wegly", "-H", "no colon"], "name: value"),
        (vec!["--cases", "none.toml"], "none.toml"),
        (vec![], "BODY"),
    ] {
        let output = try_out(dir.path(), &args, "{}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(64) && said.contains(due), "{args:?}: {said}");
    }
    let output = try_out(dir.path(), &["-", "--source", "wegly", "--catalog", "none"], "{}");
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn a_vendor_of_a_folder_is_tried_without_a_configuration_and_by_cases() {
    let dir = folder();
    write_catalog_to(&dir.path().join("catalog"), PROFILE);
    let body = r#"{"kind":"HANDED_OVER","data":{"parcel":{"number":"0042","weight":"heavy"}}}"#;
    fs::write(dir.path().join("handed.json"), body).unwrap();
    let (found, code) = tried(dir.path(), &["--source", "parcels", "--catalog", "catalog", "--unsigned"], body);
    assert_eq!((code, &found["events"][0]["key"]), (Some(0), &json!("42")), "{found}");
    assert_eq!(found["events"][0]["extra"][0]["path"], "parcel.weight");

    let signature = hex(&mac("demo-parcels-secret", body.as_bytes()));
    let cases = format!(
        r#"
[[case]]
name = "handed over"
source = "parcels"
body = "handed.json"
headers = {{ x-parcels-mac = "{signature}" }}
at = "2026-06-02T12:00:00Z"
[case.expect]
status = 200
outcome = "published"
[[case.expect.event]]
type = "parcel.handed_over"
key = "42"
topics = ["parcels.parcel"]
extra = ["parcel.weight"]
record = '{{"parcel": {{"number": 42, "weight": null}}, "event": {{"received_at": "2026-06-02T12:00:00.000Z"}}}}'

[[case]]
name = "lost"
source = "parcels"
json = '{{"kind":"LOST","data":{{}}}}'
unsigned = true
[case.expect]
reason = "unknown_type"
"#
    );
    let run = |cases: &str| {
        fs::write(dir.path().join("cases.toml"), cases).unwrap();
        let output = try_out(dir.path(), &["--cases", "cases.toml", "--catalog", "catalog"], "");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = run(&cases);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("2 cases, 0 failed\n"), "{said}");

    // Each expectation can fail.
    for (find, replace, due) in [
        ("status = 200", "status = 202", "status: expected 202, got 200"),
        ("outcome = \"published\"", "outcome = \"ignored\"", "outcome: expected \"ignored\", got \"published\""),
        ("type = \"parcel.handed_over\"", "type = \"x\"", "event 1: type: expected \"x\""),
        ("key = \"42\"", "key = \"43\"", "event 1: key"),
        ("topics = [\"parcels.parcel\"]", "topics = []", "event 1: topics"),
        ("extra = [\"parcel.weight\"]", "extra = []", "event 1: extra"),
        ("\"weight\": null", "\"weight\": 1", "event 1: record.parcel.weight: expected 1, got null"),
        ("reason = \"unknown_type\"", "reason = \"missing_key\"", "reason: expected \"missing_key\""),
        (&signature, "00", "outcome: expected \"published\", got \"unauthorized\""),
        ("source = \"parcels\"\njson", "source = \"nobody\"\njson", "unknown source nobody"),
    ] {
        let (code, said) = run(&cases.replacen(find, replace, 1));
        assert!(code == Some(1) && said.contains("FAIL") && said.contains(due), "{due}: {said}");
    }
    for (find, replace, due) in [
        ("outcome = \"published\"", "outcom = \"published\"", "line 10: unknown field"),
        ("reason = \"unknown_type\"", "", "case 2 (\"lost\"): `expect` is empty"),
        ("json = '", "xml = '", "unknown field `xml`"),
        ("2026-06-02T12:00:00Z\"", "noon\"", "case 1 (\"handed over\"): at: expected a time"),
        ("{\"parcel\": {\"number\"", "{\"parcel\" {\"number\"", "expect.event.record: expected JSON"),
    ] {
        let (code, said) = run(&cases.replacen(find, replace, 1));
        assert!(code == Some(78) && said.contains(due), "{due}: {said}");
    }
}

#[test]
fn a_handshake_shows_what_the_vendor_is_answered_or_why_it_is_not() {
    const VENDORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/vendors");
    let dir = folder();
    let get = |query: &str| {
        let args = ["--source", "whatsapp_cloud", "--catalog", VENDORS, "--method", "GET", "--query", query, "--json"];
        let output = try_out(dir.path(), &args, "");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        (found, output.status.code())
    };
    let asks = |token: &str| format!("hub.mode=subscribe&hub.challenge=a%26b&hub.verify_token={token}");
    let (found, code) = get(&asks("demo-whatsapp_cloud-verify-token"));
    let answer =
        json!({"status": 200, "outcome": "handshake", "content_type": "text/plain; charset=utf-8", "body": "a&b"});
    assert_eq!((&found["answer"], &found["events"], code), (&answer, &json!([]), Some(0)));
    let (found, code) = get(&asks("guessed"));
    assert_eq!((&found["answer"], code), (&json!({"status": 401, "outcome": "unauthorized"}), Some(1)));
    assert_eq!(found["proof"]["why"], "hub.verify_token in the query matches none of the source's handshake_tokens");
    let (found, _) = get("hub.mode=subscribe&hub.challenge=1");
    assert_eq!(found["proof"]["why"], "the query has no hub.verify_token, which holds a verify token");
    let (found, _) = get("hub.mode=unsubscribe");
    assert_eq!(found["answer"]["outcome"], "method_not_allowed");

    // A POST asks by its body, once that is verified.
    let body = r#"{"type":"url_verification","challenge":"abc"}"#;
    let slack = ["--source", "slack", "--catalog", VENDORS];
    let (found, code) = tried(dir.path(), &[&slack[..], &["--unsigned"]].concat(), body);
    assert_eq!((&found["answer"]["body"], code), (&json!("abc"), Some(0)));
    let (found, code) = tried(dir.path(), &slack, body);
    assert_eq!(
        (&found["answer"]["outcome"], &found["answer"]["body"], code),
        (&json!("unauthorized"), &Value::Null, Some(1))
    );

    for args in [&["--source", "slack"][..], &["--method", "GET"], &["--source", "slack", "--method", "PUT"]] {
        assert_eq!(try_out(dir.path(), args, "").status.code(), Some(64), "{args:?}");
    }
}
