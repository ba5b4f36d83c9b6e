//! The promise that a third vendor needs no Rust: a made-up one, added as files only, is verified and published.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::bridge::{Setup, words};
use crate::support::reader;
use crate::support::sender::{self, SECRET, event_id, hex, mac};

pub(crate) const PROFILE: &str = r#"
redact = ["parcel.doorCode"]

[verify]
method = "hmac-sha256"
header = "X-Parcels-Mac"

[envelope]
payload = "data"

[[recognise]]
field = "kind"
values = { HANDED_OVER = "parcel.handed_over" }

[types]
"parcel.handed_over" = { record = "ParcelHandedOver", topic = "parcel", key = "parcel.number", time = ["handed_over_at"] }
"#;

const EXTRA: &str = r#"{"name": "extra", "type": ["null", {"type": "string", "connect.name": "io.debezium.data.Json", "connect.version": 1}], "default": null, "doc": "The rest."}"#;

fn write_catalog(setup: &Setup, profile: &str) {
    write_catalog_to(&setup.dir.path().join("catalog"), profile);
}

/// Writes the vendor's files into the catalog `dir`.
pub(crate) fn write_catalog_to(dir: &Path, profile: &str) {
    let dir = dir.join("parcels");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("profile.toml"), profile).unwrap();
    let record = |name: &str, fields: &str| {
        let text = format!(
            r#"{{"type": "record", "namespace": "parcels", "name": "{name}", "doc": "{name}.", "fields": [{fields}, {EXTRA}]}}"#
        );
        fs::write(dir.join(format!("{name}.avsc")), text).unwrap();
    };
    record(
        "ParcelHandedOver",
        r#"{"name": "event", "type": "hookbridge.Event", "doc": "Head."},
           {"name": "parcel", "type": "parcels.Parcel", "doc": "The parcel."},
           {"name": "handed_over_at", "json": "handedOverAt", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null, "doc": "When."}"#,
    );
    record(
        "Parcel",
        r#"{"name": "number", "type": "long", "doc": "Its number."},
           {"name": "weight", "type": ["null", "double"], "default": null, "doc": "In kilograms."},
           {"name": "door_code", "json": "doorCode", "type": ["null", "string"], "default": null, "doc": "Always null."}"#,
    );
}

fn setup(test: &str) -> Setup {
    let mut setup = Setup::new(test);
    let catalog = setup.dir.path().join("catalog");
    let sources = format!(
        "[catalog]
dir = \"{}\"
[sources.post]
profile = \"parcels\"
secrets = [{SECRET:?}]
",
        catalog.display()
    );
    setup.sources.push_str(&sources);
    setup
}

#[test]
fn a_vendor_added_as_files_only_is_verified_and_published() {
    let setup = setup("vendor");
    write_catalog(&setup, PROFILE);
    setup.prepare(&["parcels.parcel"]);
    let bridge = setup.start();
    let body = br#"{"kind":"HANDED_OVER","shop":7,"data":{"handedOverAt":1780401600,"parcel":{"number":"0042","weight":"1.5","doorCode":"1234","fragile":true}}}"#;
    let post = |header: &str, body: &[u8]| {
        let signature = hex(&mac(SECRET, body));
        sender::post(bridge.http, "/webhooks/post", &[(header, &signature), ("content-type", "application/json")], body)
    };
    assert_eq!(post("x-wegly-signature", body).sum(), (401, "unauthorized".into()));
    assert_eq!(post("X-Parcels-Mac", body).sum(), (200, "published".into()));

    let record = reader::read(&bridge.topic("parcels.parcel")).remove(0);
    let mut decoded = record.decode();
    let received_at = decoded["event"]["received_at"].take();
    assert_eq!(received_at, record.timestamp);
    let due = json!({
        "event": {
            "id": event_id("post", body), "type": "parcel.handed_over", "source": "post", "entity_id": "42",
            "occurred_at": 1_780_401_600_000_i64, "received_at": null,
        },
        "parcel": {"number": 42, "weight": 1.5, "door_code": null, "extra": "{\"fragile\":true}"},
        "handed_over_at": 1_780_401_600_000_i64,
        "extra": "{\"$envelope\":{\"shop\":7}}",
    });
    assert_eq!(decoded, due);
    assert_eq!(record.key, "42");
    assert_eq!(record.header("ce_type"), Some("parcels.parcel.handed_over"));
    assert_eq!(record.header("ce_time"), Some("2026-06-02T12:00:00.000Z"));

    assert_eq!(post("X-Parcels-Mac", br#"{"kind":"LOST","data":{}}"#).get("reason"), "unknown_type");
}

#[test]
fn a_mistake_in_a_vendors_files_stops_the_start_and_names_the_file_and_the_place() {
    for (find, replace, place) in [
        ("key = \"parcel.number\"", "key = \"parcel.nummer\"", "types.\"parcel.handed_over\".key"),
        ("record = \"ParcelHandedOver\"", "record = \"ParcelLost\"", "ParcelLost"),
        ("time = [\"handed_over_at\"]", "time = [\"parcel.weight\"]", "parcel.weight"),
        ("\"parcel.handed_over\" }", "\"parcel.lost\" }", "parcel.lost"),
        ("redact = [\"parcel.doorCode\"]", "redact = [\"parcel.code\"]", "parcel.code"),
        ("method = \"hmac-sha256\"", "method = \"rot13\"", "rot13"),
    ] {
        let setup = setup("vendor-wrong");
        write_catalog(&setup, &PROFILE.replace(find, replace));
        let output = setup.run(&["serve"]);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("parcels/profile.toml") && said.contains(place), "{place}: {said}");
    }
}
