//! What Kafka has: a topic's records, taken apart as far as the checks need it, without asking a registry.

use std::fmt;

use crate::support::reader::Record;

/// A record as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Without prefix.
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Its place among the records read of its topic.
    pub(crate) place: usize,
    pub(crate) key: String,
    /// `ce_id`.
    pub(crate) id: String,
    /// `hookbridge_reason`; empty unless it is a dead letter.
    pub(crate) reason: String,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Avro(Avro),
    /// The raw body.
    DeadLetter(Vec<u8>),
    Other,
}

/// A record of ours: its first field is `event` of the type `hookbridge.Event`, and all its fields come first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Avro {
    pub(crate) schema_id: u32,
    pub(crate) id: String,
    pub(crate) entity_id: String,
    /// Milliseconds since 1970.
    pub(crate) received_at: i64,
    /// All the bytes but the frame and `received_at`.
    pub(crate) rest: Vec<u8>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Found { topic, partition, place, key, id, .. } = self;
        write!(f, "record {place} of {topic} (partition {partition}), key {key}, ce_id {id}")
    }
}

impl Found {
    pub(crate) fn of(place: usize, prefix: &str, record: &Record) -> Found {
        let topic = record.topic.strip_prefix(prefix).unwrap_or(&record.topic).to_owned();
        let value = if topic == crate::events::DEAD_LETTERS {
            Value::DeadLetter(record.value.clone())
        } else {
            avro(&record.value).map_or(Value::Other, Value::Avro)
        };
        let header = |name| record.header(name).unwrap_or_default().to_owned();
        let (id, reason) = (header("ce_id"), header("hookbridge_reason"));
        Found { topic, partition: record.partition, place, key: record.key.clone(), id, reason, value }
    }
}

/// Takes Confluent's frame and the `hookbridge.Event` in it apart.
fn avro(value: &[u8]) -> Option<Avro> {
    let (&[0, a, b, c, d], datum) = value.split_first_chunk::<5>()? else { return None };
    let mut left = datum;
    let id = text(&mut left)?;
    let (_event_type, _source, entity_id) = (text(&mut left)?, text(&mut left)?, text(&mut left)?);
    if long(&mut left)? == 1 {
        let _occurred_at = long(&mut left)?;
    }
    let before = datum.len() - left.len();
    let received_at = long(&mut left)?;
    let rest = [&datum[..before], left].concat();
    Some(Avro { schema_id: u32::from_be_bytes([a, b, c, d]), id, entity_id, received_at, rest })
}

/// Avro's zigzag number of variable length.
fn long(left: &mut &[u8]) -> Option<i64> {
    let mut bits = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = left.split_first()?;
        *left = after;
        bits |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some((bits >> 1) as i64 ^ -((bits & 1) as i64));
        }
    }
    None
}

fn text(left: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(long(left)?).ok()?;
    let (text, after) = left.split_at_checked(length)?;
    *left = after;
    String::from_utf8(text.to_vec()).ok()
}
