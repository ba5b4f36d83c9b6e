//! Booleans, numbers and times as senders spell them.

use crate::values::json::{self, Document, Node};
use crate::values::time;

/// Numbers below this are seconds (until the year 5138), others milliseconds.
const SECONDS_BELOW: i128 = 100_000_000_000;
/// Numbers from here on are neither.
const MILLIS_BELOW: i128 = 100_000_000_000_000;

/// A number without fraction, or digits in a string.
pub(crate) fn long(doc: &Document<'_>, node: Node) -> Option<i64> {
    match doc.kind(node) {
        json::Kind::Number => json::long(doc.raw(node)),
        _ => json::long_in_string(&doc.text(node)?.text),
    }
}

/// A number, or a decimal in a string, that a double gives back.
pub(crate) fn double(doc: &Document<'_>, node: Node) -> Option<f64> {
    match doc.kind(node) {
        json::Kind::Number => json::double(doc.raw(node)),
        _ => json::double(&doc.text(node)?.text),
    }
}

/// A boolean, or what can mean nothing else where one is expected: 0 and 1, also in a string, and `"true"` and `"false"` in any case.
pub(crate) fn boolean(doc: &Document<'_>, node: Node) -> Option<bool> {
    match doc.kind(node) {
        json::Kind::True => return Some(true),
        json::Kind::False => return Some(false),
        _ => {}
    }
    match long(doc, node) {
        Some(0) => Some(false),
        Some(1) => Some(true),
        Some(_) => None,
        None => ["false", "true"]
            .iter()
            .position(|word| doc.text(node).is_some_and(|t| t.text.eq_ignore_ascii_case(word)))
            .map(|at| at == 1),
    }
}

/// ISO 8601 in a string, or a Unix time as a number or as digits in a string, told apart by magnitude.
pub(crate) fn timestamp(doc: &Document<'_>, node: Node) -> Option<time::Iso> {
    let text;
    let unix = match doc.kind(node) {
        json::Kind::Number => doc.raw(node),
        _ => {
            text = doc.text(node)?.text;
            if let Some(iso) = time::parse_iso(&text) {
                return Some(iso);
            }
            json::long_in_string(&text)?;
            &text
        }
    };
    let (thousandths, exact) = json::scaled(unix, 3)?;
    let whole = thousandths / 1000;
    // No event is of the first moment of 1970: a zero says that there is no time. And what reads as the digits of a date
    // is none of the year 2600 or so.
    if (thousandths == 0 && exact) || is_clock(whole) {
        return None;
    }
    let millis = match whole.abs() {
        seconds if seconds < SECONDS_BELOW => thousandths,
        millis if millis < MILLIS_BELOW => whole,
        _ => return None,
    };
    Some(time::Iso { millis: time::in_range(i64::try_from(millis).ok()?)?, has_time: true })
}

/// Whether the digits are those of a date and time of day, such as 20260602120500, of the years 1900 to 2199.
fn is_clock(number: i128) -> bool {
    if !(19_000_000_000_000..22_000_000_000_000).contains(&number) {
        return false;
    }
    let digits = number.to_string();
    let part = |at: usize| digits.get(at..at + 2).unwrap_or_default();
    let iso = format!("{}{}-{}-{}T{}:{}:{}", part(0), part(2), part(4), part(6), part(8), part(10), part(12));
    time::parse_iso(&iso).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::json::MAX_DEPTH;

    fn of<T>(read: fn(&Document<'_>, Node) -> Option<T>, json: &str) -> Option<T> {
        read(&Document::scan(json.as_bytes(), MAX_DEPTH).unwrap(), Node::ROOT)
    }

    #[test]
    fn what_can_only_mean_a_boolean_is_one() {
        for json in ["true", "1", "1.0", "\"1\"", "\"true\"", "\"True\"", "\"TRUE\"", "\"tr\\u0075e\""] {
            assert_eq!(of(boolean, json), Some(true), "{json}");
        }
        for json in ["false", "0", "-0", "\"0\"", "\"false\"", "\"FALSE\""] {
            assert_eq!(of(boolean, json), Some(false), "{json}");
        }
        let others = [
            "2",
            "-1",
            "0.5",
            "null",
            "[]",
            "{}",
            "[true]",
            "\"\"",
            "\"no\"",
            "\"yes\"",
            "\"sim\"",
            "\"t\"",
            "\" true\"",
            "\"1.0\"",
        ];
        for json in others {
            assert_eq!(of(boolean, json), None, "{json}");
        }
    }

    #[test]
    fn numbers_that_are_no_unix_time_are_none() {
        let millis = |json: &str| of(timestamp, json).map(|instant| instant.millis);
        for json in [
            "0",
            "-0",
            "0.0",
            "0e3",
            "\"0\"",
            "\"000\"",
            "20260602120500",
            "\"20260602120500\"",
            "20260602120500.0",
            "19000101000000",
            "21991231235959",
        ] {
            assert_eq!(millis(json), None, "{json}");
        }
        for (json, expected) in [
            ("1", 1000),
            ("-1", -1000),
            ("0.001", 1),
            ("20260602", 20_260_602_000),
            ("20261302120500", 20_261_302_120_500),
            ("20260602120560", 20_260_602_120_560),
            ("18991231235959", 18_991_231_235_959),
            ("22000101000000", 22_000_101_000_000),
            ("\"99999999999999\"", 99_999_999_999_999),
            ("\"1970-01-01T00:00:00Z\"", 0),
            ("\"2612-01-13T17:02:00.500Z\"", 20_260_602_120_500),
        ] {
            assert_eq!(millis(json), Some(expected), "{json}");
        }
    }
}
