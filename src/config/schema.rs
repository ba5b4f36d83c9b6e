//! The JSON Schema of `hookbridge.toml`, made from the types that read it, for editors; and the keys there are.

use std::collections::BTreeSet;

use schemars::Schema;
use serde_json::Value;

use super::written::WrittenSettings;
use crate::values::toml_schema::schema_of;

/// What stands for the name of a source in [`known_keys`].
pub(super) const ANY_NAME: &str = "*";

/// Sections whose keys are names that others gave.
pub(super) const FOREIGN: [&str; 3] = ["kafka.properties", "media.options", "tracing.otlp_headers"];

/// The JSON Schema of `hookbridge.toml`.
pub(crate) fn settings_schema() -> Schema {
    schema_of::<WrittenSettings>()
}

/// Every key of `hookbridge.toml`, such as `kafka.partitions`; sections too, and `*` for what has names of its own.
pub(super) fn known_keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    collect("", settings_schema().as_value(), &mut keys);
    keys
}

/// Whether a list may stand at `key`; also where nothing may, so that more is said of it than of a text.
pub(super) fn takes_list(key: &str) -> bool {
    let schema = settings_schema();
    let mut here = Some(schema.as_value());
    for part in key.split('.') {
        here = here.and_then(|inner| {
            let named = inner.get("properties").and_then(|named| named.get(part));
            let any = || inner.get("additionalProperties").filter(|any| any.is_object());
            // Names of librdkafka's properties have dots.
            let is_leaf = inner.get("properties").is_none() && any().is_none();
            named.or_else(any).or(is_leaf.then_some(inner))
        });
    }
    let is_list = |schema: &Value| schema.get("type").is_some_and(|ty| ty == "array");
    here.is_none_or(|schema| {
        is_list(schema) || schema.get("anyOf").and_then(Value::as_array).is_some_and(|all| all.iter().any(is_list))
    })
}

fn collect(prefix: &str, schema: &Value, keys: &mut BTreeSet<String>) {
    let named = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let named = named.map(|(name, inner)| (name.as_str(), inner));
    // A table of texts, such as librdkafka's properties, has no keys of ours.
    let any = schema.get("additionalProperties").filter(|inner| inner.get("properties").is_some());
    for (name, inner) in named.chain(any.map(|inner| (ANY_NAME, inner))) {
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        collect(&key, inner, keys);
        keys.insert(key);
    }
}
