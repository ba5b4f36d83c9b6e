//! Numbers and times as senders spell them.

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
    let (thousandths, _) = json::scaled(unix, 3)?;
    let whole = thousandths / 1000;
    let millis = match whole.abs() {
        seconds if seconds < SECONDS_BELOW => thousandths,
        millis if millis < MILLIS_BELOW => whole,
        _ => return None,
    };
    Some(time::Iso { millis: time::in_range(i64::try_from(millis).ok()?)?, has_time: true })
}
