//! What Kafka refuses for good is judged record by record.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, SystemTime};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::json;

use crate::support::bridge::{SOON, Setup, TOPICS};
use crate::support::payloads::Dice;
use crate::support::servers::servers;
use crate::support::{RUNTIME, eventually, reader, skip};

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

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", &servers().kafka).create().unwrap()
}

/// Makes a topic of one partition with this setting.
fn create(topic: &str, key: &str, value: &str) {
    let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set(key, value);
    let made = RUNTIME.block_on(admin().create_topics([&new], &AdminOptions::new())).unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");
}

fn create_for_a_day(topic: &str) {
    create(topic, "message.timestamp.before.max.ms", &DAY.as_millis().to_string());
}

fn set(topic: &str, key: &str, value: &str) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(key, value);
    let changed = RUNTIME.block_on(admin().alter_configs([&change], &AdminOptions::new())).unwrap();
    assert!(changed.iter().all(Result::is_ok), "{changed:?}");
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
    let said = bridge.says("published without these records");
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

#[test]
fn what_was_told_to_be_a_dead_letter_stays_one_though_kafka_would_take_it_by_now() {
    if !can_refuse("verdicts-kept") {
        return;
    }
    let mut setup = Setup::new("verdicts-kept");
    setup.kafka = "create_topics = false\n".into();
    // Time enough for a producer that connects first.
    setup.http = "ack_timeout = \"8s\"\n".into();
    let (topic, letters) = (setup.topic("whazing.ticket"), setup.topic("hookbridge.dead-letters"));
    let rest = TOPICS.iter().map(|name| setup.topic(name)).filter(|name| *name != topic && *name != letters);
    rest.for_each(|name| servers().create_topic(&name, 1));
    create(&topic, "max.message.bytes", "2000");
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let ticket = |words: &str| format!(r#"{{"Type":"NewTicket","messageBody":"{words}","ticket":{{"id":7}}}}"#);
    let small = eventually("the bridge publishes", SOON, || {
        let answer = bridge.deliver("whazing", ticket("first"));
        (answer.status == 200).then(|| answer.get("id"))
    });
    // Nobody compresses what is random.
    let mut dice = Dice::new(7);
    let large: String = (0..4000).map(|_| char::from(b'a' + dice.roll(26) as u8)).collect();
    let dead = bridge.deliver("whazing", ticket(&large));
    assert_eq!((dead.sum(), dead.get("reason")), ((202, "dead_lettered".into()), "record_too_large".into()));
    let mut accepted = vec![small];
    eventually("the topic goes on", SOON, || {
        let answer = bridge.deliver("whazing", ticket(&format!("later {}", accepted.len())));
        accepted.push(answer.get("id"));
        (answer.status == 200).then_some(())
    });

    // Kafka takes it by now, in this run of the bridge and in the next.
    set(&topic, "max.message.bytes", "1000000");
    let setup = bridge.setup.clone();
    drop(bridge);
    let bridge = setup.start_unready();
    bridge.wait_ready();
    servers().create_topic(&letters, 1);
    let series = format!("hookbridge_spool_records{{lane=\"{letters}\"}}");
    eventually("the dead letter is written", SOON, || (bridge.metric(&series) == 0).then_some(()));
    let ids = |topic: &str| {
        let records = reader::read(topic).into_iter();
        let mut ids: Vec<_> = records.map(|record| record.header("ce_id").unwrap().to_owned()).collect();
        ids.dedup();
        ids
    };
    assert_eq!(ids(&topic), accepted);
    assert_eq!(ids(&letters), [dead.get("id")]);
    let letter = reader::read(&letters).remove(0);
    assert_eq!(letter.header("hookbridge_reason"), Some("record_too_large"));
    assert!(letter.header("hookbridge_error").unwrap().starts_with(&topic), "{letter:?}");
    assert!(letter.headers.iter().all(|(name, _)| !name.contains("dead_letter")), "{letter:?}");
}
