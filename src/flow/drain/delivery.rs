//! One delivery of the spool on its way to Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::window::Unsent;
use super::{Drain, patience};
use crate::convert::prepare::{Detached, Prepared};
use crate::flow::pipeline::{Attempt, RecordVerdicts};
use crate::kafka::publish::Patience;
use crate::outcome::{Reason, Rejection};
use crate::source::verify::Verified;
use crate::spool::{Done, Lane};

/// A delivery of the spool.
pub(super) struct Spooled {
    pub(super) done: Done,
    pub(super) event_type: Option<String>,
    pub(super) delivery: Verified,
    /// Why it is a dead letter, if its sender was told that it is one.
    pub(super) rejection: Option<Rejection>,
    pub(super) verdicts: Arc<RecordVerdicts>,
}

/// How one try went.
pub(super) enum Turn {
    /// It is in Kafka.
    Gone,
    /// It waits in another lane.
    Moved,
    /// It stays in this lane, and why.
    NotTaken(Unsent, String),
}

/// Whether all records of a delivery are on their way.
#[derive(Clone, Default)]
pub(super) struct AllSent {
    is_sent: Arc<AtomicBool>,
    /// Told each time one is.
    news: Arc<Notify>,
}

impl AllSent {
    /// Of another delivery, told at the same place.
    pub(super) fn another(&self) -> AllSent {
        AllSent { is_sent: Arc::default(), news: Arc::clone(&self.news) }
    }

    fn set(&self) {
        self.is_sent.store(true, Ordering::Release);
        self.news.notify_one();
    }

    pub(super) fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Acquire)
    }

    /// Waits until one of them is.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}

impl Drain {
    /// What is to be made of a delivery: a dead letter, if its sender was told that it is one.
    pub(super) async fn prepare<'a>(&self, lane: &Lane, spooled: &'a Spooled) -> Prepared<'a> {
        let mut prepared = self.pipeline.prepare(&spooled.delivery).await;
        if let Some(rejection) = &spooled.rejection {
            prepared.made = Err(rejection.clone().into());
        } else if lane.name == self.pipeline.routes.dead_letters && prepared.made.is_ok() {
            let error = "a dead letter spooled by an earlier version, which did not keep the reason".into();
            prepared.made = Err(Rejection { reason: Reason::KafkaRejected, error }.into());
        }
        prepared
    }

    /// Tries to deliver one; `made` is what was made of it, if that is at hand.
    pub(super) async fn deliver(
        self: Arc<Self>,
        lane: Arc<Lane>,
        spooled: Arc<Spooled>,
        made: Option<Detached>,
        by: Patience,
        sent: AllSent,
    ) -> Turn {
        let bytes = spooled.done.bytes;
        let prepared = match made {
            Some(made) => made.attach(&spooled.delivery),
            None => self.prepare(&lane, &spooled).await,
        };
        let (began, topic) = (SystemTime::now(), self.pipeline.topic(&prepared));
        let attempt = Attempt {
            deadline: Instant::now() + patience(self.ack_timeout, bytes),
            patience: by,
            verdicts: &spooled.verdicts,
            on_all_sent: &|| sent.set(),
        };
        let delivered = self.pipeline.deliver(prepared, &attempt).await;
        let (source, event_type) = (spooled.delivery.source(), spooled.event_type.as_deref());
        let deferred = match delivered {
            Ok(delivered) => {
                let mut span = self.pipeline.traces.drained(&spooled.delivery, began);
                span.set_type(&source.profile.name, event_type);
                self.pipeline.record_outcome(&mut span, topic.as_deref(), Ok(&delivered));
                self.pipeline.metrics.drained(&lane.name, &source.name, event_type, delivered.end, bytes);
                return Turn::Gone;
            }
            Err(deferred) => deferred,
        };
        let not_taken = Unsent { gates: deferred.gates, alone: deferred.alone };
        if *deferred.lane == *lane.name {
            return Turn::NotTaken(not_taken, deferred.why);
        }
        // It turned out to be a dead letter that cannot be written now: the lane goes on.
        let (to, rejection) = (self.spool.lane(&deferred.lane), deferred.rejection.as_ref());
        let rejection = rejection.filter(|_| spooled.rejection.is_none());
        let keys = self.pipeline.needs_of_dead_letter(&spooled.delivery).keys;
        let columns = (event_type, spooled.delivery.received_at());
        match self.spool.relocate(&lane, &to, spooled.done, keys, columns, rejection).await {
            Ok(()) => Turn::Moved,
            Err(error) => Turn::NotTaken(not_taken, format!("{}; {error}", deferred.why)),
        }
    }
}
