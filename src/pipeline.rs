//! What happens to a verified delivery: identify, encode, route, publish; or a dead letter; or a refusal.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::catalog::EventType;
use crate::dead_letter::{self, Reason, Rejection};
use crate::encode::{self, Encoded, Head};
use crate::identify::{self, Why};
use crate::json::{Document, MAX_DEPTH};
use crate::metrics::{Metrics, NO_TYPE};
use crate::publish::{PublishError, Publisher};
use crate::route::{Event, Route, Routes};
use crate::verify::Verified;

/// Bodies from this size on are converted where waiting does not hold up other requests, a few at a time.
const LARGE_BODY: usize = 256 << 10;
/// How many large bodies are converted at once: the places of its values
/// take up to 64 MiB ([`crate::json::MAX_VALUES`]).
pub(crate) const LARGE_AT_ONCE: usize = 2;

/// How a delivery ended. The first two are promises: Kafka has it.
#[derive(Debug)]
pub(crate) enum Outcome {
    Published {
        id: String,
    },
    DeadLettered {
        id: String,
        reason: Reason,
    },
    /// Kafka or the registry is not there; the sender has to try again.
    Unavailable,
    /// Too much is under way.
    Overloaded,
}

/// The stages and what they need.
pub(crate) struct Pipeline {
    pub(crate) routes: Routes,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) max_record_bytes: usize,
    /// [`LARGE_AT_ONCE`] turns.
    pub(crate) large_bodies: Semaphore,
}

/// An event that became an Avro record.
struct Converted<'a> {
    event_type: &'a EventType,
    key: String,
    occurred_at: Option<i64>,
    encoded: Encoded,
}

/// Why it did not, and what is known of it all the same.
struct Unconvertible<'a> {
    event_type: Option<&'a EventType>,
    key: Option<String>,
    occurred_at: Option<i64>,
    rejection: Rejection,
}

/// Why Kafka does not have a record: it will never take it, or did not now.
enum NotTaken {
    Ever(Rejection),
    Now(Outcome),
}

impl Pipeline {
    /// Takes a delivery to its end, by `deadline` at the latest.
    pub(crate) async fn process(&self, delivery: Verified, deadline: Instant) -> Outcome {
        let Ok(turn) = timeout_at(deadline, self.turn(&delivery)).await else { return Outcome::Overloaded };
        let id = delivery.event_id();
        let converted = off_the_hot_path(delivery.body().len(), || convert(&delivery, &id));
        drop(turn);
        let event_type = converted.as_ref().map_or_else(|not| not.event_type, |event| Some(event.event_type));
        self.compare_type_header(&delivery, event_type);
        let outcome = match converted {
            Ok(converted) => self.publish(&delivery, &id, converted, deadline).await,
            Err(Unconvertible { event_type, key, occurred_at, rejection }) => {
                let event = Event { delivery: &delivery, id: &id, event_type, key: key.as_deref(), occurred_at };
                self.bury(&event, &rejection, deadline).await
            }
        };
        let type_name = event_type.map_or(NO_TYPE, |event_type| &event_type.name);
        let source = delivery.source().name.as_str();
        let label = match &outcome {
            Outcome::Published { .. } => "published",
            Outcome::DeadLettered { reason, .. } => {
                self.metrics.dead_letters.with_label_values(&[source, reason.code()]).inc();
                "dead_lettered"
            }
            Outcome::Unavailable | Outcome::Overloaded => "refused",
        };
        self.metrics.events.with_label_values(&[source, type_name, label]).inc();
        self.metrics.body_bytes.with_label_values(&[source]).inc_by(delivery.body().len() as u64);
        outcome
    }

    /// A large body waits for its turn to be converted.
    async fn turn(&self, delivery: &Verified) -> Option<SemaphorePermit<'_>> {
        if delivery.body().len() < LARGE_BODY { None } else { self.large_bodies.acquire().await.ok() }
    }

    async fn publish(&self, delivery: &Verified, id: &str, converted: Converted<'_>, deadline: Instant) -> Outcome {
        let Converted { event_type, key, occurred_at, encoded } = converted;
        let event = Event { delivery, id, event_type: Some(event_type), key: Some(&key), occurred_at };
        let Some(route) = self.routes.get(&delivery.source().name, &event_type.name) else {
            return Outcome::Unavailable;
        };
        let Some(schema_id) = route.subject.id() else {
            tracing::warn!(
                subject = route.subject.name,
                "the schema's id is not known yet; the sender has to try again"
            );
            return Outcome::Unavailable;
        };
        let rejection = match self.try_publish(&event, route, schema_id, encoded, deadline).await {
            Ok(()) => return Outcome::Published { id: id.to_owned() },
            Err(NotTaken::Ever(rejection)) => rejection,
            Err(NotTaken::Now(outcome)) => return outcome,
        };
        self.bury(&event, &rejection, deadline).await
    }

    async fn try_publish(
        &self,
        event: &Event<'_>,
        route: &Route,
        schema_id: u32,
        encoded: Encoded,
        deadline: Instant,
    ) -> Result<(), NotTaken> {
        let record = self.routes.record(event, route, schema_id, encoded);
        let bytes = record.bytes();
        if bytes > self.max_record_bytes {
            let error =
                format!("the record takes {bytes} bytes, and kafka.max_record_bytes is {}", self.max_record_bytes);
            return Err(NotTaken::Ever(Rejection { reason: Reason::RecordTooLarge, error }));
        }
        self.publisher.publish(record, deadline).await.map_err(|error| match error {
            PublishError::TooLarge { .. } => {
                NotTaken::Ever(Rejection { reason: Reason::RecordTooLarge, error: error.to_string() })
            }
            PublishError::Rejected { .. } => {
                NotTaken::Ever(Rejection { reason: Reason::KafkaRejected, error: error.to_string() })
            }
            error => NotTaken::Now(not_taken(&error)),
        })
    }

    /// Writes a dead letter.
    async fn bury(&self, event: &Event<'_>, rejection: &Rejection, deadline: Instant) -> Outcome {
        let record = dead_letter::record(&self.routes.dead_letters, event, rejection);
        match self.publisher.publish(record, deadline).await {
            Ok(()) => {
                // Not the sentence: it may quote the body, and it stands in the dead letter's headers.
                let (source, reason) = (&event.delivery.source().name, rejection.reason.code());
                tracing::warn!(id = event.id, source, reason, "dead letter");
                Outcome::DeadLettered { id: event.id.to_owned(), reason: rejection.reason }
            }
            Err(error) => not_taken(&error),
        }
    }

    /// The type in the header is not signed: the body decides, and a difference is worth a look.
    fn compare_type_header(&self, delivery: &Verified, event_type: Option<&EventType>) {
        let Some(event_type) = event_type else { return };
        let source = delivery.source();
        let header = source.profile.type_header.as_ref().and_then(|name| delivery.headers().get(name));
        if header.is_some_and(|value| value.as_bytes() != event_type.name.as_bytes()) {
            self.metrics.type_mismatches.with_label_values(&[source.name.as_str()]).inc();
        }
    }
}

fn not_taken(error: &PublishError) -> Outcome {
    match error {
        PublishError::QueueFull => Outcome::Overloaded,
        // The watch says once that Kafka is away; one line per turned away event would bury it.
        PublishError::TimedOut { .. } => Outcome::Unavailable,
        error => {
            tracing::warn!(%error, "Kafka did not take a record; the sender has to try again");
            Outcome::Unavailable
        }
    }
}

/// Scan, identify, encode: pure work on the body.
fn convert<'a>(delivery: &'a Verified, id: &str) -> Result<Converted<'a>, Unconvertible<'a>> {
    let profile = &delivery.source().profile;
    let doc = Document::scan(delivery.body(), MAX_DEPTH).map_err(|error| Unconvertible {
        event_type: None,
        key: None,
        occurred_at: None,
        rejection: Rejection { reason: Reason::MalformedJson, error: error.to_string() },
    })?;
    let identified = identify::identify(&doc, profile).map_err(|unidentified| {
        let reason = match &unidentified.why {
            Why::UnknownType(_) => Reason::UnknownType,
            Why::MissingKey { .. } => Reason::MissingKey,
            Why::SchemaViolation { .. } => Reason::SchemaViolation,
        };
        Unconvertible {
            event_type: unidentified.event_type,
            key: None,
            occurred_at: unidentified.occurred_at,
            rejection: Rejection { reason, error: unidentified.why.to_string() },
        }
    })?;
    let identify::Identified { event_type, key, occurred_at } = identified;
    let head = Head {
        id,
        event_type: &event_type.name,
        source: &delivery.source().name,
        entity_id: &key,
        occurred_at,
        received_at: delivery.received_at(),
    };
    match encode::encode(&doc, profile, event_type, &head) {
        Ok(encoded) => Ok(Converted { event_type, key, occurred_at, encoded }),
        Err(fault) => Err(Unconvertible {
            event_type: Some(event_type),
            key: Some(key),
            occurred_at,
            rejection: Rejection { reason: Reason::SchemaViolation, error: fault.to_string() },
        }),
    }
}

/// Runs `work` on `bytes` of input so that, when that takes long, other requests go on meanwhile.
pub(crate) fn off_the_hot_path<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LARGE_BODY { work() } else { tokio::task::block_in_place(work) }
}
