//! Scalars: which spellings fit which type, and how they are written.

use uuid::Uuid;

use super::{Encoder, Misfit};
use crate::catalog::{DecimalSize, EnumSymbols, FieldKind};
use crate::convert::spelling::{base64, boolean, date, decimal, double, float, instant, long, time_of_day};
use crate::values::json::{self, Document, Node};
use crate::values::redact;
use crate::values::uuid_text::uuid;

/// How well a value fitted.
pub(super) enum Fit {
    Whole,
    /// Half a surrogate pair was replaced; the original has to be kept elsewhere.
    Mended,
    /// The default of an enum stands for it; the original has to be kept elsewhere.
    Defaulted,
}

/// Writes the scalar at `node`.
pub(super) fn write(encoder: &mut Encoder<'_>, kind: &FieldKind, node: Node) -> Result<Fit, Misfit> {
    let doc = encoder.doc;
    match kind {
        FieldKind::Boolean => match boolean(doc, node) {
            Some(value) => encoder.out.push(u8::from(value)),
            None => return misfit(doc, node, "a boolean"),
        },
        FieldKind::Int => match long(doc, node).and_then(|value| i32::try_from(value).ok()) {
            Some(value) => encoder.long(value.into()),
            None => return misfit(doc, node, "a whole number of 32 bits"),
        },
        FieldKind::Long => match long(doc, node) {
            Some(value) => encoder.long(value),
            None => return misfit(doc, node, "a whole number"),
        },
        FieldKind::Double => match double(doc, node) {
            Some(value) => encoder.out.extend_from_slice(&value.to_le_bytes()),
            None => return misfit(doc, node, "a number that a double holds"),
        },
        FieldKind::Float => match float(doc, node) {
            Some(value) => encoder.out.extend_from_slice(&value.to_le_bytes()),
            None => return misfit(doc, node, "a number that a float holds"),
        },
        FieldKind::Decimal(size) => match decimal(doc, node, *size) {
            Some(unscaled) => encoder.bytes(shortest(&unscaled.to_be_bytes())),
            None => {
                let DecimalSize { precision, scale } = size;
                return misfit(
                    doc,
                    node,
                    &format!("a decimal of {precision} digits, {scale} of them behind the point"),
                );
            }
        },
        FieldKind::Bytes => match doc.text(node).and_then(|text| base64(&text.text)) {
            Some(bytes) => encoder.bytes(&bytes),
            None => return misfit(doc, node, "base64"),
        },
        FieldKind::Enum(symbols) => return symbol(encoder, symbols, node),
        FieldKind::String => return string(encoder, node),
        FieldKind::Uuid => match doc.text(node).and_then(|t| uuid(&t.text)) {
            Some(uuid) => encoder.string(uuid.encode_lower(&mut Uuid::encode_buffer())),
            None => return misfit(doc, node, "a UUID"),
        },
        FieldKind::Timestamp(resolution, formats) => match instant(doc, node, *resolution, formats.as_ref()) {
            Some(instant) => encoder.long(instant.ticks),
            None if formats.is_some() => return misfit(doc, node, "an instant in the schema's format"),
            None => return misfit(doc, node, "an ISO 8601 date or a Unix time"),
        },
        FieldKind::Date(formats) => match date(doc, node, formats.as_ref()) {
            Some(days) => encoder.long(i64::from(days)),
            None => return misfit(doc, node, "a date"),
        },
        FieldKind::TimeOfDay(resolution, formats) => match time_of_day(doc, node, *resolution, formats.as_ref()) {
            Some(ticks) => encoder.long(ticks),
            None => return misfit(doc, node, "a time of day"),
        },
        FieldKind::Json { blanked } => {
            let profile = encoder.profile;
            let names = if *blanked { &profile.guarded } else { &profile.redacted_anywhere };
            encoder.string(&redact::blank(doc.raw(node), names));
        }
        FieldKind::Record(_)
        | FieldKind::Array(_)
        | FieldKind::Map(_)
        | FieldKind::Nullable(_)
        | FieldKind::MediaObject { .. }
        | FieldKind::Derived { .. } => return misfit(doc, node, "a scalar"),
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

/// Writes the symbol that the value spells; the default where it spells none.
fn symbol(encoder: &mut Encoder<'_>, symbols: &EnumSymbols, node: Node) -> Result<Fit, Misfit> {
    let doc = encoder.doc;
    let found = match doc.kind(node) {
        json::Kind::Array | json::Kind::Object | json::Kind::Null => return misfit(doc, node, "a symbol"),
        _ => match doc.text(node) {
            Some(text) if text.lone_surrogate => None,
            Some(text) => symbols.index(&text.text),
            None => symbols.index(doc.raw(node)),
        },
    };
    encoder.long(found.unwrap_or(symbols.default()).into());
    Ok(if found.is_some() { Fit::Whole } else { Fit::Defaulted })
}

/// A number's two's complement without the bytes in front that say no more than its sign.
fn shortest(bytes: &[u8]) -> &[u8] {
    let is_spare = |pair: &&[u8]| matches!(**pair, [0x00, 0x00..=0x7f] | [0xff, 0x80..=0xff]);
    let spare = bytes.windows(2).take_while(is_spare).count();
    &bytes[spare..]
}
