//! An `AsyncAPI` 3.0 document: a channel per topic, a message per event type, the Avro schema as its payload.
//!
//! Shapes as in the `AsyncAPI` 3.0.0 specification and its Kafka bindings 0.5.0.

use serde_json::{Map, Value, json};

use super::{Entry, by_topic, entries};
use crate::config::Settings;
use crate::route::Routes;

/// The document, as indented JSON.
pub(crate) fn asyncapi(settings: &Settings) -> String {
    let routes = Routes::plan(settings);
    let entries = entries(settings, &routes);
    let (mut channels, mut operations, mut messages) = (Map::new(), Map::new(), Map::new());
    for (topic, entries) in by_topic(&entries) {
        let mut sent = Map::new();
        for entry in &entries {
            let name = &entry.event_type.schema.name;
            sent.insert(name.clone(), json!({ "$ref": format!("#/components/messages/{name}") }));
            messages.insert(name.clone(), message(entry));
        }
        let channel = json!({
            "address": topic,
            "description": format!("Events of {}, partitioned by {}.", topic, key_description(&entries)),
            "messages": sent,
            "bindings": { "kafka": {
                "topic": topic, "partitions": settings.kafka.partitions, "bindingVersion": "0.5.0",
            } },
        });
        channels.insert(topic.to_owned(), channel);
        let operation = json!({
            "action": "send",
            "channel": { "$ref": format!("#/channels/{topic}") },
            "summary": format!("hookbridge publishes to {topic} what it verified and converted."),
        });
        operations.insert(format!("publish.{topic}"), operation);
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

fn key_description(entries: &[&Entry<'_>]) -> String {
    let mut paths: Vec<_> = entries.iter().map(|entry| entry.key_path()).collect();
    paths.dedup();
    paths.join(" or ")
}

fn message(entry: &Entry<'_>) -> Value {
    let name = &entry.event_type.schema.name;
    let schema: Value = serde_json::from_str(&entry.event_type.schema.text).unwrap_or_default();
    json!({
        "name": name,
        "title": format!("{}.{}", entry.profile.name, entry.event_type.name),
        "summary": entry.doc(),
        "contentType": "application/avro",
        "traits": [{ "$ref": "#/components/messageTraits/cloudEvent" }],
        "payload": { "schemaFormat": "application/vnd.apache.avro+json;version=1.9.0", "schema": schema },
        "bindings": { "kafka": {
            "key": { "type": "string", "description": format!("{}, as plain UTF-8", entry.key_path()) },
            "schemaIdLocation": "payload",
            "schemaIdPayloadEncoding": "confluent",
            "bindingVersion": "0.5.0",
        } },
        "x-subject": entry.route.subject.name,
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
                "traceparent": text("W3C trace context, where the request had one."),
            },
        },
    })
}
