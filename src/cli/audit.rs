//! `hookbridge audit`: arguments, what is read in which order, and the table.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::connect::{Connect, ToolNeeds};
use super::{Ending, fail, fail_config, progress, since, warn};
use crate::config::Settings;
use crate::kafka::route::{Role, Routes};
use crate::source::verify::Part;
use crate::spool::{Row, SpoolError, SpoolStore};
use crate::tools::audit::{Audit, EventCounts, Given, IdsError};
use crate::tools::event_id::EventId;
use crate::tools::read::{From, ReadError, Reader, those_there};

const HELP: &str = "\
Reads the spool, the dead letters and the topics of the configured sources. Each given id
counts once, in the first place that has it: published, dead letter (pending), spool. An id that is in
none is missing, and listed below the table. A replayed dead letter counts as published. Events older
than the topics' retention are missing, too.

Examples:
  hookbridge audit --config /etc/hookbridge.toml             count all events
  hookbridge audit ids.txt --config /etc/hookbridge.toml     one id a line
  hookbridge audit answers.jsonl --since 2026-06-02          the JSON answers that a sender logged
  ssh sender cat ids.txt | hookbridge audit - --json

Exit codes: 0 nothing is missing, 1 some ids are missing, 64 wrong usage or no list of ids, 69 Kafka or the
spool is not available, 78 configuration.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct AuditArgs {
    /// File with the ids that a sender believes delivered: one per line, or JSON objects with an `id`; `-` is standard input
    #[arg(value_name = "IDS_FILE")]
    ids: Option<PathBuf>,
    /// Count only records received since this time, such as 2026-06-02T12:00:00Z, or for so long, such as 5m
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// The bridge's data directory, for its spool [default: that of the configuration]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON object with the counts, then one for each missing id
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(super) fn run(args: &AuditArgs, file: Option<&Path>) -> Ending {
    let configured = match args.connect.configured(file, ToolNeeds::Kafka) {
        Ok(configured) => configured,
        Err(error) => return fail_config(&error),
    };
    let settings = &configured.settings;
    let given = match args.ids.as_deref().map(given).transpose() {
        Ok(given) => given,
        Err(error) => return fail(&error, Ending::Usage),
    };
    // Without a configuration there is no bridge whose directory it could be.
    let data_dir = args.data_dir.as_deref().or(configured.data_dir());
    if let Some(dir) = args.data_dir.as_ref().filter(|dir| !dir.is_dir()) {
        return fail(&format!("{}: no such directory", dir.display()), Ending::Unavailable);
    }
    let audit = match look(settings, data_dir, args.since) {
        Ok(audit) => audit,
        Err(error) => return fail(&error, Ending::Unavailable),
    };
    if audit.foreign > 0 {
        warn(format_args!("{} records have no event id: hookbridge did not write them", audit.foreign));
    }
    let held = given.as_ref().map(|given| audit.hold_against(given));
    let missing = held.as_ref().map(|(_, missing)| missing.as_slice()).unwrap_or_default();
    let (all, of_given) = (audit.there(), held.as_ref().map(|(counts, _)| *counts));
    // Whoever closed the pipe has seen enough.
    let _ = if args.json { print_json(all, of_given, missing) } else { print_text(all, of_given, missing) };
    if missing.is_empty() { Ending::Well } else { Ending::Findings }
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error("{}: {error}", .file.display())]
    Ids { file: PathBuf, error: IdsError },
    #[error("{}: {error}", .dir.display())]
    Spool { dir: PathBuf, error: SpoolError },
    #[error("{}: no ids", .file.display())]
    NoIds { file: PathBuf },
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn given(path: &Path) -> Result<Given, AuditError> {
    let named = |error| AuditError::Ids { file: path.to_owned(), error };
    let given = if path == Path::new("-") {
        Given::read(io::stdin().lock()).map_err(named)?
    } else {
        Given::read(BufReader::new(File::open(path).map_err(|e| named(e.into()))?)).map_err(named)?
    };
    if given.ignored > 0 {
        warn(format_args!(
            "{}: {} answers say that the event is ignored: it is nowhere",
            path.display(),
            given.ignored
        ));
    }
    if given.without > 0 {
        warn(format_args!("{}: {} lines have no id", path.display(), given.without));
    }
    // A list of ignored events is one that expects nothing.
    if given.ids.is_empty() && given.ignored == 0 {
        return Err(AuditError::NoIds { file: path.to_owned() });
    }
    Ok(given)
}

/// Reads all there is, in the order in which events move: from the spool to the dead letters and the topics, and from
/// the dead letters, replayed, to the topics.
fn look(settings: &Settings, data_dir: Option<&Path>, since: Option<i64>) -> Result<Audit, AuditError> {
    let mut audit = Audit::default();
    if let Some(dir) = data_dir {
        let fail = |error| AuditError::Spool { dir: dir.to_owned(), error };
        if let Some(store) = SpoolStore::look(dir).map_err(fail)? {
            let each = |row: Row| {
                audit.spooled(&row.id, Part::kept(&row.headers).as_ref());
                true
            };
            store.each(each).map_err(fail)?;
        }
    }
    let routes = Routes::plan(settings);
    let named =
        |role: Role| routes.topics.iter().filter(move |topic| topic.role == role).map(|topic| topic.name.to_string());
    // An event is in its own topic once; the others follow from it.
    let (letters, topics): (Vec<_>, Vec<_>) = (named(Role::DeadLetters).collect(), named(Role::Events).collect());
    let from = since.map_or(From::Beginning, From::Time);
    for (topics, what) in [(letters, "dead letters"), (topics, "topics")] {
        // Asked each time: a topic may be made meanwhile, for a dead letter that is replayed.
        let there = those_there(&settings.kafka, &topics)?;
        let (topics, missing): (Vec<_>, Vec<_>) = topics.into_iter().partition(|topic| there.contains(topic));
        for topic in missing {
            warn(format_args!("missing topic {topic}"));
        }
        let mut reader = Reader::open(&settings.kafka, &topics, from, false)?;
        let bar = progress::bar(reader.records()).with_message(what);
        while let Some(found) = reader.next()? {
            if *found.topic == *routes.dead_letters {
                audit.dead_letter(&found);
            } else {
                audit.published(&found);
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
    Ok(audit)
}

fn print_json(all: EventCounts, given: Option<EventCounts>, missing: &[EventId]) -> io::Result<()> {
    let counts = |counts: EventCounts| {
        json!({
            "published": counts.published, "dead_lettered": counts.dead_lettered, "spooled": counts.spooled,
            "duplicated": counts.duplicated,
        })
    };
    let mut sum = json!({ "there": counts(all) });
    if let Some(given) = given {
        sum["given"] = counts(given);
        sum["given"]["ids"] = ids(given, missing).into();
        sum["given"]["missing"] = missing.len().into();
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    writeln!(out, "{sum}")?;
    missing.iter().try_for_each(|id| writeln!(out, "{}", json!({ "missing": id.to_string() })))?;
    out.flush()
}

/// Each is in one place or in none.
fn ids(given: EventCounts, missing: &[EventId]) -> u64 {
    given.published + given.dead_lettered + given.spooled + missing.len() as u64
}

fn rows(counts: EventCounts) -> [(&'static str, u64); 4] {
    let EventCounts { published, dead_lettered, spooled, duplicated } = counts;
    [
        ("published", published),
        ("dead letters", dead_lettered),
        ("in the spool", spooled),
        ("more than once", duplicated),
    ]
}

fn print_text(all: EventCounts, given: Option<EventCounts>, missing: &[EventId]) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut line = |what: &str, of_given: Option<String>, there: String| {
        let of_given = of_given.map(|count| format!("{count:>12}")).unwrap_or_default();
        writeln!(out, "{}", format!("{what:<14}{of_given}{there:>12}").trim_end())
    };
    line("", given.map(|_| "given".into()), "there".into())?;
    if let Some(given) = given {
        line("ids", Some(ids(given, missing).to_string()), String::new())?;
    }
    for (at, (what, count)) in rows(all).into_iter().enumerate() {
        line(what, given.map(|given| rows(given)[at].1.to_string()), count.to_string())?;
    }
    if given.is_some() {
        line("missing", Some(missing.len().to_string()), String::new())?;
    }
    missing.iter().try_for_each(|id| writeln!(out, "{id}"))?;
    out.flush()
}
