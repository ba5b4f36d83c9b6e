//! What is given, and which event type each sample is of.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderName};
use indexmap::IndexMap;

use super::extras::SeenSpan;
use super::profile_file::{KnownProfile, ToldBy, ToldPlace, VerifyChoice};
use super::shape::ObjectShape;
use super::{grouping, naming};
use crate::catalog::Profile;
use crate::convert::identify::{identify, unknown_value};
use crate::values::json::{Document, Kind, MAX_DEPTH, Node};
use crate::values::printable::clip;

/// A body that the vendor has sent, or says it would.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// What messages call it: its file, or its place in a topic.
    pub(crate) label: String,
    pub(crate) text: String,
    /// Those of the request it came with, as far as they are known.
    pub(crate) headers: HeaderMap,
    /// When it was received, where that is known. Milliseconds since 1970.
    pub(crate) at: Option<i64>,
}

/// What there is of the profile already.
pub(crate) struct Base<'a> {
    /// Its files by their names.
    pub(crate) files: &'a BTreeMap<String, String>,
    /// What the catalog makes of them.
    pub(crate) profile: &'a Profile,
}

/// What a person decides, beside the samples.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) profile: String,
    /// The member that tells the types apart.
    pub(crate) type_field: Option<String>,
    /// The header that does, which the samples then have.
    pub(crate) type_header: Option<HeaderName>,
    /// Keys as paths in the JSON; of one type, or of all that have such a member.
    pub(crate) keys: Vec<(Option<String>, String)>,
    /// For a profile that is new.
    pub(crate) verify: VerifyChoice,
}

/// Why nothing can be made of the samples.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InferError {
    #[error("{label}: {what}")]
    Sample { label: String, what: String },
    #[error(
        "no member at the top of the bodies determines their types: expected a text in every sample, with a name such as \
         `type` or `event` or a value that is in the file's name; name it with --type-field, or the header that does with --type-header"
    )]
    NoTelling,
    #[error("{label}: no type by `{field}`: expected a text such as order.created")]
    NoType { label: String, field: String },
    #[error(
        "{label}: no type for the header {header}: expected it in the name of the folder, as in samples/push/1.json, or of the \
         file, as in push-1.json"
    )]
    NoHeader { label: String, header: HeaderName },
    #[error(
        "{0} cannot be added to: write `recognise` as [[recognise]] and `types` as [types], as the built-in profiles do"
    )]
    Unwritable(&'static str),
}

/// The samples of one type.
pub(super) struct TypeGroup {
    pub(super) name: String,
    /// What determines it, where it is new.
    pub(super) told_by: Option<ToldBy>,
    pub(super) shape: ObjectShape,
    pub(super) seen: SeenSpan,
}

/// The samples by type, what they leave open, and which of them nothing can be made of.
pub(super) struct Groups {
    pub(super) groups: Vec<TypeGroup>,
    pub(super) doubt: Option<String>,
    pub(super) left_out: Vec<String>,
}

/// Reads the samples.
pub(super) fn scan(samples: &[Sample]) -> Result<Vec<(String, Document<'_>)>, InferError> {
    samples.iter().map(|sample| Ok((sample.label.clone(), scan_one(sample)?))).collect()
}

fn scan_one(sample: &Sample) -> Result<Document<'_>, InferError> {
    let Sample { label, text, .. } = sample;
    let fail = |what: String| InferError::Sample { label: label.clone(), what };
    let doc = Document::scan(text.as_bytes(), MAX_DEPTH).map_err(|e| fail(e.to_string()))?;
    if doc.kind(Node::ROOT) != Kind::Object {
        return Err(fail(format!("the body is {}, expected an object", doc.kind(Node::ROOT).word())));
    }
    match grouping::duplicate(&doc) {
        Some(name) => Err(fail(format!("duplicate key {:?}", clip(&name)))),
        None => Ok(doc),
    }
}

impl Sample {
    /// Why nothing can be made of it.
    pub(crate) fn fault(&self) -> Option<InferError> {
        scan_one(self).err()
    }
}

/// Groups samples by their types: those that the profile has tell by its rules.
pub(super) fn group(
    inputs: &Inputs,
    samples: &[Sample],
    docs: &[(String, Document<'_>)],
    base: Option<(&Base<'_>, &KnownProfile)>,
) -> Result<Groups, InferError> {
    let mut found = Groups { groups: Vec::new(), doubt: None, left_out: Vec::new() };
    let place = match (&inputs.type_field, &inputs.type_header, base) {
        (Some(field), ..) => Some(ToldPlace::Member(field.clone())),
        (None, Some(header), _) => Some(ToldPlace::Header(header.clone())),
        (None, None, Some(_)) => None,
        (None, None, None) => {
            let telling = grouping::telling(docs).ok_or(InferError::NoTelling)?;
            found.doubt = telling.doubt;
            Some(ToldPlace::Member(telling.path))
        }
    };
    let mut groups: IndexMap<String, TypeGroup> = IndexMap::new();
    let mut names = Names::new(base.map(|(_, known)| known));
    for (sample, (label, doc)) in samples.iter().zip(docs) {
        let told = match (base.and_then(|(base, _)| known_type(doc, &sample.headers, base)), base) {
            (Some(name), _) => Some((name, None)),
            (None, Some((base, _))) => {
                untold(doc, &sample.headers, base).map(|told_by| (names.of(&told_by), Some(told_by)))
            }
            (None, None) => {
                let told_by = told_by(sample, doc, place.as_ref())?;
                Some((names.of(&told_by), Some(told_by)))
            }
        };
        let payload = payload(doc, base.and_then(|(_, known)| known.payload.as_deref()));
        let (Some((name, told_by)), Some(payload)) = (told, payload) else {
            found.left_out.push(format!("{label}: no rule of the profile finds a type in it, or it has no payload"));
            continue;
        };
        let new =
            || TypeGroup { name: name.clone(), told_by, shape: ObjectShape::default(), seen: SeenSpan::default() };
        let group = groups.entry(name.clone()).or_insert_with(new);
        group.shape.add(doc, payload, 0);
        group.seen.add(sample.at);
    }
    found.groups = groups.into_values().collect();
    Ok(found)
}

/// Which value at `place` tells the type of a sample.
fn told_by(sample: &Sample, doc: &Document<'_>, place: Option<&ToldPlace>) -> Result<ToldBy, InferError> {
    let label = sample.label.clone();
    let (value, none) = match place {
        Some(ToldPlace::Member(path)) => {
            (grouping::text_at(doc, path), InferError::NoType { label, field: path.clone() })
        }
        Some(ToldPlace::Header(name)) => {
            let value = sample.headers.get(name).and_then(|value| value.to_str().ok());
            (value.map(str::to_owned), InferError::NoHeader { label, header: name.clone() })
        }
        Some(ToldPlace::Rule(_)) | None => return Err(InferError::NoTelling),
    };
    let value = value.filter(|value| naming::event_type(value).is_some()).ok_or(none)?;
    Ok(ToldBy { place: place.cloned().ok_or(InferError::NoTelling)?, value })
}

/// The rule of the profile that does not know an event's type, and the value that it finds.
fn untold(doc: &Document<'_>, headers: &HeaderMap, base: &Base<'_>) -> Option<ToldBy> {
    let (at, value) = unknown_value(doc, headers, base.profile)?;
    naming::event_type(&value)?;
    Some(ToldBy { place: ToldPlace::Rule(at), value })
}

/// The object that has the event's data.
fn payload(doc: &Document<'_>, name: Option<&str>) -> Option<Node> {
    match name {
        None => Some(Node::ROOT),
        Some(name) => doc.get(Node::ROOT, name).filter(|&node| doc.kind(node) == Kind::Object),
    }
}

/// The type of a body, if the profile has it.
fn known_type(doc: &Document<'_>, headers: &HeaderMap, base: &Base<'_>) -> Option<String> {
    let event_type = match identify(doc, headers, base.profile) {
        Ok(identified) => Some(identified.event_type),
        Err(unidentified) => unidentified.event_type,
    };
    event_type.map(|event_type| event_type.name.clone())
}

/// Names of types, one for each value that tells one.
struct Names {
    of: IndexMap<ToldBy, String>,
    taken: BTreeSet<String>,
}

impl Names {
    fn new(known: Option<&KnownProfile>) -> Names {
        let taken = known.map(|known| known.types.keys().cloned().collect());
        Names { of: IndexMap::new(), taken: taken.unwrap_or_default() }
    }

    fn of(&mut self, told_by: &ToldBy) -> String {
        if let Some(name) = self.of.get(told_by) {
            return name.clone();
        }
        let wanted = naming::event_type(&told_by.value).unwrap_or_default();
        let name = naming::unique(&wanted, &mut self.taken, "_");
        self.of.insert(told_by.clone(), name.clone());
        name
    }
}
