//! Paths into an event's record, such as `lead.id`, checked against the schemas.

use super::Flaw;
use super::avsc::{EVENT, EXTRA, FieldSchema, RecordSchemas, Type};
use crate::values::derive::How;

/// A path whose steps are the names in the source's JSON, from the payload on.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// As the profile has it: from the record on, in its fields' names.
    pub(crate) text: String,
    pub(crate) steps: Vec<Box<str>>,
    pub(crate) leaf: Type,
    /// Set when the last step leads to what the value is made from.
    pub(crate) derived: Option<How>,
    /// Whether the value is hashed.
    pub(crate) hashed: bool,
    /// Whether nothing on the way may be null.
    pub(super) required: bool,
    /// The fields on the way: full name of the record, JSON name.
    pub(super) fields: Vec<(String, String)>,
}

impl Path {
    /// Follows `text` through the fields of `record`, which `named` tells apart by Avro or by JSON name.
    pub(super) fn resolve(
        records: &RecordSchemas,
        record: &str,
        text: &str,
        named: fn(&FieldSchema) -> &str,
    ) -> Result<Path, Flaw> {
        Path::follow(records, record, text, named, false)
    }

    /// The same by Avro names, and further: through lists, to what is in each, and into JSON of open shape, by its members'
    /// names.
    pub(super) fn reach(records: &RecordSchemas, record: &str, text: &str) -> Result<Path, Flaw> {
        Path::follow(records, record, text, |f| &f.name, true)
    }

    fn follow(
        records: &RecordSchemas,
        record: &str,
        text: &str,
        named: fn(&FieldSchema) -> &str,
        reach: bool,
    ) -> Result<Path, Flaw> {
        let leaf = Type::Record(record.to_owned());
        let (steps, fields) = (Vec::new(), Vec::new());
        let mut path =
            Path { text: text.to_owned(), steps, leaf, derived: None, hashed: false, required: true, fields };
        for step in text.split('.') {
            let leaf = if reach { path.leaf.item() } else { &path.leaf };
            let name = match leaf {
                Type::Record(name) if path.derived.is_none() => name.clone(),
                Type::Json if reach => {
                    path.steps.push(step.into());
                    path.leaf = Type::Json;
                    continue;
                }
                _ => return Err(Flaw::NoRecordBefore(step.to_owned())),
            };
            if path.leaf.is_head() {
                return Err(Flaw::NotSent(EVENT));
            }
            let fields = records.get(&name).map(|record| record.fields.as_slice()).unwrap_or_default();
            let no_field = |field: &str| Flaw::NoField { record: name.clone(), field: field.to_owned() };
            let mut field = fields.iter().find(|f| named(f) == step).ok_or_else(|| no_field(step))?;
            if field.name == EXTRA {
                return Err(Flaw::NotSent(EXTRA));
            }
            path.required &= !field.optional;
            path.leaf = field.ty.clone();
            if let Some(derive) = &field.derive {
                let from = derive.source(fields).ok_or_else(|| no_field(&derive.from))?;
                field = &fields[from];
                path.derived = Some(derive.how.clone());
            }
            path.steps.push(field.json.as_str().into());
            path.fields.push((name, field.json.clone()));
        }
        Ok(path)
    }

    /// The kinds of id a record can be keyed by.
    pub(super) fn is_key(&self) -> bool {
        self.required && matches!(self.leaf, Type::Uuid | Type::Int | Type::Long | Type::String)
    }

    pub(super) fn is_time(&self) -> bool {
        matches!(self.leaf, Type::Timestamp(..))
    }
}
