//! Takes new deliveries: to Kafka, or to the spool.
//!
//! ```text
//! prepare ─▶ goes past? ─yes─▶ deliver ─▶ published, or a dead letter
//!                └ no             └ Kafka does not take it now
//!                └────────────────┴─▶ spool ─▶ spooled, or a dead letter on its way
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::catalog::EventType;
use crate::flow::pipeline::{AckedPartitions, Attempt, Deferred, Pipeline};
use crate::kafka::publish::Patience;
use crate::observe::metrics::Stage;
use crate::observe::traces::Trace;
use crate::outcome::End;
use crate::outcome::Reason;
use crate::source::verify::Verified;
use crate::spool::Spool;

/// How long the spool may take at least, when Kafka took its time.
const APPEND_PATIENCE: Duration = Duration::from_secs(3);

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

/// Where deliveries are taken in.
pub(crate) struct Intake {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) spool: Arc<Spool>,
}

impl Intake {
    /// Takes a new delivery to its answer, by `deadline` or shortly after.
    pub(crate) async fn process(&self, delivery: &Verified, deadline: Instant, trace: &mut Trace) -> Outcome {
        let source = delivery.source().name.as_str();
        self.pipeline.metrics.body_bytes.with_label_values(&[source]).inc_by(delivery.body().len() as u64);
        let preparing = (self.pipeline.metrics.stage(Stage::Prepare), trace.stage(Stage::Prepare));
        let prepared = timeout_at(deadline, self.pipeline.prepare(delivery)).await;
        drop(preparing);
        let Ok(prepared) = prepared else {
            self.pipeline.metrics.refused(source, None);
            return Outcome::Overloaded;
        };
        trace.set_type(&delivery.source().profile.name, prepared.type_name());
        self.compare_type_header(delivery, prepared.event_type);
        if let (Ok(made), Some(event_type)) = (&prepared.made, prepared.event_type) {
            self.pipeline.metrics.drift.note(source, &event_type.name, &made.parts.records.drift);
        }
        let (id, event_type) = (delivery.id().to_owned(), prepared.type_name());
        let (lane, needs) = (self.spool.lane(self.pipeline.lane(&prepared)), self.pipeline.needs(&prepared));
        let waits = if self.pipeline.publisher.watch().is_away() || !lane.lets_past(&needs).await {
            Deferred::behind_others(&lane.name, prepared.made.err())
        } else {
            let mut publishing = (self.pipeline.metrics.stage(Stage::Publish), trace.stage(Stage::Publish));
            let (topic, taken) = (self.pipeline.topic(&prepared), AckedPartitions::default());
            let attempt = Attempt { deadline, patience: Patience::Sender, taken: &taken, sent: &|| () };
            let delivered = self.pipeline.deliver(prepared, &attempt).await;
            self.pipeline.record_outcome(&mut publishing.1, topic.as_deref(), &taken, delivered.as_ref().copied());
            drop(publishing);
            match delivered {
                Ok(end) => {
                    self.pipeline.metrics.accepted(source, event_type, end);
                    return match end {
                        End::Published => Outcome::Published { id },
                        End::DeadLettered(reason) => Outcome::DeadLettered { id, reason },
                    };
                }
                Err(waits) => waits,
            }
        };
        if !waits.safe_to_spool {
            self.pipeline.metrics.refused(source, event_type);
            return Outcome::Unavailable;
        }
        let lane = self.spool.lane(&waits.lane);
        let keys = match waits.rejection {
            Some(_) => self.pipeline.needs_of_dead_letter(delivery).keys,
            None => needs.keys,
        };
        let mut spooling = (self.pipeline.metrics.stage(Stage::Spool), trace.stage(Stage::Spool));
        let reason = waits.rejection.as_ref().map(|rejection| rejection.reason);
        if let Some(reason) = reason {
            trace.set("hookbridge.reason", reason.code());
        }
        spooling.1.set("hookbridge.lane", waits.lane);
        let rejection = waits.rejection.as_ref();
        let until = deadline.max(Instant::now() + APPEND_PATIENCE);
        let appended = self.spool.append(&lane, delivery, event_type, rejection, (keys, &waits.gates), until).await;
        match (appended, reason) {
            (Ok(()), None) => Outcome::Spooled { id },
            (Ok(()), Some(reason)) => Outcome::DeadLettered { id, reason },
            (Err(error), _) => {
                spooling.1.fail("not_taken");
                tracing::debug!(%error, "the spool did not take a delivery; the sender has to try again");
                self.pipeline.metrics.refused(source, event_type);
                Outcome::Unavailable
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
