//! Which member of the samples tells their types apart.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderMap;

use super::naming;
use super::shape::ObjectShape;
use crate::values::json::{Document, Kind, Node};

/// What such a member is called, likeliest first.
const NAMES: [&str; 15] = [
    "event_type",
    "type",
    "event",
    "event_name",
    "event_key",
    "topic",
    "webhook_event",
    "webhook_type",
    "notification_type",
    "message_type",
    "kind",
    "action",
    "trigger",
    "name",
    "object",
];

/// How likely a member called `name` determines the type, the lowest first.
pub(super) fn rank(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == naming::field(name))
}

/// What shows of which type something is: a sample, or what bodies have in common by their schema.
pub(super) struct TypeEvidence<'a> {
    pub(super) label: &'a str,
    /// What its file is called, or its document calls it.
    pub(super) name: &'a str,
    pub(super) doc: Document<'a>,
    pub(super) headers: HeaderMap,
    /// When it was received. Milliseconds since 1970.
    pub(super) at: Option<i64>,
    /// What a body looks like by its schema; `None` for a sample.
    pub(super) described: Option<&'a ObjectShape>,
}

/// The text at `path`, a member or members with dots between; `None` where there is none, or it is no text.
pub(super) fn text_at(doc: &Document<'_>, path: &str) -> Option<String> {
    let node = path.split('.').try_fold(Node::ROOT, |node, step| doc.get(node, step))?;
    doc.text(node).map(|text| text.text.into_owned())
}

/// Whether `path` is the name of a member at the top, with a dot in it: a path with such steps leads elsewhere.
pub(super) fn is_dotted(one: &TypeEvidence<'_>, path: &str) -> bool {
    let described = || one.described.is_some_and(|shape| shape.members.contains_key(path));
    path.contains('.') && text_at(&one.doc, path).is_none() && (one.doc.get(Node::ROOT, path).is_some() || described())
}

/// A member at the top that would tell the type by its name and value, but has a dot in its name.
pub(super) fn dotted(one: &TypeEvidence<'_>) -> Option<String> {
    let is_ranked = |name: &str| rank(name).or_else(|| rank(name.rsplit('.').next().unwrap_or_default())).is_some();
    let is_named = |name: &String| name.contains('.') && is_ranked(name);
    let shown = one
        .doc
        .members(Node::ROOT)
        .filter(|&(_, value)| one.doc.text(value).is_some_and(|value| naming::event_type(&value.text).is_some()));
    let shown = shown.filter_map(|(key, _)| Some(one.doc.text(key)?.text.into_owned()));
    let listed = one.described.into_iter().flat_map(|shape| &shape.members);
    let listed = listed.filter(|(_, member)| !member.listed.is_empty()).map(|(name, _)| name.clone());
    shown.chain(listed).find(is_named)
}

/// A member that may tell the types apart.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) path: String,
    /// Why it was taken, where that is not plain.
    pub(super) doubt: Option<String>,
}

/// The member of the samples that tells their types: one that is a text in each, named or valued like a type. Schemas may
/// fix it further inside.
pub(super) fn telling(samples: &[TypeEvidence<'_>]) -> Option<Telling> {
    let mut found: Vec<(i32, String)> = Vec::new();
    let first = &samples.first()?.doc;
    let all_described = samples.iter().all(|sample| sample.described.is_some());
    let mut due = vec![(Node::ROOT, String::new())];
    while let Some((object, way)) = due.pop() {
        for (key, value) in first.members(object) {
            let Some(name) = first.text(key).map(|key| key.text.into_owned()) else { continue };
            if name.contains('.') {
                continue;
            }
            let path = format!("{way}{name}");
            if let Some(score) = score(&path, samples) {
                found.push((score, path));
            } else if all_described && first.kind(value) == Kind::Object {
                due.push((value, format!("{path}.")));
            }
        }
    }
    found.sort_by_key(|(score, _)| -score);
    let mut found = found.into_iter();
    let (_, path) = found.next()?;
    let others: Vec<_> = found.map(|(_, name)| format!("`{name}`")).collect();
    let doubt = (!others.is_empty())
        .then(|| format!("`{path}` determines the event type; it could be {}: see --type-field", others.join(", ")));
    Some(Telling { path, doubt })
}

fn score(path: &str, samples: &[TypeEvidence<'_>]) -> Option<i32> {
    let mut values = BTreeMap::<String, BTreeSet<Vec<String>>>::new();
    let mut of_files = 0;
    for TypeEvidence { name, doc, .. } in samples {
        let value = text_at(doc, path)?;
        let event_type = naming::event_type(&value)?;
        let squeezed = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
        };
        of_files += usize::from(squeezed(name).contains(&squeezed(&event_type)));
        values.entry(event_type).or_default().insert(members(doc));
    }
    let by_name =
        rank(path.rsplit('.').next().unwrap_or(path)).map(|at| 100 - 4 * i32::try_from(at).unwrap_or_default());
    let by_file = if of_files * 2 >= samples.len() { 60 } else { 0 };
    let repeats = values.len() < samples.len();
    // Bodies of two types do not look the same.
    let shapes: BTreeSet<_> = values.values().collect();
    let by_shape = if values.len() > 1 && repeats && shapes.len() == values.len() { 20 } else { 0 };
    let dotted = if values.keys().all(|value| value.contains(['.', '_'])) { 10 } else { 0 };
    match by_name {
        Some(by_name) => Some(by_name + by_file + by_shape + dotted),
        None => (by_file + by_shape > 0).then_some(by_file + by_shape),
    }
}

fn members(doc: &Document<'_>) -> Vec<String> {
    let mut names: Vec<_> =
        doc.members(Node::ROOT).filter_map(|(key, _)| Some(doc.text(key)?.text.into_owned())).collect();
    names.sort();
    names
}

/// Two members of one object with the same name, anywhere in the body.
pub(super) fn duplicate(doc: &Document<'_>) -> Option<String> {
    let mut due = vec![Node::ROOT];
    while let Some(node) = due.pop() {
        let mut seen = BTreeSet::new();
        for (key, value) in doc.members(node) {
            let name = doc.text(key).map(|key| key.text.into_owned()).unwrap_or_default();
            if !seen.insert(name.clone()) {
                return Some(name);
            }
            due.push(value);
        }
        due.extend(doc.items(node).filter(|&item| matches!(doc.kind(item), Kind::Object | Kind::Array)));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::json::MAX_DEPTH;

    fn told(samples: &[(&'static str, &'static str)]) -> Option<String> {
        let sample = |(name, body): &(&'static str, &'static str)| {
            let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
            TypeEvidence { label: name, name, doc, headers: HeaderMap::new(), at: None, described: None }
        };
        telling(&samples.iter().map(sample).collect::<Vec<_>>()).map(|telling| telling.path)
    }

    #[test]
    fn the_member_that_tells_the_types_is_found_by_its_name_or_by_the_files() {
        let a = r#"{"id":"1","type":"order.created","status":"open"}"#;
        let b = r#"{"id":"2","type":"order.paid","status":"open"}"#;
        assert_eq!(told(&[("a", a), ("b", b)]).as_deref(), Some("type"));
        let moved = r#"{"what":"MOVED","city":"Recife"}"#;
        let lost = r#"{"what":"LOST","city":"Natal"}"#;
        assert_eq!(told(&[("moved", moved), ("lost", lost)]).as_deref(), Some("what"));
        assert_eq!(told(&[("1", moved), ("2", lost)]), None);
        let lost = r#"{"what":"LOST","by":"van"}"#;
        assert_eq!(told(&[("1", moved), ("2", lost), ("3", lost)]).as_deref(), Some("what"));
        // An id is no type, whatever it is called.
        assert_eq!(told(&[("1", r#"{"type":"5511987654321"}"#)]), None);
        assert_eq!(told(&[("1", r#"{"type":"a.b"}"#), ("2", "{}")]), None);
    }
}
