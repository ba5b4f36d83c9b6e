//! Booleans, numbers, times and bytes as senders spell them.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::catalog::DecimalSize;
use crate::values::formats::Formats;
use crate::values::json::{self, Document, Node};
use crate::values::time::{self, Resolution};

/// Numbers below this are seconds (until the year 5138), others milliseconds.
const SECONDS_BELOW: i128 = 100_000_000_000;
/// Numbers from here on are neither.
const MILLIS_BELOW: i128 = 100_000_000_000_000;
/// But for those of a field in microseconds.
const MICROS_BELOW: i128 = 100_000_000_000_000_000;

const PADDED_OR_NOT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// A last group with unused bits that are set would not come back as it was.
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, PADDED_OR_NOT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, PADDED_OR_NOT);

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

/// The same of a float.
pub(crate) fn float(doc: &Document<'_>, node: Node) -> Option<f32> {
    match doc.kind(node) {
        json::Kind::Number => json::float(doc.raw(node)),
        _ => json::float(&doc.text(node)?.text),
    }
}

/// A number, or a decimal in a string, that has no more digits than `size`, times ten to the power of its scale.
pub(crate) fn decimal(doc: &Document<'_>, node: Node, size: DecimalSize) -> Option<i128> {
    let read = |spelling: &str| json::decimal(spelling, size.precision, size.scale);
    match doc.kind(node) {
        json::Kind::Number => read(doc.raw(node)),
        _ => read(&doc.text(node)?.text),
    }
}

/// What base64 holds, in the standard or the URL alphabet, padded or not.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let engine = if text.contains(['-', '_']) { BASE64_URL } else { BASE64 };
    engine.decode(text).ok()
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

/// When something happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SpelledInstant {
    /// Since 1970.
    pub(crate) ticks: i64,
    pub(crate) has_time: bool,
}

/// An instant: in one of `formats`, a number as it is spelled; or, without any, as [`timestamp`] has it.
pub(crate) fn instant(
    doc: &Document<'_>,
    node: Node,
    resolution: Resolution,
    formats: Option<&Formats>,
) -> Option<SpelledInstant> {
    if let Some(formats) = formats {
        let (micros, has_time) = spelled(doc, node, |text| formats.instant(text))?;
        return Some(SpelledInstant { ticks: resolution.of_micros(micros), has_time });
    }
    if resolution == Resolution::Micros {
        return micros(doc, node);
    }
    timestamp(doc, node).map(|iso| SpelledInstant { ticks: iso.millis, has_time: iso.has_time })
}

/// The same as [`timestamp`], in microseconds; so large numbers are microseconds.
fn micros(doc: &Document<'_>, node: Node) -> Option<SpelledInstant> {
    let coarse = timestamp(doc, node);
    if let Some(ticks) = doc.text(node).and_then(|text| time::parse_iso_micros(&text.text)) {
        return Some(SpelledInstant { ticks, has_time: coarse.is_none_or(|iso| iso.has_time) });
    }
    let text = doc.text(node).map(|text| text.text);
    let unix = match &text {
        None if doc.kind(node) == json::Kind::Number => doc.raw(node),
        None => return None,
        Some(text) => {
            json::long_in_string(text)?;
            text
        }
    };
    let (whole, _) = json::scaled(unix, 0)?;
    let shift = match whole.abs() {
        seconds if seconds < SECONDS_BELOW => 6,
        millis if millis < MILLIS_BELOW => 3,
        micros if micros < MICROS_BELOW => 0,
        _ => return None,
    };
    // What is no Unix time in milliseconds is none in microseconds: zero, and the digits of a date.
    if shift > 0 {
        coarse.as_ref()?;
    }
    let ticks = i64::try_from(json::scaled(unix, shift)?.0).ok()?;
    time::in_range(ticks.div_euclid(1000)).map(|_| SpelledInstant { ticks, has_time: true })
}

/// A date: in one of `formats`, or without any in ISO 8601.
pub(crate) fn date(doc: &Document<'_>, node: Node, formats: Option<&Formats>) -> Option<i32> {
    match formats {
        Some(formats) => spelled(doc, node, |text| formats.date(text)),
        None => time::parse_date(&doc.text(node)?.text),
    }
}

/// A time of day: in one of `formats`, or without any in ISO 8601.
pub(crate) fn time_of_day(
    doc: &Document<'_>,
    node: Node,
    resolution: Resolution,
    formats: Option<&Formats>,
) -> Option<i64> {
    match formats {
        Some(formats) => spelled(doc, node, |text| formats.time_of_day(text, resolution)),
        None => time::parse_time_of_day(&doc.text(node)?.text, resolution),
    }
}

/// What `read` makes of a text, or of a number as it is spelled.
fn spelled<T>(doc: &Document<'_>, node: Node, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    match doc.kind(node) {
        json::Kind::Number => read(doc.raw(node)),
        _ => read(&doc.text(node)?.text),
    }
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
    fn instants_in_microseconds_keep_what_milliseconds_cut() {
        let micros = |json: &str| of(|doc, node| instant(doc, node, Resolution::Micros, None), json).map(|m| m.ticks);
        for (json, expected) in [
            ("\"2026-06-02T12:00:00.123456789Z\"", Some(1_780_401_600_123_456)),
            ("\"1969-12-31T23:59:59.9999999Z\"", Some(-1)),
            ("\"2026-06-02\"", Some(1_780_358_400_000_000)),
            ("1780401600.123456", Some(1_780_401_600_123_456)),
            ("1780401600123.456", Some(1_780_401_600_123_456)),
            ("1780401600123456", Some(1_780_401_600_123_456)),
            ("\"1780401600123456\"", Some(1_780_401_600_123_456)),
            ("0.000001", Some(1)),
            ("0", None),
            ("20260602120500", None),
            ("100000000000000000", None),
            ("true", None),
        ] {
            assert_eq!(micros(json), expected, "{json}");
        }
    }

    #[test]
    fn base64_is_taken_in_both_alphabets_and_nothing_like_it() {
        for (text, expected) in [
            ("+/8=", Some(vec![0xfb, 0xff])),
            ("-_8", Some(vec![0xfb, 0xff])),
            ("", Some(vec![])),
            ("-/8=", None),
            ("+/9=", None),
            ("+/8==", None),
            ("+ /8=", None),
            ("A", None),
        ] {
            assert_eq!(base64(text), expected, "{text}");
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
