//! What Kafka refuses for good is judged record by record.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, SystemTime};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::json;

use crate::support::bridge::Setup;
use crate::support::servers::servers;
use crate::support::{RUNTIME, reader, skip};

const SENDERS: u32 = 16;
const EACH: u32 = 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LONG_AGO: &str = "2020-01-01T00:00:00.000Z";

fn can_refuse(test: &str) -> bool {
    if servers().is_mock() {
        skip(test, "the mock cluster takes records of any time", "install Java and Maven");
    }
    !servers().is_mock()
}

/// Makes a topic of one partition that refuses what is older than a day.
fn create_for_a_day(topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers().kafka).create().unwrap();
    let days = DAY.as_millis().to_string();
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("message.timestamp.before.max.ms", &days);
    let made = RUNTIME.block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

fn id(sender: u32, n: u32) -> String {
    format!("00000000-0000-4000-8000-{:012x}", sender * 1000 + n)
}

fn lead(id: &str, updated_at: &str) -> String {
    json!({"event_key": "lead.updated", "payload": {"id": id, "title": "T", "updated_at": updated_at}}).to_string()
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

#[test]
fn a_state_too_old_for_its_latest_topic_makes_a_dead_letter_of_neither_its_event_nor_its_neighbours() {
    if !can_refuse("verdicts-latest") {
        return;
    }
    let setup = Setup::new("verdicts-latest");
    let latest = setup.topic("wegly.lead-latest");
    create_for_a_day(&latest);
    let bridge = setup.start();
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let bridge = &bridge;
            scope.spawn(move || {
                for n in 0..EACH {
                    // One of them sends an old state every second time.
                    let updated_at = if sender == 0 && n % 2 == 0 { LONG_AGO.to_owned() } else { now() };
                    let answer = bridge.deliver("wegly", lead(&id(sender, n), &updated_at));
                    assert_eq!(answer.sum(), (200, "published".into()), "{answer:?}");
                }
            });
        }
    });
    let old = u64::from(EACH / 2);
    let count = |topic: &str| {
        let records = reader::read(topic).into_iter().map(|record| (record.key.clone(), record));
        records.collect::<BTreeMap<_, _>>().len() as u64
    };
    assert_eq!(count(&bridge.topic("wegly.lead")), u64::from(SENDERS * EACH));
    assert_eq!(count(&latest), u64::from(SENDERS * EACH) - old);
    let refused = |reason: &str| {
        bridge.metric(&format!("hookbridge_records_refused_total{{reason=\"{reason}\",topic=\"{latest}\"}}"))
    };
    assert_eq!((refused("kafka_rejected"), refused("record_too_large")), (old, 0));
    assert_eq!(bridge.metric("hookbridge_dead_letters_total{reason=\"kafka_rejected\",source=\"wegly\"}"), 0);
    let said: Vec<_> = bridge.log().into_iter().filter(|line| line.contains("published without them")).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(&latest) && said[0].contains("InvalidTimestamp"), "{said:?}");
}

#[test]
fn an_event_too_old_for_its_topic_is_a_dead_letter_and_its_neighbours_are_none() {
    if !can_refuse("verdicts-main") {
        return;
    }
    let mut setup = Setup::new("verdicts-main");
    setup.kafka = "timestamp = \"occurred\"\n".into();
    let topic = setup.topic("whazing.message");
    create_for_a_day(&topic);
    let bridge = setup.start();
    let message = |id: String, at: &str| {
        json!({"messageId": id, "fromMe": false, "timestamp": at, "ticket": {"id": 7}}).to_string()
    };
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let bridge = &bridge;
            scope.spawn(move || {
                for n in 0..EACH {
                    let is_old = sender < 2 && n % 2 == 0;
                    let at = if is_old { LONG_AGO.to_owned() } else { now() };
                    let answer = bridge.deliver("whazing", message(id(sender, n), &at));
                    if is_old {
                        assert_eq!(answer.sum(), (202, "dead_lettered".into()), "{answer:?}");
                        assert_eq!(answer.get("reason"), "kafka_rejected");
                    } else {
                        assert_eq!(answer.sum(), (200, "published".into()), "{answer:?}");
                    }
                }
            });
        }
    });
    let dead = bridge.metric("hookbridge_dead_letters_total{reason=\"kafka_rejected\",source=\"whazing\"}");
    assert_eq!(dead, u64::from(EACH));
    let error = reader::read(&bridge.topic("hookbridge.dead-letters")).remove(0);
    assert!(error.header("hookbridge_error").unwrap().contains("InvalidTimestamp"), "{error:?}");
}
