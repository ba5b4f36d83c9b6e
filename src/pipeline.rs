//! What happens to a verified delivery: it is prepared (identify, encode), then delivered (route, publish, or a dead
//! letter), or it waits in the spool for that.
//!
//! ```text
//! prepare ─▶ lane open? ─yes─▶ deliver ─▶ Kafka has it: published, or a dead letter
//!                └ no             └ Kafka does not take it now
//!                └────────────────┴─▶ spool: spooled; from there it is prepared and delivered again (drain.rs)
//! ```

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::catalog::EventType;
use crate::dead_letter::{self, Reason, Rejection};
use crate::encode::{self, Encoded, Head};
use crate::identify::{self, Why};
use crate::json::{Document, MAX_DEPTH};
use crate::metrics::Metrics;
use crate::publish::{PublishError, Publisher};
use crate::route::{Event, Route, Routes};
use crate::spool::{Lane, Spool};
use crate::verify::Verified;

/// Bodies from this size on are converted where waiting does not hold up other requests, a few at a time.
const LARGE_BODY: usize = 256 << 10;
/// How many large bodies are converted at once: the places of its values
/// take up to 64 MiB ([`crate::json::MAX_VALUES`]).
pub(crate) const LARGE_AT_ONCE: usize = 2;

/// How a delivery was answered. The first three are promises: Kafka has it, or our own disk.
#[derive(Debug)]
pub(crate) enum Outcome {
    Published {
        id: String,
    },
    Spooled {
        id: String,
    },
    /// In its topic, or in the spool on its way there.
    DeadLettered {
        id: String,
        reason: Reason,
    },
    /// Neither Kafka nor the spool takes it; the sender has to try again.
    Unavailable,
    /// Too much is under way.
    Overloaded,
}

/// How a delivery ended: in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Published,
    DeadLettered(Reason),
}

/// Kafka does not take a delivery now.
#[derive(Debug)]
pub(crate) struct Waits {
    /// The lane it waits in.
    pub(crate) lane: Arc<Lane>,
    /// Set when it is a dead letter on its way.
    pub(crate) reason: Option<Reason>,
    /// Whether it is known to be in no queue of the producer's, so that the spool may own it.
    pub(crate) is_ours: bool,
    pub(crate) words: String,
}

/// The stages and what they need.
pub(crate) struct Pipeline {
    pub(crate) routes: Routes,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) max_record_bytes: usize,
    /// [`LARGE_AT_ONCE`] turns.
    pub(crate) large_bodies: Semaphore,
}

/// A delivery whose body was read: an Avro record, or why it is none; and what is known of the event either way.
pub(crate) struct Prepared<'a> {
    delivery: &'a Verified,
    pub(crate) id: String,
    event_type: Option<&'a EventType>,
    pub(crate) key: Option<String>,
    occurred_at: Option<i64>,
    made: Result<Encoded, Rejection>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn type_name(&self) -> Option<&'a str> {
        self.event_type.map(|event_type| event_type.name.as_str())
    }

    fn reason(&self) -> Option<Reason> {
        self.made.as_ref().err().map(|rejection| rejection.reason)
    }
}

/// Why Kafka does not have a record: it will never take it, or did not now.
enum NotTaken {
    Ever(Rejection),
    Now(PublishError),
}

impl Pipeline {
    /// Takes a new delivery to its answer, by `deadline` or shortly after.
    pub(crate) async fn process(&self, delivery: &Verified, deadline: Instant) -> Outcome {
        let source = delivery.source().name.as_str();
        self.metrics.body_bytes.with_label_values(&[source]).inc_by(delivery.body().len() as u64);
        let Ok(prepared) = timeout_at(deadline, self.prepare(delivery)).await else {
            self.metrics.refused(source, None);
            return Outcome::Overloaded;
        };
        self.compare_type_header(delivery, prepared.event_type);
        let (id, event_type) = (prepared.id.clone(), prepared.type_name());
        let (lane, reason) = (self.lane(&prepared), prepared.reason());
        let waits = if !lane.is_open() || self.publisher.watch().is_away() {
            Waits { lane, reason, is_ours: true, words: String::new() }
        } else {
            match self.deliver(prepared, deadline).await {
                Ok(end) => {
                    self.metrics.accepted(source, event_type, end);
                    return match end {
                        End::Published => Outcome::Published { id },
                        End::DeadLettered(reason) => Outcome::DeadLettered { id, reason },
                    };
                }
                Err(waits) => waits,
            }
        };
        if !waits.is_ours {
            self.metrics.refused(source, event_type);
            return Outcome::Unavailable;
        }
        match (self.spool.append(&waits.lane, delivery, &id, event_type).await, waits.reason) {
            (Ok(()), None) => Outcome::Spooled { id },
            (Ok(()), Some(reason)) => Outcome::DeadLettered { id, reason },
            (Err(error), _) => {
                tracing::debug!(%error, "the spool did not take a delivery; the sender has to try again");
                self.metrics.refused(source, event_type);
                Outcome::Unavailable
            }
        }
    }

    /// Scan, identify, encode; a large body waits for its turn.
    pub(crate) async fn prepare<'a>(&self, delivery: &'a Verified) -> Prepared<'a> {
        let bytes = delivery.body().len();
        let _turn: Option<SemaphorePermit<'_>> =
            if bytes < LARGE_BODY { None } else { self.large_bodies.acquire().await.ok() };
        off_the_hot_path(bytes, || convert(delivery))
    }

    /// The lane of a delivery: where it queues, if anything queues there.
    pub(crate) fn lane(&self, prepared: &Prepared<'_>) -> Arc<Lane> {
        match (&prepared.made, self.route(prepared)) {
            // A schema that the registry refuses may take long to be mended. Its events wait apart: the others go on.
            (Ok(_), Some(route)) if route.subject.is_refused() => self.spool.lane(&route.subject.name),
            (Ok(_), Some(route)) => self.spool.lane(&route.topic),
            _ => self.spool.lane(&self.routes.dead_letters),
        }
    }

    fn route(&self, prepared: &Prepared<'_>) -> Option<&Route> {
        self.routes.get(&prepared.delivery.source().name, &prepared.event_type?.name)
    }

    /// Writes a prepared delivery to Kafka, or a dead letter in its place.
    pub(crate) async fn deliver(&self, prepared: Prepared<'_>, deadline: Instant) -> Result<End, Waits> {
        let lane = self.lane(&prepared);
        let route = self.route(&prepared);
        let Prepared { delivery, id, event_type, key, occurred_at, made } = prepared;
        let event = Event { delivery, id: &id, event_type, key: key.as_deref(), occurred_at };
        let rejection = match (made, route) {
            (Ok(encoded), Some(route)) => {
                let Some(schema_id) = route.subject.id() else {
                    let words = format!("{}: the schema's id is not known yet", route.subject.name);
                    return Err(Waits { lane, reason: None, is_ours: true, words });
                };
                match self.publish(&event, route, schema_id, encoded, deadline).await {
                    Ok(()) => return Ok(End::Published),
                    Err(NotTaken::Ever(rejection)) => rejection,
                    Err(NotTaken::Now(error)) => return Err(waits(lane, None, &error)),
                }
            }
            (Ok(_), None) => Rejection { reason: Reason::UnknownType, error: "no topic for this type".into() },
            (Err(rejection), _) => rejection,
        };
        self.bury(&event, &rejection, deadline).await
    }

    async fn publish(
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
            error => NotTaken::Now(error),
        })
    }

    /// Writes a dead letter.
    async fn bury(&self, event: &Event<'_>, rejection: &Rejection, deadline: Instant) -> Result<End, Waits> {
        let record = dead_letter::record(&self.routes.dead_letters, event, rejection);
        let (source, reason) = (&event.delivery.source().name, rejection.reason);
        match self.publisher.publish(record, deadline).await {
            Ok(()) => {
                // Not the sentence: it may quote the body, and it stands in the dead letter's headers.
                tracing::warn!(id = event.id, source, reason = reason.code(), "dead letter");
                Ok(End::DeadLettered(reason))
            }
            Err(error) => Err(waits(self.spool.lane(&self.routes.dead_letters), Some(reason), &error)),
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

fn waits(lane: Arc<Lane>, reason: Option<Reason>, error: &PublishError) -> Waits {
    let is_ours = !matches!(error, PublishError::Unreported { .. });
    Waits { lane, reason, is_ours, words: error.to_string() }
}

/// Scan, identify, encode: pure work on the body.
fn convert(delivery: &Verified) -> Prepared<'_> {
    let id = delivery.event_id();
    let profile = &delivery.source().profile;
    let not = |reason, error| Err(Rejection { reason, error });
    let unknown = Prepared {
        delivery,
        id,
        event_type: None,
        key: None,
        occurred_at: None,
        made: not(Reason::MalformedJson, String::new()),
    };
    let doc = match Document::scan(delivery.body(), MAX_DEPTH) {
        Ok(doc) => doc,
        Err(error) => return Prepared { made: not(Reason::MalformedJson, error.to_string()), ..unknown },
    };
    let identify::Identified { event_type, key, occurred_at } = match identify::identify(&doc, profile) {
        Ok(identified) => identified,
        Err(identify::Unidentified { event_type, occurred_at, why }) => {
            let reason = match &why {
                Why::UnknownType(_) => Reason::UnknownType,
                Why::MissingKey { .. } => Reason::MissingKey,
                Why::SchemaViolation { .. } => Reason::SchemaViolation,
            };
            return Prepared { event_type, occurred_at, made: not(reason, why.to_string()), ..unknown };
        }
    };
    let head = Head {
        id: &unknown.id,
        event_type: &event_type.name,
        source: &delivery.source().name,
        entity_id: &key,
        occurred_at,
        received_at: delivery.received_at(),
    };
    let made = encode::encode(&doc, profile, event_type, &head)
        .map_err(|fault| Rejection { reason: Reason::SchemaViolation, error: fault.to_string() });
    Prepared { event_type: Some(event_type), key: Some(key), occurred_at, made, ..unknown }
}

/// Runs `work` on `bytes` of input so that, when that takes long, other requests go on meanwhile.
pub(crate) fn off_the_hot_path<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LARGE_BODY { work() } else { tokio::task::block_in_place(work) }
}
