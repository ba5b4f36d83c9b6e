//! What is measured: the bridge and the passthrough, the bridge and its rival, or the bridge in several settings, each a process of its own with the
//! same configuration but for that; and what the kernel says of such a process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

use hookbridge::bench::{SECRET, TOKEN, Workload};
use serde_json::Value;

use crate::cluster::{Cluster, PARTITIONS};
use crate::rival::{self, Rival};
use crate::support::bridge::{Bridge, SOON, Setup, signal, with_this_process};
use crate::support::{eventually, sender};

/// Who takes the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Bridge,
    Passthrough,
    Rival,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Bridge => "hookbridge",
            Who::Passthrough => "passthrough",
            Who::Rival => "Go",
        }
    }
}

/// What a bridge is given beside its configuration: `NAME=VALUE`, several apart by spaces. What has a point in its name
/// is a property of librdkafka, anything else a variable of the environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    pub(crate) text: String,
    properties: Vec<(String, String)>,
    environment: Vec<String>,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let mut setting = Setting { text: text.to_owned(), ..Setting::default() };
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is not NAME=VALUE"))?;
            if name.contains('.') {
                setting.properties.push((name.to_owned(), value.to_owned()));
            } else {
                setting.environment.push(word.to_owned());
            }
        }
        Ok(setting)
    }
}

/// One of those that are measured, with its configuration and topics; starts as often as it is wanted.
pub(crate) struct Contender {
    pub(crate) who: Who,
    pub(crate) prefix: String,
    setup: Setup,
    workload: Workload,
    rival: Option<Rival>,
}

/// A contender that takes requests. It ends with this.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    process: Process,
}

/// Held for what ends with them.
#[expect(dead_code, reason = "a process ends when it is dropped")]
enum Process {
    Bridge(Box<Bridge>),
    Other(Other),
}

/// A process that ends when it is told to.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a program that says where it listens on its first line, and waits for that. It ends when its standard input does,
    /// should this process be killed.
    fn of(mut command: Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().parse().expect("it listens");
        Running { address, pid: child.id(), process: Process::Other(Other(child)) }
    }

    /// The sum of a metric's series, of the bridge.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let Process::Bridge(bridge) = &self.process else { panic!("only the bridge has metrics") };
        let text = sender::get(bridge.admin, "/metrics").body;
        let series =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum::<f64>() as u64
    }
}

impl Contender {
    /// With topics that begin with `stage`: of both the same number of bytes.
    pub(crate) fn new(who: Who, setting: &Setting, cluster: &Cluster, stage: &str, workload: Workload) -> Contender {
        let prefix = match who {
            Who::Bridge => format!("{stage}.bridge."),
            Who::Passthrough => format!("{stage}.passed."),
            Who::Rival => format!("{stage}.rival."),
        };
        let mut setup = Setup::on(cluster.broker.front(), &cluster.registry_url, "load");
        setup.prefix.clone_from(&prefix);
        setup.partitions = PARTITIONS;
        // The bridge says where it listens in its log; the passthrough needs none.
        setup.log_level = if who == Who::Bridge { "info" } else { "warn" }.into();
        // All is as it is by default, but for what would end a run: that a moment's stall goes to the spool, instead of into
        // the latencies, and that bodies of 4 MiB are dead letters.
        setup.http = "ack_timeout = \"20s\"\n".into();
        setup.kafka = "max_record_bytes = \"16MiB\"\n[kafka.properties]\n".into();
        setup.kafka.extend(setting.properties.iter().map(|(name, value)| format!("{name:?} = {value:?}\n")));
        setup.sources = format!("[sources.wegly]\nsecrets = [{SECRET:?}]\n[sources.whazing]\ntokens = [{TOKEN:?}]\n");
        setup.runner = with_this_process();
        if !setting.environment.is_empty() {
            let environment = std::iter::once("env").chain(setting.environment.iter().map(String::as_str));
            setup.runner.extend(environment.map(String::from));
        }
        cluster.prepare(&prefix);
        Contender { who, prefix, setup, workload, rival: None }
    }

    /// The bridge with so many records for each event of the rival's type, and the rival with as many. The rival uses the schemas
    /// that the bridge has registered: it is to be started second.
    pub(crate) fn with_rival(
        cluster: &Cluster,
        stage: &str,
        work: Workload,
        program: &Path,
        records: usize,
    ) -> [Contender; 2] {
        let [mut bridge, mut rival] =
            [Who::Bridge, Who::Rival].map(|who| Contender::new(who, &Setting::default(), cluster, stage, work));
        let topics = format!("join_topics = false\nlatest_topics = {}\n", records > 1);
        bridge.setup.kafka.insert_str(0, &topics);
        rival.rival = Some(Rival {
            program: program.to_owned(),
            kafka: cluster.broker.front().to_owned(),
            registry: cluster.registry_url.clone(),
            prefix: rival.prefix.clone(),
            schemas: bridge.prefix.clone(),
            records,
        });
        cluster.create(&rival.prefix, &rival::TOPICS);
        [bridge, rival]
    }

    /// The bridge as it is, with topics of this prefix.
    pub(crate) fn alone(cluster: &Cluster, prefix: &str) -> Contender {
        let none = Workload { bodies: 0, longer_by: 0, now: 0, only: None };
        Contender::new(Who::Bridge, &Setting::default(), cluster, prefix, none)
    }

    /// Starts it, and waits until it can publish, and has nothing else to do.
    pub(crate) fn start(&self) -> Running {
        match self.who {
            Who::Bridge => {
                self.start_bridge(|report| report["kafka"]["ok"] == true && report["registry"]["ok"] == true)
            }
            Who::Passthrough => Running::of(self.passthrough()),
            Who::Rival => Running::of(self.rival.as_ref().expect("it was told how").command()),
        }
    }

    /// Starts the bridge, and waits until `/readyz` says what is waited for.
    pub(crate) fn start_bridge(&self, is_ready: impl Fn(&Value) -> bool) -> Running {
        let bridge = self.setup.clone().start_unready();
        eventually("the bridge publishes", SOON, || {
            let (status, report) = bridge.readyz();
            (status == 200 && is_ready(&report)).then_some(())
        });
        Running { address: bridge.http, pid: bridge.pid(), process: Process::Bridge(Box::new(bridge)) }
    }

    fn passthrough(&self) -> Command {
        let Workload { bodies, longer_by, now, .. } = self.workload;
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg("passthrough").arg("--config").arg(self.setup.write());
        for (option, value) in
            [("--bodies", bodies.to_string()), ("--longer-by", longer_by.to_string()), ("--now", now.to_string())]
        {
            command.arg(option).arg(value);
        }
        command
    }
}

/// A command that runs beside a contender, such as a profiler: it has the contender's `PID` and who it is, `WHO`, and is
/// ended by `SIGINT`.
pub(crate) struct Beside(Child);

impl Beside {
    pub(crate) fn start(command: &str, who: Who, pid: u32) -> Beside {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {command}")]).env("PID", pid.to_string()).env("WHO", who.name());
        Beside(shell.stdin(Stdio::null()).spawn().expect("sh runs"))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            signal(self.0.id(), "INT");
        }
        let _ = self.0.wait();
    }
}

/// Time on the processor, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cpu {
    /// Of all threads of a process so far.
    pub(crate) fn of(pid: u32) -> Cpu {
        /// The kernel tells times in hundredths of a second (`USER_HZ`), whatever its own clock does.
        const MICROS_PER_TICK: f64 = 10_000.0;
        let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).expect("/proc/PID/stat");
        // The name of the program, in brackets, may hold anything; `utime` is the 12th field behind it.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).collect();
        let [user, system] = [0, 1].map(|at| fields[at].parse::<f64>().expect("ticks") * MICROS_PER_TICK);
        Cpu { user, system }
    }

    /// Of several processes together.
    pub(crate) fn of_all(pids: &[u32]) -> Cpu {
        let add = |sum: Cpu, one: Cpu| Cpu { user: sum.user + one.user, system: sum.system + one.system };
        pids.iter().map(|&pid| Cpu::of(pid)).fold(Cpu::default(), add)
    }

    pub(crate) fn since(self, before: Cpu) -> Cpu {
        Cpu { user: self.user - before.user, system: self.system - before.system }
    }

    pub(crate) fn per(self, events: u64) -> Cpu {
        Cpu { user: self.user / events as f64, system: self.system / events as f64 }
    }

    pub(crate) fn sum(self) -> f64 {
        self.user + self.system
    }
}

/// A line of `/proc/PID/status` that is about memory, such as `VmRSS`, in MiB.
pub(crate) fn memory(pid: u32, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc/PID/status");
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kib = value.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("a size in KiB") / 1024.0
}

/// Lets `VmHWM` begin anew: what a process took to get ready is not what it takes to serve.
pub(crate) fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("/proc/PID/clear_refs");
}
