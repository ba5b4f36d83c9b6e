//! The text of `.avsc` files: new ones, and new fields in those that are there, all else of which stays byte for byte.

use serde_json::{Value, json};

use super::known::Declared;
use super::layout::NewField;
use crate::values::json::{Document, MAX_DEPTH, Node};

const EXTRA_DOC: &str = "What this schema has no place for at this level, and values that did not fit their field: one JSON object, \
                         keys as sent, values verbatim. Null when there is nothing.";

/// What a record is for.
pub(super) enum RecordUse<'a> {
    /// That of events of this type.
    Event(&'a str),
    /// Within others.
    Part,
}

/// The text of a new file.
pub(super) fn new_file(
    profile: &str,
    name: &str,
    used: &RecordUse<'_>,
    doc: Option<&str>,
    fields: &[NewField],
) -> String {
    let mut lines = Vec::new();
    let doc = match used {
        RecordUse::Event(event_type) => {
            let head = "What every event has: its id, type, source, entity and times.";
            lines.push(spaced(&json!({"name": "event", "type": "hookbridge.Event", "doc": head})));
            format!("{event_type}: {}", doc.unwrap_or("TODO: when it is sent."))
        }
        RecordUse::Part => doc.unwrap_or("TODO: what it is.").to_owned(),
    };
    lines.extend(fields.iter().map(|new| field(profile, new)));
    lines.push(spaced(&json!({"name": "extra", "type": ["null", json_text()], "default": null, "doc": EXTRA_DOC})));
    format!(
        "{{\n  \"type\": \"record\",\n  \"namespace\": \"{profile}\",\n  \"name\": \"{name}\",\n  \"doc\": {},\n  \"fields\": [\n    {}\n  ]\n}}\n",
        Value::from(doc),
        lines.join(",\n    ")
    )
}

/// `text` with `fields` before its last field, which is `extra`; `None` where it has no such field.
pub(super) fn with_fields(profile: &str, text: &str, fields: &[NewField]) -> Option<String> {
    let doc = Document::scan(text.as_bytes(), MAX_DEPTH).ok()?;
    let last = doc.items(doc.get(Node::ROOT, "fields")?).last()?;
    let is_extra = doc.get(last, "name").is_some_and(|name| doc.spells(name, "extra"));
    let at = doc.span(last).start;
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    let indent = if line.trim().is_empty() { format!("\n{line}") } else { " ".to_owned() };
    let new: String = fields.iter().map(|new| format!("{},{indent}", field(profile, new))).collect();
    is_extra.then(|| format!("{}{new}{}", &text[..at], &text[at..]))
}

fn field(profile: &str, field: &NewField) -> String {
    let mut written = json!({"name": field.name});
    if field.json != field.name {
        written["json"] = field.json.as_str().into();
    }
    if field.required {
        written["type"] = ty(profile, &field.ty);
    } else {
        written["type"] = json!(["null", ty(profile, &field.ty)]);
        written["default"] = Value::Null;
    }
    let doc = field.doc.clone().unwrap_or_else(|| format!("TODO: what `{}` is.", field.json));
    written["doc"] = doc.into();
    spaced(&written)
}

fn json_text() -> Value {
    json!({"type": "string", "connect.name": "io.debezium.data.Json", "connect.version": 1})
}

fn ty(profile: &str, of: &Declared) -> Value {
    match of {
        Declared::Boolean => "boolean".into(),
        Declared::Long => "long".into(),
        Declared::Double => "double".into(),
        Declared::Uuid => {
            json!({"type": "string", "logicalType": "uuid", "connect.name": "io.debezium.data.Uuid", "connect.version": 1})
        }
        Declared::Timestamp => json!({"type": "long", "logicalType": "timestamp-millis"}),
        Declared::Date => json!({"type": "int", "logicalType": "date"}),
        Declared::Json => json_text(),
        Declared::Record(name) => format!("{profile}.{name}").into(),
        Declared::Array(items) => json!({"type": "array", "items": ty(profile, items)}),
        // No other type is ever inferred.
        Declared::String | Declared::Other => "string".into(),
    }
}

/// On one line, with a space behind each colon and comma, as the files of the built-in profiles are.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), spaced(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_field_stands_before_extra_and_all_else_stays() {
        let new =
            NewField { json: "newOne".into(), name: "new_one".into(), ty: Declared::Long, required: false, doc: None };
        let added = r#"{"name": "new_one", "json": "newOne", "type": ["null", "long"], "default": null, "doc": "TODO: what `newOne` is."}"#;
        for (before, after) in [
            ("{\"fields\": [\n\t{\"name\": \"a\"  },\n\t", "{\"name\":\"extra\" }\n] }"),
            ("{\"fields\":[{\"name\":\"a\"},", "{\"name\":\"extra\"}]}"),
        ] {
            let indent = if before.ends_with('\t') { "\n\t" } else { " " };
            let expected = format!("{before}{added},{indent}{after}");
            assert_eq!(with_fields("x", &format!("{before}{after}"), std::slice::from_ref(&new)), Some(expected));
        }
        assert_eq!(with_fields("x", "{\"fields\":[{\"name\":\"a\"}]}", &[new]), None);
    }
}
