//! `hookbridge dead-letters`: what could not be converted, looked at and tried again.

mod replay;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use super::connect::{Connect, ToolNeeds};
use super::{Ending, fail, fail_config, progress, since};
use crate::config::Settings;
use crate::kafka::route::Routes;
use crate::outcome::Reason;
use crate::tools::dead_letter_index::{Filter, Letter, Letters};
use crate::tools::event_id::EventId;
use crate::tools::read::{From, PlaceReader, ReadError, ReadRecord, Reader};
use crate::values::amount::counted;
use crate::values::{printable, time};
use replay::ReplayArgs;

const HELP: &str = "\
A replayed dead letter is marked in the topic by a record with its id as key and no value. It is
pending again when the same body becomes a dead letter again. These commands need no data directory,
and a bridge may be running.

Examples:
  hookbridge dead-letters list --config /etc/hookbridge.toml
  hookbridge dead-letters list --reason unknown_type --source wegly --json
  hookbridge dead-letters show d646e635-c932-82f7-81ca-e8e3c55c5e5f
  hookbridge dead-letters show d646e635-c932-82f7-81ca-e8e3c55c5e5f --body | jq .
  hookbridge dead-letters replay --type lead.created --dry-run --config /etc/hookbridge.toml
  hookbridge dead-letters replay --all --config /etc/hookbridge.toml

Exit codes: 0 all shown or replayed, 1 some stay dead letters, or the dead letter was not found,
64 wrong usage, 69 Kafka or the registry is not available or the topic does not exist, 78 configuration,
or the registry refuses a schema.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct DeadLettersArgs {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// List them in order of arrival: time, reason, source, type, id, error
    List(ListArgs),
    /// Show the newest dead letter of an event: its headers and its body
    Show(ShowArgs),
    /// Convert by the current catalog, publish, and mark as replayed
    Replay(ReplayArgs),
}

/// All that are given have to apply; of one that is given more than once, any.
#[derive(Debug, Args)]
struct Which {
    /// Only this event; may be repeated, like --reason, --source and --type
    #[arg(long, value_name = "ID")]
    id: Vec<EventId>,
    /// Only this reason
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Vec<Reason>,
    /// Only this source
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// Only this event type, with or without its profile, if the type is known
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Vec<String>,
    /// Only those received since this time, such as 2026-06-02T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    from: Option<i64>,
    /// Only those received before this time
    #[arg(long, value_name = "TIME", value_parser = since)]
    to: Option<i64>,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Also show those that were replayed
    #[arg(long)]
    all: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The event's id
    id: EventId,
    /// Only the body, as received (on a terminal, with control characters escaped)
    #[arg(long)]
    body: bool,
    #[command(flatten)]
    connect: Connect,
}

fn reason(text: &str) -> Result<Reason, String> {
    let known = || Reason::ALL.map(Reason::code).join(", ");
    Reason::of(text).ok_or_else(|| format!("expected one of {}", known()))
}

impl Which {
    fn is_none(&self) -> bool {
        let Which { id, reason, source, event_type, from, to } = self;
        id.is_empty()
            && reason.is_empty()
            && source.is_empty()
            && event_type.is_empty()
            && from.is_none()
            && to.is_none()
    }

    fn filter(&self) -> Filter {
        Filter {
            ids: self.id.iter().copied().collect(),
            reasons: self.reason.clone(),
            sources: self.source.clone(),
            event_types: self.event_type.clone(),
            from: self.from,
            to: self.to,
        }
    }
}

pub(super) fn run(args: &DeadLettersArgs, file: Option<&Path>) -> Ending {
    let (connect, needs) = match &args.command {
        DeadLettersCommand::List(args) => (&args.connect, ToolNeeds::Kafka),
        DeadLettersCommand::Show(args) => (&args.connect, ToolNeeds::Kafka),
        DeadLettersCommand::Replay(args) => (&args.connect, ToolNeeds::Both),
    };
    let settings = match connect.settings(file, needs) {
        Ok(settings) => settings,
        Err(error) => return fail_config(&error),
    };
    let done = match &args.command {
        DeadLettersCommand::List(args) => list(&settings, args),
        DeadLettersCommand::Show(args) => show(&settings, args),
        DeadLettersCommand::Replay(args) => return replay::run(&settings, args),
    };
    done.unwrap_or_else(|error| fail(&error, Ending::Unavailable))
}

/// Reads the topic: places and headers, no bodies.
pub(super) fn read(settings: &Settings, topic: &str) -> Result<Letters, ReadError> {
    let mut reader = Reader::open(&settings.kafka, &[topic.to_owned()], From::Beginning, false)?;
    let bar = progress::bar(reader.records()).with_message("reading");
    let mut letters = Letters::default();
    while let Some(found) = reader.next()? {
        letters.take(&found);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(letters)
}

fn list(settings: &Settings, args: &ListArgs) -> Result<Ending, ReadError> {
    let letters = read(settings, &Routes::plan(settings).dead_letters)?;
    let letters = letters.chosen(&args.which.filter(), args.all);
    let mut out = io::BufWriter::new(io::stdout().lock());
    // Whoever closed the pipe has seen enough.
    let mut print = |line: String| writeln!(out, "{line}").is_ok();
    let line = |letter: &Letter| {
        if args.json { printable::json(&for_machines(letter)).into_owned() } else { for_people(letter) }
    };
    let shown = letters.iter().all(|letter| print(line(letter)));
    if shown && !args.json {
        print(sum(|all| counted(all, "dead letter"), letters.iter().map(|letter| &*letter.reason)));
    }
    Ok(Ending::Well)
}

/// `7 dead letters: unknown_type 4, missing_key 3`
fn sum<'a>(headed: impl FnOnce(u64) -> String, reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    reasons.for_each(|reason| *counts.entry(reason).or_default() += 1);
    let all: u64 = counts.values().sum();
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let counts: Vec<_> = counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let head = headed(all);
    if all == 0 { head } else { format!("{head}: {}", counts.join(", ")) }
}

fn for_people(letter: &Letter) -> String {
    let Letter { id, received_at, reason, source, event_type, error, copies, replayed_at, .. } = letter;
    let event_type = event_type.as_deref().unwrap_or("unknown");
    let mut line = format!("{} {reason} {source} {event_type} {id} {error}", time::to_rfc3339(*received_at));
    if *copies > 1 {
        line += &format!(" ({copies} copies)");
    }
    if let Some(at) = replayed_at {
        line += &format!(" (replayed {})", time::to_rfc3339(*at));
    }
    // The sentence may quote the body.
    printable::line(&line).into_owned()
}

fn for_machines(letter: &Letter) -> String {
    json!({
        "received_at": time::to_rfc3339(letter.received_at), "reason": *letter.reason, "source": *letter.source,
        "type": letter.event_type.as_deref(), "id": letter.id.to_string(), "error": *letter.error,
        "partition": letter.place.partition, "offset": letter.place.offset, "bytes": letter.bytes,
        "copies": letter.copies, "replayed_at": letter.replayed_at.map(time::to_rfc3339),
    })
    .to_string()
}

fn show(settings: &Settings, args: &ShowArgs) -> Result<Ending, ReadError> {
    let topic = Routes::plan(settings).dead_letters;
    let filter = Filter { ids: [args.id].into(), ..Filter::default() };
    let found = match read(settings, &topic)?.chosen(&filter, true).pop() {
        Some(letter) => {
            PlaceReader::of(&settings.kafka, &topic)?.read([letter.place])?.pop().map(|found| (letter, found))
        }
        None => None,
    };
    let Some((letter, found)) = found else {
        return Ok(fail(&format!("{topic}: no dead letter {}", args.id), Ending::Findings));
    };
    let head = head(&letter, &found);
    let body = found.value.unwrap_or_default();
    let mut out = io::stdout().lock();
    // Whoever closed the pipe has seen enough.
    let _ = if args.body {
        out.write_all(&body_alone(&body, out.is_terminal()))
    } else {
        writeln!(out, "{head}{}", printable::text(&String::from_utf8_lossy(&body)))
    };
    Ok(Ending::Well)
}

/// The body as it came, for another program; what a terminal would act on is spelled out there.
fn body_alone(body: &[u8], terminal: bool) -> Cow<'_, [u8]> {
    if !terminal {
        return Cow::Borrowed(body);
    }
    Cow::Owned(printable::text(&String::from_utf8_lossy(body)).into_owned().into_bytes())
}

fn head(letter: &Letter, found: &ReadRecord) -> String {
    let mut text = format!("{}/{}@{}\n", found.topic, found.partition, found.offset);
    for (name, value) in &found.headers {
        let value = String::from_utf8_lossy(value);
        text += &format!("{}: {}\n", printable::line(name), printable::line(&value));
    }
    if let Some(at) = letter.replayed_at {
        text += &format!("replayed {}\n", time::to_rfc3339(at));
    }
    if letter.copies > 1 {
        text += &format!("this is the newest of {} copies\n", letter.copies);
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_names_the_commonest_first() {
        let letters = |all| counted(all, "dead letter");
        assert_eq!(sum(letters, ["b", "a", "b"].into_iter()), "3 dead letters: b 2, a 1");
        assert_eq!(sum(letters, ["a"].into_iter()), "1 dead letter: a 1");
        assert_eq!(sum(letters, [].into_iter()), "0 dead letters");
    }

    #[test]
    fn a_body_alone_is_as_it_came_but_on_a_terminal() {
        let body = b"a\x1b[2J\xff\n";
        assert_eq!(*body_alone(body, false), body[..]);
        assert_eq!(*body_alone(body, true), *"a\\u{1b}[2J\u{fffd}\n".as_bytes());
    }

    #[test]
    fn what_a_header_holds_stays_on_its_line() {
        let letter = Letter {
            id: "d646e635-c932-82f7-81ca-e8e3c55c5e5f".parse().unwrap(),
            place: crate::tools::read::RecordPlace { partition: 0, offset: 7 },
            received_at: 0,
            reason: "unknown_type".into(),
            source: "wegly".into(),
            event_type: None,
            error: "no such type: a\n\u{9b}2Jé".into(),
            bytes: 1,
            copies: 1,
            replayed_at: None,
        };
        assert!(for_people(&letter).ends_with(" no such type: a\\n\\u{9b}2Jé"));
        let found = ReadRecord {
            topic: "t".into(),
            partition: 0,
            offset: 7,
            timestamp: None,
            key: None,
            value: None,
            headers: vec![("http_x\u{1b}c".into(), b"\x1b]0;x\x07\r\n".to_vec())],
        };
        assert_eq!(head(&letter, &found), "t/0@7\nhttp_x\\u{1b}c: \\u{1b}]0;x\\u{7}\\r\\n\n\n");
    }
}
