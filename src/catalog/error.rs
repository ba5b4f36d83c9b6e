//! What is wrong with the files of the catalog.

use super::locate;
use crate::values::derive::UnknownRegion;

/// What is wrong with a catalog file, and where in it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {}{}", flaw(.place, .what), at(*.line))]
pub(crate) struct CatalogError {
    file: String,
    place: String,
    what: String,
    /// Of the file, from 1.
    line: Option<usize>,
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}

fn flaw(place: &str, what: &str) -> String {
    if place.is_empty() { what.to_owned() } else { format!("{place}: {what}") }
}

impl CatalogError {
    /// `place` is a JSON pointer or a TOML key; empty for the file as a whole.
    pub(super) fn new(file: &str, place: impl Into<String>, what: impl Into<String>) -> Self {
        FlawAt::new(place, what).of(file)
    }

    /// The same with the line of its place; `text` gives a file's.
    pub(super) fn located<'a>(mut self, text: impl Fn(&str) -> Option<&'a str>) -> Self {
        self.line = text(&self.file).and_then(|text| locate::line(&self.file, text, &self.place));
        self
    }
}

/// What is wrong at a place of a file, said by who does not know the file.
#[derive(Debug)]
pub(super) struct FlawAt {
    /// A JSON pointer or a TOML key.
    place: String,
    what: String,
}

impl FlawAt {
    pub(super) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        FlawAt { place: place.into(), what: what.into() }
    }

    /// The same, where its place is one inside of `outer`.
    pub(super) fn within(self, outer: &str) -> Self {
        FlawAt { place: format!("{outer}{}", self.place), ..self }
    }

    pub(super) fn of(self, file: &str) -> CatalogError {
        CatalogError { file: file.to_owned(), place: self.place, what: self.what, line: None }
    }
}

/// What is wrong with one thing that a file says, said by who does not know its place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flaw {
    #[error("no such type: {0}")]
    NoType(String),
    #[error("{record} has no field `{field}`")]
    NoField { record: String, field: String },
    #[error("`{0}`: what stands before it is not a record")]
    NoRecordBefore(String),
    #[error("`{0}` is made by hookbridge, not sent by the source")]
    NotSent(&'static str),
    #[error("no event has a field {0}")]
    InNoEvent(String),

    #[error("expected `from` and exactly one of `reference`, `member`, `phone` and `whatsapp`")]
    Derive,
    #[error(transparent)]
    Region(#[from] UnknownRegion),
    #[error("`{0}`: expected a list of strings with `derive`")]
    NoDerivedList(String),
    #[error("`{field}`: {from}: expected {expected}, got {got}")]
    DerivedFrom { field: String, from: String, expected: &'static str, got: &'static str },

    #[error("{0:?} is not a path: a name is empty")]
    NoPath(String),
    #[error("{0:?} is not a field name: it has no letter or digit")]
    NoName(String),
    #[error("{0} determines the event type, which `event.type` shows: it cannot be redacted or hashed")]
    ShowsType(String),
    #[error("{path} is required in {record}, and {value} becomes null: make it nullable")]
    Required { path: String, record: String, value: &'static str },
    #[error("{path}: a field of {record} is derived from it and would still show it")]
    StillShown { path: String, record: String },
    #[error("{path} of {record}: got {got}, but only strings can be hashed")]
    NotHashable { path: String, record: String, got: &'static str },
    #[error("{0} is in `redact` and in `hash`: keep one of them")]
    RedactedAndHashed(String),

    #[error("expected lower-case letters, digits and `-`")]
    TopicName,
    #[error("events already go to a topic of this name")]
    TopicOfEvents,
    #[error("another join, timeline or latest topic already has this name")]
    TopicTaken,
}

impl From<Flaw> for String {
    fn from(flaw: Flaw) -> String {
        flaw.to_string()
    }
}
