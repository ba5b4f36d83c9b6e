//! Keeps an eye on Kafka: reachable, and every topic there with as many partitions as it should have. Missing topics
//! are made, unless `kafka.create_topics` says no.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::watch;

use super::evidence::ANY;
use super::outage::{News, Outage};
use super::producer::{Context, Producer, Reason};
use super::replication::{self, AskError, MIN_INSYNC, OneReplica, Replication};
use crate::config::{ConfigError, Settings};
use crate::partition;
use crate::route::{Role, Routes, TopicSpec};

/// How long one look may take.
pub(super) const LOOK_TIMEOUT: Duration = Duration::from_secs(4);
/// The first ones are shorter: librdkafka may sleep through the moment in which its connection comes up, and then a
/// look takes as long as it may.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_millis(500);
/// Between looks while all is well; a failing record brings the next one forward.
const WELL_INTERVAL: Duration = Duration::from_secs(15);
/// Between looks while it is not: short, since senders are being turned away.
const UNWELL_INTERVAL: Duration = Duration::from_secs(1);

/// What a look found about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicState {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// `None` when it is missing.
    pub(crate) partitions: Option<usize>,
    /// Why it could not be made.
    pub(crate) error: Option<String>,
}

/// A setting of a topic that is not as it should be.
#[derive(Debug)]
pub(crate) struct Differing {
    pub(crate) topic: Arc<str>,
    pub(crate) key: &'static str,
    pub(crate) is: String,
    pub(crate) due: String,
}

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
}

impl Trouble {
    fn words(&self) -> String {
        match self {
            Trouble::Unknown => "not reached yet".to_owned(),
            Trouble::Away(words) | Trouble::Missing(words) => words.clone(),
        }
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

    /// A record has timed out, with none acknowledged since it was sent.
    pub(super) fn miss(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Kafka has answered.
    pub(super) fn hear(&self) {
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
    pub(super) async fn try_out(&self, producer: &Arc<Producer>, reason: &Reason) -> Result<(), String> {
        let mut found = Err(String::new());
        for patience in [FIRST_LOOK_TIMEOUT, FIRST_LOOK_TIMEOUT * 2, LOOK_TIMEOUT] {
            found = self.look_by(producer, reason, false, patience).await;
            if found.is_ok() {
                break;
            }
        }
        missing(&found?).map_or(Ok(()), Err)
    }

    /// Looks with this configuration from here on, and by clients that tell there why they cannot connect.
    pub(super) fn take_over(&self, config: ClientConfig, reason: Reason) {
        self.config.store(config.into());
        self.reason.store(reason);
    }

    /// Takes over what a look found. Says when an outage begins, from time to time that it lasts, and when it ends.
    fn found(&self, found: &Result<Vec<TopicState>, String>) {
        let trouble = match found {
            Err(words) => Some(Trouble::Away(words.clone())),
            Ok(states) => missing(states).map(Trouble::Missing),
        };
        if let Ok(states) = found {
            self.hear();
            let count = |s: &TopicState| Some((Arc::clone(&s.name), u32::try_from(s.partitions?).ok()?));
            self.counts.store(Arc::new(states.iter().filter_map(count).collect()));
        }
        let words = trouble.as_ref().map(Trouble::words);
        let was_known = *self.trouble.borrow() != Some(Trouble::Unknown);
        match self.outage.lock().unwrap_or_else(PoisonError::into_inner).next(words.is_some(), Instant::now()) {
            Some(News::Begins) => tracing::warn!(reason = words, "Kafka is not ready"),
            Some(News::Lasts(time)) => {
                tracing::warn!(reason = words, seconds = time.as_secs(), "Kafka is still not ready");
            }
            Some(News::Ended(time)) => {
                tracing::info!(topics = self.topics.len(), seconds = time.as_secs(), "Kafka is ready again");
            }
            None if words.is_none() && !was_known => tracing::info!(topics = self.topics.len(), "Kafka is ready"),
            None => {}
        }
        self.trouble.send_replace(trouble);
    }

    /// The partition of a key with this hash, [`ANY`] while the topic has not been seen.
    pub(super) fn partition(&self, topic: &Arc<str>, hash: u32) -> i32 {
        let count = self.counts.load().get(topic).copied();
        count.and_then(|count| i32::try_from(partition::of_hash(hash, count)).ok()).unwrap_or(ANY)
    }

    /// Any topic of ours, for those who only want to see the brokers: a list of all topics may be long.
    pub(super) fn a_topic(&self) -> Arc<str> {
        self.topics.first().map(|topic| Arc::clone(&topic.name)).unwrap_or_default()
    }

    pub(super) async fn keep(&self, producer: impl Fn() -> Result<Arc<Producer>, ConfigError>) {
        let (mut warned, mut looked_at_configs) = (false, false);
        let mut patience = FIRST_LOOK_TIMEOUT;
        loop {
            let found = match producer() {
                Ok(producer) => self.look(&producer, self.create, patience).await,
                Err(error) => Err(error.to_string()),
            };
            patience = match patience {
                // Short looks come again and again while Kafka is away.
                LOOK_TIMEOUT if found.is_err() => FIRST_LOOK_TIMEOUT,
                _ if found.is_err() => patience * 2,
                _ => LOOK_TIMEOUT,
            };
            self.found(&found);
            if let Ok(states) = &found {
                if let Some(words) = uneven(states, None).filter(|_| !warned) {
                    warned = true;
                    tracing::warn!("{words}");
                }
                if !looked_at_configs && missing(states).is_none() {
                    looked_at_configs = true;
                    if let Ok(producer) = producer() {
                        self.warn_of_configs(&producer, states).await;
                    }
                }
            }
            let interval = if self.trouble.borrow().is_none() { WELL_INTERVAL } else { UNWELL_INTERVAL };
            let early = async {
                self.context.failing.notified().await;
                // Failures come in crowds; one look will do for all of them.
                tokio::time::sleep(UNWELL_INTERVAL).await;
            };
            let _ = tokio::time::timeout(interval, early).await;
        }
    }

    /// A topic that somebody made by hand may be too small for a body, or forget after a week; and one replica may be all
    /// that an acknowledged record is on.
    async fn warn_of_configs(&self, producer: &Arc<Producer>, states: &[TopicState]) {
        // A broker that does not tell is no reason for alarm.
        let Ok(differing) = self.differing_configs(states).await else { return };
        for Differing { topic, key, is, due } in differing {
            tracing::warn!(%topic, key, is, expected = due, "a setting of the topic is not as expected");
        }
        if let Ok(Some(OneReplica { words, .. })) = self.one_replica(producer, states).await {
            tracing::warn!("{words}");
        }
    }

    /// The topics that may lose an acknowledged record with one disk, of those that are there.
    pub(super) async fn one_replica(
        &self,
        producer: &Arc<Producer>,
        states: &[TopicState],
    ) -> Result<Option<OneReplica>, AskError> {
        let there = states.iter().filter(|state| state.partitions.is_some()).map(|state| &*state.name);
        let configs = self.topic_configs(&there.collect::<Vec<_>>()).await?;
        let cluster = replication::cluster(producer, LOOK_TIMEOUT).await?;
        let replication = |(topic, config): (Arc<str>, ConfigResource)| {
            let replicas = *cluster.replicas.get(&*topic)?;
            Some(Replication { topic, replicas, min_insync: replication::number(&config, MIN_INSYNC)? })
        };
        let topics: Vec<_> = configs.into_iter().filter_map(replication).collect();
        Ok(replication::one_replica(&topics, cluster.brokers.len()))
    }

    /// The configuration of these topics, the broker's defaults included, in the order of their names.
    pub(super) async fn topic_configs(&self, topics: &[&str]) -> Result<BTreeMap<Arc<str>, ConfigResource>, AskError> {
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let resources: Vec<_> = topics.iter().copied().map(ResourceSpecifier::Topic).collect();
        let found = self.admin()?.describe_configs(&resources, &options()).await?;
        let mut configs = BTreeMap::new();
        for resource in found {
            let resource = resource.map_err(AskError::Refused)?;
            if let OwnedResourceSpecifier::Topic(name) = &resource.specifier {
                configs.insert(name.as_str().into(), resource);
            }
        }
        Ok(configs)
    }

    /// What is not as it should be in the configuration of topics that it matters for, of those that are there.
    pub(super) async fn differing_configs(&self, states: &[TopicState]) -> Result<Vec<Differing>, AskError> {
        let is_there = |name: &str| states.iter().any(|state| *state.name == *name && state.partitions.is_some());
        let specs = self.topics.iter().filter(|spec| !spec.configs.is_empty() && is_there(&spec.name));
        let specs: Vec<_> = specs.collect();
        let configs = self.topic_configs(&specs.iter().map(|spec| &*spec.name).collect::<Vec<_>>()).await?;
        let mut differing = Vec::new();
        for spec in specs {
            let Some(resource) = configs.get(&spec.name) else { continue };
            for (key, due) in &spec.configs {
                let is = resource.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
                let enough = match (is.parse::<i64>(), due.parse::<i64>()) {
                    // -1 is for ever; any other number must not be smaller.
                    (Ok(is), Ok(due)) => is == due || (due >= 0 && is > due),
                    _ => is == *due,
                };
                if !enough {
                    differing.push(Differing { topic: Arc::clone(&spec.name), key, is, due: due.clone() });
                }
            }
        }
        Ok(differing)
    }

    /// An admin client of its own connections: it lives for one request.
    fn admin(&self) -> Result<AdminClient<Context>, KafkaError> {
        let context = Context { told: Arc::default(), suspect: Arc::default(), ..self.context.clone() };
        self.config.load().create_with_context(context)
    }

    pub(super) async fn look(
        &self,
        producer: &Arc<Producer>,
        create: bool,
        patience: Duration,
    ) -> Result<Vec<TopicState>, String> {
        self.look_by(producer, &self.reason.load_full(), create, patience).await
    }

    /// A look by a client that tells there why it cannot connect.
    async fn look_by(
        &self,
        producer: &Arc<Producer>,
        reason: &Reason,
        create: bool,
        mut patience: Duration,
    ) -> Result<Vec<TopicState>, String> {
        let mut states = self.states(producer, reason, patience).await?;
        let mut refused = BTreeMap::new();
        if create && missing(&states).is_some() {
            refused = self.create_missing(producer, &states).await?;
            patience = LOOK_TIMEOUT;
            states = self.states(producer, reason, patience).await?;
        }
        if missing(&states).is_none() {
            return Ok(states);
        }
        let client = Arc::clone(producer);
        let why = move || {
            for state in states.iter_mut().filter(|s| s.partitions.is_none()) {
                state.error = forbidden(&client, &state.name, patience).or_else(|| refused.remove(&state.name));
            }
            states
        };
        tokio::task::spawn_blocking(why).await.map_err(|e| e.to_string())
    }

    /// The topics as a list of all has them; why one is missing it does not say.
    async fn states(
        &self,
        producer: &Arc<Producer>,
        reason: &Reason,
        patience: Duration,
    ) -> Result<Vec<TopicState>, String> {
        let (client, reason) = (Arc::clone(producer), Arc::clone(reason));
        let topics: Vec<_> = self.topics.iter().map(|topic| (Arc::clone(&topic.name), topic.role)).collect();
        let look = move || {
            let why = || reason.lock().unwrap_or_else(PoisonError::into_inner);
            let metadata = client.client().fetch_metadata(None, patience);
            // librdkafka says the same thing once, not at each attempt.
            let metadata =
                metadata.map_err(|e| why().as_ref().map_or_else(|| e.to_string(), |why| format!("{e}: {why}")))?;
            // What it said before is over.
            why().take();
            if metadata.brokers().is_empty() {
                return Err(
                    "Kafka names no brokers: none is up, or they have not been taken in by a controller".to_owned()
                );
            }
            let counts: BTreeMap<_, _> = metadata
                .topics()
                .iter()
                .filter(|t| t.error().is_none())
                .map(|t| (t.name().to_owned(), t.partitions().len()))
                .collect();
            let state = |(name, role): (Arc<str>, Role)| {
                let partitions = counts.get(&*name).copied();
                TopicState { name, role, partitions, error: None }
            };
            Ok(topics.into_iter().map(state).collect())
        };
        tokio::task::spawn_blocking(look).await.map_err(|e| e.to_string())?
    }

    /// Makes the missing topics; gives Kafka's words for those it would not make.
    async fn create_missing(
        &self,
        producer: &Arc<Producer>,
        states: &[TopicState],
    ) -> Result<BTreeMap<Arc<str>, String>, String> {
        let admin = self.admin().map_err(|e| e.to_string())?;
        let brokers = replication::cluster(producer, LOOK_TIMEOUT).await.map_err(|e| e.to_string())?.brokers;
        let defaults = match brokers.first() {
            Some(&broker) => replication::defaults(&admin, broker, &options()).await,
            None => None,
        };
        let min_insync = replication::min_insync(self.replication_factor, defaults).map(|count| count.to_string());
        let missing: Vec<_> = self.topics.iter().zip(states).filter(|(_, s)| s.partitions.is_none()).collect();
        let usual = usual(states).and_then(|count| i32::try_from(count).ok());
        let new: Vec<_> = missing
            .iter()
            .map(|(spec, _)| {
                let fitting = usual.filter(|_| matches!(spec.role, Role::Links | Role::Latest));
                let partitions = fitting.unwrap_or(self.partitions);
                let topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(self.replication_factor));
                let topic = spec.configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
                min_insync.iter().fold(topic, |topic, count| topic.set(MIN_INSYNC, count))
            })
            .collect();
        let results = admin.create_topics(&new, &options()).await.map_err(|e| e.to_string())?;
        let mut refused = BTreeMap::new();
        for result in results {
            match result {
                Ok(name) => tracing::info!(topic = name, "topic created"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    refused.insert(name.into(), code.to_string());
                }
            }
        }
        Ok(refused)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LOOK_TIMEOUT)).operation_timeout(Some(LOOK_TIMEOUT))
}

/// Whether Kafka hides a topic that we may not see: a list of all topics leaves it out, as if it were missing.
fn forbidden(client: &Producer, topic: &str, patience: Duration) -> Option<String> {
    let metadata = client.client().fetch_metadata(Some(topic), patience).ok()?;
    let code = RDKafkaErrorCode::from(metadata.topics().first()?.error()?);
    let words =
        "not authorized: this principal needs the right to DESCRIBE and WRITE it, and to CREATE it if it is missing";
    (code == RDKafkaErrorCode::TopicAuthorizationFailed).then(|| words.to_owned())
}

/// How many partitions a topic that follows from events is to have: as many as most topics of events have.
fn usual(states: &[TopicState]) -> Option<usize> {
    let mut by_count: BTreeMap<usize, usize> = BTreeMap::new();
    for count in states.iter().filter(|s| s.role == Role::Events).filter_map(|s| s.partitions) {
        *by_count.entry(count).or_default() += 1;
    }
    by_count.into_iter().max_by_key(|&(_, topics)| topics).map(|(count, _)| count)
}

/// One sentence on topics whose partition counts differ, so that they cannot be joined by key, and how to mend it.
/// Missing topics of events count with the partitions they are `to_be_made` with; the others are made to fit.
#[must_use]
pub(crate) fn uneven(states: &[TopicState], to_be_made: Option<i32>) -> Option<String> {
    let usual = usual(states)?;
    let to_be_made = to_be_made.and_then(|count| usize::try_from(count).ok());
    let mut odd: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for state in states.iter().filter(|s| s.role != Role::DeadLetters) {
        let due = to_be_made.filter(|_| state.role == Role::Events);
        if let Some(count) = state.partitions.or(due).filter(|&count| count != usual) {
            odd.entry(count).or_default().push(&state.name);
        }
    }
    let odd: Vec<_> = odd.iter().map(|(count, topics)| format!("{} has {count}", topics.join(", "))).collect();
    (!odd.is_empty()).then(|| {
        format!(
            "partition counts differ: {}, the others {usual}; topics that are to be joined by key need one count: give \
             these {usual}, by deleting and making again what may begin anew (or, where they have fewer, with \
             kafka-topics --alter --partitions {usual}, which leaves a key's earlier records where they are)",
            odd.join("; ")
        )
    })
}

/// One sentence on the topics that are not there.
fn missing(states: &[TopicState]) -> Option<String> {
    let missing: Vec<_> = states.iter().filter(|s| s.partitions.is_none()).collect();
    let first = missing.first()?;
    let why = first.error.as_ref().map(|e| format!(" ({e})")).unwrap_or_default();
    let others = if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
    Some(format!("no topic {}{why}{others}", first.name))
}
