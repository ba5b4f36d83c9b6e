//! Says what a verified body is: its event type, the entity's id, and when it happened.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

use crate::catalog::{EventType, Join, Meaning, Path, Profile, Rule, RulePiece, RulePlace, Type};
use crate::convert::distinct::distinct;
use crate::convert::spelling;
use crate::values::derive::derive;
use crate::values::json::{self, Document, Node};
use crate::values::printable::clip;
use crate::values::time;
use crate::values::uuid_text::uuid;

/// An event whose type, key and time are known.
pub(crate) struct Identified<'a> {
    pub(crate) event_type: &'a EventType,
    /// The entity's id, as the Kafka key has it.
    pub(crate) key: String,
    /// Milliseconds since 1970.
    pub(crate) occurred_at: Option<i64>,
    /// For each of the type's join topics the ids of the entities it is linked to, each once.
    pub(crate) links: Vec<Vec<String>>,
    /// When the entity was last changed, where the type tells its last state. Milliseconds since 1970.
    pub(crate) updated_at: Option<i64>,
}

/// An authentic body that is no event we know, and what can be told of it all the same.
pub(crate) struct Unidentified<'a> {
    pub(crate) event_type: Option<&'a EventType>,
    pub(crate) occurred_at: Option<i64>,
    pub(crate) why: Why,
}

/// What stands in the way of knowing type and key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Why {
    /// The profile says that nobody wants it.
    #[error("the profile ignores events of this type")]
    Ignored,
    #[error("{0}")]
    UnknownType(String),
    #[error("{path}: {what}, but it is the record's key")]
    MissingKey { path: String, what: &'static str },
    #[error("{path}: {what}")]
    SchemaViolation { path: String, what: String },
}

/// Recognises the type and reads key and times.
pub(crate) fn identify<'a>(
    doc: &Document<'_>,
    headers: &HeaderMap,
    profile: &'a Profile,
) -> Result<Identified<'a>, Unidentified<'a>> {
    let (_, event_type) =
        recognise(doc, headers, profile).map_err(|why| Unidentified { event_type: None, occurred_at: None, why })?;
    let payload = match &profile.payload {
        None => Some(Node::ROOT),
        Some(name) => doc.get(Node::ROOT, name),
    };
    let occurred_at = payload.and_then(|payload| event_type.times.iter().find_map(|path| occurred(doc, payload, path)));
    match key(doc, profile.payload.as_deref(), payload, &event_type.key) {
        Ok(key) => {
            let payload = payload.unwrap_or(Node::ROOT);
            let links = event_type.joins.iter().map(|join| links(doc, profile, payload, join)).collect();
            let updated_at = event_type.latest.as_ref().and_then(|latest| instant(doc, payload, &latest.updated));
            let updated_at = updated_at.map(|instant| instant.millis);
            Ok(Identified { event_type, key, occurred_at, links, updated_at })
        }
        Err(why) => Err(Unidentified { event_type: Some(event_type), occurred_at, why }),
    }
}

/// The event type, and which of the profile's rules determines it.
pub(crate) fn recognise<'a>(
    doc: &Document<'_>,
    headers: &HeaderMap,
    profile: &'a Profile,
) -> Result<(usize, &'a EventType), Why> {
    let kind = doc.kind(Node::ROOT);
    if kind != json::Kind::Object {
        return Err(Why::UnknownType(format!("the body is {}, not an object", kind.word())));
    }
    for (at, rule) in profile.recognise.iter().enumerate() {
        if let Some(given) = &rule.given
            && present(doc, given).is_none()
        {
            continue;
        }
        if let Some(event_type) = by_rule(doc, headers, profile, rule)? {
            return Ok((at, event_type));
        }
    }
    let looked_at: Vec<_> = profile.recognise.iter().map(|r| r.given.as_ref().unwrap_or(&r.label).as_str()).collect();
    let by_header = profile.recognise.iter().flat_map(Rule::places).any(|place| matches!(place, RulePlace::Header(_)));
    let what = if by_header { "delivery" } else { "body" };
    Err(Why::UnknownType(format!("unknown event type: the {what} has none of {}", looked_at.join(", "))))
}

/// The rule that a type must be added to for this event to be recognised, and the value that it does not know. A rule that leaves
/// other values to the next is only taken when none after it has a value.
pub(crate) fn unknown_value(doc: &Document<'_>, headers: &HeaderMap, profile: &Profile) -> Option<(usize, String)> {
    let mut left_to_next = None;
    for (at, rule) in profile.recognise.iter().enumerate() {
        // A rule for a body with another member says nothing of this value.
        if rule.pieces.is_empty() || rule.given.as_ref().is_some_and(|given| *given != rule.label) {
            continue;
        }
        let Ok(Some((text, node))) = value(doc, headers, rule) else { continue };
        if node.is_some_and(|node| doc.text(node).is_none()) {
            continue;
        }
        match rule.meaning(&text, || None, |_| false) {
            Meaning::Unknown => return Some((at, text.into_owned())),
            Meaning::Next => left_to_next = left_to_next.or_else(|| Some((at, text.into_owned()))),
            Meaning::Type(_) | Meaning::Ignored => return None,
        }
    }
    left_to_next
}

/// The type by a rule that applies; `None` when the rule leaves it to the next.
fn by_rule<'a>(
    doc: &Document<'_>,
    headers: &HeaderMap,
    profile: &'a Profile,
    rule: &Rule,
) -> Result<Option<&'a EventType>, Why> {
    let violation = |what: String| Why::SchemaViolation { path: rule.label.clone(), what };
    let (text, node) = match value(doc, headers, rule)? {
        Some(value) => value,
        None if rule.given.is_some() => {
            return Err(violation("absent, but it determines the event type".into()));
        }
        None => return Ok(None),
    };
    // A rule that knows true and false takes all that means them.
    let meant = || spelling::boolean(doc, node?).map(|value| value.to_string());
    let mut named = None;
    let is_type = |name: &str| {
        named = profile.types.get(name);
        named.is_some()
    };
    match rule.meaning(&text, meant, is_type) {
        Meaning::Type(name) => named.or_else(|| profile.types.get(name)).map(Some).ok_or_else(|| unknown(rule, &text)),
        Meaning::Next => Ok(None),
        Meaning::Ignored => {
            // Nobody looks at it any further.
            rule.places().try_for_each(|place| told_once(doc, place))?;
            Err(Why::Ignored)
        }
        Meaning::Unknown if rule.given.is_some() => {
            Err(violation(format!("expected {}, got {:?}", expected(rule), clip(&text))))
        }
        Meaning::Unknown => Err(unknown(rule, &text)),
    }
}

fn unknown(rule: &Rule, text: &str) -> Why {
    Why::UnknownType(format!("{}: unknown event type: {}", rule.label, clip(text)))
}

/// A text, and the value of the body that it is, if it is one.
type ToldText<'a> = (Cow<'a, str>, Option<Node>);

/// The value that a rule looks at, and where it stands if it is one of the body; `None` when a part of it is not there.
fn value<'a>(doc: &Document<'a>, headers: &'a HeaderMap, rule: &'a Rule) -> Result<Option<ToldText<'a>>, Why> {
    if let [RulePiece::Value(place)] = &rule.pieces[..] {
        return part(doc, headers, place);
    }
    let mut text = String::new();
    for piece in &rule.pieces {
        match piece {
            RulePiece::Text(piece) => text.push_str(piece),
            RulePiece::Value(place) => match part(doc, headers, place)? {
                Some((part, _)) => text.push_str(&part),
                None => return Ok(None),
            },
        }
    }
    Ok(Some((text.into(), None)))
}

/// The text at `place`, and its node if it is in the body; `None` when it is not there, or null.
fn part<'a>(doc: &Document<'a>, headers: &'a HeaderMap, place: &RulePlace) -> Result<Option<ToldText<'a>>, Why> {
    let steps = match place {
        RulePlace::Header(name) => return Ok(header(headers, name)?.map(|text| (text.into(), None))),
        RulePlace::Body(steps) => steps,
    };
    if steps.len() > 1 {
        told_once(doc, place)?;
    }
    let found = steps.iter().try_fold(Node::ROOT, |node, step| doc.get(node, step));
    let Some(node) = found.filter(|&node| doc.kind(node) != json::Kind::Null) else { return Ok(None) };
    let text = match doc.kind(node) {
        json::Kind::Array | json::Kind::Object => doc.kind(node).word().into(),
        _ => doc.text(node).map_or_else(|| doc.raw(node).into(), |text| text.text),
    };
    Ok(Some((text, Some(node))))
}

/// The value of a header; one that is there more than once says nothing.
fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Why> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), more) = (values.next(), values.next()) else { return Ok(None) };
    let what = match value.to_str() {
        Ok(text) if more.is_none() => return Ok(Some(text.trim())),
        Ok(_) => "it occurs more than once",
        Err(_) => "expected visible ASCII",
    };
    Err(Why::UnknownType(format!("header {name}: unknown event type: {what}")))
}

/// Refuses a place on the way to which a key occurs twice: JSON readers do not agree on which one counts.
fn told_once(doc: &Document<'_>, place: &RulePlace) -> Result<(), Why> {
    let RulePlace::Body(steps) = place else { return Ok(()) };
    let mut object = Node::ROOT;
    for (at, step) in steps.iter().enumerate() {
        let mut all = doc.all(object, step);
        let Some(first) = all.next() else { return Ok(()) };
        if all.next().is_some() {
            return Err(Why::SchemaViolation { path: steps[..=at].join("."), what: "the key occurs twice".into() });
        }
        object = first;
    }
    Ok(())
}

/// The values that a rule knows.
fn expected(rule: &Rule) -> String {
    let patterns = rule.patterns.iter().map(|(pattern, _)| pattern.sample("*"));
    rule.values.keys().cloned().chain(patterns).collect::<Vec<_>>().join(" or ")
}

/// A member of the body that is there and not null.
fn present(doc: &Document<'_>, name: &str) -> Option<Node> {
    doc.get(Node::ROOT, name).filter(|&node| doc.kind(node) != json::Kind::Null)
}

/// The entity's id as text, or why there is none.
fn key(doc: &Document<'_>, around: Option<&str>, payload: Option<Node>, path: &Path) -> Result<String, Why> {
    // Where one is after so many steps.
    let place = |steps: usize| {
        let steps = path.steps[..steps].iter().map(|step| &**step);
        around.into_iter().chain(steps).collect::<Vec<_>>().join(".")
    };
    let missing = |steps, what| Why::MissingKey { path: place(steps), what };
    let violation = |steps, what| Why::SchemaViolation { path: place(steps), what };
    let mut value = payload;
    for (at, step) in path.steps.iter().enumerate() {
        let object = there(doc, value).map_err(|what| missing(at, what))?;
        if doc.kind(object) != json::Kind::Object {
            return Err(violation(at, format!("got {}, expected an object", doc.kind(object).word())));
        }
        value = doc.get(object, step);
    }
    let all = path.steps.len();
    let value = there(doc, value).map_err(|what| missing(all, what))?;
    if doc.text(value).is_some_and(|text| text.text.trim().is_empty()) {
        return Err(missing(all, "blank"));
    }
    let none = || violation(all, format!("{} that is not a valid {}", doc.kind(value).word(), path.leaf.word()));
    id(doc, value, &path.leaf).ok_or_else(none)
}

/// An id as a Kafka key has it.
fn id(doc: &Document<'_>, value: Node, leaf: &Type) -> Option<String> {
    let text = doc.text(value);
    match leaf {
        Type::Uuid => text.and_then(|t| uuid(&t.text)).map(|uuid| uuid.to_string()),
        Type::Int | Type::Long => spelling::long(doc, value).map(|id| id.to_string()),
        _ if doc.kind(value) == json::Kind::Number => Some(doc.raw(value).to_owned()),
        _ => text.filter(|t| !t.lone_surrogate).map(|t| t.text.into_owned()),
    }
}

/// The ids of the entities at the keys of `join`, each once, in their order, hashed where the record has them so; blank ones and
/// what is no id are none.
fn links(doc: &Document<'_>, profile: &Profile, payload: Node, join: &Join) -> Vec<String> {
    let mut ids = Vec::new();
    for path in &join.keys {
        doc.reach(payload, &path.steps, &mut |node| {
            let found = match &path.derived {
                Some(how) => derive(doc, node, how).map(Cow::into_owned),
                None => id(doc, node, &join.id),
            };
            let found = if path.hashed { found.and_then(|id| profile.hasher.hash(&id)) } else { found };
            ids.extend(found.filter(|id| !id.trim().is_empty()));
        });
    }
    distinct(ids)
}

/// `value`, or why it is none.
fn there(doc: &Document<'_>, value: Option<Node>) -> Result<Node, &'static str> {
    let value = value.ok_or("absent")?;
    if doc.kind(value) == json::Kind::Null { Err("null") } else { Ok(value) }
}

/// The instant at `path`; a date without a time of day does not say when.
fn occurred(doc: &Document<'_>, payload: Node, path: &Path) -> Option<i64> {
    instant(doc, payload, path).filter(|instant| instant.has_time).map(|instant| instant.millis)
}

fn instant(doc: &Document<'_>, payload: Node, path: &Path) -> Option<time::Iso> {
    let value = path.steps.iter().try_fold(payload, |node, step| doc.get(node, step))?;
    let Type::Timestamp(resolution, formats) = &path.leaf else { return None };
    let moment = spelling::instant(doc, value, *resolution, formats.as_ref())?;
    Some(time::Iso { millis: resolution.to_millis(moment.ticks), has_time: moment.has_time })
}

#[cfg(test)]
mod tests;
