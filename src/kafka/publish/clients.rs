//! The producers of one configuration: which there are, and which takes a record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;

use super::evidence::TopicPartition;
use super::line::{self, Line};
use super::producer::{Context, LastFailure, Producer, client_config};
use super::scale;
use super::slot::ProducerSlot;
use crate::config::{ConfigError, Producers, Settings};
use crate::kafka::partition;

/// librdkafka looks once a second which records have timed out.
pub(super) const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// Who waits for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A sender: until `http.ack_timeout`.
    Sender,
    /// A command: long enough that a busy broker is not taken for one that is away.
    Command,
    /// The spool: without an end, and only by the producers of this generation. One record may follow another of its key
    /// without waiting for it: should Kafka not take the first, it does not take the second either.
    Spool { generation: u64 },
    /// The spool, for a record that is in a batch of its own: as [`Patience::Sender`].
    Alone,
}

impl Patience {
    /// For what nobody else's order hangs on.
    pub(crate) fn with_an_end(self) -> Patience {
        match self {
            Patience::Spool { .. } => Patience::Command,
            other => other,
        }
    }
}

/// [`Patience::Command`], and what the spool's producers count as long.
const LONG_PATIENCE: Duration = Duration::from_secs(30);

/// What keeps the order of records that follow each other without waiting: none times out by itself, and when a batch is not
/// taken, librdkafka sends nothing more of what came behind it.
const IN_STEP: [(&str, &str); 4] = [
    ("message.timeout.ms", "0"),
    ("retries", "2147483647"),
    ("enable.gapless.guarantee", "true"),
    ("max.in.flight.requests.per.connection", "1"),
];

/// How many producers the spool has, and how many commands have, where nothing is said of it.
const OTHERS: u32 = 4;

/// The producers of one configuration.
pub(crate) struct Clients {
    pub(super) config: ClientConfig,
    pub(super) reason: LastFailure,
    /// As many as there may be, each made when it is first needed.
    pub(super) for_senders: Box<[ProducerSlot]>,
    /// What all of them share.
    pub(super) line: Line,
    /// How many of them are in use: the first ones.
    in_use: AtomicUsize,
    /// So many looks in a row found that fewer would do.
    calm: AtomicU32,
    /// Whether that follows the load.
    is_auto: bool,
    /// Made when the spool has something.
    pub(super) for_spool: Box<[ProducerSlot]>,
    /// Made when a command has something.
    pub(super) for_commands: Box<[ProducerSlot]>,
    /// Sends each record in a batch of its own.
    pub(super) alone: ProducerSlot,
}

impl Clients {
    /// # Errors
    /// When librdkafka does not know a property of `kafka.properties`, or does not take its value.
    pub(super) fn new(settings: &Settings, context: &Context) -> Result<Clients, ConfigError> {
        let config = client_config(settings);
        // Timed out by then, and looked at up to a scan later, the verdict is there when the sender is due an answer.
        let ack_timeout = settings.http.ack_timeout;
        let senders = ack_timeout.saturating_sub(SCAN_INTERVAL + line::LONGEST_WAIT).max(ack_timeout / 2);
        let mut one_by_one = config.clone();
        one_by_one.set("batch.num.messages", "1");
        let (most, in_use, others) = match settings.kafka.producers {
            Producers::Auto => (scale::MOST as u32, 1, OTHERS),
            Producers::Count(count) => (count, count as usize, count),
        };
        let several = |count, purpose, patience, own: &[(&str, &str)]| {
            let name = |number| format!("producer {number} of {count} for {purpose}");
            (1..=count).map(|number| ProducerSlot::new(name(number), &config, patience, own)).collect()
        };
        let long = senders.max(LONG_PATIENCE);
        let clients = Clients {
            for_senders: several(most, "senders", senders, &[]),
            line: Line::default(),
            in_use: AtomicUsize::new(in_use),
            calm: AtomicU32::new(0),
            is_auto: settings.kafka.producers == Producers::Auto,
            for_spool: several(others, "the spool", long, &IN_STEP),
            for_commands: several(others, "commands", long, &[]),
            alone: ProducerSlot::new("the producer for single records".to_owned(), &one_by_one, senders, &[]),
            reason: Arc::clone(&context.reason),
            config,
        };
        for slot in &clients.for_senders[..in_use] {
            slot.get(context)?;
        }
        Ok(clients)
    }

    /// The number of the producer that takes a record to `place` with a key of this hash: of senders' records one that is in use now, and all
    /// records of a partition have the same. The others are shared by the keys' hashes, for good: their order hangs on it.
    pub(super) fn number(&self, patience: Patience, hash: u32, place: &TopicPartition) -> usize {
        match patience {
            Patience::Sender => {
                let of_topic = partition::hash(place.0.as_bytes());
                let of_place = of_topic.wrapping_add(u32::try_from(place.1).unwrap_or(hash));
                partition::of_hash(of_place, self.in_use.load(Ordering::Relaxed) as u32) as usize
            }
            Patience::Command => partition::of_hash(hash, self.for_commands.len() as u32) as usize,
            Patience::Spool { .. } => partition::of_hash(hash, self.for_spool.len() as u32) as usize,
            Patience::Alone => 0,
        }
    }

    /// The producer of this number.
    pub(super) fn slot(&self, patience: Patience, number: usize) -> &ProducerSlot {
        match patience {
            Patience::Sender => &self.for_senders[number],
            Patience::Command => &self.for_commands[number],
            Patience::Spool { .. } => &self.for_spool[number],
            Patience::Alone => &self.alone,
        }
    }

    /// Takes those of the senders' producers into use that the load since the last call needs and that are there: what was made then
    /// is connected by now. Leaves some out only after [`scale::CALM`] calls in a row that need fewer. Makes those that are missing. Gives those that are not in use and idle.
    pub(super) fn rescale(&self, context: &Context) -> Result<Vec<&ProducerSlot>, ConfigError> {
        let load = self.line.take_load();
        if !self.is_auto {
            return Ok(Vec::new());
        }
        let in_use = self.in_use.load(Ordering::Relaxed);
        let needed = self.steady(load.producers(in_use), in_use);
        let there = self.for_senders.iter().take_while(|slot| slot.current().is_some()).count();
        for slot in &self.for_senders[..needed] {
            slot.get(context)?;
        }
        self.in_use.store(needed.min(there.max(in_use)), Ordering::Relaxed);
        let further = &self.for_senders[needed.max(in_use)..];
        Ok(further.iter().filter(|slot| slot.idle().is_some()).collect())
    }

    /// As many as are needed, but not fewer than are in use before that is so for a while.
    fn steady(&self, needed: usize, in_use: usize) -> usize {
        if needed >= in_use {
            self.calm.store(0, Ordering::Relaxed);
            return needed;
        }
        let calm = self.calm.fetch_add(1, Ordering::Relaxed) + 1;
        if calm < scale::CALM {
            return in_use;
        }
        self.calm.store(0, Ordering::Relaxed);
        needed
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &ProducerSlot> {
        self.for_senders.iter().chain(&self.for_spool).chain(&self.for_commands).chain([&self.alone])
    }

    /// The senders' producer that metadata is asked for.
    pub(super) fn first(&self, context: &Context) -> Result<Arc<Producer>, ConfigError> {
        self.for_senders[0].get(context)
    }
}
