//! What of a body went to `extra`, found in the record that was made of it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::catalog::schema::{definitions, fields, with_full_names};
use crate::values::json::{Document, Kind, MAX_DEPTH, Node};
use crate::values::printable::clip;

/// The field that holds what has no other place, and the member of it for what stood around the payload.
const EXTRA: &str = "extra";
const ENVELOPE: &str = "$envelope";

/// A value that has no place of its own.
#[derive(Debug, Serialize)]
pub(crate) struct KeptValue {
    /// From the record on, in its fields' names; the last step is the sender's.
    pub(crate) path: String,
    /// As spelled.
    pub(crate) value: Box<RawValue>,
    pub(crate) why: String,
}

impl KeptValue {
    pub(super) fn sentence(&self) -> String {
        format!("{}: {}: {}", self.path, self.why, clip(self.value.get()))
    }
}

/// What the `extra` fields of a record hold, which `rendered` is the JSON of.
pub(super) fn kept(schema: &str, rendered: &str) -> Vec<KeptValue> {
    let (Ok(schema), Ok(doc)) =
        (serde_json::from_str::<Value>(schema), Document::scan(rendered.as_bytes(), MAX_DEPTH + 64))
    else {
        return Vec::new();
    };
    let schema = with_full_names(&schema);
    let mut search = KeptSearch { doc: &doc, names: definitions(&schema), found: Vec::new() };
    search.value(&schema, Node::ROOT, "");
    search.found
}

struct KeptSearch<'a> {
    doc: &'a Document<'a>,
    names: BTreeMap<&'a str, &'a Value>,
    found: Vec<KeptValue>,
}

impl KeptSearch<'_> {
    fn value(&mut self, ty: &Value, node: Node, path: &str) {
        let named = ty.as_str().and_then(|name| self.names.get(name).copied());
        let ty = named.unwrap_or(ty);
        if let Some(branches) = ty.as_array() {
            if self.doc.kind(node) != Kind::Null
                && let Some(branch) = branches.iter().find(|branch| *branch != "null")
            {
                self.value(branch, node, path);
            }
        } else if ty["fields"].is_array() {
            self.record(ty, node, path);
        } else if let Some(items) = ty.get("items") {
            for (at, item) in self.doc.items(node).enumerate() {
                self.value(items, item, &format!("{path}[{at}]"));
            }
        } else if let Some(values) = ty.get("values") {
            for (key, value) in self.doc.members(node) {
                self.value(values, value, &step(path, &clip(self.doc.inner(key))));
            }
        }
    }

    fn record(&mut self, record: &Value, node: Node, path: &str) {
        for field in record["fields"].as_array().into_iter().flatten() {
            let Some(name) = field["name"].as_str() else { continue };
            let Some(value) = self.doc.get(node, name) else { continue };
            if name != EXTRA {
                self.value(&field["type"], value, &step(path, name));
            } else if self.doc.kind(value) == Kind::Object {
                self.members(record, value, path);
            }
        }
    }

    /// Notes each member of an `extra`.
    fn members(&mut self, record: &Value, extra: Node, path: &str) {
        for (key, value) in self.doc.members(extra) {
            let Some(key) = self.doc.text(key).map(|key| key.text) else { continue };
            if key == ENVELOPE && self.doc.kind(value) == Kind::Object {
                for (inner, value) in self.doc.members(value) {
                    let inner = clip(self.doc.inner(inner));
                    self.note(step(&step(path, ENVELOPE), &inner), value, "not part of the payload".into());
                }
                continue;
            }
            let name = record["name"].as_str().unwrap_or_default();
            let field = fields(record).find(|field| field.json == key && field.name != EXTRA);
            let why = match field {
                Some(field) => format!("does not fit its type, {}", field.ty),
                None => format!("not a field of {name}"),
            };
            self.note(step(path, &clip(&key)), value, why);
        }
    }

    fn note(&mut self, path: String, value: Node, why: String) {
        let value = RawValue::from_string(self.doc.raw(value).to_owned()).unwrap_or_default();
        self.found.push(KeptValue { path, value, why });
    }
}

fn step(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
