//! Why a record is not known to be in Kafka.

use std::sync::Arc;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::LookError;
use crate::config::ConfigError;
use crate::kafka::plain_words;
use crate::outcome::Reason;

/// Why new producers cannot take over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// librdkafka does not know a property of `kafka.properties`, or does not take its value.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Kafka does not show them all topics.
    #[error("kafka: {0}")]
    Kafka(LookError),
}

/// Why a record is not known to be in Kafka.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// Down, too slow, unauthorised, too few replicas: another time it may work. It may still have landed.
    #[error("{topic}: {}", plain_words::of_write(error))]
    Waits { topic: Arc<str>, error: KafkaError },
    /// librdkafka did not even say what became of it.
    #[error("{topic}: no delivery report from librdkafka")]
    Unreported { topic: Arc<str> },
    /// librdkafka concludes that Kafka has it, since it has a later one; Kafka did not say so.
    #[error("{topic}: Kafka did not confirm the record itself, only a later one")]
    Unconfirmed { topic: Arc<str> },
    /// It will never take this record.
    #[error("{topic}: {}", plain_words::of_write(error))]
    TooLarge { topic: Arc<str>, error: KafkaError },
    /// It will never take this record.
    #[error("{topic}: {}", plain_words::of_write(error))]
    Rejected { topic: Arc<str>, error: KafkaError },
    /// It did not take this record together with others; whether it is to blame, only it alone can tell.
    #[error("{topic}: {} (for the whole batch)", plain_words::of_write(error))]
    Unjudged { topic: Arc<str>, error: KafkaError },
    /// It was not sent: a producer was replaced meanwhile.
    #[error("{topic}: not sent: its producer was just replaced")]
    Replaced { topic: Arc<str> },
    /// It was not sent: a record before it with its key is not acknowledged, and decides whether it may be.
    #[error("{topic}: not sent: the record before it with its key is not acknowledged yet")]
    Behind { topic: Arc<str> },
    /// It will take this record when the clocks are right.
    #[error("{topic}: Kafka rejects the timestamp of the record: {words}")]
    Clock { topic: Arc<str>, words: String },
}

impl PublishError {
    /// What it is called when Kafka will never take this record.
    pub(crate) fn refusal(&self) -> Option<Reason> {
        match self {
            PublishError::TooLarge { .. } => Some(Reason::RecordTooLarge),
            PublishError::Rejected { .. } => Some(Reason::KafkaRejected),
            PublishError::Waits { .. }
            | PublishError::Unreported { .. }
            | PublishError::Unconfirmed { .. }
            | PublishError::Unjudged { .. }
            | PublishError::Replaced { .. }
            | PublishError::Behind { .. }
            | PublishError::Clock { .. } => None,
        }
    }

    /// The same about a record that was not alone.
    pub(super) fn unjudged(self) -> PublishError {
        match self {
            PublishError::TooLarge { topic, error }
            | PublishError::Rejected { topic, error }
            | PublishError::Waits { topic, error } => PublishError::Unjudged { topic, error },
            other => other,
        }
    }

    /// Whether it will never take this record for the time that it has.
    pub(crate) fn is_about_time(&self) -> bool {
        matches!(self, PublishError::Rejected { error, .. } if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InvalidTimestamp))
    }
}
