//! What schemas leave open, and what a person says beside: keys, types that no schema shows, depth.

use super::*;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A schema of one type, `o.a`, with these members more.
fn one_type(more: &Value) -> Value {
    let mut schema = json!({"$schema": DIALECT, "type": "object", "required": ["type", "id"], "properties": {"type": {"const": "o.a"}, "id": {"type": "string"}}});
    for (name, member) in more.as_object().unwrap() {
        schema["properties"][name] = member.clone();
    }
    schema
}

#[test]
fn what_is_nested_deeper_than_a_catalog_takes_is_json() {
    let mut inner = json!({"type": "string"});
    for _ in 0..40 {
        inner = json!({"type": "array", "items": {"type": "object", "properties": {"a": inner}}});
    }
    let made = drafted(&given(&[("a.json", one_type(&json!({"d": inner})))]));
    assert!(profile(&made.files).types.contains_key("o.a"));
    assert!(
        made.notes.iter().any(|note| note.ends_with("its schema is nested too deep, so JSON text")),
        "{:?}",
        made.notes
    );

    let mut chained = one_type(&json!({"d": {"$ref": "#/$defs/d0"}}));
    for at in 0..300 {
        chained["$defs"][format!("d{at}")] =
            json!({"type": "object", "properties": {"n": {"$ref": format!("#/$defs/d{}", at + 1)}}});
    }
    chained["$defs"]["d300"] = json!({"type": "string"});
    let made = drafted(&given(&[("a.json", chained)]));
    assert!(profile(&made.files).types.contains_key("o.a"));
    assert!(
        made.notes.iter().any(|note| note.ends_with("its schema is nested too deep, so JSON text")),
        "{:?}",
        made.notes
    );
}

#[test]
fn a_number_that_is_the_key_is_a_whole_one_unless_something_contradicts() {
    let key = |schema: Value, keys: Vec<(Option<String>, String)>| {
        let inputs = Inputs { keys, ..given(&[("a.json", schema)]) };
        let made = drafted(&inputs);
        let noted = made.notes.iter().any(|note| note.contains("it is the key, so it is taken for a whole one"));
        if !made.files.is_empty() {
            let now = profile(&made.files);
            let base = Base { files: &made.files, profile: &now };
            let twice = draft(&inputs, &[], Some(&base), &SeenExtras::default()).unwrap();
            assert!(twice.files.is_empty() && twice.misfits.is_empty(), "{:?} {:?}", twice.files, twice.misfits);
        }
        (made.types[0].new.as_ref().map(|new| new.key.clone()), noted)
    };
    let found = |path: &str, noted: bool| (Some(path.to_owned()), noted);
    let named = |path: &str| vec![(None, path.to_owned())];
    let number = json!({"id": {"type": "number"}});
    assert_eq!(key(one_type(&number), Vec::new()), found("id", true));
    assert_eq!(key(one_type(&number), named("id")), found("id", true));
    assert_eq!(key(one_type(&json!({"id": {"type": "number", "format": "int64"}})), Vec::new()), found("id", false));
    assert_eq!(key(one_type(&json!({"id": {"type": "number", "multipleOf": 0.5}})), named("id")), (None, false));
    let mut other = one_type(&json!({"id": {"type": "boolean"}, "weight": {"type": "number"}}));
    other["required"] = json!(["type", "weight"]);
    assert_eq!(key(other.clone(), Vec::new()), (None, false));
    assert_eq!(key(other, named("weight")), found("weight", true));
    // A sample with a fraction.
    let inputs = given(&[("a.json", one_type(&number))]);
    let made = draft(&inputs, &samples(&[json!({"type": "o.a", "id": 1.5})]), None, &SeenExtras::default()).unwrap();
    assert!(made.files.is_empty() && made.left_out.len() == 1, "{:?}", made.left_out);
    assert_eq!(field(&drafted(&inputs).files, "OA", "id")["type"], "long");
}

#[test]
fn a_key_that_leads_to_nothing_is_named() {
    let with = |of: Option<&str>, path: &str| Inputs {
        keys: vec![(of.map(str::to_owned), path.to_owned())],
        ..given(&[("a.json", one_type(&json!({"order_id": {"type": "string"}})))])
    };
    for (of, path, note) in [
        (Some("o.b"), "id", "--key o.b=id was not used: no event type `o.b` was given, only o.a"),
        (None, "nope", "--key nope was not used: no event type that was given has such a member"),
    ] {
        let made = drafted(&with(of, path));
        assert!(made.notes.iter().any(|said| said == note), "{:?}", made.notes);
    }
    let made = drafted(&with(Some("o.a"), "id"));
    assert!(!made.notes.iter().any(|said| said.contains("--key o.a")), "{:?}", made.notes);
    let now = profile(&made.files);
    let base = Base { files: &made.files, profile: &now };
    let again = |path: &str| draft(&with(None, path), &[], Some(&base), &SeenExtras::default()).unwrap().notes;
    assert_eq!(again("id"), [""; 0]);
    assert_eq!(again("order_id"), ["--key order_id was not used: o.a has the key `id` already, which stays as it is"]);
}

#[test]
fn a_type_that_a_schema_does_not_show_is_known_the_second_time() {
    let shown = one_type(&json!({"type": {"type": "string"}}));
    for (type_field, again) in [("type", Some("type")), ("meta.event", Some("meta.event")), ("type", None)] {
        let with =
            |files: &[(&str, Value)], of: Option<&str>| Inputs { type_field: of.map(str::to_owned), ..given(files) };
        let one = [("order.made.json", shown.clone())];
        let made = drafted(&with(&one, Some(type_field)));
        let now = profile(&made.files);
        let base = Base { files: &made.files, profile: &now };
        let twice = draft(&with(&one, again), &[], Some(&base), &SeenExtras::default()).unwrap();
        assert!(
            twice.files.is_empty() && twice.left_out.is_empty() && twice.misfits.is_empty(),
            "{:?} {:?}",
            twice.files,
            twice.left_out
        );
        // One more is new, and a guess.
        let two = [one[0].clone(), ("order.paid.json", shown.clone())];
        let more = draft(&with(&two, again), &[], Some(&base), &SeenExtras::default()).unwrap();
        assert_eq!(
            more.types.iter().filter_map(|ty| ty.new.as_ref()).map(|new| &*new.name).collect::<Vec<_>>(),
            ["order.paid"]
        );
        assert!(
            more.notes.iter().any(|note| note.contains("\"order.paid\" is a guess by its name")),
            "{:?}",
            more.notes
        );
    }
}

#[test]
fn a_member_with_a_dot_in_its_name_does_not_determine_the_type() {
    let schema = json!({"$schema": DIALECT, "type": "object", "properties": {"event.type": {"const": "p.a"}, "id": {"type": "string"}}});
    let listed = json!({"$schema": DIALECT, "type": "object", "properties": {"event.type": {"enum": ["p.a", "p.b"]}, "id": {"type": "string"}}});
    for schema in [schema, listed] {
        let inputs = given(&[("a.json", schema)]);
        let error = refused(&inputs);
        assert!(error.contains("`event.type` looks like the member") && error.contains("--type-header"), "{error}");
        let error = refused(&Inputs { type_field: Some("event.type".into()), ..inputs });
        assert!(error.contains("`event.type` looks like the member"), "{error}");
    }
    let sample = |body: Value| draft(&inputs(), &samples(&[body]), None, &SeenExtras::default());
    let error = sample(json!({"event.type": "p.a", "id": "1"})).err().unwrap().to_string();
    assert!(error.starts_with("0: `event.type` looks like the member"), "{error}");
    let made = sample(json!({"event.type": "p.a", "id": "1", "kind": "p.b"})).unwrap();
    assert!(made.notes.iter().any(|note| note.starts_with("`event.type` does not determine")), "{:?}", made.notes);
    assert!(profile(&made.files).types.contains_key("p.b"));
}
