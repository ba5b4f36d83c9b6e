//! What goes into a record's `extra`: one JSON object text, keys as sent, values verbatim.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::values::json;
use crate::values::redact::{self, GuardedNames};

/// The members of an `extra`, in the order they came up.
#[derive(Default)]
pub(super) struct Extra<'a> {
    /// (key in quotes as spelled, value as spelled)
    members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The keys in one spelling; only filled when there are too many to look through.
    seen: HashSet<Cow<'a, str>>,
    /// What the members' text takes, or took before parts of it were blanked.
    bytes: usize,
}

/// A second member of the same name.
pub(super) struct Duplicate;

/// Up to this many members are looked through one by one.
const FEW: usize = 16;

impl<'a> Extra<'a> {
    /// Adds a member the schema does not know; `key` is in quotes, as spelled.
    pub(super) fn unknown(&mut self, key: &'a str, value: &'a str) -> Result<(), Duplicate> {
        let duplicate = if self.members.len() < FEW {
            self.members.iter().any(|(other, _)| same(other, key))
        } else {
            if self.seen.is_empty() {
                self.seen = self.members.iter().map(|(other, _)| one_spelling(other.clone())).collect();
            }
            !self.seen.insert(one_spelling(Cow::Borrowed(key)))
        };
        if duplicate {
            return Err(Duplicate);
        }
        self.push(Cow::Borrowed(key), Cow::Borrowed(value));
        Ok(())
    }

    /// Adds the original of a field the schema knows. No unknown member has its name.
    pub(super) fn known(&mut self, name: &str, value: Cow<'a, str>) {
        self.push(Cow::Owned(quoted(name)), value);
    }

    /// Adds another `extra`, if it has any members, as one member.
    pub(super) fn wrap(&mut self, name: &str, inner: &Extra<'a>) {
        if let Some(text) = inner.text() {
            self.push(Cow::Owned(quoted(name)), Cow::Owned(text));
        }
    }

    /// Blanks what is called by one of `anywhere`, and in the members of `keys` also what is called by one of `guarded`: whole
    /// members, and what stands within the others.
    pub(super) fn blank(&mut self, keys: &[Box<str>], guarded: &GuardedNames, anywhere: &GuardedNames) {
        if keys.is_empty() && anywhere.is_empty() {
            return;
        }
        for (key, value) in &mut self.members {
            let key = json::unescape(&key[1..key.len() - 1]).text;
            let names = if keys.iter().any(|guarded| **guarded == *key) { guarded } else { anywhere };
            if names.has(&key) {
                *value = Cow::Borrowed("\"\"");
            } else if let Cow::Owned(blanked) = redact::blank(value, names) {
                *value = Cow::Owned(blanked);
            }
        }
    }

    /// The keys, without escapes.
    pub(super) fn keys(&self) -> impl Iterator<Item = String> {
        self.members.iter().map(|(key, _)| json::unescape(&key[1..key.len() - 1]).text.into_owned())
    }

    /// Bytes of the object's text.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn push(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        // A colon, and a comma or a bracket.
        self.bytes += key.len() + value.len() + 2;
        self.members.push((key, value));
    }

    /// The object's text; `None` when there are no members.
    pub(super) fn text(&self) -> Option<String> {
        if self.members.is_empty() {
            return None;
        }
        let mut text = String::with_capacity(self.bytes + 1);
        for (key, value) in &self.members {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(key);
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        Some(text)
    }
}

fn quoted(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

fn same(a: &str, b: &str) -> bool {
    a == b || ((a.contains('\\') || b.contains('\\')) && one_spelling(a.into()) == one_spelling(b.into()))
}

/// A key in its quotes without escapes. Half a surrogate pair has no such form: its spelling stands for it, in small letters, so
/// that a doubtful case is a duplicate (and the event a dead letter) rather than a member that readers drop.
fn one_spelling(quoted: Cow<'_, str>) -> Cow<'_, str> {
    if !quoted.contains('\\') {
        return quoted;
    }
    let unescaped = json::unescape(&quoted);
    Cow::Owned(if unescaped.lone_surrogate { quoted.to_ascii_lowercase() } else { unescaped.text.into_owned() })
}
