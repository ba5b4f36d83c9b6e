//! Authentic, but no record can be made of it: the body verbatim, why, and where it came from.

use crate::support::bridge::{Bridge, Setup};
use crate::support::reader::{self, Record};
use crate::support::sender::{self, SECRET, TOKEN, WEGLY_HEADER, WHAZING_HEADER, event_id, hex, mac};

const ID: &str = "00000000-0000-4000-8000-0000000000dd";

/// Delivers `body`, which has to become a dead letter for `reason`; gives it, as it was written.
fn bury(bridge: &Bridge, source: &str, body: &[u8], reason: &str, place: &str) -> Record {
    let answer = bridge.deliver(source, body);
    let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
    assert_eq!(answer.sum(), (202, "dead_lettered".into()), "{shown}: {answer:?}");
    assert_eq!(answer.get("reason"), reason, "{shown}");
    let id = event_id(source, body);
    assert_eq!(answer.get("id"), id);
    let mut found = reader::read(&bridge.topic("hookbridge.dead-letters"));
    let at = found.iter().position(|record| record.key == id).expect("a dead letter, keyed by the event's id");
    let record = found.swap_remove(at);
    for (name, due) in
        [("hookbridge_reason", reason), ("hookbridge_source", source), ("ce_id", &id), ("ce_specversion", "1.0")]
    {
        assert_eq!(record.header(name), Some(due), "{shown}: {name}");
    }
    assert_eq!(record.header("ce_source"), Some(format!("/webhooks/{source}").as_str()));
    let error = record.header("hookbridge_error").unwrap();
    assert!(error.contains(place), "{shown}: {error} names no {place}");
    assert!(record.header("hookbridge_received_at").unwrap().ends_with('Z'));
    record
}

fn wegly(payload: &str) -> String {
    format!(r#"{{"event_key":"lead.updated","payload":{payload}}}"#)
}

#[test]
fn every_bad_body_is_kept_verbatim_with_a_reason_that_names_the_place() {
    let bridge = Setup::new("dead").start();
    let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep = wegly(&format!(r#"{{"id":"{ID}","x":{nested}}}"#));
    let long_key = format!(r#"{{"{}":1}}"#, "k".repeat(1 << 20));
    let twice = format!(r#"{{"event_key":"lead.updated","event_key":"deal.updated","payload":{{"id":"{ID}"}}}}"#);
    let twice_id = wegly(&format!(r#"{{"id":"{ID}","i\u0064":"{ID}"}}"#));
    let twice_unknown = wegly(&format!(r#"{{"id":"{ID}","new":1,"new":2}}"#));
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("wegly", b"".to_vec(), "malformed_json", "byte 0"),
        ("wegly", b"   ".to_vec(), "malformed_json", "byte 3"),
        ("wegly", b"\"\xff\"".to_vec(), "malformed_json", "UTF-8"),
        ("wegly", b"\xef\xbb\xbf{}".to_vec(), "malformed_json", "byte-order mark"),
        ("wegly", b"{} {}".to_vec(), "malformed_json", "byte 3"),
        ("wegly", b"{\"event_key\":".to_vec(), "malformed_json", "byte 13"),
        ("wegly", b"{'a':1}".to_vec(), "malformed_json", "byte 1"),
        ("wegly", nested.clone().into_bytes(), "malformed_json", "deep"),
        ("wegly", deep.into_bytes(), "malformed_json", "deep"),
        ("wegly", b"[]".to_vec(), "unknown_type", "array"),
        ("wegly", b"null".to_vec(), "unknown_type", "null"),
        ("wegly", b"7".to_vec(), "unknown_type", "number"),
        ("wegly", b"{}".to_vec(), "unknown_type", "event_key"),
        ("wegly", br#"{"event_key":1}"#.to_vec(), "unknown_type", "event_key"),
        ("wegly", br#"{"event_key":"lead.eaten","payload":{}}"#.to_vec(), "unknown_type", "lead.eaten"),
        ("wegly", long_key.into_bytes(), "unknown_type", "event_key"),
        ("wegly", twice.into_bytes(), "schema_violation", "event_key"),
        ("wegly", br#"{"event_key":"lead.updated"}"#.to_vec(), "missing_key", "payload"),
        ("wegly", wegly("null").into_bytes(), "missing_key", "payload"),
        ("wegly", wegly("[]").into_bytes(), "schema_violation", "payload"),
        ("wegly", wegly("{}").into_bytes(), "missing_key", "payload.id"),
        ("wegly", wegly(r#"{"id":null}"#).into_bytes(), "missing_key", "payload.id"),
        ("wegly", wegly(r#"{"id":"  "}"#).into_bytes(), "missing_key", "payload.id"),
        ("wegly", wegly(r#"{"id":"42"}"#).into_bytes(), "schema_violation", "payload.id"),
        ("wegly", wegly(r#"{"id":42}"#).into_bytes(), "schema_violation", "payload.id"),
        ("wegly", twice_id.into_bytes(), "schema_violation", "duplicate"),
        ("wegly", twice_unknown.into_bytes(), "schema_violation", "new"),
        ("whazing", b"{}".to_vec(), "unknown_type", "Type"),
        ("whazing", br#"{"Type":"Other"}"#.to_vec(), "unknown_type", "Other"),
        ("whazing", br#"{"messageId":"m","ticket":{"id":1}}"#.to_vec(), "schema_violation", "fromMe"),
        ("whazing", br#"{"messageId":"m","fromMe":true}"#.to_vec(), "missing_key", "ticket"),
        (
            "whazing",
            br#"{"messageId":"m","fromMe":true,"ticket":{"id":1.5}}"#.to_vec(),
            "schema_violation",
            "ticket.id",
        ),
        ("whazing", br#"{"newTenantTest":true,"email":" "}"#.to_vec(), "missing_key", "email"),
        (
            "whazing",
            br#"{"messageId":"\ud800","fromMe":true,"ticket":{"id":1}}"#.to_vec(),
            "schema_violation",
            "messageId",
        ),
    ];
    for (source, body, reason, place) in cases {
        let record = bury(&bridge, source, &body, reason, place);
        assert!(record.value == body, "not verbatim: {:?}", String::from_utf8_lossy(&body[..body.len().min(80)]));
    }
}

#[test]
fn a_dead_letter_says_what_is_known_of_its_event() {
    let bridge = Setup::new("dead-known").start();
    let body = format!(
        r#"{{"event_key":"lead.updated","payload":{{"id":"{ID}","updated_at":"2026-06-02T09:00:00-03:00","id ":1,"id ":2}}}}"#
    );
    let record = bury(&bridge, "wegly", body.as_bytes(), "schema_violation", "payload");
    assert_eq!(record.header("ce_type"), Some("wegly.lead.updated"));
    assert_eq!(record.header("ce_subject"), Some(ID));
    assert_eq!(record.header("ce_time"), Some("2026-06-02T12:00:00.000Z"));
}

#[test]
fn a_record_too_large_for_its_topic_is_a_dead_letter() {
    let mut setup = Setup::new("dead-large");
    setup.kafka = "max_record_bytes = 50_000\n".into();
    let bridge = setup.start();
    let body = wegly(&format!(r#"{{"id":"{ID}","title":"{}"}}"#, "a".repeat(50_000)));
    let record = bury(&bridge, "wegly", body.as_bytes(), "record_too_large", "50000");
    assert_eq!(record.header("ce_type"), Some("wegly.lead.updated"));
    assert!(record.value == body.as_bytes());
}

#[test]
fn the_largest_body_allowed_still_fits_as_a_dead_letter() {
    let mut setup = Setup::new("dead-largest");
    setup.http = "max_body_bytes = \"3 MiB\"\n".into();
    // A fixed log size per partition is all that the mock cluster keeps.
    setup.partitions = 1;
    let bridge = setup.start();
    let body = format!("[\"{}\"]", "a".repeat((3 << 20) - 4));
    let record = bury(&bridge, "wegly", body.as_bytes(), "unknown_type", "array");
    assert!(record.value == body.as_bytes());
}

#[test]
fn what_could_take_over_a_line_is_blanked_at_any_depth() {
    let bridge = Setup::new("dead-redacted").start();
    let body =
        br#"{"event":"channel.status.changed", "channel":{"qrcode":"SECRET-QR","x":[{"pairingCode":"SECRET-PC"}]} }"#;
    let record = bury(&bridge, "whazing", body, "missing_key", "channel.id");
    let blanked = r#"{"event":"channel.status.changed", "channel":{"qrcode":"","x":[{"pairingCode":""}]} }"#;
    assert_eq!(String::from_utf8(record.value).unwrap(), blanked);

    // Not in the sentence about it either, nor when the body is too deep for a record.
    let told = br#"{"event":{"qrcode":"SECRET-QR"},"channel":{"id":1}}"#;
    let record = bury(&bridge, "whazing", told, "unknown_type", "event: ");
    assert!(!format!("{record:?}").contains("SECRET") && !String::from_utf8_lossy(&record.value).contains("SECRET"));
    let deep = format!(r#"{{"channel":{{"qrcode":"SECRET-QR"}},"x":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    let record = bury(&bridge, "whazing", deep.as_bytes(), "malformed_json", "deep");
    assert!(!String::from_utf8_lossy(&record.value).contains("SECRET"));

    // Nor in another spelling, nor behind a byte-order mark.
    let marked = "\u{feff}{\"x\":\"{\\\"qr_code\\\":\\\"SECRET-QR\\\"}\",\"PairingCode\":\"SECRET-PC\"}";
    let record = bury(&bridge, "whazing", marked.as_bytes(), "malformed_json", "byte-order");
    let blanked = "\u{feff}{\"x\":\"{\\\"qr_code\\\":\\\"\\\"}\",\"PairingCode\":\"\"}";
    assert_eq!(String::from_utf8(record.value).unwrap(), blanked);

    // And in a record: null, and not in extra, even where the value does not fit.
    let whole =
        br#"{"event":"channel.status.changed","channel":{"id":1,"qrcode":["SECRET-QR"],"pairingCode":"SECRET-PC"}}"#;
    assert_eq!(bridge.deliver("whazing", whole).status, 200);
    // Where the channel is no channel, the whole of it would go to extra, were it not required.
    let records = reader::read(&bridge.topic("whazing.channel"));
    let value = String::from_utf8_lossy(&records[0].value).into_owned();
    assert!(!value.contains("SECRET"), "{value}");
    assert!(records[0].decode()["channel"]["qrcode"].is_null() && records[0].decode()["channel"]["extra"].is_null());
}

#[test]
fn the_requests_headers_are_kept_but_for_its_credentials() {
    let bridge = Setup::new("dead-headers").start();
    let body = b"{}";
    let signature = hex(&mac(SECRET, body));
    let others = [("content-type", "application/json"), ("X-Wegly-Event", "lead.updated"), ("User-Agent", "Wegly/1")];
    let credentials = [
        ("cookie", "session=abc"),
        ("authorization", "Bearer hidden"),
        ("proxy-authorization", "Basic eA=="),
        ("X-Auth-Token", "hidden-2"),
        ("api-key", "hidden-3"),
        ("x-partner-secret", "hidden-4"),
    ];
    let headers = [&others[..], &credentials, &[(WEGLY_HEADER, &signature)]].concat();
    assert_eq!(sender::post(bridge.http, "/webhooks/wegly", &headers, body).status, 202);
    let headers = [&others[..], &credentials[..1], &[(WHAZING_HEADER, TOKEN)]].concat();
    assert_eq!(sender::post(bridge.http, "/webhooks/whazing", &headers, body).status, 202);
    // A token in the path comes back in what proxies add; a token may also be sent to the wrong source.
    let path = format!("/webhooks/whazing/{TOKEN}");
    let said = format!("token is {TOKEN}!");
    let repeated =
        [("x-forwarded-uri", path.as_str()), ("x-original-uri", "/webhooks/whazing/%74ok"), ("x-note", &said)];
    assert_eq!(sender::post(bridge.http, &path, &[&others[..], &repeated].concat(), b"{ }").status, 202);
    let signature_of_other = hex(&mac(SECRET, b"{  }"));
    let headers = [&others[..], &[(WEGLY_HEADER, &signature_of_other), (WHAZING_HEADER, TOKEN)]].concat();
    assert_eq!(sender::post(bridge.http, "/webhooks/wegly", &headers, b"{  }").status, 202);

    let records = reader::read(&bridge.topic("hookbridge.dead-letters"));
    assert_eq!(records.len(), 4);
    for record in records {
        assert_eq!(record.header("http_x-wegly-event"), Some("lead.updated"));
        assert_eq!(record.header("http_user-agent"), Some("Wegly/1"));
        let all = format!("{:?}", record.headers);
        for hidden in [TOKEN, SECRET, &signature, "session=abc", "hidden", "eA==", "%74ok"] {
            assert!(!all.contains(hidden), "{all}");
        }
    }
}
