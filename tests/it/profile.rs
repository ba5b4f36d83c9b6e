//! `profile init` and `profile learn`: from sample bodies to typed records, and what came since is learnt, brought in and replayed.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::bridge::{Setup, words};
use crate::support::reader::{self, Record};
use crate::support::sender::{self, SECRET, hex, mac};

const LETTERS: &str = "hookbridge.dead-letters";

/// A body of a vendor that nobody has seen: its numbers are sometimes whole, its dates have two spellings.
#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
fn reading(kind: &str, more: Value) -> Value {
    let mut body = json!({
        "messageId": "5b0e6f3a-0c52-4d7e-8c55-8a4be0e31f10",
        "kind": kind,
        "sentAt": "2026-06-02T12:00:00-03:00",
        "meter": {"id": "M-7", "installedOn": "2020-01-31", "site": {"name": "Casa Forte", "lat": -8, "lon": -34.9}},
        "values": [{"at": "2026-06-02 11:45:00", "kwh": 12}, {"at": "2026-06-02 12:00:00", "kwh": 12.25}],
        "operator": null,
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn said(setup: &Setup, args: &[&str], code: i32) -> String {
    let output = setup.run(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", words(&output));
    words(&output)
}

/// A setup with a catalog made of two samples, and the source of its profile.
fn made_of_samples(test: &str) -> (Setup, PathBuf) {
    let mut setup = Setup::new(test);
    let samples = setup.dir.path().join("samples");
    fs::create_dir_all(&samples).unwrap();
    fs::write(samples.join("read.json"), reading("meter.read", json!({})).to_string()).unwrap();
    let silent = reading("meter.silent", json!({"since": "2026-06-01 00:00:00", "values": []}));
    fs::write(samples.join("silent.json"), silent.to_string()).unwrap();
    let catalog = setup.dir.path().join("catalog");
    let (from, to) = (samples.to_str().unwrap().to_owned(), catalog.to_str().unwrap().to_owned());
    let verify = ["--verify", "hmac-sha256", "--verify-header", "x-wegly-signature"];
    let args = [&["profile", "init", "meters", "--from", &from, "--to", &to][..], &verify].concat();
    let summary = said(&setup, &args, 0);
    assert!(summary.contains("all 2 samples convert, with nothing in `extra`"), "{summary}");
    assert!(
        summary.contains("meter.read") && summary.contains("topic meters.meter, key meter.id, time sent_at"),
        "{summary}"
    );
    setup.sources += &format!("[catalog]\ndir = {to:?}\n[sources.meters]\nsecrets = [{SECRET:?}]\n");
    setup.prepare(&["meters.meter"]);
    (setup, catalog)
}

fn extra(value: &Value) -> Value {
    value["extra"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().filter_map(|record| record.header("ce_id")).collect()
}

#[test]
fn samples_become_typed_records() {
    let (setup, _) = made_of_samples("init");
    let checked = said(&setup, &["check"], 0);
    assert!(checked.contains("all well"), "{checked}");
    let bridge = setup.start();
    let answer = bridge.deliver("meters", reading("meter.read", json!({})).to_string());
    assert_eq!(answer.sum(), (200, "published".into()));
    let records = reader::read(&bridge.topic("meters.meter"));
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.key.as_str(), record.header("ce_type")), ("M-7", Some("meters.meter.read")));
    let value = record.decode();
    assert_eq!(value["event"]["occurred_at"], 1_780_412_400_000_i64);
    assert_eq!(value["meter"]["site"], json!({"name": "Casa Forte", "lat": -8.0, "lon": -34.9, "extra": null}));
    assert_eq!(value["values"][0], json!({"at": 1_780_400_700_000_i64, "kwh": 12.0, "extra": null}));
    assert_eq!((extra(&value), extra(&value["meter"])), (Value::Null, Value::Null));
}

#[test]
fn a_type_in_a_header_is_taken_from_the_names_of_folders_and_learnt_from_dead_letters() {
    let mut setup = Setup::new("header");
    let samples = setup.dir.path().join("samples");
    let body = |more: Value| reading("any", more).to_string();
    for (file, body) in [
        ("meters/read/1.json", body(json!({}))),
        ("meters/read/2.json", body(json!({"tariff": 3}))),
        ("ping-1.json", body(json!({"values": []}))),
    ] {
        let file = samples.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, body).unwrap();
    }
    let catalog = setup.dir.path().join("catalog");
    let (from, to) = (samples.to_str().unwrap().to_owned(), catalog.to_str().unwrap().to_owned());
    let verify = ["--verify", "hmac-sha256", "--verify-header", "x-wegly-signature"];
    let init = ["profile", "init", "meters", "--from", &from, "--to", &to, "--type-header", "X-Meter-Topic"];
    let summary = said(&setup, &[&init[..], &verify].concat(), 0);
    assert!(summary.contains("all 3 samples convert, with nothing in `extra`"), "{summary}");
    assert!(summary.contains("meters/read/1.json --source meters --catalog"), "{summary}");
    assert!(summary.contains(" -H 'x-meter-topic: meters/read'"), "{summary}");
    let toml = fs::read_to_string(catalog.join("meters/profile.toml")).unwrap();
    assert!(toml.contains("header = \"x-meter-topic\""), "{toml}");

    setup.sources += &format!("[catalog]\ndir = {to:?}\n[sources.meters]\nsecrets = [{SECRET:?}]\n");
    setup.prepare(&["meters.meters"]);

    let file = samples.join("meters/read/1.json");
    let tried = |setup: &Setup, header: &str, code: i32| {
        said(setup, &["try", file.to_str().unwrap(), "--source", "meters", "--unsigned", "-H", header], code)
    };
    let text = tried(&setup, "x-meter-topic: meters/read", 0);
    assert!(text.contains("type      meters.read, by recognise[0]: `header x-meter-topic`"), "{text}");
    assert!(tried(&setup, "x-meter-topic: meters/lost", 1).contains("unknown_type"));

    // What the vendor sends since is learnt by that header.
    let bridge = setup.start();
    let swapped = reading("any", json!({"by": "someone"})).to_string();
    let signature = format!("sha256={}", hex(&mac(SECRET, swapped.as_bytes())));
    let headers =
        [("content-type", "application/json"), ("x-wegly-signature", &signature), ("x-meter-topic", "meters/swapped")];
    let answer = sender::post(bridge.http, "/webhooks/meters", &headers, swapped.as_bytes());
    assert_eq!(answer.sum(), (202, "dead_lettered".into()));
    let learned = bridge.setup.dir.path().join("learned");
    let (letters, to) = (bridge.topic(LETTERS), learned.to_str().unwrap());
    let text = said(&bridge.setup, &["profile", "learn", "--from", &letters, "--to", to], 0);
    assert!(
        text.contains("meters.swapped  ") && text.contains("the sample converts, with nothing in `extra`"),
        "{text}"
    );
    let toml = fs::read_to_string(learned.join("meters/profile.toml")).unwrap();
    assert!(toml.contains("\"meters/swapped\" = \"meters.swapped\""), "{toml}");
}

#[test]
fn a_schema_becomes_typed_records_without_a_sample() {
    let mut setup = Setup::new("schema");
    let folder = setup.dir.path().to_owned();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["kind", "meter"],
        "properties": {
            "kind": {"const": "meter.read"},
            "sentAt": {"type": "string", "format": "date-time", "description": "When the reading was sent."},
            "meter": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "installedOn": {"type": "string", "format": "date"}}},
            "values": {"type": "array", "items": {"$ref": "#/$defs/value"}},
        },
        "$defs": {"value": {"type": "object", "properties": {"at": {"type": "string"}, "kwh": {"type": "number"}}}},
    });
    fs::write(at("meter-read.json"), schema.to_string()).unwrap();
    fs::write(at("body.json"), reading("meter.read", json!({})).to_string()).unwrap();
    let (from, to) = (at("meter-read.json"), at("catalog"));
    let init = ["profile", "init", "meters", "--from", &from, "--to", &to];
    let summary = said(&setup, &init, 0);
    assert!(summary.contains("meters: 1 schema file, 1 event type"), "{summary}");
    assert!(
        summary.contains("meter.read  by schema  new: topic meters.meter, key meter.id, time sent_at"),
        "{summary}"
    );
    assert!(said(&setup, &init, 0).contains("nothing to add"));

    let body = at("body.json");
    setup.sources += &format!("[catalog]\ndir = {to:?}\n[sources.meters]\nsecrets = [{SECRET:?}]\n");
    let text = said(&setup, &["try", &body, "--source", "meters", "--unsigned"], 0);
    for expected in ["answer    200 published", "key       M-7", "\"kwh\": 12.25", "extra     messageId: not a field"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }

    // Where nothing can be a key, that is said, and nothing is written.
    let keyless =
        json!({"$schema": schema["$schema"], "type": "object", "properties": {"kind": {"const": "meter.lost"}}});
    fs::write(at("keyless.json"), keyless.to_string()).unwrap();
    let text = said(&setup, &["profile", "init", "keyless", "--from", &at("keyless.json"), "--to", &to], 1);
    assert!(text.contains("meter.lost: no member is there") && text.contains("see --key"), "{text}");
    assert!(!folder.join("catalog/keyless").exists());
}

#[test]
fn an_openapi_document_in_yaml_is_read_with_what_it_refers_to() {
    const DOCUMENT: &str = "\
# Number-like keys and texts, anchors and texts over several lines, as such documents have them.
openapi: 3.1.0
info: {title: Meters, version: 1.0}
webhooks:
  meter.read:
    post:
      requestBody:
        content:
          application/json:
            schema:
              type: object
              required: [kind, meter]
              properties:
                kind: {const: meter.read}
                meter: &meter
                  $ref: 'shared.yml#/$defs/meter'
                replaces: *meter
                kwh: {type: number, example: 12.50}
                note:
                  type: string
                  description: >
                    What the reader
                    wrote down.
      responses:
        200: {description: on, yes: no}
";
    const PARTS: &str =
        "$defs:\n  meter:\n    type: object\n    required: [id]\n    properties:\n      id: {type: string}\n";
    let setup = Setup::new("yaml");
    let folder = setup.dir.path().join("from the vendor");
    fs::create_dir_all(&folder).unwrap();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    fs::write(at("api.yaml"), DOCUMENT).unwrap();
    fs::write(at("shared.yml"), PARTS).unwrap();
    let catalog = setup.dir.path().join("my catalog");
    let to = catalog.to_str().unwrap();
    let init = ["profile", "init", "meters", "--from", folder.to_str().unwrap(), "--to", to];
    let summary = said(&setup, &init, 0);
    assert!(summary.contains("meter.read  by schema  new: topic meters.meter, key meter.id"), "{summary}");
    assert!(summary.contains(&format!("hookbridge dev --catalog '{to}'")), "{summary}");
    let record = fs::read_to_string(catalog.join("meters/MeterRead.avsc")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let field = |name: &str| record["fields"].as_array().unwrap().iter().find(|field| field["name"] == name).unwrap();
    assert_eq!(field("note")["doc"], "What the reader wrote down.");
    assert_eq!(field("kwh")["type"], json!(["null", "double"]));
    assert!(said(&setup, &init, 0).contains("nothing to add"));

    // With a sample: what is shown to be typed next can be.
    fs::write(at("read.json"), json!({"kind": "meter.read", "meter": {"id": "M-7"}}).to_string()).unwrap();
    let summary = said(&setup, &init, 0);
    let next = summary.lines().find(|line| line.contains("hookbridge try ")).unwrap();
    let expected = format!("  hookbridge try '{}' --source meters --catalog '{to}'", at("read.json"));
    assert_eq!(next, expected);

    for (text, reason) in [
        ("a: [1", "other.yaml: expected YAML that could be JSON: "),
        ("a: &a [*a]", "other.yaml: expected YAML that could be JSON: "),
        ("kind: meter.read", "other.yaml: expected a JSON Schema or an OpenAPI document, because bodies are JSON"),
    ] {
        fs::write(at("other.yaml"), text).unwrap();
        let text = said(&setup, &init, 64);
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn what_came_since_is_learnt_brought_in_and_replayed() {
    let (setup, catalog) = made_of_samples("learn");
    let bridge = setup.start();
    let learned = bridge.setup.dir.path().join("learned");
    let learned_dir = learned.to_str().unwrap();

    // A type that the profile does not know, and a field that it does not.
    let swapped =
        |n: u32| reading("meter.swapped", json!({"old": {"id": "M-7", "last_kwh": n}, "phone": "+5511987654321"}));
    let mut sent = Vec::new();
    for n in 0..3 {
        let answer = bridge.deliver("meters", swapped(n).to_string());
        assert_eq!(answer.sum(), (202, "dead_lettered".into()));
        sent.push(answer.get("id"));
    }
    let drifted = reading("meter.read", json!({"tariff": {"code": "B1", "peak": true}}));
    assert_eq!(bridge.deliver("meters", drifted.to_string()).sum(), (200, "published".into()));
    let (letters, topic) = (bridge.topic(LETTERS), bridge.topic("meters.meter"));

    let text = said(&bridge.setup, &["profile", "learn", "--from", &letters, "--to", learned_dir], 0);
    assert!(text.contains("meter.swapped     3 samples from 20"), "{text}");
    assert!(text.contains("all 3 samples convert, with nothing in `extra`"), "{text}");
    // On top of what is there for review already.
    let text = said(&bridge.setup, &["profile", "learn", "--from", &topic, "--to", learned_dir], 0);
    assert!(text.contains("new field MeterRead.tariff (record Tariff)"), "{text}");
    assert!(text.contains("MeterRead.tariff: 1 times from 20"), "{text}");
    let mut files: Vec<_> = fs::read_dir(learned.join("meters")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!(!text.contains("5511987654321") && !text.contains("Casa Forte"), "{}: {text}", file.display());
    }
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    let review = fs::read_to_string(learned.join("meters/REVIEW.md")).unwrap();
    assert!(review.contains("meter.swapped") && review.contains("MeterRead.tariff"), "{review}");
    assert_eq!(names, ["MeterRead.avsc", "MeterSwapped.avsc", "Old.avsc", "REVIEW.md", "Tariff.avsc", "profile.toml"]);
    assert_eq!((reader::read(&letters).len(), reader::read(&topic).len()), (3, 1), "nothing is written");

    // Reviewed and brought in.
    for file in &files {
        fs::copy(file, catalog.join("meters").join(file.file_name().unwrap())).unwrap();
    }
    let setup = bridge.setup.clone();
    drop(bridge);
    let checked = said(&setup, &["schemas", "check"], 0);
    assert!(checked.contains("compatible"), "{checked}");
    let bridge = setup.start();
    let text = said(&bridge.setup, &["dead-letters", "replay", "--all"], 0);
    assert!(text.contains("published 3; 0 stay; left 0"), "{text}");
    assert_eq!(bridge.deliver("meters", drifted.to_string()).sum(), (200, "published".into()));

    let records = reader::read(&topic);
    let swapped: Vec<_> =
        records.iter().filter(|record| record.header("ce_type") == Some("meters.meter.swapped")).cloned().collect();
    assert_eq!(ids(&swapped), sent, "each of them once, in their order");
    for (n, record) in swapped.iter().enumerate() {
        let value = record.decode();
        assert_eq!((value["old"]["last_kwh"].as_u64(), extra(&value)), (Some(n as u64), Value::Null));
    }
    let values: Vec<_> =
        records.iter().map(Record::decode).filter(|value| value["event"]["type"] == "meter.read").collect();
    let [before, after] = values.as_slice() else { panic!("{values:?}") };
    assert_eq!(extra(before), json!({"tariff": {"code": "B1", "peak": true}}));
    assert_eq!(after["tariff"], json!({"code": "B1", "peak": true, "extra": null}));
    let text = said(&bridge.setup, &["profile", "learn", "--from", &letters, "--to", learned_dir], 0);
    assert!(text.contains("nothing to learn"), "{text}");
}
