//! The spellings of single values: those that fit a type, with what is due in the record, and those that do not.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// Repeatable chance.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// Noon of 2 June 2026 in UTC.
const NOON: i64 = 1_780_401_600_000;

/// (JSON, milliseconds since 1970, whether it says a time of day)
const INSTANTS: [(&str, i64, bool); 16] = [
    ("\"2026-06-02T12:00:00.000Z\"", NOON, true),
    ("\"2026-06-02T09:00:00-03:00\"", NOON, true),
    ("\"2026-06-02T17:30:00.5+05:30\"", NOON + 500, true),
    ("\"2026-06-02T12:00:00\"", NOON, true),
    ("\"2026-06-02T12:00:00.123987Z\"", NOON + 123, true),
    ("\"2026-06-02\"", NOON - 43_200_000, false),
    ("\"1999-12-31\"", 946_598_400_000, false),
    ("1780401600", NOON, true),
    ("\"1780401600\"", NOON, true),
    ("1780401600123", NOON + 123, true),
    ("\"1780401600123\"", NOON + 123, true),
    ("1", 1000, true),
    ("99999999999", 99_999_999_999_000, true),
    ("100000000000", 100_000_000_000, true),
    ("\"0001-01-01T00:00:00Z\"", -62_135_596_800_000, true),
    ("\"9999-12-31T23:59:59.999Z\"", 253_402_300_799_999, true),
];

const TEXTS: [(&str, &str); 9] = [
    ("\"plain\"", "plain"),
    ("\"\"", ""),
    ("\"ação — 日本 😀\"", "ação — 日本 😀"),
    ("\"a\\u00e7\\u00E3o \\ud83d\\ude00 \\u0000 \\u2028\"", "ação 😀 \u{0} \u{2028}"),
    ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\u{8}\u{c}\n\r\t"),
    ("12.50", "12.50"),
    ("-1E+2", "-1E+2"),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("\"  blanks  \"", "  blanks  "),
];

const LONGS: [(&str, i64); 9] = [
    ("7", 7),
    ("\"7\"", 7),
    ("3.0", 3),
    ("1e2", 100),
    ("-0", 0),
    ("\"-42\"", -42),
    ("9007199254740993", 9_007_199_254_740_993),
    ("9223372036854775807", i64::MAX),
    ("-9223372036854775808", i64::MIN),
];

const DOUBLES: [(&str, f64); 9] = [
    ("0", 0.0),
    ("1500.75", 1500.75),
    ("\"1500.75\"", 1500.75),
    ("-1e-7", -1e-7),
    ("\"12\"", 12.0),
    ("1.7976931348623157e308", f64::MAX),
    ("4.35", 4.35),
    ("\"1.10\"", 1.1),
    ("9007199254740992", 9_007_199_254_740_992.0),
];

const BOOLEANS: [(&str, bool); 8] = [
    ("true", true),
    ("false", false),
    ("\"true\"", true),
    ("\"False\"", false),
    ("1", true),
    ("0", false),
    ("\"1\"", true),
    ("\"0\"", false),
];

/// How a schema marks JSON text.
pub(super) const JSON_NAME: &str = "io.debezium.data.Json";

const JSONS: [&str; 12] = [
    "true",
    "\"a \\u0022string\\u0022 keeps its quotes\"",
    "12345678901234567890.1234567890",
    "1e999",
    "{ \"z\" : 1,\n  \"a\": [ ] }",
    "{}",
    "[]",
    "{\"twice\":1,\"twice\":2}",
    "\"half \\ud83d\"",
    "\"ação 😀\"",
    "-0.0",
    "[[[{\"deep\":[null,false]}]]]",
];

pub(super) fn pick<'a, T: ?Sized>(dice: &mut Dice, from: &[&'a T]) -> &'a T {
    from[dice.roll(from.len() as u64) as usize]
}

pub(super) fn space(dice: &mut Dice) -> &'static str {
    pick(dice, &["", "", "", " ", "\n    ", "\r\n\t"])
}

/// A key in quotes, sometimes with an escape that changes nothing.
pub(super) fn key_text(name: &str, dice: &mut Dice) -> String {
    let plain = Value::from(name).to_string();
    let first = name.chars().next().filter(char::is_ascii_alphanumeric);
    match first {
        Some(first) if dice.roll(8) == 0 => {
            let mut text = String::from("\"");
            let _ = write!(text, "\\u{:04x}", first as u32);
            text + &plain[2..]
        }
        _ => plain,
    }
}

/// Any JSON but null.
pub(super) fn some_json(dice: &mut Dice, depth: u64) -> String {
    match dice.roll(depth + 2) {
        0 | 1 => JSONS[dice.roll(JSONS.len() as u64) as usize].to_owned(),
        2 => format!("[{}{},{}]", space(dice), some_json(dice, depth - 1), some_json(dice, depth - 1)),
        _ => format!("{{{}\"k\":{}{}}}", space(dice), space(dice), some_json(dice, depth - 1)),
    }
}

/// The instant that a JSON text of [`scalar`]'s making says, unless it is a date alone.
pub(super) fn instant(text: &str) -> Option<i64> {
    INSTANTS.iter().find(|(spelling, _, has_time)| *spelling == text && *has_time).map(|(_, millis, _)| *millis)
}

/// A value that fits, and what is due in the record.
pub(super) fn scalar(ty: &Value, dice: &mut Dice) -> (String, Value) {
    let name = ty["logicalType"].as_str().or(ty["type"].as_str()).or(ty.as_str()).unwrap_or_default();
    if ty["connect.name"] == JSON_NAME {
        let text = some_json(dice, 3);
        return (text.clone(), text.into());
    }
    match name {
        "uuid" => {
            let uuid = uuid(dice);
            let sent = if dice.roll(3) == 0 { uuid.to_uppercase() } else { uuid.clone() };
            (format!("\"{sent}\""), uuid.into())
        }
        "timestamp-millis" => {
            let (text, millis, _) = INSTANTS[dice.roll(INSTANTS.len() as u64) as usize];
            (text.to_owned(), millis.into())
        }
        "date" => ("\"2026-06-30\"".to_owned(), 20_634.into()),
        "long" => {
            let (text, value) = LONGS[dice.roll(LONGS.len() as u64) as usize];
            (text.to_owned(), value.into())
        }
        "double" => {
            let (text, value) = DOUBLES[dice.roll(DOUBLES.len() as u64) as usize];
            (text.to_owned(), json!(value))
        }
        "boolean" => {
            let (text, value) = BOOLEANS[dice.roll(BOOLEANS.len() as u64) as usize];
            (text.to_owned(), value.into())
        }
        "string" => {
            let (text, value) = TEXTS[dice.roll(TEXTS.len() as u64) as usize];
            (text.to_owned(), value.into())
        }
        other => panic!("no type of ours: {other}"),
    }
}

/// A value that does not fit an optional field, and what is due there: null, but for half an emoji.
pub(super) fn misfit(ty: &Value, dice: &mut Dice) -> (String, Value) {
    let name = ty["logicalType"].as_str().or(ty["type"].as_str()).or(ty.as_str()).unwrap_or_default();
    let texts: &[&str] = match name {
        "uuid" => &["\"not-a-uuid\"", "7", "\"\"", "{\"id\": 1}"],
        "timestamp-millis" => &["\"soon\"", "true", "\"2026-02-30T00:00:00Z\"", "1e30", "[]", "0", "20260602120500"],
        "date" => &["\"2026-13-01\"", "20260630", "\"2026-06-30T00:00:00Z\""],
        "long" => &["1.5", "\"seven\"", "true", "9223372036854775808", "[1]", "\" 7\""],
        "double" => &["\"1,5\"", "false", "1e999", "\"\"", "{}", "9007199254740993", "\"12345678901234567.89\""],
        "boolean" => &["\"no\"", "2", "[ ]", "\"\""],
        "array" => &["{\"0\": 1}", "\"none\"", "0", "[{\"id\": 1}, [\"no item of ours\"]]"],
        "string" => {
            if dice.roll(2) == 0 {
                return ("\"half \\uD83D.\"".to_owned(), "half \u{FFFD}.".into());
            }
            &["true", "[\"a\"]", "{\"a\":  1}"]
        }
        _ => &["\"a name instead of an object\"", "7", "[]", "false"],
    };
    // An array of JSON takes any item.
    let texts = if name == "array" && ty["items"]["connect.name"] == JSON_NAME { &texts[..3] } else { texts };
    (pick(dice, texts).to_owned(), Value::Null)
}

pub(super) fn uuid(dice: &mut Dice) -> String {
    let (high, low) = (dice.roll(1 << 48), dice.roll(1 << 48));
    format!("{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}", high >> 16, high & 0xFFFF, low >> 36, (low >> 24) & 0xFFF, high)
}
