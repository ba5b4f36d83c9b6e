//! `cargo bench --bench load`: the bridge beside the yardstick, under load, on a real Kafka.
//!
//! ```text
//! sender ──▶ contender: the bridge, or the passthrough ──▶ cluster      stage: the same work? then rounds of runs ──▶ report
//! ```
//!
//! The passthrough ([`hookbridge::bench::Passthrough`]) is the same HTTP server and the same producer, with nothing
//! between them. It is this program, started by itself once more; so CPU and memory are those of a server alone. What is
//! measured, and how to read it: `docs/performance.md`.
//!
//! Without cargo's `--bench`, as in `cargo test --benches`, or with `--quick` it shows that all of it works, and measures
//! nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark has nobody to report to")]

#[path = "../../tests/support/support.rs"]
#[allow(dead_code, reason = "shared with the integration tests, which use what this does not")]
mod support;

mod backlog;
mod cluster;
mod contender;
mod distance;
mod report;
mod rival;
mod sender;
mod stage;
mod start;

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use hookbridge::bench::{Passthrough, Workload};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use cluster::{Cluster, Kind};
use contender::Setting;
use sender::Pace;
use stage::{Plan, Round, SAMPLED_BYTES, Stage};

/// What a run writes to Kafka at the most, if it is not told how many events it has: disks have an end.
const RUN_BYTES: u64 = 2 << 30;

/// What `settings` measures if it is not told: what a producer can be told, and where threads run.
const SETTINGS: [&str; 12] = [
    "HOOKBRIDGE__KAFKA__PRODUCERS=1",
    "HOOKBRIDGE__KAFKA__PRODUCERS=2",
    "HOOKBRIDGE__KAFKA__PRODUCERS=8",
    "HOOKBRIDGE__KAFKA__PRODUCERS=16",
    "linger.ms=1",
    "linger.ms=5",
    "linger.ms=20",
    "compression.type=lz4",
    "compression.type=zstd",
    "batch.size=16384",
    "TOKIO_WORKER_THREADS=1",
    "TOKIO_WORKER_THREADS=4",
];

/// Measures hookbridge beside a passthrough: the same HTTP server and Kafka producer, and nothing between them
#[derive(Debug, Parser)]
#[command(name = "load")]
struct Args {
    #[arg(value_enum, default_value_t = Mode::Closed)]
    mode: Mode,
    /// Connections; several numbers, one measurement each [default: 64, for `idle` 1000]
    #[arg(long, value_delimiter = ',')]
    connections: Vec<usize>,
    /// Bytes of a body, on average, such as 1500,64k,1m; several, one measurement each
    #[arg(long, value_delimiter = ',', value_parser = size, default_value = "1500")]
    sizes: Vec<usize>,
    /// Events of a run [default: as many as the slower one takes in --seconds]
    #[arg(long)]
    events: Option<u64>,
    /// About how long a run is
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Events per second of an open loop [default: half of what the slowest does in a closed loop]
    #[arg(long)]
    rate: Option<f64>,
    /// Pairs of runs; with `settings`, rounds
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// For `settings`: a property of librdkafka, such as linger.ms=5, or a variable of the environment; several apart by
    /// spaces go together; can be given again for another row [default: a list of its own]
    #[arg(long = "with", value_name = "NAME=VALUE")]
    settings: Vec<Setting>,
    /// Not an Apache Kafka, but librdkafka's mock cluster, which acknowledges after this time, such as 0ms or 20ms
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    stand_in: Option<Duration>,
    /// How many brokers; of several, each has every record
    #[arg(long, default_value_t = 1)]
    brokers: usize,
    /// How much later each byte between contenders and Kafka arrives, each way, such as 2500us
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    distance: Option<Duration>,
    /// For `rival`: how many records each event has, 1 or 2; several, one measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u8).range(1..=2))]
    records: Vec<u8>,
    /// A command to run beside each run that is measured, such as a profiler: it has PID and WHO, and is ended by SIGINT
    #[arg(long, value_name = "COMMAND")]
    beside: Option<String>,
    /// Only show that it works
    #[arg(long)]
    quick: bool,

    #[arg(long, hide = true)]
    bench: bool,
    #[arg(long, hide = true)]
    test: bool,
    #[command(flatten)]
    passthrough: PassthroughArgs,
}

/// What this program tells itself when it is to be the passthrough.
#[derive(Debug, clap::Args)]
struct PassthroughArgs {
    #[arg(long, hide = true, default_value = "hookbridge.toml")]
    config: PathBuf,
    #[arg(long, hide = true, default_value_t = 0)]
    bodies: usize,
    #[arg(long, hide = true, default_value_t = 0)]
    longer_by: usize,
    #[arg(long, hide = true, default_value_t = 0)]
    now: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// As fast as answers come
    Closed,
    /// At a rate, whatever the answers do
    Open,
    /// Memory while all connections wait for Kafka
    Idle,
    /// The bridge in several settings, in both loops; no passthrough
    Settings,
    /// In a closed loop beside a service written by hand in Go, with events of one type
    Rival,
    /// How fast a backlog leaves the spool, by the number of its keys; with --stand-in
    Backlog,
    /// How long the bridge takes from its start until it can publish
    Start,
    #[value(hide = true)]
    Passthrough,
}

/// A number of bytes: `1500`, `64k`, `4m`.
fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = match text.strip_suffix(['k', 'm']) {
        Some(number) if text.ends_with('k') => (number, 1 << 10),
        Some(number) => (number, 1 << 20),
        None => (text, 1),
    };
    let bytes = number.parse::<usize>().map_err(|e| e.to_string())?.saturating_mul(unit);
    let fits = (SAMPLED_BYTES..=4 << 20).contains(&bytes);
    if fits { Ok(bytes) } else { Err(format!("not between {SAMPLED_BYTES} (bodies as they are sampled) and 4m")) }
}

/// The program's own: the passthrough runs in this program, and has to give memory and take time as the bridge does.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.mode == Mode::Passthrough {
        return pass(args.passthrough);
    }
    allow_connections();
    let quick = args.quick || args.test || !args.bench;
    let cluster =
        match Cluster::start(&Kind { stand_in: args.stand_in, brokers: args.brokers, distance: args.distance }) {
            Ok(cluster) => cluster,
            Err(missing) if quick && !support::servers::require_real() => {
                println!("SKIPPED: no Kafka or no registry: {missing}; to enable it, install Java 21 and Maven");
                return ExitCode::SUCCESS;
            }
            Err(missing) => {
                eprintln!("no Kafka or no registry: {missing}; install Java 21 and Maven");
                return ExitCode::FAILURE;
            }
        };
    report::machine(&cluster.broker);
    if args.mode == Mode::Backlog {
        let events = args.events.and_then(|events| usize::try_from(events).ok()).unwrap_or(20_000);
        backlog::measure(&cluster, events, args.pairs);
    } else if args.mode == Mode::Start {
        start::measure(&cluster, args.pairs);
    } else if quick {
        show(&cluster);
    } else {
        measure(&cluster, &args);
    }
    ExitCode::SUCCESS
}

/// Every mode, as short as can be.
fn show(cluster: &Cluster) {
    let plan = Plan { bytes: SAMPLED_BYTES, connections: 16, quick: true, settings: &[], rival: None, beside: None };
    let mut stage = prepared(cluster, &plan);
    for pace in [Pace::Closed, Pace::Open(200.0)] {
        report::pairs(&stage, 400, pace, &[stage.round(0, 400, pace)]);
    }
    stage.connections = 50;
    report::waiting(&stage, &stage.wait());
    drop(stage);
    drop(prepared(cluster, &Plan { bytes: 256 << 10, connections: 8, ..plan }));
    let settings = [Setting::default(), "linger.ms=5 TOKIO_WORKER_THREADS=1".parse().expect("a setting")];
    let stage = Stage::new(cluster, &Plan { settings: &settings, ..plan });
    report::settings(&stage, 400, Pace::Closed, &settings, &[stage.round(0, 400, Pace::Closed)]);
    drop(stage);
    if let Some(program) = built_rival() {
        let stage = prepared(cluster, &Plan { rival: Some((&program, 2)), ..plan });
        report::pairs(&stage, 400, Pace::Closed, &[stage.round(0, 400, Pace::Closed)]);
    }
    start::measure(cluster, 1);
    println!("\nIt works. These figures are of a moment, and mean nothing.");
}

fn measure(cluster: &Cluster, args: &Args) {
    let usual = if args.mode == Mode::Idle { 1000 } else { 64 };
    let connections = if args.connections.is_empty() { vec![usual] } else { args.connections.clone() };
    for &connections in &connections {
        let mut sizes = Vec::new();
        for &bytes in &args.sizes {
            let plan =
                Plan { bytes, connections, quick: false, settings: &[], rival: None, beside: args.beside.as_deref() };
            match args.mode {
                Mode::Idle => {
                    let stage = prepared(cluster, &plan);
                    report::waiting(&stage, &stage.wait());
                }
                Mode::Closed => {
                    let stage = prepared(cluster, &plan);
                    let events = events(args, bytes, stage.closed_rate(None));
                    sizes.push((bytes, measure_pairs(&stage, args.pairs, events, Pace::Closed)));
                }
                Mode::Open => {
                    let stage = prepared(cluster, &plan);
                    let rate = args.rate.unwrap_or_else(|| half_of_closed(args, &stage));
                    let events = events(args, bytes, rate);
                    sizes.push((bytes, measure_pairs(&stage, args.pairs, events, Pace::Open(rate))));
                }
                Mode::Settings => measure_settings(cluster, args, &plan),
                Mode::Rival => measure_rival(cluster, args, &plan),
                Mode::Backlog | Mode::Start | Mode::Passthrough => {}
            }
        }
        report::further_bytes(&sizes);
    }
}

/// The rival, if there is a Go to build it; else says so.
fn built_rival() -> Option<PathBuf> {
    rival::build()
        .inspect_err(|missing| println!("SKIPPED: no rival: {missing}; to measure beside it, install Go"))
        .ok()
}

/// The bridge beside the rival.
fn measure_rival(cluster: &Cluster, args: &Args, plan: &Plan<'_>) {
    let Some(program) = built_rival() else { return };
    for &records in &args.records {
        println!("\nRecords of each event: {records}");
        let stage = prepared(cluster, &Plan { rival: Some((&program, records.into())), ..*plan });
        let events = events(args, plan.bytes, stage.closed_rate(None));
        measure_pairs(&stage, args.pairs, events, Pace::Closed);
    }
}

/// The bridge as it is, and in each setting.
fn measure_settings(cluster: &Cluster, args: &Args, plan: &Plan<'_>) {
    let others = match &args.settings[..] {
        [] => SETTINGS.iter().map(|text| text.parse().expect("a setting")).collect(),
        settings => settings.to_vec(),
    };
    let settings = [vec![Setting::default()], others].concat();
    let stage = Stage::new(cluster, &Plan { settings: &settings, ..*plan });
    let closed = stage.closed_rate(None);
    for pace in [Pace::Closed, Pace::Open(args.rate.unwrap_or(closed / 2.0))] {
        let rate = if let Pace::Open(rate) = pace { rate } else { closed };
        let events = events(args, plan.bytes, rate);
        let rounds = measure_rounds(&stage, args.pairs, events, pace);
        report::settings(&stage, events, pace, &settings, &rounds);
    }
}

/// A stage whose contenders were shown to do the same work.
fn prepared<'a>(cluster: &'a Cluster, plan: &Plan<'_>) -> Stage<'a> {
    let stage = Stage::new(cluster, plan);
    let topics = stage.compare();
    let (records, bytes) = topics.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("\nBoth wrote the same {records} records of {bytes} bytes for the same bodies, once each.");
    stage
}

/// Half of what the slower one does in a closed loop.
fn half_of_closed(args: &Args, stage: &Stage<'_>) -> f64 {
    let events = events(args, stage.bytes, stage.closed_rate(None));
    stage.closed_rate(Some(events)) / 2.0
}

/// What was asked for, or so many as take about the time of a run at this rate.
fn events(args: &Args, bytes: usize, rate: f64) -> u64 {
    let most = RUN_BYTES / bytes as u64;
    args.events.unwrap_or_else(|| ((rate * args.seconds as f64) as u64).clamp(1, most))
}

fn measure_rounds(stage: &Stage<'_>, count: usize, events: u64, pace: Pace) -> Vec<Round> {
    (0..count.max(1)).map(|number| stage.round(number, events, pace)).collect()
}

fn measure_pairs(stage: &Stage<'_>, count: usize, events: u64, pace: Pace) -> Vec<Round> {
    let pairs = measure_rounds(stage, count, events, pace);
    report::pairs(stage, events, pace, &pairs);
    pairs
}

/// Is the passthrough, until standard input ends: whoever started it is gone then.
fn pass(args: PassthroughArgs) -> ExitCode {
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let PassthroughArgs { config, bodies, longer_by, now } = args;
    let served = support::RUNTIME.block_on(async {
        let passthrough = Passthrough::build(&config, Workload { bodies, longer_by, now, only: None }).await?;
        println!("{}", passthrough.address()?);
        passthrough.run().await;
        Ok::<_, hookbridge::bench::PassthroughError>(())
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("passthrough: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A connection is an open file, of this process and of those it starts.
fn allow_connections() {
    let limit = getrlimit(Resource::Nofile);
    let set = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    set.expect("as many open files as are allowed");
}
