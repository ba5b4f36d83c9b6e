//! The examples that join both vendors, on messages and deals that were sent through HTTP in random order. What they make of them
//! is held against a join of the bodies alone (`join_vendors.py`).

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::examples::{Running, build, example, judge, wait_until_caught_up};
use crate::support::bridge::{Bridge, SOON, Setup, signal};
use crate::support::servers::servers;
use crate::support::{eventually, python, skip};

const TOPICS: [&str; 4] =
    ["whazing.message-by-reference", "wegly.deal-latest", "whazing.message-by-phone", "wegly.deal-by-phone"];

/// Runs the plain script.
fn join(args: &[&str]) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/join_vendors.py");
    Command::new("python3").args(["-B", script]).args(args).output().expect("python3 runs")
}

/// Messages and deals of a test's own, and the bridge that they were sent to.
struct Sent {
    bridge: Bridge,
    file: PathBuf,
}

impl Sent {
    fn new(test: &str, messages: usize, deals: usize) -> Sent {
        let mut setup = Setup::new(test);
        setup.partitions = 12;
        setup.kafka = "join_topics = \"all\"\n".into();
        if servers().is_mock() {
            let by_deal = ["delivery", "task", "contract", "satisfaction"].map(|name| format!("wegly.{name}-by-deal"));
            let others = ["wegly.lead-by-phone", "whazing.ticket-by-reference"];
            setup.prepare(&by_deal.iter().map(String::as_str).chain(TOPICS).chain(others).collect::<Vec<_>>());
        }
        let bridge = setup.start();
        let file = bridge.setup.dir.path().join("events.jsonl");
        let made = join(&["events", "1", &messages.to_string(), &deals.to_string()]);
        assert!(made.status.success(), "{made:?}");
        fs::write(&file, &made.stdout).unwrap();
        let bodies = String::from_utf8(made.stdout).unwrap();
        let events: Vec<Value> = bodies.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(events.len() > messages + deals);
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while let Some(event) = events.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let answer = bridge.deliver(event["source"].as_str().unwrap(), event["body"].to_string());
                        assert_eq!(answer.sum(), (200, "published".into()), "{answer:?}");
                    }
                });
            }
        });
        Sent { bridge, file }
    }

    /// How an example is told where to look.
    fn environment(&self) -> [(&str, &str); 3] {
        let setup = &self.bridge.setup;
        [
            ("BOOTSTRAP_SERVERS", &setup.bootstrap),
            ("REGISTRY_URL", &setup.registry_url),
            ("TOPIC_PREFIX", &setup.prefix),
        ]
    }

    /// Holds `rows`, JSON lines, against the join of what was sent.
    fn compare(&self, rows: &str, more: &[&str]) {
        let file = self.bridge.setup.dir.path().join("rows.jsonl");
        fs::write(&file, rows).unwrap();
        let args = ["compare", self.file.to_str().unwrap(), file.to_str().unwrap()];
        let judged = join(&[&args, more].concat());
        assert!(judged.status.success(), "{judged:?}");
    }
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
    let sent = Sent::new("vendors-python", 3_500, 500);
    let mut command = Command::new(&python);
    command.arg("messages_with_deals.py").envs(sent.environment()).current_dir(example("python"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sent.compare(&String::from_utf8(output.stdout).unwrap(), &[]);
}

#[test]
fn flink_sql_joins_both_vendors_by_reference_and_by_number() {
    let Some(jar) = build("flink-sql", "flink-sql.jar") else { return };
    let sent = Sent::new("vendors-flink", 3_500, 500);
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
    let sent = Sent::new("vendors-streams", 3_500, 500);
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
