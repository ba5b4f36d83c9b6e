//! One delivery with several events: each is a record, or a dead letter, of its own; one answer when all are safe.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::eventually;
use crate::support::mock::Mock;
use crate::support::reader::{self, Record};
use crate::support::sender::{self, Answer, SECRET, event_id, hex, mac};
use crate::support::vendor::{self, HEAD};

const RULES: &str = r#"
[[split]]
path = "entry.changes"
most = 300
[[recognise]]
path = "entry.changes.kind"
ignore = ["typing"]
values = { msg = "message" }
[types]
"message" = { record = "Message", topic = "message", key = "entry.changes.chat", time = [] }
"#;

fn add_vendor(setup: &mut Setup) {
    let message = format!(
        r#"{HEAD}{{"name": "account", "type": ["null", "long"], "default": null, "doc": "Account."}}, {{"name": "entry", "type": "chat.Entry", "doc": "Entry."}}"#
    );
    let entry = r#"{"name": "id", "type": ["null", "long"], "default": null, "doc": "Id."}, {"name": "changes", "type": "chat.Change", "doc": "Change."}"#;
    let change = r#"{"name": "chat", "type": "string", "doc": "Chat."}, {"name": "n", "type": ["null", "long"], "default": null, "doc": "Number."}"#;
    vendor::add(setup, "chat", RULES, &[("Message", &message), ("Entry", entry), ("Change", change)]);
}

fn start(test: &str) -> Bridge {
    let mut setup = Setup::new(test);
    add_vendor(&mut setup);
    setup.prepare(&["chat.message"]);
    setup.start()
}

fn post(bridge: &Bridge, body: &str) -> Answer {
    let signature = hex(&mac(SECRET, body.as_bytes()));
    let headers = [("x-signature", signature.as_str()), ("content-type", "application/json")];
    sender::post(bridge.http, "/webhooks/chat", &headers, body.as_bytes())
}

/// The id of an event, by its delivery's id and its place, worked out here a second time.
fn part_id(delivery: &str, place: usize) -> String {
    let mut id = Sha256::digest([delivery.as_bytes(), &[0], place.to_string().as_bytes()].concat());
    id[6] = 0x80 | (id[6] & 0x0F);
    id[8] = 0x80 | (id[8] & 0x3F);
    let text = hex(&id[..16]);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

fn body(changes: &[Value]) -> String {
    json!({"account": 9, "entry": [{"id": 1, "changes": changes}]}).to_string()
}

fn change(chat: &str, n: usize) -> Value {
    json!({"kind": "msg", "chat": chat, "n": n})
}

fn answer(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// The numbers of the records of a chat, in their order.
fn numbers(records: &[Record], chat: &str) -> Vec<i64> {
    let of = records.iter().filter(|record| record.key == chat);
    of.map(|record| record.decode()["entry"]["changes"]["n"].as_i64().unwrap()).collect()
}

#[test]
fn each_element_is_a_record_with_an_id_of_its_own_and_what_stands_around_it() {
    let bridge = start("split");
    let text = r#"{"account":9,"entry":[{"id":1,"changes":[{"kind":"msg","chat":"a","n":0},{"kind":"typing"},{"kind":"msg","chat":"b","n":1,"new":1.0}]},{"id":2,"changes":[{"kind":"msg","chat":"a","n":2}]}],"more":true}"#;
    let delivery = event_id("chat", text.as_bytes());
    for _ in 0..2 {
        let expected = json!({"id": delivery, "outcome": "published", "events": {"published": 3, "ignored": 1}});
        let got = post(&bridge, text);
        assert_eq!((got.status, answer(&got)), (200, expected));
    }
    let records = reader::read(&bridge.topic("chat.message"));
    assert_eq!(records.len(), 6);
    // A retry makes the same ids.
    let ids: Vec<_> = records.iter().map(|record| record.header("ce_id").unwrap().to_owned()).collect();
    for (place, n) in [(0, 0), (2, 1), (3, 2)] {
        let id = part_id(&delivery, place);
        assert_eq!(ids.iter().filter(|other| **other == id).count(), 2, "{place}");
        let record = records.iter().find(|record| record.header("ce_id") == Some(&id)).unwrap();
        let decoded = record.decode();
        assert_eq!((&decoded["event"]["id"], &decoded["entry"]["changes"]["n"]), (&json!(id), &json!(n)));
        assert_eq!((&decoded["account"], &decoded["extra"]), (&json!(9), &json!(r#"{"more":true}"#)));
        assert_eq!(decoded["entry"]["id"], if place == 3 { 2 } else { 1 });
        let of = |name: &str| record.header(name).unwrap().to_owned();
        assert_eq!(of("hookbridge_delivery_id"), delivery);
        assert_eq!((of("hookbridge_part"), of("hookbridge_parts")), (place.to_string(), "3".into()));
    }
    for (series, expected) in [
        ("hookbridge_http_requests_total{code=\"published\"}", 2),
        ("hookbridge_events_total{outcome=\"published\",source=\"chat\",type=\"message\"}", 6),
        ("hookbridge_events_total{outcome=\"ignored\",source=\"chat\",type=\"unknown\"}", 2),
        ("hookbridge_body_bytes_total{source=\"chat\"}", 2 * text.len() as u64),
    ] {
        assert_eq!(bridge.metric(series), expected, "{series}");
    }
    // All of them ignored, and one that is no array.
    let got = post(&bridge, &body(&[json!({"kind": "typing"})]));
    assert_eq!((got.status, answer(&got)["outcome"].as_str()), (200, Some("ignored")));
    let single = r#"{"entry":{"changes":{"kind":"msg","chat":"c"}}}"#;
    let got = answer(&post(&bridge, single));
    assert_eq!(got, json!({"id": event_id("chat", single.as_bytes()), "outcome": "published"}));
}

#[test]
fn events_of_a_key_keep_their_order_in_a_delivery_of_many() {
    let bridge = start("split-order");
    let changes: Vec<_> = (0..300).map(|n| change(["a", "b", "c"][n % 3], n)).collect();
    let got = post(&bridge, &body(&changes));
    assert!([200, 202].contains(&got.status), "{got:?}");
    let records = eventually("all are there", SOON, || {
        Some(reader::read(&bridge.topic("chat.message"))).filter(|records| records.len() >= 300)
    });
    for (at, chat) in ["a", "b", "c"].into_iter().enumerate() {
        let expected: Vec<_> = (0..300_i64).filter(|n| n % 3 == at as i64).collect();
        assert_eq!(numbers(&records, chat), expected, "{chat}");
    }
}

#[test]
fn a_bad_element_is_a_dead_letter_of_its_own_and_its_replay_needs_no_others() {
    let bridge = start("split-bad");
    let changes =
        [change("a", 0), json!({"kind": "note", "chat": "a", "n": 1}), json!({"kind": "msg"}), change("a", 2)];
    let text = body(&changes);
    let delivery = event_id("chat", text.as_bytes());
    let got = post(&bridge, &text);
    let expected = json!({"id": delivery, "outcome": "dead_lettered", "reason": "unknown_type", "events": {"published": 2, "dead_lettered": 2}});
    assert_eq!((got.status, answer(&got)), (202, expected));
    assert_eq!(numbers(&reader::read(&bridge.topic("chat.message")), "a"), [0, 2]);
    let letters = reader::read(&bridge.topic("hookbridge.dead-letters"));
    let letter = letters.iter().find(|letter| letter.key == part_id(&delivery, 1)).expect("by its own id");
    let kept: Value = serde_json::from_slice(&letter.value).unwrap();
    assert_eq!(kept, json!({"account": 9, "entry": {"id": 1, "changes": {"kind": "note", "chat": "a", "n": 1}}}));
    assert_eq!(letter.header("hookbridge_error"), Some("entry.changes.kind: unknown event type: note"));
    assert_eq!(letter.header("hookbridge_delivery_id"), Some(&*delivery));
    let other = letters.iter().find(|letter| letter.key == part_id(&delivery, 2)).unwrap();
    assert_eq!(other.header("hookbridge_error"), Some("entry.changes.chat: absent, but it is the record's key"));

    // The sender's answer names the delivery: all of its events are found.
    let ids = bridge.setup.dir.path().join("ids");
    fs::write(&ids, &delivery).unwrap();
    let audit = |expected: i32| {
        let output = bridge.setup.run(&["audit", ids.to_str().unwrap(), "--json"]);
        assert_eq!(output.status.code(), Some(expected), "{}", words(&output));
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .next()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .unwrap()
    };
    assert_eq!(audit(0)["given"]["dead_lettered"], 1);

    // Once its type is known, the one letter is published, and nothing else.
    let profile = bridge.setup.dir.path().join("catalog/chat/profile.toml");
    let text = fs::read_to_string(&profile).unwrap();
    fs::write(&profile, text.replace("msg = ", "note = \"message\", msg = ")).unwrap();
    let output = bridge.setup.run(&["dead-letters", "replay", "--source", "chat", "--reason", "unknown_type"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let records = reader::read(&bridge.topic("chat.message"));
    assert_eq!(numbers(&records, "a"), [0, 2, 1]);
    let last = records.iter().find(|record| record.header("ce_id") == Some(&part_id(&delivery, 1))).unwrap();
    assert_eq!(last.header("hookbridge_delivery_id"), Some(&*delivery));
    assert_eq!(audit(0)["given"]["dead_lettered"], 1, "one is still pending");
}

#[test]
fn more_events_than_the_bound_are_one_dead_letter_until_the_bound_is_raised() {
    let bridge = start("split-bound");
    let changes: Vec<_> = (0..301).map(|n| change("a", n)).collect();
    let text = body(&changes);
    let got = post(&bridge, &text);
    assert_eq!((got.sum(), got.get("reason")), ((202, "dead_lettered".into()), "too_many_events".into()));
    let letter = reader::read(&bridge.topic("hookbridge.dead-letters")).remove(0);
    let delivery = event_id("chat", text.as_bytes());
    assert_eq!((&letter.key, &*letter.value), (&delivery, text.as_bytes()), "nothing is lost");

    let profile = bridge.setup.dir.path().join("catalog/chat/profile.toml");
    fs::write(&profile, fs::read_to_string(&profile).unwrap().replace("most = 300", "most = 400")).unwrap();
    let replay = |more: &[&str]| {
        let output = bridge.setup.run(&[&["dead-letters", "replay", "--all"], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        words(&output)
    };
    assert!(replay(&["--dry-run"]).contains("would be published 1"));
    assert!(replay(&[]).contains("published 1; 0 stay"));
    let records = reader::read(&bridge.topic("chat.message"));
    assert_eq!(numbers(&records, "a"), (0..301).collect::<Vec<_>>());
    assert!(
        records.iter().enumerate().all(|(place, record)| record.header("ce_id") == Some(&*part_id(&delivery, place)))
    );
    // It is marked.
    replay(&[]);
    assert_eq!(reader::read(&bridge.topic("chat.message")).len(), 301);
}

#[test]
fn events_that_wait_in_the_spool_are_all_there_and_published_with_their_ids() {
    let (kafka, mut setup): (Mock, Setup) = Setup::on_its_own_kafka("split-spool", &["chat.message"]);
    add_vendor(&mut setup);
    setup.http = "ack_timeout = \"2s\"\n".into();
    let bridge = setup.start();
    let text = body(&[change("a", 0), change("b", 1), json!({"kind": "msg"}), change("a", 2)]);
    let delivery = event_id("chat", text.as_bytes());
    kafka.go_down();
    let got = post(&bridge, &text);
    assert_eq!(got.status, 202, "{got:?}");
    assert_eq!(answer(&got)["events"], json!({"spooled": 3, "dead_lettered": 1}));
    // It is killed, and comes back: what was answered is on disk, whole.
    let setup = bridge.setup.clone();
    drop(bridge);
    kafka.come_up();
    let bridge = setup.start();
    let records = eventually("all are published", SOON, || {
        let records = reader::read_from(&bridge.setup.bootstrap, &bridge.topic("chat.message"));
        (records.len() >= 3).then_some(records)
    });
    let mut ids: Vec<_> = records.iter().map(|record| record.header("ce_id").unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    let mut expected: Vec<_> = [0, 1, 3].map(|place| part_id(&delivery, place)).to_vec();
    expected.sort();
    assert_eq!(ids, expected);
    let ids = bridge.setup.dir.path().join("ids");
    fs::write(&ids, &delivery).unwrap();
    eventually("the audit finds all", SOON, || {
        let output = bridge.setup.run(&["audit", ids.to_str().unwrap()]);
        (output.status.code() == Some(0)).then_some(())
    });
}

#[test]
fn a_split_without_a_bound_stops_the_start() {
    let mut setup = Setup::new("split-unbound");
    add_vendor(&mut setup);
    let profile = setup.dir.path().join("catalog/chat/profile.toml");
    for (most, expected) in [
        ("", "split[0].most: missing: how many events a delivery may hold, from 1 to 10000"),
        ("most = 0", "split[0].most: expected a number from 1 to 10000"),
        ("most = 10001", "split[0].most: expected a number from 1 to 10000"),
    ] {
        let text = fs::read_to_string(&profile).unwrap();
        fs::write(&profile, text.replace("most = 300", most)).unwrap();
        let output = setup.run(&["check"]);
        fs::write(&profile, text).unwrap();
        assert_eq!(output.status.code(), Some(78), "{}", words(&output));
        assert!(words(&output).contains(expected), "{}", words(&output));
    }
}
