//! What one look at Kafka shows: its brokers, and of our topics which are there, with which partitions.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataBroker};
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode;
use tokio::task::JoinError;

use super::super::partitions::Partition;
use super::super::producer::{LastFailure, Producer};
use crate::config::ConfigError;
use crate::kafka::plain_words;
use crate::kafka::route::{Role, TopicSpec};

/// Why a look showed nothing, or not what was to be seen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    /// No producer could be made to look with.
    #[error(transparent)]
    Producer(#[from] ConfigError),
    /// Kafka did not answer.
    #[error("{}", plain_words::of_error(.0))]
    NoAnswer(#[from] KafkaError),
    /// Kafka did not answer, and the client said why before.
    #[error("{}", plain_words::of_error_with(.error, Some(.reason)))]
    NoConnection { error: KafkaError, reason: String },
    /// Brokers that have not been taken in by a controller name nobody, not even themselves.
    #[error("Kafka lists no brokers: none is running, or none has joined the controller")]
    NoBrokers,
    /// It answered, but not to the request to create what is missing.
    #[error("{missing}, and the request to create them failed: {}", plain_words::of_error(.error))]
    NotCreated { missing: String, error: KafkaError },
    /// It answered, and a topic is not there.
    #[error("{0}")]
    Missing(String),
    /// The task that looked ended early.
    #[error(transparent)]
    Task(#[from] JoinError),
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// The ids of the brokers that are up.
    pub(crate) brokers: Vec<i32>,
    /// All topics of ours, in the order they are planned in.
    pub(crate) topics: Vec<TopicState>,
}

/// What a look found about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicState {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// `None` when it is missing.
    pub(crate) partitions: Option<Vec<Partition>>,
    /// Why it could not be made.
    pub(crate) error: Option<String>,
}

impl TopicState {
    /// How many partitions it has.
    pub(super) fn count(&self) -> Option<usize> {
        self.partitions.as_ref().map(Vec::len)
    }

    /// How many replicas the partition with the fewest has.
    pub(super) fn replicas(&self) -> Option<usize> {
        self.partitions.as_ref()?.iter().map(|partition| partition.replicas.len()).min()
    }
}

impl View {
    /// The list of all topics has ours; why one is missing it does not say.
    pub(super) async fn ask(
        producer: &Arc<Producer>,
        reason: &LastFailure,
        specs: &[TopicSpec],
        patience: Duration,
    ) -> Result<View, LookError> {
        let (client, reason) = (Arc::clone(producer), Arc::clone(reason));
        let topics: Vec<_> = specs.iter().map(|spec| (Arc::clone(&spec.name), spec.role)).collect();
        let look = move || {
            let why = || reason.lock().unwrap_or_else(PoisonError::into_inner);
            let metadata = client.client().fetch_metadata(None, patience).map_err(|error| match &*why() {
                Some(reason) => LookError::NoConnection { error, reason: reason.clone() },
                None => LookError::NoAnswer(error),
            })?;
            // librdkafka says the same thing once, not at each attempt: what it said before is over.
            why().take();
            View::of(&metadata, topics)
        };
        tokio::task::spawn_blocking(look).await?
    }

    fn of(metadata: &Metadata, topics: Vec<(Arc<str>, Role)>) -> Result<View, LookError> {
        let brokers: Vec<_> = metadata.brokers().iter().map(MetadataBroker::id).collect();
        if brokers.is_empty() {
            return Err(LookError::NoBrokers);
        }
        let there = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let there: BTreeMap<_, _> = there.map(|topic| (topic.name(), topic.partitions())).collect();
        let state = |(name, role): (Arc<str>, Role)| {
            let partitions = there.get(&*name).map(|told| told.iter().map(Partition::from).collect());
            TopicState { name, role, partitions, error: None }
        };
        Ok(View { brokers, topics: topics.into_iter().map(state).collect() })
    }

    /// The topics that are there.
    pub(super) fn there(&self) -> impl Iterator<Item = &TopicState> {
        self.topics.iter().filter(|topic| topic.partitions.is_some())
    }

    /// One sentence on the topics that are not there.
    pub(super) fn missing(&self) -> Option<String> {
        let missing: Vec<_> = self.topics.iter().filter(|topic| topic.partitions.is_none()).collect();
        let first = missing.first()?;
        let why = first.error.as_ref().map(|e| format!(" ({e})")).unwrap_or_default();
        let others = if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
        Some(format!("missing topic {}{why}{others}", first.name))
    }

    /// All topics that are not there, by name.
    pub(super) fn all_missing(&self) -> String {
        let missing = self.topics.iter().filter(|topic| topic.partitions.is_none());
        let names: Vec<_> = missing.map(|topic| &*topic.name).collect();
        format!("missing topics: {} ({})", names.len(), names.join(", "))
    }

    /// How many partitions a topic that follows from events is to have: as many as most topics of events have.
    pub(super) fn usual(&self) -> Option<usize> {
        let mut by_count: BTreeMap<usize, usize> = BTreeMap::new();
        for count in self.topics.iter().filter(|topic| topic.role == Role::Events).filter_map(TopicState::count) {
            *by_count.entry(count).or_default() += 1;
        }
        by_count.into_iter().max_by_key(|&(_, topics)| topics).map(|(count, _)| count)
    }

    /// One sentence on topics whose partition counts differ, so that they cannot be joined by key, and how to mend it.
    /// Missing topics of events count with the partitions they are `to_be_made` with; the others are made to fit.
    #[must_use]
    pub(crate) fn uneven(&self, to_be_made: Option<i32>) -> Option<String> {
        let usual = self.usual()?;
        let to_be_made = to_be_made.and_then(|count| usize::try_from(count).ok());
        let mut odd: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for topic in self.topics.iter().filter(|topic| topic.role != Role::DeadLetters) {
            let planned = to_be_made.filter(|_| topic.role == Role::Events);
            if let Some(count) = topic.count().or(planned).filter(|&count| count != usual) {
                odd.entry(count).or_default().push(&topic.name);
            }
        }
        let odd: Vec<_> = odd.iter().map(|(count, topics)| format!("{} has {count}", topics.join(", "))).collect();
        (!odd.is_empty()).then(|| {
            format!(
                "partition counts differ: {}, the others have {usual}; topics that are joined by key need the same count: \
                 delete the differing ones and let hookbridge create them again, if their records may go; or, where they have fewer, run \
                 kafka-topics --alter --partitions {usual}, which leaves a key's earlier records in their old partition",
                odd.join("; ")
            )
        })
    }
}

/// Whether Kafka hides a topic that we may not see: a list of all topics leaves it out, as if it were missing.
pub(super) fn forbidden(client: &Producer, topic: &str, patience: Duration) -> Option<String> {
    let metadata = client.client().fetch_metadata(Some(topic), patience).ok()?;
    let code = RDKafkaErrorCode::from(metadata.topics().first()?.error()?);
    let words = "not authorized: grant this principal DESCRIBE and WRITE on it, and CREATE if it is missing";
    (code == RDKafkaErrorCode::TopicAuthorizationFailed).then(|| words.to_owned())
}
