//! Paths into an event's record, such as `lead.id`, checked against the schemas.

use super::avsc::{Field, Records, Type};

/// A path whose steps are the names in the source's JSON, from the payload on.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// As the profile has it: from the record on, in its fields' names.
    pub(crate) text: String,
    pub(crate) steps: Vec<Box<str>>,
    pub(crate) leaf: Type,
    /// Whether nothing on the way may be null.
    pub(super) required: bool,
}

impl Path {
    /// Follows `text` through the fields of `record`, which `named` tells apart by Avro or by JSON name.
    pub(super) fn resolve(
        records: &Records,
        record: &str,
        text: &str,
        named: fn(&Field) -> &str,
    ) -> Result<Path, String> {
        let mut path =
            Path { text: text.to_owned(), steps: Vec::new(), leaf: Type::Record(record.to_owned()), required: true };
        for step in text.split('.') {
            let Type::Record(name) = &path.leaf else {
                return Err(format!("`{step}` is looked for in something that is no record"));
            };
            if path.leaf.is_head() {
                return Err("the event's head is made here, not sent".into());
            }
            let found = records.get(name).and_then(|r| r.fields.iter().find(|f| named(f) == step));
            let Some(field) = found else { return Err(format!("{name} has no field `{step}`")) };
            path.required &= !field.optional;
            path.steps.push(field.json.as_str().into());
            path.leaf = field.ty.clone();
        }
        Ok(path)
    }

    /// The kinds of id a record can be keyed by.
    pub(super) fn is_key(&self) -> bool {
        self.required && matches!(self.leaf, Type::Uuid | Type::Long | Type::String)
    }

    pub(super) fn is_time(&self) -> bool {
        self.leaf == Type::Timestamp
    }
}
