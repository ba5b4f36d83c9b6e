//! A readable page of every event, in Markdown.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::{DocumentedType, LatestTopic, Links, by_topic, entries, links, pretty, states};
use crate::catalog::schema::{self, SchemaField};
use crate::config::Settings;
use crate::kafka::route::Routes;

const HEAD: &str = "\
# Events

Made from the catalog by `hookbridge docs events`; do not edit.

Every record begins with `event` (its id, type, source, entity and times) and ends in `extra` (null, or one JSON object
with what the schema has no place for). A type with `?` may be null. [The record](topics.md#the-record) says how values
are converted.

";

/// The page.
pub(crate) fn events(settings: &Settings) -> String {
    let routes = Routes::plan(settings);
    let entries = entries(settings, &routes);
    let mut page = HEAD.to_owned();
    page += "| event type | when | topic | key |\n| --- | --- | --- | --- |\n";
    for entry in &entries {
        let (profile, name) = (&entry.profile.name, &entry.event_type.name);
        let (topic, key) = (&entry.route.main.topic, entry.key_path());
        let _ = writeln!(page, "| [{profile}.{name}](#{}) | {} | `{topic}` | `{key}` |", anchor(entry), entry.doc());
    }
    let mut shared: Vec<(String, Value)> = Vec::new();
    let mut known = BTreeSet::new();
    for (topic, entries) in by_topic(&entries) {
        let _ = writeln!(page, "\n## Topic `{topic}`");
        for entry in entries {
            event(&mut page, entry);
            let Some((_, types)) = entry.types.split_last() else { continue };
            shared.extend(types.iter().filter(|(name, _)| known.insert(name.clone())).cloned());
        }
    }
    further(&mut page, &entries);
    page += "\n## Types\n";
    shared.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (name, record) in &shared {
        let _ = writeln!(page, "\n### `{name}`\n\n{}\n", record["doc"].as_str().unwrap_or_default());
        table(&mut page, record);
    }
    page
}

/// The topics that follow from events.
fn further(page: &mut String, entries: &[DocumentedType<'_>]) {
    let links = links(entries);
    if !links.is_empty() {
        *page += "\n## Join topics\n\nThe same records again, once for each entity that the event is linked to, with \
            its id as the key.\n\n| topic | key | events |\n| --- | --- | --- |\n";
    }
    for (topic, Links { keys, entries }) in links {
        let keys: Vec<_> = keys.into_iter().map(|key| format!("`{key}`")).collect();
        let link = |(entry, _): &(&DocumentedType<'_>, _)| {
            format!("[{}.{}](#{})", entry.profile.name, entry.event_type.name, anchor(entry))
        };
        let events: Vec<_> = entries.iter().map(link).collect();
        let _ = writeln!(page, "| `{topic}` | {} | {} |", keys.join(", "), events.join(", "));
    }
    let states = states(entries);
    if !states.is_empty() {
        *page += "\n## Latest topics\n\nThe last state of each entity, from every event that carries it; log-compacted. Readers \
            keep the state with the greater update time.\n";
    }
    for (topic, LatestTopic { subject, latest, key }) in states {
        let Ok(schema) = serde_json::from_str(&latest.schema.text) else { continue };
        let types = schema::named(&schema);
        let Some((name, record)) = types.last() else { continue };
        let (doc, updated) = (record["doc"].as_str().unwrap_or_default(), &latest.updated.text);
        let _ = writeln!(page, "\n### Topic `{topic}`\n\n{doc}\n");
        let _ = writeln!(page, "Record `{name}`, key `{key}`, update time `{updated}`, subject `{}`.\n", subject.name);
        table(page, record);
    }
}

/// What a heading is called in a link, by the rules that forges share.
fn anchor(entry: &DocumentedType<'_>) -> String {
    format!("{}{}", entry.profile.name, entry.event_type.name).replace('.', "")
}

fn event(page: &mut String, entry: &DocumentedType<'_>) {
    let (profile, name) = (&entry.profile.name, &entry.event_type.name);
    let Some((record_name, record)) = entry.types.last() else { return };
    let _ = writeln!(page, "\n### {profile}.{name}\n\n{}\n", entry.doc());
    let (subject, key) = (&entry.route.main.subject.name, entry.key_path());
    let _ = writeln!(page, "Record `{record_name}`, key `{key}`, subject `{subject}`.\n");
    table(page, record);
    let (body, out) = (pretty(&entry.example.body), pretty(&entry.example.record));
    let _ = writeln!(
        page,
        "\n<details><summary>Example: body and record</summary>\n\n```json\n{body}\n```\n\nbecomes, with the key `{}`,\n\n\
         ```json\n{out}\n```\n\n</details>",
        entry.example.key
    );
}

fn table(page: &mut String, record: &Value) {
    *page += "| field | type | meaning |\n| --- | --- | --- |\n";
    for SchemaField { name, json, ty, nullable, doc } in schema::fields(record).filter(|f| f.name != "extra") {
        let optional = if nullable { "?" } else { "" };
        let sent_as = if json == name { String::new() } else { format!(" Sent as `{json}`.") };
        let inner = ty.trim_start_matches("array of ");
        let link = format!("[{inner}](#{})", inner.to_lowercase().replace('.', ""));
        let ty = if inner.contains('.') { ty.replace(inner, &link) } else { ty };
        let _ = writeln!(page, "| `{name}` | {ty}{optional} | {doc}{sent_as} |");
    }
}
