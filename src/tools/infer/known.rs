//! The records that a profile has already, as far as inferring needs them. Whatever is there stays as it is; values only have to
//! fit, and what has no place becomes a new field.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use super::shape::Shape;

/// Records by name, without their namespace.
pub(super) type KnownRecords = BTreeMap<String, KnownRecord>;

#[derive(Debug, Default)]
pub(super) struct KnownRecord {
    /// By their names in JSON, without those that are made here.
    pub(super) fields: IndexMap<String, KnownField>,
    /// The names of all of them in Avro.
    pub(super) names: Vec<String>,
    /// Whether it begins with an event's head, and so stands nowhere but at the top.
    pub(super) is_top: bool,
}

#[derive(Debug)]
pub(super) struct KnownField {
    pub(super) ty: Declared,
    pub(super) name: String,
    pub(super) optional: bool,
}

/// A field's type as its file has it, or is to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    Boolean,
    Long,
    Double,
    String,
    Uuid,
    Timestamp,
    Date,
    Json,
    /// By name, without its namespace.
    Record(String),
    Array(Box<Declared>),
    /// One that is never inferred: whether values fit is seen when samples are converted.
    Other,
}

/// Reads the `.avsc` files among `files`, which the catalog has read without complaint.
pub(super) fn read(files: &BTreeMap<String, String>) -> KnownRecords {
    let mut records = KnownRecords::new();
    for (file, text) in files {
        let (Some(name), Ok(json)) = (file.strip_suffix(".avsc"), serde_json::from_str::<Value>(text)) else {
            continue;
        };
        records.insert(name.to_owned(), record(&json));
    }
    records
}

fn record(json: &Value) -> KnownRecord {
    let mut record = KnownRecord::default();
    for field in json["fields"].as_array().into_iter().flatten() {
        let Some(name) = field["name"].as_str() else { continue };
        record.names.push(name.to_owned());
        let is_head = field["type"] == "hookbridge.Event";
        record.is_top |= is_head;
        if is_head || name == "extra" || !field["derive"].is_null() {
            continue;
        }
        let optional = field["type"].is_array();
        let ty = field["type"].as_array().and_then(|branches| branches.get(1)).unwrap_or(&field["type"]);
        let known = KnownField { ty: declared(ty), name: name.to_owned(), optional };
        record.fields.insert(field["json"].as_str().unwrap_or(name).to_owned(), known);
    }
    record
}

fn declared(ty: &Value) -> Declared {
    let kind = ty.as_str().or(ty["type"].as_str()).unwrap_or_default();
    match (kind, ty["logicalType"].as_str(), ty["connect.name"].as_str()) {
        ("boolean", None, None) => Declared::Boolean,
        ("long", None, None) => Declared::Long,
        ("long", Some("timestamp-millis"), None) => Declared::Timestamp,
        ("double", None, None) => Declared::Double,
        ("int", Some("date"), None) => Declared::Date,
        ("string", Some("uuid"), _) => Declared::Uuid,
        ("string", None, None) => Declared::String,
        ("string", None, Some("io.debezium.data.Json")) => Declared::Json,
        ("array", None, None) => Declared::Array(Box::new(declared(&ty["items"]))),
        (name, None, None) if ty.is_string() && name.starts_with(|c: char| c.is_uppercase() || name.contains('.')) => {
            Declared::Record(name.rsplit('.').next().unwrap_or(name).to_owned())
        }
        _ => Declared::Other,
    }
}

impl KnownField {
    /// Whether all that was seen goes into the field. One on the way to a key is whole, whatever a schema leaves open.
    pub(super) fn takes(&self, shape: &Shape) -> bool {
        let is_key = !self.optional && self.ty == Declared::Long;
        self.ty.takes(shape) || (is_key && shape.scalars.may_be_whole())
    }
}

impl Declared {
    /// The record it is, or is an array of.
    pub(super) fn record(&self) -> Option<&str> {
        match self {
            Declared::Record(name) => Some(name),
            Declared::Array(items) => items.record(),
            _ => None,
        }
    }

    /// Whether all that was seen goes into a field of this type; what is within a record is another question.
    pub(super) fn takes(&self, shape: &Shape) -> bool {
        let facts = &shape.scalars;
        let only_scalars = shape.object.is_none() && shape.arrays == 0 && shape.deep == 0;
        match self {
            Declared::Json | Declared::Other => true,
            Declared::Record(_) => facts.count() == 0 && shape.arrays == 0,
            Declared::Array(items) => {
                let of_items = |inner: &Shape| (inner.nulls == 0 || **items == Declared::Json) && items.takes(inner);
                facts.count() == 0 && shape.object.is_none() && shape.items.as_deref().is_none_or(of_items)
            }
            Declared::Boolean => only_scalars && facts.no_boolean == 0,
            Declared::Long => only_scalars && facts.no_long == 0,
            Declared::Double => only_scalars && facts.no_double == 0,
            Declared::String => only_scalars && facts.booleans == 0,
            Declared::Uuid => only_scalars && facts.no_uuid == 0,
            Declared::Timestamp => only_scalars && facts.no_instant == 0,
            Declared::Date => only_scalars && facts.no_date == 0,
        }
    }

    /// The word for it.
    pub(super) fn word(&self) -> String {
        match self {
            Declared::Boolean => "boolean".into(),
            Declared::Long => "long".into(),
            Declared::Double => "double".into(),
            Declared::String => "string".into(),
            Declared::Uuid => "uuid".into(),
            Declared::Timestamp => "timestamp-millis".into(),
            Declared::Date => "date".into(),
            Declared::Json => "JSON text".into(),
            Declared::Record(name) => format!("record {name}"),
            Declared::Array(items) => format!("array of {}", items.word()),
            Declared::Other => "another type".into(),
        }
    }
}
