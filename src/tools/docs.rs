//! The event catalogue as documents, made from the catalog: nothing in them is written by hand.

mod asyncapi;
mod events;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::catalog::{EventType, Latest, Profile, schema};
use crate::config::Settings;
use crate::kafka::route::{Route, Routes, Subject};
use crate::tools::read::render;
use crate::tools::sample::{self, Sampler};

pub(crate) use asyncapi::asyncapi;
pub(crate) use events::events;

/// The time of all examples, in milliseconds since 1970: 2026-06-02T12:00:00Z.
const NOW: i64 = 1_780_401_600_000;
/// Examples are the same each time.
const SEED: u64 = 11;

/// An event type where it goes.
struct DocumentedType<'a> {
    profile: &'a Profile,
    event_type: &'a EventType,
    route: &'a Route,
    /// Named types of the record's schema, each after those it refers to; the record itself last.
    types: Vec<(String, Value)>,
    example: Example,
}

/// A body, and the record it becomes.
struct Example {
    body: String,
    key: String,
    record: String,
}

impl DocumentedType<'_> {
    /// When the event fires: the record's doc, without the type in front of it.
    fn doc(&self) -> &str {
        let record = self.types.last().map(|(_, record)| record);
        let doc = record.and_then(|record| record["doc"].as_str()).unwrap_or_default();
        schema::when(doc, &self.event_type.name)
    }

    /// The key's path in the record.
    fn key_path(&self) -> &str {
        &self.event_type.key.text
    }
}

/// Every event type of every source, in the order of their names.
fn entries<'a>(settings: &'a Settings, routes: &'a Routes) -> Vec<DocumentedType<'a>> {
    let mut entries = Vec::new();
    for source in settings.sources.values() {
        for event_type in source.profile.types.values() {
            let Some(route) = routes.get(&source.name, &event_type.name) else { continue };
            let Ok(schema) = serde_json::from_str(&event_type.schema.text) else { continue };
            let types = schema::named(&schema);
            let Some(example) = example(&source.profile, event_type) else { continue };
            entries.push(DocumentedType { profile: &source.profile, event_type, route, types, example });
        }
    }
    entries
}

fn example(profile: &Profile, event_type: &EventType) -> Option<Example> {
    let body = Sampler::new(profile, SEED, NOW).body(event_type);
    let headers = sample::telling_headers(profile, &event_type.name);
    let (identified, records) = sample::converted(profile, &headers, &body, NOW)?;
    let record = render(&event_type.schema.text, records.event.framed(1).get(5..)?).ok()?;
    Some(Example { body, key: identified.key, record })
}

/// Entries by topic.
fn by_topic<'a, 'b>(entries: &'b [DocumentedType<'a>]) -> BTreeMap<&'b str, Vec<&'b DocumentedType<'a>>> {
    let mut topics: BTreeMap<&str, Vec<&DocumentedType<'_>>> = BTreeMap::new();
    for entry in entries {
        topics.entry(&entry.route.main.topic).or_default().push(entry);
    }
    topics
}

/// A topic that has events once more.
struct Links<'b, 'a> {
    /// The paths of its keys, each once.
    keys: BTreeSet<&'b str>,
    entries: Vec<(&'b DocumentedType<'a>, &'b Subject)>,
}

/// By topic.
fn links<'a, 'b>(entries: &'b [DocumentedType<'a>]) -> BTreeMap<&'b str, Links<'b, 'a>> {
    let mut topics: BTreeMap<&str, Links<'_, '_>> = BTreeMap::new();
    for entry in entries {
        for (join, target) in entry.event_type.joins.iter().zip(&entry.route.joins) {
            let new = || Links { keys: BTreeSet::new(), entries: Vec::new() };
            let topic = topics.entry(&target.topic).or_insert_with(new);
            topic.keys.extend(join.keys.iter().map(|path| path.text.as_str()));
            topic.entries.push((entry, &target.subject));
        }
    }
    topics
}

/// The last state of an entity.
struct LatestTopic<'b> {
    subject: &'b Subject,
    latest: &'b Latest,
    /// The key's path in the record.
    key: &'b str,
}

/// By topic.
fn states<'b>(entries: &'b [DocumentedType<'_>]) -> BTreeMap<&'b str, LatestTopic<'b>> {
    let of = |entry: &'b DocumentedType<'_>| {
        let (latest, target) = entry.event_type.latest.as_ref().zip(entry.route.latest.as_ref())?;
        Some((&*target.topic, LatestTopic { subject: &target.subject, latest, key: entry.key_path() }))
    };
    entries.iter().filter_map(of).collect()
}

/// JSON text on several lines.
fn pretty(json: &str) -> String {
    serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |value| format!("{value:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::tools::dev;

    /// Fails when `docs/` does not say what the catalog says; the message is the command that mends it.
    #[test]
    fn the_documents_in_the_repository_are_up_to_date() {
        let text = dev::configuration("localhost:9092", "http://localhost:8081", true, std::path::Path::new("data"));
        let settings = config::from_text("docs", &text, &config::Environment::default()).unwrap();
        for (name, fresh) in [("asyncapi.json", asyncapi(&settings)), ("events.md", events(&settings))] {
            let kept = std::fs::read_to_string(format!("docs/{name}")).unwrap_or_default();
            let word = name.split('.').next().unwrap();
            assert!(kept == fresh, "docs/{name} is stale: cargo run -- docs {word} --out docs/{name}");
        }
    }
}
