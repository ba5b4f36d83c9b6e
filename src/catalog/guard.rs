//! Fields that readers are not to see as they were sent: what `redact` and `hash` of a profile come to.
//!
//! A path names a field of a record, and so the field in every place where that record stands. Events that have no such
//! field may be sent its value all the same: where a path leads into JSON of open shape, or to a member that the
//! schema does not know, what has the field's name is blanked there.
//!
//! A name of `redact_names` is no path: what is called so goes wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use super::avsc::{self, EXTRA, RecordSchemas, Type};
use super::files::HEAD_FOLDER;
use super::plan::{FieldKind, Guard, RecordPlan};
use super::recognise::TellingMember;
use super::{Flaw, FlawAt, Path};
use crate::values::redact::GuardedNames;

/// Said of a hashed field in the schemas that readers get.
const NOTE: &str = "Hashed: HMAC-SHA256 by the operator's key, 64 hex digits.";

/// A field: full name of its record, JSON name.
type FieldPlace = (String, String);

struct Guarded {
    guard: Guard,
    /// Where the profile names it, such as `redact[0]`.
    key: String,
    path: String,
}

#[derive(Default)]
pub(super) struct Guards {
    fields: BTreeMap<FieldPlace, Guarded>,
    /// JSON of open shape into which a path leads.
    open: BTreeMap<FieldPlace, Guard>,
    /// Members that are no fields of the record, in which a path goes on.
    unknown: BTreeSet<FieldPlace>,
    /// JSON names of the fields, and those that go everywhere.
    pub(super) names: GuardedNames,
    /// Names of what goes wherever it stands.
    pub(super) anywhere: GuardedNames,
    /// Paths of the hashed ones.
    pub(super) hashed: Vec<String>,
}

/// Follows `redact` and `hash` through the records of `events`, and looks for `redact_names` in all `records`. `telling` are the
/// members of the payload that tell an event's type.
pub(super) fn resolve(
    redact: &[String],
    redact_names: &[String],
    hash: &[String],
    telling: &[TellingMember],
    records: &RecordSchemas,
    events: &[String],
) -> Result<Guards, FlawAt> {
    let mut guards = Guards { hashed: hash.to_vec(), ..Guards::default() };
    for (index, name) in redact_names.iter().enumerate() {
        let key = format!("redact_names[{index}]");
        let added = guards.add_name(&key, name, telling, records);
        added.map_err(|what| FlawAt::new(key, what))?;
    }
    for (name, guard, paths) in [("redact", Guard::Redacted, redact), ("hash", Guard::Hashed, hash)] {
        for (index, path) in paths.iter().enumerate() {
            let key = format!("{name}[{index}]");
            if telling.iter().any(|member| member.path == *path) {
                return Err(FlawAt::new(key, Flaw::ShowsType(path.clone())));
            }
            let added = guards.add(guard, &key, path, records, events);
            added.map_err(|what| FlawAt::new(key, what))?;
        }
    }
    Ok(guards)
}

impl Guards {
    fn add_name(
        &mut self,
        key: &str,
        name: &str,
        telling: &[TellingMember],
        records: &RecordSchemas,
    ) -> Result<(), Flaw> {
        let names = GuardedNames::loose(name).ok_or_else(|| Flaw::NoName(name.to_owned()))?;
        if let Some(member) = telling.iter().find(|member| names.has(&member.name)) {
            return Err(Flaw::ShowsType(member.path.clone()));
        }
        for (holder, record) in records.iter().filter(|(holder, _)| !holder.starts_with(&format!("{HEAD_FOLDER}."))) {
            for field in sent(record).filter(|field| names.has(&field.json)) {
                let path = &field.json;
                if !field.optional {
                    return Err(required(path, holder, Guard::Redacted));
                }
                refuse_derived(record, field, path, holder)?;
                let guarded = Guarded { guard: Guard::Redacted, key: key.to_owned(), path: path.clone() };
                self.fields.insert((holder.clone(), field.json.clone()), guarded);
            }
        }
        self.names.add(names.clone());
        self.anywhere.add(names);
        Ok(())
    }

    fn add(
        &mut self,
        guard: Guard,
        key: &str,
        path: &str,
        records: &RecordSchemas,
        events: &[String],
    ) -> Result<(), Flaw> {
        if path.split('.').any(str::is_empty) {
            return Err(Flaw::NoPath(path.to_owned()));
        }
        let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut found = false;
        'events: for event in events {
            let mut holder = event.as_str();
            for step in parents.split('.').filter(|step| !step.is_empty()) {
                let Some((record, field)) = self.find(records, holder, step) else { continue 'events };
                match field.ty.named() {
                    // Fields of the items of an array are reached as well.
                    Some(inner) => holder = inner,
                    None if is_open(&field.ty) => {
                        refuse_derived(record, field, path, holder)?;
                        self.open.insert((holder.to_owned(), step.to_owned()), guard);
                        continue 'events;
                    }
                    None => continue 'events,
                }
            }
            let Some((record, field)) = self.find(records, holder, name) else { continue };
            if guard == Guard::Hashed && field.ty != Type::String {
                let (path, record) = (path.to_owned(), holder.to_owned());
                return Err(Flaw::NotHashable { path, record, got: field.ty.word() });
            }
            if !field.optional {
                return Err(required(path, holder, guard));
            }
            if guard == Guard::Redacted {
                refuse_derived(record, field, path, holder)?;
            }
            let place = (holder.to_owned(), name.to_owned());
            if self.fields.get(&place).is_some_and(|other| other.guard != guard) {
                return Err(Flaw::RedactedAndHashed(path.to_owned()));
            }
            self.fields.insert(place, Guarded { guard, key: key.to_owned(), path: path.to_owned() });
            found = true;
        }
        self.names.add(GuardedNames::exact(name));
        // A record that is not there is told of with the type that has it.
        let all_there = events.iter().all(|event| records.contains_key(event));
        if found || !all_there { Ok(()) } else { Err(Flaw::InNoEvent(path.to_owned())) }
    }

    /// The field of the record `holder` that takes the member `step`; a member that none takes is noted.
    fn find<'a>(
        &mut self,
        records: &'a RecordSchemas,
        holder: &str,
        step: &str,
    ) -> Option<(&'a avsc::RecordSchema, &'a avsc::FieldSchema)> {
        let record = records.get(holder)?;
        let field = sent(record).find(|f| f.json == step);
        if field.is_none() {
            self.unknown.insert((holder.to_owned(), step.to_owned()));
        }
        field.map(|field| (record, field))
    }

    /// Whether a path leads to or through what is guarded.
    pub(super) fn of(&self, path: &Path) -> Option<Guard> {
        let of = |place: &FieldPlace| self.fields.get(place).map(|field| field.guard).or(self.open.get(place).copied());
        let named = || path.steps.iter().any(|step| self.anywhere.has(step)).then_some(Guard::Redacted);
        path.fields.iter().find_map(of).or_else(named)
    }

    /// Tells the plans. What is derived of a hashed field is hashed too. A record for which `is_made` holds is never sent.
    pub(super) fn plan(
        &self,
        plans: &mut [RecordPlan],
        indexes: &BTreeMap<String, usize>,
        is_made: impl Fn(&str) -> bool,
    ) -> Result<(), FlawAt> {
        for ((holder, name), Guarded { guard, key, path }) in &self.fields {
            let made = || FlawAt::new(key, format!("{path} is made by hookbridge, not sent by the source"));
            let plan = indexes.get(holder).and_then(|&index| plans.get_mut(index)).filter(|_| !is_made(holder));
            let plan = plan.ok_or_else(made)?;
            let slot = plan.names.slot(name, 0).ok_or_else(made)?;
            for (index, field) in plan.fields.iter_mut().enumerate() {
                let derived = matches!(field.kind, FieldKind::Derived { from, .. } if from == slot);
                if index == slot || derived {
                    field.guard = *guard;
                }
            }
        }
        for (holder, name) in self.open.keys() {
            let Some(plan) = indexes.get(holder).and_then(|&index| plans.get_mut(index)) else { continue };
            let slot = plan.names.slot(name, 0);
            if let Some(field) = slot.and_then(|slot| plan.fields.get_mut(slot)) {
                blank(&mut field.kind);
            }
        }
        for (holder, name) in &self.unknown {
            if let Some(plan) = indexes.get(holder).and_then(|&index| plans.get_mut(index)) {
                plan.guarded.push(name.as_str().into());
            }
        }
        Ok(())
    }

    /// Says in `records` which fields are hashed, for those who read their schemas.
    pub(super) fn note(&self, records: &mut RecordSchemas) {
        let mut hashed = Vec::new();
        for (name, record) in records.iter() {
            for field in &record.fields {
                let place = match &field.derive {
                    None => Some((name.clone(), field.json.clone())),
                    Some(derive) => {
                        Path::reach(records, name, &derive.from).ok().and_then(|mut path| path.fields.pop())
                    }
                };
                let guarded = place.and_then(|place| self.fields.get(&place));
                if guarded.is_some_and(|guarded| guarded.guard == Guard::Hashed) {
                    hashed.push((name.clone(), field.name.clone()));
                }
            }
        }
        for (record, field) in hashed {
            records.entry(record).and_modify(|record| record.note(&field, NOTE));
        }
    }
}

/// The fields of a record that members are sent for: not an event's head, and not what is made here.
fn sent(record: &avsc::RecordSchema) -> impl Iterator<Item = &avsc::FieldSchema> {
    let fields = record.fields.iter().skip(usize::from(record.has_head()));
    fields.filter(|field| field.derive.is_none() && field.name != EXTRA)
}

/// What is made of a redacted field would not be gone.
fn refuse_derived(
    record: &avsc::RecordSchema,
    field: &avsc::FieldSchema,
    path: &str,
    holder: &str,
) -> Result<(), Flaw> {
    let of_it = |f: &avsc::FieldSchema| f.derive.as_ref().is_some_and(|derive| derive.from == field.name);
    if record.fields.iter().any(of_it) {
        return Err(Flaw::StillShown { path: path.to_owned(), record: holder.to_owned() });
    }
    Ok(())
}

fn required(path: &str, record: &str, guard: Guard) -> Flaw {
    let value = if guard == Guard::Hashed { "a value that is not text" } else { "a redacted field" };
    Flaw::Required { path: path.to_owned(), record: record.to_owned(), value }
}

fn is_open(ty: &Type) -> bool {
    match ty {
        Type::Json => true,
        Type::Array(inner) | Type::Map(inner) | Type::Nullable(inner) => is_open(inner),
        _ => false,
    }
}

fn blank(kind: &mut FieldKind) {
    match kind {
        FieldKind::Json { blanked } => *blanked = true,
        FieldKind::Array(inner) | FieldKind::Map(inner) | FieldKind::Nullable(inner) => blank(inner),
        _ => {}
    }
}
