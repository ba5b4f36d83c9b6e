//! What counts as a file, how it is named, and what a store does with it.

mod vendor;

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::time::{Duration, SystemTime};

use ::base64::Engine as _;
use ::base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;
use crate::catalog::Catalog;
use crate::config::{MediaPlace, MediaSettings};
use crate::values::json::MAX_DEPTH;

fn bytes(text: &str) -> Option<Vec<u8>> {
    base64::decode(text).map(|decoded| decoded.bytes)
}

#[test]
fn a_text_is_a_file_however_its_base64_is_written() {
    // Both alphabets' own characters are in it.
    let file: Vec<u8> = (0..10_000_u32).flat_map(|n| (n * n).to_le_bytes()).chain([0xFB, 0xFF]).collect();
    let text = STANDARD.encode(&file);
    let lines = |width| text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned());
    for spelled in [
        text.clone(),
        STANDARD_NO_PAD.encode(&file),
        URL_SAFE.encode(&file),
        URL_SAFE_NO_PAD.encode(&file),
        format!(" \n{text}\r\n"),
        lines(76).collect::<Vec<_>>().join("\r\n"),
        lines(64).collect::<Vec<_>>().join("\n\t "),
        format!("{} {}", &text[..1001], &text[1001..]),
        format!("data:image/png;base64,{text}"),
        format!("DATA:;BASE64,\n{text}"),
    ] {
        assert!(bytes(&spelled).is_some_and(|found| found == file), "{spelled:.40}");
    }
    assert_eq!(bytes("QR").unwrap(), b"A", "bits that mean nothing");
    for length in [4095, 4096, 4097, 8192] {
        let file = vec![7; length / 4 * 3 + length % 4 / 2];
        assert_eq!(bytes(&STANDARD.encode(&file)).unwrap(), file, "{length}");
    }
}

#[test]
fn a_text_that_is_no_base64_is_no_file() {
    let words = "not base64 at all ".repeat(1000);
    let padded_within = format!("{}QQ=={}", "A".repeat(4092), "A".repeat(400));
    let both = format!("+{}-{}", "A".repeat(30), "A".repeat(400));
    for text in [
        "não",
        "QUI.",
        "A",
        "AAAAA",
        "Q===",
        "=",
        "QQ==QQ==",
        &words,
        &padded_within,
        &both,
        "data:image/png,QUJD",
        "data:image/png;base64",
        "data:um tipo;base64,QUJD",
        "data:;name=a.txt;base64,QUJD",
        "data:text/pl\u{e9}in;base64,QUJD",
    ] {
        assert!(bytes(text).is_none(), "{text:.40}");
    }
}

#[test]
fn the_media_type_is_the_data_urls_then_the_senders_then_the_files() {
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 3000]].concat();
    let body = |prefix: &str, said: &str, file: &[u8]| {
        let text = STANDARD.encode(file);
        format!(
            r#"{{"messageId":"m","fromMe":true,"ticket":{{"id":1}},"mediaType":{said},"mediaBase64":"{prefix}{text}"}}"#
        )
    };
    for (prefix, said, file, expected) in [
        ("data:audio/ogg; codecs=opus;base64,", r#""image/jpeg""#, &png, Some("audio/ogg; codecs=opus")),
        ("data:;base64,", r#""image/jpeg""#, &png, Some("image/jpeg")),
        ("", r#"" application/pdf ""#, &png, Some("application/pdf")),
        ("", r#""image""#, &png, Some("image/png")),
        ("", "null", &png, Some("image/png")),
        ("", "{}", &vec![1; 3000], None),
        ("", r#""\ud800/x""#, &vec![1; 3000], None),
        ("", "7", &[&b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"[..], &[0; 3000]].concat(), None),
    ] {
        let (_, file) = taken(&body(prefix, said, file), 1000).unwrap();
        assert_eq!(file.content_type.as_deref(), expected, "{prefix}{said}");
    }
    assert!(!base64::is_media_type(&format!("a/b;{}", "x".repeat(600))));
}

fn taken(body: &str, inline_max: usize) -> Option<(String, File)> {
    let catalog = Catalog::load(None).unwrap();
    let profile = &catalog.profiles["whazing"];
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
    let (node, file) = take(&doc, profile, &profile.types["message.sent"], inline_max)?;
    Some((doc.raw(node).to_owned(), file))
}

#[test]
fn only_a_file_over_the_limit_is_taken_out() {
    let body = |media: &str| format!(r#"{{"messageId":"m","fromMe":true,"ticket":{{"id":1}},"mediaBase64":{media}}}"#);
    let file = STANDARD.encode([0xFF; 999]).replace('/', "\\/");
    let (raw, found) = taken(&body(&format!("\"{file}\"")), 998).expect("one byte over, escaped as PHP does");
    assert_eq!((raw, found.size()), (format!("\"{file}\""), 999));
    assert!(taken(&body(&format!("\"{file}\"")), 999).is_none(), "not over it");
    for other in ["null", "5", "{}", "[]", "\"\"", "true", &format!("\"{} !\"", "QUJD".repeat(999))] {
        assert!(taken(&body(other), 0).is_none(), "{other:.40}");
    }
    assert!(taken(r#"{"mediaBase64x":"QUJD"}"#, 0).is_none());
}

proptest! {
    /// Whatever is decoded is what was encoded, and no text makes it panic.
    #[test]
    fn decoding_gives_back_what_was_encoded(file: Vec<u8>, noise in "[A-Za-z0-9+/_=\\- \n,;:]{0,40}") {
        prop_assert_eq!(bytes(&STANDARD.encode(&file)), Some(file.clone()));
        prop_assert_eq!(bytes(&URL_SAFE_NO_PAD.encode(&file)), Some(file));
        let _ = bytes(&noise);
    }
}

fn folder_store(folder: &FilePath) -> Store {
    let place = MediaPlace::Folder(folder.to_owned());
    Store::new(&MediaSettings { inline_max_bytes: 0, place, max_bytes: 1 << 20, shared: false }).unwrap()
}

async fn keep(store: &Store, file: &File) -> Result<Stored, StoreUnavailable> {
    store.keep(file, tokio::time::Instant::now() + Duration::from_secs(10)).await
}

#[tokio::test]
async fn a_folder_keeps_each_file_once_under_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a folder/é/media");
    let store = folder_store(&folder);
    store.prepare().unwrap();
    let file = File::new(b"abc".to_vec(), None);
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let uri = store.uri(&file);
    assert!(uri.starts_with("file:///") && uri.ends_with(&format!("/a%20folder/%C3%A9/media/ba/{digest}")), "{uri}");
    let path = folder.join("ba").join(digest);

    // What a crash left is not in the way, and does not count.
    std::fs::create_dir(folder.join("ba")).unwrap();
    std::fs::write(folder.join("ba").join(format!("{digest}#1")), b"a").unwrap();
    assert_eq!(keep(&store, &file).await.unwrap(), Stored::Written);
    assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    assert_eq!(keep(&store, &file).await.unwrap(), Stored::There);
    std::fs::write(&path, b"ab").unwrap();
    assert_eq!(keep(&store, &file).await.unwrap(), Stored::Written, "another size is another file");
    let old = SystemTime::now() - Duration::from_secs(25 * 3600);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    assert_eq!(keep(&store, &file).await.unwrap(), Stored::Written, "a rule that deletes by age starts anew");
    assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    assert!(store.probe().await.is_ok());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "the probe leaves nothing");
}

#[tokio::test]
async fn a_store_that_is_not_to_be_had_says_why_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let store = folder_store(&dir.path().join("media"));
    std::fs::write(dir.path().join("media"), b"in the way").unwrap();
    assert!(store.prepare().unwrap_err().to_string().starts_with("media: "));
    let error = keep(&store, &File::new(b"abc".to_vec(), None)).await.unwrap_err().to_string();
    assert!(error.contains("Not a directory"), "{error}");

    let s3 = |options: &[(&str, &str)]| {
        let options: BTreeMap<_, _> = options.iter().map(|(k, v)| ((*k).to_owned(), v.parse().unwrap())).collect();
        let place = MediaPlace::S3 { bucket: "b".into(), prefix: "p".into(), options };
        Store::new(&MediaSettings { inline_max_bytes: 0, place, max_bytes: 0, shared: false })
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let keys = [("access_key_id", "127.0.0.1"), ("secret_access_key", "s3cret"), ("endpoint", &endpoint)];
    let store = s3(&keys).unwrap();
    let file = File::new(b"abc".to_vec(), None);
    assert!(store.uri(&file).starts_with("s3://b/p/ba/ba78"));
    let error = keep(&store, &file).await.unwrap_err().to_string();
    assert!(error.contains("refused") && error.contains("[hidden]") && !error.contains("127.0.0.1"), "{error}");

    for (options, expected) in [
        (&[("secret_key", "s3cret")][..], "media.options.secret_key: unknown option"),
        (&[("bucket", "s3cret")], "media.options.bucket: must not be set: media.url names the bucket"),
        (&[("access_key_id", "s3cret")], "media.options.secret_access_key: missing"),
        (&[("secret_access_key", "s3cret")], "media.options.access_key_id: missing"),
        (&[("skip_signature", "s3cret")], "media.options.skip_signature: expected true or false"),
        (&[("timeout", "s3cret")], "media.options.timeout: expected a duration"),
        (&[("imdsv1_fallback", "s3cret")], "media.options.imdsv1_fallback: expected true or false"),
    ] {
        let error = s3(options).err().unwrap().to_string();
        assert!(error.starts_with(expected) && !error.contains("s3cret"), "{error}");
    }
    let wrong =
        [("regoin", "s3cret"), ("access_key", "s3cret"), ("allow_http", "s3cret"), ("skip_signature", "s3cret")];
    let error = s3(&wrong).err().unwrap();
    let keys: Vec<_> =
        error.faults().iter().map(|fault| fault.place.key.trim_start_matches("media.options.")).collect();
    assert_eq!(keys, ["access_key", "regoin", "allow_http", "skip_signature"], "all of them at once: {error}");
}

#[tokio::test]
async fn a_panic_of_the_client_is_an_outage_of_the_store() {
    // The configuration refuses such an address; `object_store` would panic at it.
    let options = [("access_key_id", "a"), ("secret_access_key", "b"), ("endpoint", "localhost:9000")];
    let options = options.iter().map(|(k, v)| ((*k).to_owned(), v.parse().unwrap())).collect();
    let place = MediaPlace::S3 { bucket: "b".into(), prefix: "p".into(), options };
    let store = Store::new(&MediaSettings { inline_max_bytes: 0, place, max_bytes: 0, shared: false }).unwrap();
    let error = keep(&store, &File::new(b"abc".to_vec(), None)).await.unwrap_err().to_string();
    assert!(error.contains("panic"), "{error}");
    assert!(matches!(store.probe().await, Err(Unfit::Write(error::StoreError::Panicked))));
}
