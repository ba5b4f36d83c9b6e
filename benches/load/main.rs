//! `cargo bench --bench load`: the bridge beside the yardstick, under load, on a real Kafka.
//!
//! ```text
//! sender ──▶ contender: the bridge, or the passthrough ──▶ cluster      stage: the same work? then pairs of runs ──▶ report
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

mod cluster;
mod contender;
mod report;
mod sender;
mod stage;

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::{Parser, ValueEnum};
use hookbridge::bench::{Passthrough, Workload};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use cluster::Cluster;
use sender::Pace;
use stage::{Pair, SAMPLED_BYTES, Stage};

/// What a run writes to Kafka at the most, if it is not told how many events it has: disks have an end.
const RUN_BYTES: u64 = 2 << 30;

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
    /// Events per second of `open` [default: half of what the slower one does in a closed loop]
    #[arg(long)]
    rate: Option<f64>,
    /// Pairs of runs
    #[arg(long, default_value_t = 5)]
    pairs: usize,
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

fn main() -> ExitCode {
    let args = Args::parse();
    if args.mode == Mode::Passthrough {
        return pass(args.passthrough);
    }
    allow_connections();
    let quick = args.quick || args.test || !args.bench;
    let cluster = match Cluster::start() {
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
    report::machine();
    if quick {
        show(&cluster);
    } else {
        measure(&cluster, &args);
    }
    ExitCode::SUCCESS
}

/// Every mode, as short as can be.
fn show(cluster: &Cluster) {
    let mut stage = prepared(cluster, SAMPLED_BYTES, 16, true);
    for pace in [Pace::Closed, Pace::Open(200.0)] {
        report::pairs(&stage, 400, pace, &[stage.pair(0, 400, pace)]);
    }
    stage.connections = 50;
    report::waiting(&stage, &stage.wait());
    drop(stage);
    drop(prepared(cluster, 256 << 10, 8, true));
    println!("\nIt works. These figures are of a moment, and mean nothing.");
}

fn measure(cluster: &Cluster, args: &Args) {
    let usual = if args.mode == Mode::Idle { 1000 } else { 64 };
    let connections = if args.connections.is_empty() { vec![usual] } else { args.connections.clone() };
    for &connections in &connections {
        let mut sizes = Vec::new();
        for &bytes in &args.sizes {
            let stage = prepared(cluster, bytes, connections, false);
            match args.mode {
                Mode::Idle => report::waiting(&stage, &stage.wait()),
                Mode::Closed => {
                    let events = events(args, bytes, stage.closed_rate(None));
                    sizes.push((bytes, measure_pairs(&stage, args.pairs, events, Pace::Closed)));
                }
                Mode::Open => {
                    let rate = args.rate.unwrap_or_else(|| half_of_closed(args, &stage));
                    let events = events(args, bytes, rate);
                    sizes.push((bytes, measure_pairs(&stage, args.pairs, events, Pace::Open(rate))));
                }
                Mode::Passthrough => {}
            }
        }
        report::further_bytes(&sizes);
    }
}

/// A stage whose contenders were shown to do the same work.
fn prepared(cluster: &Cluster, bytes: usize, connections: usize, quick: bool) -> Stage<'_> {
    let stage = Stage::new(cluster, bytes, connections, quick);
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

fn measure_pairs(stage: &Stage<'_>, count: usize, events: u64, pace: Pace) -> Vec<Pair> {
    let pairs: Vec<_> = (0..count.max(1)).map(|number| stage.pair(number, events, pace)).collect();
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
        let passthrough = Passthrough::build(&config, Workload { bodies, longer_by, now }).await?;
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
