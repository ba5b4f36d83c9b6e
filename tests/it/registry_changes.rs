//! The registry has other ids than before, refuses a schema, or is only to be looked at.

use serde_json::json;

use crate::support::bridge::{SOON, SUBJECTS, Setup, words};
use crate::support::proxy::{Proxy, split_url};
use crate::support::reader::Record;
use crate::support::registry::{self, StandIn};
use crate::support::servers::servers;
use crate::support::{RUNTIME, eventually, reader};

const BODY: &str = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-00000000000c"}}"#;

/// A setup whose registry is whatever the proxy leads to, `first` to begin with, and is looked at every second.
fn behind_a_proxy(test: &str, first: &StandIn) -> (Proxy, Setup) {
    let proxy = Proxy::closed();
    proxy.open(&split_url(&first.url).0);
    let mut setup = Setup::new(test);
    setup.registry_url = format!("http://{}", proxy.address);
    setup.registry = "verify_interval = \"1s\"\n".into();
    (proxy, setup)
}

#[test]
fn a_registry_that_was_replaced_by_an_empty_one_gets_the_schemas_again_and_its_ids_are_used() {
    let first = RUNTIME.block_on(StandIn::start(1000));
    let second = RUNTIME.block_on(StandIn::start(7000));
    let (proxy, setup) = behind_a_proxy("registry-replaced", &first);
    let bridge = setup.start();
    assert_eq!(first.subjects(), SUBJECTS);
    assert_eq!(bridge.deliver("wegly", BODY).status, 200);

    proxy.open(&split_url(&second.url).0);
    eventually("the new registry has every subject", SOON, || (second.subjects() == SUBJECTS).then_some(()));
    let id = eventually("a record with an id of the new registry", SOON, || {
        assert_eq!(bridge.deliver("wegly", BODY).status, 200);
        let ids = reader::read(&bridge.topic("wegly.lead")).into_iter().map(|record| record.schema_id());
        ids.max().filter(|id| *id >= 7000)
    });
    let schema = registry::fetch(&format!("{}/schemas/ids/{id}", second.url));
    assert!(schema["schema"].as_str().unwrap().contains("LeadUpdated"), "{schema}");
}

#[test]
fn what_waited_through_an_outage_of_both_is_published_with_the_ids_of_the_registry_that_came_back() {
    let first = RUNTIME.block_on(StandIn::start(1000));
    let second = RUNTIME.block_on(StandIn::start(7000));
    let proxy = Proxy::closed();
    proxy.open(&split_url(&first.url).0);
    let (kafka, mut setup) = Setup::on_its_own_kafka("registry-and-kafka", &[]);
    setup.registry_url = format!("http://{}", proxy.address);
    // Nothing but the end of Kafka's outage makes the bridge look.
    setup.registry = "verify_interval = \"1h\"\n".into();
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let topic = bridge.topic("wegly.lead");
    let published = |count: usize| {
        eventually("all are published", SOON, || {
            let records = reader::read_from(&bridge.setup.bootstrap, &topic);
            (records.len() == count).then_some(records)
        })
    };
    bridge.deliver("wegly", BODY);
    published(1);
    proxy.close();
    kafka.go_down();
    eventually("Kafka is known to be away", SOON, || (bridge.readyz().1["kafka"]["ok"] == json!(false)).then_some(()));
    for _ in 0..20 {
        assert_eq!(bridge.deliver("wegly", BODY).sum(), (202, "spooled".into()));
    }
    proxy.open(&split_url(&second.url).0);
    kafka.come_up();
    let ids: Vec<_> = published(21).iter().map(Record::schema_id).collect();
    assert!((1000..7000).contains(&ids[0]) && ids[1..].iter().all(|id| *id >= 7000), "{ids:?}");
    assert!(bridge.metric("hookbridge_schema_ids_changed_total") >= 2, "each of its schemas has another id");
}

#[test]
fn states_that_only_a_registry_can_read_are_its_trouble_and_not_that_of_kafka() {
    let registry = RUNTIME.block_on(StandIn::start(1000));
    let (proxy, setup) = behind_a_proxy("registry-states", &registry);
    let first = setup.clone().start();
    let deal = r#"{"event_key":"deal.updated","payload":{"id":"00000000-0000-4000-8000-0000000000d1"}}"#;
    assert_eq!(first.deliver("wegly", deal).status, 200);
    drop(first);
    // As on a new machine: nothing is known from before.
    std::fs::remove_dir_all(setup.data_dir()).unwrap();
    proxy.close();
    let bridge = setup.start_unready();
    let ready = eventually("the registry has no answer, and the states are held", SOON, || {
        let report = bridge.readyz().1;
        let reason = report["registry"]["reason"].as_str().unwrap_or_default();
        (reason.contains("newest states") && report["kafka"]["ok"] == true).then_some(report)
    });
    let reason = ready["registry"]["reason"].as_str().unwrap();
    assert!(reason.ends_with(" are not known yet") && reason.contains("; until it is back, "), "{reason}");
    assert_eq!(ready["kafka"], json!({"ok": true}), "{ready}");
    assert_eq!((bridge.metric("hookbridge_kafka_up"), bridge.metric("hookbridge_registry_up")), (1, 0));
    assert_eq!(bridge.deliver("wegly", deal).sum(), (202, "spooled".into()));
    proxy.open(&split_url(&registry.url).0);
    eventually("all is well", SOON, || (bridge.readyz().1["registry"] == json!({"ok": true})).then_some(()));
}

/// Gives `subject` of the run's registry a version that ours does not go with, and has it checked.
fn make_incompatible(subject: &str) {
    make_incompatible_in(&servers().registry, subject);
}

fn make_incompatible_in(url: &str, subject: &str) {
    let other = json!({
        "type": "record", "name": "TaskCompleted", "namespace": "wegly",
        "fields": [{"name": "event", "type": "string"}],
    });
    let body = json!({"schema": other.to_string(), "schemaType": "AVRO"});
    let posted = registry::send_to(url, reqwest::Method::POST, &format!("/subjects/{subject}/versions"), &body);
    assert!(posted["id"].is_number(), "{posted}");
    let level = json!({"compatibility": "BACKWARD"});
    let configured = registry::send_to(url, reqwest::Method::PUT, &format!("/config/{subject}"), &level);
    assert_eq!(configured["compatibility"], "BACKWARD", "{configured}");
}

#[test]
fn a_schema_refused_later_marks_its_type_and_never_stops_the_others() {
    let first = RUNTIME.block_on(StandIn::start(1));
    let second = RUNTIME.block_on(StandIn::start(500));
    let (proxy, setup) = behind_a_proxy("registry-later", &first);
    let subject = setup.topic("wegly.task-value");
    make_incompatible_in(&second.url, &subject);
    let bridge = setup.start();
    let task = r#"{"event_key":"task.completed","payload":{"task":{"id":"00000000-0000-4000-8000-00000000000d"}}}"#;
    assert_eq!(bridge.deliver("wegly", task).status, 200);

    proxy.open(&split_url(&second.url).0);
    let refused = eventually("the refusal is shown", SOON, || {
        let refused = bridge.readyz().1["schemas"]["refused"].clone();
        (refused != json!([])).then_some(refused)
    });
    assert_eq!(refused[0]["subject"], subject.as_str(), "{refused}");
    assert!(refused[0]["reasons"].as_str().unwrap().len() > 10, "{refused}");
    assert_eq!(bridge.readyz().0, 200, "the other types are taken");
    let waiting = bridge.deliver("wegly", task);
    assert_eq!(waiting.sum(), (202, "spooled".into()));
    assert_eq!(bridge.deliver("wegly", BODY).status, 200);
    let other = task.replace("00d", "00e");
    assert_eq!(bridge.deliver("wegly", other).sum(), (202, "spooled".into()));
    let lane = bridge.topic("wegly.task");
    assert_eq!(bridge.metric(&format!("hookbridge_spool_records{{lane=\"{lane}\"}}")), 2);

    proxy.open(&split_url(&first.url).0);
    eventually("it is published once its schema is taken", SOON, || {
        let records = reader::read(&bridge.topic("wegly.task"));
        records.iter().any(|record| record.header("ce_id") == Some(&waiting.get("id"))).then_some(())
    });
}

#[test]
fn what_comes_after_a_refusal_does_not_overtake_what_waited_through_it() {
    let first = RUNTIME.block_on(StandIn::start(1));
    let second = RUNTIME.block_on(StandIn::start(500));
    let (proxy, setup) = behind_a_proxy("registry-mended", &first);
    let subject = setup.topic("wegly.deal-latest-value");
    make_incompatible_in(&second.url, &subject);
    let bridge = setup.start();
    let deliver = |number: u64| {
        let id = "00000000-0000-4000-8000-0000000000d1";
        // Two types, one entity.
        let (key, code) = (["deal.updated", "deal.created"][number as usize % 2], json!({"id": id, "code": number}));
        let payload = if key == "deal.updated" { code } else { json!({"deal": code}) };
        bridge.deliver("wegly", json!({"event_key": key, "payload": payload}).to_string())
    };
    proxy.open(&split_url(&second.url).0);
    eventually("the refusal is shown", SOON, || {
        (bridge.readyz().1["schemas"]["refused"][0]["subject"] == subject.as_str()).then_some(())
    });
    let mut ids = Vec::new();
    for number in 0..300 {
        let answer = deliver(number);
        assert_eq!(answer.sum(), (202, "spooled".into()), "{answer:?}");
        ids.push(answer.get("id"));
    }

    proxy.open(&split_url(&first.url).0);
    eventually("events are published at once again", SOON, || {
        let answer = deliver(ids.len() as u64);
        ids.push(answer.get("id"));
        (answer.status == 200).then_some(())
    });
    let records = reader::read(&bridge.topic("wegly.deal"));
    let mut seen = std::collections::BTreeSet::new();
    let order = records.iter().map(|record| record.header("ce_id").unwrap().to_owned());
    assert_eq!(order.filter(|id| seen.insert(id.clone())).collect::<Vec<_>>(), ids);
}

#[test]
fn what_waited_for_kafka_stays_before_what_comes_when_its_schema_is_refused_meanwhile() {
    let first = RUNTIME.block_on(StandIn::start(1));
    let second = RUNTIME.block_on(StandIn::start(500));
    let proxy = Proxy::closed();
    proxy.open(&split_url(&first.url).0);
    let (kafka, mut setup) = Setup::on_its_own_kafka("registry-meanwhile", &[]);
    setup.registry_url = format!("http://{}", proxy.address);
    setup.registry = "verify_interval = \"1s\"\n".into();
    let subject = setup.topic("wegly.task-value");
    make_incompatible_in(&second.url, &subject);
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let id = "00000000-0000-4000-8000-0000000000d2";
    let spool = |code: u32| {
        let task = json!({"event_key": "task.completed", "payload": {"task": {"id": id, "title": code.to_string()}}});
        let answer = bridge.deliver("wegly", task.to_string());
        assert_eq!(answer.sum(), (202, "spooled".into()), "{answer:?}");
        answer.get("id")
    };
    kafka.go_down();
    bridge.wait_kafka(false);
    let mut ids = vec![spool(0), spool(1)];
    proxy.open(&split_url(&second.url).0);
    eventually("the refusal is shown", SOON, || {
        (bridge.readyz().1["schemas"]["refused"][0]["subject"] == subject.as_str()).then_some(())
    });
    ids.push(spool(2));
    kafka.come_up();
    bridge.wait_kafka(true);
    // What waits is tried meanwhile, and refused.
    eventually("another topic is written", SOON, || (bridge.deliver("wegly", BODY).status == 200).then_some(()));
    ids.push(spool(3));

    proxy.open(&split_url(&first.url).0);
    let waiting = format!("hookbridge_spool_records{{lane=\"{}\"}}", bridge.topic("wegly.task"));
    eventually("all is published", SOON, || (bridge.metric(&waiting) == 0).then_some(()));
    let records = reader::read_from(&kafka.address, &bridge.topic("wegly.task"));
    let order: Vec<_> = records.iter().map(|record| record.header("ce_id").unwrap().to_owned()).collect();
    assert_eq!(order, ids);
}

#[test]
fn a_schema_that_the_registry_refuses_stops_the_start_with_its_reasons() {
    let setup = Setup::new("registry-refuses");
    let subject = setup.topic("wegly.task-value");
    make_incompatible(&subject);
    setup.prepare(&[]);
    let output = setup.run(&["serve"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    let refusal = said.lines().find(|line| line.contains(&format!("{subject}: "))).expect(&said);
    assert!(refusal.len() > subject.len() + 10, "without reasons: {refusal}");
    // All are checked before any is written.
    let other = setup.topic("wegly.satisfaction-value");
    let found = registry::send(reqwest::Method::GET, &format!("/subjects/{other}/versions"), &json!({}));
    assert!(found["error_code"].as_u64().is_some_and(|code| code / 100 == 404), "{found}");

    let output = setup.run(&["check"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("FAIL   subject {subject}: ")), "{said}");
}

#[test]
fn in_lookup_mode_nothing_is_written_and_a_missing_version_stops_the_start() {
    let mut setup = Setup::new("registry-lookup");
    setup.registry = "mode = \"lookup\"\n".into();
    setup.prepare(&[]);
    let output = setup.run(&["serve"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("lookup") && said.contains(&setup.topic("wegly.task-value")), "{said}");

    // With everything registered by another, it runs.
    let registering = Setup { prefix: setup.prefix.clone(), ..Setup::new("registry-lookup") };
    drop(registering.start());
    let bridge = setup.start();
    assert_eq!(bridge.deliver("wegly", BODY).status, 200);
    assert_eq!(reader::read(&bridge.topic("wegly.lead"))[0].decode()["event"]["type"], "lead.updated");
}
