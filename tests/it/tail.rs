//! `tail` with the registry of the run: names that it shortens, and what happens without it.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::bridge::{Setup, words};
use crate::support::java::free_port;

/// A deal of which two people are told with what no schema has a place for.
fn deal() -> String {
    let person = |name: &str| json!({"id": "00000000-0000-4000-8000-0000000000aa", "name": name, "shoe_size": 44});
    let deal = json!({
        "id": "00000000-0000-4000-8000-0000000000dd",
        "created_by": person("A"),
        "responsible": person("B"),
    });
    json!({"event_key": "deal.created", "payload": {"deal": deal}}).to_string()
}

fn tail(setup: &Setup, registry: &str, topic: &str) -> Output {
    setup.run(&["tail", topic, "--kafka", &setup.bootstrap, "--registry", registry])
}

/// Every `extra` in `value` that is not null.
fn extras<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("extra").filter(|extra| !extra.is_null()));
            members.values().for_each(|member| extras(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| extras(item, found)),
        _ => {}
    }
}

#[test]
fn json_text_is_shown_as_json_wherever_its_type_is_used_again() {
    let bridge = Setup::new("tail-extra").start();
    assert_eq!(bridge.deliver("wegly", deal()).status, 200);
    let output = tail(&bridge.setup, &bridge.setup.registry_url, &bridge.topic("wegly.deal"));
    assert!(output.status.success(), "{}", words(&output));
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = Vec::new();
    extras(&record["value"], &mut found);
    assert!(found.len() >= 2, "{record}");
    assert!(found.iter().all(|extra| extra.is_object()), "{found:?}");
}

#[test]
fn without_the_registry_nothing_is_shown_and_the_exit_code_says_why() {
    let bridge = Setup::new("tail-away").start();
    assert_eq!(bridge.deliver("wegly", deal()).status, 200);
    let topic = bridge.topic("wegly.deal");
    let away = format!("http://127.0.0.1:{}", free_port());
    let elsewhere = format!("{}/elsewhere", bridge.setup.registry_url);
    for registry in [&away, &elsewhere] {
        let output = tail(&bridge.setup, registry, &topic);
        assert_eq!(output.status.code(), Some(69), "{}", words(&output));
        assert!(output.stdout.is_empty(), "{}", words(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("{topic}/0@0: schema ")) && said.contains(registry.as_str()), "{said}");
    }
}
