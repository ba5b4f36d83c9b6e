//! What the schemas say for those who read them, and that it changes nothing for programs.

use serde_json::Value;

use crate::catalog::Catalog;

#[test]
fn every_type_record_and_field_has_a_doc_and_snake_case_names() {
    let catalog = Catalog::load(None).unwrap();
    for event_type in catalog.profiles.values().flat_map(|p| p.types.values()) {
        for schema in event_type.schemas() {
            assert_documented(&serde_json::from_str(&schema.text).unwrap());
        }
        let words = event_type.name.split(['.', '_']);
        let pascal: String = words.map(|w| w[..1].to_uppercase() + &w[1..]).collect();
        assert!(event_type.schema.name.ends_with(&format!(".{pascal}")), "{}", event_type.schema.name);
    }
}

fn assert_documented(ty: &Value) {
    match ty {
        Value::Array(branches) => branches.iter().for_each(assert_documented),
        Value::Object(object) if object.contains_key("fields") => {
            assert!(ty["doc"].as_str().is_some_and(|d| d.len() > 5), "{}", ty["name"]);
            for field in ty["fields"].as_array().unwrap() {
                let name = field["name"].as_str().unwrap();
                let doc = field["doc"].as_str().unwrap_or_default();
                assert!(doc.len() >= 25 && doc.ends_with('.'), "{}.{name}: write for an analyst: {doc:?}", ty["name"]);
                assert_says_what_it_counts(field, doc);
                assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
                assert_documented(&field["type"]);
            }
        }
        Value::Object(object) => object.get("items").into_iter().for_each(assert_documented),
        _ => {}
    }
}

/// A number says its unit or meaning, or that the vendor does not; known values stand in the doc and, for programs, beside it.
fn assert_says_what_it_counts(field: &Value, doc: &str) {
    let types = field["type"].as_array().map_or([&field["type"], &field["type"]], |union| [&union[0], &union[1]]);
    let items = &types[1]["items"];
    let is_number = types.iter().chain([&items]).any(|ty| ["long", "double"].iter().any(|word| *ty == word));
    let values: Vec<&Value> = field["hookbridge.values"].as_array().into_iter().flatten().collect();
    if is_number && values.is_empty() {
        let says = ["vendor", "Identifier", "in bytes"];
        assert!(says.iter().any(|word| doc.contains(word)), "{}: what does it count? {doc:?}", field["name"]);
    }
    assert_eq!(!values.is_empty(), doc.contains("Known values") || doc.contains("1 = "), "{doc:?}");
    for entry in values {
        let value = entry["value"].as_str().map_or_else(|| entry["value"].to_string(), str::to_owned);
        let said = entry["meaning"].as_str().map_or_else(|| value.clone(), |meaning| format!("{value} = {meaning}"));
        assert!(doc.contains(&said), "{said}: not in {doc:?}");
        assert_eq!(entry["value"].is_i64(), is_number, "{doc:?}");
    }
}

/// What an earlier version registered: without what is only for those who read the text.
fn without_notes(ty: &Value) -> Value {
    match ty {
        Value::Array(items) => items.iter().map(without_notes).collect(),
        Value::Object(object) => {
            let kept = object.iter().filter(|(key, _)| {
                let notes = ["doc", "hookbridge.values", "connect.name", "connect.version"];
                !notes.contains(&key.as_str())
            });
            kept.map(|(key, value)| (key.clone(), without_notes(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn docs_and_names_for_sinks_change_nothing_for_readers() {
    use apache_avro::schema_compatibility::SchemaCompatibility;
    let catalog = Catalog::load(None).unwrap();
    for event_type in catalog.profiles.values().flat_map(|profile| profile.types.values()) {
        for schema in event_type.schemas() {
            let bare = without_notes(&serde_json::from_str(&schema.text).unwrap()).to_string();
            let [with, without] = [&schema.text, &bare].map(|text| apache_avro::Schema::parse_str(text).unwrap());
            assert_eq!(with.canonical_form(), without.canonical_form());
            SchemaCompatibility::mutual_read(&with, &without).unwrap();
            let uuids = schema.text.matches(r#""logicalType":"uuid""#).count();
            let named = r#""logicalType":"uuid","connect.name":"io.debezium.data.Uuid","connect.version":1"#;
            assert_eq!(schema.text.matches(named).count(), uuids, "{}", schema.name);
        }
    }
}
