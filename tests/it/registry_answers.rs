//! Registries that lack a route, proxies that say 404 themselves, and addresses at which no registry is: none of them is
//! taken for "there is no such subject", and nothing is written before all schemas were checked.

use serde_json::json;

use crate::support::RUNTIME;
use crate::support::bridge::{SOON, Setup, words};
use crate::support::eventually;
use crate::support::registry::{self, StandIn};
use crate::support::servers::servers;

fn stand_in(test: &str) -> (StandIn, Setup) {
    let registry = RUNTIME.block_on(StandIn::start(1));
    let mut setup = Setup::new(test);
    setup.registry_url.clone_from(&registry.url);
    setup.prepare(&[]);
    (registry, setup)
}

/// Puts a version under `subject` that has `fields` only; the level is NONE.
fn put(registry: &StandIn, subject: &str, fields: &serde_json::Value) {
    let record = json!({"type": "record", "name": "TaskCompleted", "namespace": "wegly", "fields": fields});
    let body = json!({"schema": record.to_string(), "schemaType": "AVRO"});
    let path = format!("/subjects/{subject}/versions");
    let posted = registry::send_to(&registry.url, reqwest::Method::POST, &path, &body);
    assert!(posted["id"].is_number(), "{posted}");
}

/// Runs a command that is to fail with `code` and to say all these words.
fn fails(setup: &Setup, args: &[&str], code: i32, expected: &[&str]) {
    let output = setup.run(args);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    for words in expected {
        assert!(said.contains(words), "{args:?}: {words:?} is not in {said}");
    }
}

#[test]
fn without_a_route_that_checks_all_versions_a_foreign_one_is_found_and_nothing_is_written() {
    let (registry, setup) = stand_in("registry-karapace");
    registry.check_one_version_only();
    let subject = setup.topic("wegly.task-value");
    put(&registry, &subject, &json!([{"name": "event", "type": "string"}]));
    let reason = "event (in wegly.TaskCompleted): type changed from string to record hookbridge.Event (version 1)";
    fails(&setup, &["serve"], 78, &[&format!("{subject}: "), reason]);
    fails(&setup, &["schemas", "check"], 1, &[&subject, "REFUSED", reason]);
    fails(&setup, &["schemas", "register"], 78, &[&subject, reason]);
    fails(&setup, &["check"], 1, &[&format!("FAIL   subject {subject}: {reason}")]);
    assert_eq!((registry.subjects(), registry.posted()), (1, 1));
}

#[test]
fn a_registry_is_asked_in_the_way_that_it_knows_and_may_have_reasons_of_its_own() {
    let (registry, setup) = stand_in("registry-obstinate");
    registry.check_one_version_only();
    let subject = setup.topic("wegly.task-value");
    let exported = setup.dir.path().join("schemas");
    let output = setup.run(&["schemas", "export", "--bundle", "--dir", exported.to_str().unwrap()]);
    assert!(output.status.success(), "{}", words(&output));
    let text = std::fs::read_to_string(exported.join("wegly.TaskCompleted.avsc")).unwrap();
    let ours: serde_json::Value = serde_json::from_str(&text).unwrap();
    // Ours but for a doc: there is nothing against it.
    let mut fields = ours["fields"].clone();
    fields[0]["doc"] = "Another one.".into();
    put(&registry, &subject, &fields);
    let checked = setup.run(&["schemas", "check"]);
    assert!(checked.status.success() && words(&checked).contains("compatible  a new version"), "{}", words(&checked));
    registry.refuse(&subject);
    fails(&setup, &["serve"], 78, &[&subject, "not on a Friday"]);
    assert_eq!((registry.subjects(), registry.posted()), (1, 1));
}

#[test]
fn a_schema_that_the_registry_refuses_no_sooner_than_when_it_is_registered_stops_the_start_too() {
    let (registry, setup) = stand_in("registry-closed");
    let subject = setup.topic("wegly.task-value");
    registry.close(&subject);
    fails(&setup, &["serve"], 78, &[&format!("{subject}: "), "closed on Mondays"]);
    fails(&setup, &["schemas", "register"], 78, &[&format!("{subject}: "), "closed on Mondays"]);
}

#[test]
fn an_answer_about_one_subject_that_nobody_knows_holds_up_no_other() {
    let (registry, mut setup) = stand_in("registry-odd");
    setup.registry = "verify_interval = \"1s\"\n".into();
    let subject = setup.topic("wegly.task-value");
    let bridge = setup.start();
    registry.answer_oddly(&subject);
    let refused = eventually("the type is marked", SOON, || {
        let refused = bridge.readyz().1["schemas"]["refused"].clone();
        (refused != json!([])).then_some(refused)
    });
    assert_eq!(refused, json!([{"subject": subject, "reasons": "Subject was soft deleted. (40404)"}]));
    assert_eq!(bridge.readyz().1["registry"]["ok"], true);
    // A start that knows no ids ends with the registry's words.
    let setup = bridge.setup.clone();
    drop(bridge);
    std::fs::remove_dir_all(setup.data_dir()).unwrap();
    fails(&setup, &["serve"], 78, &[&format!("{subject}: "), "Subject was soft deleted."]);
}

#[test]
fn an_address_at_which_no_registry_is_is_said_to_be_one() {
    let (registry, mut setup) = stand_in("registry-elsewhere");
    setup.registry_url += "/apis/registry/v2";
    let expected = ["404 Not Found", "registry.url", "/apis/ccompat/v7"];
    fails(&setup, &["schemas", "check"], 69, &expected);
    fails(&setup, &["schemas", "register"], 69, &expected);
    fails(&setup, &["check"], 69, &[&expected[..], &["DOWN   registry "]].concat());
    setup.registry = "mode = \"lookup\"\n".into();
    fails(&setup, &["schemas", "check"], 69, &expected);
    setup.registry.clear();
    let bridge = setup.start_unready();
    let error = eventually("it is told", SOON, || {
        let report = bridge.readyz().1;
        report["registry"]["reason"].as_str().filter(|error| error.contains("404")).map(str::to_owned)
    });
    assert!(expected.iter().all(|words| error.contains(words)), "{error}");
    assert_eq!((registry.subjects(), registry.posted()), (0, 0));
}

#[test]
fn a_request_that_gets_no_answer_does_not_hide_what_the_others_are_told() {
    let (registry, mut setup) = stand_in("registry-loses-one");
    setup.registry_url += "/apis/ccompat";
    for args in [&["schemas", "check"][..], &["check"], &["schemas", "register"]] {
        registry.lose_one();
        fails(&setup, args, 69, &["404 Not Found", "registry.url"]);
    }
}

#[test]
fn apicurios_other_addresses_are_none_of_a_registry() {
    let Some((root, "")) = servers().registry.split_once("/apis/ccompat/v7") else {
        return crate::support::say("skipped: the registry of this run is not Apicurio");
    };
    for path in ["", "/apis/registry/v2", "/apis/registry/v3", "/apis/ccompat"] {
        let mut setup = Setup::new("registry-apicurio");
        setup.registry_url = format!("{root}{path}");
        for args in [&["schemas", "check"][..], &["check"], &["schemas", "register"]] {
            fails(&setup, args, 69, &["404 Not Found", "registry.url", "Apicurio's ends in /apis/ccompat/v7"]);
        }
    }
}
