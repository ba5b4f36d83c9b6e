//! Takes new deliveries: to Kafka, or to the spool.
//!
//! ```text
//! prepare ─▶ goes past? ─yes─▶ deliver ─▶ published, or a dead letter
//!                └ no             └ Kafka does not take it now
//!                └────────────────┴─▶ spool ─▶ spooled, or a dead letter on its way
//! ```
//!
//! One that holds several events is taken apart before ([`several`]), and each goes this way.

mod several;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::catalog::EventType;
use crate::convert::prepare::Prepared;
use crate::flow::pipeline::{Attempt, Deferred, Delivered, Pipeline, RecordVerdicts};
use crate::kafka::publish::Patience;
use crate::observe::metrics::Stage;
use crate::observe::traces::Trace;
use crate::outcome::{Accepted, AcceptedWhole, Declined, SettledEvent, Unwritten, WrittenAt};
use crate::source::verify::Verified;
use crate::spool::Spool;

/// The spool gets at least this long, also when Kafka used up the deadline.
const APPEND_PATIENCE: Duration = Duration::from_secs(3);

/// Where deliveries are taken in.
pub(crate) struct Intake {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) spool: Arc<Spool>,
    /// Whether somebody watches what becomes of each event.
    pub(crate) is_watched: bool,
}

/// An event that was accepted, and what whoever watches gets to see of it.
struct TakenEvent {
    accepted: Accepted,
    event: Option<SettledEvent>,
}

impl Intake {
    /// Takes a new delivery to Kafka or into the spool, by `deadline` or shortly after.
    pub(crate) async fn process(
        &self,
        delivery: &Verified,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<AcceptedWhole, Declined> {
        let source = delivery.source();
        let bytes = delivery.body().len() as u64;
        self.pipeline.metrics.body_bytes.with_label_values(&[source.name.as_str()]).inc_by(bytes);
        if !source.profile.split.is_empty()
            && let Some(each) = Box::pin(self.take_each(delivery, deadline, trace)).await?
        {
            return Ok(each);
        }
        let prepared = self.prepare(delivery, deadline, trace).await?;
        let TakenEvent { accepted, event } = self.take(delivery, prepared, deadline, trace).await?;
        Ok(AcceptedWhole { accepted, each: None, events: event.into_iter().collect() })
    }

    /// Takes a prepared delivery to Kafka or into the spool, and notes what became of it if somebody watches.
    async fn take(
        &self,
        delivery: &Verified,
        prepared: Prepared<'_>,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<TakenEvent, Declined> {
        let names = self.is_watched.then(|| (prepared.type_name().map(str::to_owned), prepared.key.clone()));
        let (accepted, written) = self.take_prepared(delivery, prepared, deadline, trace).await?;
        let part = delivery.part().map_or(0, |part| part.place);
        let event = names.map(|(event_type, key)| {
            let id = delivery.id().to_owned();
            SettledEvent { id, part, event_type, key, accepted, written }
        });
        Ok(TakenEvent { accepted, event })
    }

    /// Takes a prepared delivery to Kafka, and gives where its record is, or into the spool.
    async fn take_prepared(
        &self,
        delivery: &Verified,
        prepared: Prepared<'_>,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<(Accepted, Option<WrittenAt>), Declined> {
        let event_type = prepared.type_name();
        if prepared.is_ignored() {
            self.pipeline.metrics.ignored(&delivery.source().name);
            return Ok((Accepted::Ignored, None));
        }
        let (lane, needs) = (self.spool.lane(self.pipeline.lane(&prepared)), self.pipeline.needs(&prepared));
        let is_late = delivery.part().is_some() && Instant::now() >= deadline;
        let waits = is_late || self.pipeline.publisher.watch().is_away() || !lane.lets_past(&needs).await;
        let deferred = if waits {
            Deferred::unsent(&lane.name, prepared.made.err().and_then(Unwritten::rejection))
        } else {
            match self.deliver_confirmed(delivery, prepared, deadline, trace).await {
                Ok(Delivered { end, written }) => return Ok((end.into(), written)),
                Err(deferred) => deferred,
            }
        };
        let spooled = self.to_spool(delivery, event_type, deferred, needs.keys, deadline, trace).await;
        if spooled.is_err() {
            self.pipeline.metrics.refused(&delivery.source().name, event_type);
        }
        spooled.map(|accepted| (accepted, None))
    }

    /// Converts it, and takes note of what is worth a look.
    async fn prepare<'a>(
        &self,
        delivery: &'a Verified,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Prepared<'a>, Declined> {
        let source = delivery.source().name.as_str();
        let metrics = &self.pipeline.metrics;
        let (timer, span) = (metrics.stage(Stage::Prepare), trace.stage(Stage::Prepare));
        let prepared = timeout_at(deadline, self.pipeline.prepare(delivery)).await;
        drop((timer, span));
        let Ok(prepared) = prepared else {
            metrics.refused(source, None);
            return Err(Declined::Overloaded);
        };
        trace.set_type(&delivery.source().profile.name, prepared.type_name());
        self.compare_type_header(delivery, prepared.event_type);
        if let (Ok(made), Some(event_type)) = (&prepared.made, prepared.event_type) {
            metrics.drift.note(source, &event_type.name, &made.parts.records.drift);
        }
        Ok(prepared)
    }

    /// Publishes it, or its dead letter; and again those of its records that nothing was said of, while that is early enough.
    async fn deliver_confirmed(
        &self,
        delivery: &Verified,
        prepared: Prepared<'_>,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Delivered, Deferred> {
        let verdicts = RecordVerdicts::default();
        // Later, its next verdict would as a rule come too late for the sender.
        let until = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
        let mut delivered = self.deliver(prepared, &verdicts, deadline, trace).await;
        while delivered.as_ref().is_err_and(|deferred| deferred.again) && Instant::now() < until {
            let Ok(prepared) = timeout_at(deadline, self.pipeline.prepare(delivery)).await else { break };
            delivered = self.deliver(prepared, &verdicts, deadline, trace).await;
        }
        delivered
    }

    /// Publishes those of its records that have no verdict yet, or its dead letter.
    async fn deliver(
        &self,
        prepared: Prepared<'_>,
        verdicts: &RecordVerdicts,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Delivered, Deferred> {
        let (source, event_type) = (prepared.delivery.source().name.as_str(), prepared.type_name());
        let (timer, mut span) = (self.pipeline.metrics.stage(Stage::Publish), trace.stage(Stage::Publish));
        let topic = self.pipeline.topic(&prepared);
        let attempt = Attempt { deadline, patience: Patience::Sender, verdicts, on_all_sent: &|| () };
        let delivered = self.pipeline.deliver(prepared, &attempt).await;
        self.pipeline.record_outcome(&mut span, topic.as_deref(), delivered.as_ref());
        drop((timer, span));
        if let Ok(Delivered { end, .. }) = delivered {
            self.pipeline.metrics.accepted(source, event_type, end);
        }
        delivered
    }

    /// Keeps in the spool what Kafka does not take now; `keys` are those of its event.
    async fn to_spool(
        &self,
        delivery: &Verified,
        event_type: Option<&str>,
        deferred: Deferred,
        keys: Vec<u64>,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<Accepted, Declined> {
        if !deferred.safe_to_spool {
            return Err(Declined::Unavailable);
        }
        let lane = self.spool.lane(&deferred.lane);
        let rejection = deferred.rejection.as_ref();
        let keys = if rejection.is_some() { self.pipeline.needs_of_dead_letter(delivery).keys } else { keys };
        let (_timer, mut span) = (self.pipeline.metrics.stage(Stage::Spool), trace.stage(Stage::Spool));
        if let Some(rejection) = rejection {
            trace.set("hookbridge.reason", rejection.reason.code());
        }
        span.set("hookbridge.lane", deferred.lane);
        let until = deadline.max(Instant::now() + APPEND_PATIENCE);
        let appended = self.spool.append(&lane, delivery, event_type, rejection, (keys, &deferred.gates), until).await;
        match appended {
            Ok(()) => Ok(rejection.map_or(Accepted::Spooled, |rejection| {
                self.pipeline.note_dead_letter(delivery, event_type, rejection, true);
                Accepted::DeadLettered(rejection.reason)
            })),
            Err(error) => {
                span.fail("not_taken");
                tracing::debug!(%error, "the spool rejected a delivery; the sender got 503 and has to try again");
                Err(Declined::Unavailable)
            }
        }
    }

    /// The type in the header is not signed: the body decides, and a difference is worth a look.
    fn compare_type_header(&self, delivery: &Verified, event_type: Option<&EventType>) {
        let Some(event_type) = event_type else { return };
        let source = delivery.source();
        let header = source.profile.type_header.as_ref().and_then(|name| delivery.headers().get(name));
        if header.is_some_and(|value| value.as_bytes() != event_type.name.as_bytes()) {
            self.pipeline.metrics.type_mismatches.with_label_values(&[source.name.as_str()]).inc();
        }
    }
}
