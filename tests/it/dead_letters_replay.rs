//! `dead-letters list|show|replay`: what could not be converted is published once it can be, with its id, and once.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Output};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::eventually;
use crate::support::reader::{self, Record};
use crate::support::sender::{SECRET, event_id};

const LETTERS: &str = "hookbridge.dead-letters";

/// A profile `parcels` that knows `kinds`; its events are recognised by `kind`.
fn write_catalog(setup: &Setup, kinds: &[&str]) {
    let dir = setup.dir.path().join("catalog/parcels");
    fs::create_dir_all(&dir).unwrap();
    let name = |kind: &str| format!("Parcel{}{}", kind[..1].to_uppercase(), &kind[1..]);
    let values: Vec<_> = kinds.iter().map(|kind| format!("{kind} = \"parcel.{kind}\"")).collect();
    let mut profile = format!(
        "[verify]\nmethod = \"hmac-sha256\"\nheader = \"x-wegly-signature\"\n\
         [[recognise]]\nfield = \"kind\"\nvalues = {{ {} }}\n[types]\n",
        values.join(", ")
    );
    for kind in kinds {
        let record = name(kind);
        profile += &format!(
            "\"parcel.{kind}\" = {{ record = \"{record}\", topic = \"parcel\", key = \"number\", time = [] }}\n"
        );
        let schema = format!(
            r#"{{"type": "record", "namespace": "parcels", "name": "{record}", "doc": "D.", "fields": [
               {{"name": "event", "type": "hookbridge.Event", "doc": "Head."}},
               {{"name": "number", "type": "long", "doc": "Number."}},
               {{"name": "extra", "type": ["null", {{"type": "string", "connect.name": "io.debezium.data.Json", "connect.version": 1}}], "default": null, "doc": "The rest."}}]}}"#
        );
        fs::write(dir.join(format!("{record}.avsc")), schema).unwrap();
    }
    fs::write(dir.join("profile.toml"), profile).unwrap();
}

/// A setup with the source `parcels`, whose catalog knows only `moved` yet.
fn with_parcels(mut setup: Setup) -> Setup {
    let dir = setup.dir.path().join("catalog");
    setup.sources += &format!("[catalog]\ndir = \"{}\"\n[sources.parcels]\nsecrets = [{SECRET:?}]\n", dir.display());
    write_catalog(&setup, &["moved"]);
    setup.prepare(&["parcels.parcel"]);
    setup
}

fn lost(number: u32, n: usize) -> String {
    format!(r#"{{"kind":"lost","number":{number},"n":{n}}}"#)
}

/// Delivers what becomes a dead letter; gives its id.
fn bury(bridge: &Bridge, source: &str, body: &str) -> String {
    let answer = bridge.deliver(source, body);
    assert_eq!(answer.sum(), (202, "dead_lettered".into()), "{body}: {answer:?}");
    answer.get("id")
}

fn run(setup: &Setup, args: &str) -> Output {
    setup.run(&[&["dead-letters"], args.split(' ').collect::<Vec<_>>().as_slice()].concat())
}

/// Runs to this exit code; gives what was said.
fn said(setup: &Setup, args: &str, code: i32) -> String {
    let output = run(setup, args);
    assert_eq!(output.status.code(), Some(code), "{args}: {}", words(&output));
    words(&output)
}

fn list(setup: &Setup, args: &str) -> Vec<Value> {
    let output = run(setup, format!("list --json {args}").trim_end());
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.header("ce_id").unwrap().to_owned()).collect()
}

fn is_mark(record: &Record) -> bool {
    record.value.is_empty() && record.header("hookbridge_replayed_at").is_some()
}

#[test]
fn what_the_catalog_has_learnt_since_is_published_with_its_id_and_once() {
    let bridge = with_parcels(Setup::new("replay")).start();
    let setup = &bridge.setup;
    let (letters, topic) = (bridge.topic(LETTERS), bridge.topic("parcels.parcel"));
    let buried: Vec<_> = (0..3).map(|n| bury(&bridge, "parcels", &lost(42, n))).collect();
    let unknown = bury(&bridge, "parcels", r#"{"kind":"eaten"}"#);
    let malformed = bury(&bridge, "wegly", "{");

    let listed = list(setup, "");
    let column = |name: &str| listed.iter().map(|letter| letter[name].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(column("id"), [&buried[..], &[unknown.clone(), malformed.clone()]].concat());
    assert_eq!(column("reason"), [&["unknown_type"; 4][..], &["malformed_json"]].concat());
    assert!(listed[0]["error"].as_str().unwrap().contains("lost"), "{}", listed[0]);
    assert_eq!(listed[0]["bytes"], lost(42, 0).len());
    assert!(said(setup, "list", 0).contains("5 dead letters: unknown_type 4, malformed_json 1"));

    // By the catalog of then, all stay.
    let text = said(setup, "replay --all --dry-run", 1);
    assert!(text.contains("would be published 0; 5 would stay: unknown_type 4, malformed_json 1; left 0"), "{text}");
    write_catalog(setup, &["moved", "lost"]);
    let text = said(setup, "replay --all --dry-run", 1);
    assert!(text.contains(&format!("{} parcels unknown would be published to {topic}", buried[0])), "{text}");
    assert!(text.contains("would be published 3; 2 would stay"), "{text}");
    assert_eq!((reader::read(&letters).len(), reader::read(&topic).len()), (5, 0), "nothing is written");
    // Not even a schema: what was registered at the start of the bridge was another subject.
    let checked = setup.run(&["schemas", "check"]);
    assert!(words(&checked).contains("ParcelLost"), "{}", words(&checked));
    let of_lost = words(&checked).lines().find(|line| line.contains("ParcelLost")).unwrap().to_owned();
    assert!(of_lost.contains("new"), "{of_lost}");

    let text = said(setup, "replay --reason unknown_type", 1);
    assert!(text.contains("published 3; 1 stay: unknown_type 1; left 0"), "{text}");
    assert!(text.contains(&format!("{unknown} parcels unknown stays: unknown_type")), "{text}");
    let published = reader::read(&topic);
    assert_eq!(ids(&published), buried, "in order");
    for (record, letter) in published.iter().zip(&listed) {
        assert_eq!((record.key.as_str(), record.header("ce_type")), ("42", Some("parcels.parcel.lost")));
        let decoded = record.decode();
        assert_eq!(decoded["event"]["id"], letter["id"]);
        let received_at = letter["received_at"].as_str().unwrap();
        let found = reader::read(&letters).into_iter().find(|found| letter["id"] == found.key).unwrap();
        assert_eq!(found.header("hookbridge_received_at"), Some(received_at));
        assert_eq!(decoded["event"]["received_at"], found.timestamp);
    }
    let marks: Vec<_> = reader::read(&letters).into_iter().filter(is_mark).collect();
    assert_eq!(marks.len(), 3);
    assert!(marks.iter().all(|mark| mark.header("ce_id") == Some(&mark.key) && buried.contains(&mark.key)));

    let text = said(setup, "replay --all", 1);
    assert!(text.contains("published 0; 2 stay: malformed_json 1, unknown_type 1; left 0"), "{text}");
    assert_eq!(reader::read(&topic).len(), 3, "not twice");
    assert_eq!((list(setup, "").len(), list(setup, "--all").len()), (2, 5));
    assert_eq!(said(setup, &format!("replay --id {}", buried[0]), 0).trim(), "nothing to replay");
    let shown = setup.run(&["tail", &letters, "--format", "text"]);
    assert_eq!(shown.status.code(), Some(0));
    assert!(words(&shown).contains(" replayed "), "{}", words(&shown));

    // The running bridge has the old catalog: the same body is pending again.
    assert_eq!(bury(&bridge, "parcels", &lost(42, 1)), buried[1]);
    let again = list(setup, &format!("--id {}", buried[1]));
    assert_eq!((again.len(), &again[0]["copies"], &again[0]["replayed_at"]), (1, &2.into(), &Value::Null));
    assert!(
        said(setup, "replay --source parcels --type lost", 0).contains("nothing to replay"),
        "its type is not known"
    );
    assert!(said(setup, &format!("replay --id {}", buried[1]), 0).contains("published 1; 0 stay; left 0"));
    assert_eq!(ids(&reader::read(&topic))[3], buried[1]);
}

#[test]
fn a_dead_letter_is_shown_with_its_headers_or_its_body_alone() {
    let bridge = Setup::new("show").start();
    let body = r#"{"event_key":"lead.eaten", "payload":{}}"#;
    let id = bury(&bridge, "wegly", body);
    assert_eq!(bury(&bridge, "wegly", body), id);
    let text = said(&bridge.setup, &format!("show {id}"), 0);
    for part in ["hookbridge_reason: unknown_type\n", "http_content-type: application/json", "of 2 copies", body] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = run(&bridge.setup, &format!("show {} --body", id.to_uppercase()));
    assert_eq!(output.stdout, body.as_bytes());
    said(&bridge.setup, "show 00000000-0000-8000-8000-000000000000", 1);
}

#[test]
fn a_choice_is_asked_for_and_has_to_make_sense() {
    let setup = Setup::new("replay-usage");
    for args in ["replay", "replay --dry-run", "replay --id x", "list --reason no", "list --from today", "show x"] {
        said(&setup, args, 64);
    }
}

#[test]
fn filters_choose_by_id_source_type_and_time() {
    let mut small = Setup::new("replay-filters");
    small.kafka = "max_record_bytes = 500\n".into();
    let bridge = small.start();
    let title = "a".repeat(500);
    let id = "00000000-0000-4000-8000-0000000000f1";
    let large = |key: &str, n: u32| {
        let body = format!(r#"{{"event_key":"{key}","payload":{{"id":"{id}","title":"{title}","n":{n}}}}}"#);
        let buried = bury(&bridge, "wegly", &body);
        // Times are told apart to the millisecond.
        thread::sleep(Duration::from_millis(5));
        buried
    };
    let leads: Vec<_> = (0..2).map(|n| large("lead.updated", n)).collect();
    let deals: Vec<_> = (0..2).map(|n| large("deal.updated", n)).collect();
    let ticket = bury(&bridge, "whazing", &format!(r#"{{"Type":"NewTicket","ticket":{{"id":1}},"n":"{title}"}}"#));
    let setup = Setup { kafka: String::new(), ..bridge.setup.clone() };
    let listed = |args: &str| -> Vec<String> {
        list(&setup, args).iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("--type lead.updated"), leads);
    assert_eq!(listed("--type wegly.deal.updated --type deal.updated"), deals);
    assert_eq!(listed("--source whazing --type ticket.opened"), std::slice::from_ref(&ticket));
    assert_eq!(listed(&format!("--id {} --id {ticket}", leads[1])), [leads[1].clone(), ticket.clone()]);
    let received: Vec<_> = list(&setup, "").iter().map(|l| l["received_at"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed(&format!("--from {} --to {}", received[1], received[3])), [leads[1].clone(), deals[0].clone()]);
    assert_eq!(listed("--reason missing_key"), Vec::<String>::new());

    assert!(said(&setup, "replay --type lead.updated", 0).contains("published 2; 0 stay; left 0"));
    assert_eq!(ids(&reader::read(&bridge.topic("wegly.lead"))), leads);
    assert_eq!(reader::read(&bridge.topic("wegly.deal")).len(), 0);
    let text = said(&setup, &format!("replay --id 00000000-0000-8000-8000-000000000000 --id {}", deals[1]), 1);
    assert!(text.contains("no dead letter 00000000") && text.contains("published 1; 0 stay"), "{text}");
    assert_eq!(ids(&reader::read(&bridge.topic("wegly.deal"))), deals[1..]);

    let mut fewer = bridge.setup.clone();
    fewer.sources = fewer.sources.split("[sources.whazing]").next().unwrap().to_owned();
    let text = said(&fewer, "replay --source whazing", 1);
    assert!(text.contains("the source whazing is not configured"), "{text}");
    assert!(text.contains("published 0; 1 stay: source not configured 1; left 0"), "{text}");
    // Still too large, by the settings of then.
    let text = said(&bridge.setup, "replay --source whazing --dry-run", 1);
    assert!(text.contains("stays: record_too_large"), "{text}");
    let text = said(&bridge.setup, "replay --source whazing", 1);
    assert!(text.contains("published 0; 1 stay: record_too_large 1; left 0"), "{text}");
    assert_eq!(listed(""), [deals[0].clone(), ticket]);
}

#[test]
fn a_body_that_was_blanked_stays_so_and_keeps_its_id() {
    let mut small = Setup::new("replay-blanked");
    small.kafka = "max_record_bytes = 500\n".into();
    let bridge = small.start();
    let body = format!(
        r#"{{"event":"channel.status.changed","channel":{{"id":1,"qrcode":"SECRET-QR","name":"{}"}}}}"#,
        "a".repeat(500)
    );
    let id = bury(&bridge, "whazing", &body);
    assert_eq!(id, event_id("whazing", body.as_bytes()));
    let setup = Setup { kafka: String::new(), ..bridge.setup.clone() };
    assert!(said(&setup, "replay --all", 0).contains("published 1; 0 stay; left 0"));
    let record = reader::read(&bridge.topic("whazing.channel")).remove(0);
    assert_eq!(record.header("ce_id"), Some(id.as_str()));
    let decoded = record.decode();
    assert_eq!(decoded["event"]["id"], id);
    assert!(decoded["channel"]["qrcode"].is_null() && !decoded.to_string().contains("SECRET"), "{decoded}");
}

/// Many dead letters of one parcel, which today's catalog could convert.
fn many(test: &str, count: usize) -> (Bridge, Vec<String>) {
    let bridge = with_parcels(Setup::new(test)).start();
    let buried = (0..count).map(|n| bury(&bridge, "parcels", &lost(7, n))).collect();
    write_catalog(&bridge.setup, &["moved", "lost"]);
    (bridge, buried)
}

/// Starts a replay and waits until some of it has happened.
fn start_replay(bridge: &Bridge) -> Child {
    let child = bridge.setup.spawn(&["dead-letters", "replay", "--all"]);
    eventually("some are replayed", SOON, || reader::read(&bridge.topic(LETTERS)).iter().any(is_mark).then_some(()));
    child
}

/// How often each event is marked.
fn marks(bridge: &Bridge) -> BTreeMap<String, usize> {
    let mut marks = BTreeMap::new();
    for mark in reader::read(&bridge.topic(LETTERS)).iter().filter(|record| is_mark(record)) {
        *marks.entry(mark.key.clone()).or_default() += 1;
    }
    marks
}

#[test]
fn a_replay_that_was_killed_goes_on_where_it_was() {
    let (bridge, buried) = many("replay-killed", 600);
    let mut child = start_replay(&bridge);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = marks(&bridge);
    assert!(!before.is_empty() && before.len() < buried.len(), "{}", before.len());
    let text = said(&bridge.setup, "replay --all", 0);
    assert!(text.contains(&format!("published {}; 0 stay; left 0", buried.len() - before.len())), "{text}");
    let marks = marks(&bridge);
    assert_eq!((marks.len(), marks.values().max()), (buried.len(), Some(&1)), "each is marked, once");
    let mut published = ids(&reader::read(&bridge.topic("parcels.parcel")));
    // The one that was under way may have got its record, but not its mark.
    assert!(published.len() <= buried.len() + 1, "{}", published.len());
    published.dedup();
    assert_eq!(published, buried, "nothing is lost, and the order is that of arrival");
}

#[test]
fn a_replay_that_is_told_to_end_says_how_far_it_came() {
    let (bridge, buried) = many("replay-ended", 600);
    let child = start_replay(&bridge);
    crate::support::bridge::signal(child.id(), "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let done = marks(&bridge).len();
    let sum = format!("published {done}; 0 stay; left {}", buried.len() - done);
    assert!(done < buried.len() && words(&output).contains(&sum), "{sum}: {}", words(&output));
    said(&bridge.setup, "replay --all", 0);
    assert_eq!(ids(&reader::read(&bridge.topic("parcels.parcel"))), buried, "each once");
}

#[test]
fn a_topic_that_does_not_take_records_ends_the_replay_and_another_one_goes_on() {
    let (kafka, setup) = Setup::on_its_own_kafka("replay-refused", &["parcels.parcel"]);
    let bridge = with_parcels(setup).start_unready();
    bridge.wait_ready();
    let buried: Vec<_> = (0..3).map(|n| bury(&bridge, "parcels", &lost(42, n))).collect();
    write_catalog(&bridge.setup, &["moved", "lost"]);
    let topic = bridge.topic("parcels.parcel");
    kafka.refuse(&topic, true);
    let text = said(&bridge.setup, "replay --all", 69);
    assert!(text.contains("published 0; 0 stay; left 3") && text.contains(&topic), "{text}");
    kafka.refuse(&topic, false);
    assert!(said(&bridge.setup, "replay --all", 0).contains("published 3; 0 stay; left 0"));
    assert_eq!(ids(&reader::read_from(&kafka.address, &topic)), buried);
    kafka.go_down();
    said(&bridge.setup, "replay --all", 69);
}

#[test]
fn what_waited_as_a_dead_letter_stays_one_though_the_catalog_knows_it_by_now() {
    let (kafka, setup) = Setup::on_its_own_kafka("replay-spooled", &["parcels.parcel"]);
    kafka.go_down();
    let bridge = with_parcels(setup).start_unready();
    bridge.wait_ready();
    let mut accepted: Vec<_> = (0..9)
        .map(|n| match n {
            4 => bury(&bridge, "parcels", &lost(42, n)),
            _ => {
                let answer = bridge.deliver("parcels", format!(r#"{{"kind":"moved","number":42,"n":{n}}}"#));
                assert_eq!(answer.sum(), (202, "spooled".into()), "{answer:?}");
                answer.get("id")
            }
        })
        .collect();
    let (setup, topic) = (bridge.setup.clone(), bridge.topic("parcels.parcel"));
    drop(bridge);
    write_catalog(&setup, &["moved", "lost"]);
    kafka.come_up();
    let output = setup.run(&["spool", "drain"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    // Its sender was told so, and others of its key may have been published since. `replay` is for that.
    let dead = accepted.remove(4);
    assert_eq!(ids(&reader::read_from(&kafka.address, &topic)), accepted);
    assert_eq!(ids(&reader::read_from(&kafka.address, &setup.topic("hookbridge.dead-letters"))), [dead]);
}
