//! Reads ranges of partitions: a consumer that is assigned them, and leaves nothing behind in Kafka.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::{JoinError, spawn_blocking};

use crate::kafka::plain_words;
use crate::kafka::publish::PublishError;
use crate::kafka::route::Headers;

/// How long Kafka may take to answer a question.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long one look for records lasts, and how many it gives at the most.
const LOOK: Duration = Duration::from_millis(200);
const MOST: usize = 1000;
const GROUP_FORBIDDEN: RDKafkaErrorCode = RDKafkaErrorCode::GroupAuthorizationFailed;

/// Why the topics cannot be read now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error("{}", plain_words::of_error(.0))]
    Kafka(#[from] KafkaError),
    /// The task that asked ended early.
    #[error(transparent)]
    Task(#[from] JoinError),
    #[error("not connected")]
    NotConnected,
    #[error("a partition gives nothing of what it has")]
    Stalled,
    #[error("Kafka did not answer in time")]
    Unanswered,
    #[error(transparent)]
    NotWritten(#[from] PublishError),
}

impl FollowError {
    /// Whether a right is missing.
    pub(super) fn is_forbidden(&self) -> bool {
        let code = if let FollowError::Kafka(error) = self { error.rdkafka_error_code() } else { None };
        code == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
    }
}

/// A record of a latest topic.
pub(super) struct FoundState {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Milliseconds since 1970.
    pub(super) timestamp: i64,
    pub(super) key: String,
    /// `None` is a tombstone.
    pub(super) value: Option<Bytes>,
    pub(super) headers: Headers,
}

impl FoundState {
    fn of(message: &BorrowedMessage<'_>) -> FoundState {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let header = |header: rdkafka::message::Header<'_, &[u8]>| {
            (header.key.to_owned().into(), Bytes::copy_from_slice(header.value.unwrap_or_default()))
        };
        FoundState {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or_default(),
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            value: message.payload().map(Bytes::copy_from_slice),
            headers: headers.map(header).collect(),
        }
    }
}

fn is_leaderless(outcome: Result<(), KafkaError>) -> bool {
    let leaderless = RDKafkaErrorCode::LeaderNotAvailable;
    outcome.is_err_and(|error| error.rdkafka_error_code() == Some(leaderless))
}

struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "Kafka client: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // That Kafka is away is said by the watch.
        tracing::debug!(%error, "Kafka client: {reason}");
    }
}

impl ConsumerContext for Quiet {}

/// Partitions of a topic, and from each the offsets that are to be read.
pub(super) type Wanted = BTreeMap<i32, Range<i64>>;

/// A consumer.
pub(super) struct TopicReader(Arc<BaseConsumer<Quiet>>);

impl TopicReader {
    /// Connects in the background. `config` is that of the producers.
    pub(super) fn new(mut config: ClientConfig) -> Result<TopicReader, FollowError> {
        for (name, value) in [
            ("group.id", "hookbridge-reader"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "earliest"),
            ("statistics.interval.ms", "0"),
            // What waits for us is in memory.
            ("queued.max.messages.kbytes", "4096"),
            ("fetch.max.bytes", "4194304"),
            ("fetch.wait.max.ms", "100"),
        ] {
            config.set(name, value);
        }
        for name in ["acks", "enable.idempotence", "partitioner", "linger.ms", "message.max.bytes"] {
            config.remove(name);
        }
        Ok(TopicReader(Arc::new(config.create_with_context(Quiet)?)))
    }

    /// The cluster's id; not every Kafka has one.
    pub(super) async fn cluster(&self) -> Result<Option<String>, FollowError> {
        let consumer = Arc::clone(&self.0);
        let ask = move || {
            let id = consumer.client().fetch_cluster_id(PATIENCE);
            if id.is_some() {
                return Ok(id);
            }
            // None there is, or none yet.
            let answer = consumer.fetch_metadata(None, PATIENCE)?;
            let is_connected = !answer.brokers().is_empty();
            let id = consumer.client().fetch_cluster_id(PATIENCE);
            if is_connected || id.is_some() { Ok(id) } else { Err(FollowError::NotConnected) }
        };
        spawn_blocking(ask).await?
    }

    /// Those of `topics` that are there, with how many partitions each has.
    pub(super) async fn counts(&self, topics: &[Arc<str>]) -> Result<Vec<(Arc<str>, u32)>, FollowError> {
        let consumer = Arc::clone(&self.0);
        // All topics are asked for: to ask for one by name may make it.
        let metadata = spawn_blocking(move || consumer.fetch_metadata(None, PATIENCE)).await??;
        // Brokers that have not been taken in by a controller know of nothing.
        if metadata.brokers().is_empty() {
            return Err(FollowError::NotConnected);
        }
        let of = |topic: &Arc<str>| {
            let found = metadata.topics().iter().find(|found| found.name() == &**topic && found.error().is_none())?;
            let count = u32::try_from(found.partitions().len()).ok().filter(|&count| count > 0)?;
            Some((Arc::clone(topic), count))
        };
        Ok(topics.iter().filter_map(of).collect())
    }

    /// The ends of partitions, those of each topic by their number: the offsets that their next records get; `None` where nobody leads.
    pub(super) async fn ends(&self, partitions: &[(Arc<str>, u32)]) -> Result<Vec<Vec<Option<i64>>>, FollowError> {
        let mut list = TopicPartitionList::new();
        for (topic, count) in partitions {
            for partition in 0..i32::try_from(*count).unwrap_or(i32::MAX) {
                list.add_partition_offset(topic, partition, Offset::End)?;
            }
        }
        let consumer = Arc::clone(&self.0);
        let ask = move || {
            let found = consumer.offsets_for_times(list, PATIENCE)?;
            if found.elements().iter().any(|element| is_leaderless(element.error())) {
                // librdkafka does not look for a leader again that was missing when it last looked.
                let _ = consumer.fetch_metadata(None, PATIENCE);
            }
            Ok::<_, KafkaError>(found)
        };
        let found = spawn_blocking(ask).await??;
        let mut ends: Vec<Vec<Option<i64>>> = partitions.iter().map(|(_, count)| vec![None; *count as usize]).collect();
        for element in found.elements() {
            if is_leaderless(element.error()) {
                continue;
            }
            element.error()?;
            let at = partitions.iter().position(|(topic, _)| **topic == *element.topic());
            let place = at.and_then(|at| ends[at].get_mut(usize::try_from(element.partition()).ok()?));
            if let (Some(place), Offset::Offset(end)) = (place, element.offset()) {
                *place = Some(end);
            }
        }
        Ok(ends)
    }

    /// Begins to read a topic.
    pub(super) async fn begin(&self, topic: &str, wanted: &Wanted) -> Result<(), FollowError> {
        let mut list = TopicPartitionList::new();
        for (&partition, offsets) in wanted {
            list.add_partition_offset(topic, partition, Offset::Offset(offsets.start))?;
        }
        let consumer = Arc::clone(&self.0);
        Ok(spawn_blocking(move || consumer.assign(&list)).await??)
    }

    /// Reads nothing any more.
    pub(super) async fn stop(&self) -> Result<(), FollowError> {
        let consumer = Arc::clone(&self.0);
        Ok(spawn_blocking(move || consumer.unassign()).await??)
    }

    /// The next records of what was begun; takes from `wanted` what has been read to its end.
    pub(super) async fn next(
        &self,
        topic: &Arc<str>,
        mut wanted: Wanted,
    ) -> Result<(Vec<FoundState>, Wanted), FollowError> {
        let (consumer, topic) = (Arc::clone(&self.0), Arc::clone(topic));
        let look = move || {
            let mut found = Vec::new();
            while found.len() < MOST && !wanted.is_empty() {
                let message = match consumer.poll(if found.is_empty() { LOOK } else { Duration::ZERO }) {
                    None => break,
                    Some(Ok(message)) => message,
                    Some(Err(KafkaError::PartitionEOF(partition))) => {
                        wanted.remove(&partition);
                        continue;
                    }
                    // Nobody here needs the group.
                    Some(Err(error)) if error.rdkafka_error_code() == Some(GROUP_FORBIDDEN) => continue,
                    Some(Err(error)) => return Err(error),
                };
                let offsets = wanted.get(&message.partition()).filter(|_| message.topic() == &*topic);
                let Some(offsets) = offsets else { continue };
                if offsets.contains(&message.offset()) {
                    found.push(FoundState::of(&message));
                }
                if message.offset() + 1 >= offsets.end {
                    wanted.remove(&message.partition());
                }
            }
            Ok((found, wanted))
        };
        Ok(spawn_blocking(look).await??)
    }
}
