//! A third vendor whose file stands deep in an envelope, in one of two records of the same type.

use std::fs;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;

use crate::catalog::Catalog;
use crate::convert::encode::{Head, encode};
use crate::convert::identify::identify;
use crate::media::take;
use crate::values::json::{Document, MAX_DEPTH};

const PROFILE: &str = r#"
[media]
field = "receipt.scan"
into = "scan_object"
content_type = "kind"
[verify]
method = "token"
header = "x-token"
[envelope]
payload = "data"
[[recognise]]
field = "event"
[types]
"order.paid" = { record = "OrderPaid", topic = "order", key = "id", time = [] }
"order.lost" = { record = "OrderLost", topic = "order", key = "id", time = [] }
"#;

const EXTRA: &str =
    r#"{"name":"extra","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null}"#;

fn catalog() -> Catalog {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("loja");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("profile.toml"), PROFILE).unwrap();
    let optional = |name: &str, ty: &str| format!(r#"{{"name":"{name}","type":["null","{ty}"],"default":null}}"#);
    let head = r#"{"name":"event","type":"hookbridge.Event"},{"name":"id","type":"long"}"#.to_owned();
    let papers = [optional("copy", "loja.Paper"), optional("kind", "string"), optional("receipt", "loja.Paper")];
    for (name, fields) in [
        ("OrderPaid", [&[head.clone()][..], &papers, &[EXTRA.into()]].concat()),
        ("OrderLost", vec![head, EXTRA.into()]),
        // Before the field it is of, and not beside it.
        (
            "Paper",
            vec![
                optional("scan_object", "loja.Scan"),
                optional("no", "long"),
                optional("scan", "string"),
                EXTRA.into(),
            ],
        ),
        (
            "Scan",
            vec![
                r#"{"name":"uri","type":"string"}"#.into(),
                r#"{"name":"bytes","type":"long"}"#.into(),
                r#"{"name":"sha256","type":"string"}"#.into(),
                optional("content_type", "string"),
            ],
        ),
    ] {
        let fields = fields.join(",");
        let text = format!(r#"{{"type":"record","namespace":"loja","name":"{name}","fields":[{fields}]}}"#);
        fs::write(folder.join(format!("{name}.avsc")), text).unwrap();
    }
    Catalog::load(Some(dir.path())).unwrap()
}

/// The record, with files of more than two bytes elsewhere.
fn record(body: &str) -> String {
    let catalog = catalog();
    let profile = &catalog.profiles["loja"];
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
    let identified = identify(&doc, &http::HeaderMap::new(), profile).ok().unwrap();
    let event_type = identified.event_type;
    let (node, file) = take(&doc, profile, event_type, 2).unzip();
    let moved = node.zip(file.as_ref()).map(|(node, file)| file.moved(node, "s3://b/x"));
    let id = "9a67c00d-b2c5-8677-8489-2cf44ff60965";
    let head = Head { id, event_type: "t", source: "s", entity_id: "1", occurred_at: None, received_at: 0 };
    let framed = encode(&doc, profile, event_type, &head, moved.as_ref(), usize::MAX).unwrap().event.framed(1);
    let schema = Schema::parse_str(&event_type.schema.text).unwrap();
    let mut bytes = &framed[5..];
    let read = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "bytes after the record");
    show(&read)
}

/// What is not null, briefly; without the head.
fn show(value: &Value) -> String {
    match value {
        Value::Union(_, inner) => show(inner),
        Value::Record(fields) => {
            let there = fields.iter().filter(|(name, value)| name != "event" && !matches!(value, Value::Union(0, _)));
            let shown: Vec<_> = there.map(|(name, value)| format!("{name}={}", show(value))).collect();
            format!("({})", shown.join(" "))
        }
        Value::Long(n) => n.to_string(),
        Value::String(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn only_the_record_that_held_the_file_says_where_it_is() {
    let paper = r#"{"scan":"QUJD","no":7}"#;
    let body = format!(
        r#"{{"event":"order.paid","data":{{"id":1,"kind":"a/b","copy":{paper},"receipt":{paper},"scan_object":{{}}}}}}"#
    );
    let digest = "b5d4045c3f466fa91fe2cc6abe79232a1a57cdf104f7a26e716e0a1e2789df78";
    let scan = format!("(uri=s3://b/x bytes=3 sha256={digest} content_type=a/b)");
    assert_eq!(
        record(&body),
        format!(
            r#"(id=1 copy=(no=7 scan=QUJD) kind=a/b receipt=(scan_object={scan} no=7) extra={{"scan_object":{{}}}})"#
        )
    );
    let small = body.replace("QUJD", "QUI=");
    assert!(record(&small).contains("receipt=(no=7 scan=QUI=)"));
    // An event without the field, or with something else in its place.
    assert_eq!(
        record(r#"{"event":"order.lost","data":{"id":1,"receipt":{"scan":"QUJD"}}}"#),
        r#"(id=1 extra={"receipt":{"scan":"QUJD"}})"#
    );
    assert_eq!(
        record(r#"{"event":"order.paid","data":{"id":1,"receipt":"QUJD"}}"#),
        r#"(id=1 extra={"receipt":"QUJD"})"#
    );
    // A member of its name is none of ours, there too.
    let twice = r#"{"event":"order.paid","data":{"id":1,"receipt":{"scan":"QUJD","scan_object":1}}}"#;
    assert_eq!(
        record(twice).replace(&digest[4..], ""),
        r#"(id=1 receipt=(scan_object=(uri=s3://b/x bytes=3 sha256=b5d4) extra={"scan_object":1}))"#
    );
}
