//! The program under test: its configuration, its process, what it logs.
//!
//! Whatever a test is about, when its bridge goes the log is searched: no secret, no panic.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::mem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::mock::Mock;
use super::sender::{self, Answer, OLD_SECRET, OLD_TOKEN, SECRET, TOKEN};
use super::servers::servers;
use super::{eventually, variable};

/// For what should take a moment; a machine that compiles meanwhile is slow.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// How many subjects the two profiles have.
pub(crate) const SUBJECTS: usize = 51;

/// Those that have every event once, without prefix.
pub(crate) const EVENT_TOPICS: &[&str] = TOPICS.split_at(11).0;

/// The topics of the two profiles, without prefix: of events, of events once more, of dead letters.
pub(crate) const TOPICS: [&str; 19] = [
    "wegly.lead",
    "wegly.deal",
    "wegly.chat",
    "wegly.delivery",
    "wegly.task",
    "wegly.contract",
    "wegly.satisfaction",
    "whazing.message",
    "whazing.ticket",
    "whazing.channel",
    "whazing.tenant",
    "wegly.chat-by-deal",
    "wegly.chat-by-lead",
    "whazing.message-by-reference",
    "wegly.lead-latest",
    "wegly.deal-latest",
    "wegly.delivery-latest",
    "wegly.contract-latest",
    "hookbridge.dead-letters",
];

/// A configuration to be. Lines in the fields go into the section of that name.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) prefix: String,
    pub(crate) bootstrap: String,
    pub(crate) registry_url: String,
    pub(crate) partitions: i32,
    pub(crate) top: String,
    pub(crate) http: String,
    pub(crate) kafka: String,
    pub(crate) registry: String,
    /// Whole sections; the sources `wegly` and `whazing` unless replaced.
    pub(crate) sources: String,
    pub(crate) dir: Arc<TempDir>,
    /// Of `http.listen` and `admin.listen`; 0 is any.
    pub(crate) ports: [u16; 2],
    pub(crate) log_level: String,
    /// A command that runs the program, such as `strace`; with its arguments.
    pub(crate) runner: Vec<String>,
}

impl Setup {
    /// A setup whose topics no other test and no other run has.
    pub(crate) fn new(test: &str) -> Setup {
        Setup::on(&servers().kafka, &servers().registry, test)
    }

    /// A setup on a Kafka of its own, since nobody else's may go down with it, with our topics and `more` on it. Senders do
    /// not wait for long.
    pub(crate) fn on_its_own_kafka(test: &str, more: &[&str]) -> (Mock, Setup) {
        let kafka = Mock::start();
        let mut setup = Setup::new(test);
        setup.bootstrap.clone_from(&kafka.address);
        setup.http = "ack_timeout = \"1s\"\n".into();
        for name in TOPICS.iter().chain(more) {
            kafka.create_topic(&setup.topic(name), 3);
        }
        (kafka, setup)
    }

    /// A setup on servers of the test's own.
    pub(crate) fn on(bootstrap: &str, registry_url: &str, test: &str) -> Setup {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
        Setup {
            prefix: format!("it{}-{now}-{count}-{test}.", process::id()),
            bootstrap: bootstrap.to_owned(),
            registry_url: registry_url.to_owned(),
            // The tests of a run make over a thousand topics.
            partitions: 1,
            top: String::new(),
            // The first record of a new topic may take seconds on a machine with much to do.
            http: "ack_timeout = \"20s\"\n".into(),
            kafka: String::new(),
            // So may the answer of a registry, and a command asks once.
            registry: "timeout = \"20s\"\n".into(),
            sources: format!(
                "[sources.wegly]\nsecrets = [\"{SECRET}\", \"{OLD_SECRET}\"]\n\
                 [sources.whazing]\ntokens = [\"{TOKEN}\", \"{OLD_TOKEN}\"]\n"
            ),
            dir: Arc::new(TempDir::new().expect("a directory")),
            ports: [0, 0],
            log_level: "debug".into(),
            runner: Vec::new(),
        }
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Makes the topics where the program cannot (mock cluster).
    pub(crate) fn prepare(&self, more: &[&str]) {
        let topics: Vec<_> = TOPICS.iter().chain(more).map(|name| self.topic(name)).collect();
        servers().prepare_topics(topics.iter().map(String::as_str), self.partitions);
    }

    /// Writes `hookbridge.toml`.
    pub(crate) fn write(&self) -> PathBuf {
        let file = self.dir.path().join("hookbridge.toml");
        let text = format!(
            "data_dir = \"{data}\"\n{top}\n[http]\nlisten = \"127.0.0.1:{}\"\n{http}\n[admin]\nlisten = \"127.0.0.1:{}\"\n\
             [log]\nlevel = \"{level}\"\n\
             [kafka]\nbootstrap_servers = {bootstrap:?}\ntopic_prefix = {prefix:?}\npartitions = {partitions}\n{kafka}\n\
             [registry]\nurl = {url:?}\n{registry}\n{sources}",
            self.ports[0],
            self.ports[1],
            data = self.data_dir().display(),
            top = self.top,
            http = self.http,
            level = variable("HOOKBRIDGE_TEST_LOG").unwrap_or_else(|| self.log_level.clone()),
            bootstrap = self.bootstrap,
            prefix = self.prefix,
            partitions = self.partitions,
            kafka = self.kafka,
            url = self.registry_url,
            registry = self.registry,
            sources = self.sources,
        );
        fs::write(&file, text).expect("hookbridge.toml");
        file
    }

    /// Starts the bridge and waits until it publishes: being ready alone may mean that events wait in the spool.
    pub(crate) fn start(self) -> Bridge {
        self.prepare(&[]);
        let bridge = self.start_unready();
        eventually(&format!("{} publishes", bridge.setup.prefix), SOON, || {
            let (status, report) = bridge.readyz();
            (status == 200 && report["kafka"]["ok"] == true && report["registry"]["ok"] == true).then_some(())
        });
        bridge
    }

    /// Starts the bridge and waits until it listens.
    pub(crate) fn start_unready(self) -> Bridge {
        let file = self.write();
        let mut child = command(&self.runner, &["serve"], &file).spawn().expect("hookbridge runs");
        let stderr = child.stderr.take().expect("a pipe");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().expect("the log").push(line);
            }
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut bridge = Bridge { http: nowhere, admin: nowhere, child, log, judged: false, setup: self };
        bridge.http = bridge.address("http.listen");
        bridge.admin = bridge.address("admin.listen");
        bridge
    }

    /// Starts a subcommand, to be interrupted.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        command(&[], args, &self.write()).spawn().expect("hookbridge runs")
    }

    /// Runs a subcommand to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        run(args, &self.write())
    }
}

/// A runner that ends the program with this process, however that ends.
#[allow(dead_code, reason = "only the fault suite and the load bench need it")]
pub(crate) fn with_this_process() -> Vec<String> {
    const RUNNER: &str = "setpriv";
    let there = Command::new(RUNNER).args(["--pdeathsig", "KILL", "true"]).output();
    let there = there.is_ok_and(|output| output.status.success());
    if there { [RUNNER, "--pdeathsig", "KILL"].map(String::from).to_vec() } else { Vec::new() }
}

/// Runs the program to its end; a program that goes on instead is a failure.
pub(crate) fn run(args: &[&str], file: &Path) -> Output {
    let child = command(&[], args, file).spawn().expect("hookbridge runs");
    let pid = child.id();
    let (tell, told) = mpsc::channel();
    // Read all the while: a program that says much would wait for room in the pipe.
    thread::spawn(move || tell.send(child.wait_with_output()));
    let output = told.recv_timeout(SOON).unwrap_or_else(|_| {
        signal(pid, "KILL");
        panic!("hookbridge {args:?} did not end: {:?}", told.recv());
    });
    output.expect("its output")
}

fn command(runner: &[String], args: &[&str], file: &Path) -> Command {
    let mut words = runner.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_hookbridge")]);
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words);
    command.arg("--config").arg(file).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts the bridge with its log elsewhere: whoever calls this knows its ports.
#[allow(dead_code, reason = "only the integration tests need it")]
pub(crate) fn serve_with(setup: &Setup, stderr: Stdio) -> Child {
    command(&[], &["serve"], &setup.write()).stderr(stderr).stdout(Stdio::null()).spawn().expect("hookbridge runs")
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().expect("kill runs");
    assert!(status.success());
}

/// What a process said on both streams.
pub(crate) fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A running bridge.
pub(crate) struct Bridge {
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Its log was searched.
    judged: bool,
    pub(crate) setup: Setup,
}

impl Bridge {
    /// A bridge that is ready, with `sections` in its configuration, on a Kafka of its own: nobody else's may go down with it.
    #[allow(dead_code, reason = "only the integration tests break a mock cluster")]
    pub(crate) fn on_its_own_kafka(test: &str, sections: &str) -> (Mock, Bridge) {
        let (kafka, mut setup) = Setup::on_its_own_kafka(test, &[]);
        setup.sources += sections;
        let bridge = setup.start_unready();
        bridge.wait_ready();
        (kafka, bridge)
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        self.setup.topic(name)
    }

    pub(crate) fn deliver(&self, source: &str, body: impl AsRef<[u8]>) -> Answer {
        sender::deliver(self.http, source, body.as_ref())
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("the log").clone()
    }

    /// The lines of its log with `words` in them, as soon as there is one: a line may follow what it tells of.
    pub(crate) fn says(&self, words: &str) -> Vec<String> {
        eventually(&format!("the log says {words:?}"), SOON, || {
            let lines: Vec<_> = self.log().into_iter().filter(|line| line.contains(words)).collect();
            (!lines.is_empty()).then_some(lines)
        })
    }

    /// `/readyz` as (status, JSON).
    pub(crate) fn readyz(&self) -> (u16, Value) {
        let answer = sender::get(self.admin, "/readyz");
        (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
    }

    /// Waits until events are taken and the registry was asked for ids, whatever it said.
    pub(crate) fn wait_ready(&self) {
        eventually(&format!("{} is ready", self.setup.prefix), SOON, || {
            let (status, report) = self.readyz();
            (status == 200 && report["registry"]["reason"] != "not connected yet").then_some(())
        });
    }

    /// Waits until it knows that Kafka is there, or away.
    #[allow(dead_code, reason = "only the integration tests take Kafka away in the middle")]
    pub(crate) fn wait_kafka(&self, up: bool) {
        eventually("it is known whether Kafka is there", SOON, || {
            (self.metric("hookbridge_kafka_up") == u64::from(up)).then_some(())
        });
    }

    pub(crate) fn wait_not_ready(&self) -> Value {
        eventually("it is not ready", SOON, || {
            let (status, report) = self.readyz();
            (status == 503).then_some(report)
        })
    }

    /// The value of a series of `/metrics`, named as it stands there.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = sender::get(self.admin, "/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a number")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes the configuration as `setup` is now, tells the bridge to read it (SIGHUP), and waits for what comes of it:
    /// `taken_over` or `refused`; gives the reason of a refusal, or the keys that wait for the next start.
    pub(crate) fn reload(&self, outcome: &str) -> String {
        let series = format!("hookbridge_reloads_total{{outcome=\"{outcome}\"}}");
        let (before, said) = (self.metric(&series), self.log().len());
        self.setup.write();
        signal(self.pid(), "HUP");
        eventually(&format!("the reload is {outcome}"), SOON, || (self.metric(&series) > before).then_some(()));
        assert_eq!(self.metric("hookbridge_last_reload_successful"), u64::from(outcome == "taken_over"));
        let lines = eventually("the log says what came of it", SOON, || {
            let lines = self.log().split_off(said).into_iter().filter_map(|line| serde_json::from_str(&line).ok());
            let lines: Vec<Value> = lines.collect();
            let ends = |line: &Value| line["message"].as_str().is_some_and(is_the_last_of_a_reload);
            lines.iter().any(ends).then_some(lines)
        });
        let said = lines.iter().filter(|line| line["message"].as_str().is_some_and(is_of_a_reload));
        let words = said.filter_map(|line| line["reason"].as_str().or(line["keys"].as_str()));
        words.collect::<Vec<_>>().join("\n")
    }

    /// What the last reload that was taken over says it changed; "nothing" if so.
    pub(crate) fn reloaded(&self) -> String {
        let lines = self.log().into_iter().rev().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let mut told = lines.filter_map(|line| match line["message"].as_str()? {
            "configuration reloaded" => line["changed"].as_str().map(str::to_owned),
            words => words.contains("reloaded; nothing").then(|| "nothing".into()),
        });
        told.next().expect("a reload in the log")
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Waits until the process ended.
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the bridge ends", SOON, || child.try_wait().expect("a child"))
    }

    fn address(&mut self, message: &str) -> SocketAddr {
        let started = std::time::Instant::now();
        loop {
            let found = self.log().iter().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                (line["message"] == message).then(|| line["address"].as_str()?.parse().ok())?
            });
            if let Some(address) = found {
                return address;
            }
            let ended = self.child.try_wait().expect("a child");
            let log = self.log();
            assert!(ended.is_none() && started.elapsed() < SOON, "no {message}; {ended:?}; its log: {log:#?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Bridge {
    /// Ends the process (`kill -9`); says once what must not be in its log.
    pub(crate) fn end(&mut self) -> Option<String> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if mem::replace(&mut self.judged, true) {
            return None;
        }
        let secret = |line: &String| [SECRET, OLD_SECRET, TOKEN, OLD_TOKEN].iter().any(|secret| line.contains(secret));
        let log = self.log();
        let secret = log.iter().find(|line| secret(line)).map(|line| format!("a secret in the log: {line}"));
        let panic = || log.iter().position(|line| line.contains("panicked")).map(|at| log[at..].join("\n"));
        secret.or_else(panic)
    }
}

fn is_of_a_reload(message: &str) -> bool {
    message.starts_with("configuration ")
}

fn is_the_last_of_a_reload(message: &str) -> bool {
    is_of_a_reload(message) && !message.contains("next start only")
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let complaint = self.end();
        if thread::panicking() {
            let log = self.log();
            let calm: Vec<_> = log.iter().filter(|line| !line.contains("\"DEBUG\"")).collect();
            eprintln!("log of {}: {calm:#?}", self.setup.prefix);
        } else if let Some(words) = complaint {
            panic!("{words}");
        }
    }
}
