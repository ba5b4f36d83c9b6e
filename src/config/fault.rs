//! What is wrong with the configuration: every fault, each with its place and its remedy.

use std::fmt;
use std::path::Path;

use super::written_where::{FaultPlace, Written};
use crate::catalog::{CatalogError, CatalogFlaw};
use crate::disk::access::explain;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigFault {
    pub(crate) place: FaultPlace,
    pub(crate) what: String,
    /// What to do, where that is not said by what is expected.
    pub(crate) remedy: Option<String>,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, ": {remedy}"),
            None => Ok(()),
        }
    }
}

/// Why the configuration cannot be used: all that is wrong with it, one fault a line.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct ConfigError(Vec<ConfigFault>);

impl From<CatalogError> for ConfigError {
    fn from(error: CatalogError) -> ConfigError {
        let fault = |CatalogFlaw { file, line, place, what }: CatalogFlaw| ConfigFault {
            place: FaultPlace { file: Some(file), line, variable: None, key: place },
            what,
            remedy: None,
        };
        ConfigError(error.into_flaws().into_iter().map(fault).collect())
    }
}

impl ConfigError {
    /// One fault, of a key.
    pub(crate) fn key(key: impl Into<String>, what: impl Into<String>) -> Self {
        let place = FaultPlace { key: key.into(), ..FaultPlace::default() };
        ConfigError(vec![ConfigFault { place, what: what.into(), remedy: None }])
    }

    /// A file cannot be read.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let place = FaultPlace { file: Some(file.display().to_string()), ..FaultPlace::default() };
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => Some(
                "name a file with --config, write one with `hookbridge init`, or try `hookbridge dev`, which needs none",
            ),
            std::io::ErrorKind::IsADirectory => Some("name a file with --config"),
            std::io::ErrorKind::InvalidData => Some("save it as UTF-8"),
            _ => None,
        };
        ConfigError(vec![ConfigFault { place, what: explain(file, error), remedy: remedy.map(str::to_owned) }])
    }

    pub(super) fn of(faults: Vec<ConfigFault>) -> Self {
        ConfigError(faults)
    }

    /// All that is wrong.
    pub(crate) fn faults(&self) -> &[ConfigFault] {
        &self.0
    }

    pub(super) fn into_faults(self) -> Vec<ConfigFault> {
        self.0
    }

    /// The same with what to do, for those that do not say so.
    pub(crate) fn or_remedy(mut self, remedy: &str) -> Self {
        for fault in &mut self.0 {
            fault.remedy.get_or_insert_with(|| remedy.to_owned());
        }
        self
    }

    /// Both.
    pub(crate) fn and(mut self, other: ConfigError) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The same with the places of its keys, where they are not known yet.
    pub(crate) fn placed(mut self, written: &Written) -> Self {
        for fault in self.0.iter_mut().filter(|fault| fault.place.file.is_none() && fault.place.variable.is_none()) {
            fault.place = written.place(&fault.place.key);
        }
        self
    }

    /// In one line, for the log.
    pub(crate) fn in_one_line(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

/// Collects faults while the configuration is resolved: what is wrong is replaced by its default, so that the rest is looked
/// at too. Of what follows from a fault nothing is said.
#[derive(Debug)]
pub(super) struct Faults {
    all: Vec<ConfigFault>,
    /// Keys of which enough is said.
    settled: Vec<String>,
    /// What is no fault, but can hardly be meant.
    warnings: Vec<ConfigFault>,
    written: Written,
}

impl Faults {
    pub(super) fn new(written: Written) -> Self {
        Faults { all: Vec::new(), settled: Vec::new(), warnings: Vec::new(), written }
    }

    pub(super) fn written(&self) -> &Written {
        &self.written
    }

    /// Whether something was said of `key`, of what it is in, or of what is in it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.settled.iter().any(|other| is_within(key, other) || is_within(other, key))
    }

    /// Notes a fault, unless it follows from one that was noted.
    pub(super) fn add(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.note(&key.into(), what.into(), None);
    }

    /// The same with what to do.
    pub(super) fn add_with(&mut self, key: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) {
        self.note(&key.into(), what.into(), Some(remedy.into()));
    }

    /// Notes what is no fault, but can hardly be meant.
    pub(super) fn warn(&mut self, key: &str, what: String, remedy: String) {
        self.warnings.push(ConfigFault { place: self.written.place(key), what, remedy: Some(remedy) });
    }

    /// What was warned of.
    pub(super) fn take_warnings(&mut self) -> Vec<ConfigFault> {
        std::mem::take(&mut self.warnings)
    }

    /// Notes that the value of `key` is not what is expected.
    pub(super) fn unfit(&mut self, key: &str, expected: &str) {
        let what = self.written.unfit(key, expected);
        self.add(key, what);
    }

    /// Notes that `key` has to be set, such as to `example`.
    pub(super) fn missing(&mut self, key: &str, example: &str) {
        let what = if self.written.raw(key).is_some() { "empty" } else { "missing" };
        let remedy = format!("set it, such as {}", self.written.setting(key, example));
        self.add_with(key, what, remedy);
    }

    /// Says nothing more of `key`.
    pub(super) fn settle(&mut self, key: impl Into<String>) {
        self.settled.push(key.into());
    }

    /// What was found, or `default` if that is faulty.
    pub(super) fn or<T>(&mut self, found: Result<T, ConfigError>, default: T) -> T {
        match found {
            Ok(value) => value,
            Err(error) => {
                self.take(error);
                default
            }
        }
    }

    /// Notes a fault that has its place already.
    pub(super) fn put(&mut self, fault: ConfigFault) {
        if !fault.place.key.is_empty() {
            self.settled.push(fault.place.key.clone());
        }
        self.all.push(fault);
    }

    /// All that was noted.
    pub(super) fn into_all(self) -> Vec<ConfigFault> {
        self.all
    }

    /// Notes faults that were found elsewhere.
    pub(super) fn take(&mut self, error: ConfigError) {
        for fault in error.into_faults() {
            if fault.place.file.is_some() || fault.place.variable.is_some() {
                self.put(fault);
            } else {
                self.note(&fault.place.key, fault.what, fault.remedy);
            }
        }
    }

    fn note(&mut self, key: &str, what: String, remedy: Option<String>) {
        if !self.has(key) {
            self.insist(key, what, remedy);
        }
    }

    /// Notes a fault whatever was said before.
    pub(super) fn insist(&mut self, key: &str, what: String, remedy: Option<String>) {
        self.settled.push(key.to_owned());
        self.all.push(ConfigFault { place: self.written.place(key), what, remedy });
    }

    /// `value`, if nothing is wrong.
    pub(super) fn end<T>(mut self, value: Option<T>) -> Result<T, ConfigError> {
        // In the order of the file, then of the environment.
        self.all.sort_by_key(|fault| (fault.place.variable.is_some(), fault.place.line));
        match value {
            Some(value) if self.all.is_empty() => Ok(value),
            _ => Err(ConfigError(self.all)),
        }
    }
}

/// Whether `key` is `other`, or inside of it.
fn is_within(key: &str, other: &str) -> bool {
    key.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
