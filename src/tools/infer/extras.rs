//! What stood in `extra` of records: members that a sender has begun to send.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::shape::ObjectShape;
use crate::values::json::{Document, MAX_DEPTH, Node};
use crate::values::redact::GuardedNames;

/// Of the envelope, which no record has fields for.
const ENVELOPE: &str = "$envelope";

/// How often something was seen, and when first and last. Milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeenSpan {
    pub(crate) count: usize,
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
}

impl SeenSpan {
    pub(crate) fn add(&mut self, at: Option<i64>) {
        self.count += 1;
        self.first = self.first.into_iter().chain(at).min();
        self.last = self.last.into_iter().chain(at).max();
    }
}

/// The members of `extra`, by record.
#[derive(Default)]
pub(crate) struct SeenExtras {
    /// By the records' names, without their namespace.
    pub(super) records: IndexMap<String, ObjectShape>,
    /// By record and member.
    pub(crate) members: BTreeMap<(String, String), SeenSpan>,
}

impl SeenExtras {
    /// Takes in the text of an `extra` of a record, but for what is called by one of `blanked`: that is not as it was sent.
    pub(crate) fn add(&mut self, record: &str, text: &str, at: Option<i64>, blanked: &GuardedNames) {
        let Ok(doc) = Document::scan(text.as_bytes(), MAX_DEPTH) else { return };
        let shape = self.records.entry(record.to_owned()).or_default();
        let mut all = ObjectShape::default();
        all.add(&doc, Node::ROOT, 0);
        all.members.retain(|json, member| json != ENVELOPE && !blanked.has(json) && member.nulls < member.seen);
        for json in all.members.keys() {
            self.members.entry((record.to_owned(), json.clone())).or_default().add(at);
        }
        shape.merge(&all);
    }
}
