//! From a Kafka value to readable JSON, by the schema that its id names.
//!
//! Instants, dates and times of day become ISO 8601, decimals texts with all their digits, bytes base64, and JSON text becomes
//! the JSON it is, verbatim but on one line.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::{Decimal, Schema};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::error::{AvroError, DecodeError};
use crate::catalog::schema::{definitions, with_full_names};
use crate::kafka::registry::SchemaReader;
use crate::values::time::{self, Resolution};

/// The schemas met so far, by id.
pub(crate) struct Schemas {
    registry: SchemaReader,
    known: BTreeMap<u32, (Schema, Json)>,
}

impl Schemas {
    pub(crate) fn new(registry: SchemaReader) -> Self {
        Schemas { registry, known: BTreeMap::new() }
    }

    /// The value as one line of JSON.
    ///
    /// # Errors
    /// When it is not framed, its schema is not to be had, or it does not follow it.
    pub(crate) async fn json_of(&mut self, value: &[u8]) -> Result<String, DecodeError> {
        let (id, avro) = unframed(value)?;
        let (schema, json) = self.schema(id).await?;
        decode(schema, json, avro).map_err(|error| DecodeError::Unfit { id, error })
    }

    /// Each `extra` of the value that is not null: the full name of the record that it stands in, and its text.
    ///
    /// # Errors
    /// When it is not framed, its schema is not to be had, or it does not follow it.
    pub(crate) async fn extras_of(&mut self, value: &[u8]) -> Result<Vec<(String, String)>, DecodeError> {
        let (id, avro) = unframed(value)?;
        let (schema, json) = self.schema(id).await?;
        let value = read(schema, avro).map_err(|error| DecodeError::Unfit { id, error })?;
        let mut found = Vec::new();
        find_extras(json, &definitions(json), &value, &mut found);
        Ok(found)
    }

    async fn schema(&mut self, id: u32) -> Result<&(Schema, Json), DecodeError> {
        Ok(match self.known.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let parsed = parse(&self.registry.schema(id).await?);
                place.insert(parsed.map_err(|error| DecodeError::Unfit { id, error })?)
            }
        })
    }
}

/// A value's schema id, and the record.
fn unframed(value: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    let [0, a, b, c, d, avro @ ..] = value else { return Err(DecodeError::NotFramed) };
    Ok((u32::from_be_bytes([*a, *b, *c, *d]), avro))
}

/// A record without frame as one line of JSON, by the text of its schema.
///
/// # Errors
/// When the schema is none, or the record does not follow it.
pub(crate) fn render(schema: &str, avro: &[u8]) -> Result<String, AvroError> {
    let (schema, json) = parse(schema)?;
    decode(&schema, &json, avro)
}

fn parse(schema: &str) -> Result<(Schema, Json), AvroError> {
    let json = serde_json::from_str(schema)?;
    Ok((Schema::parse(&json)?, with_full_names(&json)))
}

fn read(schema: &Schema, mut avro: &[u8]) -> Result<Avro, AvroError> {
    Ok(GenericDatumReader::builder(schema).build()?.read_value(&mut avro)?)
}

fn decode(schema: &Schema, json: &Json, avro: &[u8]) -> Result<String, AvroError> {
    let value = read(schema, avro)?;
    let mut out = String::new();
    write(&mut out, json, &definitions(json), &value);
    Ok(out)
}

fn write(out: &mut String, ty: &Json, names: &BTreeMap<&str, &Json>, value: &Avro) {
    let ty = ty.as_str().and_then(|name| names.get(name).copied()).unwrap_or(ty);
    match value {
        Avro::Union(index, value) => {
            let branch = ty.as_array().and_then(|branches| branches.get(*index as usize)).unwrap_or(&Json::Null);
            write(out, branch, names, value);
        }
        Avro::Record(fields) => {
            let types = ty["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            list(out, ['{', '}'], fields.iter().enumerate(), |out, (at, (name, value))| {
                let _ = write!(out, "{}:", Json::from(name.as_str()));
                write(out, types.get(at).map_or(&Json::Null, |field| &field["type"]), names, value);
            });
        }
        Avro::Array(items) => list(out, ['[', ']'], items, |out, item| write(out, &ty["items"], names, item)),
        Avro::Map(entries) => list(out, ['{', '}'], entries, |out, (name, value)| {
            let _ = write!(out, "{}:", Json::from(name.as_str()));
            write(out, &ty["values"], names, value);
        }),
        Avro::String(text) if ty["connect.name"] == "io.debezium.data.Json" => one_line(out, text),
        Avro::TimestampMillis(millis) => _ = write!(out, "\"{}\"", time::to_rfc3339(*millis)),
        Avro::TimestampMicros(micros) => _ = write!(out, "\"{}\"", time::micros_to_rfc3339(*micros)),
        Avro::TimeMillis(ticks) => {
            let _ = write!(out, "\"{}\"", time::to_time_of_day(i64::from(*ticks), Resolution::Millis));
        }
        Avro::TimeMicros(ticks) => _ = write!(out, "\"{}\"", time::to_time_of_day(*ticks, Resolution::Micros)),
        Avro::Decimal(decimal) => {
            let _ = write!(out, "\"{}\"", number(decimal, ty["scale"].as_u64().unwrap_or_default()));
        }
        Avro::Bytes(bytes) => _ = write!(out, "\"{}\"", STANDARD.encode(bytes)),
        Avro::Enum(_, symbol) => _ = write!(out, "{}", Json::from(symbol.as_str())),
        // Its shortest form: as a double it would have digits that it does not have.
        Avro::Float(value) if value.is_finite() => _ = write!(out, "{value:?}"),
        Avro::Date(days) => _ = write!(out, "\"{}\"", &time::to_rfc3339(i64::from(*days) * 86_400_000)[..10]),
        other => {
            let json = Json::try_from(other.clone()).unwrap_or_else(|_| Json::from(format!("{other:?}")));
            let _ = write!(out, "{json}");
        }
    }
}

/// A decimal with all its digits. It is shown as a text: as a number most programs would make a double of it.
fn number(decimal: &Decimal, scale: u64) -> String {
    let unscaled = Vec::<u8>::try_from(decimal).unwrap_or_default();
    // At most 38 digits, ours are; of others' longer ones the bytes are shown.
    let Some(value) = whole(&unscaled) else { return STANDARD.encode(unscaled) };
    let (sign, scale) = (if value < 0 { "-" } else { "" }, usize::try_from(scale).unwrap_or_default());
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// A number of its two's complement, if it has at most 16 bytes.
fn whole(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let mut all = [sign; 16];
    all.get_mut(16_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(all))
}

fn find_extras(ty: &Json, names: &BTreeMap<&str, &Json>, value: &Avro, found: &mut Vec<(String, String)>) {
    let ty = ty.as_str().and_then(|name| names.get(name).copied()).unwrap_or(ty);
    match value {
        Avro::Union(index, value) => {
            let branch = ty.as_array().and_then(|branches| branches.get(*index as usize)).unwrap_or(&Json::Null);
            find_extras(branch, names, value, found);
        }
        Avro::Record(fields) => {
            let types = ty["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            for (at, (name, value)) in fields.iter().enumerate() {
                match value {
                    Avro::Union(_, text) if name == "extra" => {
                        if let Avro::String(text) = &**text {
                            found.push((ty["name"].as_str().unwrap_or_default().to_owned(), text.clone()));
                        }
                    }
                    value => {
                        find_extras(types.get(at).map_or(&Json::Null, |field| &field["type"]), names, value, found);
                    }
                }
            }
        }
        Avro::Array(items) => items.iter().for_each(|item| find_extras(&ty["items"], names, item, found)),
        Avro::Map(entries) => entries.values().for_each(|value| find_extras(&ty["values"], names, value, found)),
        _ => {}
    }
}

fn list<T>(out: &mut String, around: [char; 2], items: impl IntoIterator<Item = T>, write: impl Fn(&mut String, T)) {
    out.push(around[0]);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(around[1]);
}

/// Copies JSON text without the white space between its tokens.
fn one_line(out: &mut String, json: &str) {
    let (mut in_string, mut escaped) = (false, false);
    for c in json.chars() {
        if !in_string && c.is_ascii_whitespace() {
            continue;
        }
        out.push(c);
        in_string ^= c == '"' && !escaped;
        escaped = in_string && c == '\\' && !escaped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_text_stays_as_it_is_but_for_white_space_between_tokens() {
        let mut out = String::new();
        one_line(&mut out, "{\"a b\": [1.50,\n \"x \\\" y\\\\\" ] }");
        assert_eq!(out, "{\"a b\":[1.50,\"x \\\" y\\\\\"]}");
    }
    #[test]
    fn values_of_every_type_are_shown_whole() {
        for (ty, avro, due) in [
            (r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#, &b"\x04\x04\xe2"[..], r#""12.50""#),
            (r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#, b"\x02\xff", r#""-0.01""#),
            (r#"{"type":"bytes","logicalType":"decimal","precision":9}"#, b"\x02\xff", r#""-1""#),
            (r#""bytes""#, b"\x04\xfb\xff", r#""+/8=""#),
            (r#""float""#, b"\xcd\xcc\xcc\x3d", "0.1"),
            (r#""int""#, b"\x01", "-1"),
            (r#"{"type":"long","logicalType":"timestamp-micros"}"#, b"\x02", r#""1970-01-01T00:00:00.000001Z""#),
            (r#"{"type":"int","logicalType":"time-millis"}"#, b"\x02", r#""00:00:00.001""#),
            (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, b"\x02", r#""B""#),
            (r#"{"type":"map","values":["null","int"]}"#, b"\x02\x02k\x02\x02\x00", r#"{"k":1}"#),
        ] {
            let schema =
                format!(r#"{{"type":"record","name":"A","namespace":"x","fields":[{{"name":"f","type":{ty}}}]}}"#);
            assert_eq!(render(&schema, avro).unwrap(), format!(r#"{{"f":{due}}}"#), "{ty}");
        }
    }

    #[test]
    fn a_type_is_known_again_when_its_name_is_shortened() {
        let inner = r#"{"type":"record","name":"B","fields":[{"name":"extra","type":{"type":"string","connect.name":"io.debezium.data.Json"}}]}"#;
        let schema = format!(
            r#"{{"type":"record","name":"A","namespace":"x","fields":[{{"name":"one","type":{inner}}},{{"name":"two","type":["null","B"]}},{{"name":"all","type":{{"type":"array","items":"x.B"}}}}]}}"#
        );
        // `{}` as the text of three `extra`, the second behind its branch, the third alone in its list.
        let avro = b"\x04{}\x02\x04{}\x02\x04{}\x00";
        assert_eq!(render(&schema, avro).unwrap(), r#"{"one":{"extra":{}},"two":{"extra":{}},"all":[{"extra":{}}]}"#);
    }
}
