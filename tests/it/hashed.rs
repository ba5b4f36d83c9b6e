//! Personal data that readers may count and join by, but not read: Whazing with one file replaced, its `profile.toml`.

use std::fs;

use serde_json::{Value, json};

use crate::support::bridge::{Setup, words};
use crate::support::reader;
use crate::support::sender::{hex, mac};

const KEY: &str = "the key of those who count";
/// As sent, and as those see it who know all of it.
const NUMBER: &str = "+55 11 8765-4321";
const E164: &str = "5511987654321";
const NAME: &str = "Zulmira Quaresma";

fn setup(test: &str, key: &str) -> Setup {
    let mut setup = Setup::new(test);
    let catalog = setup.dir.path().join("catalog");
    fs::create_dir_all(catalog.join("whazing")).unwrap();
    let profile = include_str!("../../avro/whazing/profile.toml");
    let hash = "hash = [\"contact.phoneNumber\", \"contact.name\"]\n\n[media]";
    assert!(profile.contains("\n[media]"));
    fs::write(catalog.join("whazing/profile.toml"), profile.replacen("[media]", hash, 1)).unwrap();
    let secret = setup.dir.path().join("hash-key");
    fs::write(&secret, format!("{KEY}\n")).unwrap();
    let section = format!("[catalog]\ndir = {:?}\n{key}\n", catalog.display().to_string());
    setup.kafka = "join_topics = [\"whazing.message-by-reference\", \"whazing.message-by-phone\"]\n".into();
    setup.sources.push_str(&section.replace("FILE", &secret.display().to_string()));
    setup
}

fn hash(text: &str) -> Value {
    hex(&mac(KEY, text.as_bytes())).into()
}

#[test]
fn a_number_that_is_hashed_can_be_joined_by_and_stands_nowhere_in_clear() {
    let setup = setup("hashed", "hash_key = \"${file:FILE}\"");
    setup.prepare(&["whazing.message-by-phone"]);
    let bridge = setup.start();
    let message = json!({
        "messageId": "m-1", "fromMe": false, "timestamp": 1_780_401_600,
        "ticket": {"id": 7, "apiConfig": "deal-1"},
        "contact": {"id": 3, "name": NAME, "phoneNumber": NUMBER, "new": {"a": 1}},
        "contactmessage": {"id": "x", "name": {"first": NAME}, "phoneNumber": "5511987654321"},
        "user": {"id": 5, "name": "Ana"},
    });
    assert_eq!(bridge.deliver("whazing", message.to_string()).sum(), (200, "published".into()));
    for (topic, key) in [
        ("whazing.message", "7".into()),
        ("whazing.message-by-reference", "deal-1".into()),
        ("whazing.message-by-phone", hash(E164)),
    ] {
        let record = reader::read(&bridge.topic(topic)).remove(0);
        assert_eq!((record.key.as_str(), record.header("ce_subject")), (key.as_str().unwrap(), key.as_str()));
        let shown = String::from_utf8_lossy(&record.value);
        assert!(![NUMBER, E164, "Zulmira"].iter().any(|clear| shown.contains(clear)), "{shown}");
        let decoded = record.decode();
        let contact = &decoded["contact"];
        assert_eq!((&contact["phone_number"], &contact["phone_e164"]), (&hash(NUMBER), &hash(E164)));
        assert_eq!((&contact["name"], &contact["extra"]), (&hash(NAME), &r#"{"new":{"a":1}}"#.into()));
        let other = &decoded["contact_message"];
        assert_eq!((&other["phone_number"], &other["phone_e164"]), (&hash(E164), &hash(E164)), "joined by number");
        assert_eq!((&other["name"], &other["extra"]), (&Value::Null, &r#"{"id":"x"}"#.into()));
        assert_eq!(decoded["user"]["name"], "Ana", "another field of this name");
        assert!(record.schema().contains("Hashed: HMAC-SHA256"), "the schema says so");
    }

    // A dead letter is blanked by names alone.
    let unknown = format!(r#"{{"Type":"NewThing","contact":{{"phoneNumber":"{NUMBER}","x":[{{"name":"{NAME}"}}]}}}}"#);
    assert_eq!(bridge.deliver("whazing", unknown).get("reason"), "unknown_type");
    let letter = reader::read(&bridge.topic("hookbridge.dead-letters")).remove(0);
    let blanked = r#"{"Type":"NewThing","contact":{"phoneNumber":"","x":[{"name":""}]}}"#;
    assert_eq!(String::from_utf8_lossy(&letter.value), blanked);

    let log = bridge.log().join("\n");
    assert!(![KEY, NUMBER, E164, NAME].iter().any(|clear| log.contains(clear)), "{log}");
}

#[test]
fn a_profile_that_hashes_does_not_start_without_a_key() {
    for (key, place) in [
        ("", "catalog.hash_key: missing: sources.whazing has the profile whazing, which hashes contact.phoneNumber"),
        ("hash_key = \"too short\"", "catalog.hash_key: shorter than 16 bytes"),
    ] {
        let output = setup("hashed-keyless", key).run(&["serve"]);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(place) && !said.contains("too short"), "{said}");
    }
}
