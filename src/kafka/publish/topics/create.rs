//! Makes the topics that are missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::super::replication::{self, MIN_INSYNC};
use super::view::View;
use super::{Watch, options};
use crate::kafka::route::Role;

impl Watch {
    /// Makes the missing topics; gives Kafka's words for those it would not make.
    pub(super) async fn create_missing(&self, view: &View) -> Result<BTreeMap<Arc<str>, String>, KafkaError> {
        let admin = self.admin()?;
        let defaults = match view.brokers.first() {
            Some(&broker) => replication::defaults(&admin, broker, &options()).await,
            None => None,
        };
        let min_insync = replication::min_insync(self.replication_factor, defaults).map(|count| count.to_string());
        let missing = self.topics.iter().zip(&view.topics).filter(|(_, state)| state.partitions.is_none());
        let missing: Vec<_> = missing.map(|(spec, _)| spec).collect();
        let usual = view.usual().and_then(|count| i32::try_from(count).ok());
        let new: Vec<_> = missing
            .iter()
            .map(|spec| {
                let fitting = usual.filter(|_| matches!(spec.role, Role::Links | Role::Latest));
                let partitions = fitting.unwrap_or(self.partitions);
                let topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(self.replication_factor));
                let topic = spec.configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
                min_insync.iter().fold(topic, |topic, count| topic.set(MIN_INSYNC, count))
            })
            .collect();
        let mut refused = BTreeMap::new();
        for result in admin.create_topics(&new, &options()).await? {
            match result {
                Ok(name) => tracing::info!(topic = name, "topic created"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    refused.insert(name.into(), code.to_string());
                }
            }
        }
        Ok(refused)
    }
}
