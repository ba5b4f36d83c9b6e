//! What a person should look at: where the samples leave a question open. No value of a sample is in a note, only names.

use super::known::Declared;
use super::naming;
use super::shape::{ScalarFacts, Shape};

/// What is to be said, in order, each once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) lines: Vec<String>,
}

impl Notes {
    pub(super) fn say(&mut self, line: String) {
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
    }
}

/// Notes what the samples leave open of a field that was given the type `ty`.
pub(super) fn of_field(notes: &mut Notes, field: &str, json: &str, shape: &Shape, ty: &Declared) {
    if naming::is_secret(json) {
        notes.say(format!("{field}: sounds like a secret: see `redact` in docs/vendors.md"));
    }
    let what = match ty {
        Declared::Array(items) => match (&shape.items, &**items) {
            (None, _) => Some("an empty list in every sample, so its items are JSON text; add a sample with some"),
            (Some(items), Declared::Json) if items.nulls > 0 => Some("some items are null, so all are JSON text"),
            (Some(items), ty) => return of_field(notes, &format!("{field}[]"), json, items, ty),
        },
        Declared::Json => of_json(shape),
        Declared::Record(_) => None,
        _ => of_scalar(&shape.scalars, ty),
    };
    match (what, shape.open) {
        (Some(what), Some(why)) => notes.say(format!("{field}: {why}, so {what}")),
        (Some(what), None) => notes.say(format!("{field}: {what}")),
        (None, _) => {}
    }
}

fn of_json(shape: &Shape) -> Option<&'static str> {
    if shape.open.is_some() {
        return Some("JSON text");
    }
    if shape.seen == shape.nulls {
        return Some(
            "null in every sample, so JSON text; add a sample with a value, or set its type before the first record",
        );
    }
    let Some(object) = &shape.object else {
        return (shape.deep == 0).then_some("values of several kinds, so JSON text");
    };
    Some(if object.members.is_empty() {
        "an empty object in every sample, so JSON text; add a sample with members"
    } else if shape.scalars.count() + shape.arrays > 0 {
        "an object in some samples and not in others, so JSON text"
    } else {
        "its members have data for names, so JSON text"
    })
}

fn of_scalar(facts: &ScalarFacts, ty: &Declared) -> Option<&'static str> {
    Some(match ty {
        Declared::String if facts.odd_dates > 0 => "looks like a date in a spelling that is not read as one, so text",
        Declared::String if facts.numbers > 0 && facts.strings > 0 => "numbers and texts, so text: numbers as spelled",
        Declared::String if facts.numbers > 0 => "numbers with more digits than a double or long has, so text",
        Declared::String if facts.strings > 0 && facts.decimals == facts.strings => {
            "a number in quotes: text here, as sent"
        }
        Declared::String if facts.blank > 0 && facts.iso > 0 => "a time in some samples and blank in others, so text",
        Declared::Timestamp if facts.numbers > 0 => "taken for a Unix time by its name and size",
        Declared::Timestamp if facts.with_time < facts.iso => "a date alone in some samples: read as midnight UTC",
        Declared::Timestamp if facts.finer > 0 => "finer than a millisecond: the digits beyond are cut",
        Declared::Double if facts.strings > 0 => "a number, in some samples in quotes",
        Declared::Long if facts.strings > 0 => "a whole number, in some samples in quotes",
        _ => return None,
    })
}
