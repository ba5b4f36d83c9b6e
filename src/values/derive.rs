//! What is made of a field and not sent: the reference to a record of another system, a member of JSON of open shape, and a phone
//! number in one form.

use std::borrow::Cow;

use rlibphonenumber::{PHONE_NUMBER_UTIL, Region};
use uuid::Uuid;

use crate::values::json::{Document, Kind, MAX_DEPTH, Node};
use crate::values::phone::phone;
use crate::values::uuid_text::uuid;

/// How a value is made of another.
#[derive(Clone, Debug)]
pub(crate) enum How {
    /// JSON of open shape: the text or number itself, or this member of an object, also where that JSON stands in a string;
    /// without white space around it.
    Reference { member: String },
    /// JSON of open shape: this member of an object, also where that object stands in a string.
    Member { member: String },
    /// A phone number as digits of E.164; one without a country's code is taken to be of this region. WhatsApp writes whole
    /// numbers as digits alone; people leave away their own country's code.
    Phone { region: Region, whatsapp: bool },
}

/// It is not the two letters of a country that has phone numbers.
#[derive(Debug, thiserror::Error)]
#[error("{0:?}: expected the two letters of a country, such as \"BR\"")]
pub(crate) struct UnknownRegion(String);

impl How {
    /// `region` is the two letters of a country.
    pub(crate) fn phone(region: &str, whatsapp: bool) -> Result<How, UnknownRegion> {
        let known = region
            .parse()
            .ok()
            .filter(|&region| PHONE_NUMBER_UTIL.get_supported_regions().any(|known| known == region));
        match known {
            Some(region) => Ok(How::Phone { region, whatsapp }),
            None => Err(UnknownRegion(region.to_owned())),
        }
    }
}

/// Longer ones are no references: they stand in keys and headers, once for each record.
const LONGEST: usize = 1024;

/// What is made of the value at `node`; nothing when it is not of that kind, or blank.
pub(crate) fn derive<'a>(doc: &Document<'a>, node: Node, how: &How) -> Option<Cow<'a, str>> {
    match how {
        How::Reference { member } => tidy(reference(doc, node, member)?),
        How::Member { member } => tidy(within(doc, node, member)?),
        How::Phone { region, whatsapp } => phone(&text(doc, node)?, *region, *whatsapp).map(Cow::Owned),
    }
}

/// A string, or a number as spelled.
fn text<'a>(doc: &Document<'a>, node: Node) -> Option<Cow<'a, str>> {
    match doc.kind(node) {
        Kind::Number => Some(doc.raw(node).into()),
        _ => doc.text(node).filter(|text| !text.lone_surrogate).map(|text| text.text),
    }
}

fn reference<'a>(doc: &Document<'a>, node: Node, member: &str) -> Option<Cow<'a, str>> {
    match doc.kind(node) {
        Kind::Object => member_of(doc, node, member),
        Kind::String | Kind::Escaped => inside(text(doc, node)?, |outer| meant(outer, member)),
        Kind::Number => text(doc, node),
        _ => None,
    }
}

/// What a text means: whoever put JSON into a string meant what it holds.
fn meant<'a>(outer: &'a str, member: &str) -> Option<Cow<'a, str>> {
    // What begins otherwise is a number, a boolean or no JSON, and stands for itself.
    if !may_begin(outer, &['{', '[', '"', 'n']) {
        return Some(outer.into());
    }
    let Ok(inner) = Document::scan(outer.as_bytes(), MAX_DEPTH) else { return Some(outer.into()) };
    match inner.kind(Node::ROOT) {
        Kind::Object => member_of(&inner, Node::ROOT, member),
        Kind::Null | Kind::Array => None,
        Kind::String | Kind::Escaped => text(&inner, Node::ROOT),
        _ => Some(outer.into()),
    }
}

/// A text as keys have it, so that it meets them: without white space around it, a UUID in small letters.
fn tidy(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.len() > LONGEST {
        return None;
    }
    let mut buffer = Uuid::encode_buffer();
    let tidied = uuid(trimmed).map_or(trimmed, |uuid| &*uuid.encode_lower(&mut buffer));
    if tidied == text {
        return Some(text);
    }
    Some(match text {
        Cow::Borrowed(text) if tidied == text.trim() => text.trim().into(),
        _ => tidied.to_owned().into(),
    })
}

fn within<'a>(doc: &Document<'a>, node: Node, member: &str) -> Option<Cow<'a, str>> {
    match doc.kind(node) {
        Kind::Object => member_of(doc, node, member),
        _ => inside(doc.text(node)?.text, |outer| {
            if !may_begin(outer, &['{']) {
                return None;
            }
            member_of(&Document::scan(outer.as_bytes(), MAX_DEPTH).ok()?, Node::ROOT, member)
        }),
    }
}

/// Whether the text, as JSON, may begin with one of these.
fn may_begin(json: &str, with: &[char]) -> bool {
    json.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(with)
}

/// What `take` takes out of a text: it stays where it is, where the text does.
fn inside<'a>(text: Cow<'a, str>, take: impl for<'b> Fn(&'b str) -> Option<Cow<'b, str>>) -> Option<Cow<'a, str>> {
    match text {
        Cow::Borrowed(text) => take(text),
        Cow::Owned(text) => take(&text).map(|taken| taken.into_owned().into()),
    }
}

/// A member of an object, if there is one of this name: of two, no two readers take the same.
fn member_of<'a>(doc: &Document<'a>, object: Node, name: &str) -> Option<Cow<'a, str>> {
    let mut found = doc.all(object, name);
    let value = found.next()?;
    if found.next().is_some() { None } else { text(doc, value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference_of(json: &str, how: &How) -> Option<String> {
        derive(&Document::scan(json.as_bytes(), MAX_DEPTH).unwrap(), Node::ROOT, how).map(Cow::into_owned)
    }

    #[test]
    fn a_reference_is_found_in_every_shape_it_comes_in() {
        let how = How::Reference { member: "externalKey".into() };
        let long = |length| format!("\"{}\"", "x".repeat(length));
        assert!(reference_of(&long(LONGEST), &how).is_some());
        assert_eq!(reference_of(&long(LONGEST + 1), &how), None);
        for (json, expected) in [
            (r#""deal-1""#, Some("deal-1")),
            (r#"{"other": 1, "externalKey": "deal-2"}"#, Some("deal-2")),
            (r#""{\"externalKey\": \"deal-3\"}""#, Some("deal-3")),
            (r#"{"externalKey": 42}"#, Some("42")),
            (r#""[not json""#, Some("[not json")),
            (r#""\"deal-5\"""#, Some("deal-5")),
            (r#""nova venda""#, Some("nova venda")),
            (r#""{deal}""#, Some("{deal}")),
            (r#""\n[1]""#, None),
            (r#""true""#, Some("true")),
            (r#""42""#, Some("42")),
            ("42", Some("42")),
            ("4.20", Some("4.20")),
            (r#""  deal-7\n""#, Some("deal-7")),
            (r#"{"externalKey": "\u00a0 deal-8 "}"#, Some("deal-8")),
            (r#"" {\"externalKey\": \" deal-9 \"} ""#, Some("deal-9")),
            (r#"" \" deal-10 \" ""#, Some("deal-10")),
            (r#"" 0A000000-0000-4000-8000-0000000000D1""#, Some("0a000000-0000-4000-8000-0000000000d1")),
            (r#""0A000000-0000-4000-8000-0000000000D1""#, Some("0a000000-0000-4000-8000-0000000000d1")),
            (r#""null""#, None),
            (r#""[\"deal-6\"]""#, None),
            (r#"{"externalKey": "a", "externalKey": "b"}"#, None),
            (r#""{\"other\": 1}""#, None),
            (r#"{"externalKey": "  "}"#, None),
            (r#"{"externalKey": null}"#, None),
            (r#"{"externalKey": {"a": 1}}"#, None),
            (r#""""#, None),
            (r#""\ud800""#, None),
            ("null", None),
            ("true", None),
            (r#"["deal-4"]"#, None),
        ] {
            assert_eq!(reference_of(json, &how).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn a_member_is_found_in_an_object_and_nowhere_else() {
        let how = How::Member { member: "id".into() };
        for (json, expected) in [
            (
                r#"{"name": "x", "id": " 0A000000-0000-4000-8000-0000000000D1 "}"#,
                Some("0a000000-0000-4000-8000-0000000000d1"),
            ),
            (r#"{"id": 42.0}"#, Some("42.0")),
            (r#""{\"id\": \"Proposta enviada\"}""#, Some("Proposta enviada")),
            (r#"{"id": true}"#, None),
            (r#"{"id": {"id": 1}}"#, None),
            (r#"{"id": 1, "id": 1}"#, None),
            (r#"[{"id": 1}]"#, None),
            (r#""id""#, None),
            (r#""[\"id\"]""#, None),
            ("42", None),
            ("null", None),
        ] {
            assert_eq!(reference_of(json, &how).as_deref(), expected, "{json}");
        }
    }
}
