//! Whether two versions of a schema go together, and if not, what stands against it; pure.
//!
//! What is promised of schemas is more than Avro's FULL: each version reads what any other wrote, and a field that is there
//! stays there as it is. So there is no need to ask who reads and who writes: what both have must be the same, and what
//! only one has must be what the other can do without.
//!
//! | differs | verdict |
//! | --- | --- |
//! | a field is new and has a default | fine |
//! | a field is new and has none | the default is missing: it cannot be made up for older records |
//! | a field is gone, or has another name (an alias changes nothing: readers of the other version do not know it) | removed |
//! | a type, logical type, semantic type (`connect.name`), size, precision or name | changed; a promotion goes one way only |
//! | null is allowed in one of them | made required, or no longer so |
//! | a branch of another union | added or removed: the other's readers do not know it |
//! | a symbol of an enum is new | fine if the other version has a default to read it as, else added |
//! | a symbol of an enum is gone or has another name: older records would read as the default, if there is one | removed |
//! | a default has another value, or is no more: one old record would read differently | changed |
//! | a default is new | fine: whoever has the field writes it |
//! | docs, attributes, aliases, the order of fields, branches and symbols | fine |
//!
//! apache-avro's `SchemaCompatibility` is not used: it stops at the first fault without saying where it is, takes two
//! names that are equal for equal types, and calls promotions, unions that overlap and removed fields compatible.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::schema::{definitions, with_full_names};

/// What a string is for sinks; where a logical type says it, that one counts.
const SEMANTIC: &str = "connect.name";

/// Something in which two versions of a schema do not go together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Incompatibility {
    /// The full name of the record that has the field; empty where there is none.
    pub(crate) record: String,
    /// The field as a path from the top, such as `lead.tags[].name`; empty where it is the whole schema.
    pub(crate) field: String,
    pub(crate) reason: String,
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Incompatibility { record, field, reason } = self;
        match (field.as_str(), record.as_str()) {
            ("", "") => write!(f, "{reason}"),
            ("", record) => write!(f, "{record}: {reason}"),
            (field, "") => write!(f, "{field}: {reason}"),
            (field, record) => write!(f, "{field} (in {record}): {reason}"),
        }
    }
}

/// In what `new` does not go with `old`, an earlier version, in the order of the fields.
pub(crate) fn incompatibilities(old: &Value, new: &Value) -> Vec<Incompatibility> {
    let (old, new) = (with_full_names(old), with_full_names(new));
    let (olds, news) = (definitions(&old), definitions(&new));
    let mut comparison = Comparison { old: &olds, new: &news, met: BTreeSet::new(), found: Vec::new() };
    comparison.types(&FieldAt::default(), &old, &new);
    comparison.found
}

/// Where the comparison is.
#[derive(Clone, Default)]
struct FieldAt {
    record: String,
    path: String,
}

impl FieldAt {
    fn field(&self, record: &str, name: &str) -> FieldAt {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        FieldAt { record: record.to_owned(), path }
    }

    fn within(&self, brackets: &str) -> FieldAt {
        FieldAt { record: self.record.clone(), path: format!("{}{brackets}", self.path) }
    }
}

struct Comparison<'a> {
    old: &'a BTreeMap<&'a str, &'a Value>,
    new: &'a BTreeMap<&'a str, &'a Value>,
    /// Named types that were compared, or are being: a type may contain itself.
    met: BTreeSet<String>,
    found: Vec<Incompatibility>,
}

impl<'a> Comparison<'a> {
    fn note(&mut self, at: &FieldAt, reason: String) {
        self.found.push(Incompatibility { record: at.record.clone(), field: at.path.clone(), reason });
    }

    /// Compares two types. Whether they are the same, apart from what is within them.
    fn types(&mut self, at: &FieldAt, old: &'a Value, new: &'a Value) -> bool {
        let (old, new) = (Branches::of(old), Branches::of(new));
        let same = match (&old.others[..], &new.others[..]) {
            ([old], [new]) => self.single(at, old, new),
            _ => self.branches(at, &old, &new),
        };
        if !same || old.nullable == new.nullable {
            return same;
        }
        self.note(at, if old.nullable { MADE_REQUIRED } else { MADE_NULLABLE }.into());
        false
    }

    /// Compares unions of several types: by kind and name, as Avro finds the branch of a value.
    fn branches(&mut self, at: &FieldAt, old: &Branches<'a>, new: &Branches<'a>) -> bool {
        let before = self.found.len();
        let (olds, news) = (old.resolved(self.old), new.resolved(self.new));
        for ty in &olds {
            match news.iter().find(|other| identity(other) == identity(ty)) {
                Some(other) => _ = self.single(at, ty, other),
                None => self.note(at, format!("{} removed from its types", word(ty))),
            }
        }
        for ty in &news {
            if !olds.iter().any(|other| identity(other) == identity(ty)) {
                self.note(at, format!("{} added to its types: readers of the other version do not know it", word(ty)));
            }
        }
        self.found.len() == before
    }

    /// Compares two types that are no unions. Whether they are the same, apart from what is within them.
    fn single(&mut self, at: &FieldAt, old: &'a Value, new: &'a Value) -> bool {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        if identity(old) != identity(new) {
            // Of a name that is not defined here no more can be said than that it is the same.
            if (old.is_string() || new.is_string()) && full_name(old) == full_name(new) {
                return true;
            }
            let one_way = if promotes(kind(old), kind(new)) || promotes(kind(new), kind(old)) {
                "; Avro reads the one as the other, but not the other way round"
            } else {
                ""
            };
            self.note(at, format!("type changed from {} to {}{one_way}", word(old), word(new)));
            return false;
        }
        if NAMED_KINDS.contains(&kind(old)) && !self.met.insert(full_name(old).to_owned()) {
            return true;
        }
        match kind(old) {
            "record" => self.fields(at, old, new),
            "enum" => self.symbols(at, old, new),
            "array" => _ = self.types(&at.within("[]"), &old["items"], &new["items"]),
            "map" => _ = self.types(&at.within("{}"), &old["values"], &new["values"]),
            _ => {}
        }
        true
    }

    fn fields(&mut self, at: &FieldAt, old: &'a Value, new: &'a Value) {
        let record = full_name(new);
        for was in fields(old) {
            let at = at.field(record, name(was));
            match field_of(new, name(was)) {
                Some(is) => self.field(&at, was, is),
                None => {
                    let renamed = renamed(was, old, new).map(|name| format!(", or renamed to {name}"));
                    self.note(&at, format!("removed{}", renamed.unwrap_or_default()));
                }
            }
        }
        for is in fields(new).filter(|is| field_of(old, name(is)).is_none() && is.get("default").is_none()) {
            let reason = "required and new: without a default it cannot be read from records written before it";
            self.note(&at.field(record, name(is)), reason.into());
        }
        for (field, alias) in stolen(old, new).chain(stolen(new, old)) {
            let reason = format!("its alias {alias} is another field of the other version, whose values it would take");
            self.note(&at.field(record, field), reason);
        }
    }

    fn field(&mut self, at: &FieldAt, old: &'a Value, new: &'a Value) {
        if !self.types(at, &old["type"], &new["type"]) {
            return;
        }
        match (old.get("default"), new.get("default")) {
            (Some(was), Some(is)) if !equal(was, is) => self.note(at, format!("default changed from {was} to {is}")),
            (Some(was), None) => self.note(at, format!("made required: its default {was} was removed")),
            _ => {}
        }
    }

    fn symbols(&mut self, at: &FieldAt, old: &'a Value, new: &'a Value) {
        let at = if at.record.is_empty() { &FieldAt { record: full_name(new).to_owned(), ..at.clone() } } else { at };
        let of = |ty: &'a Value| ty["symbols"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let missing = |from: &'a Value, of_other: &'a Value| {
            let missing: Vec<_> = of(of_other).filter(|symbol| !of(from).any(|other| other == *symbol)).collect();
            (!missing.is_empty()).then(|| missing.join(", "))
        };
        if let Some(added) = missing(old, new).filter(|_| old.get("default").is_none()) {
            self.note(at, format!("symbols added: {added}; the other version has no default to read them as"));
        }
        if let Some(removed) = missing(new, old) {
            let read = match new["default"].as_str() {
                Some(default) => format!("records that have them would read as {default}"),
                None => "this version has no default to read them as".to_owned(),
            };
            self.note(at, format!("symbols removed: {removed}; {read}"));
        }
        match (old.get("default"), new.get("default")) {
            (Some(was), Some(is)) if was != is => {
                self.note(at, format!("default of the enum changed from {was} to {is}"));
            }
            _ => {}
        }
    }
}

const MADE_REQUIRED: &str = "made required: it was allowed to be null";
const MADE_NULLABLE: &str = "made nullable: readers of the other version expect a value";

/// Kinds of types that have names.
const NAMED_KINDS: [&str; 3] = ["record", "enum", "fixed"];

/// A type as a union.
struct Branches<'a> {
    nullable: bool,
    others: Vec<&'a Value>,
}

impl<'a> Branches<'a> {
    fn of(ty: &'a Value) -> Branches<'a> {
        let all = ty.as_array().map_or_else(|| vec![ty], |branches| branches.iter().collect());
        let (null, others): (Vec<_>, _) = all.into_iter().partition(|branch| kind(branch) == "null");
        Branches { nullable: !null.is_empty(), others }
    }

    fn resolved(&self, definitions: &BTreeMap<&str, &'a Value>) -> Vec<&'a Value> {
        self.others.iter().map(|ty| resolved(definitions, ty)).collect()
    }
}

/// The definition, where a type is written as a name.
fn resolved<'a>(definitions: &BTreeMap<&str, &'a Value>, ty: &'a Value) -> &'a Value {
    ty.as_str().and_then(|name| definitions.get(name).copied()).unwrap_or(ty)
}

/// `string`, `record`, or a name that is not defined here.
fn kind(ty: &Value) -> &str {
    ty.as_str().or(ty["type"].as_str()).unwrap_or_default()
}

/// Of a type that has a name, or is one.
fn full_name(ty: &Value) -> &str {
    ty.as_str().or(ty["name"].as_str()).unwrap_or_default()
}

fn name(field: &Value) -> &str {
    field["name"].as_str().unwrap_or_default()
}

fn fields(record: &Value) -> impl Iterator<Item = &Value> {
    record["fields"].as_array().into_iter().flatten()
}

fn field_of<'a>(record: &'a Value, wanted: &str) -> Option<&'a Value> {
    fields(record).find(|field| name(field) == wanted)
}

fn aliases(field: &Value) -> impl Iterator<Item = &str> {
    field["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// All that makes a type, but for what is within it.
fn identity(ty: &Value) -> String {
    match kind(ty) {
        container @ ("array" | "map") => container.to_owned(),
        _ => word(ty),
    }
}

/// A type as a person reads it.
fn word(ty: &Value) -> String {
    if let Some(branches) = ty.as_array() {
        return branches.iter().map(word).collect::<Vec<_>>().join(" or ");
    }
    let number = |name: &str| ty[name].as_u64().unwrap_or_default();
    let plain = match kind(ty) {
        "array" => format!("array of {}", word(&ty["items"])),
        "map" => format!("map of {}", word(&ty["values"])),
        "fixed" => format!("fixed {} of {} bytes", full_name(ty), number("size")),
        kind if NAMED_KINDS.contains(&kind) => format!("{kind} {}", full_name(ty)),
        kind => kind.to_owned(),
    };
    match (ty["logicalType"].as_str(), ty[SEMANTIC].as_str()) {
        (Some("decimal"), _) => format!("{plain} (decimal {}, {})", number("precision"), number("scale")),
        (Some(logical), _) => format!("{plain} ({logical})"),
        (None, Some(semantic)) if !NAMED_KINDS.contains(&kind(ty)) => format!("{plain} ({semantic})"),
        _ => plain,
    }
}

/// Whether Avro reads what was written as `from` where `to` is expected.
fn promotes(from: &str, to: &str) -> bool {
    matches!((from, to), ("int", "long" | "float" | "double") | ("long", "float" | "double") | ("float", "double"))
}

/// The name that a field of `old` seems to have in `new`: of the new field that has its name as an alias, or else of the only
/// new one of its type.
fn renamed<'a>(was: &Value, old: &Value, new: &'a Value) -> Option<&'a str> {
    let added = || fields(new).filter(|is| field_of(old, name(is)).is_none());
    let by_alias = added().find(|is| aliases(is).any(|alias| alias == name(was)));
    let mut of_its_type = added().filter(|is| is["type"] == was["type"]);
    let only = of_its_type.next().filter(|_| of_its_type.next().is_none());
    by_alias.or(only).map(name)
}

/// Fields of `reader` that by an alias take the place of another field, which it has too, in what `writer` writes.
fn stolen<'a>(writer: &'a Value, reader: &'a Value) -> impl Iterator<Item = (&'a str, &'a str)> {
    let taking = fields(reader).filter(|field| field_of(writer, name(field)).is_none());
    taking.flat_map(move |field| {
        let taken =
            aliases(field).filter(|alias| field_of(writer, alias).is_some() && field_of(reader, alias).is_some());
        taken.map(|alias| (name(field), alias))
    })
}

/// Equal as values: 0 and 0.0 are one default.
fn equal(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a))
}

#[cfg(test)]
mod tests;
