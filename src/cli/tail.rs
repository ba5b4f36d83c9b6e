//! `hookbridge tail`: arguments, and what is read. How records are shown is in `show`.

mod show;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, StdoutLock, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use clap::{Args, ValueEnum};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connect::{Connect, ToolNeeds};
use super::shutdown::Shutdown;
use super::{Ending, ago, fail, fail_config, on_runtime, progress, warn};
use crate::config::Settings;
use crate::kafka::registry::{NoSchema, RegistryUnavailable, SchemaReader};
use crate::tools::read::{From, NoPlace, Polled, ReadError, ReadRecord, Reader, Schemas, newest};
use crate::values::similar::closest;
use show::{ColorWhen, Readable, Style, readable};

const HELP: &str = "\
Decodes records with their schema from the registry. Dead letters are shown as text, timestamps as
ISO 8601, JSON text as JSON. Colours are for terminals; NO_COLOR and TERM=dumb switch them off.

Examples:
  hookbridge tail wegly.deal
  hookbridge tail 'wegly.*' --last 10                    the newest ten, in the order of time
  hookbridge tail 'wegly.*' --from end --follow
  hookbridge tail wegly.deal --from 5m                   what came in the last five minutes
  hookbridge tail wegly.lead --key 11111111-1111-4111-8111-111111111111 | jq .value.lead.status
  hookbridge tail wegly.chat --type chat.message_received --from 2026-06-02T12:00:00Z --count 10 --headers
  hookbridge tail hookbridge.dead-letters --config hookbridge.toml

Exit codes: 0 all shown, 1 some records are shown as text, since they do not follow a schema that
the registry has, 64 wrong usage, or an offset that is past the end of every partition, 69 Kafka or the
registry cannot be reached or the topic does not exist, 78 configuration.";

/// All of them are held in memory.
const MOST_LAST: i64 = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TailFormat {
    /// `text` on a terminal, otherwise `json`
    Auto,
    /// One JSON object per line
    Json,
    /// For people
    Text,
}

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct TailArgs {
    /// Topics; `*` matches anything
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Where to start: beginning, end (waits for new records, as --follow does), an offset, a time such as 2026-06-02T12:00:00Z, or how long ago, such as 5m
    #[arg(long, default_value = "beginning", value_parser = start)]
    from: From,
    /// The newest COUNT records of all topics together, in the order of time
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["from", "count"], value_parser = clap::value_parser!(u32).range(1..=MOST_LAST))]
    last: Option<u32>,
    /// Only records with this key
    #[arg(long)]
    key: Option<String>,
    /// Only this event type, with or without its profile
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Stop after this many records
    #[arg(long, short = 'n')]
    count: Option<u64>,
    /// Keep waiting for new records
    #[arg(long, short)]
    follow: bool,
    /// Show the headers too
    #[arg(long)]
    headers: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = TailFormat::Auto)]
    format: TailFormat,
    /// Colours in text
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorWhen::Auto)]
    color: ColorWhen,
    #[command(flatten)]
    connect: Connect,
}

/// It says neither where to begin nor how long ago.
#[derive(Debug, thiserror::Error)]
#[error("{0}, or how long ago, such as 5m")]
struct NoStart(NoPlace);

fn start(text: &str) -> Result<From, NoStart> {
    text.parse().or_else(|no_place| ago(text).map(From::Time).ok_or(NoStart(no_place)))
}

pub(super) fn run(args: &TailArgs, file: Option<&Path>) -> Ending {
    let settings = match args.connect.settings(file, ToolNeeds::Both) {
        Ok(settings) => settings,
        Err(error) => return fail_config(&error),
    };
    let registry = match SchemaReader::new(&settings.registry) {
        Ok(registry) => registry,
        Err(error) => return fail_config(&error),
    };
    let tail = match Tail::open(args, &settings) {
        Ok(tail) => tail,
        Err(error) => return fail(&error, Ending::Unavailable),
    };
    if let Some((words, is_all)) = past_the_end(&tail.reader) {
        if is_all {
            return fail(&words, Ending::Usage);
        }
        warn(words);
    }
    if let Some(words) = args.event_type.as_deref().and_then(|name| unknown_type(name, &settings)) {
        warn(words);
    }
    match on_runtime(show_all(args, tail, registry)) {
        Ok(Ok(Shown { records: 0, .. })) => {
            warn("0 records");
            Ending::Well
        }
        Ok(Ok(Shown { undecoded: 0, .. })) => Ending::Well,
        Ok(Ok(Shown { undecoded, .. })) => {
            fail(&format!("{undecoded} record(s) could not be decoded and are shown as text"), Ending::Findings)
        }
        // Whoever closed the pipe has seen enough.
        Ok(Err(TailError::Output(error))) if error.kind() == io::ErrorKind::BrokenPipe => Ending::Well,
        Ok(Err(error)) => fail(&error, Ending::Unavailable),
        Err(ending) => ending,
    }
}

/// What is said of an event type that no profile of the sources has, if one is probably meant.
fn unknown_type(name: &str, settings: &Settings) -> Option<String> {
    let profiles = settings.sources.values().map(|source| &source.profile);
    let known: Vec<String> = profiles
        .flat_map(|profile| profile.types.keys().flat_map(|name| [name.clone(), format!("{}.{name}", profile.name)]))
        .collect();
    if known.iter().any(|known| known == name) {
        return None;
    }
    let meant = closest(name, known.iter().map(String::as_str))?;
    Some(format!("--type {name}: no source has this event type: did you mean {meant}?"))
}

/// What is said of partitions that end before the offset at which reading was to begin; and whether that is all of them.
fn past_the_end(reader: &Reader) -> Option<(String, bool)> {
    let (short, is_all) = reader.short();
    let mut topics: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
    for ((topic, _), end) in short {
        let (partitions, longest) = topics.entry(topic).or_default();
        (*partitions, *longest) = (*partitions + 1, (*longest).max(*end));
    }
    let topics = topics.into_iter().map(|(topic, (partitions, longest))| match partitions {
        1 => format!("1 partition of {topic}, which ends at offset {longest}"),
        _ => format!("{partitions} partitions of {topic}, the longest of which ends at offset {longest}"),
    });
    let words = topics.collect::<Vec<_>>().join("; ");
    (!words.is_empty()).then(|| (format!("--from is past the end of {words}"), is_all))
}

/// What is to be shown: records that are read already, then those of the reader.
struct Tail {
    first: Vec<ReadRecord>,
    reader: Reader,
    follow: bool,
    /// The address of the registry.
    registry: String,
}

impl Tail {
    fn open(args: &TailArgs, settings: &Settings) -> Result<Tail, ReadError> {
        let registry = settings.registry.url.clone();
        let Some(count) = args.last else {
            let follow = args.follow || args.from == From::End;
            let reader = Reader::open(&settings.kafka, &args.topics, args.from, follow)?;
            return Ok(Tail { first: Vec::new(), reader, follow, registry });
        };
        let bar = progress::spinner().with_message("reading");
        let look = || bar.inc(1);
        let found = newest(&settings.kafka, &args.topics, count as usize, |found| wanted(args, found), look);
        bar.finish_and_clear();
        let (first, mut reader) = found?;
        if args.follow {
            reader.follow();
        }
        Ok(Tail { first, reader, follow: args.follow, registry })
    }
}

#[derive(Debug, thiserror::Error)]
enum TailError {
    #[error(transparent)]
    Output(#[from] io::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{place}: {why}")]
    Registry { place: String, why: NoSchema },
    #[error("{}", .why.at(.url))]
    NoRegistry { url: String, why: RegistryUnavailable },
}

/// What was shown.
#[derive(Clone, Copy, Default)]
struct Shown {
    records: u64,
    /// How many of them should have been decoded, and could not be.
    undecoded: u64,
}

/// Shows what is wanted, until all is shown or a signal comes.
async fn show_all(args: &TailArgs, tail: Tail, registry: SchemaReader) -> Result<Shown, TailError> {
    let shutdown = Shutdown::listen()?;
    if tail.follow {
        // Who waits for records is told now that none of them could be shown. Whether there is such a schema does not matter.
        if let Err(NoSchema::Unavailable { why, .. }) = registry.schema(1).await {
            return Err(TailError::NoRegistry { url: tail.registry, why });
        }
    }
    let mut printer =
        Printer { args, schemas: Schemas::new(registry), out: io::stdout().lock(), shown: Shown::default() };
    tokio::select! {
        shown = printer.show_all(tail, &shutdown) => shown?,
        () = shutdown.wait() => {}
    }
    Ok(printer.shown)
}

/// Writes records to standard output.
struct Printer<'a> {
    args: &'a TailArgs,
    schemas: Schemas,
    out: StdoutLock<'static>,
    shown: Shown,
}

impl Printer<'_> {
    async fn show_all(&mut self, tail: Tail, shutdown: &Shutdown) -> Result<(), TailError> {
        let Tail { first, mut reader, follow, .. } = tail;
        for found in &first {
            self.show(found).await?;
        }
        if self.args.last.is_some() && !follow {
            return Ok(());
        }
        let mut left = self.args.count.unwrap_or(u64::MAX);
        while left > 0 && !shutdown.is_asked() {
            match reader.poll()? {
                Polled::Record(found) if wanted(self.args, &found) => {
                    self.show(&found).await?;
                    left -= 1;
                }
                Polled::Lost(error) => warn(format_args!("{error}; waiting for it")),
                Polled::Back => warn("connected to Kafka again"),
                Polled::Nothing if is_closed(&self.out) => return Ok(()),
                Polled::Record(_) | Polled::Nothing => {}
                Polled::End => return Ok(()),
            }
        }
        Ok(())
    }

    async fn show(&mut self, found: &ReadRecord) -> Result<(), TailError> {
        let value = match readable(found, &mut self.schemas).await? {
            Readable::Shown(value) => value,
            Readable::Undecoded(text) => {
                self.shown.undecoded += 1;
                text
            }
        };
        let terminal = self.out.is_terminal();
        let text = match self.args.format {
            TailFormat::Auto => terminal,
            TailFormat::Json => false,
            TailFormat::Text => true,
        };
        let style = Style { headers: self.args.headers, colours: self.args.color.is_on(&self.out) };
        let shown = if text { style.for_people(found, &value) } else { style.for_machines(found, &value) };
        writeln!(self.out, "{shown}")?;
        self.shown.records += 1;
        Ok(self.out.flush()?)
    }
}

/// Whether whoever read what is written has gone. Without something to write nobody would say it.
fn is_closed(out: &StdoutLock<'_>) -> bool {
    let mut out = [PollFd::from_borrowed_fd(out.as_fd(), PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut out, Some(&now)).is_ok() && out[0].revents().contains(PollFlags::ERR)
}

fn wanted(args: &TailArgs, found: &ReadRecord) -> bool {
    let key = args.key.as_ref().is_none_or(|key| found.key.as_deref() == Some(key.as_bytes()));
    let event_type = args.event_type.as_ref().is_none_or(|wanted| {
        let of = found.header("ce_type").unwrap_or_default();
        of == wanted || of.split_once('.').is_some_and(|(_, name)| name == wanted)
    });
    key && event_type
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::time::now_millis;

    #[test]
    fn a_start_may_be_said_by_how_long_ago_it_is() {
        assert_eq!(start("5").ok(), Some(From::Offset(5)));
        for (text, minutes) in [("5m", 5), ("1h 30m", 90), ("2days", 2880)] {
            let Ok(From::Time(at)) = start(text) else { panic!("{text}") };
            let back = now_millis() - at;
            assert!((0..60_000).contains(&(back - minutes * 60_000)), "{text}: {back}");
        }
        let said = start("soon").unwrap_err().to_string();
        assert!(said.starts_with("expected beginning, end, an offset") && said.ends_with("such as 5m"), "{said}");
    }
}
