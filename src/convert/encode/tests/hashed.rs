//! What is hashed stands nowhere in clear, and its hash where the text would stand.

use std::fs;
use std::sync::LazyLock;

use apache_avro::reader::datum::GenericDatumReader;

use super::*;
use crate::catalog::Catalog;
use crate::values::hash::Hasher;
use crate::values::json::MAX_DEPTH;

const KEY: &[u8] = b"a key of the operator's";

/// A clinic, whose patients have a number that identifies them. In a note the patient is JSON of open shape, and of what was
/// moved none is expected.
const CLINIC: [(&str, &str); 5] = [
    (
        "profile.toml",
        r#"hash = ["patient.cpf", "patients.cpf", "patient.phone"]
[verify]
method = "token"
header = "x-token"
[[recognise]]
field = "kind"
[types]
"visit.booked" = { record = "VisitBooked", topic = "visit", key = "id", time = [] }
"visit.noted" = { record = "VisitNoted", topic = "visit", key = "id", time = [] }
"visit.moved" = { record = "VisitMoved", topic = "visit", key = "id", time = [] }"#,
    ),
    (
        "VisitBooked",
        r#"{"name":"patient","type":["null","clinic.Patient"],"default":null},
        {"name":"patients","type":["null",{"type":"array","items":"clinic.Patient"}],"default":null},"#,
    ),
    (
        "VisitNoted",
        r#"{"name":"patient","type":["null",JSON],"default":null},
        {"name":"patients","type":["null",{"type":"array","items":JSON}],"default":null},
        {"name":"note","type":["null",JSON],"default":null},"#,
    ),
    ("VisitMoved", r#"{"name":"patients","type":["null","string"],"default":null},"#),
    (
        "Patient",
        r#"{"name":"cpf","type":["null","string"],"default":null},
        {"name":"phone","type":["null","string"],"default":null},
        {"name":"phone_e164","derive":{"from":"phone","phone":"BR"},"type":["null","string"],"default":null},
        {"name":"age","type":["null","long"],"default":null},
        {"name":"friends","type":["null",{"type":"array","items":"clinic.Patient"}],"default":null},"#,
    ),
];

static CLINIC_CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    const JSON: &str = r#"{"type":"string","connect.name":"io.debezium.data.Json"}"#;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("clinic");
    fs::create_dir(&folder).unwrap();
    for (name, text) in CLINIC {
        let head = r#"{"name":"event","type":"hookbridge.Event"},{"name":"id","type":"long"},"#;
        let head = if name.starts_with("Visit") { head } else { "" };
        let record = format!(
            r#"{{"type":"record","namespace":"clinic","name":"{name}","fields":[{head}{text}
                {{"name":"extra","type":["null",JSON],"default":null}}]}}"#
        );
        match name {
            "profile.toml" => fs::write(folder.join(name), text).unwrap(),
            _ => fs::write(folder.join(format!("{name}.avsc")), record.replace("JSON", JSON)).unwrap(),
        }
    }
    let mut catalog = Catalog::load(Some(dir.path())).unwrap();
    catalog.hash_with(&Hasher::new(KEY));
    catalog
});

fn of(kind: &str, members: &str) -> serde_json::Value {
    let body = format!(r#"{{"kind":"visit.{kind}","id":1,{members}}}"#);
    let record = through(&CLINIC_CATALOG.profiles["clinic"], &body).unwrap().record;
    let plain = judge::plain(&record);
    assert!(!plain.to_string().contains("SECRET"), "{plain}");
    plain
}

fn hash(text: &str) -> serde_json::Value {
    Hasher::new(KEY).hash(text).unwrap().into()
}

#[test]
fn a_text_is_hashed_as_its_field_would_have_shown_it() {
    let none = serde_json::Value::Null;
    for (sent, expected) in [
        (r#""SECRET""#, hash("SECRET")),
        (r#""S\u00c9CRET \"x\"""#, hash("SÉCRET \"x\"")),
        ("12345678901", hash("12345678901")),
        ("1.50", hash("1.50")),
        // What is mended keeps no original.
        (r#""SECRET\ud83d""#, hash("SECRET\u{FFFD}")),
        ("null", none.clone()),
        (r#""""#, none.clone()),
        (r#"" \n""#, none.clone()),
        // What does not fit.
        (r#"{"number":"SECRET"}"#, none.clone()),
        (r#"["SECRET"]"#, none.clone()),
        ("true", none.clone()),
    ] {
        let record = of("booked", &format!(r#""patient":{{"cpf":{sent}}}"#));
        assert_eq!((&record["patient"]["cpf"], &record["patient"]["extra"]), (&expected, &none), "{sent}");
        assert_eq!(record["extra"], none);
    }
}

#[test]
fn items_of_lists_are_hashed_at_any_depth_and_alike_everywhere() {
    let friends = r#"[{"cpf":"SECRET","friends":[{"cpf":"SECRET"}]},{"cpf":"SECRET-2","age":7}]"#;
    let record = of("booked", &format!(r#""patient":{{"cpf":"SECRET"}},"patients":{friends}"#));
    let patients = &record["patients"];
    for same in [&record["patient"], &patients[0], &patients[0]["friends"][0]] {
        assert_eq!(same["cpf"], hash("SECRET"));
    }
    assert_eq!((&patients[1]["cpf"], &patients[1]["age"]), (&hash("SECRET-2"), &7.into()));
}

#[test]
fn what_is_derived_of_a_hashed_text_is_hashed_too() {
    let patient = &of("booked", r#""patient":{"phone":"(11) 98765-4321"}"#)["patient"];
    assert_eq!(patient["phone"], hash("(11) 98765-4321"));
    assert_eq!(patient["phone_e164"], hash("5511987654321"));
    assert_eq!(of("booked", r#""patient":{"phone":"ask"}"#)["patient"]["phone_e164"], serde_json::Value::Null);
}

#[test]
fn what_rises_to_an_extra_leaves_the_hashed_text_behind() {
    for (members, extra) in [
        (r#""patients":[{"cpf":"SECRET","age":1},5]"#, r#"{"patients":[{"cpf":"","age":1},5]}"#),
        (r#""patients":{"x":[{"c\u0070f":"SECRET"}]}"#, r#"{"patients":{"x":[{"c\u0070f":""}]}}"#),
        (r#""patient":[{"cpf":{"a":"SECRET"}}],"y":{"cpf":1}"#, r#"{"y":{"cpf":1},"patient":[{"cpf":""}]}"#),
    ] {
        assert_eq!(of("booked", members)["extra"], extra, "{members}");
    }
    // A scalar that is none may hold one.
    let age = &of("booked", r#""patient":{"age":{"cpf":"SECRET"}}"#)["patient"];
    assert_eq!(age["extra"], r#"{"age":{"cpf":""}}"#);
}

#[test]
fn where_a_path_leads_into_open_json_or_to_an_unknown_member_its_text_is_blanked() {
    let noted =
        of("noted", r#""patient":{"cpf":"SECRET","a": 1.0},"patients":[{"cpf":"SECRET"},2],"note":{"cpf":"0"}"#);
    assert_eq!(noted["patient"], r#"{"cpf":"","a": 1.0}"#);
    assert_eq!(noted["patients"], serde_json::json!([r#"{"cpf":""}"#, "2"]));
    assert_eq!(noted["note"], r#"{"cpf":"0"}"#, "no path leads here");

    let moved =
        of("moved", r#""p\u0061tient":{"x":[{"cpf":"SECRET"}],"b": 2},"patients":[{"cpf":["SECRET"]}],"cpf":1"#);
    let extra = r#"{"p\u0061tient":{"x":[{"cpf":""}],"b": 2},"cpf":1,"patients":[{"cpf":""}]}"#;
    assert_eq!(moved["extra"], extra);
}

#[test]
fn without_a_key_nothing_is_told_at_all() {
    let mut catalog = Catalog::load(None).unwrap();
    catalog.hash_with(&Hasher::default());
    assert!(catalog.profiles.values().all(|profile| profile.hashed.is_empty()), "by default no field is hashed");
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("whazing")).unwrap();
    let profile = fs::read_to_string("avro/whazing/profile.toml").unwrap();
    let profile = profile.replacen("[media]", "hash = [\"contact.phoneNumber\"]\n[media]", 1);
    fs::write(dir.path().join("whazing/profile.toml"), profile).unwrap();
    let catalog = Catalog::load(Some(dir.path())).unwrap();
    let body = r#"{"Type":"NewTicket","ticket":{"id":1},"contact":{"phoneNumber":"5511987654321"}}"#;
    let record = through(&catalog.profiles["whazing"], body).unwrap().record;
    let contact = judge::plain(judge::field(&record, "contact"));
    assert_eq!((&contact["phone_number"], &contact["phone_e164"]), (&None::<()>.into(), &None::<()>.into()));
}

#[test]
fn the_list_of_a_latest_topic_has_the_hashes_of_what_it_would_have() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("wegly")).unwrap();
    let profile = fs::read_to_string("avro/wegly/profile.toml").unwrap();
    let profile = format!("hash = [\"lead.whatsapp_chats.raw_number\"]\n{profile}");
    fs::write(dir.path().join("wegly/profile.toml"), profile).unwrap();
    let mut catalog = Catalog::load(Some(dir.path())).unwrap();
    catalog.hash_with(&Hasher::new(KEY));
    let profile = &catalog.profiles["wegly"];
    // Named for leads, and the same record in deals.
    let chats =
        format!(r#"[{{"id":"{ID}","raw_number":"+55 11 8765-4321"}},{{"id":"{ID}","raw_number":"5511987654321"}}]"#);
    let body = format!(r#"{{"event_key":"deal.updated","payload":{{"id":"{ID}","whatsapp_chats":{chats}}}}}"#);
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
    let event_type = &profile.types["deal.updated"];
    let head =
        Head { id: ID, event_type: "deal.updated", source: "test", entity_id: ID, occurred_at: None, received_at: 0 };
    let latest = encode(&doc, profile, event_type, &head, None, usize::MAX).unwrap().latest.unwrap();
    let schema = apache_avro::Schema::parse_str(&event_type.latest.as_ref().unwrap().schema.text).unwrap();
    let framed = latest.framed(1);
    let record = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut &framed[FRAME..]).unwrap();
    let plain = judge::plain(&record);
    assert_eq!(plain["phones"], serde_json::json!([hash("5511987654321")]), "each number once");
    assert_eq!(plain["deal"]["whatsapp_chats"][0]["raw_number"], hash("+55 11 8765-4321"));
}
