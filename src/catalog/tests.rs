//! The catalog against the vendors' own pages (kept in `docs/vendors/`), and what it says of broken files.

mod docs;
mod guarded;
mod linked;
mod pages;
mod proofs;
mod shared_records;
mod types;

use std::fs;
use std::path::Path as FilePath;

use serde_json::Value;

use super::*;

/// A record's fields from its file, by JSON name: (type, whether it may be null).
fn fields(profile: &str, record: &str) -> BTreeMap<String, (Value, bool)> {
    let text = fs::read_to_string(format!("avro/{profile}/{record}.avsc")).unwrap_or_else(|e| panic!("{record}: {e}"));
    let schema: Value = serde_json::from_str(&text).unwrap();
    let fields = schema["fields"].as_array().unwrap().iter();
    fields
        .filter(|f| f["name"] != "event" && f["name"] != "extra" && f["derive"].is_null())
        .map(|f| {
            let json = f["json"].as_str().or(f["name"].as_str()).unwrap().to_owned();
            match f["type"].as_array() {
                Some(union) => (json, (union[1].clone(), true)),
                None => (json, (f["type"].clone(), false)),
            }
        })
        .collect()
}

#[test]
fn every_event_payload_and_field_of_weglys_page_has_its_place() {
    let catalog = Catalog::load(None).unwrap();
    let profile = &catalog.profiles["wegly"];
    let page = pages::wegly();
    assert_eq!(page.events.len(), 33);
    assert_eq!(page.events.keys().collect::<Vec<_>>(), profile.types.keys().collect::<Vec<_>>());
    for (event, payload) in &page.events {
        let event_type = &profile.types[event];
        let record = event_type.schema.name.strip_prefix("wegly.").unwrap();
        match &event_type.payload_slot {
            // The payload stands under one field, as the vendor's own type.
            Some(_) => {
                let fields = fields("wegly", record);
                let (ty, optional) = fields.values().next().unwrap();
                assert_eq!((ty, *optional), (&Value::from(format!("wegly.{payload}")), false), "{event}");
            }
            None => pages::compare(&page, &page.interfaces[payload], &fields("wegly", record), event),
        }
    }
    for (name, interface) in page.interfaces.iter().filter(|(name, _)| !page.is_event_payload(name)) {
        pages::compare(&page, interface, &fields("wegly", name), name);
    }
    for (record, name) in [
        ("PipelineSummary", "StageSummary.pipeline"),
        ("ContractReference", "ContractRenewedPayload.renewed_from_contract"),
        ("SatisfactionLink", "SatisfactionPublicSubmissionCreatedPayload.link"),
    ] {
        pages::compare(&page, &page.inline[name], &fields("wegly", record), name);
    }
}

#[test]
fn every_field_of_whazings_pages_has_its_place() {
    let received = fields("whazing", "MessageReceived");
    for (path, name) in pages::whazing_message() {
        let record = match path.as_deref() {
            None => received.clone(),
            Some("ticket") => fields("whazing", "Ticket"),
            Some("contact") => fields("whazing", "Contact"),
            Some("user") => fields("whazing", "User"),
            Some("whatsapp") => fields("whazing", "Whatsapp"),
            Some(other) => panic!("{other}"),
        };
        assert!(record.contains_key(&name), "{path:?}.{name}");
    }
    for (record, names) in [
        ("MessageReceived", "mediaBase64 dataJson contactmessage"),
        ("MessageSent", "mediaBase64 dataJson contactmessage"),
        ("Ticket", "id status protocol queueId userId apiConfig isGroup closingReasonId"),
        ("TicketOpened", "messageBody ticket contact whatsapp"),
        ("TicketOpenedByUser", "messageBody ticket contact whatsapp"),
        ("TicketTransferred", "messageBody ticket contact whatsapp"),
        ("TicketClosed", "messageBody ticket contact whatsapp"),
        ("TenantTrialStarted", "name email tenantName phone plano referralId dueDate recurrence"),
        ("ChannelStatusChanged", "timestamp channel company"),
        ("Channel", "id name type qrcode pairingCode number status previousStatus tenantId"),
        ("Company", "id name phone email status"),
    ] {
        let fields = fields("whazing", record);
        for name in names.split(' ') {
            assert!(fields.contains_key(name), "{record}.{name}");
        }
    }
    assert_eq!(received, fields("whazing", "MessageSent"));
    let catalog = Catalog::load(None).unwrap();
    assert_eq!(catalog.profiles["whazing"].types.len(), 8);
}

#[test]
fn the_registered_text_keeps_every_attribute_and_stands_alone() {
    let catalog = Catalog::load(None).unwrap();
    let text = &catalog.profiles["whazing"].types["message.received"].schema.text;
    for attribute in [
        r#""connect.name":"io.debezium.data.Json","connect.version":1"#,
        r#""json":"messageId""#,
        r#""logicalType":"timestamp-millis""#,
        r#""hookbridge.values":[{"value":"manual"},{"value":"bot"},{"value":"API"}]"#,
    ] {
        assert!(text.contains(attribute), "{attribute}");
    }
    assert_eq!(text.matches(r#""name":"Contact","#).count(), 1, "a named type is defined once");
    apache_avro::Schema::parse_str(text).unwrap();
}

/// A change to the text of a file.
type Change<'a> = &'a dyn Fn(&str) -> String;

/// A catalog folder with one small vendor, some files of it changed.
fn vendor(changes: &[(&str, Change<'_>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("loja");
    fs::create_dir(&folder).unwrap();
    for (file, text) in VENDOR {
        let change = changes.iter().find(|(name, _)| name == file);
        fs::write(folder.join(file), change.map_or((*text).to_owned(), |(_, change)| change(text))).unwrap();
    }
    dir
}

/// What loading it says once the file `name` is changed.
fn broken(name: &str, change: impl Fn(&str) -> String) -> String {
    let dir = vendor(&[(name, &change)]);
    match Catalog::load(Some(dir.path())) {
        Ok(_) => String::new(),
        Err(error) => error.to_string().replace(&format!("{}/", dir.path().display()), ""),
    }
}

const VENDOR: &[(&str, &str)] = &[
    (
        "profile.toml",
        r#"
[verify]
method = "token"
header = "x-token"
[[recognise]]
field = "kind"
[types]
"order.paid" = { record = "OrderPaid", topic = "order", key = "order.id", time = ["order.at"] }
"#,
    ),
    (
        "OrderPaid.avsc",
        r#"{"type":"record","namespace":"loja","name":"OrderPaid","fields":[
            {"name":"event","type":"hookbridge.Event"},
            {"name":"order","type":"loja.Order"},
            {"name":"extra","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null}]}"#,
    ),
    (
        "Order.avsc",
        r#"{"type":"record","namespace":"loja","name":"Order","fields":[
            {"name":"id","type":"long"},
            {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-millis"}],"default":null},
            {"name":"extra","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null}]}"#,
    ),
];

/// Replaces `from` once.
fn swap(from: &'static str, to: &'static str) -> impl Fn(&str) -> String {
    move |text| text.replacen(from, to, 1)
}

#[test]
fn what_is_wrong_is_named_by_file_and_place() {
    assert_eq!(broken("none", str::to_owned), "");
    for (file, (from, to), expected) in [
        (
            "OrderPaid.avsc",
            ("loja.Order\"", "loja.Pedido\""),
            "loja/OrderPaid.avsc: /fields/1/type: no such type: loja.Pedido",
        ),
        (
            "profile.toml",
            ("order.id", "order.nr"),
            "loja/profile.toml: types.\"order.paid\".key: loja.Order has no field `nr`",
        ),
        (
            "profile.toml",
            ("order.id", "order.at"),
            "loja/profile.toml: types.\"order.paid\".key: order.at: expected a uuid",
        ),
        (
            "profile.toml",
            ("[\"order.at\"]", "[\"order.id\"]"),
            "loja/profile.toml: types.\"order.paid\".time: order.id: expected a timestamp",
        ),
        (
            "profile.toml",
            ("\"OrderPaid\"", "\"OrderLost\""),
            "loja/profile.toml: types.\"order.paid\".record: no such type: loja.OrderLost",
        ),
        (
            "profile.toml",
            ("[types]", "[[recognise]]\nfield = \"kind\"\n[types]"),
            "loja/profile.toml: recognise[1]: can never match: recognise[0] applies first, and decides",
        ),
        (
            "profile.toml",
            ("[verify]", "redact = [\"order.pin\"]\n[verify]"),
            "loja/profile.toml: redact[0]: no event has a field order.pin",
        ),
        (
            "profile.toml",
            ("field = \"kind\"", "field = \"kind\"\nvalues = { a = \"order.lost\" }"),
            "loja/profile.toml: recognise[0].values.\"a\": no such event type: order.lost",
        ),
        (
            "profile.toml",
            ("method = \"token\"", "method = \"magic\""),
            "loja/profile.toml: verify.method: expected \"hmac-sha1\", ",
        ),
        ("profile.toml", ("header =", "heading ="), "loja/profile.toml: verify.heading: unknown key: expected one of"),
    ] {
        let words = broken(file, swap(from, to));
        assert!(words.starts_with(expected), "{words}\nexpected {expected}");
    }
}

#[test]
fn what_is_wrong_with_a_schema_is_named_by_file_and_place() {
    for (file, (from, to), expected) in [
        (
            "Order.avsc",
            ("\"name\":\"Order\"", "\"name\":\"OrderPaid\""),
            "loja/Order.avsc: /name: got \"OrderPaid\", expected \"Order\"",
        ),
        (
            "Order.avsc",
            ("\"name\":\"at\"", "\"name\":\"id\""),
            "loja/Order.avsc: /fields/1: an earlier field has the name \"id\" already",
        ),
        (
            "Order.avsc",
            ("\"name\":\"at\"", "\"name\":\"at\",\"json\":\"id\""),
            "loja/Order.avsc: /fields/1: an earlier field has the JSON name \"id\" already",
        ),
        (
            "Order.avsc",
            ("\"type\":\"long\"}", "\"type\":\"fixed\"}"),
            "loja/Order.avsc: /fields/0/type: the catalog does not support this type: \"fixed\"; expected one of: boolean, int,",
        ),
        (
            "Order.avsc",
            ("\"default\":null},\n            {\"name\":\"extra\"", "\"x\":1},\n            {\"name\":\"extra\""),
            "loja/Order.avsc: /fields/1/default: expected null",
        ),
        ("Order.avsc", ("\"extra\"", "\"rest\""), "loja/Order.avsc: /fields: the last field"),
        (
            "Order.avsc",
            ("{\"name\":\"id\"", "{\"name\":\"event\",\"type\":\"hookbridge.Event\"},{\"name\":\"id\""),
            "loja/Order.avsc: /fields/0/type: only the first field of an event's record",
        ),
        (
            "OrderPaid.avsc",
            (
                "{\"name\":\"order\"",
                "{\"name\":\"e2\",\"type\":{\"type\":\"array\",\"items\":\"hookbridge.Event\"}},{\"name\":\"order\"",
            ),
            "loja/OrderPaid.avsc: /fields/1/type: only the first field of an event's record",
        ),
        (
            "Order.avsc",
            ("{\"name\":\"at\"", "{\"name\":\"in\",\"type\":\"loja.OrderPaid\"},{\"name\":\"at\""),
            "loja/Order.avsc: /fields/1/type: loja.OrderPaid is the record of an event: no field may have this type",
        ),
        (
            "profile.toml",
            ("order.id", "event.id"),
            "loja/profile.toml: types.\"order.paid\".key: `event` is made by hookbridge",
        ),
        ("profile.toml", ("\"order.paid\"", "\"order paid\""), "loja/profile.toml: types.\"order paid\".record: "),
        ("profile.toml", ("\"order\"", "\"\""), "loja/profile.toml: types.\"order.paid\".topic: \"\""),
        ("Order.avsc", ("{\"type\"", "{\"type\" \"x\""), "loja/Order.avsc: expected `:`"),
    ] {
        let words = broken(file, swap(from, to));
        assert!(words.starts_with(expected), "{words}\nexpected {expected}");
    }
}

/// A vendor whose orders hold a receipt.
const RECEIPT: [(&str, &str, &str); 2] = [
    (
        "profile.toml",
        "[verify]",
        "[media]\nfield = \"order.receipt\"\ninto = \"receipt_object\"\ncontent_type = \"order.mime\"\n[verify]",
    ),
    (
        "Order.avsc",
        "{\"name\":\"at\"",
        r#"{"name":"receipt","type":["null","string"],"default":null},
           {"name":"receipt_object","type":["null","loja.Receipt"],"default":null},
           {"name":"mime","type":["null","string"],"default":null},{"name":"at""#,
    ),
];
const OBJECT: &str = r#"{"type":"record","namespace":"loja","name":"Receipt","fields":[
    {"name":"uri","type":"string"},{"name":"bytes","type":"long"},{"name":"sha256","type":"string"},
    {"name":"content_type","type":["null","string"],"default":null}]}"#;

/// What loading that vendor says, once one of its files is changed.
fn with_media(file: &str, from: &str, to: &str) -> String {
    let dir = vendor(&[]);
    let folder = dir.path().join("loja");
    fs::write(folder.join("Receipt.avsc"), OBJECT).unwrap();
    for (name, from, to) in RECEIPT.into_iter().chain([(file, from, to)]) {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        assert!(from.is_empty() || text.contains(from), "{name}: no {from}");
        fs::write(folder.join(name), text.replacen(from, to, 1)).unwrap();
    }
    let loaded = Catalog::load(Some(dir.path()));
    loaded.err().map_or_else(String::new, |e| e.to_string().replace(&format!("{}/", dir.path().display()), ""))
}

#[test]
fn a_field_of_a_third_vendor_may_hold_files() {
    assert_eq!(with_media("Order.avsc", "", ""), "");
    for (file, from, to, expected) in [
        (
            "profile.toml",
            "order.receipt",
            "order.bill",
            "loja/profile.toml: media.field: no event has a field order.bill",
        ),
        (
            "profile.toml",
            "\"order.receipt\"",
            "\"order.id\"",
            "loja/profile.toml: media.field: id of loja.Order: expected [\"null\", \"string\"]",
        ),
        ("profile.toml", "receipt_object", "stub", "loja/profile.toml: media.into: loja.Order has no field `stub`"),
        (
            "profile.toml",
            "receipt_object",
            "mime",
            "loja/profile.toml: media.into: `mime` of loja.Order: expected [\"null\", a record]",
        ),
        (
            "profile.toml",
            "order.mime",
            "order.id",
            "loja/profile.toml: media.content_type: loja.OrderPaid: expected a string",
        ),
        ("profile.toml", "order.mime", "order.x", "loja/profile.toml: media.content_type: loja.Order has no field `x`"),
        ("profile.toml", "into =", "onto =", "loja/profile.toml: media.onto: unknown key: "),
        (
            "profile.toml",
            "[media]",
            "redact = [\"order.receipt\"]\n[media]",
            "loja/profile.toml: media.field: order.receipt is redacted",
        ),
        (
            "profile.toml",
            "[media]",
            "hash = [\"order.receipt\"]\n[media]",
            "loja/profile.toml: media.field: order.receipt is hashed",
        ),
        (
            "profile.toml",
            "[media]",
            "hash = [\"order.mime\"]\n[media]",
            "loja/profile.toml: media.content_type: order.mime is hashed, but `into` would show it",
        ),
        (
            "profile.toml",
            "[media]",
            "hash = [\"order.receipt_object.content_type\"]\n[media]",
            "loja/profile.toml: hash[0]: order.receipt_object.content_type is made by hookbridge, not sent by the source",
        ),
        (
            "Receipt.avsc",
            "\"bytes\"",
            "\"size\"",
            "loja/profile.toml: media.into: loja.Receipt: expected the fields uri, bytes,",
        ),
        (
            "OrderPaid.avsc",
            "{\"name\":\"order\"",
            "{\"name\":\"r\",\"type\":\"loja.Receipt\"},{\"name\":\"order\"",
            "loja/OrderPaid.avsc: /fields/1/type: hookbridge makes loja.Receipt itself",
        ),
    ] {
        let words = with_media(file, from, to);
        assert!(words.starts_with(expected), "{words}\nexpected {expected}");
    }
}

#[test]
fn a_nested_record_may_have_a_field_called_event() {
    let change = |text: &str| {
        text.replace(
            "{\"name\":\"id\"",
            "{\"name\":\"event\",\"type\":[\"null\",\"string\"],\"default\":null},{\"name\":\"id\"",
        )
    };
    assert_eq!(broken("Order.avsc", change), "");
    let dir = vendor(&[("Order.avsc", &change)]);
    let catalog = Catalog::load(Some(dir.path())).unwrap();
    let profile = &catalog.profiles["loja"];
    let order = profile.records.iter().find(|record| record.names.slot("at", 0).is_some()).unwrap();
    assert_eq!(order.fields.len(), 3);
}

#[test]
fn a_file_of_the_users_takes_the_place_of_one_compiled_in() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("wegly")).unwrap();
    let tag = fs::read_to_string("avro/wegly/TagSummary.avsc").unwrap();
    let tag = tag.replace(
        r#"{"name": "color""#,
        r#"{"name": "weight", "type": ["null", "double"], "default": null}, {"name": "color""#,
    );
    fs::write(dir.path().join("wegly/TagSummary.avsc"), tag).unwrap();
    let catalog = Catalog::load(Some(dir.path())).unwrap();
    assert!(catalog.profiles["wegly"].types["lead.won"].schema.text.contains("\"weight\""));
    assert_eq!(catalog.profiles["wegly"].types.len(), 33);

    for name in ["hookbridge", "Big"] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(name)).unwrap();
        assert!(Catalog::load(Some(dir.path())).is_err(), "{name}");
    }
    assert!(Catalog::load(Some(FilePath::new("/nonexistent"))).is_err());
}

#[test]
fn a_type_that_is_missing_two_schemas_deep_is_named_where_it_stands() {
    // Records are looked at by name: `Order` before the one that it refers to.
    let order = swap(r#"{"type":"long","logicalType":"timestamp-millis"}"#, r#""loja.OrderPaid""#);
    let paid = swap("loja.Order\"", "loja.Pedido\"");
    let dir = vendor(&[("Order.avsc", &order), ("OrderPaid.avsc", &paid)]);
    let words = Catalog::load(Some(dir.path())).err().unwrap().to_string();
    let expected =
        format!("{}/loja/OrderPaid.avsc: /fields/1/type: no such type: loja.Pedido (line ", dir.path().display());
    assert!(words.starts_with(&expected), "{words}");
}
