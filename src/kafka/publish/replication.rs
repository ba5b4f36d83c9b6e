//! On how many replicas a record is when Kafka acknowledges it: what topics that we make are given for that, and which
//! topics fall short of it.

use std::sync::Arc;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::producer::Context;

/// Why Kafka did not say how topics are set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The request failed.
    #[error(transparent)]
    Request(#[from] KafkaError),
    /// It has no such request, as librdkafka's mock cluster, which `dev` embeds.
    #[error(
        "this Kafka does not offer DescribeConfigs (the broker that `dev` embeds does not), so they were not checked"
    )]
    NotOffered,
    /// The broker refused to answer for a topic.
    #[error("{0}")]
    Refused(RDKafkaErrorCode),
}

/// The setting of topics, and of brokers, that says how many replicas have a record before it is acknowledged.
pub(super) const MIN_INSYNC: &str = "min.insync.replicas";
const DEFAULT_FACTOR: &str = "default.replication.factor";
/// An acknowledged record is on so many replicas at least, where the cluster allows it.
const SAFE: i32 = 2;
/// With fewer replicas, a topic that needs [`SAFE`] of them could not be written while one broker is down.
const LEAST_FACTOR: i32 = SAFE + 1;

/// What a broker gives topics that ask for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Defaults {
    factor: i32,
    min_insync: i32,
}

impl Defaults {
    fn of(broker: &ConfigResource) -> Option<Defaults> {
        Some(Defaults { factor: number(broker, DEFAULT_FACTOR)?, min_insync: number(broker, MIN_INSYNC)? })
    }
}

/// A setting that is a whole number.
pub(super) fn number(resource: &ConfigResource, key: &str) -> Option<i32> {
    resource.get(key)?.value.as_ref()?.parse().ok()
}

/// Asks `broker`; `None` when it does not say, as with a principal that may not ask.
pub(super) async fn defaults(admin: &AdminClient<Context>, broker: i32, options: &AdminOptions) -> Option<Defaults> {
    let found = admin.describe_configs(&[ResourceSpecifier::Broker(broker)], options).await.ok()?;
    Defaults::of(found.into_iter().next()?.ok().as_ref()?)
}

/// Whether `broker` can be asked how something is set. librdkafka sees at once that it cannot; of topics it would wait for the controller.
pub(super) async fn offers_configs(admin: &AdminClient<Context>, broker: i32, options: &AdminOptions) -> bool {
    let asked = admin.describe_configs(&[ResourceSpecifier::Broker(broker)], options).await;
    !matches!(asked, Err(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature)))
}

/// `min.insync.replicas` of a new topic with this `factor` (-1: the broker's own); `None` leaves it to the broker.
pub(super) fn min_insync(factor: i32, defaults: Option<Defaults>) -> Option<i32> {
    let factor = if factor == -1 { defaults?.factor } else { factor };
    // A setting of the topic would hide the cluster's own, from then on.
    let cluster_is_safe = defaults.is_some_and(|defaults| defaults.min_insync >= SAFE);
    (factor >= LEAST_FACTOR && !cluster_is_safe).then_some(SAFE)
}

/// How a topic is replicated.
#[derive(Clone, Debug)]
pub(super) struct Replication {
    pub(super) topic: Arc<str>,
    pub(super) replicas: usize,
    pub(super) min_insync: i32,
}

/// Topics whose records may be acknowledged while they are on one replica only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OneReplica {
    /// Which ones, and what to do.
    pub(crate) words: String,
    /// Whether the cluster has brokers enough to do it.
    pub(crate) mendable: bool,
}

/// `None` when every acknowledged record is on two replicas or more.
pub(super) fn one_replica(topics: &[Replication], brokers: usize) -> Option<OneReplica> {
    let many = LEAST_FACTOR as usize;
    let (mut to_set, mut to_replicate) = (Vec::new(), Vec::new());
    for Replication { topic, replicas, min_insync } in topics {
        match (*replicas, *min_insync) {
            (2.., SAFE..) => {}
            (replicas, _) if replicas >= many => to_set.push(&**topic),
            _ => to_replicate.push(&**topic),
        }
    }
    let mut parts = Vec::new();
    if !to_set.is_empty() {
        parts.push(format!(
            "{MIN_INSYNC} is 1 for {}: set it with kafka-configs --alter --add-config {MIN_INSYNC}={SAFE}",
            to_set.join(", ")
        ));
    }
    if !to_replicate.is_empty() {
        parts.push(format!(
            "too few replicas for {}: raise the replication factor to {many} (kafka-reassign-partitions), then set \
             {MIN_INSYNC}={SAFE}",
            to_replicate.join(", ")
        ));
    }
    if parts.is_empty() {
        return None;
    }
    let mendable = brokers >= many;
    if !mendable {
        let plural = if brokers == 1 { "" } else { "s" };
        parts.push(format!("this needs {many} brokers, and the cluster has {brokers} broker{plural}"));
    }
    Some(OneReplica {
        words: format!(
            "a 200 may mean that only one replica has the event, which is lost if that disk is lost: {}",
            parts.join("; ")
        ),
        mendable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_topics_need_two_replicas_where_one_broker_may_then_still_be_down() {
        let broker = |factor, min_insync| Some(Defaults { factor, min_insync });
        for (factor, defaults, expected) in [
            // The broker's own factor.
            (-1, broker(3, 1), Some(2)),
            (-1, broker(5, 1), Some(2)),
            (-1, broker(2, 1), None),
            (-1, broker(1, 1), None),
            // The cluster's own setting counts.
            (-1, broker(3, 2), None),
            (-1, broker(5, 3), None),
            (-1, broker(1, 2), None),
            // Nobody says what the factor would be.
            (-1, None, None),
            // A factor of our own.
            (3, broker(1, 1), Some(2)),
            (3, broker(3, 2), None),
            (2, broker(3, 1), None),
            (1, broker(3, 1), None),
            (3, None, Some(2)),
            (2, None, None),
        ] {
            let given = min_insync(factor, defaults);
            assert_eq!(given, expected, "{factor} with {defaults:?}");
            let factor = if factor == -1 { defaults.map_or(0, |defaults| defaults.factor) } else { factor };
            assert!(given.is_none_or(|given| given < factor), "{given:?} of {factor}");
        }
    }

    #[test]
    fn a_topic_falls_short_when_one_replica_may_acknowledge_alone() {
        let topic = |(replicas, min_insync)| Replication { topic: "t".into(), replicas, min_insync };
        let set = Some("t: set it with kafka-configs --alter --add-config min.insync.replicas=2");
        let replicate = Some("t: raise the replication factor to 3");
        for (is, expected) in [
            ((1, 1), replicate),
            ((1, 2), replicate),
            ((2, 1), replicate),
            ((2, 2), None),
            ((3, 1), set),
            ((3, 2), None),
            ((5, 3), None),
        ] {
            for brokers in [1, 2, 3, 6] {
                let found = one_replica(&[topic(is)], brokers);
                let Some(expected) = expected else {
                    assert_eq!(found, None, "{is:?}");
                    continue;
                };
                let OneReplica { words, mendable } = found.unwrap();
                assert!(words.contains(expected), "{is:?}: {words}");
                assert_eq!(mendable, brokers >= 3, "{brokers} brokers");
                assert_eq!(words.contains("this needs 3 brokers"), !mendable, "{words}");
            }
        }
    }

    #[test]
    fn all_topics_that_fall_short_stand_in_one_sentence() {
        let topic = |name: &str, replicas, min_insync| Replication { topic: name.into(), replicas, min_insync };
        let topics = [topic("a", 3, 1), topic("b", 1, 1), topic("c", 3, 2), topic("d", 3, 1), topic("e", 2, 1)];
        let words = one_replica(&topics, 3).unwrap().words;
        assert!(words.contains("for a, d: set") && words.contains("for b, e: raise"), "{words}");
        assert_eq!(one_replica(&[], 3), None);
    }
}
