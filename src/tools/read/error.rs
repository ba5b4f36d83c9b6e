//! Why a topic cannot be read, or a record in it.

use rdkafka::error::KafkaError;

use crate::kafka::plain_words;
use crate::kafka::registry::NoSchema;

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// No client could be made.
    #[error("{}", plain_words::of_error(.0))]
    Consumer(KafkaError),
    #[error("{}", plain_words::with_remedy(.servers, .words))]
    Kafka { servers: String, words: String },
    #[error("kafka {servers}: missing topic {topic}")]
    NoTopic { servers: String, topic: String },
    #[error("kafka {servers}: no topic matches {pattern}: {hint}")]
    NoMatch { servers: String, pattern: String, hint: String },
    #[error("kafka {servers}: {topic}: no records received in time")]
    TooSlow { servers: String, topic: String },
}

/// Why a value cannot be shown as JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("not in Confluent's wire format")]
    NotFramed,
    #[error(transparent)]
    NoSchema(#[from] NoSchema),
    #[error("schema {id}: {error}")]
    Unfit { id: u32, error: AvroError },
}

/// A text that is not a schema, or a record that does not follow its schema.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AvroError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Avro(#[from] apache_avro::Error),
}
