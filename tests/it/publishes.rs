//! Every event type becomes the record it should be, where it should be, with nothing lost.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::support::bridge::{Bridge, Setup};
use crate::support::payloads::{Dice, EVENT_TYPES, EventType, assert_same, odd};
use crate::support::reader::{self, Record};
use crate::support::sender::{self, TRACEPARENT, event_id};
use crate::support::{registry, servers};

/// A delivery that was answered, and what is due.
pub(crate) struct Sent {
    pub(crate) event_type: EventType,
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) occurred_at: Option<i64>,
    pub(crate) record: Map<String, Value>,
    /// Between which milliseconds it was received.
    pub(crate) window: (i64, i64),
    body: String,
}

impl Sent {
    pub(crate) fn source(&self) -> &'static str {
        self.event_type.profile
    }

    /// The whole record due, given when it was received.
    pub(crate) fn due(&self, received_at: i64) -> Value {
        let event = json!({
            "id": self.id, "type": self.event_type.name, "source": self.source(), "entity_id": self.key,
            "occurred_at": self.occurred_at, "received_at": received_at,
        });
        let mut due = self.record.clone();
        due.insert("event".into(), event);
        due.into()
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Delivers `rounds` odd payloads of every event type; each has to be published.
pub(crate) fn deliver_all(bridge: &Bridge, rounds: u64) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (seed, name) in (0..rounds).flat_map(|round| EVENT_TYPES.map(|name| (round, name))) {
        let event_type = EventType::of(name);
        let mut dice = Dice::new(seed * 1000 + sent.len() as u64 + 7);
        let odd = odd(&event_type, &mut dice);
        let source = event_type.profile;
        let (header, proof) = sender::proof(source, odd.body.as_bytes());
        let headers = [
            (header, proof.as_str()),
            ("content-type", "application/json; charset=utf-8"),
            ("traceparent", TRACEPARENT),
        ];
        let before = now();
        let answer = sender::post(bridge.http, &format!("/webhooks/{source}"), &headers, odd.body.as_bytes());
        let window = (before, now());
        assert_eq!(answer.sum(), (200, "published".into()), "{name}: {}\n{}", answer.body, odd.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let id = event_id(source, odd.body.as_bytes());
        assert_eq!(answer.get("id"), id, "{name}");
        let (key, occurred_at, record, body) = (odd.key, odd.occurred_at, odd.record, odd.body);
        sent.push(Sent { event_type, id, key, occurred_at, record, window, body });
    }
    sent
}

/// Every record of the sent events' topics, by event id.
fn read_all(bridge: &Bridge, sent: &[Sent]) -> BTreeMap<String, Record> {
    let mut topics: Vec<_> = sent.iter().map(|s| s.event_type.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let records: Vec<_> = topics.into_iter().flat_map(|topic| reader::read(&bridge.topic(topic))).collect();
    assert_eq!(records.len(), sent.len(), "one record per delivery");
    records.into_iter().map(|record| (record.header("ce_id").unwrap().to_owned(), record)).collect()
}

#[test]
fn every_event_type_is_published_with_no_value_lost() {
    let bridge = Setup::new("publishes").start();
    let sent = deliver_all(&bridge, 6);
    let records = read_all(&bridge, &sent);
    for sent in &sent {
        let record =
            records.get(&sent.id).unwrap_or_else(|| panic!("{} {} is not there", sent.event_type.name, sent.id));
        check_record(&bridge, sent, record);
    }
    // Nothing among it became a dead letter.
    assert_eq!(reader::read(&bridge.topic("hookbridge.dead-letters")).len(), 0);
}

fn check_record(bridge: &Bridge, sent: &Sent, record: &Record) {
    let Sent { event_type, .. } = sent;
    let name = event_type.name;
    assert_eq!(record.topic, bridge.topic(&event_type.topic), "{name}");
    assert_eq!(record.key, sent.key, "{name}");
    let decoded = record.decode();
    let received_at = decoded["event"]["received_at"].as_i64().unwrap();
    assert!((sent.window.0..=sent.window.1).contains(&received_at), "{name}: received at {received_at}");
    assert_eq!(record.timestamp, received_at, "{name}: the record's timestamp is when it was received");
    assert_same(&sent.due(received_at), &decoded, &format!("{name} {}: ", sent.body));

    let mut due = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", sent.id.clone()),
        ("ce_source", format!("/webhooks/{}", sent.source())),
        ("ce_type", format!("{}.{name}", sent.source())),
        ("ce_subject", sent.key.clone()),
        ("content-type", "application/avro".to_owned()),
        ("traceparent", TRACEPARENT.to_owned()),
    ];
    if let Some(time) = record.header("ce_time") {
        assert!(time.ends_with('Z'), "{name}: {time}");
        due.push(("ce_time", rfc3339(sent.occurred_at.expect(time))));
    } else {
        assert_eq!(sent.occurred_at, None, "{name}");
    }
    let mut headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    headers.sort();
    due.sort();
    assert_eq!(headers, due, "{name}: {}", sent.body);
    check_subject(bridge, sent, record);
}

fn rfc3339(millis: i64) -> String {
    // humantime starts at 1970; the one instant before it that is sent is the first there is.
    if millis == -62_135_596_800_000 {
        return "0001-01-01T00:00:00.000Z".into();
    }
    let since = std::time::Duration::from_millis(millis.try_into().unwrap());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// `TopicNameStrategy` where a topic has one record type, `TopicRecordNameStrategy` where it has several.
fn check_subject(bridge: &Bridge, sent: &Sent, record: &Record) {
    let topic = bridge.topic(&sent.event_type.topic);
    let shared = EVENT_TYPES.iter().filter(|name| EventType::of(name).topic == sent.event_type.topic).count();
    let subject = if shared == 1 { format!("{topic}-value") } else { format!("{topic}-{}", sent.event_type.record) };
    let schema = record.schema();
    let found = registry::send(reqwest::Method::POST, &format!("/subjects/{subject}"), &json!({"schema": schema}));
    assert_eq!(found["id"], record.schema_id(), "{subject}: {found}");
    let parsed: Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(
        format!("{}.{}", parsed["namespace"].as_str().unwrap(), parsed["name"].as_str().unwrap()),
        sent.event_type.record
    );
    // `apache-avro` would drop it, and sinks that know it would then see plain strings.
    assert!(schema.contains("\"connect.name\":\"io.debezium.data.Json\""), "{subject}: {schema}");
}

#[test]
fn a_retry_of_the_same_delivery_has_the_same_id() {
    let bridge = Setup::new("retry").start();
    let body = format!(
        r#"{{"event_key":"lead.updated","payload":{{"id":"{}"}}}}"#,
        "0".repeat(8) + "-0000-4000-8000-000000000001"
    );
    let ids: Vec<_> = (0..3).map(|_| bridge.deliver("wegly", &body).get("id")).collect();
    assert_eq!(ids, vec![event_id("wegly", body.as_bytes()); 3]);
    assert_ne!(event_id("wegly", body.as_bytes()), event_id("wegly-acme", body.as_bytes()));
    let records = reader::read(&bridge.topic("wegly.lead"));
    assert_eq!(records.len(), 3, "a duplicate is published again: consumers drop it by its id");
}

#[test]
fn one_topic_per_event_type_if_asked_for() {
    let mut setup = Setup::new("per-event");
    setup.kafka = "topics = \"per-event\"\ntimestamp = \"occurred\"\n".into();
    setup.sources = setup.sources.replace("[sources.wegly]", "[sources.wegly]\ntopic_prefix = \"acme.\"");
    let topic = setup.topic("acme.wegly.lead.stage-changed");
    let every: Vec<_> = EVENT_TYPES
        .iter()
        .map(|name| {
            let event_type = EventType::of(name);
            let prefix = if event_type.profile == "wegly" { "acme." } else { "" };
            format!("{prefix}{}.{}", event_type.profile, name.replace('_', "-"))
        })
        .collect();
    setup.prepare(&every.iter().map(String::as_str).collect::<Vec<_>>());
    let bridge = setup.start();
    let body = r#"{"event_key":"lead.stage_changed","payload":{"lead":{"id":"7E57ab00-0000-4000-8000-00000000000a","updated_at":"2026-06-02T09:00:00-03:00"}}}"#;
    assert_eq!(bridge.deliver("wegly", body).status, 200);
    let record = reader::read(&topic).remove(0);
    assert_eq!(record.key, "7e57ab00-0000-4000-8000-00000000000a");
    assert_eq!(record.timestamp, 1_780_401_600_000, "kafka.timestamp = \"occurred\"");
    let found = registry::fetch(&format!("{}/subjects/{topic}-value/versions", servers::servers().registry));
    assert_eq!(found, json!([1]));
}
