//! Where the configuration says what: the lines of its file, and the variables that go over it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use toml::{Table, Value};

use crate::catalog::toml_line;
use crate::values::showable;
use crate::values::toml_reading::{kind, value_at};

/// Where a fault is; what is not known, or does not apply, is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FaultPlace {
    /// The file that says it.
    pub(crate) file: Option<String>,
    /// Of that file, from 1.
    pub(crate) line: Option<usize>,
    /// The environment variable, or the flag, that says it, or would, instead of the file.
    pub(crate) variable: Option<String>,
    /// Such as `sources.wegly.secrets[0]`; empty for a file as a whole.
    pub(crate) key: String,
}

impl fmt::Display for FaultPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(variable) = &self.variable {
            return f.write_str(variable);
        }
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}")?,
            (Some(file), None) => f.write_str(file)?,
            (None, _) => {}
        }
        match (&self.file, self.key.is_empty()) {
            (_, true) => Ok(()),
            (Some(_), false) => write!(f, ": {}", self.key),
            (None, false) => f.write_str(&self.key),
        }
    }
}

/// Parts of keys whose values are secrets, or may be.
const SECRET_KEYS: [&str; 8] =
    ["secrets", "tokens", "handshake_tokens", "hash_key", "password", "token", "otlp_headers", "options"];

/// What stands where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<WrittenIn>);

#[derive(Debug, Default)]
struct WrittenIn {
    /// Empty where there is none.
    file: String,
    text: String,
    /// Key by key: the variable that sets it.
    variables: BTreeMap<String, String>,
    /// As written: what `${…}` stands for is not filled in.
    raw: Table,
}

impl Written {
    pub(super) fn new(file: &str, text: &str, variables: BTreeMap<String, String>, raw: Table) -> Self {
        Written(Arc::new(WrittenIn { file: file.to_owned(), text: text.to_owned(), variables, raw }))
    }

    /// Where `key` is set; or where it belongs, if it is not.
    pub(crate) fn place(&self, key: &str) -> FaultPlace {
        let WrittenIn { file, text, variables, .. } = &*self.0;
        let own = variables.iter().find_map(|(set, name)| {
            let rest = key.strip_prefix(set.as_str())?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{name}{rest}"))
        });
        // A section that only a variable makes: what is not set in it belongs there, too.
        let made = || {
            let sections = std::iter::successors(Some(key), |key| key.rfind(['.', '[']).map(|end| &key[..end]));
            let section = sections.into_iter().find(|section| self.raw(section).is_some())?;
            let inside = |set: &&String| set.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
            let set = variables.keys().find(inside).filter(|_| toml_line(text, section, true).is_none())?;
            variables.get(set).cloned()
        };
        if let Some(variable) = own.or_else(made) {
            return FaultPlace { variable: Some(variable), key: key.to_owned(), ..FaultPlace::default() };
        }
        if file.is_empty() {
            let end = key.find('[').unwrap_or(key.len());
            let variable = format!("{}{}", super::variable_name::variable(&key[..end]), &key[end..]);
            return FaultPlace { variable: Some(variable), key: key.to_owned(), ..FaultPlace::default() };
        }
        FaultPlace { file: Some(file.clone()), line: toml_line(text, key, false), variable: None, key: key.to_owned() }
    }

    /// The key that a variable sets in the section `key`.
    pub(super) fn set_within(&self, key: &str) -> Option<&str> {
        let mut set = self.0.variables.keys();
        set.find(|set| set.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))).map(String::as_str)
    }

    /// That `key` expects something else; with what it has, unless that may be a secret.
    pub(super) fn unfit(&self, key: &str, expected: &str) -> String {
        match value_at(&self.0.raw, key) {
            Some(value) => format!("expected {expected}, got {}", Self::shown(key, value)),
            None => format!("expected {expected}"),
        }
    }

    /// What the value of `key` is as written, in words that show no secret.
    fn shown(key: &str, value: &Value) -> String {
        match value {
            Value::String(text) if text.is_empty() => "an empty string".to_owned(),
            _ if is_secret(key) => kind(value).to_owned(),
            Value::Table(_) | Value::Array(_) => kind(value).to_owned(),
            // A secret under a wrong key, perhaps.
            Value::String(_) if key.starts_with("sources.") => kind(value).to_owned(),
            Value::String(text) => showable::quoted(text),
            other => other.to_string(),
        }
    }

    /// `part` of the value of `key`, as it may be shown: only what is written there, not what a `${…}` stands for.
    pub(super) fn part(&self, key: &str, part: &str) -> String {
        match self.raw(key) {
            Some(raw) if raw.to_string().contains(part) => showable::quoted(part),
            Some(Value::String(raw)) => showable::quoted(raw),
            _ => "something else".to_owned(),
        }
    }

    /// How `key` is set to `value`, in the words of whatever sets it.
    pub(super) fn setting(&self, key: &str, value: &str) -> String {
        match self.place(key).variable {
            Some(flag) if flag.starts_with('-') => format!("{flag} {value}"),
            Some(variable) => format!("{variable}={value}"),
            None => format!("{} = {value:?}", key.rsplit_once('.').map_or(key, |(_, last)| last)),
        }
    }

    /// Whether a `${file:...}` names a file of the working directory.
    pub(super) fn reads_relative_files(&self) -> bool {
        self.0.raw.values().any(reads_relative_file)
    }

    /// What `key` has, as written.
    pub(super) fn raw(&self, key: &str) -> Option<&Value> {
        value_at(&self.0.raw, key)
    }
}

fn reads_relative_file(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split("${file:").skip(1).any(|path| !path.starts_with('/')),
        Value::Array(values) => values.iter().any(reads_relative_file),
        Value::Table(table) => table.values().any(reads_relative_file),
        _ => false,
    }
}

/// Whether what stands at `key` may be a secret.
pub(super) fn is_secret(key: &str) -> bool {
    key.starts_with("kafka.properties") || key.split(['.', '[']).any(|part| SECRET_KEYS.contains(&part))
}
