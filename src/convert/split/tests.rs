//! Deliveries taken apart, held against a tree of values.

use std::fs;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::catalog::Catalog;

/// A vendor that splits at these paths, up to four events.
fn vendor(paths: &[&str]) -> Arc<Profile> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("loja");
    fs::create_dir(&folder).unwrap();
    let split: String = paths.iter().map(|path| format!("[[split]]\npath = {path:?}\nmost = 4\n")).collect();
    let profile = format!(
        "{split}[verify]\nmethod = \"token\"\nheader = \"x-token\"\n[[recognise]]\ndefault = \"a\"\n[types]\n\
        a = {{ record = \"A\", topic = \"a\", key = \"id\", time = [] }}"
    );
    let record = r#"{"type":"record","namespace":"loja","name":"A","fields":[{"name":"event","type":"hookbridge.Event"},
        {"name":"id","type":"long"},{"name":"extra","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null}]}"#;
    fs::write(folder.join("profile.toml"), profile).unwrap();
    fs::write(folder.join("A.avsc"), record).unwrap();
    let catalog = Catalog::load(Some(dir.path())).unwrap_or_else(|error| panic!("{error}"));
    Arc::clone(&catalog.profiles["loja"])
}

/// The bodies of the events in `body`; `None` where it is one event.
fn events(profile: &Profile, body: &str) -> Result<Option<Vec<String>>, String> {
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
    let slices =
        slices(&doc, profile, 1000).map_err(|rejection| format!("{}: {}", rejection.reason.code(), rejection.error))?;
    let text = |slice: Slice| String::from_utf8(slice.text(body.as_bytes())).unwrap();
    Ok(slices.map(|slices| slices.into_iter().map(text).collect()))
}

#[test]
fn each_element_stands_where_its_array_stood_and_all_else_as_it_is_spelled() {
    let profile = vendor(&["entry.changes", "messages", "."]);
    let some = |list: &[&str]| Ok(Some(list.iter().map(|text| (*text).to_owned()).collect()));
    for (body, expected) in [
        (
            r#"{"a": 7, "entry": [{"id":1,"changes":[ {"x":1.50}, 2 ]},{"id":2,"changes":[{"x":"\u00e9"}]}], "z":0 }"#,
            some(&[
                r#"{"a": 7, "entry": {"id":1,"changes":{"x":1.50}}, "z":0 }"#,
                r#"{"a": 7, "entry": {"id":1,"changes":2}, "z":0 }"#,
                r#"{"a": 7, "entry": {"id":2,"changes":{"x":"\u00e9"}}, "z":0 }"#,
            ]),
        ),
        // An object on the way is passed, and what leads to no element stays whole: nothing is lost.
        (r#"{"entry":{"changes":[1]}}"#, some(&[r#"{"entry":{"changes":1}}"#])),
        (
            r#"{"entry":[{"id":1,"changes":[]},{"id":2},3,{"changes":[4]}]}"#,
            some(&[
                r#"{"entry":{"id":1,"changes":[]}}"#,
                r#"{"entry":{"id":2}}"#,
                r#"{"entry":3}"#,
                r#"{"entry":{"changes":4}}"#,
            ]),
        ),
        (
            r#"{"messages":[1,2],"entry":[{}]}"#,
            some(&[r#"{"messages":1,"entry":[{}]}"#, r#"{"messages":2,"entry":[{}]}"#]),
        ),
        ("[ 1 ,[2], {}]", some(&["1", "[2]", "{}"])),
        (r#"{"messages":[]}"#, Ok(None)),
        (r#"{"messages":{"a":[1]}}"#, Ok(None)),
        ("[]", Ok(None)),
        ("7", Ok(None)),
        ("{}", Ok(None)),
        (
            r#"{"messages":[1,2,3,4]}"#,
            some(&[1, 2, 3, 4].map(|n| format!("{{\"messages\":{n}}}")).each_ref().map(String::as_str)),
        ),
    ] {
        assert_eq!(events(&profile, body), expected, "{body}");
    }
}

#[test]
fn what_cannot_be_taken_apart_is_a_dead_letter_as_a_whole() {
    let profile = vendor(&["messages"]);
    for (body, expected) in [
        (r#"{"messages":[1,2,3,4,5]}"#.to_owned(), "too_many_events: messages: more than 4 events in one delivery"),
        (r#"{"messages":[1],"messages":[2]}"#.into(), "schema_violation: messages: `messages` occurs twice"),
        (
            format!(r#"{{"around":"{}","messages":[1,2,3,4]}}"#, "x".repeat(5000)),
            "record_too_large: its 4 events have 20104 bytes together",
        ),
    ] {
        let words = events(&profile, &body).unwrap_err();
        assert!(words.starts_with(expected), "{words}");
    }
}

static NESTED: LazyLock<Arc<Profile>> = LazyLock::new(|| vendor(&["a.b"]));

/// JSON in which the path has a chance.
fn body() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(json!(null)), Just(json!([])), Just(json!({"c": [1]})), any::<u8>().prop_map(|n| json!(n))];
    let list = |item: BoxedStrategy<Value>| prop::collection::vec(item, 0..3).prop_map(Value::Array);
    let b = prop_oneof![leaf.clone(), list(leaf.clone().boxed())];
    let a = prop_oneof![leaf.clone(), b.prop_map(|b| json!({"x": 1, "b": b, "y": [2]}))].boxed();
    let a = prop_oneof![a.clone(), list(a)];
    a.prop_map(|a| json!({"before": [1], "a": a, "z": null}))
}

/// The same by a tree of values.
fn by_tree(value: &Value, steps: &[&str], at_end: bool) -> Vec<Value> {
    if let Value::Array(items) = value
        && !items.is_empty()
        && at_end
    {
        return items.iter().flat_map(|item| by_tree(item, steps, false)).collect();
    }
    let (Some((step, rest)), Some(object)) = (steps.split_first(), value.as_object()) else {
        return vec![value.clone()];
    };
    let Some(inner) = object.get(*step) else { return vec![value.clone()] };
    let with = |inner: Value| {
        let mut object = object.clone();
        object.insert((*step).to_owned(), inner);
        Value::Object(object)
    };
    by_tree(inner, rest, true).into_iter().map(with).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn the_text_is_split_as_a_tree_of_values_would_be(body in body()) {
        match events(&NESTED, &body.to_string()) {
            Ok(Some(events)) => {
                let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
                prop_assert_eq!(&events, &by_tree(&body, &["a", "b"], false));
                // None of them is taken apart again.
                for event in events {
                    let again = events_of_part(&event);
                    prop_assert!(again.is_none() || event["a"]["b"].is_array());
                }
            }
            Ok(None) => prop_assert!(by_tree(&body, &["a", "b"], false).iter().all(|event| !matches!(&event["a"]["b"], Value::Number(_)) || *event == body || event["a"] != body["a"])),
            Err(words) => prop_assert!(words.starts_with("too_many_events") && by_tree(&body, &["a", "b"], false).len() > 4),
        }
    }
}

fn events_of_part(event: &Value) -> Option<Vec<String>> {
    events(&NESTED, &event.to_string()).unwrap()
}
