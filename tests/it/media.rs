//! Files that are too large for a record: kept before the answer, byte by byte, once, and named by their record.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::reader;
use crate::support::s3::S3;
use crate::support::sender::{event_id, hex};
use crate::support::{eventually, python, skip};

const MIB: usize = 1 << 20;

/// A file with bytes of every kind, another one for each seed.
fn file(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// A message, with its media as spelled in JSON.
fn message(id: &str, media: &str) -> String {
    format!(
        r#"{{"messageId":"{id}","fromMe":false,"mediaType":"document","mediaBase64":{media},"ticket":{{"id":77}},"novo":1}}"#
    )
}

fn in_base64(file: &[u8]) -> String {
    format!("\"{}\"", STANDARD.encode(file))
}

/// Delivers a body, which has to be published; gives its record.
fn publish(bridge: &Bridge, body: &str) -> Value {
    let answer = bridge.deliver("whazing", body);
    assert_eq!(answer.sum(), (200, "published".into()), "{}", answer.body);
    let id = event_id("whazing", body.as_bytes());
    let records = reader::read(&bridge.topic("whazing.message"));
    records.iter().find(|record| record.header("ce_id") == Some(id.as_str())).expect("a record").decode()
}

fn media_dir(setup: &Setup) -> PathBuf {
    setup.data_dir().join("media")
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_large_file_is_kept_once_and_its_record_says_where() {
    let bridge = Setup::new("media").start();
    let metric = |name: &str| bridge.metric(&format!("hookbridge_media_{name}_total{{source=\"whazing\"}}"));
    assert_eq!((metric("objects"), metric("bytes")), (0, 0));

    let sent = file(1, 3 * MIB);
    let digest = hex(&Sha256::digest(&sent));
    let path = media_dir(&bridge.setup).join(&digest[..2]).join(&digest);
    let uri = format!("file://{}", path.display());
    let record = publish(&bridge, &message("m1", &in_base64(&sent)));
    let due = json!({"uri": uri, "bytes": 3 * MIB, "sha256": digest, "content_type": null});
    assert_eq!(record["media_object"], due);
    assert_eq!((&record["media_base64"], &record["message_id"]), (&Value::Null, &json!("m1")));
    assert_eq!(record["extra"], r#"{"novo":1}"#);
    assert!(fs::read(&path).unwrap() == sent, "the file is not the one that was sent");
    assert_eq!((metric("objects"), metric("bytes")), (1, 3 * MIB as u64));

    // The same file in other words: in lines, as a data URL, in the other alphabet, escaped as PHP does.
    let text = STANDARD.encode(&sent);
    let lines: Vec<_> = text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line)).collect();
    for (id, media, content_type) in [
        ("m2", format!("\"{}\"", lines.join("\\r\\n")), Value::Null),
        ("m3", format!("\"data:application/x-novo; a=b;base64,{text}\""), json!("application/x-novo; a=b")),
        ("m4", format!("\"{}\"", URL_SAFE_NO_PAD.encode(&sent)), Value::Null),
        ("m5", format!("\"{}\"", text.replace('/', "\\/")), Value::Null),
    ] {
        let record = publish(&bridge, &message(id, &media));
        let mut due = due.clone();
        due["content_type"] = content_type;
        assert_eq!((&record["media_object"], &record["media_base64"]), (&due, &Value::Null), "{id}");
    }
    assert_eq!(files(&media_dir(&bridge.setup)), [path]);
    assert_eq!((metric("objects"), metric("bytes")), (1, 3 * MIB as u64));

    // Another file is another object, and its first bytes say what it is.
    let png = [b"\x89PNG\r\n\x1a\n", &file(2, MIB)[..]].concat();
    let record = publish(&bridge, &message("m6", &in_base64(&png)));
    assert_eq!(record["media_object"]["content_type"], "image/png");
    assert_eq!(files(&media_dir(&bridge.setup)).len(), 2);
    assert!(fs::read(record["media_object"]["uri"].as_str().unwrap().strip_prefix("file://").unwrap()).unwrap() == png);
}

#[test]
fn what_is_small_or_no_base64_stays_in_the_record_as_sent() {
    let mut setup = Setup::new("media-inline");
    // The mock cluster keeps a fixed size per partition.
    setup.partitions = 1;
    let bridge = setup.start();
    let small = STANDARD.encode(file(3, 512 << 10));
    let data_url = format!("data:image/png;base64,{}", STANDARD.encode(file(4, 1000)));
    let words = "isto não é base64! ".repeat(40_000);
    for (id, text) in [("s1", &small), ("s2", &data_url), ("s3", &words), ("s4", &String::new())] {
        let record = publish(&bridge, &message(id, &json!(text).to_string()));
        assert!(record["media_base64"] == **text, "{id}");
        assert!(record["media_object"].is_null(), "{id}");
    }
    // What is made here is not taken from the sender, but kept as any unknown member is.
    let own = r#"{"messageId":"s5","fromMe":true,"ticket":{"id":1},"media_object":{"uri": "x"},"mediaObject":2}"#;
    let record = publish(&bridge, own);
    assert!(record["media_object"].is_null());
    assert_eq!(record["extra"], r#"{"media_object":{"uri": "x"},"mediaObject":2}"#);
    assert!(files(&media_dir(&bridge.setup)).is_empty());

    // Too large for a record and no file: the body is kept whole.
    let body = message("s6", &json!("a.".repeat(MIB)).to_string());
    let answer = bridge.deliver("whazing", &body);
    assert_eq!((answer.status, answer.get("reason")), (202, "record_too_large".into()));
    let letters = reader::read(&bridge.topic("hookbridge.dead-letters"));
    assert!(letters[0].value == body.as_bytes(), "not verbatim");
}

/// Takes the store away: a file stands where its folder was.
fn take_away(bridge: &Bridge) -> PathBuf {
    let folder = media_dir(&bridge.setup);
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    folder
}

#[test]
fn while_the_store_is_away_events_wait_in_the_spool_and_then_go_in_order() {
    let mut setup = Setup::new("media-away");
    setup.top = "[media]\ninline_max_bytes = 1000\n".into();
    let bridge = setup.start();
    let folder = take_away(&bridge);
    let small = message("a2", &in_base64(&file(5, 1000)));
    let bodies = [message("a1", &in_base64(&file(5, 1001))), small, message("a3", &in_base64(&file(6, 1001)))];
    for body in &bodies {
        // The second would fit, but it comes after the first.
        assert_eq!(bridge.deliver("whazing", body).sum(), (202, "spooled".into()));
    }
    assert_eq!(bridge.deliver("whazing", r#"{"Type":"NewTicket","ticket":{"id":77}}"#).status, 200, "another topic");
    assert_eq!(reader::read(&bridge.topic("whazing.message")).len(), 0);
    let complaints =
        || bridge.log().iter().filter(|line| line.contains("events with large files wait in the spool")).count();
    assert_eq!(complaints(), 1, "an outage is logged once");
    let output = bridge.setup.run(&["check"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("FAIL   media store file://") && said.contains("cannot store files"), "{said}");

    fs::remove_file(&folder).unwrap();
    let records = eventually("the spool is empty", SOON, || {
        let records = reader::read(&bridge.topic("whazing.message"));
        (records.len() == 3).then_some(records)
    });
    for (record, body) in records.iter().zip(&bodies) {
        assert_eq!(record.header("ce_id"), Some(event_id("whazing", body.as_bytes()).as_str()));
    }
    assert_eq!(records[2].decode()["media_object"]["bytes"], 1001);
    assert!(records[1].decode()["media_object"].is_null());
    assert_eq!(files(&folder).len(), 2);
    bridge.says("accepts files again");
    let output = bridge.setup.run(&["check"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("ok     media store file://") && said.contains("written and deleted"), "{said}");
    assert_eq!(files(&folder).len(), 2, "check leaves nothing");
}

#[test]
fn a_folder_that_holds_what_it_may_takes_no_more_until_files_are_deleted() {
    let mut setup = Setup::new("media-bound");
    setup.top = "[media]\ninline_max_bytes = 1000\nmax_bytes = 3700\n".into();
    let folder = media_dir(&setup);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("of-another-run"), file(8, 1200)).unwrap();
    let bridge = setup.start();
    assert_eq!(bridge.metric("hookbridge_media_limit_bytes"), 3700);
    eventually("what is there is counted", SOON, || {
        (bridge.metric("hookbridge_media_used_bytes") == 1200).then_some(())
    });
    let [first, second, third] = [9, 10, 11].map(|seed| message(&format!("b{seed}"), &in_base64(&file(seed, 1200))));
    publish(&bridge, &first);
    publish(&bridge, &second);
    assert_eq!(bridge.metric("hookbridge_media_used_bytes"), 3600);
    assert_eq!(bridge.deliver("whazing", &third).sum(), (202, "spooled".into()));
    bridge.says("3.52 KiB of media.max_bytes (3.61 KiB) are used");
    let output = words(&bridge.setup.run(&["check"]));
    assert!(output.contains("3.52 KiB of media.max_bytes (3.61 KiB) are used"), "{output}");
    // A file that is there already needs no room, but its event comes after the third.
    assert_eq!(reader::read(&bridge.topic("whazing.message")).len(), 2);

    fs::remove_file(folder.join("of-another-run")).unwrap();
    eventually("the third is published", SOON, || {
        (reader::read(&bridge.topic("whazing.message")).len() == 3).then_some(())
    });
    // A reader may see it before the bridge has the acknowledgement; what comes of its ticket waits until then.
    let lane = format!("hookbridge_spool_records{{lane=\"{}\"}}", bridge.topic("whazing.message"));
    eventually("nothing waits any more", SOON, || (bridge.metric(&lane) == 0).then_some(()));
    assert_eq!(bridge.metric("hookbridge_media_used_bytes"), 3600);
    assert_eq!(publish(&bridge, &first)["media_object"]["bytes"], 1200);
}

#[test]
fn when_neither_the_store_nor_the_spool_takes_an_event_its_sender_is_told_to_come_again() {
    let mut setup = Setup::new("media-full");
    setup.top = "[media]\ninline_max_bytes = 1000\n[spool]\nmax_bytes = 0\n".into();
    let bridge = setup.start();
    let folder = take_away(&bridge);
    let large = message("f1", &in_base64(&file(7, 1001)));
    let answer = bridge.deliver("whazing", &large);
    assert_eq!(answer.sum(), (503, "unavailable".into()));
    assert!(answer.header("retry-after").is_some());
    publish(&bridge, &message("f2", &in_base64(&file(7, 1000))));
    fs::remove_file(&folder).unwrap();
    assert_eq!(publish(&bridge, &large)["media_object"]["bytes"], 1001);
}

#[test]
fn files_go_to_s3_if_it_is_configured() {
    let s3 = match S3::start() {
        Ok(s3) => s3,
        Err(missing) => return skip("media in S3", &missing, python::ENABLE),
    };
    let section = |secret: &str| {
        format!(
            "[media]\nurl = \"s3://files/from/here\"\n[media.options]\nendpoint = \"{}\"\nregion = \"us-east-1\"\n\
             access_key_id = \"{}\"\nsecret_access_key = \"{secret}\"\n",
            s3.endpoint, s3.access_key_id
        )
    };
    let mut setup = Setup::new("media-s3");
    setup.top = section(&s3.secret_access_key);
    let bridge = setup.start();
    let sent = file(6, 3 * MIB);
    let digest = hex(&Sha256::digest(&sent));
    for id in ["s3-1", "s3-2"] {
        let record = publish(&bridge, &message(id, &in_base64(&sent)));
        let object = &record["media_object"];
        assert_eq!(object["uri"], format!("s3://files/from/here/{}/{digest}", &digest[..2]));
        assert!(s3.read(object["uri"].as_str().unwrap()) == sent, "not the file that was sent");
    }
    assert_eq!(bridge.metric("hookbridge_media_objects_total{source=\"whazing\"}"), 1);
    assert!(files(&media_dir(&bridge.setup)).is_empty());
    let said = words(&bridge.setup.run(&["check"]));
    assert!(said.contains("ok     media store s3://files/from/here") && said.contains("all well"), "{said}");
    assert!(!bridge.log().iter().any(|line| line.contains(&s3.secret_access_key)), "a secret in the log");

    // A key that is not right is told of, without repeating it.
    let mut setup = Setup::new("media-s3-denied");
    setup.top = section("not-the-secret");
    let said = words(&setup.run(&["check"]));
    assert!(said.contains("DOWN   media store s3://files/from/here: cannot store files"), "{said}");
    assert!(!said.contains("not-the-secret") && !said.contains(&s3.access_key_id), "{said}");
    let bridge = setup.start();
    let answer = bridge.deliver("whazing", message("s3-3", &in_base64(&sent)));
    assert_eq!(answer.sum(), (202, "spooled".into()));
}
