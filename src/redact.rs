//! Blanks what must never leave: the values of the fields that a profile redacts or hashes, at any depth of a JSON text.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::json;

/// JSON text in a string of JSON text in a string, and so on, is looked into so far. Each step doubles what escapes take.
const STRINGS_IN_STRINGS: usize = 4;

/// `json` with every value whose key is one of `names` replaced by `""`; as it is when it is no JSON.
///
/// It keeps no list of values: a text too deep or too large to become a record still must not carry a secret into a
/// dead letter, nor take more memory than it has itself.
/// Strings that hold JSON text, as senders like to write them, are looked into as well.
pub(crate) fn blank<'a>(json: &'a str, names: &[String]) -> Cow<'a, str> {
    blank_to(json, names, STRINGS_IN_STRINGS)
}

fn blank_to<'a>(json: &'a str, names: &[String], depth: usize) -> Cow<'a, str> {
    if names.is_empty() || serde_json::from_str::<&RawValue>(json).is_err() {
        return Cow::Borrowed(json);
    }
    let bytes = json.as_bytes();
    let (mut blanked, mut copied, mut at) = (String::new(), 0, 0);
    // In JSON, a quote outside a string begins one; a string before a colon is a key.
    while let Some(begin) = bytes[at..].iter().position(|&b| b == b'"').map(|found| at + found) {
        at = string_end(bytes, begin);
        let colon = skip_whitespace(bytes, at);
        let secret = || {
            let key = json::unescape(&json[begin + 1..at - 1]);
            names.iter().any(|name| *name == key.text)
        };
        if bytes.get(colon) == Some(&b':') && secret() {
            let value = skip_whitespace(bytes, colon + 1);
            blanked.push_str(&json[copied..value]);
            blanked.push_str("\"\"");
            at = value_end(bytes, value);
            copied = at;
        } else if bytes.get(colon) != Some(&b':')
            && let Some(text) = blank_within(&json[begin + 1..at - 1], names, depth)
        {
            blanked.push_str(&json[copied..begin]);
            blanked.push_str(&text);
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    blanked.push_str(&json[copied..]);
    Cow::Owned(blanked)
}

/// The string that is spelled `inner`, with its quotes, if it holds JSON text with something to blank in it.
fn blank_within(inner: &str, names: &[String], depth: usize) -> Option<String> {
    // What begins like JSON; the first character may be spelled in its escaped form.
    let begins = inner.trim_start_matches([' ', '\t']).starts_with(['{', '[', '\\']);
    if !begins || depth == 0 {
        return None;
    }
    match blank_to(&json::unescape(inner).text, names, depth - 1) {
        Cow::Owned(blanked) => Some(serde_json::Value::from(blanked).to_string()),
        Cow::Borrowed(_) => None,
    }
}

/// Past the closing quote of the string that begins at `begin`.
fn string_end(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Past the value that begins at `begin`.
fn value_end(bytes: &[u8], begin: usize) -> usize {
    let (mut at, mut depth) = (begin, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            // Inside a container all goes by; outside, this is where a scalar ends.
            b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn skip_whitespace(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|b| b" \t\n\r".contains(b)).count()
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
            (
                r#"{"qrcode": -1.5e3 ,"x":["qrcode", {"qrcode":[{"a":"]}"}, true]}]}"#,
                r#"{"qrcode": "" ,"x":["qrcode", {"qrcode":""}]}"#,
            ),
            (r#"{"a\"qrcode":"S","\\":{"qrcode" : "a\\\"b"}}"#, r#"{"a\"qrcode":"S","\\":{"qrcode" : ""}}"#),
            (r#"{"c":" {\"qrcode\": \"S\"}","d":"[1]"}"#, r#"{"c":" {\"qrcode\": \"\"}","d":"[1]"}"#),
            (r#"{"c":"\u007b\"qrcode\":1}","d":"{qrcode"}"#, r#"{"c":"{\"qrcode\":\"\"}","d":"{qrcode"}"#),
            (r#"["{\"a\":\"{\\\"qrcode\\\":\\\"S\\\"}\"}"]"#, r#"["{\"a\":\"{\\\"qrcode\\\":\\\"\\\"}\"}"]"#),
        ] {
            assert_eq!(blank(json, &names), expected);
        }
        let deep = format!("{}{{\"qrcode\":\"S\"}}{}", "[".repeat(9000), "]".repeat(9000));
        assert!(!blank(&deep, &names).contains('S'));
    }
}
