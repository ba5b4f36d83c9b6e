//! What spellings of decimals and times mean, worked out otherwise than the encoder does.

use apache_avro::Decimal;
use serde_json::Value as Json;

/// A decimal without its point, in digits.
pub(super) fn unscaled(decimal: &Decimal) -> String {
    let bytes = Vec::<u8>::try_from(decimal).unwrap();
    let sign = if bytes[0] < 0x80 { 0 } else { 0xff };
    let mut all = [sign; 16];
    all[16 - bytes.len()..].copy_from_slice(&bytes);
    i128::from_be_bytes(all).to_string()
}

/// The same of what was sent: its digits without the point, and zeros to the scale; `None` when there are digits beyond it.
pub(super) fn unscaled_of(spelled: &str, scale: i64) -> Option<String> {
    let (mantissa, exponent) = spelled.split_once(['e', 'E']).unwrap_or((spelled, "0"));
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut digits = format!("{whole}{fraction}");
    let shift = exponent.parse::<i64>().ok()? + scale - fraction.len() as i64;
    for _ in 0..shift.min(100) {
        digits.push('0');
    }
    for _ in shift.max(-100)..0 {
        if digits.pop().is_some_and(|digit| digit != '0') {
            return None;
        }
    }
    let digits = digits.trim_start_matches('0');
    Some(if digits.is_empty() { "0".into() } else { format!("{sign}{digits}") })
}

/// Whether a spelling of a time means `read`, as far as this list has it: the unit tests of spellings judge the others.
pub(super) fn known(spelled: &str, read: &Json) -> bool {
    KNOWN_TIMES.iter().find(|(of, _)| *of == spelled).is_none_or(|(_, value)| *read == *value)
}

/// Times in spellings of the shop, and what they are.
pub(crate) const KNOWN_TIMES: [(&str, i64); 9] = [
    ("2026-06-02T12:00:00.123456Z", 1_780_401_600_123_456),
    ("1355517523.000005", 1_355_517_523_000_005),
    ("1355517523", 1_355_517_523_000_000),
    ("2026-03-03 13:05:57 UTC", 1_772_543_157_000),
    ("03/03/2026 13:05", 1_772_543_100_000),
    ("02/01/1970", 1),
    ("13:05:57.123", 47_157_123),
    ("01:05 PM", 47_100_000_000),
    ("12:00 AM", 0),
];
