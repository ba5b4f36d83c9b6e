//! Where each event type of each source goes: topic, subject, and the record that is written there.
//!
//! Everything that does not depend on the event is worked out once, at start: [`Routes::plan`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;

use crate::catalog::{EventType, Schema, Type};
use crate::config::{KafkaSettings, Settings, Timestamps, Topics};
use crate::convert::prepare::{ConvertedEvent, Parts, Prepared};
use crate::kafka::latest::{self, StateVersion};
use crate::kafka::part_headers;
use crate::outcome::Unwritten;
use crate::source::Source;
use crate::source::verify::Verified;
use crate::values::uuid_text::uuid;
use crate::values::{time, traceparent};

/// The topic of dead letters, without `kafka.topic_prefix`.
pub(crate) const DEAD_LETTERS: &str = "hookbridge.dead-letters";
/// The header of a record that says which entity it is about.
const SUBJECT: &str = "ce_subject";

/// A subject of the registry: one schema under one name.
#[derive(Debug)]
pub(crate) struct Subject {
    /// `<topic>-value`, or `<topic>-<full name>` where the topic has several record types.
    pub(crate) name: String,
    /// The schema's self-contained text.
    pub(crate) schema: String,
    /// The schema's id in the registry; negative while it is not known.
    id: AtomicI64,
    refused: AtomicBool,
    doubted: AtomicBool,
}

impl Subject {
    pub(crate) fn new(name: String, schema: String) -> Self {
        Subject { name, schema, id: AtomicI64::new(-1), refused: AtomicBool::default(), doubted: AtomicBool::default() }
    }

    /// The schema's id, if the registry (or the cache of what it said) has told it.
    #[must_use]
    pub(crate) fn id(&self) -> Option<u32> {
        u32::try_from(self.id.load(Ordering::Relaxed)).ok()
    }

    pub(crate) fn set_id(&self, id: Option<u32>) {
        self.id.store(id.map_or(-1, i64::from), Ordering::Relaxed);
    }

    /// The same, unless the registry may have been replaced since, and is being asked.
    #[must_use]
    pub(crate) fn verified_id(&self) -> Option<u32> {
        self.id().filter(|_| !self.doubted.load(Ordering::Relaxed))
    }

    /// Whether its id is known, and is being verified.
    pub(crate) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed) && self.id().is_some()
    }

    pub(crate) fn set_doubted(&self, doubted: bool) {
        self.doubted.store(doubted, Ordering::Relaxed);
    }

    /// Whether the registry does not want the schema.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn set_refused(&self, refused: bool) {
        self.refused.store(refused, Ordering::Relaxed);
    }
}

/// A topic, and the schema of what is written there.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) topic: Arc<str>,
    pub(crate) subject: Arc<Subject>,
}

/// Where one event type of one source goes.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) main: Target,
    /// The type's join topics, in their order.
    pub(crate) joins: Vec<Target>,
    pub(crate) latest: Option<Target>,
    /// What its events queue in while any of them waits: the main topic, or the first of those that share a further
    /// topic, whose order is theirs together.
    pub(crate) lane: Arc<str>,
}

impl Route {
    /// Every topic that its events go to, the main one first.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        [&self.main].into_iter().chain(&self.joins).chain(&self.latest)
    }

    /// A subject whose schema the registry does not want.
    pub(crate) fn refused(&self) -> Option<&Subject> {
        self.targets().map(|target| &*target.subject).find(|subject| subject.is_refused())
    }

    /// A subject whose schema's id is not known yet, or is being verified after an outage.
    pub(crate) fn unknown(&self) -> Option<&Subject> {
        self.targets().map(|target| &*target.subject).find(|subject| subject.verified_id().is_none())
    }
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Every event once.
    Events,
    /// Events once more, by what they are linked to.
    Links,
    /// The last state of each entity.
    Latest,
    DeadLetters,
}

/// A topic as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicSpec {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) configs: Vec<(&'static str, String)>,
}

/// All routes, and what they need.
pub(crate) struct Routes {
    /// By source, then by event type.
    routes: BTreeMap<String, BTreeMap<String, Route>>,
    pub(crate) subjects: Vec<Arc<Subject>>,
    pub(crate) topics: Vec<TopicSpec>,
    pub(crate) dead_letters: Arc<str>,
    /// What is allowed but probably not meant.
    pub(crate) warnings: Vec<String>,
    /// What the keys of a latest topic are.
    latest_keys: BTreeMap<Arc<str>, Type>,
    /// Where the records of a latest topic have the time of the state, such as `deal.updated_at`.
    latest_times: BTreeMap<Arc<str>, String>,
    timestamps: Timestamps,
}

impl Routes {
    /// Works out topics, subjects and lanes for all sources.
    #[must_use]
    pub(crate) fn plan(settings: &Settings) -> Routes {
        let kafka = &settings.kafka;
        let mut records_of: BTreeMap<Arc<str>, BTreeSet<&str>> = BTreeMap::new();
        let mut sources_of: BTreeMap<Arc<str>, BTreeSet<&str>> = BTreeMap::new();
        let (mut roles, mut latest_keys, mut latest_times) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let each = || settings.sources.values().flat_map(|s| s.profile.types.values().map(move |t| (s, t)));
        for (source, event_type) in each() {
            for (role, topic, schema) in outlets(kafka, source, event_type) {
                let topic: Arc<str> = topic.into();
                records_of.entry(Arc::clone(&topic)).or_default().insert(&schema.name);
                sources_of.entry(Arc::clone(&topic)).or_default().insert(&source.name);
                if let Some(latest) = event_type.latest.as_ref().filter(|_| role == Role::Latest) {
                    latest_keys.insert(Arc::clone(&topic), event_type.key.leaf.clone());
                    latest_times.insert(Arc::clone(&topic), latest.updated.text.clone());
                }
                roles.insert(topic, role);
            }
        }
        let mut subjects: BTreeMap<String, Arc<Subject>> = BTreeMap::new();
        let mut target = |(_, topic, schema): (Role, String, &Schema)| {
            let (topic, records) = records_of.get_key_value(topic.as_str())?;
            let name = match records.len() {
                1 => format!("{topic}-value"),
                _ => format!("{topic}-{}", schema.name),
            };
            let subject =
                subjects.entry(name.clone()).or_insert_with(|| Arc::new(Subject::new(name, schema.text.clone())));
            Some(Target { topic: Arc::clone(topic), subject: Arc::clone(subject) })
        };
        let mut routes: BTreeMap<String, BTreeMap<String, Route>> = BTreeMap::new();
        for (source, event_type) in each() {
            let Some(main) = target(main_topic(kafka, source, event_type)) else { continue };
            let route = Route {
                lane: Arc::clone(&main.topic),
                main,
                joins: joins(kafka, source, event_type).filter_map(&mut target).collect(),
                latest: latest(kafka, source, event_type).and_then(&mut target),
            };
            routes.entry(source.name.clone()).or_default().insert(event_type.name.clone(), route);
        }
        share_lanes(&mut routes);
        let dead_letters: Arc<str> = format!("{}{DEAD_LETTERS}", kafka.topic_prefix).into();
        let mut topics: Vec<_> = roles
            .into_iter()
            .map(|(name, role)| {
                let configs = if role == Role::Latest { latest::topic_configs() } else { Vec::new() };
                TopicSpec { name, role, configs }
            })
            .collect();
        let name = Arc::clone(&dead_letters);
        topics.push(TopicSpec { name, role: Role::DeadLetters, configs: dead_letter_configs(settings) });
        Routes {
            routes,
            subjects: subjects.into_values().collect(),
            topics,
            dead_letters,
            warnings: shared_serial_ids(settings, &sources_of),
            latest_keys,
            latest_times,
            timestamps: kafka.timestamps,
        }
    }

    /// Every lane there is by plan: those of the routes, and the dead letters'.
    pub(crate) fn lanes(&self) -> BTreeSet<&str> {
        let of_routes = self.routes.values().flat_map(BTreeMap::values).map(|route| &*route.lane);
        of_routes.chain([&*self.dead_letters]).collect()
    }

    /// An id as the keys of the latest topic `topic` have it; `None` when it is no such id.
    pub(crate) fn canonical_key(&self, topic: &str, id: &str) -> Option<String> {
        match self.latest_keys.get(topic)? {
            Type::Uuid => uuid(id).map(|uuid| uuid.to_string()),
            Type::Int | Type::Long => id.parse::<i64>().ok().map(|id| id.to_string()),
            _ => Some(id.to_owned()).filter(|id| !id.trim().is_empty()),
        }
    }

    /// By latest topic, where its records have the time of the state.
    pub(crate) fn latest_times(&self) -> &BTreeMap<Arc<str>, String> {
        &self.latest_times
    }

    /// The route of `event_type` from `source`.
    pub(crate) fn get(&self, source: &str, event_type: &str) -> Option<&Route> {
        self.routes.get(source)?.get(event_type)
    }

    /// The lane of what has this source and type: its route's, or that of the dead letters.
    pub(crate) fn lane(&self, source: &str, event_type: Option<&str>) -> &Arc<str> {
        event_type.and_then(|name| self.get(source, name)).map_or(&self.dead_letters, |route| &route.lane)
    }

    /// The records of an event, framed with what `id` says of their subjects; `None` if that is nothing for one.
    pub(crate) fn records(
        &self,
        event: &Event<'_>,
        route: &Route,
        parts: Parts,
        id: impl Fn(&Subject) -> Option<u32>,
    ) -> Option<Vec<Record>> {
        let Parts { records, links, updated_at } = parts;
        let received_at = event.delivery.received_at();
        let timestamp = match self.timestamps {
            Timestamps::Received => received_at,
            Timestamps::Occurred => record_time(event.occurred_at, received_at),
        };
        let record = |target: &Target, key: &str, headers: Headers, value: Bytes, timestamp: i64| Record {
            topic: Arc::clone(&target.topic),
            key: key.to_owned(),
            value: Some(value),
            headers,
            timestamp,
            version: None,
        };
        let key = event.key.as_deref().unwrap_or_default();
        let mut headers = Event { key: Some(key.into()), ..*event }.cloud_event_headers();
        headers.push(("content-type".into(), Bytes::from_static(b"application/avro")));
        let traceparent = event.delivery.headers().get("traceparent");
        if let Some(traceparent) = traceparent.filter(|value| traceparent::is_valid(value.as_bytes())) {
            headers.push(("traceparent".into(), Bytes::copy_from_slice(traceparent.as_bytes())));
        }
        let mut all = Vec::with_capacity(1);
        for (target, ids) in route.joins.iter().zip(&links) {
            let value = Bytes::from(records.event.framed_too(id(&target.subject)?));
            all.extend(ids.iter().map(|id| record(target, id, about(&headers, id), value.clone(), timestamp)));
        }
        if let (Some(target), Some(state)) = (&route.latest, records.latest) {
            // By this, versioned tables can order what arrives late; never ahead of our clock.
            let timestamp = record_time(updated_at, received_at);
            let state = record(target, key, headers.clone(), state.framed(id(&target.subject)?).into(), timestamp);
            all.push(Record { version: Some(StateVersion::of(updated_at)), ..state });
        }
        let schema_id = id(&route.main.subject)?;
        all.insert(0, record(&route.main, key, headers, records.event.framed(schema_id).into(), timestamp));
        Some(all)
    }
}

/// The same headers about another subject.
fn about(headers: &Headers, subject: &str) -> Headers {
    let mut headers = headers.clone();
    headers.iter_mut().filter(|(name, _)| name == SUBJECT).for_each(|(_, value)| *value = owned(subject));
    headers
}

fn owned(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A record's timestamp of a time that was told: not ahead of our clock, since a broker refuses what is far ahead of its own;
/// and after 1970, since it refuses what is before, and librdkafka takes 0 for now.
fn record_time(told: Option<i64>, received_at: i64) -> i64 {
    told.unwrap_or(received_at).clamp(1, received_at.max(1))
}

/// A topic to write to, what it is for, and the schema of what is written.
type Outlet<'a> = (Role, String, &'a Schema);

/// The main topic of an event type: one per entity, or one per type.
fn main_topic<'a>(kafka: &KafkaSettings, source: &Source, event_type: &'a EventType) -> Outlet<'a> {
    let base = match kafka.topics {
        Topics::PerEntity => event_type.topic.clone(),
        Topics::PerEvent => format!("{}.{}", source.profile.name, event_type.name.replace('_', "-")),
    };
    (Role::Events, prefixed(kafka, source, &base), &event_type.schema)
}

fn joins<'a>(kafka: &KafkaSettings, source: &Source, event_type: &'a EventType) -> impl Iterator<Item = Outlet<'a>> {
    event_type.joins.iter().map(|join| (Role::Links, prefixed(kafka, source, &join.topic), &event_type.schema))
}

fn latest<'a>(kafka: &KafkaSettings, source: &Source, event_type: &'a EventType) -> Option<Outlet<'a>> {
    let latest = event_type.latest.as_ref()?;
    Some((Role::Latest, prefixed(kafka, source, &latest.topic), &latest.schema))
}

/// Every topic of an event type, with the schema of what is written there.
fn outlets<'a>(kafka: &KafkaSettings, source: &Source, event_type: &'a EventType) -> impl Iterator<Item = Outlet<'a>> {
    let (joins, latest) = (joins(kafka, source, event_type), latest(kafka, source, event_type));
    [main_topic(kafka, source, event_type)].into_iter().chain(joins).chain(latest)
}

fn prefixed(kafka: &KafkaSettings, source: &Source, topic: &str) -> String {
    format!("{}{}{topic}", kafka.topic_prefix, source.topic_prefix)
}

/// Gives routes that share a topic one lane: an event that waits for one of them must not be overtaken there by an
/// event of another.
fn share_lanes(routes: &mut BTreeMap<String, BTreeMap<String, Route>>) {
    loop {
        let mut first_of: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        for route in routes.values().flat_map(BTreeMap::values) {
            for target in route.targets() {
                let first = first_of.entry(Arc::clone(&target.topic)).or_insert_with(|| Arc::clone(&route.lane));
                if route.lane < *first {
                    *first = Arc::clone(&route.lane);
                }
            }
        }
        let mut changed = false;
        for route in routes.values_mut().flat_map(BTreeMap::values_mut) {
            let lanes = route.targets().filter_map(|target| first_of.get(&target.topic));
            let Some(first) = lanes.min().filter(|first| **first < route.lane) else { continue };
            route.lane = Arc::clone(first);
            changed = true;
        }
        if !changed {
            return;
        }
    }
}

/// A dead letter waits until someone looks at it, and is as large as the largest body and its headers.
fn dead_letter_configs(settings: &Settings) -> Vec<(&'static str, String)> {
    vec![("retention.ms", "-1".to_owned()), ("max.message.bytes", largest_dead_letter(settings).to_string())]
}

/// Bytes of the largest dead letter: the largest body, and a mebibyte for headers and what wraps a record.
pub(crate) fn largest_dead_letter(settings: &Settings) -> usize {
    let bodies = settings.sources.values().map(|s| s.max_body_bytes);
    bodies.max().unwrap_or(0) + (1 << 20)
}

/// Two installations that count their entities from 1 have nothing in common but the numbers.
fn shared_serial_ids(settings: &Settings, sources_of: &BTreeMap<Arc<str>, BTreeSet<&str>>) -> Vec<String> {
    let serial = |name: &&str| settings.sources.get(*name).is_some_and(|s| s.profile.has_serial_ids());
    let shared = sources_of.iter().filter(|(_, sources)| sources.len() > 1 && sources.iter().any(&serial));
    shared
        .map(|(topic, sources)| {
            let sources = sources.iter().copied().collect::<Vec<_>>().join(", ");
            format!("topic {topic} is shared by the sources {sources}, whose ids are serial numbers and will collide: set sources.NAME.topic_prefix for all but one")
        })
        .collect()
}

/// An event on its way to Kafka, as far as it is known.
pub(crate) struct Event<'a> {
    pub(crate) delivery: &'a Verified,
    pub(crate) event_type: Option<&'a EventType>,
    pub(crate) key: Option<Cow<'a, str>>,
    /// Milliseconds since 1970.
    pub(crate) occurred_at: Option<i64>,
}

impl<'a> Event<'a> {
    /// The event of a prepared delivery, and what that was converted to.
    pub(crate) fn of(prepared: Prepared<'a>) -> (Event<'a>, Result<Box<ConvertedEvent>, Unwritten>) {
        let Prepared { delivery, event_type, key, occurred_at, made } = prepared;
        (Event { delivery, event_type, key: key.map(Cow::Owned), occurred_at }, made)
    }
}

impl Event<'_> {
    /// The attributes of CloudEvents 1.0 in Kafka's binary mode, those that are known.
    pub(crate) fn cloud_event_headers(&self) -> Headers {
        let source = self.delivery.source();
        // Room for what is added: content-type, traceparent.
        let mut headers = Headers::with_capacity(8);
        headers.push(("ce_specversion".into(), Bytes::from_static(b"1.0")));
        headers.push(("ce_id".into(), owned(self.delivery.id())));
        headers.push(("ce_source".into(), format!("/webhooks/{}", source.name).into()));
        if let Some(event_type) = self.event_type {
            headers.push(("ce_type".into(), format!("{}.{}", source.profile.name, event_type.name).into()));
        }
        if let Some(key) = &self.key {
            headers.push((SUBJECT.into(), owned(key)));
        }
        headers.extend(self.delivery.part().into_iter().flat_map(part_headers::of));
        if let Some(occurred_at) = self.occurred_at {
            headers.push(("ce_time".into(), time::to_rfc3339(occurred_at).into()));
        }
        headers
    }
}

/// The record after which a latest topic knows nothing of `key` any more.
pub(crate) fn tombstone(topic: &Arc<str>, key: String, now: i64) -> Record {
    Record { topic: Arc::clone(topic), key, value: None, headers: Vec::new(), timestamp: now, version: None }
}

/// Headers of a Kafka record.
pub(crate) type Headers = Vec<(Cow<'static, str>, Bytes)>;

/// What is written to Kafka.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) topic: Arc<str>,
    pub(crate) key: String,
    /// `None` is a tombstone.
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: Headers,
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
    /// Of a state: what those of its key are ordered by.
    pub(crate) version: Option<StateVersion>,
}

impl Record {
    /// About how many bytes the record takes in a batch: what is variable in it, and 64 for what wraps it.
    pub(crate) fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len) + headers + 64
    }
}
