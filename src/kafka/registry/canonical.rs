//! Which schemas are equal for us, however they are written.

use serde_json::Value;

/// What makes two schemas equal for us: parsing canonical form, and the logical types it leaves out.
#[derive(PartialEq, Eq)]
pub(super) struct CanonicalSchema {
    canonical: String,
    logical: Vec<String>,
}

impl CanonicalSchema {
    pub(super) fn of(text: &str) -> Option<CanonicalSchema> {
        let canonical = apache_avro::Schema::parse_str(text).ok()?.canonical_form();
        let mut logical = Vec::new();
        collect_logical(&serde_json::from_str(text).ok()?, &mut logical);
        Some(CanonicalSchema { canonical, logical })
    }
}

/// One entry per type that is not a record, in the order they are written; empty where there is no logical type.
fn collect_logical(ty: &Value, found: &mut Vec<String>) {
    match ty {
        Value::Array(branches) => branches.iter().for_each(|branch| collect_logical(branch, found)),
        Value::Object(object) if object.contains_key("fields") => {
            let fields = object["fields"].as_array().into_iter().flatten();
            fields.filter_map(|field| field.get("type")).for_each(|ty| collect_logical(ty, found));
        }
        Value::Object(object) if object.contains_key("items") => collect_logical(&object["items"], found),
        Value::Object(object) if object.contains_key("values") => collect_logical(&object["values"], found),
        Value::Object(object) if object.get("type").is_some_and(|ty| !ty.is_string()) => {
            collect_logical(&object["type"], found);
        }
        _ => {
            let logical = ty.get("logicalType").and_then(Value::as_str).unwrap_or_default();
            let digits = |name: &str| ty.get(name).and_then(Value::as_u64).unwrap_or_default();
            found.push(match logical {
                "decimal" => format!("decimal {} {}", digits("precision"), digits("scale")),
                other => other.to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_is_what_reads_the_same_whatever_the_docs_say() {
        let text = |ty: &str, doc: &str| {
            format!(r#"{{"type":"record","name":"a.B","doc":"{doc}","fields":[{{"name":"f","type":["null",{ty}]}}]}}"#)
        };
        let plain = CanonicalSchema::of(&text(r#""string""#, "x"));
        assert!(plain.is_some());
        assert!(plain == CanonicalSchema::of(&text(r#"{"type":"string"}"#, "y")));
        assert!(plain != CanonicalSchema::of(&text(r#"{"type":"string","logicalType":"uuid"}"#, "x")));
        assert!(plain != CanonicalSchema::of(&text(r#""long""#, "x")));
        let decimal = |scale: u32| {
            let ty = format!(
                r#"{{"type":"map","values":{{"type":"bytes","logicalType":"decimal","precision":9,"scale":{scale}}}}}"#
            );
            CanonicalSchema::of(&text(&ty, "x"))
        };
        assert!(decimal(2).is_some() && decimal(2) == decimal(2) && decimal(2) != decimal(3));
        assert!(CanonicalSchema::of("{").is_none());
    }
}
