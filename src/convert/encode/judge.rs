//! For tests and fuzzing: has `apache-avro` read what was written, and holds it against what was sent. Knows the schema
//! only as JSON, and nothing of the plan.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod spelled;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::{FRAME, Head, encode};
use crate::catalog::{Catalog, Profile, Rule};
use crate::convert::identify::identify;
use crate::values::json::{self, Document, Kind, MAX_DEPTH, Node};
use crate::values::{redact, time};
#[cfg(test)]
pub(crate) use spelled::KNOWN_TIMES;
use spelled::{known, unscaled, unscaled_of};

/// The catalog compiled in.
pub(crate) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::load(None).unwrap());

/// A vendor whose records have every type there is.
pub(crate) static SHOP: LazyLock<Catalog> =
    LazyLock::new(|| Catalog::load(Some(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/catalogs").as_ref())).unwrap());

/// What the judge finds wrong, in words: those who read them are testing.
pub(crate) type Finding = String;

/// The schemas met so far, by their texts. There are few, and parsing one takes longer than all else.
static SCHEMAS: Mutex<BTreeMap<String, &(Schema, Json)>> = Mutex::new(BTreeMap::new());

fn parsed(text: &str) -> &'static (Schema, Json) {
    let mut schemas = SCHEMAS.lock().unwrap();
    if let Some(known) = schemas.get(text) {
        return known;
    }
    let new = Box::leak(Box::new((Schema::parse_str(text).unwrap(), serde_json::from_str(text).unwrap())));
    schemas.insert(text.to_owned(), new);
    new
}

/// An event's record as `apache-avro` reads it, and its JSON schema.
pub(crate) struct JudgedRecord {
    pub(crate) schema: &'static Json,
    pub(crate) record: Value,
}

/// Takes a body through scan, identify and encode, and has `apache-avro` read the record.
pub(crate) fn through(profile: &Profile, body: &str) -> Result<JudgedRecord, Finding> {
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).map_err(|e| e.to_string())?;
    let identified = identify(&doc, &http::HeaderMap::new(), profile).map_err(|e| e.why.to_string())?;
    let head = Head {
        id: "9a67c00d-b2c5-8677-8489-2cf44ff60965",
        event_type: &identified.event_type.name,
        source: "test",
        entity_id: &identified.key,
        occurred_at: identified.occurred_at,
        received_at: 1_780_401_600_123,
    };
    let encoded =
        encode(&doc, profile, identified.event_type, &head, None, usize::MAX).map_err(|e| e.to_string())?.event;
    let framed = encoded.framed(7);
    assert_eq!(framed[..FRAME], [0, 0, 0, 0, 7]);

    let (schema, json) = parsed(&identified.event_type.schema.text);
    let mut bytes = &framed[FRAME..];
    let record = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "bytes after the record");
    // The judge writes what it read: the same bytes.
    let again = GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(record.clone()).unwrap();
    if has_order(&record) {
        assert_eq!(again, framed[FRAME..], "apache-avro writes this record otherwise");
    } else {
        assert_eq!(again.len(), framed[FRAME..].len(), "apache-avro writes this record otherwise");
    }
    Ok(JudgedRecord { schema: json, record })
}

/// A JSON value as it is sent: spellings are kept.
#[derive(Clone, Debug)]
pub(crate) enum SentJson {
    /// As spelled.
    Scalar(String),
    Array(Vec<SentJson>),
    /// (key as spelled, without quotes; key; value)
    Object(Vec<(String, String, SentJson)>),
}

impl SentJson {
    /// The value `node`; `None` where two members of an object share a name.
    pub(crate) fn of(doc: &Document<'_>, node: Node) -> Option<SentJson> {
        match doc.kind(node) {
            Kind::Array => {
                doc.items(node).map(|item| SentJson::of(doc, item)).collect::<Option<_>>().map(SentJson::Array)
            }
            Kind::Object => {
                let mut seen = BTreeSet::new();
                let members = doc.members(node).map(|(key, value)| {
                    let (spelled, name) = (doc.inner(key).to_owned(), doc.text(key)?.text.into_owned());
                    seen.insert(name.clone()).then_some((spelled, name, SentJson::of(doc, value)?))
                });
                members.collect::<Option<_>>().map(SentJson::Object)
            }
            _ => Some(SentJson::Scalar(doc.raw(node).to_owned())),
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            SentJson::Scalar(text) => text.clone(),
            SentJson::Array(items) => {
                format!("[{}]", items.iter().map(SentJson::text).collect::<Vec<_>>().join(",\n "))
            }
            SentJson::Object(members) => {
                let mut text = String::from("{");
                for (index, (key, _, value)) in members.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(text, "{comma}\"{key}\": {}", value.text()).unwrap();
                }
                text + "}"
            }
        }
    }
}

/// A field of a record.
pub(crate) fn field<'a>(record: &'a Value, name: &str) -> &'a Value {
    let Value::Record(fields) = inside(record) else { panic!("no record: {record:?}") };
    &fields.iter().find(|(field, _)| field == name).unwrap_or_else(|| panic!("no field {name}")).1
}

/// A record's `extra`.
pub(crate) fn extra(record: &Value) -> Option<String> {
    match inside(field(record, "extra")) {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// Whether any record in it has an `extra`.
#[cfg(test)]
pub(crate) fn has_extra(value: &Value) -> bool {
    match inside(value) {
        Value::Record(fields) => fields
            .iter()
            .any(|(name, value)| (name == "extra" && !matches!(inside(value), Value::Null)) || has_extra(value)),
        Value::Array(items) => items.iter().any(has_extra),
        Value::Map(entries) => entries.values().any(has_extra),
        _ => false,
    }
}

/// Whether there is only one way to write it: the judge keeps no order in a map.
fn has_order(value: &Value) -> bool {
    match inside(value) {
        Value::Record(fields) => fields.iter().all(|(_, value)| has_order(value)),
        Value::Array(items) => items.iter().all(has_order),
        Value::Map(entries) => entries.len() < 2 && entries.values().all(has_order),
        _ => true,
    }
}

fn inside(value: &Value) -> &Value {
    match value {
        Value::Union(_, value) => value,
        other => other,
    }
}

/// The value as plain JSON, logical types as their numbers and texts.
pub(crate) fn plain(value: &Value) -> Json {
    match inside(value) {
        Value::Null => Json::Null,
        Value::Boolean(b) => (*b).into(),
        Value::Long(n) | Value::TimestampMillis(n) | Value::TimestampMicros(n) | Value::TimeMicros(n) => (*n).into(),
        Value::Int(n) | Value::Date(n) | Value::TimeMillis(n) => (*n).into(),
        Value::Double(n) => (*n).into(),
        Value::Float(n) => f64::from(*n).into(),
        Value::Decimal(n) => unscaled(n).into(),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Value::Enum(_, symbol) => symbol.as_str().into(),
        Value::Map(entries) => entries.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        Value::String(s) => s.as_str().into(),
        Value::Uuid(u) => u.to_string().into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Record(fields) => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        other => panic!("not in the catalog: {other:?}"),
    }
}

/// Named types, as they are met.
type JsonTypes = BTreeMap<String, Json>;

/// `Err` with what was lost, or came from nowhere.
pub(crate) fn nothing_lost(schema: &Json, record: &Value, profile: &Profile, sent: &SentJson) -> Result<(), Finding> {
    let mut names = JsonTypes::new();
    collect(schema, &mut names);
    let sent = without_redacted(profile, sent)?;
    let SentJson::Object(members) = &sent else { return Err("no object was sent".into()) };
    let event = plain(field(record, "event"));
    // What tells this type is told by it; what could have told another is a member like any other.
    let tells = |rule: &&Rule| rule.names_types || rule.values.values().any(|t| event["type"] == *t);
    let telling: Vec<&str> = profile.recognise.iter().filter(tells).filter_map(Rule::field).collect();
    let fields = || schema["fields"].as_array().into_iter().flatten();
    let known = |key: &str| fields().any(|f| json_name(f) == key && f["name"] != "event");
    let untold: Vec<_> =
        members.iter().filter(|(_, key, _)| !telling.contains(&key.as_str()) || known(key)).cloned().collect();
    if event["source"] != "test" || !profile.types.contains_key(event["type"].as_str().unwrap_or_default()) {
        return Err(format!("event: {event}"));
    }
    let Some(payload_name) = &profile.payload else {
        return compare_record(&names, schema, record, &untold, None);
    };
    let (payload, around): (Vec<_>, Vec<_>) = untold.into_iter().partition(|(_, key, _)| key == payload_name);
    let [(_, _, SentJson::Object(payload))] = payload.as_slice() else { return Err("no payload was sent".into()) };
    let around: Vec<_> = around.into_iter().filter(|(_, key, _)| !telling.contains(&key.as_str())).collect();
    let event_type = &profile.types[event["type"].as_str().unwrap_or_default()];
    if event_type.payload_slot.is_none() {
        return compare_record(&names, schema, record, payload, Some(&around));
    }
    let whole = (String::new(), snapshot_name(schema), SentJson::Object(payload.clone()));
    compare_record(&names, schema, record, &[whole], Some(&around))
}

/// What has to be found again: all that was sent, with what a profile redacts by name blanked.
fn without_redacted(profile: &Profile, sent: &SentJson) -> Result<SentJson, Finding> {
    let text = sent.text();
    let text = redact::blank(&text, &profile.redacted_anywhere);
    let doc = Document::scan(text.as_bytes(), MAX_DEPTH).map_err(|e| format!("{text}: {e}"))?;
    SentJson::of(&doc, Node::ROOT).ok_or_else(|| format!("{text}: two members of one name"))
}

/// The one field between `event` and `extra`.
fn snapshot_name(schema: &Json) -> String {
    schema["fields"][1]["name"].as_str().unwrap_or_default().to_owned()
}

fn collect(schema: &Json, names: &mut JsonTypes) {
    match schema {
        Json::Array(branches) => branches.iter().for_each(|b| collect(b, names)),
        Json::Object(object) if object.contains_key("fields") => {
            let (namespace, name) = (schema["namespace"].as_str().unwrap(), schema["name"].as_str().unwrap());
            names.insert(format!("{namespace}.{name}"), schema.clone());
            schema["fields"].as_array().into_iter().flatten().for_each(|f| collect(&f["type"], names));
        }
        Json::Object(object) if schema["type"] == "enum" => {
            let (namespace, name) = (object["namespace"].as_str().unwrap(), object["name"].as_str().unwrap());
            names.insert(format!("{namespace}.{name}"), schema.clone());
        }
        Json::Object(object) => {
            ["items", "values"].iter().filter_map(|inner| object.get(*inner)).for_each(|inner| collect(inner, names));
        }
        _ => {}
    }
}

fn json_name(field: &Json) -> &str {
    field["json"].as_str().or(field["name"].as_str()).unwrap_or_default()
}

/// The members of an object's text, as spelled. (Not by `serde_json`, which takes no key with half a surrogate pair.)
fn raw_members(text: &str) -> Result<BTreeMap<String, String>, Finding> {
    let doc = Document::scan(text.as_bytes(), MAX_DEPTH).map_err(|e| format!("{text}: {e}"))?;
    let members = doc.members(Node::ROOT);
    members
        .map(|(key, value)| Some((doc.text(key)?.text.into_owned(), doc.raw(value).to_owned())))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{text}: no keys"))
}

type Members = [(String, String, SentJson)];

fn compare_record(
    names: &JsonTypes,
    schema: &Json,
    record: &Value,
    sent: &Members,
    around: Option<&Members>,
) -> Result<(), Finding> {
    let extra = extra(record).unwrap_or_else(|| "{}".into());
    let mut kept = raw_members(&extra)?;
    if let Some(around) = around.filter(|around| !around.is_empty()) {
        let envelope = kept.remove("$envelope").ok_or("the envelope's members are lost")?;
        let envelope = raw_members(&envelope)?;
        for (_, key, value) in around {
            if envelope.get(key) != Some(&value.text()) {
                return Err(format!("$envelope.{key} is not as sent"));
            }
        }
    }
    let fields = schema["fields"].as_array().ok_or("no fields")?;
    for (_, key, value) in sent {
        let known = fields.iter().find(|f| json_name(f) == key && f["name"] != "extra" && f["name"] != "event");
        let text = value.text();
        if let Some(raw) = kept.remove(key) {
            if raw != text {
                return Err(format!("{key}: extra has {raw}, sent was {text}"));
            }
            // A mended string is in both places, and so is what no symbol of an enum stands for.
            if let Some(f) = known {
                let read = plain(field(record, f["name"].as_str().unwrap_or_default()));
                let by_name = branch(&f["type"]).as_str().and_then(|name| names.get(name));
                let is_default = read.is_string() && by_name.unwrap_or(branch(&f["type"]))["default"] == read;
                if !read.is_null() && !is_default && !read.as_str().is_some_and(|s| s.contains('\u{FFFD}')) {
                    return Err(format!("{key}: in extra and in its field"));
                }
            }
        } else if let Some(f) = known {
            let name = f["name"].as_str().unwrap_or_default();
            let redacted = ["qrcode", "pairing_code"].contains(&name);
            if !redacted {
                compare(names, branch(&f["type"]), field(record, name), value).map_err(|e| format!("{key}.{e}"))?;
            }
        } else {
            return Err(format!("{key} is lost: {text}"));
        }
    }
    if let Some((key, _)) = kept.into_iter().next() {
        return Err(format!("extra has {key}, which was not sent"));
    }
    let made = |f: &Json| f["name"] == "extra" || f["name"] == "event" || !f["derive"].is_null();
    for f in fields.iter().filter(|f| !made(f)) {
        let absent = !sent.iter().any(|(_, key, _)| key == json_name(f));
        let read = plain(field(record, f["name"].as_str().unwrap_or_default()));
        if absent && !read.is_null() {
            return Err(format!("{} came from nowhere", f["name"]));
        }
    }
    Ok(())
}

fn branch(ty: &Json) -> &Json {
    ty.as_array().map_or(ty, |branches| &branches[1])
}

#[allow(clippy::float_cmp, reason = "the same text gives the same number")]
fn compare(names: &JsonTypes, ty: &Json, read: &Value, sent: &SentJson) -> Result<(), Finding> {
    let text = sent.text();
    let fail = || Err(format!(": read {:?} as {ty}, sent {text}", inside(read)));
    if text == "null" && inside(read) == &Value::Null {
        return Ok(());
    }
    let ty = branch(ty);
    let ty = ty.as_str().and_then(|name| names.get(name)).unwrap_or(ty);
    if let Some(record) = ty.get("fields").map(|_| ty) {
        let SentJson::Object(members) = sent else { return fail() };
        return compare_record(names, record, read, members, None);
    }
    if let (Some(items), Value::Array(read), SentJson::Array(sent)) = (ty.get("items"), inside(read), sent) {
        if read.len() != sent.len() {
            return fail();
        }
        return read.iter().zip(sent).try_for_each(|(read, sent)| compare(names, items, read, sent));
    }
    if let (Some(values), Value::Map(read), SentJson::Object(sent)) = (ty.get("values"), inside(read), sent) {
        if read.len() != sent.len() {
            return fail();
        }
        return sent.iter().try_for_each(|(_, key, value)| {
            let read = read.get(key).ok_or_else(|| format!("{key} is lost"))?;
            compare(names, values, read, value)
        });
    }
    let unquoted =
        || text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).map(|t| json::unescape(t).text.into_owned());
    let spelled = unquoted().unwrap_or_else(|| text.clone());
    let same = match (inside(read), ty["connect.name"].as_str()) {
        (Value::String(read), Some("io.debezium.data.Json")) => *read == text,
        (Value::String(read), None) => *read == spelled,
        (Value::Uuid(read), _) => read.to_string() == spelled.to_lowercase(),
        (Value::Boolean(read), _) => match spelled.to_lowercase().as_str() {
            "true" | "1" | "1.0" => *read,
            "false" | "0" | "-0" | "0.0" => !*read,
            _ => false,
        },
        (Value::Long(read), _) => match spelled.parse::<i64>() {
            Ok(sent) => sent == *read,
            Err(_) => spelled.parse::<f64>().is_ok_and(|sent| sent == *read as f64),
        },
        (Value::Double(read), _) => spelled.parse::<f64>().is_ok_and(|sent| sent == *read),
        (Value::TimestampMillis(_), _) if !ty["format"].is_null() => known(&spelled, &plain(read)),
        (Value::TimestampMillis(read), _) => match spelled.parse::<f64>() {
            Ok(unix) if unix.abs() < 1e11 => *read == (unix * 1000.0) as i64,
            Ok(unix) => *read == unix as i64,
            Err(_) => time::parse_iso(&spelled).is_some_and(|iso| iso.millis == *read),
        },
        (Value::Int(read), _) => spelled.parse::<f64>().is_ok_and(|sent| sent == f64::from(*read)),
        (Value::Float(read), _) => spelled.parse::<f32>().is_ok_and(|sent| sent == *read),
        (Value::Decimal(read), _) => {
            unscaled_of(&spelled, ty["scale"].as_i64().unwrap_or_default()) == Some(unscaled(read))
        }
        (Value::Bytes(read), _) => {
            let plain = |text: &str| text.replace('-', "+").replace('_', "/").trim_end_matches('=').to_owned();
            plain(&STANDARD.encode(read)) == plain(&spelled)
        }
        (Value::Enum(_, read), _) => {
            let symbol = ty["json"].as_object().and_then(|symbols| symbols.get(spelled.as_str()));
            symbol.and_then(Json::as_str).unwrap_or(&spelled) == read
        }
        (Value::Date(read), _) if ty["format"].is_null() => time::parse_date(&spelled) == Some(*read),
        // The generator writes what it knows the value of.
        (Value::Date(_) | Value::TimestampMicros(_) | Value::TimeMillis(_) | Value::TimeMicros(_), _) => {
            known(&spelled, &plain(read))
        }
        _ => false,
    };
    if same { Ok(()) } else { fail() }
}
