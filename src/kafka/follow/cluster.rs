//! Which cluster is followed: what is known of another one's topics says nothing of these.

use super::{FollowError, Follower, TopicReader};

impl Follower {
    /// Forgets what is known, unless it is of this cluster. One without an id may be another one at each start.
    pub(super) async fn check_cluster(&mut self, reader: &TopicReader) -> Result<(), FollowError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let now = reader.cluster().await?.unwrap_or_default();
        let before = store.cluster().unwrap_or_default();
        if is_same(before.as_deref(), &now, self.is_nameless) {
            return Ok(());
        }
        self.is_nameless = now.is_empty();
        if self.is_nameless {
            tracing::info!("this Kafka has no cluster id: each start reads the latest topics from the beginning");
        }
        if let Some(before) = before {
            if !self.is_nameless {
                tracing::warn!(before, now, "another Kafka cluster: what was known of the latest topics is forgotten");
            }
            self.latest.topics().iter().for_each(|topic| self.latest.clear(topic));
        }
        if let Err(error) = store.begin(&now) {
            tracing::warn!(%error, "cannot save what is known of the latest topics; the next start reads them from the beginning");
            self.save_all = true;
        }
        Ok(())
    }
}

/// Whether what is known is of the cluster that is there `now`. `followed` says that this run follows one without an id.
fn is_same(before: Option<&str>, now: &str, followed: bool) -> bool {
    before == Some(now) && (!now.is_empty() || followed)
}

#[cfg(test)]
mod tests {
    use rdkafka::config::ClientConfig;
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[test]
    fn what_is_known_of_a_cluster_without_an_id_counts_within_one_run_only() {
        for (before, now, followed, expected) in [
            (None, "a", false, false),
            (Some("a"), "a", false, true),
            (Some("a"), "b", false, false),
            (None, "", false, false),
            (Some(""), "", false, false),
            (Some(""), "", true, true),
            (Some("a"), "", true, false),
            (Some(""), "a", true, false),
        ] {
            assert_eq!(is_same(before, now, followed), expected, "{before:?} {now:?} {followed}");
        }
    }

    #[tokio::test]
    async fn a_cluster_without_an_id_is_told_from_one_that_does_not_answer() {
        let cluster = MockCluster::new(1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let named = TopicReader::new(config.clone()).unwrap().cluster().await.unwrap();
        assert!(named.is_some_and(|id| !id.is_empty()));
        // Asked in a way that is older than ids are.
        config.set("api.version.request", "false").set("broker.version.fallback", "0.9.0");
        assert_eq!(TopicReader::new(config.clone()).unwrap().cluster().await.unwrap(), None);
        config.set("bootstrap.servers", "127.0.0.1:1");
        assert!(TopicReader::new(config).unwrap().cluster().await.is_err());
    }
}
