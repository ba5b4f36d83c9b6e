//! What is done to every delivery, new or from the spool: it is prepared (identify, encode), then delivered (its file kept,
//! published, or a dead letter).
//!
//! ```text
//! prepare ─▶ Prepared ─deliver─┬─▶ published      every record acknowledged that Kafka will ever take, its own among them
//!                              ├─▶ dead-lettered  no record of it, or Kafka will never take its own
//!                              └─▶ Deferred       Kafka or the media store does not take it now: the spool's, where it is kept
//! ```

mod attempt;
mod extent;
mod records_room;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout};

use crate::blocking::{LARGE_BODY, off_the_hot_path};
use crate::catalog::EventType;
use crate::convert::prepare::{self, ConvertedEvent, Prepared};
use crate::convert::split::{self, Several};
use crate::kafka::dead_letter;
use crate::kafka::publish::{Landed, Patience, PublishError, Publisher, Sending};
use crate::kafka::route::{Event, Record, Route, Routes, Subject, Target};
use crate::media::{File, Store, StoreUnavailable, Stored};
use crate::observe::metrics::Metrics;
use crate::observe::recent::{RecentDeadLetter, RecentDeadLetters};
use crate::observe::traces::{Span, Traces};
use crate::ordering::{Gate, Needs};
use crate::outcome::{Accepted, End, Reason, Rejection, Unwritten, WrittenAt};
use crate::source::verify::Verified;
use crate::values::time;
pub(crate) use attempt::{Attempt, Deferred, Delivered, NotTaken, RecordVerdicts};
use attempt::{RecordVerdict, all_taken};
pub(crate) use extent::{check_extent, check_size};
pub(crate) use records_room::RecordsRoom;

/// How many large bodies are converted at once.
pub(crate) const LARGE_AT_ONCE: u32 = 2;
/// Bodies from this size on are converted alone. The places of its values take up to 64 MiB
/// ([`crate::values::json::MAX_VALUES`]), and blanking JSON text within JSON text several times the body: `tests/it/memory.rs` holds
/// the sum against what the deployments allow.
const HUGE_BODY: usize = 4 << 20;

/// Kept back of the time for an answer while an event waits for its schema's id, so that it can still be published; half of what is
/// left, if that is less.
const TO_PUBLISH: Duration = Duration::from_secs(1);

/// The stages and what they need.
pub(crate) struct Pipeline {
    pub(crate) routes: Routes,
    pub(crate) media: Store,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traces: Traces,
    pub(crate) dead_letters: RecentDeadLetters,
    pub(crate) max_record_bytes: usize,
    /// [`LARGE_AT_ONCE`] turns.
    pub(crate) large_bodies: Semaphore,
    /// Whether the registry was asked for ids since the start, and since Kafka was away, whatever it said.
    pub(crate) registry_asked: watch::Sender<bool>,
    /// Of the records of senders' events in librdkafka's queues.
    pub(crate) records_room: RecordsRoom,
    /// Of keys. Nobody outside can tell which of them share a hash.
    pub(crate) hashing: RandomState,
}

impl Pipeline {
    /// Scan, identify, take out a large file, encode; a large body waits for its turn.
    pub(crate) async fn prepare<'a>(&self, delivery: &'a Verified) -> Prepared<'a> {
        let bytes = delivery.body().len();
        let _turn = self.turn(bytes).await;
        off_the_hot_path(bytes, || prepare::prepare(delivery, &self.media, self.max_record_bytes))
    }

    /// Takes a delivery apart that holds several events; a large body waits for its turn. An error says why it is a dead letter as a
    /// whole; so says [`Pipeline::prepare`].
    pub(crate) async fn split(&self, delivery: &Verified) -> Result<Option<Several>, Rejection> {
        let bytes = delivery.body().len();
        let _turn = self.turn(bytes).await;
        off_the_hot_path(bytes, || split::split(delivery, self.max_record_bytes))
    }

    /// Waits until a body of `bytes` may be worked on.
    async fn turn(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let turns = match bytes {
            ..LARGE_BODY => return None,
            LARGE_BODY..HUGE_BODY => 1,
            _ => LARGE_AT_ONCE,
        };
        self.large_bodies.acquire_many(turns).await.ok()
    }

    /// The lane of a delivery: where it queues, if it has to.
    pub(crate) fn lane(&self, prepared: &Prepared<'_>) -> &Arc<str> {
        match (&prepared.made, self.route(prepared.delivery, prepared.event_type)) {
            (Ok(_), Some(route)) => &route.lane,
            _ => &self.routes.dead_letters,
        }
    }

    /// What a delivery's order hangs on, and what it goes through.
    pub(crate) fn needs(&self, prepared: &Prepared<'_>) -> Needs {
        if prepared.is_ignored() {
            return Needs::default();
        }
        let (Ok(made), Some(route)) = (&prepared.made, self.route(prepared.delivery, prepared.event_type)) else {
            return self.needs_of_dead_letter(prepared.delivery);
        };
        let own = prepared.key.as_deref().unwrap_or_default();
        let links =
            || route.joins.iter().zip(&made.parts.links).flat_map(|(join, ids)| ids.iter().map(move |id| (join, id)));
        let main_and_latest = [&route.main].into_iter().chain(&route.latest).map(|target| (target, own));
        let gates = main_and_latest.chain(links().map(|(join, id)| (join, id.as_str())));
        let gates = gates.map(|(target, key)| self.publisher.gate(&target.topic, key));
        let schemas = route.unknown().map(|subject| Gate::Schema(subject.name.as_str().into()));
        let latest = self.publisher.latest();
        let states = route.latest.as_ref().filter(|target| !latest.is_open(&target.topic));
        let states = states.map(|target| Gate::States(Arc::clone(&target.topic)));
        let media = made.file.as_ref().map(|_| Gate::Media);
        let keys = prepared.keys().map(|key| self.hashing.hash_one(key)).collect();
        Needs::new(keys, gates.chain(schemas).chain(states).chain(media).collect())
    }

    /// What a dead letter needs: it is in nobody's order.
    pub(crate) fn needs_of_dead_letter(&self, delivery: &Verified) -> Needs {
        let id = delivery.id();
        Needs::new(vec![self.hashing.hash_one(id)], vec![self.publisher.gate(&self.routes.dead_letters, id)])
    }

    /// Where an event's own record is to go.
    pub(crate) fn topic(&self, prepared: &Prepared<'_>) -> Option<Arc<str>> {
        self.route(prepared.delivery, prepared.event_type).map(|route| Arc::clone(&route.main.topic))
    }

    fn route(&self, delivery: &Verified, event_type: Option<&EventType>) -> Option<&Route> {
        self.routes.get(&delivery.source().name, &event_type?.name)
    }

    /// Writes a prepared delivery to Kafka, or a dead letter in its place.
    pub(crate) async fn deliver(&self, prepared: Prepared<'_>, attempt: &Attempt<'_>) -> Result<Delivered, Deferred> {
        let lane = Arc::clone(self.lane(&prepared));
        let (event, made) = Event::of(prepared);
        let written = match made {
            Ok(made) => self.write(&event, made, &lane, attempt).await,
            Err(Unwritten::Rejected(rejection)) => Err(NotTaken::Ever(rejection)),
            Err(Unwritten::Ignored) => return Ok(Delivered { end: End::Ignored, written: None }),
        };
        match written {
            Ok(written) => Ok(Delivered { end: End::Published, written }),
            Err(NotTaken::Ever(rejection)) => {
                // Nothing of its lane is to wait for the topic of the dead letters.
                if lane == self.routes.dead_letters {
                    return self.write_dead_letter(&event, &rejection, attempt).await;
                }
                let (patience, verdicts) = (attempt.patience.with_an_end(), &RecordVerdicts::default());
                self.write_dead_letter(&event, &rejection, &Attempt { patience, verdicts, ..*attempt }).await
            }
            Err(NotTaken::Now(deferred)) => Err(deferred),
        }
    }

    /// Tells a span how `delivered` ended, and where the event's own record went; `topic` is where it was to go.
    pub(crate) fn record_outcome(
        &self,
        span: &mut Span,
        topic: Option<&str>,
        delivered: Result<&Delivered, &Deferred>,
    ) {
        match delivered {
            Ok(Delivered { end, written }) => {
                span.set("hookbridge.outcome", Accepted::from(*end).name());
                if let Some(WrittenAt { topic, partition, .. }) = written {
                    span.set_destination(Some(topic), Some(*partition));
                }
                if let End::DeadLettered(reason) = end {
                    span.set("hookbridge.reason", reason.code());
                }
            }
            Err(deferred) => {
                span.set_destination(
                    if deferred.rejection.is_some() { Some(&self.routes.dead_letters) } else { topic },
                    None,
                );
                span.fail("not_taken");
            }
        }
    }

    /// Writes a prepared delivery to its topics, and nothing in its place: it is a dead letter already. The deadline is that
    /// of its file.
    pub(crate) async fn publish(&self, prepared: Prepared<'_>, deadline: Instant) -> Result<End, NotTaken> {
        let lane = Arc::clone(self.lane(&prepared));
        let (event, made) = Event::of(prepared);
        let made = match made {
            Ok(made) => made,
            Err(Unwritten::Rejected(rejection)) => return Err(NotTaken::Ever(rejection)),
            Err(Unwritten::Ignored) => return Ok(End::Ignored),
        };
        let attempt = Attempt {
            deadline,
            patience: Patience::Command,
            verdicts: &RecordVerdicts::default(),
            on_all_sent: &|| (),
        };
        self.write(&event, made, &lane, &attempt).await.map(|_| End::Published)
    }

    /// Where a prepared delivery would be written, or why nowhere. What Kafka would say to it is not known.
    pub(crate) fn dry_run(&self, prepared: Prepared<'_>) -> Result<&Route, Unwritten> {
        let (event, made) = Event::of(prepared);
        let ConvertedEvent { parts, .. } = *made?;
        check_extent(&parts, self.max_record_bytes)?;
        let route = self.route_of(&event)?;
        // Every id takes as many bytes as any other.
        let records = self.routes.records(&event, route, parts, |subject| subject.id().or(Some(0)));
        check_size(&records.unwrap_or_default(), self.max_record_bytes)?;
        Ok(route)
    }

    /// Puts a file where its record says it is.
    async fn store_file(&self, source: &str, file: &File, deadline: Instant) -> Result<(), StoreUnavailable> {
        if self.media.keep(file, deadline).await? == Stored::Written {
            self.metrics.media_objects.with_label_values(&[source]).inc();
            self.metrics.media_bytes.with_label_values(&[source]).inc_by(file.size() as u64);
        }
        Ok(())
    }

    /// Writes the records of an event, its file first; gives where its own is, or says why Kafka does not have them.
    async fn write(
        &self,
        event: &Event<'_>,
        made: Box<ConvertedEvent>,
        lane: &Arc<str>,
        attempt: &Attempt<'_>,
    ) -> Result<Option<WrittenAt>, NotTaken> {
        let ConvertedEvent { parts, file } = *made;
        check_extent(&parts, self.max_record_bytes).map_err(NotTaken::Ever)?;
        let route = self.route_of(event).map_err(NotTaken::Ever)?;
        let not_now = |gate, why| NotTaken::Now(Deferred { gates: vec![gate], why, ..Deferred::unsent(lane, None) });
        let schema = || {
            let subject = route.unknown().map(|subject| subject.name.as_str()).unwrap_or_default();
            (subject, Gate::Schema(subject.into()))
        };
        if route.unknown().is_some() && !self.ids_are_known_before(attempt.deadline).await {
            return Err(not_now(schema().1, "the registry did not give the schema ids in time".into()));
        }
        let Some(records) = self.routes.records(event, route, parts, Subject::verified_id) else {
            let (subject, gate) = schema();
            return Err(not_now(gate, format!("{subject}: the schema id is not known yet, or is being verified")));
        };
        check_size(&records, self.max_record_bytes).map_err(NotTaken::Ever)?;
        if let Some(Target { topic, .. }) = &route.latest
            && !self.states_are_known_before(topic, attempt.deadline).await
        {
            return Err(not_now(Gate::States(Arc::clone(topic)), format!("{topic}: its newest states are being read")));
        }
        if let Some(file) = file
            && let Err(away) = self.store_file(&event.delivery.source().name, &file, attempt.deadline).await
        {
            return Err(not_now(Gate::Media, away.to_string()));
        }
        let Some(_room) = self.room_for(&records, attempt.patience) else {
            let why = "too many bytes of records in flight".into();
            return Err(NotTaken::Now(Deferred { why, ..Deferred::unsent(lane, None) }));
        };
        self.publish_all(records, lane, attempt).await?;
        Ok(attempt.verdicts.written_to(&route.main.topic))
    }

    /// Room for the records of a sender's event, none while too many are under way. The spool bounds its own; and records that
    /// would never fit get all the room there is.
    fn room_for(&self, records: &[Record], patience: Patience) -> Option<SemaphorePermit<'_>> {
        let bytes = records.iter().map(Record::bytes).sum();
        self.records_room.take(if patience == Patience::Sender { bytes } else { 0 })
    }

    /// Waits for the registry's first answer since the start, or since Kafka was away, while there is time to publish before
    /// `deadline`.
    async fn ids_are_known_before(&self, deadline: Instant) -> bool {
        if *self.registry_asked.borrow() {
            return true;
        }
        let (began, left) = (Instant::now(), deadline.saturating_duration_since(Instant::now()));
        let patience = left.saturating_sub(TO_PUBLISH).max(left / 2);
        let asked = timeout(patience, self.registry_was_asked()).await;
        // What Kafka is not known to take may use up its whole timeout, too.
        asked.is_ok() && (began.elapsed() < TO_PUBLISH || self.publisher.trouble().is_none())
    }

    /// Waits for the registry's first answer since the start, or since Kafka was away; that it cannot be reached is one.
    pub(crate) async fn registry_was_asked(&self) {
        // The sender lives as long as this.
        let _ = self.registry_asked.subscribe().wait_for(|asked| *asked).await;
    }

    /// Waits until it is known which states may be written, while there is time to publish before `deadline`.
    async fn states_are_known_before(&self, topic: &str, deadline: Instant) -> bool {
        let latest = self.publisher.latest();
        if latest.is_open(topic) {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        timeout(left.saturating_sub(TO_PUBLISH).max(left / 2), latest.opened(topic)).await.is_ok()
    }

    /// Sends all records of an event at once whose verdict is pending, and waits for all.
    async fn publish_all(&self, records: Vec<Record>, lane: &Arc<str>, attempt: &Attempt<'_>) -> Result<(), NotTaken> {
        attempt.verdicts.register(records.iter().map(|record| self.publisher.gate(&record.topic, &record.key)));
        let mut all_sent = true;
        let mut reports = Vec::with_capacity(records.len());
        for (at, record) in records.into_iter().enumerate().filter(|(at, _)| attempt.verdicts.is_pending(*at)) {
            let sent_at = Instant::now();
            let topic = Arc::clone(&record.topic);
            let Sending { is_sent, report } = self.publisher.publish(record, attempt.patience);
            all_sent &= is_sent;
            reports.push(self.verdict_on(at, topic, sent_at, report, attempt));
        }
        if all_sent {
            (attempt.on_all_sent)();
        }
        all_taken(join_all(reports).await.into_iter().flatten(), lane)
    }

    /// Waits for the verdict on record number `at`, and notes it; gives the error that counts for the event. The event's own record
    /// is number 0: one of another topic that Kafka will never take is counted, and left out.
    async fn verdict_on(
        &self,
        at: usize,
        topic: Arc<str>,
        sent_at: Instant,
        report: impl Future<Output = Result<Landed, PublishError>>,
        attempt: &Attempt<'_>,
    ) -> Option<(Gate, PublishError)> {
        let error = match report.await {
            Ok(Landed::At(partition, offset)) => {
                attempt.verdicts.set(at, RecordVerdict::Acknowledged(partition, offset));
                self.metrics.ack_seconds.observe(sent_at.elapsed().as_secs_f64());
                return None;
            }
            Ok(Landed::Superseded) => {
                attempt.verdicts.set(at, RecordVerdict::Superseded);
                self.metrics.latest.skipped.with_label_values(&[&*topic]).inc();
                return None;
            }
            Err(error) => error,
        };
        match error.refusal().filter(|_| at > 0) {
            Some(reason) => {
                attempt.verdicts.set(at, RecordVerdict::Refused);
                self.leave_out(&topic, reason, &error);
                None
            }
            None => Some((attempt.verdicts.gate(at), error)),
        }
    }

    /// Counts a record that Kafka will never take, though the event's own is no dead letter.
    fn leave_out(&self, topic: &str, reason: Reason, error: &PublishError) {
        if let Some(records) = self.metrics.refused_records.count(topic, reason) {
            tracing::warn!(topic, records, %error, "Kafka refused records of a join or latest topic; their events are published without these records");
        }
    }

    fn route_of(&self, event: &Event<'_>) -> Result<&Route, Rejection> {
        let route = self.route(event.delivery, event.event_type);
        route.ok_or_else(|| Rejection { reason: Reason::UnknownType, error: "no topic for this event type".into() })
    }

    /// Writes a dead letter.
    async fn write_dead_letter(
        &self,
        event: &Event<'_>,
        rejection: &Rejection,
        attempt: &Attempt<'_>,
    ) -> Result<Delivered, Deferred> {
        let (source, reason) = (&event.delivery.source().name, rejection.reason);
        let gate = self.publisher.gate(&self.routes.dead_letters, event.delivery.id());
        attempt.verdicts.register(std::iter::once(gate.clone()));
        let mut sent = self.send_dead_letter(event, rejection, event.delivery.received_at(), attempt).await;
        if sent.as_ref().is_err_and(PublishError::is_about_time) {
            // It has waited for longer than its topic takes. A header says when it was received.
            sent = self.send_dead_letter(event, rejection, time::now_millis(), attempt).await;
        }
        match sent {
            Ok(landed) => {
                // Not the sentence: it may quote the body, and it stands in the dead letter's headers.
                tracing::warn!(id = event.delivery.id(), source, reason = reason.code(), "dead letter written");
                let event_type = event.event_type.map(|event_type| event_type.name.as_str());
                self.note_dead_letter(event.delivery, event_type, rejection, false);
                let written = match landed {
                    Landed::At(partition, offset) => {
                        Some(WrittenAt { topic: Arc::clone(&self.routes.dead_letters), partition, offset })
                    }
                    Landed::Superseded => None,
                };
                Ok(Delivered { end: End::DeadLettered(reason), written })
            }
            Err(error) => Err(Deferred::at(gate, &self.routes.dead_letters, Some(rejection.clone()), &error)),
        }
    }

    /// Takes note of a dead letter for those who look at the console; it is in its topic, or `in_spool`.
    pub(crate) fn note_dead_letter(
        &self,
        delivery: &Verified,
        event_type: Option<&str>,
        rejection: &Rejection,
        in_spool: bool,
    ) {
        let of = (delivery.id(), delivery.source().name.as_str());
        self.dead_letters.note(RecentDeadLetter::new(of, event_type, rejection, delivery.received_at(), in_spool));
    }

    async fn send_dead_letter(
        &self,
        event: &Event<'_>,
        rejection: &Rejection,
        timestamp: i64,
        attempt: &Attempt<'_>,
    ) -> Result<Landed, PublishError> {
        let bytes = event.delivery.body().len();
        let turn = self.turn(bytes).await;
        let mut record = off_the_hot_path(bytes, || dead_letter::record(&self.routes.dead_letters, event, rejection));
        record.timestamp = timestamp;
        let Sending { is_sent, report } = self.publisher.publish(record, attempt.patience);
        drop(turn);
        if is_sent {
            (attempt.on_all_sent)();
        }
        report.await
    }
}
