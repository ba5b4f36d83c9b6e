//! Where each event type of each source goes: topic, subject, and the record that is written there.
//!
//! Everything that does not depend on the event is worked out once, at start: [`Routes::plan`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::catalog::EventType;
use crate::config::{KafkaSettings, Settings, Source, Timestamps, Topics};
use crate::encode::Encoded;
use crate::time;
use crate::verify::Verified;

/// The topic of dead letters, without `kafka.topic_prefix`.
const DEAD_LETTERS: &str = "hookbridge.dead-letters";

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
}

impl Subject {
    pub(crate) fn new(name: String, schema: String) -> Self {
        Subject { name, schema, id: AtomicI64::new(-1), refused: AtomicBool::new(false) }
    }

    /// The schema's id, if the registry (or the cache of what it said) has told it.
    #[must_use]
    pub(crate) fn id(&self) -> Option<u32> {
        u32::try_from(self.id.load(Ordering::Relaxed)).ok()
    }

    pub(crate) fn set_id(&self, id: Option<u32>) {
        self.id.store(id.map_or(-1, i64::from), Ordering::Relaxed);
    }

    /// Whether the registry does not want the schema.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn set_refused(&self, refused: bool) {
        self.refused.store(refused, Ordering::Relaxed);
    }
}

/// Where one event type of one source goes.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) topic: Arc<str>,
    pub(crate) subject: Arc<Subject>,
}

/// A topic as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicSpec {
    pub(crate) name: Arc<str>,
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
    timestamps: Timestamps,
}

impl Routes {
    /// Works out topics and subjects for all sources.
    #[must_use]
    pub(crate) fn plan(settings: &Settings) -> Routes {
        let mut records_of: BTreeMap<Arc<str>, BTreeSet<&str>> = BTreeMap::new();
        let mut sources_of: BTreeMap<Arc<str>, BTreeSet<&str>> = BTreeMap::new();
        let each = || settings.sources.values().flat_map(|s| s.profile.types.values().map(move |t| (s, t)));
        for (source, event_type) in each() {
            let topic: Arc<str> = topic(&settings.kafka, source, event_type).into();
            records_of.entry(Arc::clone(&topic)).or_default().insert(&event_type.schema.name);
            sources_of.entry(topic).or_default().insert(&source.name);
        }
        let mut routes: BTreeMap<String, BTreeMap<String, Route>> = BTreeMap::new();
        let mut subjects: BTreeMap<String, Arc<Subject>> = BTreeMap::new();
        for (source, event_type) in each() {
            let topic = topic(&settings.kafka, source, event_type);
            let Some((topic, records)) = records_of.get_key_value(topic.as_str()) else { continue };
            let name = match records.len() {
                1 => format!("{topic}-value"),
                _ => format!("{topic}-{}", event_type.schema.name),
            };
            let subject = subjects
                .entry(name.clone())
                .or_insert_with(|| Arc::new(Subject::new(name, event_type.schema.text.clone())));
            let route = Route { topic: Arc::clone(topic), subject: Arc::clone(subject) };
            routes.entry(source.name.clone()).or_default().insert(event_type.name.clone(), route);
        }
        let dead_letters: Arc<str> = format!("{}{DEAD_LETTERS}", settings.kafka.topic_prefix).into();
        let mut topics: Vec<_> =
            records_of.keys().map(|name| TopicSpec { name: Arc::clone(name), configs: Vec::new() }).collect();
        topics.push(TopicSpec { name: Arc::clone(&dead_letters), configs: dead_letter_configs(settings) });
        Routes {
            routes,
            subjects: subjects.into_values().collect(),
            topics,
            dead_letters,
            warnings: shared_serial_ids(settings, &sources_of),
            timestamps: settings.kafka.timestamps,
        }
    }

    /// The route of `event_type` from `source`.
    pub(crate) fn get(&self, source: &str, event_type: &str) -> Option<&Route> {
        self.routes.get(source)?.get(event_type)
    }

    /// The lane of what has this source and type: its topic, or that of the dead letters.
    pub(crate) fn lane(&self, source: &str, event_type: Option<&str>) -> &Arc<str> {
        event_type.and_then(|name| self.get(source, name)).map_or(&self.dead_letters, |route| &route.topic)
    }

    /// The record of an event, framed with its schema's id.
    pub(crate) fn record(&self, event: &Event<'_>, route: &Route, schema_id: u32, value: Encoded) -> Record {
        let mut headers = event.cloud_event_headers();
        headers.push(("content-type".into(), b"application/avro".to_vec()));
        if let Some(traceparent) = event.delivery.headers().get("traceparent") {
            headers.push(("traceparent".into(), traceparent.as_bytes().to_vec()));
        }
        let received_at = event.delivery.received_at();
        let timestamp = match self.timestamps {
            Timestamps::Received => received_at,
            // A broker refuses timestamps before 1970, and those far ahead of its clock.
            Timestamps::Occurred => event.occurred_at.unwrap_or(received_at).clamp(0, received_at),
        };
        let key = event.key.unwrap_or_default().to_owned();
        Record { topic: Arc::clone(&route.topic), key, value: Some(value.framed(schema_id)), headers, timestamp }
    }
}

/// The topic of an event type: one per entity, or one per type.
fn topic(kafka: &KafkaSettings, source: &Source, event_type: &EventType) -> String {
    let base = match kafka.topics {
        Topics::PerEntity => event_type.topic.clone(),
        Topics::PerEvent => format!("{}.{}", source.profile.name, event_type.name.replace('_', "-")),
    };
    format!("{}{}{base}", kafka.topic_prefix, source.topic_prefix)
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
            format!("topic {topic} is shared by the sources {sources}, whose ids are serial numbers and will collide: set sources.NAME.topic_prefix")
        })
        .collect()
}

/// An event on its way to Kafka, as far as it is known.
pub(crate) struct Event<'a> {
    pub(crate) delivery: &'a Verified,
    pub(crate) event_type: Option<&'a EventType>,
    pub(crate) key: Option<&'a str>,
    /// Milliseconds since 1970.
    pub(crate) occurred_at: Option<i64>,
}

impl Event<'_> {
    /// The attributes of CloudEvents 1.0 in Kafka's binary mode, those that are known.
    pub(crate) fn cloud_event_headers(&self) -> Headers {
        let source = self.delivery.source();
        let mut headers: Headers = vec![
            ("ce_specversion".into(), b"1.0".to_vec()),
            ("ce_id".into(), self.delivery.id().into()),
            ("ce_source".into(), format!("/webhooks/{}", source.name).into()),
        ];
        if let Some(event_type) = self.event_type {
            headers.push(("ce_type".into(), format!("{}.{}", source.profile.name, event_type.name).into()));
        }
        if let Some(key) = self.key {
            headers.push(("ce_subject".into(), key.into()));
        }
        if let Some(occurred_at) = self.occurred_at {
            headers.push(("ce_time".into(), time::to_rfc3339(occurred_at).into()));
        }
        headers
    }
}

/// Headers of a Kafka record.
pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// What is written to Kafka.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) topic: Arc<str>,
    pub(crate) key: String,
    /// `None` is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Headers,
    /// Milliseconds since 1970.
    pub(crate) timestamp: i64,
}

impl Record {
    /// About how many bytes the record takes in a batch: what is variable in it, and 64 for what wraps it.
    pub(crate) fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        self.key.len() + self.value.as_ref().map_or(0, Vec::len) + headers + 64
    }
}
