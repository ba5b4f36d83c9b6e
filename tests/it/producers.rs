//! A producer that does not work while Kafka does is replaced, whatever librdkafka thinks: no outage outlives its cause.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::bridge::{Bridge, SOON, Setup};
use crate::support::mock::Mock;
use crate::support::{eventually, reader};
use crate::tampering::Tampering;

const BODY: &str = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-00000000000b"}}"#;
/// From the end of a fault to the first event that is published again, at the latest.
const RECOVERY: Duration = Duration::from_secs(30);
/// The same lead, later.
const NEXT_BODY: &str =
    r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-00000000000b","code":2}}"#;
const ROUNDS: u32 = 4;
const KEYS: u32 = 16;

/// A bridge that publishes, by way of a proxy, to a Kafka of its own.
fn bridge(test: &str, ack_timeout: &str, properties: &str) -> (Mock, Tampering, Bridge) {
    let (kafka, mut setup) = Setup::on_its_own_kafka(test, &[]);
    let proxy = Tampering::before(&kafka.address);
    setup.bootstrap = proxy.address.to_string();
    setup.http = format!("ack_timeout = {ack_timeout:?}\n");
    setup.kafka = format!("[kafka.properties]\n{properties}");
    let bridge = setup.start_unready();
    bridge.wait_ready();
    published_within(&bridge, SOON);
    (kafka, proxy, bridge)
}

/// Sends an event again and again, all of one key, until one is published.
fn published_within(bridge: &Bridge, limit: Duration) {
    eventually("events are published", limit, || {
        let published = bridge.deliver("wegly", BODY).status == 200;
        thread::sleep(Duration::from_millis(500));
        published.then_some(())
    });
}

fn kafka_is_ok(bridge: &Bridge) -> bool {
    bridge.readyz().1["kafka"]["ok"] == true
}

fn replaced(bridge: &Bridge, reason: &str) -> u64 {
    bridge.metric(&format!("hookbridge_kafka_producers_replaced_total{{reason=\"{reason}\"}}"))
}

/// What the log says of a producer that was replaced.
const REPLACED: &str = "replaced a Kafka producer";

#[test]
fn a_broker_that_names_no_brokers_for_a_moment_leaves_no_producer_without_any() {
    // librdkafka drops its brokers then, and by chance does not begin anew: each round is a chance for each producer.
    let (_kafka, proxy, bridge) = bridge("producers-no-brokers", "2s", "topic.metadata.refresh.interval.ms = 500\n");
    for round in 0..ROUNDS {
        proxy.hide_brokers(true);
        thread::sleep(Duration::from_secs(2));
        proxy.hide_brokers(false);
        let since = Instant::now();
        eventually(&format!("every producer publishes in round {round}"), RECOVERY, || {
            let published = (0..KEYS).all(|key| {
                let body = format!(r#"{{"event_key":"lead.updated","payload":{{"id":"{}","n":{key}}}}}"#, uuid(key));
                bridge.deliver("wegly", body).status == 200
            });
            thread::sleep(Duration::from_millis(500));
            (published && kafka_is_ok(&bridge)).then_some(())
        });
        println!("well again after {:?}", since.elapsed());
    }
    assert_eq!(bridge.metric("hookbridge_kafka_up"), 1);
    let replacements = || bridge.log().into_iter().filter(|line| line.contains(REPLACED)).collect::<Vec<_>>();
    let words = eventually("the log says it of each producer that was replaced", SOON, || {
        let words = replacements();
        (replaced(&bridge, "unreachable") == words.len() as u64).then_some(words)
    });
    assert!(words.iter().all(|line| line.contains("cannot reach any broker")), "{words:?}");
}

/// Ids enough that each of four producers has some.
fn uuid(key: u32) -> String {
    format!("00000000-0000-4000-8000-{key:012}")
}

#[test]
fn a_producer_whose_records_get_no_answer_is_replaced_though_it_sees_its_brokers() {
    let (_kafka, proxy, bridge) = bridge("producers-stalled", "3s", "");
    proxy.mute_next_producer();
    assert_eq!(bridge.deliver("wegly", BODY).sum(), (202, "spooled".into()));
    published_within(&bridge, RECOVERY);
    let words = bridge.says(REPLACED);
    assert!(words.len() == 1 && words[0].contains("got no acknowledgement"), "{words:?}");
    assert_eq!((replaced(&bridge, "stalled"), replaced(&bridge, "unreachable")), (1, 0));
    eventually("all is well", SOON, || kafka_is_ok(&bridge).then_some(()));
    // It stays so.
    for _ in 0..5 {
        assert_eq!(bridge.deliver("wegly", BODY).status, 200);
    }
}

/// librdkafka takes the success of a later request for that of one which Kafka turned away.
#[test]
fn what_kafka_turned_away_is_sent_again_while_its_sender_waits() {
    let (kafka, mut setup) = Setup::on_its_own_kafka("unconfirmed", &[]);
    setup.kafka = "latest_topics = false\n".into();
    setup.http = "ack_timeout = \"5s\"\n".into();
    let bridge = setup.start_unready();
    bridge.wait_ready();
    published_within(&bridge, SOON);
    let topic = bridge.topic("wegly.lead");
    let before = reader::read_from(&kafka.address, &topic).len();

    kafka.acknowledge_after(Duration::from_millis(500));
    kafka.turn_away_once();
    let answers = thread::scope(|scope| {
        let refused = scope.spawn(|| bridge.deliver("wegly", BODY));
        // In a request of its own, while the other waits for its answer.
        thread::sleep(Duration::from_millis(50));
        let later = bridge.deliver("wegly", NEXT_BODY);
        [refused.join().expect("an answer"), later]
    });
    for answer in answers {
        assert_eq!(answer.sum(), (200, "published".into()));
    }
    let records = reader::read_from(&kafka.address, &topic);
    let written: Vec<_> = records[before..].iter().map(|record| record.decode()["lead"]["code"].clone()).collect();
    assert_eq!(
        written,
        [serde_json::json!(2), serde_json::Value::Null],
        "each once, the one turned away behind the other"
    );
}
