//! A TOML table into a type, with everything in it that does not fit and not only the first.
//!
//! serde stops at the first misfit. So what does not fit is noted and taken out, what is missing is noted and filled in, and the
//! rest is read again, until all of it fits.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use serde_path_to_error::{Path, Segment};
use toml::de::DeTable;
use toml::{Table, Value};

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KeyStep {
    Name(String),
    Item(usize),
}

/// Why a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TomlMisfit {
    /// A key that does not exist, and those that do at its place.
    Unknown { name: String, known: Vec<String> },
    /// A key that has to be set.
    Missing,
    /// A value that is not what its key takes: `expected` says what is, `got` the kind of what was found.
    Value { expected: String, got: &'static str },
}

/// Something in a table that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MisfitAt {
    /// Such as `sources.wegly.secrets[0]`.
    pub(crate) key: String,
    pub(crate) misfit: TomlMisfit,
}

/// More than any person reads.
const MOST: usize = 1000;

/// Reads `table`, and says what in it does not fit. The value is that of the rest; there is none if nothing can be read of it.
pub(crate) fn read<T: DeserializeOwned>(table: Table) -> (Option<T>, Vec<MisfitAt>) {
    let mut reading = TomlReading { root: Value::Table(table), found: Vec::new(), filled: Vec::new() };
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize::<_, T>(reading.root.clone()) {
            Ok(value) => return (Some(value), reading.found),
            Err(error) => error,
        };
        if !reading.mend(steps(error.path()), error.inner().message()) {
            break;
        }
    }
    (None, reading.found)
}

/// A table that is being read.
struct TomlReading {
    root: Value,
    found: Vec<MisfitAt>,
    /// Where something stands in the place of what is missing or does not fit, and how often that was tried.
    filled: Vec<(Vec<KeyStep>, usize)>,
}

impl TomlReading {
    /// Notes a misfit, and makes the table one that can be read further; says whether it could.
    fn mend(&mut self, mut steps: Vec<KeyStep>, message: &str) -> bool {
        let is_ours = self.filled.iter().any(|(filled, _)| steps.starts_with(filled));
        if let Some(name) = missing_name(message) {
            steps.push(KeyStep::Name(name));
            self.note(is_ours, &steps, TomlMisfit::Missing);
            return self.fill(&steps, message);
        }
        if self.filled.iter().any(|(filled, _)| *filled == steps) {
            return self.fill(&steps, message);
        }
        let Some(value) = target(&mut self.root, &steps) else { return false };
        let misfit = misfit(&steps, message, value);
        self.note(is_ours, &steps, misfit);
        match steps.last() {
            Some(KeyStep::Item(_)) => self.fill(&steps, message),
            _ => take(&mut self.root, &steps).is_some(),
        }
    }

    fn note(&mut self, is_ours: bool, steps: &[KeyStep], misfit: TomlMisfit) {
        let key = key_of(steps);
        // What was taken out is missing then.
        if !is_ours && self.found.iter().all(|found| found.key != key) {
            self.found.push(MisfitAt { key, misfit });
        }
    }

    /// Puts something at `steps`, each time something else. An item of a list is not taken out before all of that was tried, so
    /// that those behind it keep their numbers.
    fn fill(&mut self, steps: &[KeyStep], message: &str) -> bool {
        let at = self.filled.iter().position(|(filled, _)| *filled == steps).unwrap_or_else(|| {
            self.filled.push((steps.to_vec(), 0));
            self.filled.len() - 1
        });
        let fillers = [
            Value::String(String::new()),
            // One of the words that a key takes.
            Value::String(known_words(message).into_iter().next().unwrap_or_default()),
            Value::Array(Vec::new()),
            Value::Table(Table::new()),
        ];
        let tries = &mut self.filled[at].1;
        *tries += 1;
        match fillers.into_iter().nth(*tries - 1) {
            Some(filler) => put(&mut self.root, steps, filler),
            None if matches!(steps.last(), Some(KeyStep::Item(_))) => take(&mut self.root, steps).is_some(),
            None => false,
        }
    }
}

/// Takes out the lists that stand where `schema`, a JSON Schema without references, wants a table: serde would read them as the
/// values of the table's keys, in their order.
pub(crate) fn take_lists(table: &mut Table, schema: &Json) -> Vec<MisfitAt> {
    let mut found = Vec::new();
    take_lists_in("", table, schema, &mut found);
    found
}

fn take_lists_in(prefix: &str, table: &mut Table, schema: &Json, found: &mut Vec<MisfitAt>) {
    let of_key = |key: &str| schema["properties"].get(key).or_else(|| schema.get("additionalProperties"));
    let is_table = |schema: &Json| schema["type"] == "object";
    table.retain(|name, value| {
        let Some(inner) = of_key(name) else { return true };
        let key = if prefix.is_empty() { (*name).to_owned() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(table) => take_lists_in(&key, table, inner, found),
            Value::Array(_) if is_table(inner) => {
                let misfit = TomlMisfit::Value { expected: "a table".to_owned(), got: kind(value) };
                found.push(MisfitAt { key, misfit });
                return false;
            }
            Value::Array(items) if is_table(&inner["items"]) => {
                for (index, item) in items.iter_mut().enumerate() {
                    if let Value::Table(table) = item {
                        take_lists_in(&format!("{key}[{index}]"), table, &inner["items"], found);
                    }
                }
            }
            _ => {}
        }
        true
    });
}

/// What is no TOML: each fault with its line. Values are not repeated: they may be secrets.
pub(crate) fn parse(text: &str) -> Result<Table, Vec<(usize, String)>> {
    let (_, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return text.parse().map_err(|error: toml::de::Error| vec![syntax_error(text, &error)]);
    }
    let mut found: Vec<(usize, String)> = Vec::new();
    for (line, what) in errors.iter().map(|error| syntax_error(text, error)) {
        // What follows a fault in its line is a consequence.
        if found.iter().all(|(other, _)| *other != line) {
            found.push((line, what));
        }
    }
    Err(found)
}

fn syntax_error(text: &str, error: &toml::de::Error) -> (usize, String) {
    let message = error.message();
    let span = error.span().unwrap_or_default();
    let message = match message {
        _ if message.starts_with("invalid type") => "a value that TOML cannot hold".to_owned(),
        // The parser's own words for a text without quotes.
        _ if message.ends_with("expected nothing") || message.contains("must be quoted") => {
            format!("{message}: text must stand in quotes")
        }
        "duplicate key" => match text.get(span.clone()) {
            Some(key) if !key.is_empty() && !key.contains('\n') => format!("duplicate key {key}: keep one of the two"),
            _ => "duplicate key: keep one of the two".to_owned(),
        },
        other => other.to_owned(),
    };
    let at = span.start.min(text.len());
    (text.get(..at).map_or(1, |before| before.matches('\n').count() + 1), message)
}

/// What kind of value it is, in words that do not show it.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// The value of `key`, such as `sources.wegly.secrets[0]`.
pub(crate) fn value_at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    // A key may hold what separates keys: the longest that fits is meant.
    let fitting = table.iter().filter_map(|(name, value)| {
        let rest = key.strip_prefix(name.as_str())?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some((value, rest))
    });
    let (value, rest) = fitting.min_by_key(|(_, rest)| rest.len())?;
    inside(value, rest)
}

fn inside<'a>(value: &'a Value, rest: &str) -> Option<&'a Value> {
    if rest.is_empty() {
        return Some(value);
    }
    if let Some(rest) = rest.strip_prefix('.') {
        return value_at(value.as_table()?, rest);
    }
    let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
    inside(value.as_array()?.get(index.parse::<usize>().ok()?)?, rest)
}

fn steps(path: &Path) -> Vec<KeyStep> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(KeyStep::Item(*index)),
        Segment::Map { key } => Some(KeyStep::Name(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

fn key_of(steps: &[KeyStep]) -> String {
    let mut key = String::new();
    for step in steps {
        match step {
            KeyStep::Name(name) if key.is_empty() => key.push_str(name),
            KeyStep::Name(name) => key.push_str(&format!(".{name}")),
            KeyStep::Item(index) => key.push_str(&format!("[{index}]")),
        }
    }
    key
}

/// The key that serde misses.
fn missing_name(message: &str) -> Option<String> {
    Some(message.strip_prefix("missing field `")?.strip_suffix('`')?.to_owned())
}

fn misfit(steps: &[KeyStep], message: &str, value: &Value) -> TomlMisfit {
    if message.starts_with("unknown field `")
        && let Some(KeyStep::Name(name)) = steps.last()
    {
        return TomlMisfit::Unknown { name: name.clone(), known: known_words(message) };
    }
    let got = kind(value);
    let expected = match message.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => match expected {
            "a map" => "a table".to_owned(),
            "a sequence" => "a list".to_owned(),
            _ if expected.starts_with("struct ") => "a table".to_owned(),
            _ => expected.to_owned(),
        },
        Some((found, _)) if found.starts_with("unknown variant ") => {
            let known: Vec<String> = known_words(message).iter().map(|word| format!("{word:?}")).collect();
            known.join(", ")
        }
        _ => message.strip_prefix("expected ").unwrap_or(message).to_owned(),
    };
    TomlMisfit::Value { expected, got }
}

/// The words in backticks after "expected".
fn known_words(message: &str) -> Vec<String> {
    let (_, expected) = message.split_once(", expected ").unwrap_or_default();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn target<'a>(root: &'a mut Value, steps: &[KeyStep]) -> Option<&'a mut Value> {
    steps.iter().try_fold(root, |value, step| match step {
        KeyStep::Name(name) => value.as_table_mut()?.get_mut(name),
        KeyStep::Item(index) => value.as_array_mut()?.get_mut(*index),
    })
}

/// Takes out what stands at `steps`.
fn take(root: &mut Value, steps: &[KeyStep]) -> Option<Value> {
    let (last, before) = steps.split_last()?;
    match (target(root, before)?, last) {
        (Value::Table(table), KeyStep::Name(name)) => table.remove(name),
        (Value::Array(items), KeyStep::Item(index)) if *index < items.len() => Some(items.remove(*index)),
        _ => None,
    }
}

/// Makes `filler` what stands at `steps`.
fn put(root: &mut Value, steps: &[KeyStep], filler: Value) -> bool {
    let Some((last, before)) = steps.split_last() else { return false };
    match (target(root, before), last) {
        (Some(Value::Table(table)), KeyStep::Name(name)) => _ = table.insert(name.clone(), filler),
        (Some(Value::Array(items)), KeyStep::Item(index)) if *index < items.len() => items[*index] = filler,
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Leaf {
        name: String,
        colour: Colour,
        #[serde(default)]
        size: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Tree {
        root: Leaf,
        leaves: Vec<Leaf>,
        named: BTreeMap<String, Leaf>,
    }

    fn misfits(text: &str) -> Vec<String> {
        let (value, found) = read::<Tree>(parse(text).unwrap());
        if found.is_empty() {
            let tree = value.unwrap();
            let leaves: Vec<&Leaf> = [&tree.root].into_iter().chain(&tree.leaves).chain(tree.named.values()).collect();
            assert!(leaves.iter().all(|l| !l.name.is_empty() && l.size < 9 && matches!(l.colour, Colour::Red)));
        }
        found.into_iter().map(|MisfitAt { key, misfit }| format!("{key} {misfit:?}")).collect()
    }

    #[test]
    fn all_that_does_not_fit_is_found_at_once() {
        let good = "root = { name = \"a\", colour = \"red\" }\nleaves = []\n[named]\n";
        assert_eq!(misfits(good), [""; 0]);
        let bad = "root = { nam = 1, colour = \"blue\", size = \"x\" }\n\
            leaves = [5, { name = \"b\", colour = \"red\", leaf = 1 }, { name = [] }]\nbranch = 1\n\
            [named]\n\"a.b\" = { colour = \"red\" }\n";
        let mut found = misfits(bad);
        found.sort();
        let value =
            |key: &str, expected: &str, got: &str| format!("{key} Value {{ expected: {expected:?}, got: {got:?} }}");
        let unknown =
            |key: &str, name: &str, known: &[&str]| format!("{key} Unknown {{ name: {name:?}, known: {known:?} }}");
        let mut expected = [
            unknown("branch", "branch", &["root", "leaves", "named"]),
            value("leaves[0]", "a table", "a number"),
            unknown("leaves[1].leaf", "leaf", &["name", "colour", "size"]),
            value("leaves[2].name", "a string", "a list"),
            "leaves[2].colour Missing".to_owned(),
            "named.a.b.name Missing".to_owned(),
            value("root.colour", "\"red\"", "a string"),
            unknown("root.nam", "nam", &["name", "colour", "size"]),
            "root.name Missing".to_owned(),
            value("root.size", "u32", "a string"),
        ];
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(misfits("").len(), 3);
    }

    #[test]
    fn what_is_no_toml_is_found_with_its_line() {
        for (text, line, words) in [
            ("a = 1\n[b\nc = 1\n", 2, "unclosed table"),
            ("a = 1\n\na = 2\n", 3, "duplicate key a: keep one of the two"),
            ("a = x.y:1\n", 1, "text must stand in quotes"),
        ] {
            let found = parse(text).unwrap_err();
            assert!(found[0].0 == line && found[0].1.contains(words), "{found:?}");
        }
    }

    #[test]
    fn a_list_is_no_table() {
        let schema = serde_json::json!({ "properties": {
            "a": { "type": "object" },
            "b": { "type": "array", "items": { "type": "object", "properties": { "c": { "type": "object" } } } },
            "d": { "type": "object", "additionalProperties": { "type": "object" } },
        } });
        let mut table = parse("a = [1]\nb = [{ c = [] }, {}]\nd.x = []\nd.y = {}\ne = []").unwrap();
        let found = take_lists(&mut table, &schema);
        assert_eq!(found.iter().map(|found| &*found.key).collect::<Vec<_>>(), ["a", "b[0].c", "d.x"]);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn a_value_is_found_by_its_key() {
        let table = parse("a.\"b.c\" = [1, { d = 2 }]").unwrap();
        assert_eq!(value_at(&table, "a.b.c[1].d"), Some(&Value::Integer(2)));
        assert_eq!(value_at(&table, "a.b"), None);
    }
}
