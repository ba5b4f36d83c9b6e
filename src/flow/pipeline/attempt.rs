//! One try to write a delivery to Kafka, and what is known after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::kafka::publish::{Patience, PublishError};
use crate::ordering::Gate;
use crate::outcome::{End, Rejection, WrittenAt};

/// What became of each of a delivery's records, from one try to the next: none is sent again whose verdict is final. The
/// first is the event's own.
#[derive(Debug, Default)]
pub(crate) struct RecordVerdicts(Mutex<Vec<(Gate, RecordVerdict)>>);

/// What Kafka last said of one record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum RecordVerdict {
    /// None yet.
    #[default]
    Pending,
    /// Acknowledged, in this partition, at this offset.
    Acknowledged(i32, i64),
    /// Kafka will never take it. The event's own record is there without it.
    Refused,
    /// A state that is left out: its topic has a newer one.
    Superseded,
}

impl RecordVerdicts {
    fn verdicts(&self) -> MutexGuard<'_, Vec<(Gate, RecordVerdict)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of the records to be, by what each goes through; at the first try only.
    pub(super) fn register(&self, gates: impl Iterator<Item = Gate>) {
        let mut verdicts = self.verdicts();
        if verdicts.is_empty() {
            verdicts.extend(gates.map(|gate| (gate, RecordVerdict::Pending)));
        }
    }

    /// Whether record number `at` is still to be sent.
    pub(super) fn is_pending(&self, at: usize) -> bool {
        matches!(self.verdicts()[at].1, RecordVerdict::Pending)
    }

    pub(super) fn set(&self, at: usize, verdict: RecordVerdict) {
        self.verdicts()[at].1 = verdict;
    }

    /// What record number `at` goes through.
    pub(super) fn gate(&self, at: usize) -> Gate {
        self.verdicts()[at].0.clone()
    }

    /// Where the event's own record is in `topic`.
    pub(super) fn written_to(&self, topic: &Arc<str>) -> Option<WrittenAt> {
        match *self.verdicts().first()? {
            (_, RecordVerdict::Acknowledged(partition, offset)) => {
                Some(WrittenAt { topic: Arc::clone(topic), partition, offset })
            }
            _ => None,
        }
    }

    /// Whether the verdict on any record is final.
    pub(crate) fn has_final(&self) -> bool {
        self.verdicts().iter().any(|(_, verdict)| !matches!(verdict, RecordVerdict::Pending))
    }

    /// The gates of the records that were sent and have no verdict yet.
    pub(crate) fn pending_gates(&self) -> Vec<Gate> {
        let verdicts = self.verdicts();
        let pending = verdicts.iter().filter(|(_, verdict)| matches!(verdict, RecordVerdict::Pending));
        pending.map(|(gate, _)| gate.clone()).collect()
    }
}

/// How a delivery is tried once.
pub(crate) struct Attempt<'a> {
    /// By then its file is kept, if it has one, and the schemas' ids are known.
    pub(crate) deadline: Instant,
    pub(crate) patience: Patience,
    pub(crate) verdicts: &'a RecordVerdicts,
    /// Called when all its records are on their way: what is sent after that comes behind them.
    pub(crate) on_all_sent: &'a (dyn Fn() + Send + Sync),
}

/// A delivery that ended, and where its own record, or its dead letter, is.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) end: End,
    pub(crate) written: Option<WrittenAt>,
}

/// Kafka does not take a delivery now, or the media store its file.
#[derive(Debug)]
pub(crate) struct Deferred {
    /// The lane it waits in.
    pub(crate) lane: String,
    /// Set when it is a dead letter on its way. It stays one.
    pub(crate) rejection: Option<Rejection>,
    /// Whether it is known to be in no queue of the producer's, so that the spool may own it.
    pub(crate) safe_to_spool: bool,
    /// What it did not get through. Empty when it may be tried again at once.
    pub(crate) gates: Vec<Gate>,
    /// It was refused together with others: it has to be judged alone.
    pub(crate) alone: bool,
    /// Nothing says that Kafka does not take it now: to be sent again at once, if its sender has time.
    pub(crate) again: bool,
    /// In words, for the log.
    pub(crate) why: String,
}

impl Deferred {
    /// Of a delivery one of whose records did not get through `gate`.
    pub(super) fn at(gate: Gate, lane: &Arc<str>, rejection: Option<Rejection>, error: &PublishError) -> Deferred {
        let safe_to_spool = !matches!(error, PublishError::Unreported { .. });
        let alone = matches!(error, PublishError::Unjudged { .. });
        let unconfirmed = matches!(error, PublishError::Unconfirmed { .. });
        let open = unconfirmed || matches!(error, PublishError::Replaced { .. });
        let again = unconfirmed || matches!(error, PublishError::Behind { .. });
        let gates = if alone || open { Vec::new() } else { vec![gate] };
        Deferred { lane: lane.to_string(), rejection, safe_to_spool, gates, alone, again, why: error.to_string() }
    }

    /// Of a delivery of which another record, too, did not get through.
    pub(super) fn and(mut self, other: Deferred) -> Deferred {
        self.gates.extend(other.gates);
        self.alone |= other.alone;
        self.again &= other.again;
        Deferred { why: other.why, ..self }
    }

    /// Of a delivery of which nothing was sent: it waits behind others, or for what it lacks.
    pub(crate) fn unsent(lane: &Arc<str>, rejection: Option<Rejection>) -> Deferred {
        Deferred {
            lane: lane.to_string(),
            rejection,
            safe_to_spool: true,
            gates: Vec::new(),
            alone: false,
            again: false,
            why: String::new(),
        }
    }
}

/// Why Kafka does not have a delivery's record: there is none that it will ever take, or it did not take it now.
pub(crate) enum NotTaken {
    Ever(Rejection),
    Now(Deferred),
}

/// Whether all records of an event are taken, by the errors of those that are not.
pub(super) fn all_taken(errors: impl Iterator<Item = (Gate, PublishError)>, lane: &Arc<str>) -> Result<(), NotTaken> {
    let (mut ever, mut now): (_, Option<Deferred>) = (None, None);
    for (gate, error) in errors {
        match error.refusal() {
            Some(reason) => ever = Some((reason, error)),
            // No word on one is no word on the event.
            None if matches!(error, PublishError::Unreported { .. }) => {
                return Err(NotTaken::Now(Deferred::at(gate, lane, None, &error)));
            }
            None => {
                let this = Deferred::at(gate, lane, None, &error);
                now = Some(if let Some(before) = now { before.and(this) } else { this });
            }
        }
    }
    match (ever, now) {
        (Some((reason, error)), _) => Err(NotTaken::Ever(Rejection { reason, error: error.to_string() })),
        (None, Some(deferred)) => Err(NotTaken::Now(deferred)),
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::KafkaError;

    use super::*;

    fn after(errors: &[PublishError]) -> Deferred {
        let at = |error| Deferred::at(Gate::Partition("t".into(), 0), &"t".into(), None, error);
        errors.iter().map(at).reduce(Deferred::and).expect("an error")
    }

    #[test]
    fn it_is_sent_again_at_once_if_kafka_turned_none_of_its_records_away() {
        let topic: Arc<str> = "t".into();
        let unconfirmed = || PublishError::Unconfirmed { topic: Arc::clone(&topic) };
        let behind = || PublishError::Behind { topic: Arc::clone(&topic) };
        let waits = || PublishError::Waits { topic: Arc::clone(&topic), error: KafkaError::Canceled };
        assert!(after(&[unconfirmed()]).again);
        assert!(after(&[behind()]).again, "the state before it was not taken: nothing says so of this one");
        assert!(after(&[unconfirmed(), behind()]).again);
        assert!(!after(&[waits()]).again && !after(&[waits(), behind()]).again && !after(&[behind(), waits()]).again);
    }
}
