//! Which embedded store should be the spool? The spool holds verified deliveries on disk while Kafka is away, and what
//! it was given it must have: a sender's 202 is covered by a sync that has ended.
//!
//!     cd benches/stores && cargo run --release [-- DIR]     # about 8 minutes; prints a Markdown table
//!     cargo run --release -- --quick                        # is everything in order? 1 minute, numbers worth little
//!
//! The stores work in fresh folders below DIR, or below the current directory (`/tmp` may be memory). Measured are
//! durable appends (commits of 1, 16 and 64 entries of 1.5 kB, and of one of 4 MiB), a drain with appends beside it,
//! disk and peak memory, the time to open after `kill -9` with everything that was committed checked, and whether
//! another process can look inside. Rounds go through all stores in turn, so that a machine whose speed drifts treats
//! all alike; the median is shown, with the extremes. Linux only: it reads `/proc`.
//!
//! That a commit ends in a sync can only be seen from outside. This prints every write and sync of three seconds:
//!
//!     mkdir S && timeout 3 strace -fyy -e trace=write,pwrite64,fsync,fdatasync target/release/stores append redb S

mod crash;
mod report;
mod space;
mod speed;
mod stores;

use std::env;
use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use report::{Spread, Table, short};
use speed::Commits;
use stores::{Entry, Kind, Store};
use tempfile::TempDir;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// The size of a usual delivery, of a large one, and of the largest.
const SMALL: usize = 1500;
const LARGE: usize = 4 << 20;
const LARGEST: usize = 32 << 20;

struct Plan {
    rounds: usize,
    /// What each store gets for appends, in each round.
    span: Duration,
    /// Entries in a full spool, in one that crashes, and in one that is drained.
    full: u64,
    crashed: u64,
    drained: u64,
    kills: usize,
}

const PLAN: Plan =
    Plan { rounds: 7, span: Duration::from_secs(2), full: 100_000, crashed: 50_000, drained: 20_000, kills: 10 };
const QUICK: Plan =
    Plan { rounds: 1, span: Duration::from_millis(200), full: 5_000, crashed: 2_000, drained: 2_000, kills: 2 };

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<()> {
    match args {
        // What this program does as a child of itself.
        ["append", kind, dir] => crash::append_until_killed(Kind::from_name(kind)?, Path::new(dir)),
        ["count", kind, dir] => print(&[Kind::from_name(kind)?.count_from_outside(Path::new(dir))?]),
        ["fill", count, kind, dir] => {
            print(&space::fill_and_empty(Kind::from_name(kind)?, Path::new(dir), count.parse()?)?)
        }
        ["largest", kind, dir] => print(&space::largest(Kind::from_name(kind)?, Path::new(dir))?),
        ["--quick"] => compare(&QUICK, &env::current_dir()?),
        [] => compare(&PLAN, &env::current_dir()?),
        [dir] if !dir.starts_with('-') => compare(&PLAN, Path::new(dir)),
        _ => Err("usage: stores [DIR | --quick]".into()),
    }
}

fn print(numbers: &[u64]) -> Result<()> {
    Ok(writeln!(stdout(), "{}", numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" "))?)
}

/// This program once more, to do `job` with a store.
fn child(job: &str, kind: Kind, dir: &Path) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(job.split(' ')).arg(kind.name()).arg(dir);
    Ok(command)
}

/// The numbers that such a child printed.
fn numbers<const N: usize>(mut child: Command) -> Result<[f64; N]> {
    let output = child.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let numbers: Vec<f64> =
        String::from_utf8(output.stdout)?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    Ok(numbers.try_into().map_err(|_| "the child printed something else")?)
}

/// Adds the entries 1 to `count`, and gives the last.
fn fill(store: &mut dyn Store, count: u64) -> Result<u64> {
    for first in (1..=count).step_by(64) {
        let entries: Vec<Entry> = (first..=count.min(first + 63)).map(|id| Entry::new(id, SMALL)).collect();
        store.commit(&entries, None)?;
    }
    Ok(count)
}

fn compare(plan: &Plan, parent: &Path) -> Result<()> {
    let root = tempfile::Builder::new().prefix("stores-").tempdir_in(parent)?;
    let mut table = Table::new();
    appends(plan, root.path(), &mut table)?;
    drains(plan, root.path(), &mut table)?;
    spaces(plan, root.path(), &mut table)?;
    crashes(plan, root.path(), &mut table)?;
    print!("\n{table}");
    Ok(())
}

/// A folder for one store and one measure. It goes when it is dropped.
fn fresh(root: &Path) -> Result<TempDir> {
    Ok(TempDir::new_in(root)?)
}

/// Runs a measure on each store, `rounds` times, round by round. Gives what it gave, by store.
fn interleaved<T>(
    rounds: usize,
    root: &Path,
    what: &str,
    mut measure: impl FnMut(Kind, &Path) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut all: Vec<Vec<T>> = Kind::ALL.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        eprintln!("{what}, round {round} of {rounds}");
        for (kind, results) in Kind::ALL.into_iter().zip(&mut all) {
            results.push(measure(kind, fresh(root)?.path())?);
        }
    }
    Ok(all)
}

fn spread<T>(rounds: &[T], value: impl Fn(&T) -> f64) -> Spread {
    rounds.iter().map(value).collect()
}

fn appends(plan: &Plan, root: &Path, table: &mut Table) -> Result<()> {
    for (batch, len) in [(1, SMALL), (16, SMALL), (64, SMALL), (1, LARGE)] {
        let what = format!("append {batch} × {}", if len == LARGE { "4 MiB" } else { "1.5 kB" });
        let mut floor = Vec::new();
        let all = interleaved(plan.rounds, root, &what, |kind, dir| {
            if kind == Kind::ALL[0] {
                floor.push(speed::append_to_file(fresh(root)?.path(), batch, len, plan.span)?);
            }
            speed::append(kind, dir, batch, len, plan.span)
        })?;
        if len == LARGE {
            let file = spread(&floor, Commits::megabytes_per_second);
            let rows = all.iter().map(|rounds| spread(rounds, Commits::megabytes_per_second));
            table.row(format!("{what}: MB/s; a plain file {file}"), rows);
            continue;
        }
        let file = spread(&floor, Commits::entries_per_second);
        let rows = all.iter().map(|rounds| spread(rounds, Commits::entries_per_second));
        table.row(format!("{what}: entries/s; a plain file {file}"), rows);
        table.row("… commits/s", all.iter().map(|rounds| spread(rounds, Commits::per_second)));
        let times = all.iter().map(|rounds| speed::milliseconds(rounds));
        let cell = |times: Spread| [0.5, 0.99, 1.0].map(|share| short(times.quantile(share))).join(" / ");
        table.row("… ms a commit: p50 / p99 / max", times.map(cell));
    }
    Ok(())
}

fn drains(plan: &Plan, root: &Path, table: &mut Table) -> Result<()> {
    let all = interleaved(plan.rounds, root, "drain", |kind, dir| speed::drain(kind, dir, plan.drained))?;
    table.row("drain by 256: entries/s removed", all.iter().map(|rounds| spread(rounds, |round| round.0)));
    table.row("… added meanwhile, by 16", all.iter().map(|rounds| spread(rounds, |round| round.1)));
    Ok(())
}

fn spaces(plan: &Plan, root: &Path, table: &mut Table) -> Result<()> {
    let job = format!("fill {}", plan.full);
    let all = interleaved(plan.rounds.min(3), root, "space", |kind, dir| numbers::<7>(child(&job, kind, dir)?))?;
    let size = |at: usize| {
        let cells = all.iter().map(move |rounds| {
            let [taken, len] = [at, at + 1].map(|at| spread(rounds, |round| round[at] / 1e6));
            format!("{taken}; {}", short(len.quantile(0.5)))
        });
        cells.collect::<Vec<_>>()
    };
    let payload = short(plan.full as f64 * SMALL as f64 / 1e6);
    table.row(format!("{} entries ({payload} MB): MB on disk; length", plan.full), size(0));
    table.row("… all removed", size(2));
    table.row("… and shrunk", size(4));
    table.row("peak memory while adding them, MB", all.iter().map(|rounds| spread(rounds, |round| round[6] / 1e6)));
    let all = interleaved(plan.rounds, root, "largest", |kind, dir| numbers::<2>(child("largest", kind, dir)?))?;
    table.row("one entry of 32 MiB: ms", all.iter().map(|rounds| spread(rounds, |round| round[0] / 1e3)));
    table.row("… peak memory, MB", all.iter().map(|rounds| spread(rounds, |round| round[1] / 1e6)));
    Ok(())
}

fn crashes(plan: &Plan, root: &Path, table: &mut Table) -> Result<()> {
    let all = interleaved(1, root, "crashes", |kind, dir| crash::kill_and_open(kind, dir, plan.crashed, plan.kills))?;
    let all: Vec<_> = all.into_iter().flatten().collect();
    let entries = format!("{} entries and more", plan.crashed);
    table.row(format!("open after kill -9, {entries}: ms"), all.iter().map(|survived| &survived.opens));
    let lost = |survived: &crash::Survived| format!("{} of {}", survived.lost, survived.entries);
    table.row(format!("… committed entries lost in {} kills", plan.kills), all.iter().map(lost));
    let all = interleaved(1, root, "outside", crash::look_from_outside)?;
    table.row("another process can read beside the writer", all.iter().flatten());
    table.row("to look inside", Kind::ALL.map(Kind::tool));
    Ok(())
}
