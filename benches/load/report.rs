//! The tables, in Markdown, as they stand in `docs/performance.md`.

use std::fs;
use std::time::Duration;

use crate::cluster::Broker;
use crate::contender::Setting;
use crate::sender::Pace;
use crate::stage::{Round, Run, Stage, Waiting};
use crate::support::java::{KAFKA_VERSION, REGISTRY_VERSION};

/// A line of a table: what it is called, how it is written, what it is of a run.
type Column = (&'static str, usize, fn(&Run) -> f64);

const COLUMNS: [Column; 9] = [
    ("events/s", 0, |run| run.events_per_second),
    ("CPU µs/event", 1, |run| run.cpu.sum()),
    ("of it user", 1, |run| run.cpu.user),
    ("of it system", 1, |run| run.cpu.system),
    ("p50 ms", 2, |run| run.latencies[0]),
    ("p99 ms", 2, |run| run.latencies[1]),
    ("p99.9 ms", 2, |run| run.latencies[2]),
    ("peak RSS MiB", 1, |run| run.memory_peak),
    ("Kafka's CPU µs/event", 1, |run| run.kafka_cpu),
];

/// What stands over all: where it was measured, and with what.
pub(crate) fn machine(broker: &Broker) {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let model = read("/proc/cpuinfo");
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let build = if cfg!(debug_assertions) { "DEBUG BUILD: these figures mean nothing" } else { "release build" };
    let broker = match broker {
        Broker::Kafka { nodes, .. } => format!("Apache Kafka {KAFKA_VERSION}, brokers: {}", nodes.len()),
        Broker::StandIn { after, .. } => format!("librdkafka's mock cluster, which acknowledges after {after:?}"),
    };
    println!(
        "hookbridge {}, {build}; {broker}, Apicurio {REGISTRY_VERSION}\n\
         {}, {cores} cores, Linux {}; load average before: {}",
        env!("CARGO_PKG_VERSION"),
        model.unwrap_or("unknown processor"),
        kernel.trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    );
}

/// What was measured how often; to stand over a table.
fn heading(stage: &Stage<'_>, events: u64, pace: Pace, rounds: usize, of: &str) {
    let pace = match pace {
        Pace::Closed => "closed loop".to_owned(),
        Pace::Open(rate) => format!("open loop at {rate:.0} events/s"),
    };
    println!(
        "\n{pace}, {} connections, bodies of {} bytes on average, {rounds} {of} of {events} events each; median (min..max)\n",
        stage.connections, stage.mean_bytes,
    );
}

/// The pairs of a stage: of the bridge, and of whom it is held against.
pub(crate) fn pairs(stage: &Stage<'_>, events: u64, pace: Pace, pairs: &[Round]) {
    heading(stage, events, pace, pairs.len(), "pairs");
    let names = stage.names();
    println!("| | {} | {} | ratio | difference |\n| --- | --: | --: | --: | --: |", names[0], names[1]);
    for (name, digits, of) in COLUMNS {
        let each = |of: &dyn Fn(&Round) -> f64| pairs.iter().map(of).collect::<Vec<_>>();
        println!(
            "| {name} | {} | {} | {} | {} |",
            spread(each(&|pair| of(&pair[0])), digits),
            spread(each(&|pair| of(&pair[1])), digits),
            spread(each(&|pair| of(&pair[0]) / of(&pair[1])), 2),
            spread(each(&|pair| of(&pair[0]) - of(&pair[1])), digits),
        );
    }
    let load = median(pairs.iter().flatten().map(|run| run.load_cpu).collect());
    println!("\nThe load itself took {load:.1} µs of CPU per event.");
    let Some(last) = pairs.last() else { return };
    for (who, run) in names.iter().zip(last) {
        let tenths: Vec<_> = run.memory_tenths.iter().map(|mib| format!("{mib:.1}")).collect();
        println!("RSS MiB of {who}, last run: {:.1} before, by tenths {}", run.memory_before, tenths.join(" "));
    }
}

/// The bridge in several settings, of which the first is what the others are held against.
pub(crate) fn settings(stage: &Stage<'_>, events: u64, pace: Pace, settings: &[Setting], rounds: &[Round]) {
    heading(stage, events, pace, rounds.len(), "rounds of runs");
    println!("| | events/s | ratio | CPU µs/event | ratio | Kafka's CPU | p50 ms | p99 ms | p99.9 ms | peak RSS MiB |");
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    for (at, setting) in settings.iter().enumerate() {
        let each = |of: &dyn Fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
        let middle = |of: fn(&Run) -> f64| median(each(&|round| of(&round[at])));
        let ratio = |of: fn(&Run) -> f64| spread(each(&|round| of(&round[at]) / of(&round[0])), 2);
        let rate: fn(&Run) -> f64 = |run| run.events_per_second;
        let cpu: fn(&Run) -> f64 = |run| run.cpu.sum();
        println!(
            "| {} | {:.0} | {} | {:.1} | {} | {:.1} | {:.2} | {} | {:.2} | {:.1} |",
            if setting.text.is_empty() { "as it is" } else { &setting.text },
            middle(rate),
            ratio(rate),
            middle(cpu),
            ratio(cpu),
            middle(|run| run.kafka_cpu),
            middle(|run| run.latencies[0]),
            spread(each(&|round| round[at].latencies[1]), 2),
            middle(|run| run.latencies[2]),
            middle(|run| run.memory_peak),
        );
    }
}

/// What a further byte costs beyond what it costs the passthrough: from the smallest bodies to each larger size.
pub(crate) fn further_bytes(sizes: &[(usize, Vec<Round>)]) {
    let Some(((smallest, _), larger)) = sizes.split_first().filter(|(_, larger)| !larger.is_empty()) else { return };
    let above = |pairs: &[Round]| pairs.iter().map(|p| p[0].cpu.sum() - p[1].cpu.sum()).collect::<Vec<_>>();
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
        let answers: Vec<_> = answers.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        println!("| {} | {before:.1} | {waiting:.1} | {peak:.1} | {} |", who.name(), answers.join(", "));
    }
}

/// Events a second that leave the spool, and that are taken when nothing waits.
pub(crate) struct Backlog {
    pub(crate) leaves: f64,
    pub(crate) taken: f64,
}

/// Backlogs by their number of keys, several rounds of each.
pub(crate) fn backlogs(after: Duration, events: usize, connections: usize, rows: &[(usize, Vec<Backlog>)]) {
    println!(
        "
A backlog of {events} events, acknowledged after {after:?}; {connections} connections; median (min..max)\n"
    );
    println!(
        "| keys | leaves the spool, events/s | taken when nothing waits, events/s | ratio |\n| --: | --: | --: | --: |"
    );
    for (keys, rounds) in rows {
        let each = |of: fn(&Backlog) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
        println!(
            "| {keys} | {} | {} | {} |",
            spread(each(|round| round.leaves), 0),
            spread(each(|round| round.taken), 0),
            spread(each(|round| round.leaves / round.taken), 2),
        );
    }
}

/// From the start of the program until it can publish.
pub(crate) struct Start {
    /// Every topic was to be made, every schema to be registered.
    pub(crate) cold: Duration,
    /// The topics were there, and the ids known.
    pub(crate) cached: Duration,
}

/// Starts in both states.
pub(crate) fn starts(rounds: &[Start]) {
    let row = |of: fn(&Start) -> Duration| spread(rounds.iter().map(|round| of(round).as_secs_f64()).collect(), 2);
    println!("\nSeconds from the start of the program until it can publish; median (min..max)\n");
    println!("| all topics to be made, all schemas to be registered | topics there, ids known |\n| --: | --: |");
    println!("| {} | {} |", row(|start| start.cold), row(|start| start.cached));
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
