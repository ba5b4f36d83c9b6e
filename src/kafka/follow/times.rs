//! The versions of states as their records tell them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::version::TimePath;
use crate::kafka::latest::StateVersion;
use crate::kafka::registry::SchemaReader;
use crate::kafka::route::Routes;

/// How long the registry may take to give a schema. After that the time of such records is their timestamp.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(10);
/// How long until the registry is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// The times of states, by the schemas that their records name.
pub(super) struct Times {
    registry: SchemaReader,
    /// Of each topic: where its records have the time.
    paths: BTreeMap<Arc<str>, String>,
    /// The schemas that we write with, by id, as far as they were known at the start.
    texts: HashMap<u32, String>,
    known: HashMap<(Arc<str>, u32), TimePath>,
    /// Since when the registry does not give a schema, and when it was last asked for it.
    missing: HashMap<u32, (Instant, Instant)>,
}

impl Times {
    pub(super) fn new(routes: &Routes, registry: SchemaReader) -> Times {
        let ours = routes.subjects.iter().filter_map(|subject| Some((subject.id()?, subject.schema.clone())));
        Times {
            registry,
            paths: routes.latest_times().clone(),
            texts: ours.collect(),
            known: HashMap::new(),
            missing: HashMap::new(),
        }
    }

    /// The version of the state in `value`. Where its time cannot be read, that is the record's timestamp.
    pub(super) async fn version(&mut self, topic: &Arc<str>, value: &[u8], timestamp: i64) -> StateVersion {
        let by_timestamp = StateVersion::of(Some(timestamp));
        let [0, a, b, c, d, avro @ ..] = value else { return by_timestamp };
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        let place = (Arc::clone(topic), id);
        if !self.known.contains_key(&place) {
            // The registry may be back for the next state.
            let Some(path) = self.path(topic, id).await else { return by_timestamp };
            self.known.insert(place.clone(), path);
        }
        let read = self.known.get(&place).map(|path| path.read(avro));
        read.and_then(Result::ok).map_or(by_timestamp, StateVersion::of)
    }

    async fn path(&mut self, topic: &Arc<str>, id: u32) -> Option<TimePath> {
        let path = self.paths.get(topic)?;
        if let Some(text) = self.texts.get(&id) {
            return TimePath::new(text, path);
        }
        if self
            .missing
            .get(&id)
            .is_some_and(|(since, asked)| since.elapsed() >= SCHEMA_PATIENCE && asked.elapsed() < SCHEMA_PATIENCE)
        {
            return None;
        }
        loop {
            match self.registry.schema(id).await {
                Ok(text) => {
                    self.missing.remove(&id);
                    return TimePath::new(&text, path);
                }
                Err(error) => {
                    let now = Instant::now();
                    let (since, asked) = self.missing.entry(id).or_insert((now, now));
                    *asked = now;
                    if since.elapsed() >= SCHEMA_PATIENCE {
                        tracing::warn!(topic = &**topic, %error, "states of this schema are ordered by the timestamps of their records for now");
                        return None;
                    }
                    sleep(AGAIN).await;
                }
            }
        }
    }
}
