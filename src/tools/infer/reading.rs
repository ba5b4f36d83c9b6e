//! What is given, and which event type each sample is of.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderMap, HeaderName};
use indexmap::IndexMap;

use super::extras::SeenSpan;
use super::grouping::TypeEvidence;
use super::profile_file::{KnownProfile, ToldBy, ToldPlace, VerifyChoice};
use super::schemas::{self, SchemaError, SchemaEvent, SchemaFile};
use super::shape::ObjectShape;
use super::{grouping, naming};
use crate::catalog::Profile;
use crate::convert::identify::{identify, unknown_value};
use crate::values::json::{Document, Kind, MAX_DEPTH, Node, SyntaxError};
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

/// What a person gives, beside samples.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) profile: String,
    pub(crate) schemas: Vec<SchemaFile>,
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
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(
        "{0}: no member has a fixed value by which to recognise this event type: expected one with `const`, or an `enum` of values, at the same \
         place in every schema; name the member that determines the type with --type-field, or the header with --type-header"
    )]
    NoFixed(String),
    #[error(
        "{label}: `{name}` looks like the member that determines the type, but no path leads to a name with a dot: name \
         another with --type-field, or the header that does with --type-header"
    )]
    Dotted { label: String, name: String },
    #[error(
        "{label}: {name:?} cannot be an event type: expected some words, such as order.created, as its name in the document"
    )]
    NoName { label: String, name: String },
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
    pub(super) doubts: Vec<String>,
    pub(super) left_out: Vec<String>,
}

/// Reads the samples, and what schemas fix; the type's header is what a schema's document calls it.
pub(super) fn scan<'a>(
    inputs: &Inputs,
    samples: &'a [Sample],
    events: &'a [SchemaEvent],
) -> Result<Vec<TypeEvidence<'a>>, InferError> {
    let of_sample = |sample: &'a Sample| {
        let doc = scan_one(sample)?;
        let (label, headers) = (&*sample.label, sample.headers.clone());
        Ok(TypeEvidence { label, name: label, doc, headers, at: sample.at, described: None })
    };
    let of_event = |event: &'a SchemaEvent| {
        let (label, name) = (&*event.label, &*event.name);
        let unreadable = |error: SyntaxError| InferError::Sample { label: label.to_owned(), what: error.to_string() };
        let doc = Document::scan(event.fixed.as_bytes(), MAX_DEPTH).map_err(unreadable)?;
        let header = inputs.type_header.clone().zip(name.parse().ok());
        let headers = header.into_iter().collect();
        Ok(TypeEvidence { label, name, doc, headers, at: None, described: Some(&event.shape) })
    };
    samples.iter().map(of_sample).chain(events.iter().map(of_event)).collect()
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
    evidence: &[TypeEvidence<'_>],
    base: Option<(&Base<'_>, &KnownProfile)>,
) -> Result<Groups, InferError> {
    let mut found = Groups { groups: Vec::new(), doubts: Vec::new(), left_out: Vec::new() };
    let place = match (&inputs.type_field, &inputs.type_header, base) {
        (Some(field), ..) => Some(ToldPlace::Member(field.clone())),
        (None, Some(header), _) => Some(ToldPlace::Header(header.clone())),
        (None, None, Some(_)) => None,
        (None, None, None) => {
            let telling = grouping::telling(evidence).ok_or_else(|| no_telling(evidence))?;
            found.doubts.extend(telling.doubt);
            found.doubts.extend(evidence.iter().find_map(grouping::dotted).map(|name| {
                format!(
                    "`{name}` does not determine the event type, since no path leads to a name with a dot; `{}` does",
                    telling.path
                )
            }));
            Some(ToldPlace::Member(telling.path))
        }
    };
    let mut groups: IndexMap<String, TypeGroup> = IndexMap::new();
    let mut names = Names::new(base.map(|(_, known)| known));
    for one in evidence {
        let label = one.label;
        let told = if let Some((base, known)) = base {
            match by_rules(inputs, one, base, known) {
                Some(RuleSays { known: Some(name), .. }) => Some((name, None)),
                Some(RuleSays { new: Some(told_by), guessed_at, .. }) => {
                    found.doubts.extend(guessed_at.map(|path| guess_at(one, &format!("`{path}`"), &told_by.value)));
                    Some((names.of(&told_by), Some(told_by)))
                }
                _ => None,
            }
        } else {
            let told_by = told_by(one, place.as_ref())?;
            found.doubts.extend(guess(one, &told_by));
            Some((names.of(&told_by), Some(told_by)))
        };
        let shape = payload(one, base.and_then(|(_, known)| known.payload.as_deref()));
        let (Some((name, told_by)), Some(shape)) = (told, shape) else {
            found.left_out.push(format!("{label}: no rule of the profile finds a type in it, or it has no payload"));
            continue;
        };
        let new =
            || TypeGroup { name: name.clone(), told_by, shape: ObjectShape::default(), seen: SeenSpan::default() };
        let group = groups.entry(name.clone()).or_insert_with(new);
        group.shape.merge(&shape);
        if one.described.is_none() {
            group.seen.add(one.at);
        }
    }
    found.groups = groups.into_values().collect();
    Ok(found)
}

/// What to say of a type whose value its schema does not show.
fn guess(one: &TypeEvidence<'_>, told_by: &ToldBy) -> Option<String> {
    let place = match &told_by.place {
        ToldPlace::Member(path) if grouping::text_at(&one.doc, path).is_none() => format!("`{path}`"),
        ToldPlace::Header(name) => format!("the header {name}"),
        _ => return None,
    };
    one.described.map(|_| guess_at(one, &place, &told_by.value))
}

fn guess_at(one: &TypeEvidence<'_>, place: &str, value: &str) -> String {
    format!("{}: its schema does not show the value of {place}; {value:?} is a guess by its name", one.label)
}

/// What the rules of a profile find.
#[derive(Default)]
struct RuleSays {
    /// A type that is there.
    known: Option<String>,
    /// A value that they do not know.
    new: Option<ToldBy>,
    /// Where the value was put, if a schema does not show it.
    guessed_at: Option<String>,
}

/// What the rules say of a body; of a schema that does not show what they look at, by its name.
fn by_rules(inputs: &Inputs, one: &TypeEvidence<'_>, base: &Base<'_>, known: &KnownProfile) -> Option<RuleSays> {
    let headers = &one.headers;
    let say = |doc: &Document<'_>| match known_type(doc, headers, base) {
        Some(name) => Some(RuleSays { known: Some(name), ..RuleSays::default() }),
        None => untold(doc, headers, base).map(|told_by| RuleSays { new: Some(told_by), ..RuleSays::default() }),
    };
    let shown = say(&one.doc);
    if shown.is_some() || one.described.is_none() {
        return shown;
    }
    let path = inputs.type_field.as_deref().or_else(|| known.type_member())?;
    if grouping::text_at(&one.doc, path).is_some() {
        return None;
    }
    let body = schemas::with_value(one.doc.raw(Node::ROOT), path, one.name)?;
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).ok()?;
    Some(RuleSays { guessed_at: Some(path.to_owned()), ..say(&doc)? })
}

/// Why no type is known of anything.
fn no_telling(evidence: &[TypeEvidence<'_>]) -> InferError {
    if let Some((one, name)) = evidence.iter().find_map(|one| Some((one, grouping::dotted(one)?))) {
        return InferError::Dotted { label: one.label.to_owned(), name };
    }
    match evidence.iter().find(|one| one.described.is_some()) {
        Some(one) => InferError::NoFixed(one.label.to_owned()),
        None => InferError::NoTelling,
    }
}

/// Which value at `place` tells the type. A schema that does not say it has a name that is taken for it.
fn told_by(one: &TypeEvidence<'_>, place: Option<&ToldPlace>) -> Result<ToldBy, InferError> {
    let label = one.label.to_owned();
    let (value, none) = match place {
        Some(ToldPlace::Member(path)) if grouping::is_dotted(one, path) => {
            return Err(InferError::Dotted { label, name: path.clone() });
        }
        Some(ToldPlace::Member(path)) => {
            let name = one.described.map(|_| one.name.to_owned());
            (grouping::text_at(&one.doc, path).or(name), InferError::NoType { label, field: path.clone() })
        }
        Some(ToldPlace::Header(_)) if one.described.is_some() => {
            let name = one.name.to_owned();
            (Some(name.clone()), InferError::NoName { label, name })
        }
        Some(ToldPlace::Header(name)) => {
            let value = one.headers.get(name).and_then(|value| value.to_str().ok());
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

/// What the object that has the event's data looks like.
fn payload(one: &TypeEvidence<'_>, name: Option<&str>) -> Option<ObjectShape> {
    if let Some(described) = one.described {
        return match name {
            None => Some(described.clone()),
            Some(name) => described.members.get(name)?.object.clone(),
        };
    }
    let doc = &one.doc;
    let node = match name {
        None => Node::ROOT,
        Some(name) => doc.get(Node::ROOT, name).filter(|&node| doc.kind(node) == Kind::Object)?,
    };
    let mut shape = ObjectShape::default();
    shape.add(doc, node, 0);
    Some(shape)
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
