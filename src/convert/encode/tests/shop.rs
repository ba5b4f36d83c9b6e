//! The types that the built-in vendors do not use, by a made-up vendor that uses all (`tests/catalogs/shop`).

use serde_json::json;

use super::*;

fn paid(fields: &str) -> String {
    format!(r#"{{"kind":"paid","number":1,"status":"paid",{fields}}}"#)
}

/// One field of an order, as JSON, and the order's `extra`.
fn field(fields: &str, name: &str) -> (serde_json::Value, Option<String>) {
    let decoded = through(&SHOP.profiles["shop"], &paid(fields)).unwrap_or_else(|e| panic!("{fields}: {e}"));
    (judge::plain(judge::field(&decoded.record, name)), judge::extra(&decoded.record))
}

#[test]
fn what_fits_a_type_is_converted() {
    for (fields, name, expected) in [
        (r#""total":12.5"#, "total", json!("1250")),
        (r#""total":"12.50""#, "total", json!("1250")),
        (r#""total":-1e2"#, "total", json!("-10000")),
        (r#""total":99999999.99"#, "total", json!("9999999999")),
        (r#""total":0.29"#, "total", json!("29")),
        (r#""weight":0.1"#, "weight", json!(f64::from(0.1_f32))),
        (r#""label":"-_8""#, "label", json!("+/8=")),
        (r#""paidAt":"2026-06-02T12:00:00.123456Z""#, "paid_at", json!(1_780_401_600_123_456_i64)),
        (r#""openedAt":"1355517523.000005""#, "opened_at", json!(1_355_517_523_000_005_i64)),
        (r#""openedAt":1355517523.000005"#, "opened_at", json!(1_355_517_523_000_005_i64)),
        (r#""printedAt":"2026-03-03 13:05:57 UTC""#, "printed_at", json!(1_772_543_157_000_i64)),
        (r#""printedAt":"03/03/2026 13:05""#, "printed_at", json!(1_772_543_100_000_i64)),
        (r#""due":"02/01/1970""#, "due", json!(1)),
        (r#""from":"13:05:57.123""#, "from_time", json!(47_157_123)),
        (r#""to":"01:05 PM""#, "to_time", json!(47_100_000_000_i64)),
        (r#""before":"in-transit""#, "before", json!("IN_TRANSIT")),
        (r#""before":"UNKNOWN""#, "before", json!("UNKNOWN")),
        (r#""prices":{"BRL":"1.5","USD":2}"#, "prices", json!({"BRL": "15000", "USD": "20000"})),
        (r#""prices":{}"#, "prices", json!({})),
        (r#""labels":{"a":"x","b":null}"#, "labels", json!({"a": "x", "b": null})),
        (r#""counts":[1,null,"3"]"#, "counts", json!([1, null, 3])),
    ] {
        let (read, extra) = field(fields, name);
        assert_eq!((read, extra), (expected, None), "{fields}");
    }
}

#[test]
fn what_does_not_fit_stays_in_extra_as_spelled() {
    for (sent, name) in [
        (r#""total":12.345"#, "total"),
        (r#""total":100000000.00"#, "total"),
        (r#""total":"12,50""#, "total"),
        (r#""weight":0.123456789"#, "weight"),
        (r#""label":"não""#, "label"),
        (r#""paidAt":"ontem""#, "paid_at"),
        (r#""openedAt":"2026-06-02T12:00:00Z""#, "opened_at"),
        (r#""printedAt":"2026-03-03 13:05:57 BRT""#, "printed_at"),
        (r#""due":"1970-01-02""#, "due"),
        (r#""from":"25:00""#, "from_time"),
        (r#""before":["paid"]"#, "before"),
        (r#""prices":{"BRL":"1.5","USD":"2.00001"}"#, "prices"),
        (r#""labels":{"\ud83d":"x"}"#, "labels"),
        (r#""labels":{"a":{}}"#, "labels"),
        (r#""counts":[1,3000000000]"#, "counts"),
        (r#""byDay":{"mon":7}"#, "by_day"),
    ] {
        let (read, extra) = field(sent, name);
        assert_eq!((read, extra), (json!(null), Some(format!("{{{sent}}}"))), "{sent}");
    }
}

#[test]
fn what_is_no_symbol_becomes_the_default_and_stays_in_extra() {
    for (sent, kept) in [(r#""lost""#, r#""lost""#), ("3", "3"), (r#""IN_TRANSIT""#, r#""IN_TRANSIT""#)] {
        let body = format!(r#"{{"kind":"paid","number":1,"status":{sent},"before":{sent}}}"#);
        let decoded = through(&SHOP.profiles["shop"], &body).unwrap();
        let read = |name| judge::plain(judge::field(&decoded.record, name));
        assert_eq!((read("status"), read("before")), (json!("UNKNOWN"), json!("UNKNOWN")));
        let due = format!(r#"{{"status":{kept},"before":{kept}}}"#);
        assert_eq!(judge::extra(&decoded.record), Some(due));
    }
    let missing = through(&SHOP.profiles["shop"], r#"{"kind":"paid","number":1,"status":null}"#);
    assert!(missing.err().unwrap().contains("status"));
}

#[test]
fn a_member_twice_in_a_map_is_a_duplicate_key() {
    let twice = paid(r#""labels":{"a":"x","\u0061":"y"}"#);
    assert_eq!(through(&SHOP.profiles["shop"], &twice).err().unwrap(), "labels.a: duplicate key");
}
