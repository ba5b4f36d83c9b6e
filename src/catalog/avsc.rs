//! Reads `.avsc` files: plain Avro, one record or enum per file, that refer to each other by name. Types may also be defined
//! where they are first used.
//!
//! Only what a payload needs is taken ([`super::types`]), and a union of null and one of these. (A `uuid` may have the
//! `connect.name` `io.debezium.data.Uuid`, for sinks.) The attribute `json` gives the field's name in the source where it differs; a field
//! with the attribute `derive` is not sent but made here, from another one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use serde::Deserialize;
use serde_json::Value;

use super::files::Folder;
use super::inline::{InlineType, take_out};
pub(crate) use super::types::Type;
use super::types::{EnumSchema, read_enum, read_type};
use super::{CatalogError, Flaw, FlawAt};
use crate::values::derive::How;

/// The name of the last field of every record, which holds what the schema has no place for.
pub(super) const EXTRA: &str = "extra";
/// The name of the first field of an event's record, which holds its head.
pub(super) const EVENT: &str = "event";

impl RecordSchema {
    /// An error in it; `place` is a JSON pointer from the record on.
    pub(super) fn error(&self, place: &str, what: impl Into<String>) -> CatalogError {
        CatalogError::new(&self.label, format!("{}{place}", self.place), what)
    }

    /// Whether it begins with an event's head, as the records of events do.
    pub(super) fn has_head(&self) -> bool {
        self.fields.first().is_some_and(|f| f.name == EVENT && !f.optional && f.ty.is_head())
    }

    /// Adds a sentence to the doc of the field `name`.
    pub(super) fn note(&mut self, name: &str, sentence: &str) {
        let mut fields = self.json.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten();
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
    /// Of its file.
    pub(super) label: String,
    /// Where it is in the file: a JSON pointer, empty where it is the whole.
    place: String,
    pub(super) fields: Vec<FieldSchema>,
    /// The file's JSON, with every attribute.
    json: Value,
}

/// Records by full name; and the enums that they refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct RecordSchemas {
    records: BTreeMap<String, RecordSchema>,
    enums: BTreeMap<String, EnumSchema>,
}

impl Deref for RecordSchemas {
    type Target = BTreeMap<String, RecordSchema>;

    fn deref(&self) -> &Self::Target {
        &self.records
    }
}

impl DerefMut for RecordSchemas {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.records
    }
}

impl RecordSchemas {
    /// The enum of this full name.
    pub(super) fn enum_of(&self, name: &str) -> Option<&EnumSchema> {
        self.enums.get(name)
    }

    /// Adds the type that `json` defines, which stands at `place` of the file.
    fn add(&mut self, namespace: &str, name: &str, label: &str, place: &str, json: Value) -> Result<(), CatalogError> {
        let fail = |flaw: FlawAt| flaw.within(place).of(label);
        let full_name = format!("{namespace}.{name}");
        if self.records.contains_key(&full_name) || self.enums.contains_key(&full_name) {
            return Err(fail(FlawAt::new("/name", format!("another type already has the name {full_name}"))));
        }
        if json["type"] == "enum" {
            let symbols = read_enum(&json).map_err(fail)?;
            self.enums.insert(full_name, EnumSchema { json, symbols });
        } else {
            let fields = read_fields(namespace, &json).map_err(fail)?;
            let (label, place) = (label.to_owned(), place.to_owned());
            self.records.insert(full_name, RecordSchema { label, place, fields, json });
        }
        Ok(())
    }

    /// Tells names of enums from those of records.
    fn name_enums(&mut self) {
        let enums = &self.enums;
        for field in self.records.values_mut().flat_map(|record| &mut record.fields) {
            field.ty.name_enums(&|name| enums.contains_key(name));
        }
    }
}

/// Reads every `.avsc` of `folder`, whose name is the namespace.
pub(super) fn load_all(namespace: &str, folder: &Folder) -> Result<RecordSchemas, CatalogError> {
    let mut schemas = RecordSchemas::default();
    for (name, file) in folder {
        let Some(stem) = name.strip_suffix(".avsc") else { continue };
        load(namespace, stem, &file.label, &file.text, &mut schemas)?;
    }
    schemas.name_enums();
    Ok(schemas)
}

fn load(namespace: &str, stem: &str, label: &str, text: &str, schemas: &mut RecordSchemas) -> Result<(), CatalogError> {
    let fail = |place: &str, what: String| CatalogError::new(label, place, what);
    let mut json: Value = serde_json::from_str(text).map_err(|e| fail("", e.to_string()))?;
    if json["type"] != "record" && json["type"] != "enum" {
        return Err(fail("/type", "expected a record or an enum: each file holds exactly one".into()));
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
    let mut inline = Vec::new();
    take_out(namespace, &mut json, "", &mut inline).map_err(|flaw| flaw.of(label))?;
    for InlineType { name, json, place } in inline {
        schemas.add(namespace, &name, label, &place, json)?;
    }
    schemas.add(namespace, stem, label, "", json)
}

fn read_fields(namespace: &str, record: &Value) -> Result<Vec<FieldSchema>, FlawAt> {
    let mut fields = Vec::new();
    let (mut names, mut json_names) = (BTreeSet::new(), BTreeSet::new());
    for (index, field) in record["fields"].as_array().into_iter().flatten().enumerate() {
        let place = format!("/fields/{index}");
        let mut field = read_field(namespace, field).map_err(|flaw| flaw.within(&place))?;
        // No member of a body leads to what the bridge writes, so one may be called the same.
        let is_head = index == 0 && field.name == EVENT && field.ty.is_head();
        if is_head {
            field.json = String::new();
        }
        if !names.insert(field.name.clone()) {
            return Err(FlawAt::new(place, format!("an earlier field has the name {:?} already", field.name)));
        }
        if !is_head && field.name != EXTRA && !json_names.insert(field.json.clone()) {
            return Err(FlawAt::new(place, format!("an earlier field has the JSON name {:?} already", field.json)));
        }
        fields.push(field);
    }
    Ok(fields)
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
                (read_type(namespace, branch).map_err(|flaw| flaw.within("/type/1"))?, true)
            }
            _ => return Err(FlawAt::new("/type", "the only supported union is [\"null\", X]")),
        },
        ty => (read_type(namespace, ty).map_err(|flaw| flaw.within("/type"))?, false),
    };
    let derive = match field.get("derive") {
        Some(derive) => Some(Derive::deserialize(derive).map_err(|e| FlawAt::new("/derive", e.to_string()))?),
        None => None,
    };
    Ok(FieldSchema { name: name.to_owned(), json, ty, optional, derive })
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
    for (index, field) in json.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        let missing = |name| record.error(&format!("/fields/{index}/type"), Flaw::NoType(name));
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
        Value::Object(object) => {
            let inner = ["items", "values"].into_iter().find(|inner| object.contains_key(*inner));
            match inner.and_then(|inner| object.get_mut(inner)) {
                Some(inner) => expand(records, namespace, inner, written, missing),
                None => Ok(()),
            }
        }
        Value::String(name) => {
            if let Ok(Type::Record(full)) = read_type(namespace, &Value::String(name.clone())) {
                if written.contains(&full) {
                    *ty = Value::String(full);
                } else if records.contains_key(&full) {
                    *ty = write_out(records, &full, written)?;
                } else if let Some(definition) = records.enum_of(&full) {
                    *ty = definition.json.clone();
                    written.insert(full);
                } else {
                    return Err(missing(full));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
