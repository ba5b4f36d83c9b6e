//! Keeps an eye on Kafka: reachable, and every topic there with as many partitions as it should have. Missing topics
//! are made, unless `kafka.create_topics` says no.

mod configs;
mod create;
mod min_insync;
mod view;
mod writable;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rdkafka::ClientConfig;
use rdkafka::admin::AdminOptions;
use tokio::sync::watch;

use super::outage::{News, Outage};
use super::producer::{Context, LastFailure, Producer};
use crate::config::{ConfigError, Settings};
use crate::kafka::partition;
use crate::kafka::route::{Routes, TopicSpec};
use crate::ordering::ANY_PARTITION;
pub(crate) use configs::Differing;
use view::forbidden;
pub(crate) use view::{LookError, TopicState, View};
pub(crate) use writable::Unwritable;
use writable::Writable;

/// How long one look may take.
pub(super) const LOOK_TIMEOUT: Duration = Duration::from_secs(4);
/// The first ones are shorter: librdkafka may sleep through the moment in which its connection comes up, and then a
/// look takes as long as it may.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_millis(500);
/// Between looks while all is well; a failing record brings the next one forward.
const WELL_INTERVAL: Duration = Duration::from_secs(15);
/// Between looks while some partitions cannot be written, for the end not to be seen late.
const DEGRADED_INTERVAL: Duration = Duration::from_secs(5);
/// Between looks while Kafka takes nothing: short, since senders are being turned away.
const UNWELL_INTERVAL: Duration = Duration::from_secs(1);

/// What is known about Kafka at this moment.
pub(crate) struct Watch {
    topics: Vec<TopicSpec>,
    create: bool,
    partitions: i32,
    replication_factor: i32,
    config: ArcSwap<ClientConfig>,
    reason: ArcSwap<Mutex<Option<String>>>,
    context: Context,
    /// Why Kafka cannot take events; `None` when it can.
    trouble: watch::Sender<Option<Trouble>>,
    silent: AtomicBool,
    outage: Mutex<Outage>,
    /// How many partitions each topic has, as was last seen.
    counts: ArcSwap<BTreeMap<Arc<str>, u32>>,
    writable: Writable,
}

/// Why Kafka cannot take events.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    /// Not looked yet.
    Unknown,
    /// It does not answer.
    Away(String),
    /// It is there, but a topic is not.
    Missing(String),
    /// No event can be written: of each topic of events all partitions are without a leader, or too few replicas in sync.
    Unwritable(String),
}

impl Trouble {
    fn words(&self) -> String {
        match self {
            Trouble::Unknown => "not connected yet".to_owned(),
            Trouble::Away(words) | Trouble::Missing(words) | Trouble::Unwritable(words) => words.clone(),
        }
    }

    /// Whether it is told of elsewhere that it begins and ends.
    fn is_of_partitions(&self) -> bool {
        matches!(self, Trouble::Unwritable(_))
    }
}

impl Watch {
    pub(super) fn new(settings: &Settings, routes: &Routes, config: ClientConfig, context: Context) -> Self {
        Watch {
            config: ArcSwap::from_pointee(config),
            reason: ArcSwap::new(Arc::clone(&context.reason)),
            topics: routes.topics.clone(),
            create: settings.kafka.create_topics,
            partitions: settings.kafka.partitions,
            replication_factor: settings.kafka.replication_factor,
            context,
            trouble: watch::Sender::new(Some(Trouble::Unknown)),
            silent: AtomicBool::new(false),
            outage: Mutex::default(),
            counts: ArcSwap::default(),
            writable: Writable::default(),
        }
    }

    /// Why Kafka cannot take events; `None` when it can.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().as_ref().map(Trouble::words)
    }

    /// Whether waiting for Kafka makes no sense: it is known not to answer, or a record has timed out with none
    /// acknowledged since it was sent, and no look has told more yet.
    #[must_use]
    pub(crate) fn is_away(&self) -> bool {
        self.silent.load(Ordering::Relaxed) || matches!(*self.trouble.borrow(), Some(Trouble::Away(_)))
    }

    /// Waits until the looks find that Kafka does not answer, or until they find that it does.
    pub(crate) async fn until_answering(&self, answers: bool) {
        let is_so = |trouble: &Option<Trouble>| match trouble {
            Some(Trouble::Unknown) => false,
            Some(Trouble::Away(_)) => !answers,
            _ => answers,
        };
        // The sender lives as long as this.
        let _ = self.trouble.subscribe().wait_for(is_so).await;
    }

    /// A record has timed out, with none acknowledged since it was sent.
    pub(super) fn mark_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Kafka has answered.
    pub(super) fn mark_reachable(&self) {
        self.silent.store(false, Ordering::Relaxed);
    }

    /// A first look, with the missing topics made.
    pub(super) async fn start(&self, producer: &Arc<Producer>) {
        for patience in [FIRST_LOOK_TIMEOUT, FIRST_LOOK_TIMEOUT * 2] {
            let found = self.look(producer, self.create, patience).await;
            if found.is_ok() {
                self.found(&found);
                return;
            }
        }
    }

    /// Whether Kafka lets `producer` see all topics, which are there; if not, `reason` may tell more.
    pub(super) async fn try_out(&self, producer: &Arc<Producer>, reason: &LastFailure) -> Result<(), LookError> {
        let mut found = self.look_by(producer, reason, false, FIRST_LOOK_TIMEOUT).await;
        for patience in [FIRST_LOOK_TIMEOUT * 2, LOOK_TIMEOUT] {
            if found.is_err() {
                found = self.look_by(producer, reason, false, patience).await;
            }
        }
        found?.missing().map_or(Ok(()), |words| Err(LookError::Missing(words)))
    }

    /// Looks with this configuration from here on, and by clients that tell there why they cannot connect.
    pub(super) fn take_over(&self, config: ClientConfig, reason: LastFailure) {
        self.config.store(config.into());
        self.reason.store(reason);
    }

    /// Takes over what a look found.
    fn found(&self, found: &Result<View, LookError>) {
        if let Ok(view) = found {
            self.mark_reachable();
            let count = |topic: &TopicState| Some((Arc::clone(&topic.name), u32::try_from(topic.count()?).ok()?));
            // A broker that lags behind may not know a topic: its partitions are still those that were seen.
            let mut counts = BTreeMap::clone(&self.counts.load());
            counts.extend(view.topics.iter().filter_map(count));
            self.counts.store(Arc::new(counts));
        }
        self.judge(found);
    }

    /// Decides whether Kafka can take events, and says what is new about it.
    fn judge(&self, found: &Result<View, LookError>) {
        let trouble = match found {
            Err(error) => Some(Trouble::Away(error.to_string())),
            Ok(view) => {
                let nothing_writable = self.writable.found(view);
                view.missing().map(Trouble::Missing).or(nothing_writable.map(Trouble::Unwritable))
            }
        };
        // That no partition can be written is said with them; it neither begins nor ends this outage.
        if !trouble.as_ref().is_some_and(Trouble::is_of_partitions) {
            self.say(trouble.as_ref().map(Trouble::words).as_deref());
        }
        self.trouble.send_replace(trouble);
    }

    /// Says why Kafka is not ready, or that it is, if that is new.
    fn say(&self, reason: Option<&str>) {
        let was_known = *self.trouble.borrow() != Some(Trouble::Unknown);
        match self.outage.lock().unwrap_or_else(PoisonError::into_inner).next(reason.is_some(), Instant::now()) {
            Some(News::Begins) => tracing::warn!(reason, "Kafka is not ready"),
            Some(News::Lasts(time)) => tracing::warn!(reason, seconds = time.as_secs(), "Kafka is still not ready"),
            Some(News::Ended(time)) => {
                tracing::info!(topics = self.topics.len(), seconds = time.as_secs(), "Kafka is ready again");
            }
            None if reason.is_none() && !was_known => tracing::info!(topics = self.topics.len(), "Kafka is ready"),
            None => {}
        }
    }

    /// The partition of a key with this hash, [`ANY_PARTITION`] while the topic has not been seen.
    pub(super) fn partition(&self, topic: &Arc<str>, hash: u32) -> i32 {
        let count = self.counts.load().get(topic).copied();
        count.and_then(|count| i32::try_from(partition::of_hash(hash, count)).ok()).unwrap_or(ANY_PARTITION)
    }

    /// How many partitions a topic has, as was last seen.
    pub(crate) fn partition_count(&self, topic: &str) -> Option<u32> {
        self.counts.load().get(topic).copied()
    }

    /// The configuration of the clients in use.
    pub(crate) fn client_config(&self) -> ClientConfig {
        ClientConfig::clone(&self.config.load())
    }

    /// Any topic of ours, for those who only want to see the brokers: a list of all topics may be long.
    pub(super) fn a_topic(&self) -> Arc<str> {
        self.topics.first().map(|topic| Arc::clone(&topic.name)).unwrap_or_default()
    }

    pub(super) async fn keep(&self, producer: impl Fn() -> Result<Arc<Producer>, ConfigError>) {
        let (mut warned, mut looked_at_configs, mut failing) = (false, false, false);
        let mut patience = FIRST_LOOK_TIMEOUT;
        loop {
            let found = match producer() {
                Ok(producer) => self.look(&producer, self.create, patience).await,
                Err(error) => Err(error.into()),
            };
            patience = match patience {
                // Short looks come again and again while Kafka is away.
                LOOK_TIMEOUT if found.is_err() => FIRST_LOOK_TIMEOUT,
                _ if found.is_err() => patience * 2,
                _ => LOOK_TIMEOUT,
            };
            self.found(&found);
            if let Ok(view) = &found {
                if self.ask_min_insync(view, failing).await {
                    self.judge(&found);
                }
                if let Some(words) = view.uneven(None).filter(|_| !warned) {
                    warned = true;
                    tracing::warn!("{words}");
                }
                if !looked_at_configs && view.missing().is_none() {
                    looked_at_configs = true;
                    self.warn_of_configs(view).await;
                }
            }
            let early = async {
                self.context.failing.notified().await;
                // Failures come in crowds; one look will do for all of them.
                tokio::time::sleep(UNWELL_INTERVAL).await;
            };
            failing = tokio::time::timeout(self.interval(), early).await.is_ok();
        }
    }

    /// How long until the next look.
    fn interval(&self) -> Duration {
        if self.trouble.borrow().is_some() {
            UNWELL_INTERVAL
        } else if self.unwritable().is_some() {
            DEGRADED_INTERVAL
        } else {
            WELL_INTERVAL
        }
    }

    pub(super) async fn look(
        &self,
        producer: &Arc<Producer>,
        create: bool,
        patience: Duration,
    ) -> Result<View, LookError> {
        self.look_by(producer, &self.reason.load_full(), create, patience).await
    }

    /// A look by a client that tells there why it cannot connect.
    async fn look_by(
        &self,
        producer: &Arc<Producer>,
        reason: &LastFailure,
        create: bool,
        mut patience: Duration,
    ) -> Result<View, LookError> {
        let mut view = View::ask(producer, reason, &self.topics, patience).await?;
        let mut refused = BTreeMap::new();
        if create && view.missing().is_some() {
            let created = self.create_missing(&view).await;
            refused = created.map_err(|error| LookError::NotCreated { missing: view.all_missing(), error })?;
            patience = LOOK_TIMEOUT;
            view = View::ask(producer, reason, &self.topics, patience).await?;
        }
        if view.missing().is_none() {
            return Ok(view);
        }
        let client = Arc::clone(producer);
        let why = move || {
            for topic in view.topics.iter_mut().filter(|topic| topic.partitions.is_none()) {
                topic.error = forbidden(&client, &topic.name, patience).or_else(|| refused.remove(&topic.name));
            }
            view
        };
        Ok(tokio::task::spawn_blocking(why).await?)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LOOK_TIMEOUT)).operation_timeout(Some(LOOK_TIMEOUT))
}
