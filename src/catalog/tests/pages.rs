//! Reads the vendors' pages: TypeScript interfaces as they are written there.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

/// A field as a page has it: (type, whether it may be absent or null).
type Interface = BTreeMap<String, String>;

pub(super) struct Page {
    /// Event key to the name of its payload's type.
    pub(super) events: BTreeMap<String, String>,
    pub(super) interfaces: BTreeMap<String, Interface>,
    /// Types without a name, by where they stand: `StageSummary.pipeline`.
    pub(super) inline: BTreeMap<String, Interface>,
}

impl Page {
    /// Whether the interface is what an event sends, and not the named type of a field.
    pub(super) fn is_event_payload(&self, name: &str) -> bool {
        let sent = self.events.values().any(|payload| payload == name);
        sent && name.ends_with("Payload") && name != "ChatMessagePayload"
    }
}

pub(super) fn wegly() -> Page {
    let text = fs::read_to_string("docs/vendors/wegly-webhooks.txt").unwrap();
    let mut page = Page { events: BTreeMap::new(), interfaces: BTreeMap::new(), inline: BTreeMap::new() };
    let keys: Vec<&str> =
        text.lines().filter_map(|l| l.trim().strip_prefix("| '")).filter_map(|l| l.split('\'').next()).collect();
    for line in text.lines() {
        // A row of a table, run together: key, sentence, payload.
        let key = keys.iter().filter(|key| line.starts_with(**key)).max_by_key(|key| key.len());
        if let (Some(key), Some((_, payload))) = (key, line.rsplit_once('.')) {
            page.events.insert((*key).to_owned(), payload.trim().to_owned());
        }
    }
    let mut open: Option<(String, Interface)> = None;
    let mut inner: Option<(String, Interface)> = None;
    for line in text.lines().map(|l| l.split("//").next().unwrap_or_default().trim()) {
        if let Some(name) = line.strip_prefix("interface ").and_then(|l| l.strip_suffix(" {")) {
            open = Some((name.to_owned(), Interface::new()));
        } else if let Some((name, mut interface)) = open.take() {
            if let Some(field) = line.strip_suffix(": {") {
                inner = Some((format!("{name}.{}", field.trim_end_matches('?')), Interface::new()));
            } else if line.starts_with('}') && inner.is_some() {
                let (place, fields) = inner.take().unwrap();
                let field = place.rsplit_once('.').unwrap().1.to_owned();
                page.inline.insert(place, fields);
                interface.insert(field, "inline".into());
            } else if line == "}" {
                page.interfaces.insert(name, interface);
                continue;
            } else if let Some((field, ty)) = line.trim_end_matches(';').split_once(": ")
                && !field.starts_with('[')
            {
                let target = inner.as_mut().map_or(&mut interface, |(_, fields)| fields);
                target.insert(field.trim_end_matches('?').to_owned(), ty.trim_end_matches(" | null").to_owned());
            }
            open = Some((name, interface));
        }
    }
    page
}

/// (object, field) of every field of a message on Whazing's page.
pub(super) fn whazing_message() -> Vec<(Option<String>, String)> {
    let text = fs::read_to_string("docs/vendors/whazing-webhook.txt").unwrap();
    let body = text.split("const dataToSend = {").nth(1).unwrap().split("\n};").next().unwrap();
    let mut object = None;
    let mut fields = Vec::new();
    for line in body.lines().map(|l| l.split("//").next().unwrap_or_default().trim()) {
        let Some((name, value)) = line.split_once(": ") else {
            object = if line.starts_with('}') { None } else { object };
            continue;
        };
        if value.trim_end().ends_with('{') {
            fields.push((None, name.to_owned()));
            object = Some(name.to_owned());
        } else if name.starts_with('}') {
            object = None;
        } else {
            fields.push((object.clone(), name.to_owned()));
        }
    }
    assert!(fields.len() > 30, "the page was not understood: {fields:?}");
    fields
}

/// Numbers of the page that may have a fraction; all others are whole.
const FRACTIONAL: [&str; 6] =
    ["value", "average_score", "quality_rating", "previous_quality", "new_quality", "history_progress"];

/// Each field of the interface is in the record, as the type that the page's type becomes; and nothing else is.
pub(super) fn compare(page: &Page, interface: &Interface, fields: &BTreeMap<String, (Value, bool)>, place: &str) {
    assert_eq!(interface.keys().collect::<Vec<_>>(), fields.keys().collect::<Vec<_>>(), "{place}");
    for (name, ty) in interface {
        let (found, optional) = &fields[name];
        let place = format!("{place}.{name}");
        assert_eq!(found, &avro(page, name, ty, &place), "{place}: {ty}");
        // Required are the ids of named types, and the snapshots that events carry.
        let snapshot = ty.ends_with("Snapshot");
        assert_eq!(!optional, name == "id" || snapshot, "{place}: may it be null?");
    }
}

fn avro(page: &Page, name: &str, ty: &str, place: &str) -> Value {
    let json_text = json!({ "type": "string", "connect.name": "io.debezium.data.Json", "connect.version": 1 });
    let items = ty.strip_suffix("[]").or_else(|| ty.strip_prefix("Array<").and_then(|t| t.strip_suffix('>')));
    match (ty, items) {
        (_, Some(items)) => json!({ "type": "array", "items": avro(page, name, items, place) }),
        ("UUID", _) => {
            json!({ "type": "string", "logicalType": "uuid", "connect.name": "io.debezium.data.Uuid", "connect.version": 1 })
        }
        ("ISODateString", _) => json!({ "type": "long", "logicalType": "timestamp-millis" }),
        ("Record<string, unknown>", _) => json_text,
        ("string", _) => json!("string"),
        ("boolean", _) => json!("boolean"),
        ("number", _) if FRACTIONAL.contains(&name) => json!("double"),
        ("number", _) => json!("long"),
        ("inline", _) => json!(match name {
            "pipeline" => "wegly.PipelineSummary",
            "renewed_from_contract" => "wegly.ContractReference",
            _ => "wegly.SatisfactionLink",
        }),
        (union, _) if union.starts_with('\'') => json!("string"),
        (named, _) if page.interfaces.contains_key(named) => json!(format!("wegly.{named}")),
        _ => panic!("{place}: {ty} is not understood"),
    }
}
