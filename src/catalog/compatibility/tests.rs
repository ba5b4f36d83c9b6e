//! What counts as a change that another version's readers or writers cannot live with.

use serde_json::json;

use super::*;

/// What is found between two records of these fields.
fn between(old: &Value, new: &Value) -> Vec<String> {
    let record = |fields: &Value| json!({"type": "record", "name": "A", "namespace": "x", "fields": fields});
    incompatibilities(&record(old), &record(new)).iter().map(ToString::to_string).collect()
}

/// What is found between two types of one field.
fn retyped(old: &Value, new: &Value) -> Vec<String> {
    between(&json!([{"name": "f", "type": old}]), &json!([{"name": "f", "type": new}]))
}

/// That each of these is one finding which begins with the field and holds the words, and none between equal ones.
fn each_is_found(cases: &[(Value, Value, &str)]) {
    for (old, new, words) in cases {
        let found = retyped(old, new);
        assert!(found.len() == 1 && found[0] == format!("f (in x.A): {words}"), "{old} {new}: {found:#?}");
        assert!(retyped(old, old).is_empty() && retyped(new, new).is_empty());
    }
}

#[test]
fn docs_attributes_orders_and_fields_that_can_be_filled_in_are_fine() {
    let old = json!([
        {"name": "a", "type": "string"},
        {"name": "b", "type": ["null", "long"], "default": null, "doc": "One."},
    ]);
    let new = json!([
        {"name": "b", "type": ["long", "null"], "default": null, "doc": "Two.", "json": "B"},
        {"name": "c", "type": ["null", "double"], "default": null, "aliases": ["c0"]},
        {"name": "d", "type": "int", "default": 0},
        {"name": "a", "type": {"type": "string", "any": 1}, "default": ""},
    ]);
    assert_eq!(between(&old, &new), [""; 0]);
    let symbols = |symbols: &Value| json!({"type": "enum", "name": "E", "symbols": symbols, "default": "A"});
    assert_eq!(retyped(&symbols(&json!(["A", "B"])), &symbols(&json!(["C", "B", "A"]))), [""; 0]);
}

#[test]
fn a_removed_field_is_found_and_what_it_may_be_called_now() {
    let optional = |name: &str, ty: &str| json!({"name": name, "type": ["null", ty], "default": null});
    let old = json!([optional("title", "string"), optional("size", "long")]);
    for (new, words) in [
        (json!([optional("size", "long")]), "title (in x.A): removed"),
        (
            json!([optional("name", "string"), optional("size", "long"), optional("at", "long")]),
            "title (in x.A): removed, or renamed to name",
        ),
        (
            json!([optional("a", "string"), optional("b", "string"), optional("size", "long")]),
            "title (in x.A): removed",
        ),
        (
            json!([
                optional("a", "string"),
                {"name": "b", "type": ["null", "string"], "default": null, "aliases": ["title"]},
                optional("size", "long"),
            ]),
            "title (in x.A): removed, or renamed to b",
        ),
    ] {
        assert_eq!(between(&old, &new), [words], "{new}");
    }
}

#[test]
fn a_field_is_not_made_required_nor_added_as_required() {
    let nullable = json!(["null", "string"]);
    each_is_found(&[
        (nullable.clone(), json!("string"), MADE_REQUIRED),
        (json!("string"), nullable.clone(), MADE_NULLABLE),
    ]);
    let with_default = json!([{"name": "f", "type": nullable, "default": null}]);
    assert_eq!(
        between(&with_default, &json!([{"name": "f", "type": nullable}])),
        ["f (in x.A): made required: its default null was removed"]
    );
    assert_eq!(
        between(&with_default, &json!([{"name": "f", "type": "string"}])),
        [format!("f (in x.A): {MADE_REQUIRED}")]
    );
    let added = between(&json!([]), &json!([{"name": "f", "type": "string"}]));
    assert!(added.len() == 1 && added[0].starts_with("f (in x.A): required and new"), "{added:?}");
}

#[test]
fn a_type_does_not_change_not_even_to_one_that_can_be_read_as_it() {
    let one_way = "; Avro reads the one as the other, but not the other way round";
    let named = |kind: &str, name: &str| json!({"type": kind, "name": name, "size": 4, "symbols": ["A"], "fields": []});
    each_is_found(&[
        (json!("string"), json!("long"), "type changed from string to long"),
        (json!("int"), json!("long"), &format!("type changed from int to long{one_way}")),
        (json!("double"), json!("float"), &format!("type changed from double to float{one_way}")),
        // Avro reads these as each other, and yet it is another type.
        (json!("string"), json!("bytes"), "type changed from string to bytes"),
        (json!(["null", "string"]), json!(["null", "long"]), "type changed from string to long"),
        (json!("string"), named("enum", "y.E"), "type changed from string to enum y.E"),
        (named("record", "B"), named("record", "y.B"), "type changed from record x.B to record y.B"),
        (named("record", "B"), json!("string"), "type changed from record x.B to string"),
        (json!("long"), json!({"type": "array", "items": "long"}), "type changed from long to array of long"),
    ]);
}

#[test]
fn logical_and_semantic_types_sizes_and_precisions_do_not_change() {
    let logical = |ty: &str, logical: &str| json!({"type": ty, "logicalType": logical});
    let decimal =
        |precision: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 2});
    let fixed = |size: u32| json!({"type": "fixed", "name": "F", "size": size});
    let text = json!({"type": "string", "connect.name": "J"});
    each_is_found(&[
        (json!("long"), logical("long", "timestamp-millis"), "type changed from long to long (timestamp-millis)"),
        (
            logical("long", "timestamp-millis"),
            logical("long", "timestamp-micros"),
            "type changed from long (timestamp-millis) to long (timestamp-micros)",
        ),
        (decimal(9), decimal(8), "type changed from bytes (decimal 9, 2) to bytes (decimal 8, 2)"),
        (fixed(4), fixed(8), "type changed from fixed x.F of 4 bytes to fixed x.F of 8 bytes"),
        (text, json!("string"), "type changed from string (J) to string"),
    ]);
    // What a logical type says already may be said to sinks as well.
    let told = json!({"type": "string", "logicalType": "uuid", "connect.name": "io.debezium.data.Uuid"});
    assert_eq!(retyped(&logical("string", "uuid"), &told), [""; 0]);
}

#[test]
fn no_type_that_a_field_may_have_becomes_another_one() {
    let logical = |ty: &str, logical: &str| json!({"type": ty, "logicalType": logical});
    let decimal = |scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": scale});
    // Written without a scale, a decimal has the scale 0.
    let whole = json!({"type": "bytes", "logicalType": "decimal", "precision": 9});
    let named = |kind: &str| json!({"type": kind, "name": "N", "symbols": ["A"], "default": "A", "fields": []});
    let types = [
        json!("boolean"),
        json!("int"),
        json!("long"),
        json!("float"),
        json!("double"),
        json!("string"),
        json!("bytes"),
        logical("string", "uuid"),
        json!({"type": "string", "connect.name": "io.debezium.data.Json"}),
        decimal(2),
        decimal(3),
        whole.clone(),
        json!({"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}),
        logical("int", "date"),
        logical("int", "time-millis"),
        logical("long", "time-micros"),
        logical("long", "timestamp-millis"),
        logical("long", "timestamp-micros"),
        named("enum"),
        named("record"),
        json!({"type": "array", "items": "long"}),
        json!({"type": "map", "values": "long"}),
    ];
    let around: [fn(&Value) -> Value; 4] = [
        Value::clone,
        |ty| json!(["null", ty]),
        |ty| json!({"type": "array", "items": ty}),
        |ty| json!({"type": "map", "values": ["null", ty]}),
    ];
    for (old, new) in types.iter().flat_map(|old| types.iter().map(move |new| (old, new))) {
        for around in around {
            let found = retyped(&around(old), &around(new));
            assert_eq!(found.is_empty(), old == new, "{old} {new}: {found:?}");
            assert!(found.iter().all(|words| words.contains(": type changed from ")), "{old} {new}: {found:?}");
        }
    }
    assert_eq!(retyped(&whole, &decimal(0)), [""; 0]);
    let map = |of: Value| json!({"type": "map", "values": of});
    assert_eq!(
        retyped(&map(json!(["null", "long"])), &map(json!("long"))),
        [format!("f{{}} (in x.A): {MADE_REQUIRED}")]
    );
    // How senders spell an instant, or a symbol, is nothing to readers.
    let spelled = json!({"type": "long", "logicalType": "timestamp-millis", "format": "%d/%m/%Y %H:%M"});
    assert_eq!(retyped(&logical("long", "timestamp-millis"), &spelled), [""; 0]);
}

#[test]
fn branches_and_symbols_are_neither_added_nor_removed() {
    let symbols = |symbols: &Value| json!({"type": "enum", "name": "E", "symbols": symbols});
    let with_default = |default: &str| json!({"type": "enum", "name": "E", "symbols": ["A", "B"], "default": default});
    each_is_found(&[
        (
            json!(["null", "string"]),
            json!(["null", "string", "long"]),
            "long added to its types: readers of the other version do not know it",
        ),
        (json!(["string", "long"]), json!(["string"]), "long removed from its types"),
        (
            symbols(&json!(["A"])),
            symbols(&json!(["A", "B", "C"])),
            "symbols added: B, C; the other version has no default to read them as",
        ),
        (
            symbols(&json!(["A", "B"])),
            symbols(&json!(["A"])),
            "symbols removed: B; this version has no default to read them as",
        ),
        (
            symbols(&json!(["A"])),
            with_default("A"),
            "symbols added: B; the other version has no default to read them as",
        ),
        (
            with_default("A"),
            json!({"type": "enum", "name": "E", "symbols": ["A", "C"], "default": "A"}),
            "symbols removed: B; records that have them would read as A",
        ),
        (with_default("A"), with_default("B"), r#"default of the enum changed from "A" to "B""#),
    ]);
}

#[test]
fn a_default_does_not_change() {
    let with = |ty: &Value, default: &Value| json!([{"name": "f", "type": ty, "default": default}]);
    let (long, double) = (json!("long"), json!("double"));
    let (nullable, other_order) = (json!(["null", "string"]), json!(["string", "null"]));
    for (old, new, words) in [
        (with(&long, &json!(0)), with(&long, &json!(1)), "default changed from 0 to 1"),
        (with(&nullable, &json!(null)), with(&other_order, &json!("")), r#"default changed from null to """#),
    ] {
        assert_eq!(between(&old, &new), [format!("f (in x.A): {words}")]);
    }
    assert_eq!(between(&with(&double, &json!(0)), &with(&double, &json!(0.0))), [""; 0]);
}

#[test]
fn an_alias_takes_no_field_away_from_another() {
    let old = json!([{"name": "a", "type": "long"}]);
    let new = json!([{"name": "a", "type": "long"}, {"name": "b", "type": "long", "default": 0, "aliases": ["a"]}]);
    let reason = "its alias a is another field of the other version, whose values it would take";
    assert_eq!(between(&old, &new), [format!("b (in x.A): {reason}")]);
}

#[test]
fn what_is_within_is_found_by_its_path_and_its_record() {
    let top = |leaf: &str| {
        let leaf = json!({"type": "record", "name": "y.Leaf", "fields": [
            {"name": "v", "type": leaf},
            {"name": "again", "type": ["null", "Leaf"], "default": null},
        ]});
        json!([
            {"name": "one", "type": ["null", {"type": "record", "name": "Mid", "fields": [
                {"name": "many", "type": {"type": "array", "items": leaf}},
            ]}]},
            {"name": "two", "type": {"type": "map", "values": "y.Leaf"}},
        ])
    };
    let found = between(&top("long"), &top("string"));
    assert_eq!(found, ["one.many[].v (in y.Leaf): type changed from long to string"]);
    let map = |of: &str| json!({"type": "map", "values": of});
    assert_eq!(retyped(&map("long"), &map("string")), ["f{} (in x.A): type changed from long to string"]);
}

#[test]
fn schemas_that_are_no_records_are_compared_too() {
    let found =
        |old: Value, new: Value| incompatibilities(&old, &new).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(found(json!("string"), json!("long")), ["type changed from string to long"]);
    let record = json!({"type": "record", "name": "x.A", "fields": []});
    let other = json!({"type": "record", "name": "x.B", "fields": []});
    assert_eq!(found(record.clone(), other), ["type changed from record x.A to record x.B"]);
    assert_eq!(found(json!({"type": "object"}), record), ["type changed from object to record x.A"]);
}

/// Every schema of the catalog.
fn catalog() -> Vec<Value> {
    let catalog = crate::catalog::Catalog::load(None).unwrap();
    let types = catalog.profiles.values().flat_map(|profile| profile.types.values());
    let schemas = types.flat_map(crate::catalog::EventType::schemas);
    schemas.map(|schema| serde_json::from_str(&schema.text).unwrap()).collect()
}

/// Where in `ty` each record's list of fields is.
fn places(ty: &Value, at: &str, found: &mut Vec<String>) {
    for (index, branch) in ty.as_array().into_iter().flatten().enumerate() {
        places(branch, &format!("{at}/{index}"), found);
    }
    for (index, field) in ty["fields"].as_array().into_iter().flatten().enumerate() {
        places(&field["type"], &format!("{at}/fields/{index}/type"), found);
    }
    if ty["fields"].is_array() {
        found.push(at.to_owned());
    }
    if let Some(items) = ty.get("items") {
        places(items, &format!("{at}/items"), found);
    }
}

#[test]
fn every_schema_of_the_catalog_goes_with_itself_however_names_are_written() {
    for ours in catalog() {
        assert_eq!(incompatibilities(&ours, &with_full_names(&ours)), []);
    }
}

#[test]
fn every_change_of_every_field_of_the_catalog_is_found_where_it_is() {
    let mut seen = BTreeSet::new();
    for ours in catalog() {
        let mut records = Vec::new();
        places(&ours, "", &mut records);
        for at in records {
            let record = ours.pointer(&at).unwrap();
            let full_name = format!("{}.{}", record["namespace"].as_str().unwrap(), record["name"].as_str().unwrap());
            for index in 0..record["fields"].as_array().unwrap().len() {
                let field = &record["fields"][index];
                let name = field["name"].as_str().unwrap().to_owned();
                // Its type may define what is used further on, so only plain ones are changed in more than their names.
                let is_plain = !field["type"].to_string().contains("\"fields\"");
                if !seen.insert((full_name.clone(), name.clone(), is_plain)) {
                    continue;
                }
                let mut changes = vec![json!({"name": format!("{name}_was"), "type": field["type"], "default": null})];
                if is_plain {
                    let symbols = json!({"type": "enum", "name": "Was", "symbols": ["A"]});
                    changes.extend([
                        json!({"name": name, "type": symbols}),
                        json!({"name": name, "type": ["int", "null"]}),
                    ]);
                }
                for change in changes {
                    let mut old = ours.clone();
                    old.pointer_mut(&at).unwrap()["fields"][index] = change.clone();
                    let found = incompatibilities(&old, &ours);
                    assert!(!found.is_empty(), "{full_name}.{name} was {change}");
                    for Incompatibility { record, field, .. } in &found {
                        let last = field.rsplit('.').next().unwrap();
                        assert!(
                            *record == full_name && last.starts_with(&name),
                            "{full_name}.{name} was {change}: {found:?}"
                        );
                    }
                }
            }
        }
    }
    assert!(seen.len() > 300, "{}", seen.len());
}
