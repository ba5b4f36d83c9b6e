//! The line of a place in a file of the catalog: of a JSON pointer, or of a TOML key.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::values::json::{Document, Kind, MAX_DEPTH, Node};

/// The line, from 1, of `place` in the file, or of the innermost part of it that is there.
pub(super) fn line(label: &str, text: &str, place: &str) -> Option<usize> {
    if place.is_empty() {
        return None;
    }
    let is_json = Path::new(label).extension().is_some_and(|extension| extension == "avsc");
    if is_json {
        in_json(text, place).map(|at| text[..at].matches('\n').count() + 1)
    } else {
        toml_line(text, place, false)
    }
}

/// The line, from 1, of the key `place` in a TOML text; or, unless it has to be `whole`, of the innermost part of it that exists.
pub(crate) fn toml_line(text: &str, place: &str, whole: bool) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut found = TomlPlace::default();
    in_table(table.get_ref(), place, &mut found);
    let at = found.at.filter(|_| !whole || found.is_whole)?;
    Some(text[..at].matches('\n').count() + 1)
}

/// Where a key of a TOML text is.
#[derive(Default)]
struct TomlPlace {
    at: Option<usize>,
    /// Whether that is the key, and not only a part of it.
    is_whole: bool,
}

/// Where the value at the pointer `place` begins.
fn in_json(text: &str, place: &str) -> Option<usize> {
    let doc = Document::scan(text.as_bytes(), MAX_DEPTH).ok()?;
    let mut node = Node::ROOT;
    for step in place.split('/').skip(1) {
        let name = step.replace("~1", "/").replace("~0", "~");
        let next = match doc.kind(node) {
            Kind::Array => name.parse().ok().and_then(|at: usize| doc.items(node).nth(at)),
            Kind::Object => doc.get(node, &name),
            _ => None,
        };
        let Some(next) = next else { break };
        node = next;
    }
    Some(doc.raw(node).as_ptr() as usize - text.as_ptr() as usize)
}

fn in_table(table: &DeTable<'_>, place: &str, found: &mut TomlPlace) {
    // A key may hold what separates keys: the longest that fits is meant.
    let fitting = table.iter().filter_map(|(key, value)| Some((key, value, rest_after(key.get_ref(), place)?)));
    if let Some((key, value, rest)) = fitting.min_by_key(|(_, _, rest)| rest.len()) {
        *found = TomlPlace { at: Some(key.span().start), is_whole: rest.is_empty() };
        in_value(value.get_ref(), rest, found);
    }
}

/// What of `place` comes after the key `name`, in quotes or without, if it begins with it.
fn rest_after<'a>(name: &str, place: &'a str) -> Option<&'a str> {
    let quoted = format!("{name:?}");
    let rest = place.strip_prefix(&quoted).or_else(|| place.strip_prefix(name))?;
    (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
}

fn in_value(value: &DeValue<'_>, place: &str, found: &mut TomlPlace) {
    match value {
        DeValue::Table(table) => in_table(table, place.trim_start_matches('.'), found),
        DeValue::Array(items) => {
            let Some((at, rest)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return };
            if let Some(item) = at.parse().ok().and_then(|at: usize| items.get(at)) {
                // The span of a table in an array may be that of its header alone, or begin further up.
                *found = TomlPlace { at: Some(item.span().start), is_whole: rest.is_empty() };
                in_value(item.get_ref(), rest, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_its_line_and_what_is_missing_that_of_what_is_around_it() {
        let json = "{\n\"type\": \"record\",\n\"fields\": [\n{\"name\": \"a\"},\n{\"name\": \"b\",\n\"type\": \"x\"}]}";
        for (place, due) in
            [("/type", 2), ("/fields/0", 4), ("/fields/1/type", 6), ("/fields/1/json", 5), ("/fields/7", 3)]
        {
            assert_eq!(line("A.avsc", json, place), Some(due), "{place}");
        }
        let toml = "redact = [\n\"a\",\n\"b\"]\n[verify]\nmethod = \"x\"\n[[recognise]]\nfield = \"k\"\n[[recognise]]\nfield = \"l\"\n\
            [types]\n\"order.paid\" = { key = 1 }\n\"order\" = {\nrecord = \"R\",\n}\n";
        for (place, due) in [
            ("redact[1]", 3),
            ("verify.method", 5),
            ("verify.heading", 4),
            ("recognise[1].field", 9),
            ("types.\"order.paid\".key", 11),
            ("types.order.paid.key", 11),
            ("types.\"order\".record", 13),
            ("types.\"none\".record", 10),
        ] {
            assert_eq!(line("profile.toml", toml, place), Some(due), "{place}");
        }
        assert_eq!(line("profile.toml", toml, "none"), None);
        assert_eq!(line("profile.toml", toml, ""), None);
    }
}
