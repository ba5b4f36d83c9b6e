//! Self-contained schemas taken apart for people and for code generators.

use std::collections::BTreeSet;

use serde_json::Value;

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
    if ty["fields"].is_array() {
        let name = full_name(ty);
        let mut record = std::mem::replace(ty, Value::from(name.as_str()));
        if met.insert(name.clone()) {
            for field in record["fields"].as_array_mut().into_iter().flatten() {
                take_apart(&mut field["type"], types, met);
            }
            types.push((name, record));
        }
    } else if let Value::Array(branches) = ty {
        for branch in branches {
            take_apart(branch, types, met);
        }
    } else if let Some(items) = ty.get_mut("items") {
        take_apart(items, types, met);
    }
}

/// `namespace.name` of a record.
pub(crate) fn full_name(record: &Value) -> String {
    let part = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    format!("{}.{}", part("namespace"), part("name"))
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
    if let Some(items) = ty.get("items") {
        return format!("array of {}", word(items));
    }
    let logical = ty["logicalType"].as_str().map(|logical| logical.trim_end_matches("-millis"));
    let json = ty["connect.name"].as_str().map(|_| "json");
    logical.or(json).or(ty["type"].as_str()).or(ty.as_str()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

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
