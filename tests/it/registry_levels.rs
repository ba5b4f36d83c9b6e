//! What would break readers is found and named whatever the registry lets through, and its level is told.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::bridge::{SOON, SUBJECTS, Setup, words};
use crate::support::{eventually, registry};

/// A change, as it was before: the record and its subject's topic, the field, how its field was written (or what comes in addition to it),
/// and the words that are expected of it.
type Change = (&'static str, &'static str, fn(&mut Vec<Value>), &'static str);

fn field<'a>(fields: &'a mut [Value], name: &str) -> &'a mut Value {
    fields.iter_mut().find(|field| field["name"] == name).expect(name)
}

const CHANGES: [Change; 8] = [
    (
        "wegly.TaskCompleted",
        "wegly.task-value",
        |fields| fields.push(json!({"name": "weight", "type": ["null", "double"], "default": null})),
        "weight (in wegly.TaskCompleted): removed (version 1)",
    ),
    (
        "wegly.LeadUpdated",
        "wegly.lead-wegly.LeadUpdated",
        |fields| field(fields, "lead")["name"] = "person".into(),
        "person (in wegly.LeadUpdated): removed, or renamed to lead (version 1)",
    ),
    (
        "wegly.DealWon",
        "wegly.deal-wegly.DealWon",
        |fields| field(fields, "won_date")["type"] = json!(["null", "long"]),
        "won_date (in wegly.DealWon): type changed from long to long (timestamp-millis) (version 1)",
    ),
    (
        "wegly.DealLost",
        "wegly.deal-wegly.DealLost",
        |fields| field(fields, "loss_reason_description")["type"] = json!(["null", "int"]),
        "loss_reason_description (in wegly.DealLost): type changed from int to string (version 1)",
    ),
    (
        "wegly.LeadCreated",
        "wegly.lead-wegly.LeadCreated",
        |fields| {
            let event = field(fields, "event");
            event["type"] = json!(["null", event["type"]]);
        },
        "event (in wegly.LeadCreated): made required: it was allowed to be null (version 1)",
    ),
    (
        "wegly.LeadWon",
        "wegly.lead-wegly.LeadWon",
        |fields| fields.retain(|field| field["name"] != "event"),
        "event (in wegly.LeadWon): required and new: ",
    ),
    (
        "wegly.DealCreated",
        "wegly.deal-wegly.DealCreated",
        |fields| {
            let symbols = json!({"type": "enum", "name": "Extra", "symbols": ["A", "B"]});
            field(fields, "extra")["type"] = json!(["null", symbols]);
        },
        "extra (in wegly.DealCreated): type changed from enum wegly.Extra to string (io.debezium.data.Json) (version 1)",
    ),
    (
        "wegly.DealUpdated",
        "wegly.deal-wegly.DealUpdated",
        |fields| {
            let extra = field(fields, "extra");
            extra["type"].as_array_mut().unwrap().reverse();
            extra["default"] = "none".into();
        },
        "extra (in wegly.DealUpdated): default changed from \"none\" to null (version 1)",
    ),
];

/// The texts of all records, by their names.
fn exported(setup: &Setup) -> BTreeMap<String, Value> {
    let dir = setup.dir.path().join("schemas");
    let output = setup.run(&["schemas", "export", "--bundle", "--dir", dir.to_str().unwrap()]);
    assert!(output.status.success(), "{}", words(&output));
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let texts = files.map(|file| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap())
    });
    texts.collect()
}

fn register(subject: &str, schema: &Value) {
    let body = json!({"schema": schema.to_string(), "schemaType": "AVRO"});
    let posted = registry::send(reqwest::Method::POST, &format!("/subjects/{subject}/versions"), &body);
    assert!(posted["id"].is_number(), "{posted} of {schema}");
}

#[test]
fn every_kind_of_change_is_found_at_every_level_with_field_and_reason() {
    for level in ["NONE", "BACKWARD", "FULL"] {
        let setup = Setup::new("levels");
        let ours = exported(&setup);
        for (record, subject, change, _) in CHANGES {
            let mut old = ours[record].clone();
            change(old["fields"].as_array_mut().unwrap());
            let subject = setup.topic(subject);
            register(&subject, &old);
            let level = json!({"compatibility": level});
            registry::send(reqwest::Method::PUT, &format!("/config/{subject}"), &level);
        }
        let output = setup.run(&["schemas", "check"]);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(1), "{level}: {said}");
        for (_, subject, _, expected) in CHANGES {
            let subject = setup.topic(subject);
            let line = said.lines().find(|line| line.starts_with(&format!("{subject} "))).expect(&subject);
            let found = line.contains(&format!(" {level} ")) && line.contains("REFUSED") && line.contains(expected);
            assert!(found, "{expected:?} is not in {line:?}");
        }
        assert_eq!(said.matches("REFUSED").count(), CHANGES.len(), "{said}");
        assert!(said.contains(&format!("{} at {level}", CHANGES.len())) || level == "NONE", "{said}");
        assert!(said.contains("below FULL_TRANSITIVE"), "{said}");
        // None of the others was registered. (Apicurio lists no more than 1000 subjects.)
        let other = setup.topic("wegly.satisfaction-value");
        let found = registry::send(reqwest::Method::GET, &format!("/subjects/{other}/versions"), &json!({}));
        assert_eq!(found["error_code"], 40401, "{found}");
    }
}

#[test]
fn docs_and_fields_that_can_be_filled_in_are_a_new_version() {
    let setup = Setup::new("levels-fine");
    let ours = exported(&setup);
    let subject = setup.topic("wegly.task-value");
    let mut old = ours["wegly.TaskCompleted"].clone();
    old["doc"] = "Something else.".into();
    old["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "extra");
    register(&subject, &old);
    let output = setup.run(&["schemas", "check"]);
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).lines().any(|line| line.starts_with(&subject) && line.contains("compatible")));
    let output = setup.run(&["schemas", "register"]);
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(words(&setup.run(&["schemas", "check"])).matches("same  ").count(), SUBJECTS);

    // Somebody registers what does not go with ours, and the registry lets it in.
    let foreign = json!({"type": "record", "name": "TaskCompleted", "namespace": "wegly", "fields": []});
    registry::send(reqwest::Method::PUT, &format!("/config/{subject}"), &json!({"compatibility": "NONE"}));
    register(&subject, &foreign);
    let reason = "event (in wegly.TaskCompleted): removed (version 3)";
    for args in [&["schemas", "check"][..], &["check"]] {
        let output = setup.run(args);
        assert_eq!(output.status.code(), Some(1), "{}", words(&output));
        assert!(words(&output).contains(reason), "{}", words(&output));
    }
    // What is registered works all the same.
    let bridge = setup.start();
    eventually("the registry's level is told", SOON, || {
        let told = |line: &String| line.contains("lets in schemas that break readers") && line.contains("\"NONE\"");
        bridge.log().iter().any(told).then_some(())
    });
}
