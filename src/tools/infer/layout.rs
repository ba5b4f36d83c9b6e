//! From shapes to records: which there are, what each is called, and its fields.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::known::{Declared, KnownRecords};
use super::notes::Notes;
use super::places::{Child, ObjectPlace, Places};
use super::shape::{Inferred, ObjectShape, Shape};
use super::walk::{self, Walked};
use super::{naming, notes};

/// So many values are named in a doc.
const MOST_LISTED: usize = 20;

/// A field to be written.
#[derive(Clone, Debug)]
pub(super) struct NewField {
    pub(super) json: String,
    pub(super) name: String,
    pub(super) ty: Declared,
    pub(super) required: bool,
    /// What a schema says that it is.
    pub(super) doc: Option<String>,
}

/// Records to be written, and fields to be added to those that are there.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) records: IndexMap<String, Vec<NewField>>,
    pub(super) added: IndexMap<String, Vec<NewField>>,
    /// What schemas say that new records are.
    pub(super) docs: BTreeMap<String, String>,
}

/// The record of a type that is new.
pub(super) struct Top<'a> {
    pub(super) record: String,
    pub(super) shape: &'a ObjectShape,
    /// The way to its key.
    pub(super) key: &'a [String],
}

/// Lays out the records of new types, and what is new in those that are there.
pub(super) fn lay_out(tops: &[Top<'_>], walked: &Walked, known: &KnownRecords, notes: &mut Notes) -> Layout {
    let mut places = Places::default();
    for top in tops {
        places.add_top(&top.record, top.shape, &[top.key], &walked.assigned);
    }
    for (record, unknown) in &walked.unknown {
        places.add_top(record, unknown, &[], &walked.assigned);
    }
    places.unite_alike();
    let taken = known.keys().cloned().chain(tops.iter().map(|top| top.record.clone())).collect();
    let names = name_all(&places, taken);
    let mut writer = FieldWriter { places: &places, names: &names, notes, due: Vec::new() };
    let mut layout = Layout::default();
    for first in places.firsts().filter(|&first| places.of(first).top.is_some()) {
        let name = &names[&first];
        let is_known = !tops.iter().any(|top| top.record == *name);
        let taken = known.get(name).map(|record| record.names.clone()).unwrap_or_default();
        layout.docs.extend(writer.doc(first));
        // Only the records of events have a head.
        let at_top = !is_known;
        let fields = writer.fields(first, taken, at_top);
        if is_known {
            layout.added.insert(name.clone(), fields);
        } else {
            layout.records.insert(name.clone(), fields);
        }
        while let Some(inner) = writer.due.pop() {
            if !layout.records.contains_key(&names[&inner]) {
                layout.docs.extend(writer.doc(inner));
                let fields = writer.fields(inner, Vec::new(), false);
                layout.records.insert(names[&inner].clone(), fields);
            }
        }
    }
    layout
}

/// A name for each record.
fn name_all(places: &Places, mut taken: BTreeSet<String>) -> BTreeMap<usize, String> {
    let mut names = BTreeMap::new();
    for first in places.firsts() {
        let name = match &places.of(first).top {
            Some(top) => top.clone(),
            None => {
                let parents: Vec<&str> = places
                    .members(first)
                    .filter_map(|p| names.get(&places.first(p.parent?)))
                    .map(String::as_str)
                    .collect();
                let wanted = wanted(&places.members(first).collect::<Vec<_>>());
                let around = common_start(&parents);
                let place = places.of(first);
                let hollow = place.shape.name.is_none() && naming::is_hollow(&place.json);
                let wanted = if hollow || taken.contains(&wanted) { format!("{around}{wanted}") } else { wanted };
                naming::unique(&wanted, &mut taken, "")
            }
        };
        names.insert(first, name);
    }
    names
}

/// What the record of these places is best called: by the words at the end that their names share, else by the first.
fn wanted(places: &[&ObjectPlace]) -> String {
    if let Some(name) = places.iter().find_map(|place| place.shape.name.as_ref()) {
        return naming::record(name);
    }
    let words = |place: &&ObjectPlace| -> Vec<String> {
        let name = naming::field(&place.json);
        let name = if place.in_list { naming::singular(&name) } else { name };
        name.split('_').map(str::to_owned).collect()
    };
    let names: Vec<_> = places.iter().map(words).collect();
    let Some((first, others)) = names.split_first() else { return String::new() };
    let same = |count: usize| others.iter().all(|other| other.ends_with(&first[first.len() - count..]));
    let count = (1..=first.len()).take_while(|&count| same(count)).last().unwrap_or(first.len());
    naming::record(&first[first.len() - count..].join("_"))
}

/// The words that all `names` begin with, or the first name where they share none.
fn common_start(names: &[&str]) -> String {
    let Some((first, others)) = names.split_first() else { return String::new() };
    let ends = first.char_indices().skip(1).filter(|(_, c)| c.is_ascii_uppercase()).map(|(at, _)| at);
    let starts: Vec<_> = ends.chain([first.len()]).map(|end| &first[..end]).collect();
    let same = |start: &&&str| {
        others.iter().all(|other| {
            other
                .strip_prefix(**start)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_uppercase()))
        })
    };
    starts.iter().rev().find(same).map_or_else(|| (*first).to_owned(), |start| (*start).to_owned())
}

/// What a schema says that a field is, with the values that it lists: as text, since a sender adds to them.
fn doc(json: &str, shape: &Shape) -> Option<String> {
    let listed = &shape.listed[..shape.listed.len().min(MOST_LISTED)];
    let others = if shape.listed.len() > MOST_LISTED { ", ..." } else { "" };
    let listed = (listed.len() > 1).then(|| format!("One of: {}{others}.", listed.join(", ")));
    match (&shape.doc, listed) {
        (Some(doc), Some(listed)) => Some(format!("{} {listed}", doc.trim_end())),
        (Some(doc), None) => Some(doc.clone()),
        (None, Some(listed)) => Some(format!("TODO: what `{json}` is. {listed}")),
        (None, None) => None,
    }
}

struct FieldWriter<'a> {
    places: &'a Places,
    names: &'a BTreeMap<usize, String>,
    notes: &'a mut Notes,
    /// Records that fields have, to be written as well.
    due: Vec<usize>,
}

impl FieldWriter<'_> {
    fn fields(&mut self, first: usize, taken: Vec<String>, at_top: bool) -> Vec<NewField> {
        let (places, record) = (self.places, &self.names[&first]);
        let place = places.of(first);
        let mut taken: BTreeSet<String> = taken.into_iter().chain(["event".into(), "extra".into()]).collect();
        if !at_top {
            taken.remove("event");
        }
        let mut fields = Vec::new();
        for (json, shape) in &place.shape.members {
            if walk::has_no_field(json, at_top) {
                self.notes.say(format!("{record}: a member called `{json}` can have no field: it stays in `extra`"));
                continue;
            }
            let wanted = naming::field(json);
            let name = naming::unique(&wanted, &mut taken, "_");
            if name != wanted {
                self.notes.say(format!("{record}.{name}: `{wanted}` is taken, so `{json}` has this name"));
            }
            let ty = self.ty(place, json, &shape.inferred(json));
            notes::of_field(self.notes, &format!("{record}.{name}"), json, shape, &ty);
            let required = place.required.contains(json);
            fields.push(NewField { json: json.clone(), name, ty, required, doc: doc(json, shape) });
        }
        fields
    }

    /// The record at `first`, and what its schema says that it is.
    fn doc(&self, first: usize) -> Option<(String, String)> {
        Some((self.names[&first].clone(), self.places.of(first).shape.doc.clone()?))
    }

    fn ty(&mut self, place: &ObjectPlace, json: &str, inferred: &Inferred) -> Declared {
        match inferred {
            Inferred::Boolean => Declared::Boolean,
            Inferred::Long => Declared::Long,
            Inferred::Double => Declared::Double,
            Inferred::String => Declared::String,
            Inferred::Uuid => Declared::Uuid,
            Inferred::Timestamp => Declared::Timestamp,
            Inferred::Date => Declared::Date,
            Inferred::Json => Declared::Json,
            Inferred::Array(items) => Declared::Array(Box::new(self.ty(place, json, items))),
            Inferred::Object => match place.children.get(json) {
                Some(Child::Known(name)) => Declared::Record(name.clone()),
                Some(Child::Place(child)) => {
                    let child = self.places.first(*child);
                    self.due.push(child);
                    Declared::Record(self.names[&child].clone())
                }
                // Only together with others it looks like a record.
                None => Declared::Json,
            },
        }
    }
}

/// The members on the way, as the record's fields are called; `None` where one has no field.
pub(super) fn avro_path(layout: &Layout, known: &KnownRecords, record: &str, steps: &[String]) -> Option<String> {
    let mut record = record.to_owned();
    let mut names = Vec::new();
    for json in steps {
        let new = [&layout.records, &layout.added].into_iter().filter_map(|records| records.get(&record)).flatten();
        let new =
            new.into_iter().find(|field| field.json == *json).map(|field| (field.name.as_str(), field.ty.record()));
        let there = || known.get(&record)?.fields.get(json).map(|field| (field.name.as_str(), field.ty.record()));
        let (name, inner) = new.or_else(there)?;
        names.push(name.to_owned());
        record = inner.unwrap_or_default().to_owned();
    }
    Some(names.join("."))
}

/// What was seen at the end of a way through objects, each time.
pub(super) fn at_mut<'a>(shape: &'a mut ObjectShape, steps: &[String]) -> Option<&'a mut Shape> {
    let (last, way) = steps.split_last()?;
    let mut object = shape;
    for step in way {
        object = object.members.get_mut(step)?.object.as_mut()?;
    }
    object.members.get_mut(last)
}

pub(super) fn at<'a>(shape: &'a ObjectShape, steps: &[String]) -> Option<&'a Shape> {
    let (last, way) = steps.split_last()?;
    let mut object = shape;
    for step in way {
        object = object.members.get(step)?.object.as_ref()?;
    }
    object.members.get(last)
}
