//! Blanks what must never leave: the values of the fields that a profile redacts or hashes, at any depth of a JSON text.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::values::json;

/// JSON text in a string of JSON text in a string, and so on, is looked into so far. Each step doubles what escapes take.
const STRINGS_IN_STRINGS: usize = 4;

/// What comes before JSON text without being of it: white space, and byte-order marks.
const BEFORE: [char; 5] = ['\u{feff}', ' ', '\t', '\n', '\r'];

/// The keys whose values are blanked.
#[derive(Clone, Debug, Default)]
pub(crate) struct GuardedNames {
    /// As a profile spells them.
    exact: Vec<String>,
    /// Small letters and digits only: in any case, and whatever stands between (`qrCode`, `qr_code`, `QR-Code`).
    loose: Vec<String>,
}

impl GuardedNames {
    /// One name in every spelling; `None` when it has neither letter nor digit.
    pub(crate) fn loose(name: &str) -> Option<GuardedNames> {
        let folded: String = folded(name).collect();
        (!folded.is_empty()).then(|| GuardedNames { exact: Vec::new(), loose: vec![folded] })
    }

    /// One name as it is spelled.
    pub(crate) fn exact(name: &str) -> GuardedNames {
        GuardedNames { exact: vec![name.to_owned()], loose: Vec::new() }
    }

    /// These and `others`.
    pub(crate) fn add(&mut self, others: GuardedNames) {
        self.exact.extend(others.exact);
        self.loose.extend(others.loose);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.loose.is_empty()
    }

    /// Whether what has this key is blanked.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.exact.iter().any(|name| name == key) || self.loose.iter().any(|name| folded(key).eq(name.chars()))
    }
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase)
}

/// `json` with every value whose key is one of `names` replaced by `""`; as it is when it is no JSON. What
/// [stands before](BEFORE) the JSON does not matter.
///
/// It keeps no list of values: a text too deep or too large to become a record still must not carry a secret into a
/// dead letter, nor take more memory than it has itself.
/// Strings that hold JSON text, as senders like to write them, are looked into as well.
pub(crate) fn blank<'a>(json: &'a str, names: &GuardedNames) -> Cow<'a, str> {
    blank_to(json, names, STRINGS_IN_STRINGS)
}

/// The same of what a string of a JSON text says; `None` when that is no JSON text with something to blank in it.
pub(crate) fn blank_text(text: &str, names: &GuardedNames) -> Option<String> {
    if names.is_empty() || !text.trim_start_matches(BEFORE).starts_with(['{', '[', '"']) {
        return None;
    }
    match blank_to(text, names, STRINGS_IN_STRINGS - 1) {
        Cow::Owned(blanked) => Some(blanked),
        Cow::Borrowed(_) => None,
    }
}

fn blank_to<'a>(json: &'a str, names: &GuardedNames, depth: usize) -> Cow<'a, str> {
    if names.is_empty() || serde_json::from_str::<&RawValue>(json.trim_start_matches(BEFORE)).is_err() {
        return Cow::Borrowed(json);
    }
    let bytes = json.as_bytes();
    let (mut blanked, mut copied, mut at) = (String::new(), 0, 0);
    // In JSON, a quote outside a string begins one; a string before a colon is a key.
    while let Some(begin) = bytes[at..].iter().position(|&b| b == b'"').map(|found| at + found) {
        at = string_end(bytes, begin);
        let colon = skip_whitespace(bytes, at);
        let secret = || {
            let key = &json[begin + 1..at - 1];
            if key.contains('\\') { names.has(&json::unescape(key).text) } else { names.has(key) }
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
fn blank_within(inner: &str, names: &GuardedNames, depth: usize) -> Option<String> {
    // What begins like JSON; the first character may be spelled in its escaped form.
    let begins = inner.trim_start_matches(BEFORE).starts_with(['{', '[', '\\']);
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
        let mut names = GuardedNames::exact("qrcode");
        names.add(GuardedNames::exact("pairingCode"));
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
            ("\u{feff}\n{\"qrcode\":1}", "\u{feff}\n{\"qrcode\":\"\"}"),
            (r#"["\ufeff{\"qrcode\":1}"]"#, "[\"\u{feff}{\\\"qrcode\\\":\\\"\\\"}\"]"),
            (r#"{"qrCode":1}"#, r#"{"qrCode":1}"#),
            (r#"["{\"a\":\"{\\\"qrcode\\\":\\\"S\\\"}\"}"]"#, r#"["{\"a\":\"{\\\"qrcode\\\":\\\"\\\"}\"}"]"#),
        ] {
            assert_eq!(blank(json, &names), expected);
        }
        let deep = format!("{}{{\"qrcode\":\"S\"}}{}", "[".repeat(9000), "]".repeat(9000));
        assert!(!blank(&deep, &names).contains('S'));
    }
    #[test]
    fn a_name_that_is_looked_for_everywhere_has_many_spellings() {
        let mut names = GuardedNames::loose("pairingCode").unwrap();
        names.add(GuardedNames::loose("qrcode").unwrap());
        for key in [
            "qrcode",
            "qrCode",
            "QRCODE",
            "qr_code",
            "QR-Code",
            "qr code",
            "pairing_code",
            "PairingCode",
            "pairingcode",
        ] {
            assert!(names.has(key), "{key}");
            assert_eq!(blank(&format!("{{{key:?}:\"S\"}}"), &names), format!("{{{key:?}:\"\"}}"));
        }
        for key in ["qr", "code", "qrcodes", "qrcode2", "pairing", "", "_", "é"] {
            assert!(!names.has(key), "{key}");
        }
        assert!(GuardedNames::loose("_-").is_none());
    }

    #[test]
    fn the_text_of_a_string_is_blanked_where_it_is_json() {
        let names = GuardedNames::loose("qrcode").unwrap();
        for (text, expected) in [
            ("{\"qrcode\":\"S\"}", Some("{\"qrcode\":\"\"}")),
            ("\u{feff} [{\"qrCode\":1}]", Some("\u{feff} [{\"qrCode\":\"\"}]")),
            ("\"{\\\"qrcode\\\":1}\"", Some("\"{\\\"qrcode\\\":\\\"\\\"}\"")),
            ("qrcode: S", None),
            ("{\"qrcode\":\"S\"", None),
            ("{\"code\":\"qrcode\"}", None),
        ] {
            assert_eq!(blank_text(text, &names).as_deref(), expected, "{text}");
        }
    }
}
