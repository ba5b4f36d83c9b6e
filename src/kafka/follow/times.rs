//! The versions of states as their records tell them.
//!
//! Which schema an id means is known for a while only, since a registry can be replaced by one with other ids. Ours follow it
//! (`kafka/registry` verifies them); ids of others' schemas are looked up again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::version::TimePath;
use crate::kafka::latest::StateVersion;
use crate::kafka::registry::SchemaReader;
use crate::kafka::route::{Routes, Subject};

/// How long the registry may take to give a schema. After that the time of such records is their timestamp.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(10);
/// How long until the registry is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an id is taken for the schema that it meant: one request a minute for each that others write with.
const KNOWN: Duration = Duration::from_secs(60);

/// Which schema a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SchemaKey {
    /// One of our subjects', by its place among them.
    Ours(usize),
    /// The one that has this id in the registry.
    Other(u32),
}

/// Where the time is in records of a schema.
struct KnownPath {
    path: TimePath,
    /// When the registry was asked last.
    asked: Instant,
}

/// The times of states, by the schemas that their records name.
pub(super) struct Times {
    registry: SchemaReader,
    /// Of each topic: where its records have the time.
    paths: BTreeMap<Arc<str>, String>,
    /// The schemas that we write with.
    subjects: Vec<Arc<Subject>>,
    known: HashMap<(Arc<str>, SchemaKey), KnownPath>,
    /// How long another schema is known.
    keeps: Duration,
    /// Since when the registry does not give a schema, and when it was last asked for it.
    missing: HashMap<u32, (Instant, Instant)>,
}

impl Times {
    pub(super) fn new(routes: &Routes, registry: SchemaReader) -> Times {
        Times {
            registry,
            paths: routes.latest_times().clone(),
            subjects: routes.subjects.clone(),
            known: HashMap::new(),
            keeps: KNOWN,
            missing: HashMap::new(),
        }
    }

    /// The version of the state in `value`. Where its time cannot be read, that is the record's timestamp.
    pub(super) async fn version(&mut self, topic: &Arc<str>, value: &[u8], timestamp: i64) -> StateVersion {
        let by_timestamp = StateVersion::of(Some(timestamp));
        let [0, a, b, c, d, avro @ ..] = value else { return by_timestamp };
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        let ours = self.subjects.iter().position(|subject| subject.id() == Some(id));
        let place = (Arc::clone(topic), ours.map_or(SchemaKey::Other(id), SchemaKey::Ours));
        match self.known.get(&place) {
            Some(known) if ours.is_none() && known.asked.elapsed() >= self.keeps => self.look_again(&place, id).await,
            Some(_) => {}
            None => {
                // The registry may be back for the next state.
                let Some(path) = self.path(topic, place.1).await else { return by_timestamp };
                self.known.insert(place.clone(), KnownPath { path, asked: Instant::now() });
            }
        }
        let read = self.known.get(&place).map(|known| known.path.read(avro));
        read.and_then(Result::ok).map_or(by_timestamp, StateVersion::of)
    }

    /// Asks whether an id means the schema that it meant. While the registry does not say, it does.
    async fn look_again(&mut self, place: &(Arc<str>, SchemaKey), id: u32) {
        let text = self.registry.schema(id).await;
        let Some(known) = self.known.get_mut(place) else { return };
        known.asked = Instant::now();
        let (Ok(text), Some(path)) = (text, self.paths.get(&place.0)) else { return };
        match TimePath::new(&text, path) {
            Some(path) => known.path = path,
            None => _ = self.known.remove(place),
        }
    }

    async fn path(&mut self, topic: &Arc<str>, schema: SchemaKey) -> Option<TimePath> {
        let path = self.paths.get(topic)?;
        let id = match schema {
            SchemaKey::Ours(at) => return TimePath::new(&self.subjects.get(at)?.schema, path),
            SchemaKey::Other(id) => id,
        };
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Mutex;

    use super::*;
    use crate::config::Settings;

    /// Schemas by their ids, as a registry gives them.
    type Registered = Arc<Mutex<HashMap<u32, String>>>;

    fn registry() -> (String, Registered) {
        let (listener, schemas) = (TcpListener::bind("127.0.0.1:0").unwrap(), Registered::default());
        let (url, registered) = (format!("http://{}", listener.local_addr().unwrap()), Arc::clone(&schemas));
        std::thread::spawn(move || {
            for mut connection in listener.incoming().map_while(Result::ok) {
                let (mut request, mut part) = (Vec::new(), [0; 1024]);
                while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                    match connection.read(&mut part) {
                        Ok(1..) => request.extend_from_slice(&part),
                        _ => break,
                    }
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let id = request.split(['/', '?', ' ']).find_map(|part| part.parse().ok());
                let schema = id.and_then(|id: u32| registered.lock().unwrap().get(&id).cloned());
                let body = serde_json::json!({ "schema": schema }).to_string();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = connection.write_all((head + &body).as_bytes());
            }
        });
        (url, schemas)
    }

    fn settings(registry: &str) -> Settings {
        let text = format!(
            "[kafka]\nbootstrap_servers = \"k:1\"\n[registry]\nurl = \"{registry}\"\n[sources.wegly]\nsecrets = [\"a secret\"]\n"
        );
        crate::config::from_text("test", &text, &crate::config::Environment::default()).unwrap()
    }

    /// A record with two numbers of which `time` says where the time is among them.
    fn schema(fields: [&str; 2]) -> String {
        let field = |name| serde_json::json!({"name": name, "type": "long"});
        serde_json::json!({"type": "record", "name": "x.A", "fields": [
            {"name": "deal", "type": {"type": "record", "name": "x.B", "fields": fields.map(field)}}
        ]})
        .to_string()
    }

    #[tokio::test]
    async fn an_id_means_what_the_registry_says_now() {
        let (url, registered) = registry();
        let settings = settings(&url);
        let routes = Routes::plan(&settings);
        let mut times = Times::new(&routes, SchemaReader::new(&settings.registry).unwrap());
        let topic: Arc<str> = "wegly.deal-latest".into();
        assert_eq!(times.paths[&topic], "deal.updated_at");
        // 1 and 2, zigzag.
        let value = [0, 0, 0, 0, 7, 2, 4];
        let at = |millis| StateVersion::of(Some(millis));
        registered.lock().unwrap().insert(7, schema(["updated_at", "n"]));
        assert_eq!(times.version(&topic, &value, 9).await, at(1));
        registered.lock().unwrap().insert(7, schema(["n", "updated_at"]));
        assert_eq!(times.version(&topic, &value, 9).await, at(1), "no request for each state");
        times.keeps = Duration::ZERO;
        assert_eq!(times.version(&topic, &value, 9).await, at(2));
        registered.lock().unwrap().clear();
        assert_eq!(times.version(&topic, &value, 9).await, at(2), "nothing else is known of it");
    }

    #[tokio::test]
    async fn our_own_schemas_are_known_by_the_ids_that_they_have_now() {
        let (url, registered) = registry();
        let settings = settings(&url);
        let routes = Routes::plan(&settings);
        let mut times = Times::new(&routes, SchemaReader::new(&settings.registry).unwrap());
        let topic: Arc<str> = "wegly.deal-latest".into();
        let ours = times.subjects.iter().find(|subject| subject.name == "wegly.deal-latest-value").unwrap();
        let ours = Arc::clone(ours);
        ours.set_id(Some(7));
        registered.lock().unwrap().insert(7, schema(["n", "updated_at"]));
        let value = [0, 0, 0, 0, 7, 2, 4];
        let by_timestamp = StateVersion::of(Some(9));
        assert_eq!(times.version(&topic, &value, 9).await, by_timestamp, "it is no record of ours");
        ours.set_id(Some(8));
        assert_eq!(times.version(&topic, &value, 9).await, StateVersion::of(Some(2)), "another's, by its own schema");
    }
}
