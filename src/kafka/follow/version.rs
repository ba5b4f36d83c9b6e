//! The time of a state, read from its record: the one field, by the schema that the record names.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, RecordSchema as AvroRecord, UuidSchema};

use crate::values::time::Resolution;

/// A long takes no more bytes than this.
const LONGEST: u32 = 10;

/// Where in a record's bytes a time is.
pub(super) struct TimePath {
    schema: Schema,
    named: HashMap<Name, Schema>,
    steps: Vec<String>,
}

/// A record does not follow its schema.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnfitBytes;

impl TimePath {
    /// Of the field at `path`, such as `deal.updated_at`; `None` when `schema` is none.
    pub(super) fn new(schema: &str, path: &str) -> Option<TimePath> {
        let schema = Schema::parse_str(schema).ok()?;
        let mut named = HashMap::new();
        collect(&schema, &mut named);
        Some(TimePath { schema, named, steps: path.split('.').map(str::to_owned).collect() })
    }

    /// The time in a record, in milliseconds since 1970; `None` when it is null, or the schema has no such field.
    pub(super) fn read(&self, mut avro: &[u8]) -> Result<Option<i64>, UnfitBytes> {
        self.find(&self.schema, &self.steps, &mut avro)
    }

    fn find(&self, schema: &Schema, steps: &[String], bytes: &mut &[u8]) -> Result<Option<i64>, UnfitBytes> {
        match (self.resolve(schema), steps) {
            (Schema::Union(union), _) => {
                let branch = usize::try_from(long(bytes)?).map_err(|_| UnfitBytes)?;
                self.find(union.variants().get(branch).ok_or(UnfitBytes)?, steps, bytes)
            }
            (Schema::Long | Schema::TimestampMillis, []) => long(bytes).map(Some),
            (Schema::TimestampMicros, []) => Ok(Some(Resolution::Micros.to_millis(long(bytes)?))),
            (Schema::Record(AvroRecord { fields, .. }), [step, rest @ ..]) => {
                for field in fields {
                    if field.name == *step {
                        return self.find(&field.schema, rest, bytes);
                    }
                    self.skip(&field.schema, bytes)?;
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Schema) -> &'a Schema {
        match schema {
            Schema::Ref { name } => self.named.get(name).unwrap_or(schema),
            other => other,
        }
    }

    fn skip(&self, schema: &Schema, bytes: &mut &[u8]) -> Result<(), UnfitBytes> {
        match self.resolve(schema) {
            Schema::Null => Ok(()),
            Schema::Boolean => advance(bytes, 1),
            Schema::Float => advance(bytes, 4),
            Schema::Double => advance(bytes, 8),
            Schema::Fixed(fixed) | Schema::Duration(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) => {
                advance(bytes, fixed.size)
            }
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Fixed(fixed) => advance(bytes, fixed.size),
                InnerDecimalSchema::Bytes => text(bytes),
            },
            Schema::Bytes | Schema::String | Schema::BigDecimal | Schema::Uuid(_) => text(bytes),
            Schema::Record(AvroRecord { fields, .. }) => {
                fields.iter().try_for_each(|field| self.skip(&field.schema, bytes))
            }
            Schema::Union(union) => {
                let branch = usize::try_from(long(bytes)?).map_err(|_| UnfitBytes)?;
                self.skip(union.variants().get(branch).ok_or(UnfitBytes)?, bytes)
            }
            Schema::Array(array) => self.skip_blocks(&[&array.items], bytes),
            Schema::Map(map) => self.skip_blocks(&[&Schema::String, &map.types], bytes),
            // A name that nothing has.
            Schema::Ref { .. } => Err(UnfitBytes),
            // All others are numbers of a variable length.
            _ => long(bytes).map(drop),
        }
    }

    /// Blocks of items: so many, or, if the count is negative, as many bytes as follow it.
    fn skip_blocks(&self, item: &[&Schema], bytes: &mut &[u8]) -> Result<(), UnfitBytes> {
        loop {
            match long(bytes)? {
                0 => return Ok(()),
                ..0 => text(bytes)?,
                count => {
                    for _ in 0..count {
                        // Items of no bytes would let a large count take for ever.
                        if bytes.is_empty() {
                            return Err(UnfitBytes);
                        }
                        item.iter().try_for_each(|schema| self.skip(schema, bytes))?;
                    }
                }
            }
        }
    }
}

fn collect(schema: &Schema, named: &mut HashMap<Name, Schema>) {
    if let Some(name) = schema.name().filter(|_| !matches!(schema, Schema::Ref { .. })) {
        named.insert(name.clone(), schema.clone());
    }
    match schema {
        Schema::Record(record) => record.fields.iter().for_each(|field| collect(&field.schema, named)),
        Schema::Union(union) => union.variants().iter().for_each(|branch| collect(branch, named)),
        Schema::Array(array) => collect(&array.items, named),
        Schema::Map(map) => collect(&map.types, named),
        _ => {}
    }
}

fn advance(bytes: &mut &[u8], by: usize) -> Result<(), UnfitBytes> {
    *bytes = bytes.get(by..).ok_or(UnfitBytes)?;
    Ok(())
}

/// Bytes behind their length.
fn text(bytes: &mut &[u8]) -> Result<(), UnfitBytes> {
    let length = usize::try_from(long(bytes)?).map_err(|_| UnfitBytes)?;
    advance(bytes, length)
}

/// A number of a variable length, zigzag.
fn long(bytes: &mut &[u8]) -> Result<i64, UnfitBytes> {
    let mut value = 0_u64;
    for at in 0..LONGEST {
        let (&byte, rest) = bytes.split_first().ok_or(UnfitBytes)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(UnfitBytes)
}

#[cfg(test)]
mod tests;
