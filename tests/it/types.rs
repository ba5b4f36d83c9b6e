//! Every type that a profile's schemas may have, from `dev` with a profile of our own to a client that is not ours; and `dev` with a
//! configuration file.

use std::fs;

use serde_json::{Value, json};

use crate::dev::Dev;
use crate::foreign_client::read_back;
use crate::support::sender::{self, event_id, hex, mac};
use crate::third_vendor::{PROFILE, write_catalog_to};

const BODY: &str = r#"{"kind":"paid","number":42,"total":"12.5","weight":0.1,"label":"-_8","paidAt":"2026-06-02T12:00:00.123456Z",
"openedAt":"1355517523.000005","printedAt":"2026-03-03 13:05:57 UTC","due":"02/01/1970","from":"13:05:57.123","to":"01:05 PM",
"status":"in-transit","before":"lost","prices":{"BRL":99999999999999999999999999999999.9999,"USD":"-0.01"},"labels":{"a":"x","b":null},
"counts":[1,null],"lines":[{"sku":"s1","price":0.29,"status":"paid","novo":1},{"price":0.295}],"byDay":{"mon":{"sku":"s2"}}}"#;

fn post(dev: &Dev, source: &str, header: &str, secret: &str, body: &str) -> (u16, String) {
    let signature = hex(&mac(secret, body.as_bytes()));
    let headers = [(header, &*signature), ("content-type", "application/json")];
    sender::post(dev.address(), &format!("/webhooks/{source}"), &headers, body.as_bytes()).sum()
}

#[test]
fn a_foreign_client_reads_every_type_of_a_profile_that_dev_runs() {
    let dev = Dev::start_with(&["--catalog", "tests/catalogs"]);
    let answer = post(&dev, "shop", "x-shop-signature", "demo-shop-secret", BODY);
    assert_eq!(answer, (200, "published".into()));

    let shown = dev.tail(&["shop.order"]).remove(0);
    assert_eq!(shown["key"], "42");
    for (field, due) in [
        ("total", json!("12.50")),
        ("weight", json!(0.1)),
        ("label", json!("+/8=")),
        ("paid_at", json!("2026-06-02T12:00:00.123456Z")),
        ("from_time", json!("13:05:57.123")),
        ("status", json!("IN_TRANSIT")),
        ("extra", json!({"before": "lost"})),
    ] {
        assert_eq!(shown["value"][field], due, "{field}");
    }
    assert_eq!(shown["value"]["event"]["occurred_at"], "2026-06-02T12:00:00.123Z");

    let Some(found) = read_back(&dev.kafka, &dev.registry, &["shop.order".into()]) else { return };
    let record = &found[&event_id("shop", BODY.as_bytes())]["record"];
    let due = json!({
        "number": 42, "total": "12.50", "label": "+/8=",
        "paid_at": "2026-06-02T12:00:00.123456+00:00", "opened_at": "2012-12-14T20:38:43.000005+00:00",
        "printed_at": 1_772_543_157_000_i64, "due": 1, "from_time": "13:05:57.123000", "to_time": "13:05:00",
        "status": "IN_TRANSIT", "before": "UNKNOWN",
        "prices": {"BRL": "99999999999999999999999999999999.9999", "USD": "-0.0100"},
        "labels": {"a": "x", "b": null}, "counts": [1, null],
        "lines": [
            {"sku": "s1", "price": "0.29", "status": "PAID", "extra": "{\"novo\":1}"},
            {"sku": null, "price": null, "status": null, "extra": "{\"price\":0.295}"},
        ],
        "by_day": {"mon": {"sku": "s2", "price": null, "status": null, "extra": null}},
        "extra": "{\"before\":\"lost\"}",
    });
    for (field, due) in due.as_object().unwrap() {
        assert_eq!(record[field], *due, "{field}");
    }
    assert!((record["weight"].as_f64().unwrap() - 0.1).abs() < 1e-7);
}

#[test]
fn samples_of_a_profile_with_every_type_are_published_whole() {
    let dev = Dev::start_with(&["--catalog", "tests/catalogs"]);
    let sent = dev.send(&["shop", "--count", "100", "--seed", "3", "--catalog", "tests/catalogs"]);
    let said = String::from_utf8_lossy(&sent.stdout).into_owned();
    assert!(sent.status.success() && said.contains("published                       100"), "{said}");
    let shown = dev.tail(&["shop.order"]);
    assert_eq!(shown.len(), 100);
    for field in ["total", "weight", "label", "paid_at", "opened_at", "printed_at", "due", "to_time", "prices", "lines"]
    {
        assert!(shown.iter().any(|record| !record["value"][field].is_null()), "{field}");
    }
    assert!(shown.iter().all(|record| record["value"]["extra"].is_null()), "{shown:?}");
}

#[test]
fn dev_runs_a_configuration_file_without_the_servers_it_names() {
    let dir = tempfile::tempdir().unwrap();
    write_catalog_to(&dir.path().join("catalog"), PROFILE);
    let data = dir.path().join("data");
    let file = dir.path().join("hookbridge.toml");
    let text = format!(
        "data_dir = {data:?}\n[http]\nlisten = \"192.0.2.1:80\"\nmax_body_bytes = 100\n[kafka]\n\
         bootstrap_servers = \"kafka.invalid:9092\"\npartitions = 3\n[kafka.properties]\n\"sasl.password\" = \"${{HOOKBRIDGE_NOT_SET}}\"\n\
         [registry]\nurl = \"http://registry.invalid\"\nusername = \"u\"\npassword = \"${{HOOKBRIDGE_NOT_SET}}\"\n\
         [catalog]\ndir = {:?}\n[sources.post]\nprofile = \"parcels\"\nsecrets = [\"my-own-secret\"]\n",
        dir.path().join("catalog")
    );
    fs::write(&file, text).unwrap();
    let dev = Dev::start_with(&["--config", file.to_str().unwrap()]);
    let body = r#"{"kind":"HANDED_OVER","data":{"parcel":{"number":"0042"}}}"#;
    assert_eq!(post(&dev, "post", "x-parcels-mac", "my-own-secret", body), (200, "published".into()));
    assert_eq!(post(&dev, "post", "x-parcels-mac", "demo-parcels-secret", body).0, 401);
    let large = format!("{body}{}", " ".repeat(100));
    assert_eq!(post(&dev, "post", "x-parcels-mac", "my-own-secret", &large).0, 413);
    let shown: Value = dev.tail(&["parcels.parcel"]).remove(0);
    assert_eq!(shown["key"], "42");
    assert!(!data.exists());
}
