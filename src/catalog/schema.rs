//! Self-contained schemas taken apart for people, for code generators, and for what compares or reads with them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Kinds of types that have names.
const NAMED: [&str; 3] = ["record", "enum", "fixed"];

/// Kinds of types that have none.
const UNNAMED: [&str; 10] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string", "array", "map"];

/// A field as a reader sees it.
pub(crate) struct SchemaField<'a> {
    pub(crate) name: &'a str,
    /// Its name in the source's JSON.
    pub(crate) json: &'a str,
    /// `uuid`, `array of string`, `wegly.LeadSnapshot`.
    pub(crate) ty: String,
    pub(crate) nullable: bool,
    pub(crate) doc: &'a str,
}

/// The named types of a self-contained schema, each without the others' definitions, in an order in which each comes
/// after those it refers to: as code generators want them.
pub(crate) fn named(schema: &Value) -> Vec<(String, Value)> {
    let mut types = Vec::new();
    take_apart(&mut schema.clone(), &mut types, &mut BTreeSet::new());
    types
}

/// Replaces each definition within `ty` by its name, and puts it into `types`.
fn take_apart(ty: &mut Value, types: &mut Vec<(String, Value)>, met: &mut BTreeSet<String>) {
    if ty["type"].as_str().is_some_and(|kind| NAMED.contains(&kind)) {
        let name = full_name(ty);
        let mut definition = std::mem::replace(ty, Value::from(name.as_str()));
        if met.insert(name.clone()) {
            for field in definition.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
                take_apart(&mut field["type"], types, met);
            }
            types.push((name, definition));
        }
    } else if let Value::Array(branches) = ty {
        for branch in branches {
            take_apart(branch, types, met);
        }
    } else if let Some(inner) = ["items", "values"].into_iter().find(|inner| ty.get(inner).is_some()) {
        take_apart(&mut ty[inner], types, met);
    }
}

/// `namespace.name` of a record.
pub(crate) fn full_name(record: &Value) -> String {
    let part = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    format!("{}.{}", part("namespace"), part("name"))
}

/// The same schema with every name written in full, where it is defined and where it is used. Registries may write a name
/// without its namespace wherever the namespace around it is the same.
pub(crate) fn with_full_names(schema: &Value) -> Value {
    let mut schema = schema.clone();
    qualify(&mut schema, "");
    schema
}

fn qualify(ty: &mut Value, namespace: &str) {
    match ty {
        Value::String(name) => *name = in_full(name, namespace),
        Value::Array(branches) => branches.iter_mut().for_each(|branch| qualify(branch, namespace)),
        Value::Object(object) => match object.get_mut("type") {
            Some(Value::String(kind)) if NAMED.contains(&kind.as_str()) => qualify_named(ty, namespace),
            Some(Value::String(kind)) if !UNNAMED.contains(&kind.as_str()) => *ty = in_full(kind, namespace).into(),
            Some(Value::String(_)) => {
                for inner in ["items", "values"] {
                    object.get_mut(inner).into_iter().for_each(|inner| qualify(inner, namespace));
                }
            }
            // `{"type": {"type": "array", ...}}` is another way to write the type within.
            Some(inner) => {
                *ty = inner.take();
                qualify(ty, namespace);
            }
            None => {}
        },
        _ => {}
    }
}

fn qualify_named(ty: &mut Value, around: &str) {
    let namespace = ty["namespace"].as_str().unwrap_or(around);
    let name = in_full(ty["name"].as_str().unwrap_or_default(), namespace);
    let within = name.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
    if let Some(object) = ty.as_object_mut() {
        object.remove("namespace");
        object.insert("name".into(), name.into());
    }
    for field in ty.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
        field.get_mut("type").into_iter().for_each(|ty| qualify(ty, &within));
    }
}

fn in_full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() || UNNAMED.contains(&name) {
        return name.to_owned();
    }
    format!("{namespace}.{name}")
}

/// The named types of a schema [with full names](with_full_names), by their names.
pub(crate) fn definitions(schema: &Value) -> BTreeMap<&str, &Value> {
    let mut found = BTreeMap::new();
    define(schema, &mut found);
    found
}

fn define<'a>(ty: &'a Value, found: &mut BTreeMap<&'a str, &'a Value>) {
    for branch in ty.as_array().into_iter().flatten() {
        define(branch, found);
    }
    if let (Some(kind), Some(name)) = (ty["type"].as_str(), ty["name"].as_str())
        && NAMED.contains(&kind)
    {
        found.insert(name, ty);
    }
    for field in ty["fields"].as_array().into_iter().flatten() {
        define(&field["type"], found);
    }
    for inner in ["items", "values"].into_iter().filter_map(|inner| ty.get(inner)) {
        define(inner, found);
    }
}

/// When an event fires: its record's doc, without the type in front of it.
pub(crate) fn when<'a>(doc: &'a str, event_type: &str) -> &'a str {
    doc.strip_prefix(event_type).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(doc)
}

/// The fields of a record of [`named`].
pub(crate) fn fields(record: &Value) -> impl Iterator<Item = SchemaField<'_>> {
    record["fields"].as_array().into_iter().flatten().map(|field| {
        let text = |name: &str| field[name].as_str().unwrap_or_default();
        let union = field["type"].as_array();
        SchemaField {
            name: text("name"),
            json: field["json"].as_str().unwrap_or(text("name")),
            ty: word(union.and_then(|branches| branches.get(1)).unwrap_or(&field["type"])),
            nullable: union.is_some(),
            doc: text("doc"),
        }
    })
}

fn word(ty: &Value) -> String {
    if let Some(branches) = ty.as_array() {
        return format!("{}?", branches.get(1).map(word).unwrap_or_default());
    }
    if let Some(items) = ty.get("items") {
        return format!("array of {}", word(items));
    }
    if let Some(values) = ty.get("values") {
        return format!("map of {}", word(values));
    }
    let logical = ty["logicalType"].as_str().map(|logical| match logical {
        "decimal" => format!("decimal({}, {})", ty["precision"], ty["scale"].as_u64().unwrap_or_default()),
        other => other.trim_end_matches("-millis").to_owned(),
    });
    let json = || ty["connect.name"].as_str().map(|_| "json".to_owned());
    let plain = || ty["type"].as_str().or(ty.as_str()).unwrap_or_default().to_owned();
    logical.or_else(json).unwrap_or_else(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn a_name_is_written_in_full_wherever_it_stands() {
        let written = json!({
            "type": "record", "name": "A", "namespace": "x", "fields": [
                {"name": "one", "type": {"type": "record", "name": "B", "fields": [{"name": "a", "type": ["null", "A"]}]}},
                {"name": "many", "type": {"type": "array", "items": "B"}},
                {"name": "other", "type": {"type": "enum", "name": "y.C", "symbols": ["Z"]}},
                {"name": "wrapped", "type": {"type": {"type": "map", "values": {"type": "B"}}}},
                {"name": "plain", "type": {"type": "string", "connect.name": "J"}},
                {"name": "named_so", "type": "y.C"},
            ]
        });
        let full = with_full_names(&written);
        assert_eq!(full["name"], "x.A");
        let types: Vec<_> = full["fields"].as_array().unwrap().iter().map(|field| &field["type"]).collect();
        assert_eq!(types[0]["name"], "x.B");
        assert_eq!(types[0]["fields"][0]["type"], json!(["null", "x.A"]));
        assert_eq!(types[1], &json!({"type": "array", "items": "x.B"}));
        assert_eq!(types[2]["name"], "y.C");
        assert_eq!(types[3], &json!({"type": "map", "values": "x.B"}));
        assert_eq!(types[4], &json!({"type": "string", "connect.name": "J"}));
        assert_eq!(types[5], "y.C");
        assert_eq!(definitions(&full).into_keys().collect::<Vec<_>>(), ["x.A", "x.B", "y.C"]);
        assert_eq!(with_full_names(&full), full);
    }

    #[test]
    fn each_type_comes_after_those_it_refers_to() {
        let catalog = Catalog::load(None).unwrap();
        let schema = &catalog.profiles["wegly"].types["lead.stage_changed"].schema.text;
        let types = named(&serde_json::from_str(schema).unwrap());
        let names: Vec<_> = types.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.last(), Some(&"wegly.LeadStageChanged"));
        for (at, (name, record)) in types.iter().enumerate() {
            for field in fields(record) {
                let of = field.ty.trim_start_matches("array of ");
                let before = !of.contains('.') || names[..at].contains(&of);
                assert!(before, "{name}.{} refers to {of}", field.name);
            }
        }
    }
}
