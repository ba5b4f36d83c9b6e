//! The way of a record to librdkafka: a sender's by the line, any other at once.

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::clients::{Clients, Patience};
use super::evidence::TopicPartition;
use super::gather::MOMENT;
use super::line::{Entered, LONGEST_WAIT, LinedUp, Next, Released};
use super::message::to_kafka;
use super::{Publisher, Sent};
use crate::kafka::route::Record;

/// A record that was handed over.
pub(super) enum Handed {
    /// To librdkafka, with the burst of this number; [`NO_BURST`] when it did not come by the line.
    Sent(u64, Option<Sent>),
    /// To the line.
    Waits(oneshot::Receiver<(u64, Option<Sent>)>),
    /// To nobody: another generation of producers has begun.
    Replaced,
}

/// The number of no burst.
pub(super) const NO_BURST: u64 = 0;

/// A record until its verdict is there. Then the line goes on.
pub(super) struct InBurst<'a> {
    pub(super) publisher: &'a Publisher,
    pub(super) clients: &'a Clients,
    pub(super) burst: u64,
}

impl Drop for InBurst<'_> {
    fn drop(&mut self) {
        if self.burst != NO_BURST {
            match self.clients.line.leave(self.burst) {
                Next::Nothing => (),
                Next::Burst(released) => self.publisher.send_released(self.clients, Some(released)),
                Next::Gathers => self.publisher.gathers.notify_one(),
            }
        }
    }
}

impl Publisher {
    /// Hands `record` to the producer of this number: a sender's when it is its turn.
    pub(super) fn hand_over(
        &self,
        clients: &Clients,
        (patience, producer): (Patience, usize),
        record: Record,
        place: &TopicPartition,
        stamp: i64,
    ) -> Handed {
        let (burst, record) = match patience {
            Patience::Sender => match clients.line.enter(record, place.clone(), stamp, producer) {
                Entered::Now(burst, record) => (burst, record),
                Entered::Later(later, released) => {
                    self.send_released(clients, released);
                    return Handed::Waits(later);
                }
            },
            Patience::Command | Patience::Spool { .. } | Patience::Alone => (NO_BURST, record),
        };
        let due = if let Patience::Spool { generation } = patience { Some(generation) } else { None };
        let to_slot = || self.send(clients.slot(patience, producer), to_kafka(&record, stamp));
        self.generation.during(due, to_slot).map_or(Handed::Replaced, |sent| Handed::Sent(burst, sent))
    }

    /// Waits until a record in the line is sent.
    pub(super) async fn released(
        &self,
        clients: &Clients,
        mut later: oneshot::Receiver<(u64, Option<Sent>)>,
    ) -> (u64, Option<Sent>) {
        let told = if let Ok(told) = timeout(LONGEST_WAIT, &mut later).await {
            told
        } else {
            self.send_all_waiting(clients);
            later.await
        };
        // Whoever had it in hand ended before it was sent.
        told.unwrap_or((NO_BURST, None))
    }

    /// Sends a burst, the records of each partition side by side.
    pub(super) fn send_released(&self, clients: &Clients, released: Option<Released>) {
        let Some((burst, mut waiting)) = released else { return };
        waiting.sort_by(|one, other| one.place.cmp(&other.place));
        self.generation.during(None, || {
            for LinedUp { record, stamp, producer, sent, .. } in waiting {
                let handed = self.send(clients.slot(Patience::Sender, producer), to_kafka(&record, stamp));
                if sent.send((burst, handed)).is_err() {
                    // Nobody waits for its verdict. The burst ends without it, if only at `LONGEST_WAIT`.
                    tracing::trace!(topic = &*record.topic, "nobody waits for a record that was just sent");
                }
            }
        });
    }

    /// Ends the moments for which the line waits, until the task is dropped.
    pub(super) async fn keep_gathering(&self) {
        loop {
            self.gathers.notified().await;
            sleep(MOMENT).await;
            let clients = self.clients.load_full();
            self.send_released(&clients, clients.line.gathered());
        }
    }

    /// Sends what waits in the line.
    pub(super) fn send_all_waiting(&self, clients: &Clients) {
        self.send_released(clients, clients.line.release());
    }
}
