//! The examples that join the whole house, in three engines, on the same 5,000 events of both vendors: sent through HTTP in random
//! order, once. What they make of them is held against joins of the bodies alone (`join_house.py`).

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::examples::{Inputs, Running, build, example, python, wait_until_caught_up};
use crate::support::bridge::{SOON, Setup, signal, words};
use crate::support::eventually;
use crate::support::servers::servers;

const EVENTS: usize = 5_000;
const BY_DEAL: [&str; 7] = [
    "wegly.chat-by-deal",
    "wegly.contract-by-deal",
    "wegly.delivery-by-deal",
    "wegly.task-by-deal",
    "wegly.satisfaction-by-deal",
    "whazing.message-by-reference",
    "whazing.ticket-by-reference",
];
const BY_PHONE: [&str; 3] = ["whazing.message-by-phone", "wegly.deal-by-phone", "wegly.lead-by-phone"];

/// All that the engines read: the events, and tombstones of some deals, of which one comes again.
fn sent() -> Inputs {
    let mut setup = Setup::new("house");
    setup.partitions = 12;
    setup.kafka = "join_topics = \"all\"\n".into();
    if servers().is_mock() {
        setup.prepare(&[&BY_DEAL[..], &BY_PHONE[..]].concat());
    }
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        (event["source"].as_str().unwrap().to_owned(), event["body"].as_str().unwrap().to_owned())
    };
    let inputs = Inputs::of(setup, "join_house.py", &[EVENTS], event);
    let (bridge, last) = (&inputs.bridge, inputs.count() - 1);
    inputs.send(..last);
    let (forgotten, known) = (inputs.ask("forgotten"), bridge.metric("hookbridge_latest_keys"));
    for deal in &forgotten {
        let forget = bridge.setup.run(&["forget", &bridge.topic("wegly.deal-latest"), deal, "--yes"]);
        assert!(forget.status.success(), "{}", words(&forget));
    }
    let left = known - forgotten.len() as u64;
    eventually("the tombstones are seen", SOON, || (bridge.metric("hookbridge_latest_keys") == left).then_some(()));
    inputs.send(last..);
    inputs
}

/// What a program of the Python example prints.
fn with_python(python: &Path, sent: &Inputs, script: &str) -> String {
    let output =
        Command::new(python).arg(script).envs(sent.environment()).current_dir(example("python")).output().unwrap();
    assert!(output.status.success(), "{}", words(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn with_flink(jar: &Path, sent: &Inputs) -> String {
    let output = Command::new("java")
        .args(["-Xmx512m", "-jar"])
        .arg(jar)
        .args(["tables.sql", "more-tables.sql", "messages-with-deals.sql", "activity.sql"])
        .envs(sent.environment())
        .current_dir(example("flink-sql"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs one of the topologies until it has read `topics`; gives what `tail` shows of its output.
fn with_streams(jar: &Path, sent: &Inputs, name: &str, topics: &[&str]) -> String {
    let setup = &sent.bridge.setup;
    // Not where temporary files are: Kafka Streams warns of that.
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let child = Command::new("java")
        .args(["-Xmx512m", "-jar"])
        .arg(jar)
        .arg(name)
        .envs(sent.environment())
        .env("APPLICATION_ID", setup.topic(name))
        .env("STATE_DIR", state.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut streams = Running(child);
    let mut first = String::new();
    BufReader::new(streams.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("joining "), "{first:?}");
    let topics: Vec<_> = topics.iter().map(|topic| setup.topic(topic)).collect();
    wait_until_caught_up(&setup.bootstrap, &setup.topic(name), &topics);
    signal(streams.0.id(), "TERM");
    eventually("it ends", SOON, || streams.0.try_wait().unwrap());
    let tail = Command::new(env!("CARGO_BIN_EXE_hookbridge"))
        .args(["tail", &setup.topic(name), "--kafka", &setup.bootstrap, "--registry", &setup.registry_url])
        .output()
        .unwrap();
    assert!(tail.status.success(), "{}", words(&tail));
    String::from_utf8(tail.stdout).unwrap()
}

#[test]
fn three_engines_make_of_the_same_events_what_plain_python_does() {
    let python = python();
    let (flink, streams) = (build("flink-sql", "flink-sql.jar"), build("kafka-streams", "chat-with-deal.jar"));
    if python.is_none() && flink.is_none() {
        return;
    }
    let sent = &sent();
    // One after the other would take as long as all of them.
    thread::scope(|scope| {
        if let Some(python) = &python {
            scope.spawn(|| {
                let scripts = ["messages_with_deals.py", "activity.py"];
                sent.compare(&scripts.map(|script| with_python(python, sent, script)).concat(), &[]);
            });
        }
        if let Some(jar) = &flink {
            scope.spawn(|| sent.compare(&with_flink(jar, sent), &[]));
        }
        if let Some(jar) = &streams {
            scope.spawn(|| {
                let latest = ["wegly.deal-latest"];
                let vendors = [&BY_DEAL[5..6], &BY_PHONE[..2], &latest].concat();
                let activity = [&BY_DEAL[..], &latest, &["whazing.message-by-phone", "wegly.lead-by-phone"]].concat();
                let rows = [("messages-with-deals", vendors), ("activity", activity)]
                    .map(|(name, topics)| with_streams(jar, sent, name, &topics));
                sent.compare(&rows.concat(), &["--tail"]);
            });
        }
    });
}
