//! What the suite does to topics by itself, by the Kafka at `address`.

use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::types::RDKafkaErrorCode;

use crate::support::{RUNTIME, eventually};

const LIMIT: Duration = Duration::from_secs(60);

/// Deletes topics; those that are not there do not matter.
pub(crate) fn delete(address: &str, names: &[&str]) {
    let results = RUNTIME.block_on(admin(address).delete_topics(names, &options())).expect("Kafka deletes topics");
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((name, code)) => panic!("{name} was not deleted: {code}"),
        }
    }
}

/// Makes a topic, as soon as one of that name that was deleted is gone. `assigned` says which nodes have each partition;
/// without it, Kafka chooses one for each.
pub(crate) fn create(address: &str, name: &str, partitions: i32, assigned: Option<&[&[i32]]>) {
    let admin = admin(address);
    let replication = || assigned.map_or(TopicReplication::Fixed(1), TopicReplication::Variable);
    eventually(&format!("{name} can be made"), LIMIT, || {
        let new = NewTopic::new(name, partitions, replication());
        let results = RUNTIME.block_on(admin.create_topics(&[new], &options())).ok()?;
        results.into_iter().all(|result| result.is_ok()).then_some(())
    });
}

/// From now on each of the topics has `count` partitions.
pub(crate) fn add_partitions(address: &str, names: &[String], count: usize) {
    let new: Vec<_> = names.iter().map(|name| NewPartitions::new(name, count)).collect();
    let results = RUNTIME.block_on(admin(address).create_partitions(&new, &options())).expect("Kafka adds partitions");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// From now on the topics take no batch above `bytes`. All else that they were told is forgotten.
pub(crate) fn limit_batches(address: &str, names: &[String], bytes: usize) {
    let bytes = bytes.to_string();
    let limit = |name| AlterConfig::new(ResourceSpecifier::Topic(name)).set("max.message.bytes", &bytes);
    let limits: Vec<_> = names.iter().map(|name| limit(name)).collect();
    let results = RUNTIME.block_on(admin(address).alter_configs(&limits, &options())).expect("Kafka alters topics");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

fn admin(address: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", address).create().expect("an admin client")
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
}
