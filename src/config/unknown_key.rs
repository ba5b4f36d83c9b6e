//! A key that does not exist, and what was probably meant: a neighbour, its namesake in another section, or a source.

use toml::{Table, Value};

use super::fault::Faults;
use super::schema::{ANY_NAME, known_keys};
use super::source::name_for;
use super::variable_name::{plain, variable};
use crate::values::similar::closest;

/// What other programs call a key of ours.
const ALIASES: [(&str, &str); 12] = [
    ("cert_file", "certificate_file"),
    ("cert", "certificate_file"),
    ("crt_file", "certificate_file"),
    ("certificate", "certificate_file"),
    ("private_key", "key_file"),
    ("private_key_file", "key_file"),
    ("brokers", "bootstrap_servers"),
    ("bootstrap_brokers", "bootstrap_servers"),
    ("servers", "bootstrap_servers"),
    ("user", "username"),
    ("address", "listen"),
    ("bind", "listen"),
];

/// Those that a source has, and no other section.
const KEYS_OF_SOURCE: [&str; 7] =
    ["profile", "secrets", "tokens", "handshake_tokens", "allow_unauthenticated", "rate_limit", "patience"];

/// Notes the key `key`, whose last part is `name`, where `known` are expected.
pub(super) fn note_unknown(faults: &mut Faults, key: &str, name: &str, known: &[String]) {
    let is_variable = faults.written().place(key).variable.is_some();
    let spelled = |meant: &str| if is_variable { variable(meant) } else { meant.to_owned() };
    let what = if is_variable { format!("unknown key {key}") } else { "unknown key".to_owned() };
    if let Some(source) = misplaced_source(faults, key, known) {
        return note_source(faults, key, what, &source);
    }
    let outer = key.strip_suffix(name).unwrap_or_default();
    // `HOOKBRIDGE__KAFKA_PARTITIONS`
    if let Some(whole) = elsewhere(key, name).filter(|_| is_variable) {
        faults.add_with(key, what, format!("did you mean `{}`?", spelled(&whole)));
        return faults.settle(whole);
    }
    let known_words = || known.iter().map(String::as_str);
    if let Some(meant) = alias(name, known_words()).or_else(|| closest(name, known_words())) {
        let meant = format!("{outer}{meant}");
        // A variable names the whole way.
        let behind = faults.written().set_within(key).and_then(|set| set.strip_prefix(key)).unwrap_or_default();
        let shown = if is_variable { spelled(&format!("{meant}{behind}")) } else { meant[outer.len()..].to_owned() };
        faults.add_with(key, what, format!("did you mean `{shown}`?"));
        // Of the key that was meant, nothing is missing.
        return faults.settle(meant);
    }
    let remedy = match elsewhere(key, name) {
        Some(elsewhere) => match elsewhere.rsplit_once('.') {
            Some((section, last)) => format!("`{last}` belongs in [{section}]"),
            None if is_section(&elsewhere) => format!("write it as [{elsewhere}]"),
            None => format!("`{elsewhere}` belongs at the top, above the first [section]"),
        },
        None => format!("expected one of {}", known.join(", ")),
    };
    faults.add_with(key, what, remedy);
}

/// What other programs call one of the keys that are `known`.
pub(super) fn alias<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (_, ours) = ALIASES.iter().find(|(other, _)| *other == name)?;
    known.into_iter().find(|known| known == ours)
}

/// The one key that has this name, or the name of the section with one underscore, in another section than `key`.
fn elsewhere(key: &str, name: &str) -> Option<String> {
    let known = known_keys();
    let mut fitting = known.iter().filter(|other| {
        let last = other.rsplit_once('.').map_or(other.as_str(), |(_, last)| last);
        (last == name || plain(other) == plain(key)) && !other.contains(ANY_NAME) && other.as_str() != key
    });
    fitting.next().filter(|_| fitting.next().is_none()).cloned()
}

fn is_section(key: &str) -> bool {
    known_keys().iter().any(|other| other.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

/// A section that is a source, but for its place or its name.
struct MisplacedSource {
    /// Without what names of sources do not have.
    name: String,
    /// Whether its name is in two parts.
    has_dot: bool,
}

/// `[wegly]`, `[webhooks.wegly]` and `[[wegly]]` for `[sources.wegly]`, and `[sources.acme.eu]` for `[sources.acme-eu]`.
fn misplaced_source(faults: &Faults, key: &str, known: &[String]) -> Option<MisplacedSource> {
    let table = match faults.written().raw(key)? {
        Value::Table(table) => table,
        Value::Array(items) if !key.contains('.') => items.first()?.as_table()?,
        _ => return None,
    };
    let exact = |key: &str| KEYS_OF_SOURCE.contains(&key);
    let close = |key: &str| closest(key, KEYS_OF_SOURCE).is_some();
    // `[registy]` with a `token` is no source, `[wegly]` with a `secret` is one.
    let is_slip = key.contains('.') || closest(key, known.iter().map(String::as_str)).is_some();
    let path = path_to_source(table, if is_slip { exact } else { close })?;
    let (outer, has_dot) = match key.split_once('.') {
        // `[webhooks.wegly]`
        None if !path.is_empty() && closest(key, ["sources", "webhooks"]).is_some() => (None, false),
        None => (Some(key), false),
        Some(("sources", name)) => (Some(name), true),
        Some(_) => return None,
    };
    let parts: Vec<&str> = outer.into_iter().chain(path).collect();
    Some(MisplacedSource { name: name_for(&parts.join(".")), has_dot })
}

/// Whether `key` is one that belongs into a source, and stands beside them.
pub(super) fn is_beside_sources(key: &str) -> bool {
    let is_of_source = |name| known_keys().contains(&format!("sources.{ANY_NAME}.{name}"));
    key == "sources" || key.strip_prefix("sources.").is_some_and(is_of_source)
}

/// The names that lead from `table` to one with a key that `fits`, and to no others; none where it has one itself.
fn path_to_source(table: &Table, fits: fn(&str) -> bool) -> Option<Vec<&str>> {
    if table.keys().any(|key| fits(key)) {
        return Some(Vec::new());
    }
    let mut inner = table.iter();
    let (Some((name, Value::Table(table))), None) = (inner.next(), inner.next()) else { return None };
    let mut path = path_to_source(table, fits)?;
    path.insert(0, name);
    Some(path)
}

fn note_source(faults: &mut Faults, key: &str, what: String, source: &MisplacedSource) {
    let meant = format!("sources.{}", source.name);
    let behind = faults.written().set_within(key).and_then(|set| set.strip_prefix(key)).map(str::to_owned);
    let spelled = match behind.filter(|_| faults.written().place(key).variable.is_some()) {
        Some(behind) => variable(&format!("{meant}{behind}")),
        None => format!("[{meant}]"),
    };
    if source.has_dot {
        let what = "the name of a source must not have a dot".to_owned();
        faults.insist(key, what, Some(format!("did you mean {spelled}?")));
        let outer = key.rsplit_once('.').map_or(key, |(outer, _)| outer);
        let is_empty = |outer: &Value| outer.as_table().is_some_and(|table| table.values().all(Value::is_table));
        if faults.written().raw(outer).is_some_and(is_empty) {
            // What stands in front of the dot is no source.
            faults.settle(outer);
        }
        return;
    }
    faults.insist(key, what, Some(format!("a source is a section of `sources`: did you mean {spelled}?")));
    // There is a source, if nothing else.
    faults.settle(meant);
}
