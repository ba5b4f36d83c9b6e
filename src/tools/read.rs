//! Reads topics back: every partition from a place on, each record decoded by its schema in the registry.
//!
//! Partitions are assigned, not subscribed: reading leaves nothing behind in Kafka and waits for no group.

mod decode;
mod error;
mod places;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::KafkaSettings;
pub(crate) use decode::{Schemas, render};
pub(crate) use error::{DecodeError, ReadError};
pub(crate) use places::{PlaceReader, RecordPlace};

/// How long Kafka may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one wait for records lasts.
const POLL: Duration = Duration::from_millis(250);

/// Where to begin in each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Beginning,
    End,
    Offset(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

/// It does not say where to begin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected beginning, end, an offset or a time such as 2026-06-02T12:00:00Z")]
pub(crate) struct NoPlace;

impl std::str::FromStr for From {
    type Err = NoPlace;
    fn from_str(text: &str) -> Result<Self, NoPlace> {
        match text {
            "beginning" => Ok(From::Beginning),
            "end" => Ok(From::End),
            _ => match (text.parse(), crate::values::time::parse_iso(text)) {
                (Ok(offset), _) => Ok(From::Offset(offset)),
                (_, Some(instant)) => Ok(From::Time(instant.millis)),
                _ => Err(NoPlace),
            },
        }
    }
}

/// A record as it was read.
#[derive(Clone, Debug)]
pub(crate) struct ReadRecord {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    /// `None` is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl ReadRecord {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }

    pub(crate) fn place(&self) -> RecordPlace {
        RecordPlace { partition: self.partition, offset: self.offset }
    }
}

impl std::convert::From<&BorrowedMessage<'_>> for ReadRecord {
    fn from(message: &BorrowedMessage<'_>) -> ReadRecord {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        ReadRecord {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect(),
        }
    }
}

/// A consumer that is assigned its partitions, and leaves nothing behind. Where it has to begin at a record that is gone,
/// it goes on with the `earliest` there is or the `latest`.
fn connect(kafka: &KafkaSettings, when_gone: &str) -> Result<BaseConsumer, ReadError> {
    let mut config = ClientConfig::new();
    config.set("ssl.ca.location", "probe").set("client.id", "hookbridge");
    config.extend(kafka.properties.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())));
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("group.id", "hookbridge-reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .set("auto.offset.reset", when_gone);
    config.create().map_err(ReadError::Consumer)
}

fn failed(kafka: &KafkaSettings, error: KafkaError) -> ReadError {
    ReadError::Kafka { servers: kafka.bootstrap_servers.clone(), error }
}

/// Those of `topics` that are there.
///
/// # Errors
/// Kafka's own words when it does not tell.
pub(crate) fn those_there(kafka: &KafkaSettings, topics: &[String]) -> Result<Vec<String>, ReadError> {
    let metadata = connect(kafka, "latest")?.fetch_metadata(None, PATIENCE).map_err(|e| failed(kafka, e))?;
    let is_there = |name: &&String| metadata.topics().iter().any(|topic| topic.name() == name.as_str());
    Ok(topics.iter().filter(is_there).cloned().collect())
}

/// How many partitions `topic` has.
///
/// # Errors
/// Kafka's own words, or that there is no such topic.
pub(crate) fn partitions(kafka: &KafkaSettings, topic: &str) -> Result<u32, ReadError> {
    let fail = |e: KafkaError| failed(kafka, e);
    // All topics are asked for: to ask for one by name may make it.
    let metadata = connect(kafka, "latest")?.fetch_metadata(None, PATIENCE).map_err(fail)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let count = found.and_then(|found| u32::try_from(found.partitions().len()).ok()).filter(|&count| count > 0);
    count.ok_or_else(|| ReadError::NoTopic { servers: kafka.bootstrap_servers.clone(), topic: topic.to_owned() })
}

/// Reads partitions, in no order between them.
pub(crate) struct Reader {
    consumer: BaseConsumer,
    /// How many records there are at the most, from where it begins.
    records: u64,
    /// Offsets still to be reached, where reading ends at what is there now.
    ends: BTreeMap<(String, i32), i64>,
    follow: bool,
}

impl Reader {
    /// Finds the topics that `patterns` name (`*` stands for anything) and begins at `from`.
    ///
    /// # Errors
    /// Kafka's own words, or that no topic is called so.
    pub(crate) fn open(
        kafka: &KafkaSettings,
        patterns: &[String],
        from: From,
        follow: bool,
    ) -> Result<Reader, ReadError> {
        let consumer = connect(kafka, "latest")?;
        let fail = |e: KafkaError| failed(kafka, e);
        let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(fail)?;
        let mut list = TopicPartitionList::new();
        for pattern in patterns {
            let found = metadata.topics().iter().filter(|t| matches(pattern, t.name()));
            let mut any = false;
            for topic in found {
                any = true;
                for partition in topic.partitions() {
                    list.add_partition_offset(topic.name(), partition.id(), offset(from)).map_err(fail)?;
                }
            }
            if !any {
                let servers = kafka.bootstrap_servers.clone();
                return Err(ReadError::NoMatch { servers, pattern: pattern.clone() });
            }
        }
        if let From::Time(_) = from {
            list = consumer.offsets_for_times(list, PATIENCE).map_err(fail)?;
        }
        let (mut ends, mut records) = (BTreeMap::new(), 0);
        for element in list.elements() {
            let (low, high) =
                consumer.fetch_watermarks(element.topic(), element.partition(), PATIENCE).map_err(fail)?;
            let begins = match element.offset() {
                Offset::Offset(offset) => offset.max(low),
                Offset::Beginning => low,
                _ => high,
            };
            if begins < high {
                records += (high - begins).unsigned_abs();
                ends.insert((element.topic().to_owned(), element.partition()), high);
            }
        }
        consumer.assign(&list).map_err(fail)?;
        Ok(Reader { consumer, records, ends, follow })
    }

    /// How many records there are to read, at the most: offsets may be missing between them.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// The next record; `None` at the end of what was there when reading began, unless it follows.
    ///
    /// # Errors
    /// Kafka's own words.
    pub(crate) fn next(&mut self) -> Result<Option<ReadRecord>, ReadError> {
        loop {
            if !self.follow && self.ends.is_empty() {
                return Ok(None);
            }
            let Some(polled) = self.consumer.poll(POLL) else {
                self.strike_off_what_was_passed()?;
                continue;
            };
            let message = match polled {
                Ok(message) => message,
                // Who follows waits for Kafka to come back, as the client does.
                Err(error) if self.follow && !matches!(error.rdkafka_error_code(), Some(Code::Fatal)) => continue,
                Err(error) => return Err(ReadError::Consumer(error)),
            };
            let place = (message.topic().to_owned(), message.partition());
            if self.ends.get(&place).is_some_and(|&end| message.offset() + 1 >= end) {
                self.ends.remove(&place);
            }
            return Ok(Some(ReadRecord::from(&message)));
        }
    }
}

impl Reader {
    /// A partition may end in what is no record (a transaction's marker): then only the position tells.
    fn strike_off_what_was_passed(&mut self) -> Result<(), ReadError> {
        let positions = self.consumer.position().map_err(ReadError::Consumer)?;
        for element in positions.elements() {
            let place = (element.topic().to_owned(), element.partition());
            if let (Offset::Offset(at), Some(&end)) = (element.offset(), self.ends.get(&place))
                && at >= end
            {
                self.ends.remove(&place);
            }
        }
        Ok(())
    }
}

fn offset(from: From) -> Offset {
    match from {
        From::Beginning => Offset::Beginning,
        From::End => Offset::End,
        From::Offset(offset) | From::Time(offset) => Offset::Offset(offset),
    }
}

/// Whether `pattern`, in which `*` stands for anything, is `name`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("wegly.deal", "wegly.deal", true),
            ("wegly.deal", "wegly.deals", false),
            ("wegly.*", "wegly.deal", true),
            ("*.deal", "wegly.deal", true),
            ("*", "anything", true),
            ("w*l*.d*", "wegly.deal", true),
            ("w*x*", "wegly.deal", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_place_to_begin_has_four_forms() {
        assert_eq!("beginning".parse(), Ok(From::Beginning));
        assert_eq!("17".parse(), Ok(From::Offset(17)));
        assert_eq!("2026-06-02T12:00:00Z".parse(), Ok(From::Time(1_780_401_600_000)));
        assert!("yesterday".parse::<From>().is_err());
    }
}
