//! Reads `.avsc` files: plain Avro records, one per file, that refer to each other by name.
//!
//! Only what a payload needs is taken: `boolean`, `long`, `double`, `string`, the logical types `uuid`,
//! `timestamp-millis` and `date`, JSON text (`connect.name` `io.debezium.data.Json`), arrays, records by name, and a
//! union of null and one of these. (A `uuid` may have the `connect.name` `io.debezium.data.Uuid`, for sinks.) The attribute `json` gives the field's name in the source where it differs; a field
//! with the attribute `derive` is not sent but made here, from another one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::files::{Folder, HEAD_FOLDER};
use super::{CatalogError, Flaw, FlawAt};
use crate::values::derive::How;

/// The name of the last field of every record, which holds what the schema has no place for.
pub(super) const EXTRA: &str = "extra";
/// The name of the first field of an event's record, which holds its head.
pub(super) const EVENT: &str = "event";

/// The `connect.name` of a string that holds JSON text; sinks know it.
const JSON_NAME: &str = "io.debezium.data.Json";
/// That of a UUID; with it sinks make columns of the database's own type.
const UUID_NAME: &str = "io.debezium.data.Uuid";

/// The type of a field, nullability aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean,
    Long,
    Double,
    String,
    Uuid,
    Timestamp,
    Date,
    Json,
    /// By full name.
    Record(String),
    Array(Box<Type>),
}

impl Type {
    /// The record it is, or is an array of.
    pub(super) fn named(&self) -> Option<&str> {
        match self {
            Type::Record(name) => Some(name),
            Type::Array(items) => items.named(),
            _ => None,
        }
    }

    /// Whether it is the head that the bridge writes, alone or in an array.
    pub(super) fn is_head(&self) -> bool {
        self.named().is_some_and(|name| name.starts_with(&format!("{HEAD_FOLDER}.")))
    }

    /// The word for it in an error sentence.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Type::Boolean => "boolean",
            Type::Long => "whole number",
            Type::Double => "number",
            Type::String => "text",
            Type::Uuid => "UUID",
            Type::Timestamp => "instant",
            Type::Date => "date",
            Type::Json => "JSON",
            Type::Record(_) => "object",
            Type::Array(_) => "array",
        }
    }
}

impl RecordSchema {
    /// Whether it begins with an event's head, as the records of events do.
    pub(super) fn has_head(&self) -> bool {
        self.fields.first().is_some_and(|f| f.name == EVENT && !f.optional && f.ty.is_head())
    }

    /// Adds a sentence to the doc of the field `name`.
    pub(super) fn note(&mut self, name: &str, sentence: &str) {
        let mut fields = self.json["fields"].as_array_mut().into_iter().flatten();
        if let Some(field) = fields.find(|field| field["name"] == name) {
            let doc = field["doc"].as_str().map_or_else(String::new, |doc| format!("{doc} "));
            field["doc"] = Value::from(doc + sentence);
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct FieldSchema {
    pub(super) name: String,
    /// Its name in the source's JSON.
    pub(super) json: String,
    pub(super) ty: Type,
    /// Whether it may be null.
    pub(super) optional: bool,
    /// Set when it is made here.
    pub(super) derive: Option<Derive>,
}

/// The attribute `derive`: a field's value is made from that at `from`, a path of Avro names from the record on.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenDerive")]
pub(super) struct Derive {
    pub(super) from: String,
    pub(super) how: How,
}

impl Derive {
    /// The one of `fields`, those beside it, that it is made from: one that is sent, for nothing is derived of what is.
    pub(super) fn source(&self, fields: &[FieldSchema]) -> Option<usize> {
        fields.iter().position(|f| f.name == self.from && f.derive.is_none())
    }

    /// The type of what it is made from.
    pub(super) fn takes(&self) -> Type {
        match self.how {
            How::Reference { .. } | How::Member { .. } => Type::Json,
            How::Phone { .. } => Type::String,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDerive {
    from: String,
    reference: Option<String>,
    member: Option<String>,
    phone: Option<String>,
    whatsapp: Option<String>,
}

impl TryFrom<WrittenDerive> for Derive {
    type Error = Flaw;

    fn try_from(written: WrittenDerive) -> Result<Derive, Flaw> {
        let how = match (written.reference, written.member, written.phone, written.whatsapp) {
            (Some(member), None, None, None) => How::Reference { member },
            (None, Some(member), None, None) => How::Member { member },
            (None, None, Some(region), None) => How::phone(&region, false)?,
            (None, None, None, Some(region)) => How::phone(&region, true)?,
            _ => return Err(Flaw::Derive),
        };
        Ok(Derive { from: written.from, how })
    }
}

/// A record as its file has it.
#[derive(Clone, Debug)]
pub(super) struct RecordSchema {
    pub(super) label: String,
    pub(super) fields: Vec<FieldSchema>,
    /// The file's JSON, with every attribute.
    json: Value,
}

/// Records by full name.
pub(super) type RecordSchemas = BTreeMap<String, RecordSchema>;

/// Reads every `.avsc` of `folder`, whose name is the namespace.
pub(super) fn load_all(namespace: &str, folder: &Folder) -> Result<RecordSchemas, CatalogError> {
    let mut records = RecordSchemas::new();
    for (name, file) in folder {
        let Some(stem) = name.strip_suffix(".avsc") else { continue };
        let record = load(namespace, stem, &file.label, &file.text)?;
        records.insert(format!("{namespace}.{stem}"), record);
    }
    Ok(records)
}

fn load(namespace: &str, stem: &str, label: &str, text: &str) -> Result<RecordSchema, CatalogError> {
    let fail = |place: &str, what: String| CatalogError::new(label, place, what);
    let json: Value = serde_json::from_str(text).map_err(|e| fail("", e.to_string()))?;
    if json["type"] != "record" {
        return Err(fail("/type", "expected a record: each file holds exactly one".into()));
    }
    // The file's name decides, so no two files can claim one name.
    for (attribute, expected) in [("name", stem), ("namespace", namespace)] {
        if json[attribute] != expected {
            let found = &json[attribute];
            return Err(fail(
                &format!("/{attribute}"),
                format!("got {found}, expected {expected:?}, from the file's place"),
            ));
        }
    }
    let mut fields = Vec::new();
    let (mut names, mut json_names) = (BTreeSet::new(), BTreeSet::new());
    for (index, field) in json["fields"].as_array().into_iter().flatten().enumerate() {
        let place = format!("/fields/{index}");
        let mut field = read_field(namespace, field).map_err(|flaw| flaw.within(&place).of(label))?;
        // No member of a body leads to what the bridge writes, so one may be called the same.
        let is_head = index == 0 && field.name == EVENT && field.ty.is_head();
        if is_head {
            field.json = String::new();
        }
        if !names.insert(field.name.clone()) {
            return Err(fail(&place, format!("an earlier field has the name {:?} already", field.name)));
        }
        if !is_head && field.name != EXTRA && !json_names.insert(field.json.clone()) {
            return Err(fail(&place, format!("an earlier field has the JSON name {:?} already", field.json)));
        }
        fields.push(field);
    }
    Ok(RecordSchema { label: label.to_owned(), fields, json })
}

fn read_field(namespace: &str, field: &Value) -> Result<FieldSchema, FlawAt> {
    let Some(name) = field["name"].as_str() else { return Err(FlawAt::new("/name", "missing")) };
    let json = match &field["json"] {
        Value::Null => name.to_owned(),
        Value::String(json) => json.clone(),
        _ => return Err(FlawAt::new("/json", "expected a string: the field's name in the source")),
    };
    let (ty, optional) = match &field["type"] {
        Value::Array(union) => match union.as_slice() {
            [Value::String(null), branch] if null == "null" => {
                if field.get("default") != Some(&Value::Null) {
                    return Err(FlawAt::new(
                        "/default",
                        "expected null, so that readers of other versions can fill the field in",
                    ));
                }
                (read_type(namespace, branch)?, true)
            }
            _ => return Err(FlawAt::new("/type", "the only supported union is [\"null\", X]")),
        },
        ty => (read_type(namespace, ty)?, false),
    };
    let derive = match field.get("derive") {
        Some(derive) => Some(Derive::deserialize(derive).map_err(|e| FlawAt::new("/derive", e.to_string()))?),
        None => None,
    };
    Ok(FieldSchema { name: name.to_owned(), json, ty, optional, derive })
}

fn read_type(namespace: &str, ty: &Value) -> Result<Type, FlawAt> {
    let attribute = |name: &str| ty.get(name).and_then(Value::as_str);
    let name = ty.as_str().or_else(|| attribute("type"));
    Ok(match (name, attribute("logicalType"), attribute("connect.name")) {
        (Some("string"), None, Some(JSON_NAME)) => Type::Json,
        (Some("string"), Some("uuid"), None | Some(UUID_NAME)) => Type::Uuid,
        (Some("string"), None, None) => Type::String,
        (Some("long"), Some("timestamp-millis"), None) => Type::Timestamp,
        (Some("long"), None, None) => Type::Long,
        (Some("int"), Some("date"), None) => Type::Date,
        (Some("double"), None, None) => Type::Double,
        (Some("boolean"), None, None) => Type::Boolean,
        (Some("array"), None, None) => Type::Array(Box::new(read_type(namespace, &ty["items"])?)),
        (Some(name), None, None) if ty.is_string() && !is_reserved(name) => Type::Record(full_name(namespace, name)),
        _ => return Err(FlawAt::new("/type", format!("the catalog does not support this type: {ty}"))),
    })
}

fn is_reserved(name: &str) -> bool {
    ["null", "int", "float", "bytes", "array", "map", "enum", "fixed", "record"].contains(&name)
}

fn full_name(namespace: &str, name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { format!("{namespace}.{name}") }
}

/// The self-contained text of `name`: the types it refers to are written out where they are first used, and every
/// attribute of the files is kept. Readers need nothing else.
pub(super) fn self_contained(records: &RecordSchemas, name: &str) -> Result<String, CatalogError> {
    let mut written = BTreeSet::new();
    Ok(write_out(records, name, &mut written)?.to_string())
}

fn write_out(records: &RecordSchemas, name: &str, written: &mut BTreeSet<String>) -> Result<Value, CatalogError> {
    let Some(record) = records.get(name) else {
        return Err(CatalogError::new("catalog", "", Flaw::NoType(name.to_owned())));
    };
    written.insert(name.to_owned());
    let mut json = record.json.clone();
    let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
    for (index, field) in json["fields"].as_array_mut().into_iter().flatten().enumerate() {
        let missing = |name| CatalogError::new(&record.label, format!("/fields/{index}/type"), Flaw::NoType(name));
        expand(records, namespace, &mut field["type"], written, &missing)?;
    }
    Ok(json)
}

/// Replaces names by definitions within a field's type.
fn expand(
    records: &RecordSchemas,
    namespace: &str,
    ty: &mut Value,
    written: &mut BTreeSet<String>,
    missing: &impl Fn(String) -> CatalogError,
) -> Result<(), CatalogError> {
    match ty {
        Value::Array(branches) => branches.iter_mut().try_for_each(|b| expand(records, namespace, b, written, missing)),
        Value::Object(object) => match object.get_mut("items") {
            Some(items) => expand(records, namespace, items, written, missing),
            None => Ok(()),
        },
        Value::String(name) => {
            if let Ok(Type::Record(full)) = read_type(namespace, &Value::String(name.clone())) {
                if written.contains(&full) {
                    *ty = Value::String(full);
                } else if records.contains_key(&full) {
                    *ty = write_out(records, &full, written)?;
                } else {
                    return Err(missing(full));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
