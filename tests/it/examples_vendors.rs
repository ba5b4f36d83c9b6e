//! The examples that join both vendors, on messages and deals that were sent through HTTP in random order. What they make of them
//! is held against a join of the bodies alone (`join_vendors.py`).

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::examples::{Inputs, Running, build, example, judge, wait_until_caught_up};
use crate::support::bridge::{SOON, Setup, signal};
use crate::support::servers::servers;
use crate::support::{eventually, python, skip};

const TOPICS: [&str; 4] =
    ["whazing.message-by-reference", "wegly.deal-latest", "whazing.message-by-phone", "wegly.deal-by-phone"];

/// Messages and deals, sent.
fn sent(test: &str) -> Inputs {
    let mut setup = Setup::new(test);
    setup.partitions = 12;
    setup.kafka = "join_topics = \"all\"\n".into();
    if servers().is_mock() {
        let by_deal = ["delivery", "task", "contract", "satisfaction"].map(|name| format!("wegly.{name}-by-deal"));
        let others = ["wegly.lead-by-phone", "whazing.ticket-by-reference"];
        setup.prepare(&by_deal.iter().map(String::as_str).chain(TOPICS).chain(others).collect::<Vec<_>>());
    }
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        (event["source"].as_str().unwrap().to_owned(), event["body"].to_string())
    };
    let inputs = Inputs::of(setup, "join_vendors.py", [3_500, 500], event);
    inputs.send(..);
    inputs
}

#[test]
fn python_joins_both_vendors_by_reference_and_by_number() {
    let requirements = fs::read_to_string(example("python").join("requirements.txt")).unwrap();
    let packages = requirements.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let packages: Vec<_> = packages.filter(|package| !package.is_empty()).collect();
    let python = match judge().and_then(|()| python::python("venv-example", &packages)) {
        Ok(python) => python,
        Err(missing) => return skip("examples/python, both vendors", &missing, python::ENABLE),
    };
    let sent = sent("vendors-python");
    let mut command = Command::new(&python);
    command.arg("messages_with_deals.py").envs(sent.environment()).current_dir(example("python"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sent.compare(&String::from_utf8(output.stdout).unwrap(), &[]);
}

#[test]
fn flink_sql_joins_both_vendors_by_reference_and_by_number() {
    let Some(jar) = build("flink-sql", "flink-sql.jar") else { return };
    let sent = sent("vendors-flink");
    let output = Command::new("java")
        .args(["-Xmx512m", "-jar"])
        .arg(jar)
        .args(["tables.sql", "phones.sql", "messages-with-deals.sql"])
        .envs(sent.environment())
        .current_dir(example("flink-sql"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sent.compare(&String::from_utf8(output.stdout).unwrap(), &[]);
}

#[test]
fn kafka_streams_joins_both_vendors_by_reference_and_by_number() {
    let Some(jar) = build("kafka-streams", "chat-with-deal.jar") else { return };
    let sent = sent("vendors-streams");
    let setup = &sent.bridge.setup;
    // Not where temporary files are: Kafka Streams warns of that.
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [output, group] = ["messages-with-deals", "join-vendors"].map(|name| setup.topic(name));
    let child = Command::new("java")
        .args(["-Xmx512m", "-jar"])
        .arg(jar)
        .arg("messages-with-deals")
        .envs(sent.environment())
        .env("APPLICATION_ID", &group)
        .env("STATE_DIR", state.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut streams = Running(child);
    let mut first = String::new();
    BufReader::new(streams.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("joining "), "{first:?}");
    wait_until_caught_up(&setup.bootstrap, &group, &TOPICS.map(|name| setup.topic(name)));
    signal(streams.0.id(), "TERM");
    eventually("it ends", SOON, || streams.0.try_wait().unwrap());
    let tail = Command::new(env!("CARGO_BIN_EXE_hookbridge"))
        .args(["tail", &output, "--kafka", &setup.bootstrap, "--registry", &setup.registry_url])
        .output()
        .unwrap();
    assert!(tail.status.success(), "{}", String::from_utf8_lossy(&tail.stderr));
    let text = String::from_utf8(tail.stdout).unwrap();
    let rows: Vec<_> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["value"].to_string() + "\n").collect();
    sent.compare(&rows.concat(), &["--last"]);
}
