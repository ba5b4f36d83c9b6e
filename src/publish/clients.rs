//! The producers of one configuration: which there are, and which takes a record.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;

use super::producer::{Context, Producer, Reason, client_config};
use super::slot::Slot;
use crate::config::{ConfigError, Settings};

/// librdkafka looks once a second which records have timed out.
pub(super) const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// Who waits for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A sender: until `http.ack_timeout`.
    Sender,
    /// Only the spool: long enough that a busy broker is not taken for one that is away.
    Spool,
}

/// [`Patience::Spool`], at least.
const SPOOL_PATIENCE: Duration = Duration::from_secs(30);

/// The producers of one configuration.
pub(crate) struct Clients {
    pub(super) config: ClientConfig,
    pub(super) reason: Reason,
    /// As many as `kafka.producers` says, by the record's key.
    pub(super) for_senders: Box<[Slot]>,
    /// As many, made when the spool has something.
    pub(super) for_spool: Box<[Slot]>,
    /// Sends each record in a batch of its own.
    pub(super) alone: Slot,
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
        let several = |purpose, patience| {
            let name = |number| format!("producer {number} of {count} for {purpose}");
            (1..=count).map(|number| Slot::new(name(number), &config, patience)).collect()
        };
        let clients = Clients {
            for_senders: several("senders", senders),
            for_spool: several("the spool", senders.max(SPOOL_PATIENCE)),
            alone: Slot::new("the producer for single records".to_owned(), &one_by_one, senders),
            reason: Arc::clone(&context.reason),
            config,
        };
        for slot in &clients.for_senders {
            slot.get(context)?;
        }
        Ok(clients)
    }

    pub(super) fn of(&self, patience: Patience) -> &[Slot] {
        match patience {
            Patience::Sender => &self.for_senders,
            Patience::Spool => &self.for_spool,
        }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.for_senders.iter().chain(&self.for_spool).chain([&self.alone])
    }

    /// The senders' producer that metadata is asked for.
    pub(super) fn first(&self, context: &Context) -> Result<Arc<Producer>, ConfigError> {
        self.for_senders[0].get(context)
    }
}
