//! Where objects stand that are to be records, and which of them are one record: the same shape in several places becomes one
//! named type.

use std::collections::{BTreeMap, BTreeSet};

use super::naming;
use super::shape::{Inferred, ObjectShape, Shape};

/// An object that is to be a record, or part of one.
#[derive(Clone, Debug)]
pub(super) struct ObjectPlace {
    /// The object around it; `None` at the top.
    pub(super) parent: Option<usize>,
    /// The record's name, where it is given: at the top.
    pub(super) top: Option<String>,
    /// The member it stands in.
    pub(super) json: String,
    /// Whether it is one of a list.
    pub(super) in_list: bool,
    pub(super) shape: ObjectShape,
    /// Members that are never null.
    pub(super) required: BTreeSet<String>,
    /// The objects in its members.
    pub(super) children: BTreeMap<String, Child>,
}

/// The object in a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Child {
    Place(usize),
    /// A record that is there already.
    Known(String),
}

/// All of them; those that are one record are united under the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    all: Vec<ObjectPlace>,
    first: Vec<usize>,
}

impl Places {
    /// Adds what stands at the top, as the record `name`, and all objects in it. `required` are paths of members; `assigned`
    /// says which objects are a record that is there, by their paths.
    pub(super) fn add_top(
        &mut self,
        name: &str,
        shape: &ObjectShape,
        required: &[&[String]],
        assigned: &BTreeMap<String, String>,
    ) {
        let at = self.push(None, name, shape, required);
        self.all[at].top = Some(name.to_owned());
        self.add_children(at, name, shape, required, assigned);
    }

    fn push(&mut self, parent: Option<usize>, json: &str, shape: &ObjectShape, required: &[&[String]]) -> usize {
        let required = required.iter().filter_map(|path| path.first().cloned()).collect();
        self.all.push(ObjectPlace {
            parent,
            top: None,
            json: json.to_owned(),
            in_list: false,
            shape: shape.clone(),
            required,
            children: BTreeMap::new(),
        });
        self.first.push(self.first.len());
        self.all.len() - 1
    }

    fn add_children(
        &mut self,
        at: usize,
        path: &str,
        shape: &ObjectShape,
        required: &[&[String]],
        assigned: &BTreeMap<String, String>,
    ) {
        for (json, member) in &shape.members {
            let Some(object) = member.inner_object().filter(|_| member.inferred(json).has_object()) else { continue };
            let path = format!("{path}.{json}");
            let child = match assigned.get(&path) {
                Some(known) => Child::Known(known.clone()),
                None => {
                    let within = required.iter().filter(|path| path.first() == Some(json)).map(|path| &path[1..]);
                    let within: Vec<_> = within.collect();
                    let child = self.push(Some(at), json, object, &within);
                    self.all[child].in_list = member.arrays > 0;
                    self.add_children(child, &path, object, &within, assigned);
                    Child::Place(child)
                }
            };
            self.all[at].children.insert(json.clone(), child);
        }
    }

    /// The first of those that are one record with `place`.
    pub(super) fn first(&self, place: usize) -> usize {
        let mut at = place;
        while self.first[at] != at {
            at = self.first[at];
        }
        at
    }

    /// What is known of the record at `first`, the first of its places.
    pub(super) fn of(&self, first: usize) -> &ObjectPlace {
        &self.all[first]
    }

    /// The first places of all records, in order.
    pub(super) fn firsts(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.all.len()).filter(|&at| self.first[at] == at)
    }

    /// All places of the record at `first`.
    pub(super) fn members(&self, first: usize) -> impl Iterator<Item = &ObjectPlace> + '_ {
        self.all.iter().enumerate().filter(move |&(at, _)| self.first(at) == first).map(|(_, place)| place)
    }

    /// Unites all that are alike.
    pub(super) fn unite_alike(&mut self) {
        for at in 0..self.all.len() {
            for other in 0..at {
                let (a, b) = (self.first(other), self.first(at));
                if a != b && self.are_alike(other, at) {
                    self.unite(a, b);
                }
            }
        }
    }

    fn are_alike(&self, a: usize, b: usize) -> bool {
        let (a, b) = (&self.all[a], &self.all[b]);
        if a.top.is_some() || b.top.is_some() {
            return false;
        }
        if let (Some(a), Some(b)) = (&a.shape.name, &b.shape.name) {
            return a == b;
        }
        let shared = a.shape.members.keys().filter(|name| b.shape.members.contains_key(*name)).count();
        let (fewer, more) = {
            let (a, b) = (a.shape.members.len(), b.shape.members.len());
            (a.min(b), a.max(b))
        };
        let all = fewer + more - shared;
        let (name, other) = (naming::singular(&naming::field(&a.json)), naming::singular(&naming::field(&b.json)));
        let last_word = |name: &str| name.rsplit('_').next().unwrap_or_default().to_owned();
        let mostly = shared * 10 >= all * 6;
        if name == other && !naming::is_hollow(&a.json) {
            shared > 0 && shared * 2 >= fewer
        } else if last_word(&name) == last_word(&other) {
            mostly && shared >= 2
        } else {
            shared == all && shared >= 3
        }
    }

    /// Makes `a` and `b` one record, and so the objects in their members of one name; or leaves all as it is, where they cannot be.
    fn unite(&mut self, a: usize, b: usize) {
        let mut united = self.clone();
        if united.merge(a, b).is_some() {
            *self = united;
        }
    }

    fn merge(&mut self, a: usize, b: usize) -> Option<()> {
        let mut due = vec![(a, b)];
        while let Some((a, b)) = due.pop() {
            let (a, b) = (self.first(a), self.first(b));
            if a == b {
                continue;
            }
            let (a, b) = (a.min(b), a.max(b));
            if self.all[a].top.is_some() || self.all[b].top.is_some() || self.leads(a, b) || self.leads(b, a) {
                return None;
            }
            let taken = self.all[b].clone();
            let kept = &mut self.all[a];
            if !go_together(&kept.shape, &taken.shape) {
                return None;
            }
            kept.shape.merge(&taken.shape);
            kept.required.extend(taken.required);
            if !kept.required.iter().all(|json| kept.shape.members.get(json).is_some_and(|m| m.always(&kept.shape))) {
                return None;
            }
            for (json, child) in taken.children {
                match (kept.children.get(&json).cloned(), child) {
                    (None, child) => _ = kept.children.insert(json, child),
                    (Some(Child::Place(a)), Child::Place(b)) => due.push((a, b)),
                    (Some(a), b) => (a == b).then_some(())?,
                }
            }
            self.first[b] = a;
        }
        Some(())
    }

    /// Whether the record at `from` has that at `to` somewhere within.
    fn leads(&self, from: usize, to: usize) -> bool {
        let mut due = vec![from];
        let mut met = BTreeSet::new();
        while let Some(at) = due.pop() {
            for child in self.all[at].children.values() {
                let Child::Place(child) = child else { continue };
                let child = self.first(*child);
                if child == to {
                    return true;
                }
                if met.insert(child) {
                    due.push(child);
                }
            }
        }
        false
    }
}

/// Whether the members that both have are of one type, so that none gets a poorer one.
fn go_together(a: &ObjectShape, b: &ObjectShape) -> bool {
    a.members.iter().all(|(json, a)| b.members.get(json).is_none_or(|b| is_one_type(json, a, b)))
}

fn is_one_type(json: &str, a: &Shape, b: &Shape) -> bool {
    let is_unknown = |shape: &Shape| shape.nulls == shape.seen;
    if is_unknown(a) || is_unknown(b) {
        return true;
    }
    let mut both = a.clone();
    both.merge(b);
    match (a.inferred(json), b.inferred(json), both.inferred(json)) {
        (Inferred::Object, Inferred::Object, both) => both == Inferred::Object,
        (Inferred::Array(_), Inferred::Array(_), Inferred::Array(_)) => {
            let items = a.items.as_deref().zip(b.items.as_deref());
            items.is_none_or(|(a, b)| (a.nulls > 0) == (b.nulls > 0) && is_one_type(json, a, b))
        }
        (Inferred::Long, Inferred::Double, Inferred::Double) | (Inferred::Double, Inferred::Long, Inferred::Double) => {
            true
        }
        (a, b, both) => a == b && a == both,
    }
}
