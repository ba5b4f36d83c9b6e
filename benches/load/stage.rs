//! One measurement under one set of circumstances: the bridge and the passthrough, first shown to do the same work, or the
//! bridge in several settings; then measured in rounds, in which each has a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hookbridge::bench::{NUMBER, Request, Workload};
use tokio::runtime::Builder;

use crate::cluster::{Broker, Cluster, is_latest};
use crate::contender::{Beside, Contender, Cpu, Setting, Who, forget_peak, memory};
use crate::rival::{self, EVENT_TYPE};
use crate::sender::{Pace, Sent, connect, send};
use crate::support::bridge::TOPICS;

/// Of bodies as they are sampled: their mean.
pub(crate) const SAMPLED_BYTES: usize = 1500;
/// Different bodies, if they are small.
const BODIES: usize = 10_000;
/// What all bodies together take at the most: each contender has its records, and the load has the bodies.
const ALL_BODIES: usize = 128 << 20;
/// What the bodies that are under way together take at the most: an eighth of `http.max_in_flight_bytes`, and no more
/// than Kafka takes in a second, so that large bodies do not queue for longer than small ones.
const UNDER_WAY: usize = 32 << 20;
/// How long all connections wait before memory is looked at: long enough that every event has reached the producer.
const WAIT: Duration = Duration::from_secs(3);
/// What sending them may take before that: an event's wait begins when it is sent.
const SENDING: Duration = Duration::from_millis(500);
/// How long Kafka may go on after it was stopped: the signal holds once the thread that gets it has run.
const STOPPING: Duration = Duration::from_secs(1);
/// How often memory is looked at during a run.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) struct Stage<'a> {
    pub(crate) bytes: usize,
    pub(crate) connections: usize,
    cluster: &'a Cluster,
    contenders: Vec<Contender>,
    beside: Option<String>,
    /// Those that events are written to.
    topics: Vec<&'static str>,
    requests: Arc<[Vec<u8>]>,
    /// Of the bodies.
    pub(crate) mean_bytes: usize,
}

/// What one contender showed in one run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) events_per_second: f64,
    /// Microseconds per event, of the server.
    pub(crate) cpu: Cpu,
    /// The same of the load; with it that of a broker's stand-in.
    pub(crate) load_cpu: f64,
    /// The same of Kafka.
    pub(crate) kafka_cpu: f64,
    /// Milliseconds: p50, p99, p99.9.
    pub(crate) latencies: [f64; 3],
    /// MiB, when the run began.
    pub(crate) memory_before: f64,
    /// MiB, the most.
    pub(crate) memory_peak: f64,
    /// MiB, at the end of each tenth of the run.
    pub(crate) memory_tenths: Vec<f64>,
}

/// A run of each, one after the other; here in the order of the contenders.
pub(crate) type Round = Vec<Run>;

/// What a stage is to measure.
pub(crate) struct Plan<'a> {
    /// Of a body, on average.
    pub(crate) bytes: usize,
    pub(crate) connections: usize,
    /// Few bodies.
    pub(crate) quick: bool,
    /// The bridge in each of these; none: the bridge as it is, and the passthrough or the rival.
    pub(crate) settings: &'a [Setting],
    /// The rival's program, and how many records each event has.
    pub(crate) rival: Option<(&'a std::path::Path, usize)>,
    /// What runs beside each run.
    pub(crate) beside: Option<&'a str>,
}

/// Memory of a contender, in MiB, while connections wait for Kafka.
pub(crate) struct Waiting {
    pub(crate) who: Who,
    pub(crate) before: f64,
    pub(crate) waiting: f64,
    /// When all was answered.
    pub(crate) peak: f64,
    pub(crate) answers: BTreeMap<u16, u64>,
}

impl<'a> Stage<'a> {
    /// Prepares the bodies and the contenders.
    pub(crate) fn new(cluster: &'a Cluster, plan: &Plan<'_>) -> Stage<'a> {
        let &Plan { bytes, connections, quick, settings, rival, beside } = plan;
        let bodies = if quick { BODIES / 20 } else { BODIES }.min(ALL_BODIES / bytes);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis() as i64;
        let only = rival.map(|_| EVENT_TYPE);
        let workload = Workload { bodies, longer_by: bytes.saturating_sub(SAMPLED_BYTES), now, only };
        let requests = workload.requests();
        let mean_bytes = requests.iter().map(|request| request.body.len()).sum::<usize>() / bodies;
        let connections = connections.min((UNDER_WAY / bytes).max(1));
        let records = rival.map_or(0, |(_, records)| records);
        let name = format!("load-{bytes}-{connections}-{records}");
        let contender = |who, setting| Contender::new(who, setting, cluster, &name, workload);
        let as_it_is = Setting::default();
        let contenders = if let Some((program, records)) = rival {
            Contender::with_rival(cluster, &name, workload, program, records).into()
        } else if settings.is_empty() {
            [Who::Bridge, Who::Passthrough].map(|who| contender(who, &as_it_is)).into()
        } else {
            settings.iter().map(|setting| contender(Who::Bridge, setting)).collect()
        };
        let requests = requests.into_iter().enumerate().map(|(number, request)| written(number, request)).collect();
        let beside = beside.map(str::to_owned);
        let topics = match records {
            0 => TOPICS.to_vec(),
            records => rival::TOPICS[..records].to_vec(),
        };
        Stage { bytes, connections, cluster, contenders, beside, topics, requests, mean_bytes }
    }

    /// Lets both take every body once, and holds what they wrote against each other; gives the records and bytes of
    /// each topic.
    pub(crate) fn compare(&self) -> BTreeMap<&'static str, (usize, usize)> {
        for contender in &self.contenders {
            let (running, all) = (contender.start(), self.requests.len() as u64);
            let sent = on_one_thread(async {
                send(connect(running.address, self.connections).await, &self.requests, all, Pace::Closed).await
            });
            must_all_be_published(contender.who, &sent);
        }
        self.cluster.compare(&self.contenders[0].prefix, &self.contenders[1].prefix, &self.topics)
    }

    /// Events a second of the slowest in a closed loop, roughly: from one round, which also warms up Kafka.
    pub(crate) fn closed_rate(&self, events: Option<u64>) -> f64 {
        let round = self.round(0, events.unwrap_or(self.requests.len() as u64), Pace::Closed);
        round.iter().map(|run| run.events_per_second).fold(f64::INFINITY, f64::min)
    }

    /// Who is measured, in the order of the contenders.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.contenders.iter().map(|contender| contender.who.name()).collect()
    }

    /// Runs each, who comes first in turn.
    ///
    /// # Panics
    /// When they did not write the same number of records to each topic, but for latest topics.
    pub(crate) fn round(&self, number: usize, events: u64, pace: Pace) -> Round {
        let mut order: Vec<_> = (0..self.contenders.len()).collect();
        order.rotate_left(number % self.contenders.len());
        let mut runs: Vec<_> = order.into_iter().map(|at| (at, self.run(&self.contenders[at], events, pace))).collect();
        runs.sort_by_key(|&(at, _)| at);
        let (runs, mut written): (Vec<_>, Vec<_>) = runs.into_iter().map(|(_, run)| run).unzip();
        // Which states are left out hangs on the order in which they come.
        for topics in &mut written {
            topics.retain(|name, _| !is_latest(name));
        }
        assert!(written.windows(2).all(|two| two[0] == two[1]), "records per topic, by each: {written:?}");
        runs
    }

    /// A fresh process, warmed up, then measured; with it how many records it wrote to each topic.
    fn run(&self, contender: &Contender, events: u64, pace: Pace) -> (Run, BTreeMap<&'static str, i64>) {
        let written = self.cluster.counts(&contender.prefix);
        let running = contender.start();
        let (sent, run) = on_one_thread(async {
            let warm_up = (events / 10).max(self.connections as u64);
            let warmed =
                send(connect(running.address, self.connections).await, &self.requests, warm_up, Pace::Closed).await;
            must_all_be_published(contender.who, &warmed);
            let connections = connect(running.address, self.connections).await;
            forget_peak(running.pid);
            let memory_before = memory(running.pid, "VmRSS");
            let beside = self.beside.as_ref().map(|command| Beside::start(command, contender.who, running.pid));
            let watch = Watch::begin(running.pid);
            let kafka = self.cluster.broker.pids();
            let all = [&[running.pid][..], &[std::process::id()], &kafka];
            let before = all.map(Cpu::of_all);
            let sent = send(connections, &self.requests, events, pace).await;
            let after = all.map(Cpu::of_all);
            drop(beside);
            let [server, load, kafka] = [0, 1, 2].map(|at| after[at].since(before[at]).per(events));
            let run = Run {
                events_per_second: events as f64 / sent.took.as_secs_f64(),
                cpu: server,
                load_cpu: load.sum(),
                kafka_cpu: kafka.sum(),
                latencies: [0.5, 0.99, 0.999].map(|share| sent.percentile(share)),
                memory_before,
                memory_peak: memory(running.pid, "VmHWM"),
                memory_tenths: watch.tenths(),
            };
            (sent, run)
        });
        must_all_be_published(contender.who, &sent);
        drop(running);
        let mut now = self.cluster.counts(&contender.prefix);
        for (topic, count) in &mut now {
            *count -= written[topic];
        }
        (run, now)
    }

    /// Stops Kafka in its tracks while every connection has an event under way, and looks at the memory of each.
    pub(crate) fn wait(&self) -> Vec<Waiting> {
        let Broker::Kafka { nodes, .. } = &self.cluster.broker else {
            panic!("only a Kafka can be stopped in its tracks")
        };
        let (all, kafka) = (self.connections as u64, &nodes[0].server);
        let waiting = self.contenders.iter().map(|contender| {
            let running = contender.start();
            on_one_thread(async {
                let warmed = send(connect(running.address, 64).await, &self.requests, all, Pace::Closed).await;
                must_all_be_published(contender.who, &warmed);
                forget_peak(running.pid);
                let before = memory(running.pid, "VmRSS");
                let connections = connect(running.address, self.connections).await;
                kafka.order("STOP");
                tokio::time::sleep(STOPPING).await;
                let look = async {
                    tokio::time::sleep(SENDING + WAIT).await;
                    let waiting = memory(running.pid, "VmHWM");
                    kafka.order("CONT");
                    waiting
                };
                let (sent, waiting) = tokio::join!(send(connections, &self.requests, all, Pace::Closed), look);
                let first = Duration::from_secs_f64(sent.percentile(0.0) / 1000.0);
                let answers = &sent.answers;
                assert!(first >= WAIT, "answered after {first:?}, before memory was looked at: {answers:?}");
                let peak = memory(running.pid, "VmHWM");
                Waiting { who: contender.who, before, waiting, peak, answers: sent.answers }
            })
        });
        waiting.collect()
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // What a failed stage leaves goes with Kafka.
        if !thread::panicking() {
            let prefixes: BTreeSet<_> = self.contenders.iter().map(|contender| &contender.prefix).collect();
            for prefix in prefixes {
                self.cluster.delete(prefix);
            }
        }
    }
}

/// A request as it goes over the wire, the same for all contenders.
fn written(number: usize, request: Request) -> Vec<u8> {
    let Request { path, headers, body } = request;
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers.into_iter().chain([(NUMBER.to_owned(), number.to_string())]) {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    (head + &body).into_bytes()
}

/// The load has one thread, so that it takes as little as it can from those who are measured.
pub(crate) fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// An event that is spooled or refused is not the work that is compared.
fn must_all_be_published(who: Who, sent: &Sent) {
    assert!(sent.answers.keys().eq([&200]), "answers of {who:?} by status, and all should be 200: {:?}", sent.answers);
}

/// Looks at the memory of a process again and again.
struct Watch {
    ended: Arc<AtomicBool>,
    looks: thread::JoinHandle<Vec<f64>>,
}

impl Watch {
    fn begin(pid: u32) -> Watch {
        let ended = Arc::new(AtomicBool::new(false));
        let looks = thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                let mut seen = Vec::new();
                while !ended.load(Ordering::Relaxed) {
                    seen.push(memory(pid, "VmRSS"));
                    thread::sleep(LOOK);
                }
                seen
            }
        });
        Watch { ended, looks }
    }

    fn tenths(self) -> Vec<f64> {
        self.ended.store(true, Ordering::Relaxed);
        let seen = self.looks.join().expect("the looks come to their end");
        (1..=10).map(|tenth| seen[(seen.len() * tenth).div_ceil(10).saturating_sub(1)]).collect()
    }
}
