//! The field of an event that holds a file, and the field beside it that says where the file went instead.
//!
//! ```text
//! profile.toml    [media] field = "mediaBase64", into = "media_object"
//! in the body     {"mediaBase64": "<the file in base64>", …}
//! in the record   media_base64 = null ▸ media_object = (uri, bytes, sha256, content_type)
//! ```
//!
//! `into` is made here: no key of the payload leads to it, and its type stands nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::avsc::{self, RecordSchemas, Type};
use super::guard::Guards;
use super::plan::{FieldKind, RecordPlan};
use super::{CatalogError, Flaw, FlawAt, Path};

/// `[media]` of a profile. Paths are JSON names from the record on, `into` is an Avro name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenMediaField {
    /// The path of the field that holds a file in base64.
    field: String,
    /// The field beside it that says where the file went.
    into: String,
    /// The path of what the sender says of the file's type.
    content_type: Option<String>,
}

/// Where an event's payload may hold a file, from the payload on.
#[derive(Clone, Debug)]
pub(crate) struct MediaField {
    pub(crate) file: Path,
    /// What the sender says of the file's type.
    pub(crate) content_type: Option<Path>,
}

/// The fields that the record of a file in the store has, in this order: (name, type, whether it may be null).
const OBJECT: [(&str, Type, bool); 4] = [
    ("uri", Type::String, false),
    ("bytes", Type::Long, false),
    ("sha256", Type::String, false),
    ("content_type", Type::String, true),
];

/// A record that holds a file: the places of the file and of what is written in its stead.
#[derive(Debug)]
struct Holder {
    file: usize,
    into: usize,
    /// How many fields before them are no slots of the encoder's: an event's head.
    head: usize,
    /// Full name of the type of `into`.
    object: String,
}

/// What `[media]` means for the records of a profile.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// By the full name of an event's record.
    events: BTreeMap<String, MediaField>,
    /// By full name.
    holders: BTreeMap<String, Holder>,
}

/// Looks the fields up in the records of `events`; those that have no such field hold no files.
pub(super) fn resolve(
    written: &WrittenMediaField,
    guards: &Guards,
    records: &RecordSchemas,
    events: &[String],
) -> Result<Resolved, FlawAt> {
    let mut resolved = Resolved::default();
    for event in events {
        let by_json = |text: &str| Path::resolve(records, event, text, |field| &field.json);
        let Ok(file) = by_json(&written.field) else { continue };
        if let Some(guard) = guards.of(&file) {
            let what = format!("{} is {}, so its file must not be stored", written.field, guard.word());
            return Err(FlawAt::new("field", what));
        }
        let (parent, name) = match written.field.rsplit_once('.') {
            Some((parent, name)) => (by_json(parent).map_err(|what| FlawAt::new("field", what))?.leaf, name),
            None => (Type::Record(event.clone()), written.field.as_str()),
        };
        let Type::Record(holder) = parent else { continue };
        let content_type = written.content_type.as_deref().map(by_json).transpose();
        let content_type = content_type.map_err(|what| FlawAt::new("content_type", what))?;
        if content_type.as_ref().is_some_and(|path| path.leaf != Type::String) {
            return Err(FlawAt::new("content_type", format!("{event}: expected a string")));
        }
        if let Some((guard, path)) = content_type.as_ref().and_then(|path| guards.of(path).zip(Some(path))) {
            return Err(FlawAt::new(
                "content_type",
                format!("{} is {}, but `into` would show it", path.text, guard.word()),
            ));
        }
        resolved.holders.insert(holder.clone(), find_holder(records, &holder, name, &written.into)?);
        resolved.events.insert(event.clone(), MediaField { file, content_type });
    }
    if resolved.events.is_empty() {
        return Err(FlawAt::new("field", Flaw::InNoEvent(written.field.clone())));
    }
    Ok(resolved)
}

/// The places of the file and of `into` in the record `holder`, if both are what they have to be.
fn find_holder(records: &RecordSchemas, holder: &str, file: &str, into: &str) -> Result<Holder, FlawAt> {
    let Some(record) = records.get(holder) else { return Err(FlawAt::new("field", Flaw::NoType(holder.to_owned()))) };
    let fields = &record.fields;
    let Some(file) = fields.iter().position(|f| f.json == file && f.optional && f.ty == Type::String) else {
        return Err(FlawAt::new("field", format!("{file} of {holder}: expected [\"null\", \"string\"]")));
    };
    let Some(into) = fields.iter().position(|f| f.name == into) else {
        let missing = Flaw::NoField { record: holder.to_owned(), field: into.to_owned() };
        return Err(FlawAt::new("into", missing));
    };
    let object = match &fields[into].ty {
        Type::Record(name) if fields[into].optional => name.clone(),
        _ => {
            return Err(FlawAt::new(
                "into",
                format!("`{}` of {holder}: expected [\"null\", a record]", fields[into].name),
            ));
        }
    };
    // A name that leads nowhere is told of with the record that has it.
    if records.get(&object).is_some_and(|object| !is_object(object)) {
        let due = OBJECT.map(|(name, ..)| name).join(", ");
        return Err(FlawAt::new("into", format!("{object}: expected the fields {due}, as in whazing.MediaObject")));
    }
    Ok(Holder { file, into, head: record.has_head().into(), object })
}

fn is_object(record: &avsc::RecordSchema) -> bool {
    let found = record.fields.iter().map(|f| (f.name.as_str(), &f.ty, f.optional));
    found.eq(OBJECT.iter().map(|(name, ty, optional)| (*name, ty, *optional)))
}

impl Resolved {
    /// Whether records of this type are made here and never sent.
    pub(super) fn makes(&self, name: &str) -> bool {
        self.holders.values().any(|holder| holder.object == name)
    }

    /// What is made here stands where it is made, and nowhere else.
    pub(super) fn check_other_fields(&self, records: &RecordSchemas) -> Result<(), CatalogError> {
        let made: BTreeSet<&str> = self.holders.values().map(|holder| holder.object.as_str()).collect();
        for (name, record) in records.iter() {
            for (index, field) in record.fields.iter().enumerate() {
                let is_into = self.holders.get(name).is_some_and(|holder| holder.into == index);
                if let Some(object) = field.ty.named().filter(|name| made.contains(name) && !is_into) {
                    let what = format!(
                        "hookbridge makes {object} itself: only the field that `media.into` names may have this type"
                    );
                    return Err(record.error(&format!("/fields/{index}/type"), what));
                }
            }
        }
        Ok(())
    }

    /// Tells the plans which field is made here, and of which other.
    pub(super) fn plan(&self, plans: &mut [RecordPlan], indexes: &BTreeMap<String, usize>) {
        for (name, holder) in &self.holders {
            let Some(plan) = indexes.get(name).and_then(|&index| plans.get_mut(index)) else { continue };
            let (file, into) = (holder.file - holder.head, holder.into - holder.head);
            plan.names.hide(into);
            plan.fields[into].kind = FieldKind::MediaObject { file };
        }
    }

    /// Where the event of the record `name` may hold a file. With a `bare_payload`, which as a whole is one field of the
    /// record, the first step is behind us.
    pub(super) fn field(&self, name: &str, bare_payload: bool) -> Option<MediaField> {
        let mut media = self.events.get(name)?.clone();
        if bare_payload {
            for path in std::iter::once(&mut media.file).chain(&mut media.content_type) {
                path.steps.remove(0);
            }
        }
        Some(media)
    }
}
