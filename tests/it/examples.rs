//! The programs under `examples/`, built and run as their READMEs say, on chats and deals that were sent through HTTP in
//! random order. What they make of them is held against a join of the bodies alone (`join.py`).

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::support::bridge::{Bridge, SOON, Setup, signal};
use crate::support::servers::servers;
use crate::support::{eventually, java, python, skip};

/// A cold start on a small machine that does other things at the same time.
const LIMIT: Duration = Duration::from_secs(180);
const TOPICS: [&str; 2] = ["wegly.chat-by-deal", "wegly.deal-latest"];

/// Events of a test's own, and the bridge that they are sent to.
pub(crate) struct Inputs {
    pub(crate) bridge: Bridge,
    /// Their sources and bodies.
    events: Vec<(String, String)>,
    file: PathBuf,
    /// Makes them, and judges what was made of them.
    script: &'static str,
}

impl Inputs {
    /// Chats and deals.
    fn new(test: &str, messages: usize, deals: usize) -> Inputs {
        let mut setup = Setup::new(test);
        setup.partitions = 12;
        Inputs::of(setup, "join.py", &[messages, deals], |line| ("wegly".to_owned(), line.to_owned()))
    }

    /// What `script` makes of so many of something, line by line.
    pub(crate) fn of(
        setup: Setup,
        script: &'static str,
        counts: &[usize],
        event: impl Fn(&str) -> (String, String),
    ) -> Inputs {
        let bridge = setup.start();
        let file = bridge.setup.dir.path().join("events.jsonl");
        let counted: Vec<_> = counts.iter().map(ToString::to_string).collect();
        let args: Vec<_> = ["events", "1"].into_iter().chain(counted.iter().map(String::as_str)).collect();
        let made = join(script, &args);
        assert!(made.status.success(), "{made:?}");
        fs::write(&file, &made.stdout).unwrap();
        let events: Vec<_> = String::from_utf8(made.stdout).unwrap().lines().map(event).collect();
        assert!(events.len() >= counts.iter().sum());
        Inputs { bridge, events, file, script }
    }

    /// How many events there are.
    pub(crate) fn count(&self) -> usize {
        self.events.len()
    }

    /// Sends some of them, several at a time.
    pub(crate) fn send(&self, some: impl RangeBounds<usize>) {
        let events = &self.events[(some.start_bound().cloned(), some.end_bound().cloned())];
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while let Some((source, body)) = events.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let answer = self.bridge.deliver(source, body);
                        assert_eq!(answer.sum(), (200, "published".into()), "{answer:?}");
                    }
                });
            }
        });
    }

    /// How an example is told where to look.
    pub(crate) fn environment(&self) -> [(&str, &str); 3] {
        let setup = &self.bridge.setup;
        [
            ("BOOTSTRAP_SERVERS", &setup.bootstrap),
            ("REGISTRY_URL", &setup.registry_url),
            ("TOPIC_PREFIX", &setup.prefix),
        ]
    }

    /// What the script says of the events, line by line.
    pub(crate) fn ask(&self, question: &str) -> Vec<String> {
        let answer = join(self.script, &[question, self.file.to_str().unwrap()]);
        assert!(answer.status.success(), "{answer:?}");
        String::from_utf8(answer.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Holds `rows`, JSON lines, against the join of what was sent.
    pub(crate) fn compare(&self, rows: &str, more: &[&str]) {
        let file = tempfile::NamedTempFile::new_in(self.bridge.setup.dir.path()).unwrap();
        let file = file.path();
        fs::write(file, rows).unwrap();
        let args = ["compare", self.file.to_str().unwrap(), file.to_str().unwrap()];
        let judged = join(self.script, &[&args, more].concat());
        assert!(judged.status.success(), "{judged:?}");
    }
}

/// Runs one of the plain scripts.
fn join(script: &str, args: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script);
    Command::new("python3").arg("-B").arg(script).args(args).output().expect("python3 runs")
}

/// Whether that script can run.
pub(crate) fn judge() -> Result<(), String> {
    let old = "import sys; sys.exit(sys.version_info < (3, 11))";
    java::run(Command::new("python3").args(["-c", old])).map_err(|words| format!("no Python 3.11 or later: {words}"))
}

pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// The examples that are built. Tests share them, and Maven must not run twice at once in one directory.
static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Builds an example with Maven, its own tests included; says what is missing where that cannot be.
pub(crate) fn build(name: &str, jar: &str) -> Option<PathBuf> {
    let kafka = if servers().is_mock() { Err("it needs a real Kafka".to_owned()) } else { Ok(()) };
    if let Err(missing) = kafka.and_then(|()| java::available(17)).and_then(|()| judge()) {
        skip(&format!("examples/{name}"), &missing, "install Java 17, Maven and Python 3.11");
        return None;
    }
    let mut built = BUILT.lock().expect("it was built before");
    if !built.contains(name) {
        let output = Command::new("mvn").args(["-q", "-B", "package"]).current_dir(example(name)).output().unwrap();
        let words = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "mvn package of {name}: {}", String::from_utf8_lossy(&words));
        built.insert(name.to_owned());
    }
    Some(example(name).join("target").join(jar))
}

/// A Python that has what the examples need; says what is missing where there is none.
pub(crate) fn python() -> Option<PathBuf> {
    let requirements = fs::read_to_string(example("python").join("requirements.txt")).unwrap();
    let packages = requirements.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let packages: Vec<_> = packages.filter(|package| !package.is_empty()).collect();
    let python = judge().and_then(|()| python::python("venv-example", &packages));
    python.map_err(|missing| skip("examples/python", &missing, python::ENABLE)).ok()
}

/// A program that is ended with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until the group has read all there is of `topics` now.
pub(crate) fn wait_until_caught_up(bootstrap: &str, group: &str, topics: &[String]) {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", group).create().expect("a consumer");
    let mut ends = Vec::new();
    let mut partitions = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..12 {
            ends.push(consumer.fetch_watermarks(topic, partition, SOON).expect("watermarks").1);
            partitions.add_partition(topic, partition);
        }
    }
    eventually(&format!("{group} has caught up"), LIMIT, || {
        let committed = consumer.committed_offsets(partitions.clone(), SOON).ok()?;
        let behind = committed
            .elements()
            .iter()
            .zip(&ends)
            .any(|(element, &end)| end > 0 && !matches!(element.offset(), Offset::Offset(offset) if offset >= end));
        (!behind).then_some(())
    });
}

#[test]
fn kafka_streams_joins_ten_thousand_chats_with_a_thousand_deals() {
    let Some(jar) = build("kafka-streams", "chat-with-deal.jar") else { return };
    let inputs = Inputs::new("streams", 10_000, 1_000);
    let setup = &inputs.bridge.setup;
    // Not where temporary files are: Kafka Streams warns of that.
    let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [output, group] = ["chat-with-deal", "join"].map(|name| setup.topic(name));
    let child = Command::new("java")
        .args(["-Xmx512m", "-jar"])
        .arg(jar)
        .envs(inputs.environment())
        .env("APPLICATION_ID", &group)
        .env("STATE_DIR", state.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut streams = Running(child);
    let mut said = BufReader::new(streams.0.stdout.take().unwrap());
    let mut first = String::new();
    said.read_line(&mut first).unwrap();
    assert!(first.starts_with("joining "), "{first:?}");

    inputs.send(..);
    wait_until_caught_up(&setup.bootstrap, &group, &TOPICS.map(|name| setup.topic(name)));
    signal(streams.0.id(), "TERM");
    let status = eventually("it ends", SOON, || streams.0.try_wait().unwrap());
    let mut last = String::new();
    said.read_to_string(&mut last).unwrap();
    assert_eq!((status.code(), last.contains("rows written")), (Some(143), true), "{last}");

    // What the README says to look at the rows with.
    let tail = Command::new(env!("CARGO_BIN_EXE_hookbridge"))
        .args(["tail", &output, "--kafka", &setup.bootstrap, "--registry", &setup.registry_url])
        .output()
        .unwrap();
    assert!(tail.status.success(), "{}", String::from_utf8_lossy(&tail.stderr));
    let text = String::from_utf8(tail.stdout).unwrap();
    let rows: Vec<_> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["value"].to_string() + "\n").collect();
    assert!(rows.len() > 10_000, "{}", rows.len());
    inputs.compare(&rows.concat(), &["--last"]);
}

#[test]
fn flink_sql_joins_chats_with_deals() {
    let Some(jar) = build("flink-sql", "flink-sql.jar") else { return };
    let inputs = Inputs::new("flink", 1_000, 100);
    inputs.send(..);
    let output = Command::new("java")
        .args(["-Xmx512m", "-jar"])
        .arg(jar)
        .envs(inputs.environment())
        .current_dir(example("flink-sql"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    inputs.compare(&String::from_utf8(output.stdout).unwrap(), &[]);
}

#[test]
fn python_joins_chats_with_deals_once_however_often_it_is_killed() {
    let Some(python) = python() else { return };
    let own = Command::new(&python).args(["-m", "unittest", "-q"]).current_dir(example("python")).output().unwrap();
    assert!(own.status.success(), "{}", String::from_utf8_lossy(&own.stderr));

    let inputs = Inputs::new("python", 1_000, 100);
    let read = |args: &[&str]| {
        let mut command = Command::new(&python);
        command.arg("chat_with_deal.py").args(args).arg("--db").arg(inputs.bridge.setup.dir.path().join("chat.duckdb"));
        command.envs(inputs.environment()).current_dir(example("python"));
        command
    };
    // It reads while the rest is sent; new topics have no leaders yet for a moment.
    inputs.send(..200);
    let follower = Running(read(&[]).stderr(Stdio::inherit()).spawn().unwrap());
    inputs.send(200..);
    drop(follower);
    for _ in 0..2 {
        let output = read(&["--until-end", "--print"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        inputs.compare(&String::from_utf8(output.stdout).unwrap(), &[]);
    }
}
