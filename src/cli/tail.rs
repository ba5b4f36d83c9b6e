//! `hookbridge tail`: arguments, and how records are shown.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::connect::{Connect, ToolNeeds};
use super::{Ending, fail, fail_config, on_runtime, warn};
use crate::kafka::dead_letter::{REASON, REPLAYED_AT};
use crate::kafka::registry::{NoSchema, SchemaReader};
use crate::tools::read::{DecodeError, From, ReadError, ReadRecord, Reader, Schemas};
use crate::values::{printable, time};

const HELP: &str = "\
Decodes records with their schema from the registry. Dead letters are shown as text, timestamps as
ISO 8601, JSON text as JSON.

Examples:
  hookbridge tail wegly.deal
  hookbridge tail 'wegly.*' --from end --follow
  hookbridge tail wegly.lead --key 11111111-1111-4111-8111-111111111111 | jq .value.lead.status
  hookbridge tail wegly.chat --type chat.message_received --from 2026-06-02T12:00:00Z --count 10 --headers
  hookbridge tail hookbridge.dead-letters --config hookbridge.toml

Exit codes: 0 all shown, 1 some records are shown as text, since they do not follow a schema that
the registry has, 69 Kafka or the registry cannot be reached or the topic does not exist,
78 configuration.";

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
    /// Where to start: beginning, end, an offset, or a time such as 2026-06-02T12:00:00Z
    #[arg(long, default_value = "beginning")]
    from: From,
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
    #[command(flatten)]
    connect: Connect,
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
    let follow = args.follow || args.from == From::End;
    let reader = match Reader::open(&settings.kafka, &args.topics, args.from, follow) {
        Ok(reader) => reader,
        Err(error) => return fail(&error, Ending::Unavailable),
    };
    match on_runtime(show_all(args, reader, Schemas::new(registry))) {
        Ok(Ok(0)) => Ending::Well,
        Ok(Ok(undecoded)) => {
            fail(&format!("{undecoded} record(s) could not be decoded and are shown as text"), Ending::Findings)
        }
        // Whoever closed the pipe has seen enough.
        Ok(Err(TailError::Output(error))) if error.kind() == io::ErrorKind::BrokenPipe => Ending::Well,
        Ok(Err(error)) => fail(&error, Ending::Unavailable),
        Err(ending) => ending,
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
}

/// Shows what is wanted. How many records should have been decoded, and could not be.
async fn show_all(args: &TailArgs, mut reader: Reader, mut schemas: Schemas) -> Result<u64, TailError> {
    let terminal = io::stdout().is_terminal();
    let text = args.format == TailFormat::Text || (args.format == TailFormat::Auto && terminal);
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut undecoded = 0;
    let mut out = io::stdout().lock();
    while left > 0 {
        let Some(found) = reader.next()? else { break };
        if !wanted(args, &found) {
            continue;
        }
        let value = match readable(&found, &mut schemas).await? {
            Readable::Shown(value) => value,
            Readable::Undecoded(text) => {
                undecoded += 1;
                text
            }
        };
        let shown = if text {
            for_people(args, &found, &value, terminal)
        } else {
            printable::json(&for_machines(args, &found, &value)).into_owned()
        };
        writeln!(out, "{shown}").and_then(|()| out.flush())?;
        left -= 1;
    }
    Ok(undecoded)
}

fn wanted(args: &TailArgs, found: &ReadRecord) -> bool {
    let key = args.key.as_ref().is_none_or(|key| found.key.as_deref() == Some(key.as_bytes()));
    let event_type = args.event_type.as_ref().is_none_or(|wanted| {
        let of = found.header("ce_type").unwrap_or_default();
        of == wanted || of.split_once('.').is_some_and(|(_, name)| name == wanted)
    });
    key && event_type
}

/// A value as JSON.
enum Readable {
    /// The decoded record; or a text, where there is no schema to it; or null, for a tombstone.
    Shown(String),
    /// The text of what names a schema and does not follow it, or one that the registry does not have.
    Undecoded(String),
}

async fn readable(found: &ReadRecord, schemas: &mut Schemas) -> Result<Readable, TailError> {
    let Some(value) = &found.value else { return Ok(Readable::Shown("null".into())) };
    let as_text = || Value::from(String::from_utf8_lossy(value)).to_string();
    if found.header(REASON).is_some() {
        return Ok(Readable::Shown(as_text()));
    }
    let place = format!("{}/{}@{}", found.topic, found.partition, found.offset);
    let why = match schemas.json_of(value).await {
        Ok(json) => return Ok(Readable::Shown(json)),
        // Without the registry nothing can be decoded, what follows no more than this.
        Err(DecodeError::NoSchema(why @ NoSchema::Unavailable { .. })) => {
            return Err(TailError::Registry { place, why });
        }
        Err(why) => why,
    };
    warn(format_args!("{place}: {why}"));
    Ok(if let DecodeError::NotFramed = why { Readable::Shown(as_text()) } else { Readable::Undecoded(as_text()) })
}

fn text_of(bytes: Option<&Vec<u8>>) -> Value {
    bytes.map_or(Value::Null, |bytes| String::from_utf8_lossy(bytes).into())
}

fn headers(found: &ReadRecord) -> Value {
    found.headers.iter().map(|(name, value)| (name.clone(), text_of(Some(value)))).collect()
}

/// One object on one line.
fn for_machines(args: &TailArgs, found: &ReadRecord, value: &str) -> String {
    let mut object = json!({
        "topic": found.topic,
        "partition": found.partition,
        "offset": found.offset,
        "timestamp": found.timestamp.map(time::to_rfc3339),
        "key": text_of(found.key.as_ref()),
    });
    if args.headers {
        object["headers"] = headers(found);
    }
    let object = object.to_string();
    format!("{},\"value\":{value}}}", object.strip_suffix('}').unwrap_or(&object))
}

/// A line that says where and what, then the value, indented. The colours are ours; whatever others wrote has none.
fn for_people(args: &TailArgs, found: &ReadRecord, value: &str, colours: bool) -> String {
    let paint = |code: &str, text: &str| {
        let text = printable::line(text);
        if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into_owned() }
    };
    let time = found.timestamp.map(time::to_rfc3339).unwrap_or_default();
    let place = format!("{}/{}@{}", found.topic, found.partition, found.offset);
    // The mark behind a dead letter that was replayed.
    let mark = found.header(REPLAYED_AT).map(|_| "replayed");
    let kind = found.header(REASON).or(mark).or(found.header("ce_type")).unwrap_or_default();
    let key = text_of(found.key.as_ref());
    let mut text = format!(
        "{} {} {} {}",
        paint("2", &time),
        paint("36", &place),
        paint("1;33", kind),
        printable::line(key.as_str().unwrap_or("no key"))
    );
    if args.headers {
        for (name, value) in &found.headers {
            text += &format!("\n  {}: {}", paint("2", name), printable::line(&String::from_utf8_lossy(value)));
        }
    }
    text += "\n";
    match serde_json::from_str(value) {
        Ok(Value::String(verbatim)) => text += &printable::text(&verbatim),
        Ok(record) => text += &printable::json(&format!("{record:#}")),
        Err(_) => text += &printable::text(value),
    }
    text
}
