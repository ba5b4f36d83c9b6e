//! The tables, in Markdown, as they stand in `docs/performance.md`.

use std::fs;

use crate::contender::Who;
use crate::sender::Pace;
use crate::stage::{Pair, Run, Stage, Waiting};
use crate::support::java::{KAFKA_VERSION, REGISTRY_VERSION};

/// A line of a table: what it is called, how it is written, what it is of a run.
type Column = (&'static str, usize, fn(&Run) -> f64);

const COLUMNS: [Column; 8] = [
    ("events/s", 0, |run| run.events_per_second),
    ("CPU µs/event", 1, cpu),
    ("of it user", 1, |run| run.cpu.user),
    ("of it system", 1, |run| run.cpu.system),
    ("p50 ms", 2, |run| run.latencies[0]),
    ("p99 ms", 2, |run| run.latencies[1]),
    ("p99.9 ms", 2, |run| run.latencies[2]),
    ("peak RSS MiB", 1, |run| run.memory_peak),
];

/// Microseconds of the server per event.
pub(crate) fn cpu(run: &Run) -> f64 {
    run.cpu.user + run.cpu.system
}

/// What stands over all: where it was measured, and with what.
pub(crate) fn machine() {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let model = read("/proc/cpuinfo");
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let build = if cfg!(debug_assertions) { "DEBUG BUILD: these figures mean nothing" } else { "release build" };
    println!(
        "hookbridge {}, {build}; Apache Kafka {KAFKA_VERSION}, Apicurio {REGISTRY_VERSION}\n\
         {}, {cores} cores, Linux {}; load average before: {}",
        env!("CARGO_PKG_VERSION"),
        model.unwrap_or("unknown processor"),
        kernel.trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    );
}

/// The pairs of a stage.
pub(crate) fn pairs(stage: &Stage<'_>, events: u64, pace: Pace, pairs: &[Pair]) {
    let pace = match pace {
        Pace::Closed => "closed loop".to_owned(),
        Pace::Open(rate) => format!("open loop at {rate:.0} events/s"),
    };
    println!(
        "\n{pace}, {} connections, bodies of {} bytes on average, {} pairs of {events} events each; median (min..max)\n",
        stage.connections,
        stage.mean_bytes,
        pairs.len()
    );
    println!("| | hookbridge | passthrough | ratio | difference |\n| --- | --: | --: | --: | --: |");
    for (name, digits, of) in COLUMNS {
        let each = |of: &dyn Fn(&Pair) -> f64| pairs.iter().map(of).collect::<Vec<_>>();
        println!(
            "| {name} | {} | {} | {} | {} |",
            spread(each(&|pair| of(&pair.bridge)), digits),
            spread(each(&|pair| of(&pair.passthrough)), digits),
            spread(each(&|pair| of(&pair.bridge) / of(&pair.passthrough)), 2),
            spread(each(&|pair| of(&pair.bridge) - of(&pair.passthrough)), digits),
        );
    }
    let load = median(pairs.iter().flat_map(|pair| [pair.bridge.load_cpu, pair.passthrough.load_cpu]).collect());
    println!("\nThe load itself took {load:.1} µs of CPU per event.");
    let Some(last) = pairs.last() else { return };
    for (who, run) in [("hookbridge", &last.bridge), ("passthrough", &last.passthrough)] {
        let tenths: Vec<_> = run.memory_tenths.iter().map(|mib| format!("{mib:.1}")).collect();
        println!("RSS MiB of {who}, last run: {:.1} before, by tenths {}", run.memory_before, tenths.join(" "));
    }
}

/// What a further byte costs beyond what it costs the passthrough: from the smallest bodies to each larger size.
pub(crate) fn further_bytes(sizes: &[(usize, Vec<Pair>)]) {
    let Some(((smallest, _), larger)) = sizes.split_first().filter(|(_, larger)| !larger.is_empty()) else { return };
    let above = |pairs: &[Pair]| pairs.iter().map(|p| cpu(&p.bridge) - cpu(&p.passthrough)).collect::<Vec<_>>();
    let least = median(above(&sizes[0].1));
    println!("\nCPU above the passthrough's, per byte beyond {smallest}; median (min..max)\n");
    println!("| bytes | ns/byte |\n| --: | --: |");
    for (bytes, pairs) in larger {
        let per_byte = above(pairs).into_iter().map(|micros| (micros - least) * 1000.0 / (bytes - smallest) as f64);
        println!("| {bytes} | {} |", spread(per_byte.collect(), 2));
    }
}

/// Memory while connections wait.
pub(crate) fn waiting(stage: &Stage<'_>, both: &[Waiting]) {
    println!(
        "\n{} connections, each waiting for Kafka with an event of {} bytes on average; MiB\n",
        stage.connections, stage.mean_bytes
    );
    println!("| | RSS before | peak RSS while all wait | peak RSS when all are answered | answers |");
    println!("| --- | --: | --: | --: | --- |");
    for Waiting { who, before, waiting, peak, answers } in both {
        let name = match who {
            Who::Bridge => "hookbridge",
            Who::Passthrough => "passthrough",
        };
        let answers: Vec<_> = answers.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        println!("| {name} | {before:.1} | {waiting:.1} | {peak:.1} | {} |", answers.join(", "));
    }
}

/// The middle one; of an even number the upper of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn spread(values: Vec<f64>, digits: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.digits$} ({least:.digits$}..{most:.digits$})", median(values))
}
