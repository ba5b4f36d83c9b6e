//! From the file and the environment to what was written: TOML, `HOOKBRIDGE__A__B` over it, then `${VAR}` and
//! `${file:/path}` in any value.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use toml::{Table, Value};

use super::environment::{Overlay, stray_variables};
use super::fault::{ConfigFault, Faults};
use super::schema::settings_schema;
use super::suspicious::{self, BOM};
use super::unknown_key::{is_beside_sources, note_unknown};
use super::variable_name::is_meant;
use super::weak_secret;
use super::without_file::{Environment, KeyFlag, or_nothing};
use super::written::WrittenSettings;
use super::written_where::{FaultPlace, Written, is_secret};
use super::{ConfigError, Settings};
use crate::disk::access::explain;
use crate::values::showable;
use crate::values::similar::closest;
use crate::values::toml_reading::{self, MisfitAt, TomlMisfit};

/// What else has to be usable, for those who know more than the configuration.
pub(crate) type Further = fn(&Settings) -> Vec<ConfigError>;

/// Reads `file` and the process's environment, and resolves what they say.
///
/// # Errors
/// When the file cannot be read, a key is unknown, a value does not fit, or two keys contradict each other: with all of these.
pub(crate) fn load(file: &Path) -> Result<Settings, ConfigError> {
    load_with(file, [])
}

/// The same, with what these flags say over the environment.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_with<'a>(
    file: &Path,
    flags: impl IntoIterator<Item = KeyFlag<'a>>,
) -> Result<Settings, ConfigError> {
    load_whole(file, flags, nothing_further)
}

/// The same, with what `further` finds.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_whole<'a>(
    file: &Path,
    flags: impl IntoIterator<Item = KeyFlag<'a>>,
    further: Further,
) -> Result<Settings, ConfigError> {
    resolve(read_rewritten(file, flags, |_| ())?, further)
}

/// Reads `file` and the environment, has `rewrite` put other servers in place of those that they name, and resolves what they say
/// then. What is rewritten need not be usable: variables that it names may be missing here.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_rewritten(file: &Path, rewrite: impl FnOnce(&mut Table)) -> Result<Settings, ConfigError> {
    resolve(read_rewritten(file, [], rewrite)?, nothing_further)
}

/// What `text` means, which is called `path` in errors.
///
/// # Errors
/// As [`load`].
pub(crate) fn from_text(path: &str, text: &str, environment: &Environment) -> Result<Settings, ConfigError> {
    resolve(table_from(path, text, environment, |_| ())?, nothing_further)
}

fn nothing_further(_: &Settings) -> Vec<ConfigError> {
    Vec::new()
}

/// What a file and the environment say, before it is looked at further.
#[derive(Clone)]
pub(super) struct Said {
    pub(super) table: Table,
    written: Written,
    /// What was wrong so far.
    faults: Vec<ConfigFault>,
    warnings: Vec<ConfigFault>,
}

impl Said {
    /// The same with another table.
    pub(super) fn with(self, table: Table) -> Said {
        Said { table, ..self }
    }
}

/// What `file` and the environment say.
pub(super) fn read(file: &Path) -> Result<Said, ConfigError> {
    read_rewritten(file, [], |_| ())
}

fn read_rewritten<'a>(
    file: &Path,
    flags: impl IntoIterator<Item = KeyFlag<'a>>,
    rewrite: impl FnOnce(&mut Table),
) -> Result<Said, ConfigError> {
    let text = or_nothing(file, read_text(file)).map_err(|error| ConfigError::unreadable(file, &error))?;
    let path = text.as_ref().map(|_| file.display().to_string()).unwrap_or_default();
    table_from(&path, &text.unwrap_or_default(), &Environment::and(flags), rewrite)
}

/// A file as text. What is not UTF-8 is often UTF-16, as Windows writes it.
fn read_text(file: &Path) -> io::Result<String> {
    let bytes = fs::read(file)?;
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    String::from_utf8(bytes).map_err(|_| {
        let what = if is_utf16 { "not UTF-8 but UTF-16" } else { "not UTF-8" };
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

/// `path` is empty where there is no file.
fn table_from(
    path: &str,
    text: &str,
    Environment { values: env, flags }: &Environment,
    rewrite: impl FnOnce(&mut Table),
) -> Result<Said, ConfigError> {
    let in_line = |line: Option<usize>, what: String| ConfigFault {
        place: FaultPlace { file: Some(path.to_owned()), line, ..FaultPlace::default() },
        what,
        remedy: None,
    };
    let mut warnings = Vec::new();
    // A mark that editors on Windows put there, and that says nothing; told, since others may mind it.
    let text = text.strip_prefix(BOM).map_or(text, |text| {
        let what = "begins with a byte-order mark, which is ignored".to_owned();
        warnings.push(ConfigFault { remedy: Some("save it without one".to_owned()), ..in_line(Some(1), what) });
        text
    });
    let mut table = toml_reading::parse(text).map_err(|errors| {
        let yaml = "not TOML: expected lines such as bootstrap_servers = \"localhost:9092\" below [kafka]";
        let mut faults: Vec<_> = errors.into_iter().map(|(line, what)| in_line(Some(line), what)).collect();
        if looks_like_yaml(text) {
            faults = vec![in_line(Some(1), yaml.to_owned())];
        }
        ConfigError::of(faults)
    })?;
    if text.trim().is_empty() && !env.keys().any(|name| is_meant(name)) {
        let remedy = Some("write a configuration with `hookbridge init`".to_owned());
        return Err(ConfigError::of(vec![ConfigFault { remedy, ..in_line(None, "empty".to_owned()) }]));
    }
    let mut overlay = Overlay::default();
    for (name, value) in env {
        overlay.put(&mut table, name, value);
    }
    rewrite(&mut table);
    overlay.name(flags);
    let mut overlaid = overlay.faults;
    let written = Written::new(path, text, overlay.variables, table.clone());
    let mut expanding = Expanding { env, faults: Faults::new(written.clone()), warnings: Vec::new() };
    for (key, value) in &mut table {
        expanding.expand(key, value);
    }
    let stray = stray_variables(env, &table, text);
    overlaid.extend(stray.faults);
    warnings.extend(stray.warnings);
    warnings.append(&mut expanding.warnings);
    let mut faults = expanding.faults.into_all();
    faults.append(&mut overlaid);
    Ok(Said { table, written, faults, warnings })
}

/// Whether the first line that says something is one of YAML or JSON.
fn looks_like_yaml(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line == "---" || line.ends_with(':') || line.starts_with('{'))
}

/// What was said means this, if nothing is wrong with it, nor for `further`.
pub(super) fn resolve(said: Said, further: Further) -> Result<Settings, ConfigError> {
    let Said { mut table, written, faults: before, warnings } = said;
    let mut faults = Faults::new(written);
    for fault in before {
        faults.put(fault);
    }
    let lists = toml_reading::take_lists(&mut table, settings_schema().as_value());
    let (settings, misfits) = toml_reading::read::<WrittenSettings>(table);
    for misfit in lists.into_iter().chain(misfits) {
        note_misfit(&mut faults, misfit);
    }
    let mut settings = settings.and_then(|settings| settings.resolve(&mut faults));
    if let Some(settings) = &mut settings {
        settings.warnings.splice(0..0, warnings);
        settings.warnings.append(&mut faults.take_warnings());
        settings.written = faults.written().clone();
        for error in further(settings) {
            faults.take(error);
        }
    }
    faults.end(settings)
}

fn note_misfit(faults: &mut Faults, MisfitAt { key, misfit }: MisfitAt) {
    match misfit {
        TomlMisfit::Missing => faults.add(key, "missing"),
        TomlMisfit::Unknown { name, known } => note_unknown(faults, &key, &name, &known),
        TomlMisfit::Value { expected, got } => {
            if expected.starts_with("a table") && is_beside_sources(&key) {
                let what = format!("expected {expected}, got {got}");
                return faults.add_with(key, what, "write a section for each source, such as [sources.wegly]");
            }
            let is_whole = expected.starts_with("a table") || expected.starts_with("a list");
            if is_whole || is_secret(&key) {
                return faults.add(key, format!("expected {expected}, got {got}"));
            }
            // One of several words may have been meant.
            let words: Vec<&str> = expected.split('"').skip(1).step_by(2).collect();
            let raw = faults.written().raw(&key).and_then(Value::as_str);
            let is_word = expected.starts_with('"');
            match raw.filter(|_| is_word).and_then(|raw| closest(raw, words)) {
                Some(meant) => {
                    let what = faults.written().unfit(&key, &expected);
                    faults.add_with(key, what, format!("did you mean {meant:?}?"));
                }
                None => faults.unfit(&key, &expected),
            }
        }
    }
}

/// Fills in what `${…}` stands for.
struct Expanding<'a> {
    env: &'a BTreeMap<String, String>,
    faults: Faults,
    warnings: Vec<ConfigFault>,
}

impl Expanding<'_> {
    /// The name is shown only if there is such a variable: what looks like one may be the secret.
    fn warn_of_foreign_reference(&mut self, key: &str, text: &str) {
        let Some(name) = suspicious::foreign_reference(text).filter(|_| is_secret(key)) else { return };
        let remedy = match self.env.keys().find(|variable| variable.eq_ignore_ascii_case(name)) {
            Some(variable) => format!("did you mean ${{{variable}}}?"),
            None => "write ${NAME} for a variable".to_owned(),
        };
        let what = "looks like a reference, but is taken as it stands".to_owned();
        self.warnings.push(ConfigFault { place: self.faults.written().place(key), what, remedy: Some(remedy) });
    }

    /// Of a secret that everybody knows.
    fn warn_of_placeholder(&mut self, key: &str, text: &str) {
        if !weak_secret::proves(key) || !weak_secret::is_placeholder(text) {
            return;
        }
        let raw = self.faults.written().raw(key).and_then(Value::as_str).unwrap_or_default();
        if suspicious::foreign_reference(raw).is_some() {
            // That is said already.
            return;
        }
        let (what, remedy) = weak_secret::explain(key, raw, "is a placeholder, which anybody can guess");
        self.warnings.push(ConfigFault { place: self.faults.written().place(key), what, remedy: Some(remedy) });
    }

    fn expand(&mut self, key: &str, value: &mut Value) {
        match value {
            Value::String(text) => {
                self.warn_of_foreign_reference(key, text);
                if text.contains("${") {
                    match expand_text(text, self.env) {
                        Ok(expanded) => *text = expanded,
                        Err(error) => return self.faults.add_with(key, error.to_string(), error.remedy()),
                    }
                }
                self.warn_of_placeholder(key, text);
                if let Some(what) = suspicious::ends(text, is_secret(key)) {
                    let raw = self.faults.written().raw(key).and_then(Value::as_str).unwrap_or_default();
                    let (what, remedy) = suspicious::explain(what, raw);
                    let place = self.faults.written().place(key);
                    self.warnings.push(ConfigFault { place, what, remedy: Some(remedy) });
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.expand(&format!("{key}[{index}]"), item);
                }
            }
            Value::Table(table) => {
                for (name, value) in table {
                    self.expand(&format!("{key}.{name}"), value);
                }
            }
            _ => {}
        }
    }
}

/// Why a `${…}` has no value.
#[derive(Debug, thiserror::Error)]
enum NotExpanded {
    #[error("`${{` has no closing `}}`")]
    Open,
    #[error("expected ${{NAME}} or ${{file:/path}}")]
    Nameless,
    #[error("{}: {}", showable::path(path.as_ref()), explain(path.as_ref(), .error))]
    Unreadable { path: String, error: io::Error },
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    #[error("the environment variable {0} is not set, but {1} is")]
    Misspelled(String, String),
}

impl NotExpanded {
    fn remedy(&self) -> String {
        match self {
            NotExpanded::Open => "close it, or write `$${` for a literal `${`".to_owned(),
            // What stands there may be a secret, or hold a default that is one.
            NotExpanded::Nameless => "NAME has letters, digits and `_`, without a default or blanks".to_owned(),
            NotExpanded::Unreadable { error, .. } => match error.kind() {
                io::ErrorKind::NotFound => "create it, or correct the path in ${file:...}".to_owned(),
                io::ErrorKind::IsADirectory => "name a file in it".to_owned(),
                io::ErrorKind::InvalidData => "save it as UTF-8".to_owned(),
                _ => "hookbridge must be able to read it".to_owned(),
            },
            NotExpanded::NotSet(name) => format!("set {name}, or use ${{file:/path}}"),
            NotExpanded::Misspelled(_, other) => format!("did you mean ${{{other}}}?"),
        }
    }
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
            Some(path) if path.trim().is_empty() => return Err(NotExpanded::Nameless),
            Some(path) => {
                let content = read_text(path.as_ref())
                    .map_err(|error| NotExpanded::Unreadable { path: path.to_owned(), error })?;
                // One trailing line end is the editor's, not the secret's.
                let line = content.strip_suffix('\n').map_or(&*content, |l| l.strip_suffix('\r').unwrap_or(l));
                expanded.push_str(line);
            }
            // The environment may have names that a shell cannot write.
            None if !env.contains_key(name) && !is_variable(name) => return Err(NotExpanded::Nameless),
            None => expanded.push_str(env.get(name).ok_or_else(|| not_set(name, env))?),
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Names of variables are no secrets, but most of the environment is none of our business: only a near miss is named.
fn not_set(name: &str, env: &BTreeMap<String, String>) -> NotExpanded {
    let near = |other: &&String| is_near(name, other);
    match env.keys().find(near) {
        Some(other) => NotExpanded::Misspelled(name.to_owned(), other.clone()),
        None => NotExpanded::NotSet(name.to_owned()),
    }
}

fn is_near(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other) || name.len() > 4 && strsim::osa_distance(name, other) <= 1
}

/// Whether it can be the name of a variable.
fn is_variable(name: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(is_part) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}
