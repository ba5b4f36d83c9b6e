//! `tail` with the registry of the run: names that it shortens, and what happens without it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::dev::Dev;
use crate::support::bridge::{SOON, Setup, signal, words};
use crate::support::eventually;
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

/// `tail` of a `dev`.
fn of_dev(dev: &Dev, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookbridge"));
    command.arg("tail").args(args).args(["--kafka", &dev.kafka, "--registry", &dev.registry]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_last_records_come_in_the_order_of_time_over_all_topics() {
    let dev = Dev::start();
    assert!(dev.send(&["wegly", "--count", "66", "--seed", "5"]).status.success());
    let time = |record: &Value| record["timestamp"].as_str().unwrap().to_owned();
    let mut all: Vec<_> = dev.tail(&["wegly.*"]).iter().map(time).collect();
    all.sort();
    let last = dev.tail(&["wegly.*", "--last", "7"]);
    assert_eq!(last.iter().map(time).collect::<Vec<_>>(), all[all.len() - 7..]);
    // Those that are wanted count, and there may be fewer.
    let won = dev.tail(&["wegly.*", "--last", "2", "--type", "deal.won"]);
    assert!(won.len() == 2 && won.iter().all(|record| record["value"]["event"]["type"] == "deal.won"), "{won:?}");
    assert_eq!(dev.tail(&["wegly.deal", "--last", "1000"]).len(), dev.tail(&["wegly.deal"]).len());
    // The embedded broker has no index of times.
    let mut deals: Vec<_> = dev.tail(&["wegly.deal"]).iter().map(time).collect();
    deals.sort();
    assert_eq!(dev.tail(&["wegly.deal", "--from", "30m"]).len(), deals.len());
    let middle = &deals[deals.len() / 2];
    let since = deals.iter().filter(|time| *time >= middle).count();
    assert_eq!(dev.tail(&["wegly.deal", "--from", middle]).len(), since);
    assert_eq!(of_dev(&dev, &["wegly.*", "--last", "0"]).output().unwrap().status.code(), Some(64));
}

#[test]
fn an_offset_past_the_end_is_said_with_the_end() {
    let dev = Dev::start();
    assert!(dev.send(&["wegly", "deal.won"]).status.success());
    for follow in [&[][..], &["--follow"]] {
        let past = of_dev(&dev, &[&["wegly.deal", "--from", "1000"], follow].concat()).output().unwrap();
        assert_eq!(past.status.code(), Some(64), "{}", words(&past));
        let said = words(&past);
        let expected = "past the end of 12 partitions of wegly.deal, the longest of which ends at offset 1";
        assert!(said.contains(expected), "{said}");
    }
    // Of some partitions only, it is no reason to end.
    let some = of_dev(&dev, &["wegly.deal", "--from", "1"]).output().unwrap();
    assert_eq!(some.status.code(), Some(0), "{}", words(&some));
    let expected = "past the end of 11 partitions of wegly.deal, the longest of which ends at offset 0";
    assert!(words(&some).contains(expected), "{}", words(&some));
}

#[test]
fn colours_are_written_where_they_are_wanted() {
    let dev = Dev::start();
    assert!(dev.send(&["wegly", "deal.won"]).status.success());
    let coloured = |args: &[&str], variables: &[(&str, &str)]| {
        let args = [&["wegly.deal", "--format", "text"], args].concat();
        let output = of_dev(&dev, &args).envs(variables.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        output.stdout.contains(&0x1b)
    };
    assert!(!coloured(&[], &[]), "no terminal");
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]), "asked for");
    assert!(!coloured(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]), "not wanted");
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]) && !coloured(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn one_that_follows_ends_by_ctrl_c_by_a_closed_pipe_and_without_a_registry() {
    let dev = Dev::start();
    assert!(dev.send(&["wegly", "deal.won"]).status.success());
    let start = |close: bool| {
        let mut child = of_dev(&dev, &["wegly.deal", "--follow"]).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        assert!(first.contains("wegly.deal"), "{first}");
        (child, (!close).then_some(out))
    };
    let (mut child, out) = start(false);
    signal(child.id(), "INT");
    let status = eventually("tail ends by Ctrl-C", SOON, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    drop(out);
    // Nothing more comes that it could fail to write.
    let (mut child, _) = start(true);
    let status = eventually("tail ends with its pipe", SOON, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));

    let away = format!("http://127.0.0.1:{}", free_port());
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookbridge"));
    let output =
        command.args(["tail", "wegly.lead", "-f", "--kafka", &dev.kafka, "--registry", &away]).output().unwrap();
    assert_eq!(output.status.code(), Some(69), "{}", words(&output));
    assert!(words(&output).contains(&away), "{}", words(&output));
}
