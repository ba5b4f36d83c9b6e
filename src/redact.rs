//! Blanks what must never leave: the values of the fields that a profile redacts, at any depth of a JSON text.

use std::borrow::Cow;

use crate::json::Document;

/// `json` with every value whose key is one of `names` replaced by `""`; as it is when it is no JSON.
pub(crate) fn blank<'a>(json: &'a str, names: &[String]) -> Cow<'a, str> {
    if names.is_empty() {
        return Cow::Borrowed(json);
    }
    // Whatever the depth: a text too deep to become a record still must not carry a secret into a dead letter.
    let Ok(doc) = Document::scan(json.as_bytes(), usize::MAX) else { return Cow::Borrowed(json) };
    let members = doc.objects().flat_map(|object| doc.members(object));
    let secret = members.filter(|&(key, _)| names.iter().any(|name| doc.spells(key, name)));
    let mut spans: Vec<_> = secret.map(|(_, value)| doc.span(value)).collect();
    if spans.is_empty() {
        return Cow::Borrowed(json);
    }
    spans.sort_by_key(|span| span.start);
    let mut blanked = String::with_capacity(json.len());
    let mut copied = 0;
    for span in spans {
        // One within another is gone already.
        if span.start >= copied {
            blanked.push_str(&json[copied..span.start]);
            blanked.push_str("\"\"");
            copied = span.end;
        }
    }
    blanked.push_str(&json[copied..]);
    Cow::Owned(blanked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blanked_at_any_depth_and_nothing_else_changes() {
        let names = ["qrcode".to_owned(), "pairingCode".to_owned()];
        for (json, expected) in [
            (r#"{"qrcode": "S", "x": 1}"#, r#"{"qrcode": "", "x": 1}"#),
            (r#"[{"a":{"qr\u0063ode":{"qrcode":"S"}}},"qrcode"]"#, r#"[{"a":{"qr\u0063ode":""}},"qrcode"]"#),
            (r#"{"a":{"pairingCode":["S"]},"qrcode":null}"#, r#"{"a":{"pairingCode":""},"qrcode":""}"#),
            (
                r#"{"b":{"x":{"qrcode":1}},"qrcode":2,"qrcode":3}"#,
                r#"{"b":{"x":{"qrcode":""}},"qrcode":"","qrcode":""}"#,
            ),
            (r#"{"qrcode": "S""#, r#"{"qrcode": "S""#),
            (r#"{"code": "S" }"#, r#"{"code": "S" }"#),
        ] {
            assert_eq!(blank(json, &names), expected);
        }
        let deep = format!("{}{{\"qrcode\":\"S\"}}{}", "[".repeat(9000), "]".repeat(9000));
        assert!(!blank(&deep, &names).contains('S'));
    }
}
