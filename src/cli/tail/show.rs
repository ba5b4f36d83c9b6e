//! How `tail` shows a record: for people, or as one JSON object on a line.

use anstream::{AutoStream, ColorChoice};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::TailError;
use crate::cli::warn;
use crate::kafka::dead_letter::{REASON, REPLAYED_AT};
use crate::kafka::registry::NoSchema;
use crate::tools::read::{DecodeError, ReadRecord, Schemas};
use crate::values::{printable, time};

/// When colours are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is dumb
    Auto,
    Always,
    Never,
}

impl ColorWhen {
    pub(super) fn is_on(self, out: &std::io::StdoutLock<'_>) -> bool {
        match self {
            ColorWhen::Auto => AutoStream::choice(out) != ColorChoice::Never,
            ColorWhen::Always => true,
            ColorWhen::Never => false,
        }
    }
}

/// A value as JSON.
pub(super) enum Readable {
    /// The decoded record; or a text, where there is no schema to it; or null, for a tombstone.
    Shown(String),
    /// The text of what names a schema and does not follow it, or one that the registry does not have.
    Undecoded(String),
}

pub(super) async fn readable(found: &ReadRecord, schemas: &mut Schemas) -> Result<Readable, TailError> {
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

/// What of a record is shown.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) headers: bool,
    pub(super) colours: bool,
}

impl Style {
    /// One object on one line.
    pub(super) fn for_machines(self, found: &ReadRecord, value: &str) -> String {
        let mut object = json!({
            "topic": found.topic,
            "partition": found.partition,
            "offset": found.offset,
            "timestamp": found.timestamp.map(time::to_rfc3339),
            "key": text_of(found.key.as_ref()),
        });
        if self.headers {
            object["headers"] = headers(found);
        }
        let object = object.to_string();
        let line = format!("{},\"value\":{value}}}", object.strip_suffix('}').unwrap_or(&object));
        printable::json(&line).into_owned()
    }

    /// A line that says where and what, then the value, indented. The colours are ours; whatever others wrote has none.
    pub(super) fn for_people(self, found: &ReadRecord, value: &str) -> String {
        let paint = |code: &str, text: &str| {
            let text = printable::line(text);
            if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into_owned() }
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
        if self.headers {
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
}
