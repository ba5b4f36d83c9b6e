//! From the file and the environment to what was written: TOML, `HOOKBRIDGE__A__B` over it, then `${VAR}` and
//! `${file:/path}` in any value.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, io};

use toml::{Table, Value};

use super::without_file::or_nothing;
use super::{ConfigError, Settings, WrittenSettings};
use crate::disk::access::explain;

const PREFIX: &str = "HOOKBRIDGE__";

/// Reads `file` and the process's environment, and resolves what they say.
///
/// # Errors
/// When the file cannot be read, a key is unknown, a value does not fit, or two keys contradict each other.
pub(crate) fn load(file: &Path) -> Result<Settings, ConfigError> {
    load_with(file, [])
}

/// The same, with these variables over the environment's.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_with<'a>(
    file: &Path,
    variables: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Settings, ConfigError> {
    resolve(&file.display().to_string(), read_with(file, variables)?)
}

/// What `file` and the environment say, not looked at further.
pub(super) fn read(file: &Path) -> Result<Table, ConfigError> {
    read_with(file, [])
}

fn read_with<'a>(
    file: &Path,
    variables: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> Result<Table, ConfigError> {
    read_rewritten(file, variables, |_| ())
}

/// Reads `file` and the environment, has `rewrite` put other servers in place of those that they name, and resolves what they say
/// then. What is rewritten need not be usable: variables that it names may be missing here.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_rewritten(file: &Path, rewrite: impl FnOnce(&mut Table)) -> Result<Settings, ConfigError> {
    resolve(&file.display().to_string(), read_rewritten(file, [], rewrite)?)
}

fn read_rewritten<'a>(
    file: &Path,
    variables: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    rewrite: impl FnOnce(&mut Table),
) -> Result<Table, ConfigError> {
    let path = file.display().to_string();
    let text = or_nothing(file, fs::read_to_string(file))
        .map_err(|error| ConfigError::Unreadable { path: path.clone(), error })?;
    let environment = env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let given = variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    table_from(&path, &text, &environment.chain(given).collect(), rewrite)
}

pub(crate) fn from_text(path: &str, text: &str, env: &BTreeMap<String, String>) -> Result<Settings, ConfigError> {
    resolve(path, table_from(path, text, env, |_| ())?)
}

fn table_from(
    path: &str,
    text: &str,
    env: &BTreeMap<String, String>,
    rewrite: impl FnOnce(&mut Table),
) -> Result<Table, ConfigError> {
    let mut table: Table = text
        .parse()
        .map_err(|e: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: syntax_error(text, &e) })?;
    for (name, value) in env.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        overlay(&mut table, name, value)?;
    }
    rewrite(&mut table);
    for (key, value) in &mut table {
        expand(key, value, env)?;
    }
    Ok(table)
}

/// What the table from `path` means.
pub(super) fn resolve(path: &str, table: Table) -> Result<Settings, ConfigError> {
    let written: WrittenSettings = serde_path_to_error::deserialize(Value::Table(table)).map_err(|e| {
        let key = e.path().to_string();
        ConfigError::key(if key == "." { path.to_owned() } else { key }, misfit(e.inner().message()))
    })?;
    written.resolve()
}

/// What would fit, without what was found: it may be a secret in the wrong place.
fn misfit(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((found, due)) if found.starts_with("invalid ") => {
            let due = if due == "a map" || due.starts_with("struct ") { "a table" } else { due };
            format!("expected {due}")
        }
        _ => message.to_owned(),
    }
}

/// What is no TOML, and in which line; without the excerpt that toml draws, and without the value: it may be a secret.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let message =
        if error.message().starts_with("invalid type") { "a value that TOML cannot hold" } else { error.message() };
    match error.span() {
        Some(span) => format!("line {}: {message}", text[..span.start].matches('\n').count() + 1),
        None => message.to_owned(),
    }
}

/// Puts `HOOKBRIDGE__KAFKA__TOPIC_PREFIX=x` where `kafka.topic_prefix` stands. A part finds an existing key whatever
/// its case and whether it has `-` or `.` where the variable has `_`; a new key is the part in small letters.
fn overlay(table: &mut Table, name: &str, value: &str) -> Result<(), ConfigError> {
    // librdkafka's properties have dots, which no variable's name can have.
    let is_property = name.to_ascii_uppercase().starts_with("HOOKBRIDGE__KAFKA__PROPERTIES__");
    // And HTTP's headers have dashes.
    let is_header = name.to_ascii_uppercase().starts_with("HOOKBRIDGE__TRACING__OTLP_HEADERS__");
    let mut parts: Vec<&str> = name[PREFIX.len()..].split("__").collect();
    let Some(last) = parts.pop().filter(|last| !last.is_empty()) else {
        return Err(ConfigError::key(name, "does not name a key: expected HOOKBRIDGE__SECTION__KEY"));
    };
    let mut here = table;
    for part in parts {
        let key = find(here, part);
        let entry = here.entry(key).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = entry else {
            return Err(ConfigError::key(name, "the key before its last `__` has a value and is not a table"));
        };
        here = inner;
    }
    let mut key = find(here, last);
    if is_property && !here.contains_key(&key) {
        key = key.replace('_', ".");
    } else if is_header && !here.contains_key(&key) {
        key = key.replace('_', "-");
    }
    // A list can be given as TOML has it; everything else is text, which each key reads as it needs.
    let value = if value.starts_with('[') {
        let array = format!("v = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("v"));
        array.ok_or_else(|| ConfigError::key(name, "not a list in TOML: expected one such as [\"a\", \"b\"]"))?
    } else {
        Value::String(value.to_owned())
    };
    here.insert(key, value);
    Ok(())
}

fn find(table: &Table, part: &str) -> String {
    let plain = |key: &str| key.to_ascii_lowercase().replace(['-', '.'], "_");
    let part = part.to_ascii_lowercase();
    table.keys().find(|key| plain(key) == part).cloned().unwrap_or(part)
}

fn expand(key: &str, value: &mut Value, env: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    match value {
        Value::String(text) if text.contains("${") => {
            *text = expand_text(text, env).map_err(|error| ConfigError::key(key, error.to_string()))?;
            Ok(())
        }
        Value::Array(items) => {
            items.iter_mut().enumerate().try_for_each(|(index, item)| expand(&format!("{key}[{index}]"), item, env))
        }
        Value::Table(table) => {
            table.iter_mut().try_for_each(|(name, value)| expand(&format!("{key}.{name}"), value, env))
        }
        _ => Ok(()),
    }
}

/// Why a `${…}` has no value.
#[derive(Debug, thiserror::Error)]
enum NotExpanded {
    #[error("`${{` has no closing `}}`")]
    Open,
    #[error("{path}: {}", explain(path.as_ref(), .error))]
    Unreadable { path: String, error: io::Error },
    #[error("the environment variable {0} is not set")]
    NotSet(String),
}

fn expand_text(text: &str, env: &BTreeMap<String, String>) -> Result<String, NotExpanded> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        // `$${` stands for `${`.
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let Some((name, after)) = after.split_once('}') else { return Err(NotExpanded::Open) };
        expanded.push_str(before);
        match name.strip_prefix("file:") {
            Some(path) => {
                let content = fs::read_to_string(path)
                    .map_err(|error| NotExpanded::Unreadable { path: path.to_owned(), error })?;
                // One trailing line end is the editor's, not the secret's.
                let line = content.strip_suffix('\n').map_or(&*content, |l| l.strip_suffix('\r').unwrap_or(l));
                expanded.push_str(line);
            }
            None => {
                expanded.push_str(env.get(name).ok_or_else(|| NotExpanded::NotSet(name.to_owned()))?);
            }
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
