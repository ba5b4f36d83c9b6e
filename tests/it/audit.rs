//! `audit`: every event that was answered with a 2xx is found, wherever it is at that moment; what is not is named.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::bridge::{Bridge, Setup, words};
use crate::support::mock::Mock;

const NEVER_SENT: &str = "00000000-0000-8000-8000-000000000000";

fn ticket(n: u32) -> String {
    format!(r#"{{"Type":"NewTicket","ticket":{{"id":{}}},"n":{n}}}"#, n % 3)
}

/// A bridge on a Kafka of its own.
fn start(test: &str) -> (Mock, Bridge) {
    let (kafka, setup) = Setup::on_its_own_kafka(test, &[]);
    let bridge = setup.start();
    (kafka, bridge)
}

/// Delivers; gives the id that was answered.
fn deliver(bridge: &Bridge, source: &str, body: &str, outcome: &str) -> String {
    let answer = bridge.deliver(source, body);
    assert_eq!(answer.get("outcome"), outcome, "{answer:?}");
    answer.get("id")
}

fn audit(setup: &Setup, ids: &[String], more: &[&str]) -> Output {
    let file = setup.dir.path().join("ids.txt");
    fs::write(&file, ids.join("\n")).unwrap();
    setup.run(&[&["audit", file.to_str().unwrap()], more].concat())
}

fn json_lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_are_found_wherever_they_are_and_those_that_are_nowhere_are_named() {
    let (kafka, bridge) = start("audit");
    let mut ids: Vec<_> = (0..3).map(|n| deliver(&bridge, "whazing", &ticket(n), "published")).collect();
    assert_eq!(deliver(&bridge, "whazing", &ticket(0), "published"), ids[0]);
    ids.push(deliver(&bridge, "wegly", "{}", "dead_lettered"));
    kafka.go_down();
    ids.extend((10..14).map(|n| deliver(&bridge, "whazing", &ticket(n), "spooled")));
    let down = audit(&bridge.setup, &ids, &[]);
    assert_eq!(down.status.code(), Some(69), "{}", words(&down));
    let setup = bridge.setup.clone();
    // Kills it, so that what waits stays where it is.
    drop(bridge);
    kafka.come_up();

    let output = audit(&setup, &ids, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let text = words(&output);
    for row in [
        "                     given       there",
        "ids                      8",
        "published                3           3",
        "dead letters             1           1",
        "in the spool             4           4",
        "more than once           1           1",
        "missing                  0",
    ] {
        assert!(text.lines().any(|line| line == row), "{row}: {text}");
    }

    // Answers as a sender logs them; one of them promised nothing.
    let mut answers: Vec<_> = ids[1..].iter().map(|id| json!({ "id": id, "outcome": "x" }).to_string()).collect();
    answers.push(json!({ "code": "overloaded" }).to_string());
    answers.push(json!({ "id": NEVER_SENT }).to_string());
    let output = audit(&setup, &answers, &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let there = json!({"published": 3, "dead_lettered": 1, "spooled": 4, "duplicated": 1});
    let given = json!({"published": 2, "dead_lettered": 1, "spooled": 4, "duplicated": 0, "ids": 8, "missing": 1});
    assert_eq!(json_lines(&output), [json!({"there": there, "given": given}), json!({"missing": NEVER_SENT})]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 lines have no id"), "{}", words(&output));

    // Without ids: what there is. Without its directory, the spool is not seen.
    let output = setup.run(&["audit", "--json"]);
    assert_eq!((output.status.code(), json_lines(&output)), (Some(0), vec![json!({ "there": there })]));
    let elsewhere = setup.dir.path().to_str().unwrap();
    let output = audit(&setup, &ids, &["--data-dir", elsewhere, "--json"]);
    assert_eq!((output.status.code(), json_lines(&output).len()), (Some(1), 5), "{}", words(&output));
    let output = audit(&setup, &ids, &["--since", "2999-01-01T00:00:00Z", "--json"]);
    assert_eq!((output.status.code(), json_lines(&output).len()), (Some(1), 5), "{}", words(&output));
    assert_eq!(audit(&setup, &["no id".into()], &[]).status.code(), Some(64));
    assert_eq!(setup.run(&["audit", "no such file"]).status.code(), Some(64));
}

#[test]
fn an_event_that_moves_meanwhile_is_never_missing() {
    let (kafka, bridge) = start("audit-moving");
    kafka.go_down();
    let ids: Vec<_> = (0..300).map(|n| deliver(&bridge, "whazing", &ticket(n), "spooled")).collect();
    kafka.come_up();
    loop {
        let output = audit(&bridge.setup, &ids, &["--json"]);
        if output.status.code() == Some(69) {
            // Kafka's port is only just there again.
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        if json_lines(&output)[0]["there"]["spooled"] == 0 {
            break;
        }
    }
}
