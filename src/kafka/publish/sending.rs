//! The way of one record: to its channel, when it may go, and to Kafka's verdict.
//!
//! ```text
//! record ─▶ a state? ─no──────────────────────────────────────▶ handed over ─▶ verdict
//!              └yes─▶ claim ─┬─ a newer one is written ─▶ left out    ▲           └▶ the next of its key
//!                            └─ its turn, at once or later ───────────┘
//! ```

use std::sync::Arc;
use std::time::Instant;

use rdkafka::message::OwnedMessage;
use tokio::time::timeout;

use super::clients::{Clients, Patience};
use super::clock::TimeRefusal;
use super::evidence::TopicPartition;
use super::hand_over::{Handed, InBurst};
use super::message::to_kafka_again;
use super::slot::ProducerSlot;
use super::{PublishError, Publisher, Sent};
use crate::kafka::latest::{Channel, Claim, Queued, Ticket, Turned, Waits, WriteEnd};
use crate::kafka::partition;
use crate::kafka::route::Record;

/// A record that is with librdkafka.
pub(crate) struct Sending<F> {
    /// Whether it is, or waits for its turn, and was not given back at once.
    pub(crate) is_sent: bool,
    /// Waits for Kafka's verdict, which librdkafka gives in time for whoever waits for it.
    pub(crate) report: F,
}

/// A record that needs nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    /// Kafka has it, in this partition at this offset.
    At(i32, i64),
    /// A state that was left out, since Kafka has a newer one of its key.
    Superseded,
}

/// A record that was handed over, and how.
struct HandedOver {
    chosen: ProducerChoice,
    /// The time that it was to have, and the one that it got then.
    timestamp: i64,
    stamp: i64,
    sent_at: (Instant, i64),
    handed: Handed,
}

/// By which producer a record goes, decided once: whether it may go behind another of its key hangs on it.
struct ProducerChoice {
    clients: Arc<Clients>,
    place: TopicPartition,
    number: usize,
}

/// What became of a record at once.
enum Begun {
    Sent(HandedOver, Option<Ticket>),
    Waits(Queued, Record, ProducerChoice),
    Superseded,
}

impl Publisher {
    /// Sends `record` at once, even if nobody waits for the report; a state when it is its turn. Meanwhile it is librdkafka's alone.
    pub(crate) fn publish(
        &self,
        record: Record,
        patience: Patience,
    ) -> Sending<impl Future<Output = Result<Landed, PublishError>> + use<'_>> {
        let chosen = self.choose_producer(&record, patience);
        let begun = match self.claim(&record, patience, &chosen) {
            None => Begun::Sent(self.send_off(record, patience, chosen), None),
            Some(Claim::Now(ticket)) => {
                let (sent, ticket) = self.send_state(record, patience, chosen, ticket);
                Begun::Sent(sent, Some(ticket))
            }
            Some(Claim::Later(queued)) => Begun::Waits(queued, record, chosen),
            Some(Claim::Superseded) => Begun::Superseded,
        };
        let is_sent = match &begun {
            Begun::Sent(sent, _) => matches!(&sent.handed, Handed::Sent(_, Some(Sent { report: Ok(_), .. }))),
            Begun::Waits(..) | Begun::Superseded => true,
        };
        let report = async move {
            let (sent, mut ticket) = match begun {
                Begun::Sent(sent, ticket) => (sent, ticket),
                Begun::Superseded => return Ok(Landed::Superseded),
                Begun::Waits(queued, record, chosen) => {
                    let Some(ticket) = self.turn(queued, &record.topic, patience).await? else {
                        return Ok(Landed::Superseded);
                    };
                    let (sent, ticket) = self.send_state(record, patience, chosen, ticket);
                    (sent, Some(ticket))
                }
            };
            let landed = self.verdict(sent, patience, &mut ticket).await;
            if let Some(ticket) = ticket {
                ticket.end(end_of(&landed));
            }
            landed
        };
        Sending { is_sent, report }
    }

    /// Whether a state may be written; `None` of what is none.
    fn claim(&self, record: &Record, patience: Patience, chosen: &ProducerChoice) -> Option<Claim> {
        let version = record.version?;
        let channel = self.channel(patience, chosen);
        Some(self.latest.claim(&record.topic, &record.key, version, (channel, waits(patience))))
    }

    /// Chooses the producer of a record.
    fn choose_producer(&self, record: &Record, patience: Patience) -> ProducerChoice {
        let clients = self.clients.load_full();
        let hash = partition::hash(record.key.as_bytes());
        let place = (Arc::clone(&record.topic), self.watch.partition(&record.topic, hash));
        let number = clients.number(patience, hash, &place);
        ProducerChoice { clients, place, number }
    }

    /// What keeps the order of a record and those of its key before and behind it.
    fn channel(&self, patience: Patience, chosen: &ProducerChoice) -> Channel {
        match patience {
            Patience::Sender => Channel::Ordered { producer: chosen.number, generation: self.generation.now() },
            // The two have producers of their own.
            Patience::Spool { generation } => Channel::Ordered { producer: usize::MAX - chosen.number, generation },
            Patience::Command | Patience::Alone => Channel::Apart,
        }
    }

    /// Waits for the turn of a state; `None` when a newer one was written meanwhile.
    async fn turn(&self, queued: Queued, topic: &Arc<str>, patience: Patience) -> Result<Option<Ticket>, PublishError> {
        let behind = || PublishError::Behind { topic: Arc::clone(topic) };
        let turned = if waits(patience) == Waits::Short {
            // Once it is sent, its verdict takes up to the whole of that time.
            let longest = self.clients.load().for_senders[0].message_timeout / 4;
            timeout(longest, queued.turn()).await.map_err(|_| behind())?
        } else {
            queued.turn().await
        };
        match turned {
            Turned::Now(ticket) => Ok(Some(ticket)),
            Turned::Superseded => Ok(None),
            Turned::NotNow => Err(behind()),
        }
    }

    fn send_state(
        &self,
        record: Record,
        patience: Patience,
        chosen: ProducerChoice,
        ticket: Ticket,
    ) -> (HandedOver, Ticket) {
        let sent = self.send_off(record, patience, chosen);
        ticket.hand();
        (sent, ticket)
    }

    fn send_off(&self, record: Record, patience: Patience, chosen: ProducerChoice) -> HandedOver {
        let (stamp, sent_at) = self.clock.stamp(record.timestamp);
        let timestamp = record.timestamp;
        let handed = self.hand_over(&chosen.clients, (patience, chosen.number), record, &chosen.place, stamp);
        HandedOver { chosen, timestamp, stamp, sent_at, handed }
    }

    /// Waits for the verdict on what was handed over.
    async fn verdict(
        &self,
        sent: HandedOver,
        patience: Patience,
        ticket: &mut Option<Ticket>,
    ) -> Result<Landed, PublishError> {
        let HandedOver { chosen: ProducerChoice { clients, place, number }, timestamp, stamp, sent_at, handed } = sent;
        let (burst, sent) = match handed {
            Handed::Sent(burst, sent) => (burst, sent),
            Handed::Waits(later) => self.released(&clients, later).await,
            Handed::Replaced => return Err(PublishError::Replaced { topic: place.0 }),
        };
        let in_burst = InBurst { publisher: self, clients: &clients, burst };
        let slot = clients.slot(patience, number);
        let (error, given_back) = match self.settle(slot, &place, sent).await {
            Ok((partition, offset)) => {
                self.clock.taken(stamp, sent_at);
                return Ok(Landed::At(partition, offset));
            }
            Err(failed) => failed,
        };
        drop(in_burst);
        // Kafka refuses a batch as a whole: whether it was for this record, only it alone can tell.
        let (record, time) = match (patience, given_back) {
            (Patience::Alone, given_back) => self.with_another_time(&place.0, stamp, error, given_back).await?,
            (_, None) => return Err(error),
            (Patience::Spool { .. }, Some(_)) => return Err(error.unjudged()),
            (_, Some(record)) => (record, timestamp),
        };
        // Others of its key may have gone on meanwhile.
        if let Some(before) = ticket.take() {
            *ticket = match before.again((Channel::Apart, waits(patience))) {
                Claim::Now(again) => Some(again),
                Claim::Later(queued) => self.turn(queued, &place.0, patience).await?,
                Claim::Superseded => None,
            };
            if ticket.is_none() {
                return Ok(Landed::Superseded);
            }
        }
        self.publish_alone(&clients.alone, record, &place, time).await
    }

    /// Sends a record that was refused with its batch once more, in a batch of its own: this verdict is about the record.
    async fn publish_alone(
        &self,
        slot: &ProducerSlot,
        mut record: OwnedMessage,
        place: &TopicPartition,
        timestamp: i64,
    ) -> Result<Landed, PublishError> {
        let mut wanted = timestamp;
        loop {
            let (stamp, sent_at) = self.clock.stamp(wanted);
            let sent = self.send(slot, to_kafka_again(&mut record, stamp));
            drop(record);
            let (error, given_back) = match self.settle(slot, place, sent).await {
                Ok((partition, offset)) => {
                    self.clock.taken(stamp, sent_at);
                    return Ok(Landed::At(partition, offset));
                }
                Err(failed) => failed,
            };
            // That is earlier by a minute at least, so this ends.
            (record, wanted) = self.with_another_time(&place.0, stamp, error, given_back).await?;
        }
    }

    /// The time that a record may be taken with which was refused alone, if it was refused for its time; else the verdict.
    async fn with_another_time(
        &self,
        topic: &Arc<str>,
        stamp: i64,
        error: PublishError,
        given_back: Option<OwnedMessage>,
    ) -> Result<(OwnedMessage, i64), PublishError> {
        if !error.is_about_time() {
            return Err(error);
        }
        match (self.clock.refused(&self.watch, topic, stamp).await, given_back) {
            (TimeRefusal::Age, _) => Err(error),
            (TimeRefusal::Clock { again: Some(earlier), .. }, Some(same)) => Ok((same, earlier)),
            (TimeRefusal::Clock { words, .. }, _) => Err(PublishError::Clock { topic: Arc::clone(topic), words }),
        }
    }
}

fn waits(patience: Patience) -> Waits {
    if patience == Patience::Sender { Waits::Short } else { Waits::Long }
}

/// What an end means for other states of the key.
fn end_of(landed: &Result<Landed, PublishError>) -> WriteEnd {
    match landed {
        Ok(Landed::At(partition, offset)) => WriteEnd::Written(*partition, *offset),
        Err(PublishError::Waits { .. } | PublishError::Unreported { .. }) => WriteEnd::NotNow,
        // Refused, or somebody sends it again at once.
        Ok(Landed::Superseded) | Err(_) => WriteEnd::NotWritten,
    }
}
