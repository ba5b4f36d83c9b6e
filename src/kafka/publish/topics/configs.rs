//! How our topics are set, and what is not as it should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::admin::{AdminClient, ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::error::KafkaError;

use super::super::producer::Context;
use super::super::replication::{self, AskError, MIN_INSYNC, OneReplica, Replication};
use super::view::View;
use super::{Watch, options};

/// A setting of a topic that is not as it should be.
#[derive(Debug)]
pub(crate) struct Differing {
    pub(crate) topic: Arc<str>,
    pub(crate) key: &'static str,
    pub(crate) is: String,
    pub(crate) due: String,
}

impl Watch {
    /// A topic that somebody made by hand may be too small for a body, or forget after a week; and one replica may be all
    /// that an acknowledged record is on.
    pub(super) async fn warn_of_configs(&self, view: &View) {
        // A broker that does not tell is no reason for alarm.
        let Ok(differing) = self.differing_configs(view).await else { return };
        for Differing { topic, key, is, due } in differing {
            tracing::warn!(%topic, key, is, expected = due, "a setting of the topic differs from what is expected; set it with kafka-configs");
        }
        if let Ok(Some(OneReplica { words, .. })) = self.one_replica(view).await {
            tracing::warn!("{words}");
        }
    }

    /// The topics that may lose an acknowledged record with one disk, of those that are there.
    pub(crate) async fn one_replica(&self, view: &View) -> Result<Option<OneReplica>, AskError> {
        let configs = self.configs_of(view).await?;
        let replication = |state: &super::view::TopicState| {
            let (topic, replicas) = (Arc::clone(&state.name), state.replicas()?);
            Some(Replication { min_insync: replication::number(configs.get(&topic)?, MIN_INSYNC)?, topic, replicas })
        };
        let topics: Vec<_> = view.there().filter_map(replication).collect();
        Ok(replication::one_replica(&topics, view.brokers.len()))
    }

    async fn configs_of(&self, view: &View) -> Result<BTreeMap<Arc<str>, ConfigResource>, AskError> {
        self.topic_configs(&view.there().map(|state| &*state.name).collect::<Vec<_>>()).await
    }

    /// The configuration of these topics, the broker's defaults included, in the order of their names.
    pub(in crate::kafka::publish) async fn topic_configs(
        &self,
        topics: &[&str],
    ) -> Result<BTreeMap<Arc<str>, ConfigResource>, AskError> {
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let resources: Vec<_> = topics.iter().copied().map(ResourceSpecifier::Topic).collect();
        let found = self.admin()?.describe_configs(&resources, &options()).await?;
        let mut configs = BTreeMap::new();
        for resource in found {
            let resource = resource.map_err(AskError::Refused)?;
            if let OwnedResourceSpecifier::Topic(name) = &resource.specifier {
                configs.insert(name.as_str().into(), resource);
            }
        }
        Ok(configs)
    }

    /// What is not as it should be in the configuration of topics that it matters for, of those that are there.
    pub(crate) async fn differing_configs(&self, view: &View) -> Result<Vec<Differing>, AskError> {
        let is_there = |name: &str| view.there().any(|state| *state.name == *name);
        let specs = self.topics.iter().filter(|spec| !spec.configs.is_empty() && is_there(&spec.name));
        let specs: Vec<_> = specs.collect();
        if let Some(&broker) = view.brokers.first()
            && !replication::offers_configs(&self.admin()?, broker, &options()).await
        {
            return Err(AskError::NotOffered);
        }
        let configs = self.topic_configs(&specs.iter().map(|spec| &*spec.name).collect::<Vec<_>>()).await?;
        let mut differing = Vec::new();
        for spec in specs {
            let Some(resource) = configs.get(&spec.name) else { continue };
            for (key, due) in &spec.configs {
                let is = resource.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
                let enough = match (is.parse::<i64>(), due.parse::<i64>()) {
                    // -1 is for ever; any other number must not be smaller.
                    (Ok(is), Ok(due)) => is == due || (due >= 0 && is > due),
                    _ => is == *due,
                };
                if !enough {
                    differing.push(Differing { topic: Arc::clone(&spec.name), key, is, due: due.clone() });
                }
            }
        }
        Ok(differing)
    }

    /// An admin client of its own connections: it lives for one request.
    pub(super) fn admin(&self) -> Result<AdminClient<Context>, KafkaError> {
        let context = Context { told: Arc::default(), suspect: Arc::default(), ..self.context.clone() };
        self.config.load().create_with_context(context)
    }
}
