//! Scalars: which spellings fit which type, and how they are written.

use uuid::Uuid;

use super::{Encoder, Misfit};
use crate::catalog::FieldKind;
use crate::convert::spelling::{boolean, double, long, timestamp};
use crate::values::json::{self, Document, Node};
use crate::values::uuid_text::uuid;
use crate::values::{redact, time};

/// How well a value fitted.
pub(super) enum Fit {
    Whole,
    /// Half a surrogate pair was replaced; the original has to be kept elsewhere.
    Mended,
}

/// Writes the scalar at `node`.
pub(super) fn write(encoder: &mut Encoder<'_>, kind: &FieldKind, node: Node) -> Result<Fit, Misfit> {
    let doc = encoder.doc;
    match kind {
        FieldKind::Boolean => match boolean(doc, node) {
            Some(value) => encoder.out.push(u8::from(value)),
            None => return misfit(doc, node, "a boolean"),
        },
        FieldKind::Long => match long(doc, node) {
            Some(value) => encoder.long(value),
            None => return misfit(doc, node, "a whole number"),
        },
        FieldKind::Double => match double(doc, node) {
            Some(value) => encoder.out.extend_from_slice(&value.to_le_bytes()),
            None => return misfit(doc, node, "a number that a double holds"),
        },
        FieldKind::String => return string(encoder, node),
        FieldKind::Uuid => match doc.text(node).and_then(|t| uuid(&t.text)) {
            Some(uuid) => encoder.string(uuid.encode_lower(&mut Uuid::encode_buffer())),
            None => return misfit(doc, node, "a UUID"),
        },
        FieldKind::Timestamp => match timestamp(doc, node) {
            Some(instant) => encoder.long(instant.millis),
            None => return misfit(doc, node, "an ISO 8601 date or a Unix time"),
        },
        FieldKind::Date => match doc.text(node).and_then(|t| time::parse_date(&t.text)) {
            Some(days) => encoder.long(i64::from(days)),
            None => return misfit(doc, node, "a date"),
        },
        FieldKind::Json { blanked } => {
            let profile = encoder.profile;
            let names = if *blanked { &profile.guarded } else { &profile.redacted_anywhere };
            encoder.string(&redact::blank(doc.raw(node), names));
        }
        FieldKind::Record(_) | FieldKind::Array(_) | FieldKind::MediaObject { .. } | FieldKind::Derived { .. } => {
            return misfit(doc, node, "a scalar");
        }
    }
    Ok(Fit::Whole)
}

fn misfit(doc: &Document<'_>, node: Node, expected: &str) -> Result<Fit, Misfit> {
    Err(Misfit::rises(format!("got {}, expected {expected}", doc.kind(node).word())))
}

fn string(encoder: &mut Encoder<'_>, node: Node) -> Result<Fit, Misfit> {
    let doc = encoder.doc;
    match doc.kind(node) {
        // A number is taken as spelled.
        json::Kind::Number => encoder.string(doc.raw(node)),
        json::Kind::String => encoder.string(doc.inner(node)),
        json::Kind::Escaped => {
            let text = json::unescape(doc.inner(node));
            // Without escapes there is no JSON text with a key in it.
            let blanked = redact::blank_text(&text.text, &encoder.profile.redacted_anywhere);
            encoder.string(blanked.as_deref().unwrap_or(&text.text));
            if text.lone_surrogate {
                return Ok(Fit::Mended);
            }
        }
        _ => return misfit(doc, node, "a string"),
    }
    Ok(Fit::Whole)
}
