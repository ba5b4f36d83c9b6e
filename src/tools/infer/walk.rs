//! Holds what was seen against the records that are there already: what has a field has to fit it, what has none is to get one.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::known::{KnownRecord, KnownRecords};
use super::naming;
use super::shape::{ObjectShape, Shape};

/// What was found of the records that are there.
#[derive(Default)]
pub(super) struct Walked {
    /// Per record the members that it has no field for.
    pub(super) unknown: IndexMap<String, ObjectShape>,
    /// Which new objects are one of the records that are there, by their paths.
    pub(super) assigned: BTreeMap<String, String>,
    /// What does not go into the field that is there: record, field, what the field is.
    pub(super) misfits: BTreeSet<(String, String, String)>,
}

/// Walks through samples with the records that are there.
pub(super) struct Walker<'a> {
    pub(super) known: &'a KnownRecords,
    /// Records of events, which stand nowhere but at the top.
    pub(super) tops: &'a BTreeSet<String>,
    pub(super) walked: Walked,
}

impl Walker<'_> {
    /// Holds `shape` against the record `name`.
    pub(super) fn record(&mut self, name: &str, shape: &ObjectShape, telling: &[String]) {
        let Some(record) = self.known.get(name) else { return };
        for (json, member) in &shape.members {
            match record.fields.get(json) {
                Some(field) => {
                    if !field.takes(member) {
                        self.misfit(name, json, &field.ty.word());
                    }
                    if let (Some(inner), Some(object)) = (field.ty.record(), member.inner_object()) {
                        self.record(inner, object, &[]);
                    }
                }
                None if telling.contains(json) || has_no_field(json, self.tops.contains(name)) => {}
                None => self.unknown(name, json, member, shape.seen),
            }
        }
        for (json, field) in record.fields.iter().filter(|(_, field)| !field.optional) {
            if !shape.members.get(json).is_some_and(|member| member.always(shape)) {
                self.misfit(name, json, &format!("required {}", field.ty.word()));
            }
        }
    }

    /// Holds what stood in `extra` of the record `name` against it.
    pub(super) fn extra(&mut self, name: &str, shape: &ObjectShape) {
        let Some(record) = self.known.get(name) else { return };
        for (json, member) in &shape.members {
            match record.fields.get(json) {
                Some(field) => self.misfit(name, json, &field.ty.word()),
                None if has_no_field(json, self.tops.contains(name)) => {}
                None => self.unknown(name, json, member, shape.seen),
            }
        }
    }

    fn unknown(&mut self, record: &str, json: &str, member: &Shape, of: u64) {
        let unknown = self.walked.unknown.entry(record.to_owned()).or_default();
        unknown.seen = unknown.seen.max(of);
        unknown.members.entry(json.to_owned()).or_default().merge(member);
        self.new_member(&format!("{record}.{json}"), json, member, &[]);
    }

    fn misfit(&mut self, record: &str, json: &str, is: &str) {
        self.walked.misfits.insert((record.to_owned(), json.to_owned(), is.to_owned()));
    }

    /// Looks whether the object in a member without a field, at `path`, or one within, is one of the records that are there. `key`
    /// is what is left of the way to an event's key, none of which may be null.
    fn new_member(&mut self, path: &str, json: &str, member: &Shape, key: &[String]) {
        let Some(object) = member.inner_object().filter(|_| member.inferred(json).has_object()) else { return };
        let known = self.walked.assigned.get(path).cloned().or_else(|| self.like(json, object, key.first()));
        match known {
            Some(known) => {
                self.walked.assigned.insert(path.to_owned(), known.clone());
                self.record(&known, object, &[]);
            }
            None => self.new_object(path, object, key),
        }
    }

    /// The same for the objects within one that gets a record of its own.
    pub(super) fn new_object(&mut self, path: &str, object: &ObjectShape, key: &[String]) {
        for (json, member) in &object.members {
            let key = if key.first() == Some(json) { &key[1..] } else { &[] };
            self.new_member(&format!("{path}.{json}"), json, member, key);
        }
    }

    /// The record that is most like `object`, which stands in a field called `json`.
    fn like(&self, json: &str, object: &ObjectShape, required: Option<&String>) -> Option<String> {
        let records = self.known.iter().filter(|(name, _)| !self.tops.contains(*name));
        let alike = records.filter_map(|(name, record)| {
            let shared = shared(record, object, required)?;
            let is_named = object.name.as_deref().is_some_and(|named| *name == naming::record(named));
            let of_its_name = is_named || self.is_so_called(json, name);
            let mostly = shared == object.members.len() && shared * 3 >= record.fields.len() * 2;
            let enough = match (of_its_name, naming::is_hollow(json) && !is_named) {
                (true, false) => shared > 0 && shared * 2 >= object.members.len(),
                (true, true) => mostly,
                (false, _) => mostly && shared >= 3,
            };
            enough.then_some((of_its_name, shared, name))
        });
        alike.max().map(|(.., name)| name.clone())
    }

    /// Whether the record `name` is called as what stands in a field `json` would be, or stands in such a field already.
    fn is_so_called(&self, json: &str, name: &str) -> bool {
        let stands =
            |record: &KnownRecord| record.fields.get(json).is_some_and(|field| field.ty.record() == Some(name));
        [true, false].iter().any(|&in_list| name == naming::record_in(json, in_list)) || self.known.values().any(stands)
    }
}

/// How many members of `object` have a field in `record`; `None` if one does not fit, or what must be there is not.
fn shared(record: &KnownRecord, object: &ObjectShape, required: Option<&String>) -> Option<usize> {
    let is_there = |json: &str| object.members.get(json).is_some_and(|member| member.always(object));
    let missing = record.fields.iter().any(|(json, field)| !field.optional && !is_there(json));
    let optional = required.is_some_and(|json| record.fields.get(json).is_none_or(|field| field.optional));
    if missing || optional {
        return None;
    }
    let mut count = 0;
    for (json, member) in &object.members {
        if let Some(field) = record.fields.get(json) {
            if !field.takes(member) {
                return None;
            }
            count += 1;
        }
    }
    Some(count)
}

/// Whether a member called `json` cannot have a field: its name in JSON is taken by what the bridge writes.
pub(super) fn has_no_field(json: &str, at_top: bool) -> bool {
    json == "extra" || (at_top && json == "event")
}
