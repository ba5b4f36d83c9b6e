//! Schemas compiled once into what the encoder walks: per record its fields in writing order, and how a JSON key
//! finds its field.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::avsc::{EXTRA, RecordSchemas, Type};
use super::types::{DecimalSize, EnumSymbols};
use super::{CatalogError, Flaw};
use crate::values::derive::How;
use crate::values::formats::Formats;
use crate::values::time::Resolution;

/// How a value is written.
#[derive(Clone, Debug)]
pub(crate) enum FieldKind {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    String,
    /// From base64.
    Bytes,
    Decimal(DecimalSize),
    Uuid,
    /// In spellings of its own, if it has some.
    Timestamp(Resolution, Option<Formats>),
    Date(Option<Formats>),
    TimeOfDay(Resolution, Option<Formats>),
    Enum(Arc<EnumSymbols>),
    /// As spelled, but for what is redacted by name; where a path to a guarded field leads into it, also what has such a name
    /// is blanked.
    Json {
        blanked: bool,
    },
    /// Index into the profile's records.
    Record(usize),
    Array(Box<FieldKind>),
    Map(Box<FieldKind>),
    /// What is in an array or a map, and may be null.
    Nullable(Box<FieldKind>),
    /// Never sent: says where the file went that stood in this slot of the same record.
    MediaObject {
        file: usize,
    },
    /// Never sent: made from what stands in this slot of the same record.
    Derived {
        from: usize,
        how: How,
    },
}

impl FieldKind {
    /// Whether no key of the payload leads to it.
    pub(crate) fn is_made(&self) -> bool {
        matches!(self, FieldKind::MediaObject { .. } | FieldKind::Derived { .. })
    }
}

/// A field that takes a value of the payload.
#[derive(Clone, Debug)]
pub(crate) struct FieldPlan {
    /// Its name in the source's JSON.
    pub(crate) json: Box<str>,
    pub(crate) kind: FieldKind,
    /// Whether it may be null; then it is a union whose first branch is null.
    pub(crate) optional: bool,
    pub(crate) guard: Guard,
}

/// How much of a field's value readers are to see. What is guarded is in no `extra` either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// All of it.
    None,
    /// Nothing: null in the record whatever the payload says.
    Redacted,
    /// Whether it is the same as another: its keyed hash.
    Hashed,
}

impl Guard {
    /// The word for it in an error sentence.
    pub(super) fn word(self) -> &'static str {
        match self {
            Guard::None => "sent",
            Guard::Redacted => "redacted",
            Guard::Hashed => "hashed",
        }
    }
}

/// A record: these fields in this order, then `extra`. (An event's head is written before, by the encoder.)
#[derive(Clone, Debug)]
pub(crate) struct RecordPlan {
    /// Without the namespace.
    pub(crate) name: Box<str>,
    pub(crate) fields: Vec<FieldPlan>,
    pub(crate) names: KeySlots,
    /// Names of members it has no field for, in which paths to guarded fields go on.
    pub(crate) guarded: Vec<Box<str>>,
}

/// Finds the slot of a JSON key. Senders write keys in one order nearly always, and leave some out, so the slots after the
/// last one found are tried first; else a search by length and bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySlots {
    /// `None` where no key leads.
    in_order: Vec<Option<Box<str>>>,
    sorted: Vec<(Box<str>, usize)>,
}

/// That many slots are looked at one by one.
const FEW: usize = 3;

impl KeySlots {
    /// Slot `n` is the `n`-th of `names`.
    pub(crate) fn new(names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        KeySlots::default().with(names)
    }

    /// The same slots, and one more for each of `names`.
    #[must_use]
    pub(super) fn with(mut self, names: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        for name in names {
            let name = name.into();
            self.sorted.push((name.clone(), self.in_order.len()));
            self.in_order.push(Some(name));
        }
        self.sorted.sort_by(|(a, _), (b, _)| order(a, b));
        self
    }

    /// Keeps the slot, but no key leads to it any more.
    pub(super) fn hide(&mut self, slot: usize) {
        self.sorted.retain(|&(_, of)| of != slot);
        if let Some(name) = self.in_order.get_mut(slot) {
            *name = None;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.in_order.len()
    }

    /// The slot of `key`, where `expected` is the likely one.
    pub(crate) fn slot(&self, key: &str, expected: usize) -> Option<usize> {
        let next = self.in_order.get(expected..).unwrap_or_default();
        if let Some(after) = next.iter().take(FEW).position(|name| name.as_deref() == Some(key)) {
            return Some(expected + after);
        }
        let at = self.sorted.binary_search_by(|(name, _)| order(name, key)).ok()?;
        self.sorted.get(at).map(|&(_, slot)| slot)
    }
}

fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Compiles all `records` of a profile; the map gives each one's index.
pub(super) fn compile(records: &RecordSchemas) -> Result<(Vec<RecordPlan>, BTreeMap<String, usize>), CatalogError> {
    let indexes: BTreeMap<String, usize> = records.keys().cloned().enumerate().map(|(i, name)| (name, i)).collect();
    let mut plans = Vec::with_capacity(records.len());
    for (name, record) in records.iter() {
        let mut fields = Vec::new();
        for (index, field) in record.fields.iter().enumerate() {
            if field.name == EXTRA || (index == 0 && record.has_head()) {
                continue;
            }
            let kind = kind(records, &indexes, &field.ty)
                .map_err(|flaw| record.error(&format!("/fields/{index}/type"), flaw))?;
            let json = field.json.as_str().into();
            fields.push(FieldPlan { json, kind, optional: field.optional, guard: Guard::None });
        }
        let names = KeySlots::new(fields.iter().map(|f| f.json.clone()));
        let name = name.rsplit_once('.').map_or(name.as_str(), |(_, name)| name).into();
        plans.push(RecordPlan { name, fields, names, guarded: Vec::new() });
    }
    Ok((plans, indexes))
}

fn kind(records: &RecordSchemas, indexes: &BTreeMap<String, usize>, ty: &Type) -> Result<FieldKind, Flaw> {
    let of = |inner: &Type| kind(records, indexes, inner).map(Box::new);
    Ok(match ty {
        Type::Boolean => FieldKind::Boolean,
        Type::Int => FieldKind::Int,
        Type::Long => FieldKind::Long,
        Type::Float => FieldKind::Float,
        Type::Double => FieldKind::Double,
        Type::String => FieldKind::String,
        Type::Bytes => FieldKind::Bytes,
        Type::Decimal(size) => FieldKind::Decimal(*size),
        Type::Uuid => FieldKind::Uuid,
        Type::Timestamp(resolution, formats) => FieldKind::Timestamp(*resolution, formats.clone()),
        Type::Date(formats) => FieldKind::Date(formats.clone()),
        Type::TimeOfDay(resolution, formats) => FieldKind::TimeOfDay(*resolution, formats.clone()),
        Type::Json => FieldKind::Json { blanked: false },
        Type::Enum(name) => {
            let found = records.enum_of(name).ok_or_else(|| Flaw::NoType(name.clone()))?;
            FieldKind::Enum(Arc::new(found.symbols.clone()))
        }
        Type::Record(name) => FieldKind::Record(*indexes.get(name).ok_or_else(|| Flaw::NoType(name.clone()))?),
        Type::Array(items) => FieldKind::Array(of(items)?),
        Type::Map(values) => FieldKind::Map(of(values)?),
        Type::Nullable(inner) => FieldKind::Nullable(of(inner)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_its_slot_wherever_it_is_expected() {
        let mut names = KeySlots::new(["id", "code", "title", "status", "value", "tags"]);
        names.hide(2);
        for expected in 0..=names.len() {
            for (slot, key) in [(0, "id"), (1, "code"), (3, "status"), (4, "value"), (5, "tags")] {
                assert_eq!(names.slot(key, expected), Some(slot), "{key}, expected at {expected}");
            }
            assert_eq!((names.slot("title", expected), names.slot("x", expected)), (None, None));
        }
    }
}
