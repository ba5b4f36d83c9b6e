//! One schema, with all that it refers to, as a shape: what a body may have where, as if many samples had been seen.

use std::collections::BTreeSet;

use referencing::{Draft, Resolved, Resolver, ResourceRef};
use serde_json::Value;

use super::super::shape::{DESCRIBED, ObjectShape, Shape};
use crate::values::json::{Document, MAX_DEPTH, Node};

/// Schemas within others are looked at so far down.
const DEEPEST: usize = 100;
/// Records within each other are so many levels of JSON in the end at the most, since a catalog reads no more: a record is
/// four, and an array one.
const MOST_LEVELS: usize = 120;
const OF_OBJECT: usize = 4;
const OF_ARRAY: usize = 1;
/// So many places are looked at, in all files together.
pub(super) const MOST_PLACES: usize = 200_000;
/// A doc is cut behind so many characters.
const LONGEST_DOC: usize = 600;

/// Why there is no type. The first is of what another schema may still say.
const UNSAID: &str = "its schema gives no type";
const ANY: &str = "its schema gives an object no properties";
const ITSELF: &str = "its schema refers to itself";
const ELSEWHERE: &str = "its schema is in none of the given files";
const DEEP: &str = "its schema is nested too deep";

/// More than [`MOST_PLACES`].
pub(super) struct TooLarge;

/// A schema, and where what it refers to is found.
#[derive(Clone)]
pub(super) struct SchemaAt<'r> {
    pub(super) schema: &'r Value,
    resolver: Resolver<'r>,
    draft: Draft,
}

impl<'r> SchemaAt<'r> {
    pub(super) fn of(found: Resolved<'r>) -> SchemaAt<'r> {
        let (schema, resolver, draft) = found.into_inner();
        SchemaAt { schema, resolver, draft }
    }

    /// One that stands within this.
    pub(super) fn within(&self, schema: &'r Value) -> SchemaAt<'r> {
        let resolver = self.resolver.in_subresource(ResourceRef::new(schema, self.draft));
        SchemaAt { schema, resolver: resolver.unwrap_or_else(|_| self.resolver.clone()), draft: self.draft }
    }

    /// The schemas of a list in this.
    fn list(&self, key: &str) -> impl Iterator<Item = SchemaAt<'r>> + use<'_, 'r> {
        self.schema[key].as_array().into_iter().flatten().map(|schema| self.within(schema))
    }

    /// What this refers to, if it does.
    fn target(&self) -> Option<Result<SchemaAt<'r>, referencing::Error>> {
        let reference = self.schema["$ref"].as_str()?;
        Some(self.resolver.lookup(reference).map(SchemaAt::of))
    }

    /// The end of the references that begin here.
    pub(super) fn followed(self) -> SchemaAt<'r> {
        let mut at = self;
        for _ in 0..DEEPEST {
            match at.target() {
                Some(Ok(target)) => at = target,
                _ => break,
            }
        }
        at
    }

    /// The same for the same place of a document only.
    pub(super) fn identity(&self) -> usize {
        std::ptr::from_ref(self.schema).addr()
    }
}

/// Reads schemas.
pub(super) struct ShapeReader {
    left: usize,
    /// The schemas that are being read, each within that before it.
    within: Vec<usize>,
    /// How many levels of the records' JSON are around what is being read.
    levels: usize,
    /// Those that others refer to.
    pub(super) referred: BTreeSet<usize>,
}

impl Default for ShapeReader {
    fn default() -> ShapeReader {
        ShapeReader { left: MOST_PLACES, within: Vec::new(), levels: 0, referred: BTreeSet::new() }
    }
}

impl ShapeReader {
    /// The alternatives at the top of a body's schema, with their names; or that itself.
    pub(super) fn alternatives<'r>(&mut self, at: &SchemaAt<'r>) -> Vec<(Option<String>, SchemaAt<'r>)> {
        let top = at.clone().followed();
        let alone = ["properties", "allOf"].iter().all(|key| top.schema[*key].is_null());
        let all: Vec<_> = top.list("oneOf").chain(top.list("anyOf")).collect();
        if !alone || all.is_empty() {
            return vec![(None, at.clone())];
        }
        let named = |at: SchemaAt<'r>| {
            if let Some(Ok(target)) = at.target() {
                self.referred.insert(target.identity());
            }
            let title = || at.schema["title"].as_str().map(str::to_owned);
            (at.schema["$ref"].as_str().and_then(name_of).or_else(title), at)
        };
        all.into_iter().map(named).collect()
    }

    /// The shape of the body that `at` describes.
    pub(super) fn body(&mut self, at: &SchemaAt<'_>) -> Result<Shape, TooLarge> {
        self.within = vec![at.identity()];
        self.shape(at, 0)
    }

    /// The shape of what `at` describes.
    fn shape(&mut self, at: &SchemaAt<'_>, depth: usize) -> Result<Shape, TooLarge> {
        self.left = self.left.checked_sub(1).ok_or(TooLarge)?;
        if depth > DEEPEST {
            return Ok(open(DEEP));
        }
        if ["$dynamicRef", "$recursiveRef"].iter().any(|key| !at.schema[*key].is_null()) {
            return Ok(open(ITSELF));
        }
        let own = self.own(at, depth)?;
        Ok(match at.target() {
            None => own,
            Some(Ok(target)) => both(self.referred(at, &target, depth)?, own),
            Some(Err(_)) => both(open(ELSEWHERE), own),
        })
    }

    fn referred(&mut self, at: &SchemaAt<'_>, target: &SchemaAt<'_>, depth: usize) -> Result<Shape, TooLarge> {
        let identity = target.identity();
        self.referred.insert(identity);
        if self.within.contains(&identity) {
            return Ok(open(ITSELF));
        }
        self.within.push(identity);
        let shape = self.shape(target, depth + 1);
        self.within.pop();
        let mut shape = shape?;
        if target.schema == &Value::Bool(true) {
            return Ok(open(ELSEWHERE));
        }
        if let Some(object) = &mut shape.object
            && object.name.is_none()
        {
            object.name = at.schema["$ref"].as_str().and_then(name_of);
        }
        Ok(shape)
    }

    /// What a schema says, but for what it refers to itself.
    fn own(&mut self, at: &SchemaAt<'_>, depth: usize) -> Result<Shape, TooLarge> {
        let mut shape = self.typed(at, depth)?;
        for part in at.list("allOf") {
            shape = both(self.shape(&part, depth + 1)?, shape);
        }
        let mut nullable = is_nullable(at.schema);
        for key in ["oneOf", "anyOf"] {
            let mut one = Shape::default();
            for part in at.list(key) {
                if part.schema["type"] == "null" || part.schema.get("const").is_some_and(Value::is_null) {
                    nullable = true;
                } else {
                    one.merge(&self.shape(&part, depth + 1)?);
                }
            }
            if one.seen > 0 {
                nullable |= one.nulls > 0;
                shape = both(shape, settled(one, false));
            }
        }
        let mut shape = settled(shape, nullable);
        if let Some(text) = at.schema["description"].as_str() {
            shape.doc = Some(doc(text));
            if let Some(object) = &mut shape.object {
                object.doc.clone_from(&shape.doc);
            }
        }
        Ok(shape)
    }

    /// What a schema says of types by itself.
    fn typed(&mut self, at: &SchemaAt<'_>, depth: usize) -> Result<Shape, TooLarge> {
        let schema = at.schema;
        let values = schema.get("const").map(std::slice::from_ref).or(schema["enum"].as_array().map(Vec::as_slice));
        if let Some(values) = values {
            return Ok(of_values(values));
        }
        let given = |key: &str| !schema[key].is_null();
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ if given("properties") || given("required") => vec!["object"],
            _ if given("items") || given("prefixItems") => vec!["array"],
            _ if given("format") || given("pattern") => vec!["string"],
            _ => Vec::new(),
        };
        let mut shape = Shape::default();
        if types == ["null"] {
            return Ok(settled(shape, true));
        }
        for ty in types.into_iter().filter(|ty| *ty != "null") {
            shape.merge(&settled(self.of_type(ty, at, depth)?, false));
        }
        Ok(if shape.seen == 0 { open(UNSAID) } else { settled(shape, false) })
    }

    fn of_type(&mut self, ty: &str, at: &SchemaAt<'_>, depth: usize) -> Result<Shape, TooLarge> {
        let format = at.schema["format"].as_str().unwrap_or_default();
        Ok(match ty {
            "object" => self.nested(OF_OBJECT, |reader| reader.object(at, depth))?,
            "array" => self.nested(OF_ARRAY, |reader| reader.array(at, depth))?,
            "boolean" => example("true"),
            "number" => number(at.schema),
            "integer" if format.contains("unix") => example("1780401600"),
            "integer" => whole(),
            "string" => match format {
                "date-time" => example("\"2026-06-02T12:00:00Z\""),
                "date" => example("\"2026-06-02\""),
                "uuid" => example("\"11111111-1111-4111-8111-111111111111\""),
                _ => example("\"text\""),
            },
            _ => open(UNSAID),
        })
    }

    /// What `read` makes of something that is so many `levels` deep itself.
    fn nested(
        &mut self,
        levels: usize,
        read: impl FnOnce(&mut ShapeReader) -> Result<Shape, TooLarge>,
    ) -> Result<Shape, TooLarge> {
        if self.levels + levels > MOST_LEVELS {
            return Ok(open(DEEP));
        }
        self.levels += levels;
        let shape = read(self);
        self.levels -= levels;
        shape
    }

    fn object(&mut self, at: &SchemaAt<'_>, depth: usize) -> Result<Shape, TooLarge> {
        let required = at.schema["required"].as_array();
        let is_required = |name: &str| required.is_none_or(|all| all.iter().any(|one| one == name));
        let mut object = ObjectShape::described(required.is_none());
        for (name, member) in at.schema["properties"].as_object().into_iter().flatten() {
            let member = self.shape(&at.within(member), depth + 1)?;
            object.members.insert(name.clone(), of_member(member, is_required(name)));
        }
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            object.members.entry(name.to_owned()).or_insert_with(|| of_member(open(UNSAID), true));
        }
        if object.members.is_empty() {
            return Ok(open(ANY));
        }
        Ok(Shape { seen: DESCRIBED, object: Some(object), ..Shape::default() })
    }

    fn array(&mut self, at: &SchemaAt<'_>, depth: usize) -> Result<Shape, TooLarge> {
        let mut items = Shape::default();
        let one = at.schema.get("items").filter(|items| items.is_object()).map(|items| at.within(items));
        for item in at.list("prefixItems").chain(at.list("items")).chain(one) {
            items.merge(&self.shape(&item, depth + 1)?);
        }
        let items = if items.seen == 0 { open(UNSAID) } else { items };
        Ok(Shape { seen: DESCRIBED, arrays: 1, items: Some(Box::new(items)), ..Shape::default() })
    }
}

/// As one that is there each time.
fn settled(mut shape: Shape, nullable: bool) -> Shape {
    let is_null = shape.scalars.count() + shape.arrays == 0 && shape.object.is_none() && shape.open.is_none();
    shape.seen = DESCRIBED;
    shape.nulls = if is_null { DESCRIBED } else { u64::from(nullable || shape.nulls > 0) };
    shape
}

fn of_member(mut shape: Shape, required: bool) -> Shape {
    let is_null = shape.nulls == shape.seen;
    shape.seen = if required { DESCRIBED } else { DESCRIBED / 2 };
    shape.nulls = if is_null { shape.seen } else { shape.nulls };
    shape
}

fn open(why: &'static str) -> Shape {
    Shape { seen: DESCRIBED, open: Some(why), ..Shape::default() }
}

/// A value of which all that is known is that it is one like `json`.
fn example(json: &str) -> Shape {
    let mut shape = Shape::default();
    if let Ok(doc) = Document::scan(json.as_bytes(), MAX_DEPTH) {
        shape.add(&doc, Node::ROOT, 0);
    }
    shape
}

fn whole() -> Shape {
    let mut whole = example("1");
    whole.scalars.whole = 1;
    whole
}

/// A number, which may have a fraction unless the schema says more.
fn number(schema: &Value) -> Shape {
    let step = schema["multipleOf"].as_f64();
    if schema["format"].as_str().is_some_and(|format| format.starts_with("int"))
        || step.is_some_and(|step| step >= 1.0 && step.fract() == 0.0)
    {
        return whole();
    }
    let mut number = example("1.5");
    number.scalars.loose = u64::from(step.is_none());
    number
}

/// One of these values.
fn of_values(values: &[Value]) -> Shape {
    let mut shape = Shape::default();
    for value in values {
        shape.merge(&example(&value.to_string()));
    }
    shape.listed = values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if shape.object.is_some() || shape.arrays > 0 || values.is_empty() { open(UNSAID) } else { settled(shape, false) }
}

/// What is described by both.
fn both(a: Shape, b: Shape) -> Shape {
    let doc = b.doc.clone().or_else(|| a.doc.clone());
    if a.nulls == a.seen || b.nulls == b.seen {
        let mut null = Shape { doc, ..Shape::default() };
        (null.seen, null.nulls) = (DESCRIBED, DESCRIBED);
        return null;
    }
    // One without a type says nothing of null.
    let is_open = a.open.is_some() || b.open.is_some();
    let nullable = if is_open { a.nulls > 0 || b.nulls > 0 } else { a.nulls > 0 && b.nulls > 0 };
    let mut shape = match (a.open, b.open) {
        (Some(UNSAID), _) | (Some(_), None) => b,
        (_, Some(_)) => a,
        (None, None) => match (&a.object, &b.object) {
            (Some(a), Some(b)) => Shape { object: Some(both_objects(a, b)), ..Shape::default() },
            (Some(_), None) => a,
            (None, Some(_)) => b,
            (None, None) => narrower(a, b),
        },
    };
    shape.doc = doc;
    shape.seen = DESCRIBED;
    shape.nulls = u64::from(nullable);
    shape
}

/// What is left of two descriptions of values that are no objects: whatever the order, the one that takes fewer.
fn narrower(a: Shape, b: Shape) -> Shape {
    match (a.listed.is_empty(), b.listed.is_empty()) {
        (true, false) => b,
        (false, true) => a,
        (false, false) => {
            let common: Vec<_> = a.listed.iter().filter(|value| b.listed.contains(value)).cloned().collect();
            let texts: Vec<_> = common.into_iter().map(Value::String).collect();
            // Nothing is valid where they have none in common.
            if texts.is_empty() { b } else { of_values(&texts) }
        }
        (true, true) => match (&a.items, &b.items) {
            (Some(ours), Some(theirs)) if width(&a) == width(&b) => {
                let items = both((**ours).clone(), (**theirs).clone());
                Shape { items: Some(Box::new(items)), ..b }
            }
            _ if width(&a) <= width(&b) => a,
            _ => b,
        },
    }
}

/// How many kinds of values there are, and whether they are any of their kind.
fn width(shape: &Shape) -> (usize, bool, bool) {
    let facts = &shape.scalars;
    let kinds = [facts.booleans, facts.numbers, facts.strings, shape.arrays].iter().filter(|&&count| count > 0).count();
    let any_text = facts.strings > 0 && facts.no_uuid > 0 && facts.no_date > 0 && facts.no_instant > 0;
    (kinds, any_text, facts.fractions > 0)
}

fn both_objects(a: &ObjectShape, b: &ObjectShape) -> ObjectShape {
    let mut object = ObjectShape::described(a.all_assumed && b.all_assumed);
    object.doc = b.doc.clone().or_else(|| a.doc.clone());
    let is_required = |of: &ObjectShape, name: &str| {
        let member = of.members.get(name);
        !of.all_assumed && member.is_some_and(|member| member.seen == of.seen)
    };
    for name in a.members.keys().chain(b.members.keys()) {
        if object.members.contains_key(name) {
            continue;
        }
        let member = match (a.members.get(name), b.members.get(name)) {
            (Some(a), Some(b)) => both(a.clone(), b.clone()),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => continue,
        };
        let required = object.all_assumed || is_required(a, name) || is_required(b, name);
        object.members.insert(name.clone(), of_member(member, required));
    }
    object
}

fn is_nullable(schema: &Value) -> bool {
    let is_null = |value: &Value| value == "null";
    let in_type = schema["type"].as_array().is_some_and(|types| types.iter().any(is_null));
    let in_enum = schema["enum"].as_array().is_some_and(|values| values.iter().any(Value::is_null));
    in_type || in_enum || schema["nullable"] == true
}

/// The name at the end of a reference: that of `#/$defs/Address` and of `address.schema.json` are `Address` and `address`.
fn name_of(reference: &str) -> Option<String> {
    let last = reference.rsplit(['/', '#']).find(|part| !part.is_empty())?;
    let name = last.strip_suffix(".json").unwrap_or(last);
    let name = name.strip_suffix(".schema").unwrap_or(name);
    let name = name.replace(|c: char| !c.is_alphanumeric() && !"._-".contains(c), "_");
    Some(name).filter(|name| name.starts_with(char::is_alphabetic))
}

/// A description on one line, not too long.
pub(super) fn doc(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_DOC) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}
