//! Kafka refuses a batch as a whole; a record that would be taken alone must not suffer for its company.

use std::thread;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::support::bridge::Setup;
use crate::support::servers::servers;
use crate::support::{RUNTIME, reader, skip};

const SENDERS: u64 = 16;
const EACH: u64 = 12;

#[test]
fn records_that_fit_alone_are_published_though_a_batch_of_them_does_not_fit() {
    if servers().is_mock() {
        return skip("batches", "the mock cluster takes records of any size", "install Java and Maven");
    }
    let setup = Setup::new("batches");
    let topic = setup.topic("whazing.ticket");
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers().kafka).create().unwrap();
    // Three records of about 750 bytes fit, a batch of many does not.
    let small = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "3000");
    RUNTIME.block_on(admin.create_topics([&small], &AdminOptions::new())).unwrap();

    let bridge = setup.start();
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let bridge = &bridge;
            scope.spawn(move || {
                for n in 0..EACH {
                    let words = format!("{sender:03}-{n:03} ").repeat(60);
                    let body = format!(r#"{{"Type":"NewTicket","messageBody":"{words}","ticket":{{"id":7}}}}"#);
                    assert_eq!(bridge.deliver("whazing", &body).sum(), (200, "published".into()));
                }
            });
        }
    });
    let mut records = reader::read(&topic);
    records.sort_by_key(|record| record.header("ce_id").unwrap().to_owned());
    records.dedup_by_key(|record| record.header("ce_id").unwrap().to_owned());
    assert_eq!(records.len() as u64, SENDERS * EACH);
    // What went a second way is what it was before.
    let names = |record: &reader::Record| record.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    for record in &records {
        let event = &record.decode()["event"];
        assert_eq!(record.header("ce_id"), event["id"].as_str());
        assert_eq!((record.key.as_str(), names(record)), ("7", names(&records[0])));
        assert_eq!(Some(record.timestamp), event["received_at"].as_i64());
    }
}
