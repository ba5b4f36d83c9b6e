//! Values that were hardly meant as they are: invisible characters at the ends of a secret. They are told, not changed:
//! a secret may be whatever its owner made it.

/// What some editors put in front of a text.
pub(super) const BOM: char = '\u{feff}';

/// What stands at an end of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SuspiciousEnd {
    ByteOrderMark,
    LineEnd,
    Blank,
    Invisible,
    /// Quotes that are part of the value.
    Quotes,
}

/// What stands at an end of `text` and can hardly be meant.
pub(super) fn ends(text: &str, is_secret: bool) -> Option<SuspiciousEnd> {
    let ends = [text.chars().next(), text.chars().next_back()];
    let has = |test: fn(char) -> bool| ends.into_iter().flatten().any(test);
    if has(|c| c == BOM) {
        Some(SuspiciousEnd::ByteOrderMark)
    } else if !is_secret || text.trim().is_empty() {
        // What is blank is refused where it matters, and other values are shown where they are refused.
        None
    } else if has(|c| c == '\n' || c == '\r') {
        Some(SuspiciousEnd::LineEnd)
    } else if has(char::is_whitespace) {
        Some(SuspiciousEnd::Blank)
    } else if has(|c| c.is_control() || ('\u{200b}'..='\u{200f}').contains(&c) || c == '\u{2060}') {
        Some(SuspiciousEnd::Invisible)
    } else if text.len() > 2 && ["\"\"", "''"].iter().any(|q| text.starts_with(&q[..1]) && text.ends_with(&q[1..])) {
        Some(SuspiciousEnd::Quotes)
    } else {
        None
    }
}

/// The name in a reference as other programs write it, which is taken as it stands here: `$NAME`, `%NAME%` and `{{ NAME }}`.
pub(super) fn foreign_reference(text: &str) -> Option<&str> {
    let within = |before, after| text.trim().strip_prefix(before).and_then(|rest: &str| rest.strip_suffix(after));
    let is_name = |name: &&str| name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let bare = |name: &&str| is_name(name) && name.len() > 2;
    let braced = within("{{", "}}").map(str::trim);
    braced.or_else(|| within("$", "").filter(bare)).or_else(|| within("%", "%").filter(bare))
}

/// What that is, and what to do; `raw` is the value as written, with its `${…}`.
pub(super) fn explain(end: SuspiciousEnd, raw: &str) -> (String, String) {
    let what = match end {
        SuspiciousEnd::ByteOrderMark => "begins or ends with a byte-order mark (U+FEFF)",
        SuspiciousEnd::LineEnd => "begins or ends with a line end, beyond the one that is removed from a file",
        SuspiciousEnd::Blank => "begins or ends with a blank",
        SuspiciousEnd::Invisible => "begins or ends with an invisible character",
        SuspiciousEnd::Quotes => "stands in quotes, which are part of it",
    };
    let (subject, place) = match raw.strip_prefix("${file:").and_then(|rest| rest.strip_suffix('}')) {
        Some(path) => (format!("the content of {path}"), path.to_owned()),
        None if raw.contains("${") => ("the value, filled in,".to_owned(), "what it names".to_owned()),
        None => ("the value".to_owned(), "it".to_owned()),
    };
    let remedy = match end {
        SuspiciousEnd::Quotes => format!("if it is not meant, remove the quotes from {place}"),
        _ => format!("if it is not meant, write {place} again without it (printf %s 'SECRET' > FILE)"),
    };
    (format!("{subject} {what}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_other_programs_are_found() {
        for (text, expected) in [
            ("$WEGLY_SECRET", Some("WEGLY_SECRET")),
            ("%WEGLY%", Some("WEGLY")),
            ("{{ wegly }}", Some("wegly")),
            ("$ecret", None),
            ("$", None),
            ("WEGLY", None),
            ("100%", None),
        ] {
            assert_eq!(foreign_reference(text), expected, "{text}");
        }
    }

    #[test]
    fn what_nobody_sees_at_the_ends_of_a_secret_is_found() {
        for (text, expected) in [
            ("\u{feff}a", Some(SuspiciousEnd::ByteOrderMark)),
            ("a\n", Some(SuspiciousEnd::LineEnd)),
            ("a\r", Some(SuspiciousEnd::LineEnd)),
            (" a", Some(SuspiciousEnd::Blank)),
            ("a\t", Some(SuspiciousEnd::Blank)),
            ("a\u{a0}", Some(SuspiciousEnd::Blank)),
            ("a\u{200b}", Some(SuspiciousEnd::Invisible)),
            ("\"a\"", Some(SuspiciousEnd::Quotes)),
            ("a b", None),
            ("a\"", None),
            (" ", None),
            ("", None),
        ] {
            assert_eq!(ends(text, true), expected, "{text:?}");
        }
        assert_eq!(ends(" a", false), None);
        assert_eq!(ends("\u{feff}a", false), Some(SuspiciousEnd::ByteOrderMark));
    }
}
