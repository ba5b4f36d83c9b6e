//! JSON Schemas, and the webhooks of OpenAPI documents, instead of samples: what bodies of each event type look like, and what
//! in them determines the type. References lead into the files that are given, and nowhere else.

mod nodes;
mod webhooks;

use std::collections::BTreeSet;

use referencing::{Registry, Retrieve, Uri};
use serde_json::{Map, Value};

use super::grouping;
use super::keys;
use super::naming;
use super::shape::ObjectShape;
use nodes::{SchemaAt, ShapeReader, TooLarge};

/// So many values of one member are event types at the most.
const MOST_TYPES: usize = 200;

/// A file with a schema, or an OpenAPI document.
#[derive(Clone, Debug)]
pub(crate) struct SchemaFile {
    /// What messages call it: its path, by which others refer to it.
    pub(crate) label: String,
    /// The event type that its place names.
    pub(crate) type_name: String,
    document: Value,
}

/// Why nothing can be made of a schema.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchemaError {
    #[error("{label}: {error}")]
    Document { label: String, error: Box<referencing::Error> },
    #[error("{label} ({name}): {why}")]
    Webhook { label: String, name: String, why: &'static str },
    #[error("{0}: the document has no webhooks: expected an object `webhooks`, as OpenAPI 3.1 has it, or `x-webhooks`")]
    NoWebhooks(String),
    #[error("{0}: expected the schema of an object with properties, since a body is one")]
    NoObject(String),
    #[error(
        "{0}: with all that they refer to, its schemas have more than {most} places: give those of fewer event types at once",
        most = nodes::MOST_PLACES
    )]
    TooLarge(String),
    #[error("{}", .0.join("; "))]
    Nothing(Vec<String>),
}

/// What schemas describe.
#[derive(Default)]
pub(super) struct Described {
    pub(super) events: Vec<SchemaEvent>,
    /// Why nothing was made of a schema or a webhook.
    pub(super) left_out: Vec<String>,
    /// The same of files that only have parts for others, which matters where there are no events at all.
    pub(super) parts: Vec<String>,
}

/// What bodies of an event type look like by their schema.
#[derive(Debug)]
pub(super) struct SchemaEvent {
    pub(super) label: String,
    /// What the document calls it.
    pub(super) name: String,
    pub(super) shape: ObjectShape,
    /// A body with nothing but the members that have one value only.
    pub(super) fixed: String,
}

impl SchemaFile {
    /// `None` if `text` is no schema: a sample, for example.
    pub(crate) fn read(label: &str, type_name: &str, text: &str) -> Option<SchemaFile> {
        SchemaFile::of(label, type_name, serde_json::from_str(text.trim_start_matches('\u{FEFF}')).ok()?)
    }

    /// The same of what was read already.
    pub(crate) fn of(label: &str, type_name: &str, document: Value) -> Option<SchemaFile> {
        let is_schema = document["$schema"].is_string()
            || is_openapi(&document)
            || describes_object(&document)
            || has_definitions_only(&document);
        is_schema.then(|| SchemaFile { label: label.to_owned(), type_name: type_name.to_owned(), document })
    }

    fn uri(&self) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let path = self
            .label
            .bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
        format!("file:///{}", path.collect::<String>().trim_start_matches('/'))
    }
}

fn is_openapi(document: &Value) -> bool {
    document["openapi"].as_str().is_some_and(|version| version.starts_with("3."))
}

fn describes_object(document: &Value) -> bool {
    document["type"] == "object" && document["properties"].as_object().is_some_and(|all| all.values().all(is_schema))
}

/// Whether there is nothing but schemas that others refer to.
fn has_definitions_only(document: &Value) -> bool {
    let Some(members) = document.as_object() else { return false };
    let are_schemas = |all: &Value| all.as_object().is_some_and(|all| !all.is_empty() && all.values().all(is_schema));
    let definitions = ["$defs", "definitions"].iter().filter_map(|key| members.get(*key)).collect::<Vec<_>>();
    let is_about_it =
        |name: &String| name.starts_with('$') || ["definitions", "id", "title", "description"].contains(&&**name);
    !definitions.is_empty() && definitions.into_iter().all(are_schemas) && members.keys().all(is_about_it)
}

fn is_schema(value: &Value) -> bool {
    value.is_object() || value.is_boolean()
}

/// Whatever is not in the files may be anything.
struct Elsewhere;

impl Retrieve for Elsewhere {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Value::Bool(true))
    }
}

/// The schema of a body, and what it is called.
struct BodySchema<'r> {
    name: String,
    doc: Option<String>,
    at: SchemaAt<'r>,
}

/// What one file describes.
#[derive(Default)]
struct FileEvents {
    events: Vec<SchemaEvent>,
    left_out: Vec<SchemaError>,
    /// Why it has nothing but parts for others, if it has.
    part: Option<SchemaError>,
}

/// The event types of all `files`. A file that another refers to is a part of that, and no event. `type_field` is the member that
/// determines the type, if a person said so.
pub(super) fn events(files: &[SchemaFile], type_field: Option<&str>) -> Result<Described, SchemaError> {
    if files.is_empty() {
        return Ok(Described::default());
    }
    let registry = registry(files)?;
    let mut reader = ShapeReader::default();
    let (mut found, mut parts) = (Vec::new(), BTreeSet::new());
    for file in files {
        let root = root(&registry, file)?;
        let events = of_document(&mut reader, &root, file, type_field)?;
        // A schema may refer to itself.
        let mut others = std::mem::take(&mut reader.referred);
        others.remove(&root.identity());
        parts.extend(others);
        found.push((root.identity(), events));
    }
    let mut all = Described::default();
    for (_, of_file) in found.into_iter().filter(|(root, _)| !parts.contains(root)) {
        all.events.extend(of_file.events);
        all.left_out.extend(of_file.left_out.iter().map(ToString::to_string));
        all.parts.extend(of_file.part.iter().map(ToString::to_string));
    }
    Ok(all)
}

/// Where references are looked up.
fn registry(files: &[SchemaFile]) -> Result<Registry<'_>, SchemaError> {
    prepared(files).map_err(|error| {
        let alone = |file: &&SchemaFile| prepared(std::slice::from_ref(*file)).is_err();
        let file = files.iter().find(alone).or(files.first());
        document_error(file.map_or("", |file| &file.label), error)
    })
}

fn prepared(files: &[SchemaFile]) -> Result<Registry<'_>, referencing::Error> {
    let documents = files.iter().map(|file| (file.uri(), &file.document));
    Registry::new().retriever(Elsewhere).extend(documents)?.prepare()
}

fn root<'r>(registry: &'r Registry<'_>, file: &SchemaFile) -> Result<SchemaAt<'r>, SchemaError> {
    let base = referencing::uri::from_str(&file.uri());
    let found = base.and_then(|base| registry.resolver(base).lookup(&file.uri()));
    found.map(SchemaAt::of).map_err(|error| document_error(&file.label, error))
}

fn document_error(label: &str, error: referencing::Error) -> SchemaError {
    SchemaError::Document { label: label.to_owned(), error: Box::new(error) }
}

fn of_document(
    reader: &mut ShapeReader,
    root: &SchemaAt<'_>,
    file: &SchemaFile,
    type_field: Option<&str>,
) -> Result<FileEvents, SchemaError> {
    let mut found = FileEvents::default();
    if !is_openapi(root.schema) {
        let body = BodySchema { name: file.type_name.clone(), doc: None, at: root.clone() };
        of_body(reader, &body, file, type_field, &mut found)?;
        // One without a type has definitions for others.
        if found.events.is_empty() && root.schema["type"].is_null() {
            found.part = found.left_out.pop();
        }
        return Ok(found);
    }
    let webhooks = webhooks::all(root);
    if webhooks.is_empty() {
        let none = SchemaError::NoWebhooks(file.label.clone());
        if root.schema["paths"].as_object().is_none_or(Map::is_empty) {
            found.part = Some(none);
        } else {
            found.left_out.push(none);
        }
    }
    for (name, bodies) in webhooks {
        match bodies {
            Ok(bodies) => {
                for body in bodies {
                    of_body(reader, &body, file, type_field, &mut found)?;
                }
            }
            Err(why) => {
                found.left_out.push(SchemaError::Webhook { label: file.label.clone(), name: name.to_owned(), why });
            }
        }
    }
    Ok(found)
}

/// The event types of a body: one, or one for each alternative.
fn of_body(
    reader: &mut ShapeReader,
    body: &BodySchema<'_>,
    file: &SchemaFile,
    type_field: Option<&str>,
    found: &mut FileEvents,
) -> Result<(), SchemaError> {
    let is_openapi = is_openapi(&file.document);
    for (named, at) in reader.alternatives(&body.at) {
        let is_file = named.is_none() && !is_openapi;
        // The webhooks of a document have names by themselves.
        let name = named.filter(|_| !is_openapi).unwrap_or_else(|| body.name.clone());
        let label = format!("{} ({name})", file.label);
        let shape = reader.body(&at).map_err(|TooLarge| SchemaError::TooLarge(file.label.clone()))?;
        let Some(mut shape) = shape.object.filter(|_| shape.open.is_none()) else {
            found.left_out.push(SchemaError::NoObject(if is_file { file.label.clone() } else { label }));
            continue;
        };
        if body.doc.is_some() {
            shape.doc.clone_from(&body.doc);
        }
        for fixed in fixed(&shape, type_field) {
            found.events.push(SchemaEvent { label: label.clone(), name: name.clone(), shape: shape.clone(), fixed });
        }
    }
    Ok(())
}

/// Bodies with the members that have one value only; one for each value of a member that has several, and determines the type.
fn fixed(shape: &ObjectShape, type_field: Option<&str>) -> Vec<String> {
    let members = only(shape);
    let listed = match type_field {
        Some(path) => listed_at(shape, path),
        None => likely(shape),
    };
    let several = listed.filter(|(_, values)| (2..=MOST_TYPES).contains(&values.len()));
    let Some((path, values)) = several else { return vec![Value::Object(members).to_string()] };
    let body = |value: &String| {
        let mut members = members.clone();
        put(&mut members, &path, value);
        Value::Object(members).to_string()
    };
    values.iter().map(body).collect()
}

fn only(shape: &ObjectShape) -> Map<String, Value> {
    let of = |(name, member): (&String, &super::shape::Shape)| {
        let value = match (&member.listed[..], &member.object) {
            ([one], _) => Value::from(one.as_str()),
            (_, Some(object)) => Some(only(object)).filter(|inner| !inner.is_empty()).map(Value::Object)?,
            _ => return None,
        };
        Some((name.clone(), value))
    };
    shape.members.iter().filter_map(of).collect()
}

/// The values of the member at `path`.
fn listed_at<'a>(shape: &'a ObjectShape, path: &str) -> Option<(Vec<String>, &'a [String])> {
    let steps = keys::steps(path);
    let (last, way) = steps.split_last()?;
    let object = way.iter().try_fold(shape, |object, step| object.members.get(step)?.object.as_ref())?;
    let listed = &object.members.get(last)?.listed[..];
    Some((steps, listed))
}

/// The values of the member at the top that is most likely to determine the type, by its name.
fn likely(shape: &ObjectShape) -> Option<(Vec<String>, &[String])> {
    let is_type = |value: &String| naming::event_type(value).is_some();
    // No path leads to a member with a dot in its name.
    let members = shape.members.iter().filter(|(name, _)| !name.contains('.'));
    let named = members.filter(|(_, member)| !member.listed.is_empty() && member.listed.iter().all(is_type));
    let named = named.filter_map(|(name, member)| Some((grouping::rank(name)?, name, member)));
    let (_, name, member) = named.min_by_key(|(rank, _, member)| (member.listed.len() > 1, *rank))?;
    Some((vec![name.clone()], &member.listed))
}

/// `body` with `value` at `path`, a member or members with dots between.
pub(super) fn with_value(body: &str, path: &str, value: &str) -> Option<String> {
    let mut members: Map<String, Value> = serde_json::from_str(body).ok()?;
    let steps = keys::steps(path);
    put(&mut members, &steps, value);
    Some(Value::Object(members).to_string())
}

fn put(members: &mut Map<String, Value>, path: &[String], value: &str) {
    match path {
        [] => {}
        [last] => _ = members.insert(last.clone(), value.into()),
        [first, rest @ ..] => {
            let inner = members.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
    }
}
