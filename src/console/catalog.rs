//! The catalog as the console shows it: every event type with its topics, every record type with its fields.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::catalog::schema::{self, SchemaField};
use crate::kafka::route::Routes;
use crate::source::Source;

/// `{"events": [...], "types": {...}}`: an event names its record, which is found among the types.
pub(super) fn of(sources: &BTreeMap<String, Arc<Source>>, routes: &Routes) -> Value {
    let (mut events, mut types) = (Vec::new(), BTreeMap::new());
    for source in sources.values() {
        for event_type in source.profile.types.values() {
            let Some(route) = routes.get(&source.name, &event_type.name) else { continue };
            let records = event_type.schemas().map(|schema| record(&schema.text, &mut types)).collect::<Vec<_>>();
            let joins = event_type.joins.iter().zip(&route.joins).map(|(join, target)| {
                let keys: Vec<_> = join.keys.iter().map(|path| path.text.as_str()).collect();
                json!({ "topic": &*target.topic, "keys": keys })
            });
            let latest = event_type.latest.as_ref().zip(route.latest.as_ref()).map(|(latest, target)| {
                json!({ "topic": &*target.topic, "record": latest.schema.name, "updated": latest.updated.text })
            });
            events.push(json!({
                "source": source.name,
                "type": event_type.name,
                "doc": records.first().map(|doc| schema::when(doc, &event_type.name)),
                "record": event_type.schema.name,
                "topic": &*route.main.topic,
                "key": event_type.key.text,
                "joins": joins.collect::<Vec<_>>(),
                "latest": latest,
            }));
        }
    }
    json!({ "events": events, "types": types.into_iter().collect::<Map<_, _>>() })
}

/// Adds the types of a self-contained schema to `types`; the record's doc.
fn record(schema: &str, types: &mut BTreeMap<String, Value>) -> String {
    // It was checked when the catalog was loaded.
    let named = schema::named(&serde_json::from_str(schema).unwrap_or_default());
    let doc = named.last().and_then(|(_, record)| record["doc"].as_str()).unwrap_or_default().to_owned();
    for (name, record) in named {
        types.entry(name).or_insert_with(|| {
            let field = |SchemaField { name, json, ty, nullable, doc }: SchemaField<'_>| {
                json!({ "name": name, "json": json, "type": ty, "nullable": nullable, "doc": doc })
            };
            json!({ "doc": record["doc"], "fields": schema::fields(&record).map(field).collect::<Vec<_>>() })
        });
    }
    doc
}
