//! Profiles made of JSON Schemas and OpenAPI documents: what bodies by the schema become.

use super::*;

mod left_open;

fn file(label: &str, document: &Value) -> SchemaFile {
    let name = label.trim_end_matches(".json");
    SchemaFile::read(label, name, &document.to_string()).unwrap_or_else(|| panic!("{label} is no schema"))
}

fn given(schemas: &[(&str, Value)]) -> Inputs {
    Inputs { schemas: schemas.iter().map(|(label, schema)| file(label, schema)).collect(), ..inputs() }
}

fn drafted(inputs: &Inputs) -> Draft {
    draft(inputs, &[], None, &SeenExtras::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(inputs: &Inputs) -> String {
    match draft(inputs, &[], None, &SeenExtras::default()) {
        Ok(made) => panic!("{:?}", made.files),
        Err(error) => error.to_string(),
    }
}

/// A schema with most of what schemas say.
fn order_paid() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "An order was\n  paid.",
        "type": "object",
        "required": ["type", "order", "sent_at"],
        "properties": {
            "type": {"const": "order.paid"},
            "sent_at": {"type": "string", "format": "date-time", "description": "When it was sent."},
            "order": {"$ref": "#/$defs/Order"},
            "refund_of": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/Order"}]},
            "meta": {"type": "object", "additionalProperties": {"type": "string"}},
            "anything": {},
        },
        "$defs": {
            "Order": {
                "description": "What somebody bought.",
                "allOf": [{"$ref": "#/$defs/Named"}, {"required": ["id"]}],
                "properties": {
                    "id": {"type": "integer"},
                    "amount": {"type": "integer"},
                    "weight": {"type": "number"},
                    "state": {"enum": ["open", "paid", null], "description": "How far it is."},
                    "gift": {"type": ["boolean", "null"]},
                    "day": {"type": "string", "format": "date"},
                    "ref": {"type": "string", "format": "uuid"},
                    "code": {"type": ["integer", "string"]},
                    "mixed": {"type": ["boolean", "string"]},
                    "never": {"type": "null"},
                    "later": {"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]},
                    "price": {"$ref": "#/$defs/Money"},
                    "total": {"$ref": "#/$defs/Money", "description": "With tax."},
                    "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "qty": {"type": "integer"}}}},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "parts": {"type": "array", "items": {"$ref": "#/$defs/Order"}},
                },
            },
            "Named": {"properties": {"name": {"type": "string"}}, "required": []},
            "Money": {"type": "object", "properties": {"value": {"type": "number"}, "currency": {"type": "string"}}},
        },
    })
}

fn body() -> Value {
    json!({
        "type": "order.paid",
        "sent_at": "2026-06-02T12:00:00Z",
        "order": {
            "id": 7, "amount": 3, "weight": 0.5, "state": "paid", "gift": null, "day": "2026-06-02", "code": "A7", "mixed": true, "name": "x",
            "ref": "11111111-1111-4111-8111-111111111111", "price": {"value": 1, "currency": "BRL"}, "total": {"value": 2.5, "currency": "BRL"},
            "lines": [{"sku": "a", "qty": 1}], "tags": ["b"], "parts": [{"id": 8}],
        },
        "refund_of": null,
        "meta": {"a": "b"},
        "anything": [1],
    })
}

#[test]
fn a_schema_says_types_docs_and_which_records_are_one() {
    let inputs = given(&[("order-paid.json", order_paid())]);
    let made = drafted(&inputs);
    let files: Vec<_> = made.files.keys().map(String::as_str).collect();
    assert_eq!(files, ["Line.avsc", "Money.avsc", "Order.avsc", "OrderPaid.avsc", "profile.toml"]);
    let ty = |name: &str| field(&made.files, "Order", name)["type"].clone();
    let word = |name: &str| match &ty(name)[1] {
        Value::String(word) => word.clone(),
        of => of["logicalType"].as_str().or(of["connect.name"].as_str()).or(of["type"].as_str()).unwrap().to_owned(),
    };
    assert_eq!(ty("id"), "long");
    for (name, expected) in [
        ("amount", "long"),
        ("weight", "double"),
        ("state", "string"),
        ("gift", "boolean"),
        ("day", "date"),
        ("ref", "uuid"),
        ("code", "string"),
        ("mixed", "io.debezium.data.Json"),
        ("never", "io.debezium.data.Json"),
        ("later", "timestamp-millis"),
        ("price", "acme.Money"),
        ("total", "acme.Money"),
        ("name", "string"),
    ] {
        assert_eq!(word(name), expected, "{name}");
    }
    assert_eq!(ty("tags")[1]["items"], "string");
    assert_eq!(ty("lines")[1]["items"], "acme.Line");
    // An order within an order, and so on for ever.
    assert_eq!(ty("parts")[1]["items"]["connect.name"], "io.debezium.data.Json");
    assert!(
        made.notes.contains(&"Order.parts[]: its schema refers to itself, so JSON text".into()),
        "{:?}",
        made.notes
    );
    assert!(
        made.notes.contains(&"OrderPaid.anything: its schema gives no type, so JSON text".into()),
        "{:?}",
        made.notes
    );
    let doc = |record: &str, name: &str| field(&made.files, record, name)["doc"].as_str().unwrap().to_owned();
    assert_eq!(doc("OrderPaid", "sent_at"), "When it was sent.");
    assert_eq!(doc("Order", "state"), "How far it is. One of: open, paid.");
    assert_eq!(doc("Order", "total"), "With tax.");
    assert_eq!(doc("Order", "day"), "TODO: what `day` is.");
    let record =
        |name: &str| serde_json::from_str::<Value>(&made.files[&format!("{name}.avsc")]).unwrap()["doc"].clone();
    assert_eq!(record("Order"), "What somebody bought.");
    assert_eq!(record("OrderPaid"), "order.paid: An order was paid.");
    let new = made.types[0].new.clone().unwrap();
    assert_eq!((new.key.as_str(), &new.time[..]), ("order.id", &["sent_at".to_owned()][..]));

    assert!(made.notes.iter().any(|note| note.starts_with("Order.never: null in every sample")), "{:?}", made.notes);

    // What is valid by it converts, and a second time adds nothing.
    let bodies = samples(&[body()]);
    let tried = try_out(&profile(&made.files), &bodies);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);
    let now = profile(&made.files);
    let base = Base { files: &made.files, profile: &now };
    let twice = draft(&inputs, &bodies, Some(&base), &SeenExtras::default()).unwrap();
    assert!(twice.files.is_empty() && twice.misfits.is_empty(), "{:?} {:?}", twice.files, twice.misfits);
}

#[test]
fn the_webhooks_of_an_openapi_document_are_event_types() {
    let webhook = |schema: Value| json!({"post": {"description": "It happened.", "requestBody": {"content": {"application/json": {"schema": schema}}}}});
    let event = |kind: &str| {
        json!({
            "type": "object",
            "required": ["meta", "data"],
            "properties": {
                "meta": {"type": "object", "properties": {"event": {"type": "string", "enum": [kind]}, "version": {"type": "string", "const": "v2"}}},
                "data": {"$ref": "#/components/schemas/Pet"},
            },
        })
    };
    let mut openapi = json!({
        "openapi": "3.1.0",
        "info": {"title": "Pets", "version": "1"},
        "webhooks": {"petBought": webhook(event("pet.bought")), "petFed": {"$ref": "#/components/pathItems/fed"}},
        "components": {
            "pathItems": {"fed": {"post": {"requestBody": {"$ref": "#/components/requestBodies/fed"}}}},
            "requestBodies": {"fed": {"content": {"application/vnd.pets+json": {"schema": event("pet.fed")}}}},
            "schemas": {"Pet": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "born": {"type": "string", "format": "date", "nullable": true}}}},
        },
    });
    let made = drafted(&given(&[("api.json", openapi.clone())]));
    let files: Vec<_> = made.files.keys().map(String::as_str).collect();
    assert_eq!(files, ["Meta.avsc", "Pet.avsc", "PetBought.avsc", "PetFed.avsc", "profile.toml"]);
    let toml = &made.files["profile.toml"];
    assert!(toml.contains("path = \"meta.event\"") && toml.contains("\"pet.fed\" = \"pet.fed\""), "{toml}");
    let bodies = samples(&[
        json!({"meta": {"event": "pet.fed", "version": "v2"}, "data": {"id": "p", "born": null}}),
        json!({"meta": {"event": "pet.bought"}, "data": {"id": "q", "born": "2026-06-02"}}),
    ]);
    let tried = try_out(&profile(&made.files), &bodies);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);

    // Where no member shows the type, a header may, and its value is the name of the webhook.
    for webhook in ["petBought", "petFed"] {
        let schema = json!({"$ref": "#/components/schemas/Pet"});
        openapi["webhooks"][webhook] =
            json!({"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}}});
    }
    let given = given(&[("api.json", openapi)]);
    let error = refused(&given);
    assert!(error.starts_with("api.json (petBought): no member has a fixed value"), "{error}");
    assert!(error.contains("--type-field") && error.contains("--type-header"), "{error}");
    let made = drafted(&Inputs { type_header: Some(HeaderName::from_static("x-topic")), ..given });
    let bodies = [sent("petFed", &json!({"id": "p"}))];
    let tried = try_out(&profile(&made.files), &bodies);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);
    assert!(made.notes.iter().any(|note| note.contains("\"petFed\" is a guess by its name")), "{:?}", made.notes);
}

#[test]
fn alternatives_and_listed_values_are_types_and_files_refer_to_each_other() {
    let all = json!({"$schema": "http://json-schema.org/draft-07/schema#", "oneOf": [{"$ref": "parts/lost.json"}, {"$ref": "#/definitions/Kept"}],
        "definitions": {"Kept": {"type": "object", "properties": {"id": {"type": "integer"}, "event": {"enum": ["bag.kept", "bag.found"]}}}}});
    let lost = json!({"type": "object", "$defs": {"tag": {"$anchor": "tag", "type": "object", "properties": {"no": {"type": "integer"}}}},
        "properties": {"id": {"type": "integer"}, "event": {"const": "bag.lost"}, "tag": {"$ref": "#tag"}, "color": {"$ref": "words.json#/definitions/color"}, "at": {"$ref": "place.json"},
        "by": {"$ref": "https://example.com/people.json#/x"}}});
    let place = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let words = json!({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"color": {"enum": ["red", "blue"]}}});
    let inputs = given(&[
        ("all.json", all),
        ("parts/lost.json", lost),
        ("parts/place.json", place),
        ("parts/words.json", words),
    ]);
    let made = drafted(&inputs);
    assert_eq!(field(&made.files, "BagLost", "color")["doc"], "TODO: what `color` is. One of: red, blue.");
    assert_eq!(field(&made.files, "BagLost", "tag")["type"][1], "acme.Tag");
    assert_eq!(profile(&made.files).types.keys().collect::<Vec<_>>(), ["bag.found", "bag.kept", "bag.lost"]);
    assert_eq!(field(&made.files, "BagLost", "at")["type"][1], "acme.Place");
    for note in [
        "BagLost.by: its schema is in none of the given files, so JSON text",
        "bag.lost: no `required` in its schema, so `id` is taken for always present: it is the key",
    ] {
        assert!(made.notes.iter().any(|said| said == note), "{:?}", made.notes);
    }
    let bodies = samples(&[
        json!({"id": 1, "event": "bag.lost", "at": {"city": "Recife"}}),
        json!({"id": 1, "event": "bag.found"}),
    ]);
    let tried = try_out(&profile(&made.files), &bodies);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);
}

#[test]
fn a_schema_adds_to_a_profile_and_keeps_what_is_there() {
    let files = first(&samples(&[order("order.created", json!({}))])).files;
    let now = profile(&files);
    let base = Base { files: &files, profile: &now };
    let added = draft(&given(&[("order-paid.json", order_paid())]), &[], Some(&base), &SeenExtras::default()).unwrap();
    let mut all = files.clone();
    all.extend(added.files.clone());
    let new = profile(&all);
    assert_eq!(changes_that_break(&now, &new), [""; 0]);
    assert_eq!(new.types.keys().collect::<Vec<_>>(), ["order.created", "order.paid"]);
    let tried = try_out(&new, &samples(&[body(), order("order.created", json!({}))]));
    assert!(tried.failed.is_empty(), "{:?}", tried.failed);
}

#[test]
fn what_no_profile_can_be_made_of_is_refused_with_the_reason() {
    let one = |schema: Value| refused(&given(&[("a.json", schema)]));
    let dialect = "https://json-schema.org/draft/2020-12/schema";
    assert!(one(json!({"$schema": dialect, "type": "array"})).starts_with("a.json: expected the schema of an object"));
    assert!(one(json!({"openapi": "3.0.3", "paths": {}})).starts_with("a.json: the document has no webhooks"));
    // Each refers to the next twice: a few lines describe a million places.
    let chain = |at: u32| json!({"type": "object", "properties": {"a": {"$ref": format!("#/$defs/d{}", at + 1)}, "b": {"$ref": format!("#/$defs/d{}", at + 1)}}});
    let mut defs: serde_json::Map<String, Value> = (0..20).map(|at| (format!("d{at}"), chain(at))).collect();
    defs.insert("d20".into(), json!({"type": "string"}));
    let bomb = json!({"$schema": dialect, "type": "object", "properties": {"type": {"const": "x.y"}, "id": {"type": "string"}, "c": {"$ref": "#/$defs/d0"}}, "$defs": defs});
    assert!(one(bomb).contains("have more than 200000 places"));
    // One that leads nowhere but to itself.
    let made = drafted(&given(&[(
        "a.json",
        json!({"$schema": dialect, "type": "object", "properties": {
        "type": {"const": "x.y"}, "id": {"type": "string"}, "c": {"$ref": "#/$defs/loop"}, "d": {"$ref": "#"}, "e": {"$dynamicRef": "#e"}},
        "$defs": {"loop": {"$ref": "#/$defs/loop"}}}),
    )]));
    for name in ["c", "d", "e"] {
        assert_eq!(field(&made.files, "XY", name)["type"][1]["connect.name"], "io.debezium.data.Json", "{name}");
    }
}

#[test]
fn a_body_that_looks_a_little_like_a_schema_is_a_sample() {
    for body in [
        json!({"type": "object", "id": 1}),
        json!({"type": "object", "properties": {"plan": "pro"}}),
        json!({"openapi": 3, "type": "x"}),
        json!([{"$schema": "x"}]),
    ] {
        assert!(SchemaFile::read("a", "a", &body.to_string()).is_none(), "{body}");
    }
}

#[test]
fn of_schemas_that_all_hold_the_narrower_counts_whichever_comes_first() {
    let base = json!({"type": "object", "required": ["type", "id"], "properties": {"type": {"enum": ["o.made", "o.gone", "o.other"]},
        "id": {"type": ["string", "integer"]}, "at": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}});
    let own = json!({"properties": {"type": {"const": "o.gone"}, "id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"},
        "tags": {"type": "array", "items": {"type": "string", "format": "date"}}}});
    for parts in [json!([base, own]), json!([own, base])] {
        let made = drafted(&given(&[(
            "a.json",
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": parts}),
        )]));
        assert_eq!(profile(&made.files).types.keys().collect::<Vec<_>>(), ["o.gone"]);
        assert_eq!(field(&made.files, "OGone", "id")["type"], "long");
        assert_eq!(field(&made.files, "OGone", "at")["type"][1]["logicalType"], "timestamp-millis");
        assert_eq!(field(&made.files, "OGone", "tags")["type"][1]["items"]["logicalType"], "date");
    }
    // Of two lists, what is in both.
    let of = |values: Value| json!({"properties": {"type": {"enum": values}, "id": {"type": "string"}}});
    let parts = json!([of(json!(["a.b", "a.c", "a.d"])), of(json!(["a.c", "a.d", "a.e"]))]);
    let made = drafted(&given(&[(
        "a.json",
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "allOf": parts}),
    )]));
    assert_eq!(profile(&made.files).types.keys().collect::<Vec<_>>(), ["a.c", "a.d"]);
}

#[test]
fn webhooks_without_a_body_that_can_be_read_are_named() {
    let event = |kind: &str| json!({"type": "object", "required": ["type", "id"], "properties": {"type": {"const": kind}, "id": {"type": "string"}}});
    let body = |media: &str, schema: Value| json!({"requestBody": {"content": {media: {"schema": schema}}}});
    let openapi = json!({"openapi": "3.1.0", "webhooks": {
        "a": {"get": {}, "put": body("application/json", event("a.put")), "patch": body("Application/JSON; charset=utf-8", event("a.patched"))},
        "b": {"post": body("application/xml", event("b.x")), "put": body("*/*", event("b.put"))},
        "c": {"post": {"requestBody": {"content": {"application/json": {"schema": event("c.one")}, "application/*+json": {"schema": event("c.two")}, "text/json": {"schema": event("c.two")}}}}},
        "form": {"post": body("application/x-www-form-urlencoded", event("form.x"))},
        "bare": {"post": {"responses": {}}},
        "got": {"get": {}},
        "list": {"post": body("application/json", json!({"type": "array", "items": event("list.x")}))},
    }});
    let parts = json!({"openapi": "3.1.0", "components": {"schemas": {"X": event("x.y")}}});
    let words = json!({"definitions": {"X": event("x.y")}});
    let list = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array"});
    let made = drafted(&given(&[
        ("api.json", openapi),
        ("list.json", list),
        ("parts.json", parts.clone()),
        ("words.json", words.clone()),
    ]));
    let types = profile(&made.files).types.keys().cloned().collect::<Vec<_>>();
    assert_eq!(types, ["a.patched", "a.put", "b.put", "c.one", "c.two"]);
    let expected = [
        "left out: api.json (form): expected a body of JSON, as application/json is",
        "left out: api.json (bare): its request has no body",
        "left out: api.json (got): expected a request by POST, PUT or PATCH",
        "left out: api.json (list): expected the schema of an object with properties, since a body is one",
        "left out: list.json: expected the schema of an object with properties, since a body is one",
    ];
    for line in expected {
        assert!(made.notes.iter().any(|note| note == line), "{line}: {:?}", made.notes);
    }
    assert_eq!(made.notes.iter().filter(|note| note.starts_with("left out: ")).count(), expected.len());
    // Alone, such files are faults.
    let error = refused(&given(&[("parts.json", parts), ("words.json", words)]));
    assert!(
        error.contains("parts.json: the document has no webhooks") && error.contains("; words.json: expected"),
        "{error}"
    );
}

#[test]
fn a_schema_may_begin_with_a_byte_order_mark() {
    assert!(SchemaFile::read("a", "a", &format!("\u{FEFF}{}", order_paid())).is_some());
}
