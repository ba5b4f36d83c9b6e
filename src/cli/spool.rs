//! `hookbridge spool`: what waits on disk, emptying it without serving, and looking again at what was damaged.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::connect::Connect;
use super::shutdown::Shutdown;
use super::{Ending, fail, fail_config, fail_start, on_runtime, progress};
use crate::app::bridge::{Core, StartError, lock};
use crate::config::{self, Settings};
use crate::disk::private::keep_new_files_private;
use crate::kafka::plain_words;
use crate::observe::telemetry;
use crate::spool::{Row, SpoolError, SpoolStore, Waiting, put_aside, recover_again};
use crate::values::amount::counted;
use crate::values::{printable, time};

/// How often the drain looks how far it is.
const LOOK: Duration = Duration::from_millis(100);

const HELP: &str = "\
`inspect` needs no Kafka and does not disturb a running bridge. `drain` is for a bridge that will not come back: it locks
the data directory, so it does not start while a bridge uses it.

Examples:
  hookbridge spool inspect --config /etc/hookbridge.toml      what is waiting, by topic, source and type
  hookbridge spool inspect --data-dir data --events --json    every delivery, one JSON object per line
  hookbridge spool drain --config /etc/hookbridge.toml        publish all of it, then end
  hookbridge spool recover --config /etc/hookbridge.toml      read damaged files again that were put aside

The file is an SQLite database, DIR/spool.db; its table `deliveries` holds the bodies. Change it only while no bridge uses
it. `drain` has no --data-dir: it needs the sources, Kafka and the registry of the configuration.

The bridge puts a damaged file aside (DIR/spool.damaged-TIME.db) and keeps what it can read of it. `recover` reads such
files again, for example after a repair, and adds what was not recovered before to the end of the spool.

Exit codes: 0 done, 1 something is left or damaged, 69 Kafka or the spool is not available, 78 configuration.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct SpoolArgs {
    #[command(subcommand)]
    command: SpoolCommand,
}

#[derive(Debug, Subcommand)]
enum SpoolCommand {
    /// Show what is waiting, whether or not a bridge is running
    #[command(after_help = HELP)]
    Inspect(InspectArgs),
    /// Publish all of it without accepting webhooks, then exit
    #[command(after_help = HELP)]
    Drain(DrainArgs),
    /// Add what can be read of damaged files and was not recovered before
    #[command(after_help = HELP)]
    Recover(RecoverArgs),
}

#[derive(Debug, Args)]
struct InspectArgs {
    /// The bridge's data directory [default: that of the configuration]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Show each delivery, in order of arrival
    #[arg(long)]
    events: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DrainArgs {
    /// Stop if nothing is published for this long
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = humantime::parse_duration)]
    wait: Duration,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
struct RecoverArgs {
    /// Damaged files [default: all that were put aside in the data directory]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: SpoolArgs, file: &Path) -> Ending {
    match args.command {
        SpoolCommand::Inspect(InspectArgs { data_dir: Some(dir), events, json }) => inspect(&dir, events, json),
        SpoolCommand::Inspect(InspectArgs { data_dir: None, events, json }) => match config::load(file) {
            Ok(settings) => inspect(&settings.data_dir, events, json),
            Err(error) => fail_config(&error),
        },
        // Of a certificate, say, it needs nothing.
        SpoolCommand::Drain(args) => match args.connect.settings_of_bridge(file, |_| Vec::new()) {
            Ok(mut settings) => {
                let _logs = telemetry::init(std::mem::take(&mut settings.logging));
                on_runtime(drain(&settings, args.wait)).unwrap_or_else(|ending| ending)
            }
            Err(error) => fail_config(&error),
        },
        SpoolCommand::Recover(args) => match config::load(file) {
            Ok(settings) => recover(&settings.data_dir, args.files),
            Err(error) => fail_config(&error),
        },
    }
}

fn recover(dir: &Path, files: Vec<PathBuf>) -> Ending {
    let _lock = match lock(dir) {
        Ok(lock) => lock,
        Err(error) => return fail_start(&error),
    };
    let files = if files.is_empty() { put_aside(dir) } else { files };
    let mut damaged = 0;
    for file in &files {
        match recover_again(dir, file) {
            Ok(again) => {
                let (path, words) = (file.display(), (again.added, again.known, again.damaged));
                let _ = writeln!(
                    io::stdout(),
                    "{path}: added {}, recovered before {}, damaged {}",
                    words.0,
                    words.1,
                    words.2
                );
                damaged += again.damaged;
            }
            Err(error) => return fail(&error, Ending::Unavailable),
        }
    }
    if files.is_empty() {
        let _ = writeln!(io::stdout(), "{}: no damaged files", dir.display());
    }
    if damaged == 0 { Ending::Well } else { Ending::Findings }
}

fn inspect(dir: &Path, events: bool, json: bool) -> Ending {
    if !dir.is_dir() {
        return fail(&format!("{}: no such directory", dir.display()), Ending::Unavailable);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    // Whoever closed the pipe has seen enough.
    let shown: fn(&str) -> Cow<'_, str> = if json { printable::json } else { printable::text };
    let mut print = |line: String| writeln!(out, "{}", shown(&line)).is_ok();
    let store = match SpoolStore::look(dir) {
        Ok(store) => store,
        Err(error) => return fail(&format!("{}: {error}", dir.display()), Ending::Unavailable),
    };
    match show(store, events, json, &mut print) {
        Ok(()) => Ending::Well,
        Err(error) => fail(&format!("{}: {error}", dir.display()), Ending::Unavailable),
    }
}

fn show(
    store: Option<SpoolStore>,
    events: bool,
    json: bool,
    print: &mut impl FnMut(String) -> bool,
) -> Result<(), SpoolError> {
    match store {
        Some(store) if events => {
            return store.each(|row| print(if json { event_json(&row) } else { event_text(&row) }));
        }
        // No file yet is an empty spool.
        store => {
            let waiting = store.map_or(Ok(Vec::new()), |store| store.waiting())?;
            if json {
                // `all` ends when the pipe does.
                let _ = waiting.iter().all(|waiting| print(waiting_json(waiting)));
            } else {
                print(table(&waiting));
            }
        }
    }
    Ok(())
}

fn event_json(row: &Row) -> String {
    json!({
        "seq": row.seq, "lane": row.lane, "source": row.source, "type": row.event_type, "id": row.id,
        "received_at": time::to_rfc3339(row.received_at), "bytes": row.bytes,
    })
    .to_string()
}

fn event_text(row: &Row) -> String {
    let (event_type, received_at) = (row.event_type.as_deref().unwrap_or("unknown"), time::to_rfc3339(row.received_at));
    format!("{} {received_at} {} {} {event_type} {} {} bytes", row.seq, row.lane, row.source, row.id, row.bytes)
}

fn waiting_json(waiting: &Waiting) -> String {
    json!({
        "lane": waiting.lane, "source": waiting.source, "type": waiting.event_type, "records": waiting.records,
        "bytes": waiting.bytes, "oldest": time::to_rfc3339(waiting.oldest),
    })
    .to_string()
}

fn table(waiting: &[Waiting]) -> String {
    let heads = ["lane", "source", "type", "records", "bytes", "oldest"].map(str::to_owned);
    let mut lines = vec![heads];
    for w in waiting {
        let event_type = w.event_type.clone().unwrap_or_else(|| "unknown".into());
        let (records, bytes) = (w.records.to_string(), w.bytes.to_string());
        lines.push([w.lane.clone(), w.source.clone(), event_type, records, bytes, time::to_rfc3339(w.oldest)]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let (records, bytes): (u64, u64) = waiting.iter().fold((0, 0), |(r, b), w| (r + w.records, b + w.bytes));
    let mut text = String::new();
    for line in lines.iter().filter(|_| !waiting.is_empty()) {
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Numbers to the right.
            let cell = if (3..5).contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            text += &format!("{cell}  ");
        }
        text = text.trim_end().to_owned() + "\n";
    }
    text + &format!("{}, {}", counted(records, "delivery"), counted(bytes, "byte"))
}

async fn drain(settings: &Settings, patience: Duration) -> Ending {
    keep_new_files_private();
    let shutdown = match Shutdown::listen() {
        Ok(shutdown) => shutdown,
        Err(error) => return fail(&error, Ending::Unavailable),
    };
    // A name that is wrong must not look like a spool that is empty.
    match SpoolStore::look(&settings.data_dir) {
        Ok(Some(_)) => {}
        Ok(None) => {
            let words = format!("data_dir {}: there is no spool in it", settings.data_dir.display());
            return fail(&words, Ending::Unavailable);
        }
        Err(error) => return fail(&format!("data_dir: {error}"), Ending::Unavailable),
    }
    let core = match Core::build(settings, false) {
        Ok(core) => core,
        Err(error) => return fail_start(&error),
    };
    let spool = Arc::clone(&core.intake.spool);
    let all = spool.records();
    let registry = Arc::clone(&core.registry);
    let mut running = core.start();
    let bar = progress::bar(all);
    let (mut before, mut moved) = (all, Instant::now());
    let emptied = async {
        loop {
            let left = spool.records();
            bar.set_position(all.saturating_sub(left));
            if left != before {
                (before, moved) = (left, Instant::now());
            }
            if left == 0 || moved.elapsed() >= patience {
                return;
            }
            sleep(LOOK).await;
        }
    };
    let mut refused = None;
    let told_to_end = tokio::select! {
        () = emptied => false,
        () = shutdown.wait() => true,
        refusals = running.refused() => {
            refused = Some(StartError::Refused(refusals));
            false
        }
    };
    bar.finish_and_clear();
    let kafka = running
        .intake
        .pipeline
        .publisher
        .trouble()
        .map(|words| plain_words::with_remedy(&settings.kafka.bootstrap_servers, &words));
    let trouble = kafka.or_else(|| registry.trouble().map(|words| format!("the registry: {words}")));
    running.end(Instant::now() + settings.shutdown_timeout).await;
    let left = spool.records();
    let _ = writeln!(io::stdout(), "drained {}, left {left}", all.saturating_sub(left));
    if let Some(error) = refused {
        return fail_start(&error);
    }
    match (left, trouble) {
        (0, _) => Ending::Well,
        (_, Some(trouble)) if !told_to_end => fail(&trouble, Ending::Unavailable),
        _ => Ending::Findings,
    }
}
