//! Reads topics back: every partition from a place on, each record decoded by its schema in the registry.
//!
//! Partitions are assigned, not subscribed: reading leaves nothing behind in Kafka and waits for no group.

mod consumer;
mod decode;
mod error;
mod newest;
mod places;
mod since;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::metadata::MetadataTopic;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::config::KafkaSettings;
use crate::values::similar::closest;
use consumer::{Consumer, connect, failed};
pub(crate) use decode::{Schemas, render};
pub(crate) use error::{DecodeError, ReadError};
pub(crate) use newest::newest;
pub(crate) use places::{PlaceReader, RecordPlace};
use since::with_newer_records;

/// How long Kafka may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long Kafka may take to show that it is there.
const ANSWER: Duration = Duration::from_secs(1);
/// So many topics are listed where another one was asked for.
const MOST_LISTED: usize = 10;
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
    /// So many records before the end, as offsets count.
    Back(i64),
}

/// It does not say where to begin.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected beginning, end, an offset such as 120, or a time such as 2026-06-02T12:00:00Z")]
pub(crate) struct NoPlace;

impl std::str::FromStr for From {
    type Err = NoPlace;
    fn from_str(text: &str) -> Result<Self, NoPlace> {
        match text {
            "beginning" => Ok(From::Beginning),
            "end" => Ok(From::End),
            _ => match (text.parse(), crate::values::time::parse_iso(text)) {
                (Ok(offset @ 0..), _) => Ok(From::Offset(offset)),
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

/// Those of `topics` that are there.
///
/// # Errors
/// Kafka's own words when it does not tell.
pub(crate) fn those_there(kafka: &KafkaSettings, topics: &[String]) -> Result<Vec<String>, ReadError> {
    let consumer = connect(kafka, "latest")?;
    let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(|e| failed(&consumer, &e))?;
    let is_there = |name: &&String| metadata.topics().iter().any(|topic| topic.name() == name.as_str());
    Ok(topics.iter().filter(is_there).cloned().collect())
}

/// How many partitions `topic` has.
///
/// # Errors
/// Kafka's own words, or that there is no such topic.
pub(crate) fn partitions(kafka: &KafkaSettings, topic: &str) -> Result<u32, ReadError> {
    let consumer = connect(kafka, "latest")?;
    // All topics are asked for: to ask for one by name may make it.
    let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(|e| failed(&consumer, &e))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let count = found.and_then(|found| u32::try_from(found.partitions().len()).ok()).filter(|&count| count > 0);
    count.ok_or_else(|| ReadError::NoTopic { servers: kafka.bootstrap_servers.clone(), topic: topic.to_owned() })
}

/// A partition, by its topic.
type PartitionOf = (String, i32);

/// Reads partitions, in no order between them.
pub(crate) struct Reader {
    consumer: Consumer,
    /// How many records there are at the most, from where it begins.
    records: u64,
    /// Offsets still to be reached, where reading ends at what is there now.
    ends: BTreeMap<PartitionOf, i64>,
    /// Where it begins not at the first record that there is.
    cut: BTreeSet<PartitionOf>,
    /// Partitions that end before the offset at which reading was to begin, with their ends.
    short: BTreeMap<PartitionOf, i64>,
    /// Partitions whose records count only from a time on, since Kafka did not say where that is.
    only_since: BTreeMap<PartitionOf, i64>,
    partitions: usize,
    follow: bool,
    /// Whether there is no connection.
    is_lost: bool,
}

/// What came of a short wait.
pub(crate) enum Polled {
    Record(ReadRecord),
    Nothing,
    /// The connection is lost, and so why; who follows waits for it.
    Lost(ReadError),
    /// It is there again.
    Back,
    /// All that was there when reading began is read.
    End,
}

impl Reader {
    /// Finds the topics that `patterns` name (`*` stands for anything) and begins at `from`. Where a partition ends before an offset,
    /// it begins at that end.
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
        let mut list = partitions_of(kafka, &consumer, patterns, from)?;
        if let From::Time(_) = from {
            list = consumer.offsets_for_times(list, PATIENCE).map_err(|e| failed(&consumer, &e))?;
        }
        let mut reader = Reader { partitions: list.count(), follow, ..Reader::of(consumer, BTreeMap::new()) };
        let fail = |e: KafkaError| failed(&reader.consumer, &e);
        let (mut places, mut ended) = (Vec::new(), BTreeMap::new());
        for element in list.elements() {
            let place = (element.topic().to_owned(), element.partition());
            let (low, high) = reader.consumer.fetch_watermarks(&place.0, place.1, PATIENCE).map_err(fail)?;
            let begins = match (from, element.offset()) {
                (From::Back(count), _) => high.saturating_sub(count).max(low),
                (_, Offset::Offset(offset)) => offset.clamp(low, high),
                (_, Offset::Beginning) => low,
                _ => high,
            };
            if matches!(from, From::Offset(offset) if offset > high) {
                reader.short.insert(place.clone(), high);
            }
            if begins == high && low < high {
                ended.insert(place.clone(), high);
            }
            places.push((place, low, high, begins));
        }
        if let From::Time(since) = from {
            let newer = with_newer_records(kafka, ended, since)?;
            for (place, low, _, begins) in places.iter_mut().filter(|(place, ..)| newer.contains(place)) {
                *begins = *low;
                reader.only_since.insert(place.clone(), since);
            }
        }
        reader.begin(places)?;
        Ok(reader)
    }

    /// One that reads what `consumer` is assigned, up to `ends`.
    fn of(consumer: Consumer, ends: BTreeMap<PartitionOf, i64>) -> Reader {
        let (cut, short, only_since) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Reader { consumer, records: 0, ends, cut, short, only_since, partitions: 0, follow: false, is_lost: false }
    }

    /// Begins in each partition, of which the first offset, the end, and where to begin are given.
    fn begin(&mut self, places: Vec<(PartitionOf, i64, i64, i64)>) -> Result<(), ReadError> {
        let mut assigned = TopicPartitionList::new();
        for (place, low, high, begins) in places {
            // The first may be gone by the time it is asked for: then it is to be the one that is the first by then.
            let offset = if begins == low { Offset::Beginning } else { Offset::Offset(begins) };
            assigned.add_partition_offset(&place.0, place.1, offset).map_err(|e| failed(&self.consumer, &e))?;
            if begins > low {
                self.cut.insert(place.clone());
            }
            if begins < high {
                self.records += (high - begins).unsigned_abs();
                self.ends.insert(place, high);
            }
        }
        self.consumer.assign(&assigned).map_err(|e| failed(&self.consumer, &e))
    }

    /// How many records there are to read, at the most: offsets may be missing between them.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Partitions that end before the offset at which reading was to begin, with their ends; and whether that is all of them.
    pub(crate) fn short(&self) -> (&BTreeMap<(String, i32), i64>, bool) {
        (&self.short, self.short.len() == self.partitions)
    }

    /// From here on, waits for new records.
    pub(crate) fn follow(&mut self) {
        self.follow = true;
    }

    /// The next record; `None` at the end of what was there when reading began, unless it follows.
    ///
    /// # Errors
    /// Kafka's own words.
    pub(crate) fn next(&mut self) -> Result<Option<ReadRecord>, ReadError> {
        loop {
            match self.poll()? {
                Polled::Record(record) => return Ok(Some(record)),
                Polled::End => return Ok(None),
                Polled::Nothing | Polled::Back => {}
                Polled::Lost(error) => return Err(error),
            }
        }
    }

    /// The same, but for a short while only.
    ///
    /// # Errors
    /// Kafka's own words.
    pub(crate) fn poll(&mut self) -> Result<Polled, ReadError> {
        if !self.follow && self.ends.is_empty() {
            return Ok(Polled::End);
        }
        let Some(polled) = self.consumer.poll(POLL) else {
            if self.is_lost && self.is_connected() {
                self.is_lost = false;
                return Ok(Polled::Back);
            }
            self.strike_off_what_was_passed()?;
            return Ok(Polled::Nothing);
        };
        let message = match polled {
            Ok(message) => message,
            // Who follows waits for Kafka to come back, as the client does.
            Err(error) if self.follow && !matches!(error.rdkafka_error_code(), Some(Code::Fatal)) => {
                return Ok(self.lost(&error));
            }
            Err(error) => return Err(failed(&self.consumer, &error)),
        };
        let place = (message.topic().to_owned(), message.partition());
        if self.ends.get(&place).is_some_and(|&end| message.offset() + 1 >= end) {
            self.ends.remove(&place);
        }
        let record = ReadRecord::from(&message);
        let since = self.only_since.get(&place).copied();
        let is_earlier = since.is_some_and(|since| record.timestamp.is_none_or(|timestamp| timestamp < since));
        Ok(if is_earlier { Polled::Nothing } else { Polled::Record(record) })
    }

    /// What an error means to who follows. One broker of several may be away.
    fn lost(&mut self, error: &KafkaError) -> Polled {
        let is_new = !self.is_lost && error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        if !is_new || self.is_connected() {
            return Polled::Nothing;
        }
        self.is_lost = true;
        Polled::Lost(failed(&self.consumer, error))
    }

    fn is_connected(&self) -> bool {
        self.consumer.fetch_metadata(None, ANSWER).is_ok()
    }

    /// A partition may end in what is no record (a transaction's marker): then only the position tells.
    fn strike_off_what_was_passed(&mut self) -> Result<(), ReadError> {
        let positions = self.consumer.position().map_err(|e| failed(&self.consumer, &e))?;
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

/// The partitions of all topics that `patterns` name, each once.
fn partitions_of(
    kafka: &KafkaSettings,
    consumer: &Consumer,
    patterns: &[String],
    from: From,
) -> Result<TopicPartitionList, ReadError> {
    let fail = |e: KafkaError| failed(consumer, &e);
    let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(fail)?;
    let mut found = BTreeSet::new();
    for pattern in patterns {
        let mut any = false;
        for topic in metadata.topics().iter().filter(|topic| matches(pattern, topic.name())) {
            any = true;
            found.extend(topic.partitions().iter().map(|partition| (topic.name(), partition.id())));
        }
        if !any {
            let hint = hint(pattern, metadata.topics().iter().map(MetadataTopic::name).collect());
            return Err(ReadError::NoMatch {
                servers: kafka.bootstrap_servers.clone(),
                pattern: pattern.clone(),
                hint,
            });
        }
    }
    let mut list = TopicPartitionList::new();
    for (topic, partition) in found {
        list.add_partition_offset(topic, partition, offset(from)).map_err(fail)?;
    }
    Ok(list)
}

/// Which of the topics that are there is probably meant by `pattern`; or which there are.
fn hint(pattern: &str, mut there: Vec<&str>) -> String {
    // Those are Kafka's own.
    there.retain(|topic| !topic.starts_with("__"));
    there.sort_unstable();
    if let Some(meant) = closest(pattern, there.iter().copied()) {
        return format!("did you mean {meant}?");
    }
    let more = there.len().saturating_sub(MOST_LISTED);
    there.truncate(MOST_LISTED);
    match (there.is_empty(), more) {
        (true, _) => "it has no topics".to_owned(),
        (false, 0) => format!("it has {}", there.join(", ")),
        (false, more) => format!("it has {} and {more} more", there.join(", ")),
    }
}

fn offset(from: From) -> Offset {
    match from {
        From::Beginning => Offset::Beginning,
        From::End | From::Back(_) => Offset::End,
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
    fn who_asks_for_a_topic_that_is_not_there_is_given_those_that_are() {
        let there = || vec!["wegly.lead", "wegly.deal", "__consumer_offsets"];
        assert_eq!(hint("wegly.del", there()), "did you mean wegly.deal?");
        assert_eq!(hint("orders", there()), "it has wegly.deal, wegly.lead");
        assert_eq!(hint("orders", Vec::new()), "it has no topics");
        let many: Vec<String> = (0..13).map(|at| format!("t{at:02}")).collect();
        assert!(hint("orders", many.iter().map(String::as_str).collect()).ends_with("t09 and 3 more"));
    }

    #[test]
    fn a_place_to_begin_has_four_forms() {
        assert_eq!("beginning".parse(), Ok(From::Beginning));
        assert_eq!("17".parse(), Ok(From::Offset(17)));
        assert_eq!("2026-06-02T12:00:00Z".parse(), Ok(From::Time(1_780_401_600_000)));
        for text in ["yesterday", "-5", ""] {
            assert_eq!(text.parse::<From>(), Err(NoPlace), "{text}");
        }
    }
}
