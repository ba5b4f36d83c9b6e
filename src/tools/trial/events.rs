//! From a delivery to the records that would be written, by the flow's own steps.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::OfflineBridge;
use super::kept::kept;
use super::report::{TriedEvent, TriedRecord, TriedRejection};
use crate::convert::identify::recognise;
use crate::convert::prepare::{self, ConvertedEvent, Prepared};
use crate::convert::split;
use crate::flow::pipeline::{check_extent, check_size};
use crate::kafka::dead_letter;
use crate::kafka::partition;
use crate::kafka::route::{Event, Record, Route, Subject};
use crate::outcome::{Reason, Rejection, Unwritten};
use crate::source::verify::Verified;
use crate::tools::read::render;
use crate::values::json::{Document, MAX_DEPTH, Node};
use crate::values::printable::clip;
use crate::values::time;

/// Bytes before the record in a Kafka value.
const FRAME: usize = 5;

/// The records of an event, and what is said of its file.
type Made<'a> = (&'a Route, Vec<Record>, Option<String>);

impl OfflineBridge {
    /// The events of a delivery.
    pub(super) fn events(&self, delivery: &Verified) -> Vec<TriedEvent> {
        if let Ok(Some(several)) = split::split(delivery, self.max_record_bytes) {
            return several.deliveries(delivery).map(|part| self.event_of(&part)).collect();
        }
        vec![self.event_of(delivery)]
    }

    fn event_of(&self, delivery: &Verified) -> TriedEvent {
        self.event(prepare::prepare(delivery, &self.store, self.max_record_bytes))
    }

    fn event(&self, prepared: Prepared<'_>) -> TriedEvent {
        let (delivery, occurred_at) = (prepared.delivery, prepared.occurred_at.map(time::to_rfc3339));
        let mut tried = TriedEvent {
            id: delivery.id().to_owned(),
            event_type: prepared.type_name().map(str::to_owned),
            rule: rule(delivery),
            key: prepared.key.clone(),
            occurred_at,
            ignored: false,
            rejection: None,
            records: Vec::new(),
            extra: Vec::new(),
            file: None,
        };
        let (event, made) = Event::of(prepared);
        match made.and_then(|made| Ok(self.records(&event, *made)?)) {
            Ok((route, records, file)) => {
                tried.records = records.iter().map(|record| self.record(record, Some(route))).collect();
                if let Some(main) = tried.records.first() {
                    tried.extra = kept(&route.main.subject.schema, main.value.get());
                }
                tried.file = file;
            }
            Err(Unwritten::Ignored) => tried.ignored = true,
            Err(Unwritten::Rejected(rejection)) => {
                let letter = dead_letter::record(&self.routes.dead_letters, &event, &rejection);
                tried.records = vec![self.record(&letter, None)];
                let Rejection { reason, error } = rejection;
                tried.rejection = Some(TriedRejection { reason, error });
            }
        }
        tried
    }

    fn records(&self, event: &Event<'_>, made: ConvertedEvent) -> Result<Made<'_>, Rejection> {
        let ConvertedEvent { parts, file } = made;
        check_extent(&parts, self.max_record_bytes)?;
        let route = event.event_type.and_then(|ty| self.routes.get(&event.delivery.source().name, &ty.name));
        let no_route = || Rejection { reason: Reason::UnknownType, error: "no topic for this event type".into() };
        let route = route.ok_or_else(no_route)?;
        // Every id takes as many bytes as any other.
        let records = self.routes.records(event, route, parts, |_| Some(0)).unwrap_or_default();
        check_size(&records, self.max_record_bytes)?;
        let file = file.map(|file| format!("{} bytes, kept at {}", file.size(), self.store.uri(&file)));
        Ok((route, records, file))
    }

    fn record(&self, record: &Record, route: Option<&Route>) -> TriedRecord {
        let of_topic = |route: &Route| {
            let mut targets = route.targets();
            targets.find(|target| target.topic == record.topic).map(|target| Arc::clone(&target.subject))
        };
        let subject = route.and_then(of_topic);
        let headers: Map<String, Value> = record
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value).into()))
            .collect();
        TriedRecord {
            topic: record.topic.to_string(),
            partition: partition::of_key(record.key.as_bytes(), self.partitions),
            key: record.key.clone(),
            timestamp: time::to_rfc3339(record.timestamp),
            headers,
            value: value(record, subject.as_deref()),
            subject: subject.map(|subject| subject.name.clone()),
        }
    }
}

/// A record's value as JSON: decoded by its schema, or the text of a dead letter.
fn value(record: &Record, subject: Option<&Subject>) -> Box<RawValue> {
    let bytes = record.value.as_deref().unwrap_or_default();
    let text = || Value::from(String::from_utf8_lossy(bytes)).to_string();
    let json = match subject {
        Some(subject) => render(&subject.schema, bytes.get(FRAME..).unwrap_or_default()).unwrap_or_else(|_| text()),
        None => text(),
    };
    RawValue::from_string(json).unwrap_or_default()
}

/// Which rule of its profile determines the event's type, and by what.
fn rule(delivery: &Verified) -> Option<String> {
    let profile = &delivery.source().profile;
    let doc = Document::scan(delivery.body(), MAX_DEPTH).ok()?;
    let (at, _) = recognise(&doc, delivery.headers(), profile).ok()?;
    let rule = profile.recognise.get(at)?;
    let value = rule.field().and_then(|field| doc.get(Node::ROOT, field)).map(|node| doc.raw(node));
    let is = value.map(|value| format!(" is {}", clip(value))).unwrap_or_default();
    Some(format!("recognise[{at}]: `{}`{is}", rule.label))
}
