//! An `AsyncAPI` 3.0 document: a channel per topic, a message per event type, the Avro schema as its payload.
//!
//! Shapes as in the `AsyncAPI` 3.0.0 specification and its Kafka bindings 0.5.0.

use serde_json::{Map, Value, json};

use super::{DocumentedType, LatestTopic, Links, by_topic, entries, links, states};
use crate::catalog::{Latest, Schema};
use crate::config::Settings;
use crate::kafka::route::Routes;

/// The document, as indented JSON.
pub(crate) fn asyncapi(settings: &Settings) -> String {
    let routes = Routes::plan(settings);
    let entries = entries(settings, &routes);
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    let mut add = |topic: &str, description: String, sent: Vec<(&str, &str)>, compacted: bool| {
        let refer = |name: &str| json!({ "$ref": format!("#/components/messages/{name}") });
        let names: Map<_, _> = sent.iter().map(|(name, _)| ((*name).to_owned(), refer(name))).collect();
        let subjects: Map<_, _> = sent.iter().map(|(name, subject)| ((*name).to_owned(), json!(subject))).collect();
        let mut kafka = json!({
            "topic": topic, "partitions": settings.kafka.partitions, "bindingVersion": "0.5.0",
        });
        if compacted {
            kafka["topicConfiguration"] = json!({ "cleanup.policy": ["compact"] });
        }
        let channel = json!({
            "address": topic, "description": description, "messages": names, "bindings": { "kafka": kafka },
            "x-subjects": subjects,
        });
        channels.insert(topic.to_owned(), channel);
        let operation = json!({
            "action": "send",
            "channel": { "$ref": format!("#/channels/{topic}") },
            "summary": format!("hookbridge publishes verified and converted events to {topic}."),
        });
        operations.insert(format!("publish.{topic}"), operation);
    };
    for (topic, entries) in by_topic(&entries) {
        let sent = entries.iter().map(|e| (e.event_type.schema.name.as_str(), e.route.main.subject.name.as_str()));
        add(topic, format!("Events of {topic}, partitioned by {}.", key_description(&entries)), sent.collect(), false);
        messages.extend(entries.iter().map(|entry| (entry.event_type.schema.name.clone(), message(entry))));
    }
    for (topic, Links { keys, entries }) in links(&entries) {
        let keys = keys.into_iter().collect::<Vec<_>>().join(" or ");
        let sent =
            entries.iter().map(|(entry, subject)| (entry.event_type.schema.name.as_str(), subject.name.as_str()));
        let what = format!("The same events again, once for each distinct {keys}, and partitioned by it.");
        add(topic, what, sent.collect(), false);
    }
    for (topic, LatestTopic { subject, latest, key }) in states(&entries) {
        let name = latest.schema.name.as_str();
        let updated = &latest.updated.text;
        let what = format!(
            "The last state by {key}. Readers keep the state with the greater {updated}. A record without a value means: forgotten."
        );
        add(topic, what, vec![(name, &subject.name)], true);
        messages.insert(name.to_owned(), state(latest, key));
    }
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "hookbridge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Webhooks as Avro records in Kafka. Values are in Confluent's wire format: a zero, the \
                schema's id in four bytes, the record.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/avro",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "messageTraits": { "cloudEvent": cloud_event() } },
    });
    format!("{document:#}\n")
}

fn key_description(entries: &[&DocumentedType<'_>]) -> String {
    let mut paths: Vec<_> = entries.iter().map(|entry| entry.key_path()).collect();
    paths.dedup();
    paths.join(" or ")
}

fn message(entry: &DocumentedType<'_>) -> Value {
    let title = format!("{}.{}", entry.profile.name, entry.event_type.name);
    let key = format!("{}, as plain UTF-8; in join topics what they are partitioned by", entry.key_path());
    let key = if entry.event_type.joins.is_empty() { format!("{}, as plain UTF-8", entry.key_path()) } else { key };
    of_schema(&entry.event_type.schema, &title, entry.doc(), &key)
}

fn state(latest: &Latest, key: &str) -> Value {
    let schema: Value = serde_json::from_str(&latest.schema.text).unwrap_or_default();
    let doc = schema["doc"].as_str().unwrap_or_default();
    of_schema(&latest.schema, &latest.schema.name, doc, &format!("{key}, as plain UTF-8"))
}

fn of_schema(schema: &Schema, title: &str, summary: &str, key: &str) -> Value {
    let text: Value = serde_json::from_str(&schema.text).unwrap_or_default();
    json!({
        "name": schema.name,
        "title": title,
        "summary": summary,
        "contentType": "application/avro",
        "traits": [{ "$ref": "#/components/messageTraits/cloudEvent" }],
        "payload": { "schemaFormat": "application/vnd.apache.avro+json;version=1.9.0", "schema": text },
        "bindings": { "kafka": {
            "key": { "type": "string", "description": key },
            "schemaIdLocation": "payload",
            "schemaIdPayloadEncoding": "confluent",
            "bindingVersion": "0.5.0",
        } },
    })
}

/// The headers that every record has, by the Kafka binding of `CloudEvents` 1.0.
fn cloud_event() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "headers": {
            "type": "object",
            "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "content-type"],
            "properties": {
                "ce_specversion": { "type": "string", "const": "1.0" },
                "ce_id": text("The event's id: the same on every retry of a delivery."),
                "ce_type": text("<profile>.<event type>"),
                "ce_source": text("/webhooks/<source>"),
                "ce_subject": text("The record's key."),
                "ce_time": text("When it happened, RFC 3339; left out when the payload does not say."),
                "content-type": { "type": "string", "const": "application/avro" },
                "traceparent": text("W3C trace context: of the request, where it had one, or, with tracing, of the span that received it."),
            },
        },
    })
}
