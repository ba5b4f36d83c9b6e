//! The producers of one configuration: which there are, and which takes a record.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;

use super::producer::{Context, LastFailure, Producer, client_config};
use super::slot::ProducerSlot;
use crate::config::{ConfigError, Settings};
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
const IN_STEP: [(&str, &str); 3] =
    [("message.timeout.ms", "0"), ("retries", "2147483647"), ("enable.gapless.guarantee", "true")];

/// The producers of one configuration.
pub(crate) struct Clients {
    pub(super) config: ClientConfig,
    pub(super) reason: LastFailure,
    /// As many as `kafka.producers` says, by the record's key.
    pub(super) for_senders: Box<[ProducerSlot]>,
    /// As many, made when the spool has something.
    pub(super) for_spool: Box<[ProducerSlot]>,
    /// As many, made when a command has something.
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
        let senders = ack_timeout.saturating_sub(SCAN_INTERVAL).max(ack_timeout / 2);
        let mut one_by_one = config.clone();
        one_by_one.set("batch.num.messages", "1");
        let count = settings.kafka.producers;
        let several = |purpose, patience, own: &[(&str, &str)]| {
            let name = |number| format!("producer {number} of {count} for {purpose}");
            (1..=count).map(|number| ProducerSlot::new(name(number), &config, patience, own)).collect()
        };
        let long = senders.max(LONG_PATIENCE);
        let clients = Clients {
            for_senders: several("senders", senders, &[]),
            for_spool: several("the spool", long, &IN_STEP),
            for_commands: several("commands", long, &[]),
            alone: ProducerSlot::new("the producer for single records".to_owned(), &one_by_one, senders, &[]),
            reason: Arc::clone(&context.reason),
            config,
        };
        for slot in &clients.for_senders {
            slot.get(context)?;
        }
        Ok(clients)
    }

    /// The producer of records whose key has this hash. As keys go to partitions: where the number of producers divides that
    /// of the partitions, each of these has one producer.
    pub(super) fn of(&self, patience: Patience, hash: u32) -> &ProducerSlot {
        let slots = match patience {
            Patience::Sender => &self.for_senders,
            Patience::Command => &self.for_commands,
            Patience::Spool { .. } => &self.for_spool,
            Patience::Alone => return &self.alone,
        };
        &slots[partition::of_hash(hash, slots.len() as u32) as usize]
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &ProducerSlot> {
        self.for_senders.iter().chain(&self.for_spool).chain(&self.for_commands).chain([&self.alone])
    }

    /// The senders' producer that metadata is asked for.
    pub(super) fn first(&self, context: &Context) -> Result<Arc<Producer>, ConfigError> {
        self.for_senders[0].get(context)
    }
}
