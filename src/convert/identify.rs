//! Says what a verified body is: its event type, the entity's id, and when it happened.

use indexmap::IndexSet;

use crate::catalog::{EventType, Join, Path, Profile, Rule, Type};
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
    #[error("{0}")]
    UnknownType(String),
    #[error("{path}: {what}, but it is the record's key")]
    MissingKey { path: String, what: &'static str },
    #[error("{path}: {what}")]
    SchemaViolation { path: String, what: String },
}

/// Recognises the type and reads key and times.
pub(crate) fn identify<'a>(doc: &Document<'_>, profile: &'a Profile) -> Result<Identified<'a>, Unidentified<'a>> {
    let (_, event_type) =
        recognise(doc, profile).map_err(|why| Unidentified { event_type: None, occurred_at: None, why })?;
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
pub(crate) fn recognise<'a>(doc: &Document<'_>, profile: &'a Profile) -> Result<(usize, &'a EventType), Why> {
    let kind = doc.kind(Node::ROOT);
    if kind != json::Kind::Object {
        return Err(Why::UnknownType(format!("the body is {}, not an object", kind.word())));
    }
    for (at, rule) in profile.recognise.iter().enumerate() {
        let given = rule.given.as_ref().unwrap_or(&rule.field);
        if present(doc, given).is_none() {
            continue;
        }
        if let Some(event_type) = by_rule(doc, profile, rule)? {
            return Ok((at, event_type));
        }
    }
    let looked_at: Vec<_> = profile.recognise.iter().map(|r| r.given.as_ref().unwrap_or(&r.field).as_str()).collect();
    Err(Why::UnknownType(format!("unknown event type: the body has none of {}", looked_at.join(", "))))
}

/// The type by a rule that applies; `None` when the rule leaves it to the next.
fn by_rule<'a>(doc: &Document<'_>, profile: &'a Profile, rule: &Rule) -> Result<Option<&'a EventType>, Why> {
    let violation = |what: String| Why::SchemaViolation { path: rule.field.clone(), what };
    let Some(node) = present(doc, &rule.field) else {
        return Err(violation("absent, but it determines the event type".into()));
    };
    let text = match doc.kind(node) {
        json::Kind::Array | json::Kind::Object => doc.kind(node).word().into(),
        _ => doc.text(node).map_or_else(|| doc.raw(node).into(), |text| text.text),
    };
    // A rule that knows true and false takes all that means them.
    let meant = || spelling::boolean(doc, node).map(|value| value.to_string());
    let name = match &rule.values {
        None => Some(text.as_ref()),
        Some(values) => values.get(text.as_ref()).or_else(|| values.get(&meant()?)).map(String::as_str),
    };
    match name.and_then(|name| profile.types.get(name)) {
        Some(event_type) => Ok(Some(event_type)),
        None if rule.passes_on() => Ok(None),
        None if rule.given.is_some() => Err(violation(format!("expected {}, got {:?}", expected(rule), clip(&text)))),
        None => Err(Why::UnknownType(format!("{}: unknown event type: {}", rule.field, clip(&text)))),
    }
}

/// The values that a rule knows.
fn expected(rule: &Rule) -> String {
    rule.values.iter().flat_map(|values| values.keys()).map(String::as_str).collect::<Vec<_>>().join(" or ")
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
    let mut ids = IndexSet::new();
    for path in &join.keys {
        doc.reach(payload, &path.steps, &mut |node| {
            let found = match &path.derived {
                Some(how) => derive(doc, node, how),
                None => id(doc, node, &join.id),
            };
            let found = if path.hashed { found.and_then(|id| profile.hasher.hash(&id)) } else { found };
            ids.extend(found.filter(|id| !id.trim().is_empty()));
        });
    }
    ids.into_iter().collect()
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
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::values::json::MAX_DEPTH;

    fn why(profile: &str, body: &str) -> String {
        let catalog = Catalog::load(None).unwrap();
        let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
        identify(&doc, &catalog.profiles[profile]).err().unwrap().why.to_string()
    }

    #[test]
    fn what_stands_in_the_way_is_named_with_its_place() {
        let id = |id: &str| format!(r#"{{"event_key":"lead.won","payload":{{"lead":{{"id":{id}}}}}}}"#);
        for (profile, body, expected) in [
            ("wegly", "[]".to_owned(), "the body is an array, not an object"),
            ("wegly", "{}".into(), "unknown event type: the body has none of event_key"),
            ("wegly", r#"{"event_key":"lead.won"}"#.into(), "payload: absent, but it is the record's key"),
            (
                "wegly",
                r#"{"event_key":"lead.won","payload":{"lead":5}}"#.into(),
                "payload.lead: got a number, expected an object",
            ),
            ("wegly", id("null"), "payload.lead.id: null, but it is the record's key"),
            ("wegly", id("\" \""), "payload.lead.id: blank, but it is the record's key"),
            ("wegly", id("\"1\""), "payload.lead.id: a string that is not a valid UUID"),
            ("wegly", r#"{"event_key":["lead.won"]}"#.into(), "event_key: unknown event type: an array"),
            ("whazing", r#"{"event":{"qrcode":"SECRET"}}"#.into(), "event: unknown event type: an object"),
            ("whazing", r#"{"messageId":"1"}"#.into(), "fromMe: absent, but it determines the event type"),
            ("whazing", r#"{"messageId":"1","fromMe":"no"}"#.into(), "fromMe: expected false or true, got \"no\""),
            (
                "whazing",
                r#"{"Type":"NewTicket","ticket":{"id":1.5}}"#.into(),
                "ticket.id: a number that is not a valid whole number",
            ),
        ] {
            assert_eq!(why(profile, &body), expected, "{body}");
        }
    }

    #[test]
    fn the_first_instant_that_is_there_counts_and_a_bare_date_is_none() {
        let catalog = Catalog::load(None).unwrap();
        let at = |payload: &str| {
            let body = format!(r#"{{"event_key":"lead.won","payload":{payload}}}"#);
            let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
            identify(&doc, &catalog.profiles["wegly"]).ok().unwrap().occurred_at
        };
        let lead =
            r#""lead":{"id":"11111111-1111-4111-8111-111111111111","won_date":"2026-06-02T12:00:01Z","updated_at":3}"#;
        assert_eq!(at(&format!(r#"{{"won_date":"2026-06-02T12:00:00Z",{lead}}}"#)), Some(1_780_401_600_000));
        assert_eq!(at(&format!(r#"{{"won_date":"2026-06-02",{lead}}}"#)), Some(1_780_401_601_000));
        assert_eq!(at(&format!(r#"{{"won_date":"soon",{}}}"#, lead.replace("won_date", "x"))), Some(3000));
    }
}
