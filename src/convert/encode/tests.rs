//! What the encoder promises: the bytes `apache-avro` would write, and nothing lost.

mod generate;
mod hashed;
mod names;
mod shop;

use proptest::prelude::*;

use super::judge::{self, CATALOG, JudgedRecord, SHOP, SentJson, through};
use super::*;
use crate::tools::random::Random;

/// A random profile and one of its types.
fn any_type(random: &mut Random) -> (&'static Profile, &'static EventType) {
    let profiles: Vec<_> = CATALOG.profiles.values().chain(SHOP.profiles.get("shop")).collect();
    let profile = *random.pick(&profiles);
    let types: Vec<_> = profile.types.values().collect();
    (profile, *random.pick(&types))
}

fn decode(profile: &str, body: &str) -> JudgedRecord {
    through(&CATALOG.profiles[profile], body).unwrap()
}

fn fault(profile: &str, body: &str) -> String {
    through(&CATALOG.profiles[profile], body).err().unwrap()
}

const ID: &str = "11111111-1111-4111-8111-11111111111A";

fn lead(fields: &str) -> String {
    format!(r#"{{"event_key":"lead.updated","payload":{{"id":"{ID}",{fields}}}}}"#)
}

/// One field of a lead, as JSON, and the lead's `extra`.
fn lead_field(fields: &str, name: &str) -> (serde_json::Value, Option<String>) {
    let decoded = decode("wegly", &lead(fields));
    let lead = judge::field(&decoded.record, "lead");
    (judge::plain(judge::field(lead, name)), judge::extra(lead))
}

#[test]
fn values_are_converted_as_the_table_says() {
    use serde_json::json;
    for (fields, name, expected) in [
        (r#""code":"42""#, "code", json!(42)),
        (r#""code":3.0"#, "code", json!(3)),
        (r#""code":1e2"#, "code", json!(100)),
        (r#""title":1.50"#, "title", json!("1.50")),
        (r#""title":"\u00e9\ud83d\ude00\n""#, "title", json!("é😀\n")),
        (r#""value":"150.25""#, "value", json!(150.25)),
        (r#""value":1e400,"x":1"#, "value", json!(null)),
        (r#""value":"1.10""#, "value", json!(1.1)),
        (r#""has_whatsapp_chat":"true""#, "has_whatsapp_chat", json!(true)),
        (r#""has_whatsapp_chat":0"#, "has_whatsapp_chat", json!(false)),
        (r#""created_at":"2026-06-02T09:00:00-03:00""#, "created_at", json!(1_780_401_600_000_i64)),
        (r#""created_at":"2026-06-02""#, "created_at", json!(1_780_358_400_000_i64)),
        (r#""created_at":1780401600"#, "created_at", json!(1_780_401_600_000_i64)),
        (r#""created_at":"1780401600123""#, "created_at", json!(1_780_401_600_123_i64)),
        (r#""created_at":1780401600.9999"#, "created_at", json!(1_780_401_600_999_i64)),
        (r#""created_at":99999999999.9996"#, "created_at", json!(99_999_999_999_999_i64)),
        (r#""created_at":100000000000"#, "created_at", json!(100_000_000_000_i64)),
        (r#""created_at":-1.5"#, "created_at", json!(-1500)),
        (r#""created_at":-0.0004"#, "created_at", json!(0)),
        (r#""stage":"novo""#, "stage", json!(r#""novo""#)),
        (r#""stage":{"a" : [1, 2.50]}"#, "stage", json!(r#"{"a" : [1, 2.50]}"#)),
        (r#""participants":[null,"x",{}]"#, "participants", json!(["null", "\"x\"", "{}"])),
        (r#""id2":1"#, "id", json!("11111111-1111-4111-8111-11111111111a")),
        (r#""title":null"#, "title", json!(null)),
    ] {
        assert_eq!(lead_field(fields, name).0, expected, "{fields}");
    }
}

#[test]
fn what_does_not_fit_is_null_and_whole_in_extra() {
    for (fields, name, extra) in [
        (r#""code":1.5"#, "code", r#"{"code":1.5}"#),
        (r#""code":"12a""#, "code", r#"{"code":"12a"}"#),
        (r#""title":{"a": 1}"#, "title", r#"{"title":{"a": 1}}"#),
        (r#""created_at":"hoje""#, "created_at", r#"{"created_at":"hoje"}"#),
        (r#""has_whatsapp_chat":"sim""#, "has_whatsapp_chat", r#"{"has_whatsapp_chat":"sim"}"#),
        (r#""has_whatsapp_chat":2"#, "has_whatsapp_chat", r#"{"has_whatsapp_chat":2}"#),
        (r#""value":9007199254740993"#, "value", r#"{"value":9007199254740993}"#),
        (r#""value":"12345678901234567.89""#, "value", r#"{"value":"12345678901234567.89"}"#),
        (r#""created_at":20260602120500"#, "created_at", r#"{"created_at":20260602120500}"#),
        (r#""created_at":"0""#, "created_at", r#"{"created_at":"0"}"#),
        (r#""tags":[{"name":"sem id"}, 1]"#, "tags", r#"{"tags":[{"name":"sem id"}, 1]}"#),
        (r#""responsible":{"id":"x"}"#, "responsible", r#"{"responsible":{"id":"x"}}"#),
        (r#""tags":{}"#, "tags", r#"{"tags":{}}"#),
        (r#""value":1e-400"#, "value", r#"{"value":1e-400}"#),
        (r#""created_at":100000000000000"#, "created_at", r#"{"created_at":100000000000000}"#),
    ] {
        let (value, found) = lead_field(fields, name);
        assert_eq!((value, found.as_deref()), (serde_json::Value::Null, Some(extra)), "{fields}");
    }
}

#[test]
fn half_an_emoji_is_mended_and_its_original_kept() {
    let (title, extra) = lead_field(r#""title":"oi \ud83d""#, "title");
    assert_eq!(title, "oi \u{FFFD}");
    assert_eq!(extra.as_deref(), Some(r#"{"title":"oi \ud83d"}"#));
    let body = r#"{"messageId":"a\ud83d","fromMe":true,"ticket":{"id":1}}"#;
    assert!(fault("whazing", body).starts_with("messageId: "));
}

#[test]
fn unknown_members_stay_at_their_level_verbatim() {
    let tag = r#""tags":[{"id":"22222222-2222-4222-8222-222222222222","peso": 1.0}],"n\u006fvo":[ 1 ],"\ud83d":2"#;
    let decoded = decode("wegly", &lead(tag).replace("\"event_key\"", "\"attempt\": 2, \"event_key\""));
    assert_eq!(judge::extra(&decoded.record).as_deref(), Some(r#"{"$envelope":{"attempt":2}}"#));
    let lead = judge::field(&decoded.record, "lead");
    assert_eq!(judge::extra(lead).as_deref(), Some(r#"{"n\u006fvo":[ 1 ],"\ud83d":2}"#));
    let tags = judge::plain(judge::field(lead, "tags"));
    assert_eq!(tags[0]["extra"], r#"{"peso":1.0}"#);
}

#[test]
fn recognising_fields_live_on_as_the_type_only() {
    let body = r#"{"Type":"NewTicket","newTenantTest":false,"ticket":{"id":"12"}}"#;
    let decoded = decode("whazing", body);
    assert_eq!(judge::extra(&decoded.record).as_deref(), Some(r#"{"newTenantTest":false}"#));
    assert_eq!(judge::plain(judge::field(judge::field(&decoded.record, "ticket"), "id")), 12);
}

#[test]
fn duplicate_keys_are_a_fault_wherever_a_record_is_read() {
    let cases = [
        (lead(r#""code":1,"code":1"#), "payload.code: duplicate key"),
        (lead(r#""code":1,"c\u006fde":1"#), "payload.code: duplicate key"),
        (lead(r#""x":1,"\u0078":1"#), "payload.x: duplicate key"),
        (lead(r#""responsible":{"id":1,"id":2}"#), "payload.responsible.id: duplicate key"),
        (lead("\"code\":1").replacen('{', r#"{"event_key":"lead.updated","#, 1), "event_key: duplicate key"),
        (lead(r#""$envelope":1"#).replacen('{', r#"{"n":1,"#, 1), ""),
    ];
    for (body, expected) in &cases[..5] {
        assert_eq!(fault("wegly", body), *expected, "{body}");
    }
    // In open JSON it is the reader's affair; two levels of `extra` do not meet.
    decode("wegly", &lead(r#""stage":{"a":1,"a":2}"#));
    decode("wegly", &cases[5].0);
    let many: String = (0..40).map(|n| format!("\"k{n}\":1,")).collect();
    assert_eq!(fault("wegly", &lead(&format!(r#"{many}"k3":1"#))), "payload.k3: duplicate key");
}

#[test]
fn an_envelope_that_meets_a_member_of_its_name_is_a_fault() {
    let body = format!(r#"{{"n":1,"event_key":"lead.won","payload":{{"lead":{{"id":"{ID}"}},"$envelope":1}}}}"#);
    assert_eq!(fault("wegly", &body), "payload.$envelope: duplicate key");
}

#[test]
fn a_required_value_that_is_missing_is_named() {
    assert_eq!(
        fault("whazing", r#"{"messageId":[],"fromMe":true,"ticket":{"id":1}}"#),
        "messageId: got an array, expected a string"
    );
}

#[test]
fn a_message_is_recognised_by_whatever_means_true_or_false() {
    let event_type = |from_me: &str| {
        let body = format!(r#"{{"messageId":"a","fromMe":{from_me},"ticket":{{"id":1}}}}"#);
        let record = judge::plain(&decode("whazing", &body).record);
        (record["event"]["type"].clone(), record["from_me"].clone())
    };
    for from_me in ["true", r#""true""#, r#""TRUE""#, "1", r#""1""#] {
        assert_eq!(event_type(from_me), ("message.sent".into(), true.into()), "{from_me}");
    }
    for from_me in ["false", r#""False""#, "0", r#""0""#] {
        assert_eq!(event_type(from_me), ("message.received".into(), false.into()), "{from_me}");
    }
    assert_eq!(
        fault("whazing", r#"{"messageId":"a","fromMe":"no","ticket":{"id":1}}"#),
        "fromMe: expected false or true, got \"no\""
    );
    let trial = decode("whazing", r#"{"newTenantTest":1,"email":"a@b.c"}"#);
    assert_eq!(judge::plain(&trial.record)["event"]["type"], "tenant.trial_started");
}

#[test]
fn secrets_of_a_channel_are_nowhere_in_the_record() {
    let body = r#"{"event":"channel.status.changed","channel":{"id":1,"qrcode":"SECRET","pairing\u0043ode":{"x":"SECRET"},"name":"n"},
        "company":{"id":{},"channel":{"qrcode":"SECRET"}}}"#;
    let decoded = decode("whazing", body);
    let channel = judge::field(&decoded.record, "channel");
    assert_eq!(judge::plain(judge::field(channel, "qrcode")), serde_json::Value::Null);
    assert_eq!(judge::extra(channel), None);
    let outside = judge::plain(judge::field(&decoded.record, "company"));
    assert!(!format!("{:?}", judge::field(channel, "name")).contains("SECRET"), "{outside}");
    // An event that has no channel may be sent one.
    let body = r#"{"Type":"NewTicket","ticket":{"id":1},"channel":{"qrcode":"SECRET","name":"n"}}"#;
    let extra = judge::extra(&decode("whazing", body).record);
    assert_eq!(extra.as_deref(), Some(r#"{"channel":{"qrcode":"","name":"n"}}"#));
}

#[test]
fn what_is_redacted_by_name_is_nowhere_wherever_it_stood() {
    let message = |members: &str| format!(r#"{{"messageId":"m","fromMe":true,"ticket":{{"id":1}},{members}}}"#);
    for (members, field, expected) in [
        // Members that no schema knows, in any spelling.
        (r#""x":{"qr_code": "SECRET","a": 1.0}"#, "extra", r#"{"x":{"qr_code": "","a": 1.0}}"#),
        (r#""QRCode":["SECRET"],"y":[{"Pairing-Code":1},2]"#, "extra", r#"{"QRCode":"","y":[{"Pairing-Code":""},2]}"#),
        (r#""qr\u0063ode":"SECRET""#, "extra", r#"{"qr\u0063ode":""}"#),
        // JSON in a string in a member that no schema knows.
        (r#""x":"{\"pairingCode\":\"SECRET\"}""#, "extra", r#"{"x":"{\"pairingCode\":\"\"}"}"#),
        // What does not fit its field.
        (r#""contact":[{"qrcode":"SECRET"}]"#, "extra", r#"{"contact":[{"qrcode":""}]}"#),
        // JSON of open shape, as JSON and as a text.
        (r#""dataJson":{"a":[{"qrcode":"SECRET"}],"b" : 2}"#, "data_json", r#"{"a":[{"qrcode":""}],"b" : 2}"#),
        (r#""dataJson":"{\"qrCode\":\"SECRET\"}""#, "data_json", r#""{\"qrCode\":\"\"}""#),
        // JSON in a text.
        (
            r#""messageBody":"\ufeff{\"qrcode\":\"SECRET\",\"b\":1}""#,
            "message_body",
            "\u{feff}{\"qrcode\":\"\",\"b\":1}",
        ),
        (r#""messageBody":"{\"a\":\"its qrcode\\u0021\"}""#, "message_body", r#"{"a":"its qrcode\u0021"}"#),
    ] {
        let record = judge::plain(&decode("whazing", &message(members)).record);
        assert!(!record.to_string().contains("SECRET"), "{members}: {record}");
        let found = record[field].as_str().unwrap_or_else(|| panic!("{members}: {record}"));
        assert_eq!(found, expected, "{members}");
    }
    // Another profile has no such names.
    assert_eq!(lead_field(r#""x":{"qrcode":1}"#, "code").1.as_deref(), Some(r#"{"x":{"qrcode":1}}"#));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Whatever is sent, what is read plus `extra` gives back every value.
    #[test]
    fn nothing_is_lost(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let (profile, event_type) = any_type(&mut random);
        let sent = generate::body(&mut random, profile, event_type, generate::Odd::Often);
        let body = sent.text();
        match through(profile, &body) {
            Ok(decoded) => judge::nothing_lost(decoded.schema, &decoded.record, profile, &sent).map_err(|lost| {
                TestCaseError::fail(format!("{lost}\nbody: {body}"))
            })?,
            // A required value that does not fit is a fault, and the body then is kept whole.
            Err(words) => prop_assert!(words.contains(": "), "no place in {words:?}"),
        }
    }

    /// What fits is never in `extra`, and a retry of the same body is the same bytes.
    #[test]
    fn what_fits_is_in_its_field(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let (profile, event_type) = any_type(&mut random);
        let sent = generate::body(&mut random, profile, event_type, generate::Odd::Never);
        let body = sent.text();
        // Any text fits an e-mail address, a blank one too; but a blank one is no key.
        prop_assume!(!matches!(through(profile, &body), Err(words) if words.contains("blank")));
        let decoded = through(profile, &body).map_err(|words| TestCaseError::fail(format!("{words}\nbody: {body}")))?;
        judge::nothing_lost(decoded.schema, &decoded.record, profile, &sent).map_err(TestCaseError::fail)?;
        prop_assert!(!judge::has_extra(&decoded.record), "extra in {body}");
    }

    /// A body of any bytes ends in a record or a reason.
    #[test]
    fn no_body_makes_it_panic(seed in any::<u64>(), cut in 0.0..1.0f64, flip in any::<(u16, u8)>()) {
        let mut random = Random::new(seed);
        let (profile, event_type) = any_type(&mut random);
        let mut bytes = generate::body(&mut random, profile, event_type, generate::Odd::Often).text().into_bytes();
        let at = usize::from(flip.0) % bytes.len();
        bytes[at] ^= flip.1;
        bytes.truncate((bytes.len() as f64 * (0.5 + cut)) as usize);
        if let Ok(body) = std::str::from_utf8(&bytes) {
            let _ = through(profile, body);
        }
    }
}

#[test]
fn a_generated_body_has_every_spelling_that_matters() {
    let profile = &CATALOG.profiles["wegly"];
    let bodies: String = (0..200)
        .map(|seed| generate::body(&mut Random::new(seed), profile, &profile.types["lead.won"], generate::Odd::Often))
        .map(|sent: SentJson| sent.text())
        .collect();
    for spelling in ["\\ud83d", "\\u00", "null", "1e", ".", "[[", "\n"] {
        assert!(bodies.contains(spelling), "{spelling}");
    }
}
