//! What is wrong with the files of the catalog.

use std::fmt;

use super::locate;
use crate::values::derive::UnknownRegion;

/// One thing that is wrong with a file of the catalog, and where.
#[derive(Clone, Debug)]
pub(crate) struct CatalogFlaw {
    pub(crate) file: String,
    /// A JSON pointer or a TOML key; empty for the file as a whole.
    pub(crate) place: String,
    pub(crate) what: String,
    /// Of the file, from 1.
    pub(crate) line: Option<usize>,
}

impl fmt::Display for CatalogFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if !self.place.is_empty() {
            write!(f, ": {}", self.place)?;
        }
        write!(f, ": {}", self.what)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// What is wrong with the files of the catalog: one flaw a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct CatalogError(Vec<CatalogFlaw>);

impl CatalogError {
    /// `place` is a JSON pointer or a TOML key; empty for the file as a whole.
    pub(super) fn new(file: &str, place: impl Into<String>, what: impl Into<String>) -> Self {
        FlawAt::new(place, what).of(file)
    }

    /// Several flaws of one file.
    pub(super) fn all_of(file: &str, flaws: Vec<FlawAt>) -> Self {
        CatalogError(flaws.into_iter().flat_map(|flaw| flaw.of(file).0).collect())
    }

    /// Both.
    pub(super) fn and(mut self, other: CatalogError) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn into_flaws(self) -> Vec<CatalogFlaw> {
        self.0
    }

    /// The same with the lines of the places; `text` gives a file's.
    pub(super) fn located<'a>(mut self, text: impl Fn(&str) -> Option<&'a str>) -> Self {
        for flaw in self.0.iter_mut().filter(|flaw| flaw.line.is_none()) {
            flaw.line = text(&flaw.file).and_then(|text| locate::line(&flaw.file, text, &flaw.place));
        }
        self
    }
}

/// What is wrong at a place of a file, said by who does not know the file.
#[derive(Debug)]
pub(super) struct FlawAt {
    /// A JSON pointer or a TOML key.
    place: String,
    what: String,
    /// Where that is known and no key has it.
    line: Option<usize>,
}

impl FlawAt {
    pub(super) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        FlawAt { place: place.into(), what: what.into(), line: None }
    }

    /// Of a line that cannot be read.
    pub(super) fn in_line(line: usize, what: String) -> Self {
        FlawAt { place: String::new(), what, line: Some(line) }
    }

    /// The same, where its place is one inside of `outer`.
    pub(super) fn within(self, outer: &str) -> Self {
        FlawAt { place: format!("{outer}{}", self.place), ..self }
    }

    pub(super) fn of(self, file: &str) -> CatalogError {
        CatalogError(vec![CatalogFlaw { file: file.to_owned(), place: self.place, what: self.what, line: self.line }])
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
