//! Types told by fields, paths, headers and templates; keys and times.

use std::fs;
use std::sync::{Arc, LazyLock};

use super::*;
use proptest::prelude::*;

use crate::catalog::Catalog;
use crate::values::json::MAX_DEPTH;

fn why(profile: &str, body: &str) -> String {
    let catalog = Catalog::load(None).unwrap();
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
    identify(&doc, &HeaderMap::new(), &catalog.profiles[profile]).err().unwrap().why.to_string()
}

#[test]
fn what_stands_in_the_way_is_named_with_its_place() {
    let id = |id: &str| format!(r#"{{"event_key":"lead.won","payload":{{"lead":{{"id":{id}}}}}}}"#);
    for (profile, body, expected) in [
        ("wegly", "[]".to_owned(), "the body is an array, not an object"),
        ("wegly", "{}".into(), "unknown event type: the body has none of event_key"),
        ("wegly", r#"{"event_key":"lead.won"}"#.into(), "payload: absent, but it is the record's key"),
        (
            "wegly",
            r#"{"event_key":"lead.won","payload":{"lead":5}}"#.into(),
            "payload.lead: got a number, expected an object",
        ),
        ("wegly", id("null"), "payload.lead.id: null, but it is the record's key"),
        ("wegly", id("\" \""), "payload.lead.id: blank, but it is the record's key"),
        ("wegly", id("\"1\""), "payload.lead.id: a string that is not a valid UUID"),
        ("wegly", r#"{"event_key":["lead.won"]}"#.into(), "event_key: unknown event type: an array"),
        ("whazing", r#"{"event":{"qrcode":"SECRET"}}"#.into(), "event: unknown event type: an object"),
        ("whazing", r#"{"messageId":"1"}"#.into(), "fromMe: absent, but it determines the event type"),
        ("whazing", r#"{"messageId":"1","fromMe":"no"}"#.into(), "fromMe: expected false or true, got \"no\""),
        (
            "whazing",
            r#"{"Type":"NewTicket","ticket":{"id":1.5}}"#.into(),
            "ticket.id: a number that is not a valid whole number",
        ),
    ] {
        assert_eq!(why(profile, &body), expected, "{body}");
    }
}

#[test]
fn the_first_instant_that_is_there_counts_and_a_bare_date_is_none() {
    let catalog = Catalog::load(None).unwrap();
    let at = |payload: &str| {
        let body = format!(r#"{{"event_key":"lead.won","payload":{payload}}}"#);
        let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
        identify(&doc, &HeaderMap::new(), &catalog.profiles["wegly"]).ok().unwrap().occurred_at
    };
    let lead =
        r#""lead":{"id":"11111111-1111-4111-8111-111111111111","won_date":"2026-06-02T12:00:01Z","updated_at":3}"#;
    assert_eq!(at(&format!(r#"{{"won_date":"2026-06-02T12:00:00Z",{lead}}}"#)), Some(1_780_401_600_000));
    assert_eq!(at(&format!(r#"{{"won_date":"2026-06-02",{lead}}}"#)), Some(1_780_401_601_000));
    assert_eq!(at(&format!(r#"{{"won_date":"soon",{}}}"#, lead.replace("won_date", "x"))), Some(3000));
}

/// A vendor with these rules, and the types a, b and c.
fn vendor(rules: &str) -> Arc<Profile> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("loja");
    fs::create_dir(&folder).unwrap();
    let ty = |name: &str| format!("{name} = {{ record = \"Thing\", topic = \"thing\", key = \"id\", time = [] }}\n");
    let types: String = ["a", "b", "c"].map(ty).concat();
    let profile = format!("[verify]\nmethod = \"token\"\nheader = \"x-token\"\n{rules}\n[types]\n{types}");
    let record = r#"{"type":"record","namespace":"loja","name":"Thing","fields":[{"name":"event","type":"hookbridge.Event"},
        {"name":"id","type":"long"},{"name":"extra","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null}]}"#;
    fs::write(folder.join("profile.toml"), profile).unwrap();
    fs::write(folder.join("Thing.avsc"), record).unwrap();
    let catalog = Catalog::load(Some(dir.path())).unwrap_or_else(|error| panic!("{error}"));
    Arc::clone(&catalog.profiles["loja"])
}

/// The type that a body with these headers has, or why none.
fn told(profile: &Profile, headers: &[(&'static str, &'static str)], body: &str) -> String {
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().unwrap());
    }
    match identify(&doc, &map, profile) {
        Ok(identified) => identified.event_type.name.clone(),
        Err(unidentified) => unidentified.why.to_string(),
    }
}

#[test]
fn a_header_tells_the_type() {
    let profile = vendor(
        "[[recognise]]\nheader = \"X-Event\"\nvalues = { one = \"a\" }\nignore = [\"ping\"]\npatterns = [{ like = \"b*\", type = \"b\" }]\ndefault = \"c\"",
    );
    let ignored = "the profile ignores events of this type";
    for (headers, expected) in [
        (&[("x-event", "one")][..], "a"),
        (&[("x-event", " one ")], "a"),
        (&[("x-event", "best")], "b"),
        (&[("x-event", "other")], "c"),
        (&[("x-event", "ping")], ignored),
        (&[], "unknown event type: the delivery has none of header X-Event"),
        (&[("x-event", "one"), ("x-event", "one")], "header x-event: unknown event type: it occurs more than once"),
    ] {
        assert_eq!(told(&profile, headers, r#"{"id":1}"#), expected, "{headers:?}");
    }
    // Whatever the header says, a body is an object.
    assert_eq!(told(&profile, &[("x-event", "one")], "[]"), "the body is an array, not an object");
}

#[test]
fn a_path_and_several_parts_tell_the_type() {
    let profile = vendor(
        r#"
[[recognise]]
template = "{meta.action}.{meta.entity}"
values = { "added.deal" = "a" }
ignore = ["*.activity"]
otherwise = "next"
[[recognise]]
path = "meta.kind"
values = { b = "b", true = "c" }
[[recognise]]
given = "ping"
otherwise = "ignore"
"#,
    );
    for (body, expected) in [
        (r#"{"id":1,"meta":{"action":"added","entity":"deal"}}"#, "a"),
        (r#"{"id":1,"meta":{"action":"gone","entity":"deal","kind":"b"}}"#, "b"),
        (r#"{"id":1,"meta":{"kind":true}}"#, "c"),
        (r#"{"id":1,"meta":{"kind":"yes"}}"#, "meta.kind: unknown event type: yes"),
        (r#"{"id":1,"meta":{"action":"added","entity":"activity"}}"#, "the profile ignores events of this type"),
        (
            r#"{"id":1,"meta":{"action":"x","entity":null}}"#,
            "unknown event type: the body has none of {meta.action}.{meta.entity}, meta.kind, ping",
        ),
        (
            r#"{"id":1,"meta":[1]}"#,
            "unknown event type: the body has none of {meta.action}.{meta.entity}, meta.kind, ping",
        ),
        (r#"{"ping":1}"#, "the profile ignores events of this type"),
        // Which one of two counts, nobody can tell.
        (r#"{"id":1,"meta":{"kind":"b","kind":"c"}}"#, "meta.kind: the key occurs twice"),
        (r#"{"id":1,"meta":{"kind":"b"},"meta":{}}"#, "meta: the key occurs twice"),
    ] {
        assert_eq!(told(&profile, &[], body), expected, "{body}");
    }
}

#[test]
fn what_nobody_wants_is_ignored_only_if_its_type_is_told_once() {
    let catalog = Catalog::load(None).unwrap();
    let whazing = &catalog.profiles["whazing"];
    let button = r#"{"event":"test","origin":"webhook-config","timestamp":"2026-11-26T12:00:00.000Z"}"#;
    assert_eq!(told(whazing, &[], button), "the profile ignores events of this type");
    assert_eq!(
        told(whazing, &[], r#"{"event":"test","event":"channel.status.changed"}"#),
        "event: the key occurs twice"
    );
    assert_eq!(told(whazing, &[], r#"{"event":"tested"}"#), "event: unknown event type: tested");
    // What an earlier rule knows is not ignored.
    let ticket = r#"{"Type":"NewTicket","event":"test","ticket":{"id":1}}"#;
    assert_eq!(told(whazing, &[], ticket), "ticket.opened");
}

proptest! {
    /// Whoever sends it, a value alone decides, however it is escaped; and no value makes a type that is not listed.
    #[test]
    fn any_value_is_a_listed_type_an_ignored_one_or_unknown(value in "[a-c*.]{0,4}|\\PC{0,8}") {
        static VENDOR: LazyLock<Arc<Profile>> = LazyLock::new(|| vendor("[[recognise]]\npath = \"k.v\"\nvalues = { a = \"a\" }\nignore = [\"*.c\"]\npatterns = [{ like = \"b*\", type = \"b\" }, { like = \"c*\", type = \"c\" }]"));
        let body = serde_json::json!({"id": 1, "k": {"v": value}}).to_string();
        let expected = match value.as_str() {
            "a" => "a".into(),
            value if value.strip_suffix(".c").is_some() => "the profile ignores events of this type".into(),
            value if value.starts_with('b') => "b".to_owned(),
            value if value.starts_with('c') => "c".into(),
            value => format!("k.v: unknown event type: {}", clip(value)),
        };
        prop_assert_eq!(told(&VENDOR, &[], &body), expected);
    }
}
