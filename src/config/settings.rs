//! What the configuration says, checked: the types that the rest of the program takes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::units::Words;
use super::{ConfigFault, Logging, MediaSettings, SpoolSettings, TlsSettings, TracingSettings, Written};
use crate::catalog::FurtherTopics;
use crate::source::Source;
use crate::values::secret::Secret;

/// Everything the program needs to know, checked.
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    /// The folder with further profiles.
    pub(crate) catalog_dir: Option<PathBuf>,
    /// How long requests are still served after SIGTERM.
    pub(crate) shutdown_delay: Duration,
    /// How long after SIGTERM the process ends at the latest.
    pub(crate) shutdown_timeout: Duration,
    pub(crate) http: HttpSettings,
    pub(crate) admin_listen: SocketAddr,
    /// Names of the admin listener.
    pub(crate) admin_hosts: Vec<String>,
    pub(crate) kafka: KafkaSettings,
    pub(crate) registry: RegistrySettings,
    pub(crate) spool: SpoolSettings,
    pub(crate) media: MediaSettings,
    pub(crate) logging: Logging,
    /// `None` without a collector.
    pub(crate) tracing: Option<TracingSettings>,
    /// By name.
    pub(crate) sources: BTreeMap<String, Arc<Source>>,
    /// What can hardly be meant, but is no fault.
    pub(crate) warnings: Vec<ConfigFault>,
    /// Where all of it is written.
    pub(crate) written: Written,
}

impl Settings {
    /// Whether it means other files in another working directory.
    pub(crate) fn has_relative_paths(&self) -> bool {
        let tls = self.http.tls.iter().flat_map(|tls| [&tls.certificate_file, &tls.key_file]);
        let tracing = self.tracing.iter().filter_map(|tracing| tracing.ca_file.as_ref());
        let paths = tls.chain(tracing).chain([&self.data_dir]).chain(&self.catalog_dir).chain(&self.registry.ca_file);
        paths.map(PathBuf::as_path).chain(self.kafka.files()).any(Path::is_relative)
            || self.written.reads_relative_files()
    }
}

/// `[http]`
pub(crate) struct HttpSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) ack_timeout: Duration,
    pub(crate) max_body_bytes: usize,
    pub(crate) max_in_flight_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    /// `None`: without TLS.
    pub(crate) tls: Option<TlsSettings>,
}

/// Which time a record's timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timestamps {
    Received,
    Occurred,
}

impl Words for Timestamps {
    const WORDS: &'static [(&'static str, Self)] =
        &[("received", Timestamps::Received), ("occurred", Timestamps::Occurred)];
}

/// One topic per entity, or one per event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topics {
    PerEntity,
    PerEvent,
}

impl Words for Topics {
    const WORDS: &'static [(&'static str, Self)] =
        &[("per-entity", Topics::PerEntity), ("per-event", Topics::PerEvent)];
}

/// `kafka.producers`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Producers {
    /// As many as the load needs.
    Auto,
    Count(u32),
}

/// `[kafka]`
pub(crate) struct KafkaSettings {
    pub(crate) bootstrap_servers: String,
    pub(crate) topics: Topics,
    pub(crate) topic_prefix: String,
    pub(crate) create_topics: bool,
    pub(crate) partitions: i32,
    /// -1 is the broker's own.
    pub(crate) replication_factor: i32,
    pub(crate) timestamps: Timestamps,
    /// How many producers share what senders send.
    pub(crate) producers: Producers,
    pub(crate) max_record_bytes: usize,
    /// What is switched on of the topics that events go to besides their own.
    pub(crate) further_topics: FurtherTopics,
    /// Of how many keys of latest topics the newest state is known.
    pub(crate) latest_keys: usize,
    /// librdkafka's, passed through; values may be secrets.
    pub(crate) properties: BTreeMap<String, Secret>,
}

/// How keys of librdkafka end whose values are paths.
const FILE_KEYS: [&str; 4] = [".location", ".file", ".keytab", ".paths"];
/// What librdkafka takes in place of the path of a CA: it looks where the system has them.
pub(crate) const PROBE: &str = "probe";

impl KafkaSettings {
    /// The files that the properties name.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let named = self.properties.iter().filter(|(key, _)| FILE_KEYS.iter().any(|end| key.ends_with(end)));
        named.map(|(_, value)| value.expose()).filter(|value| *value != PROBE).map(Path::new)
    }
}

/// Whether schemas are written to the registry or only looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistryMode {
    Register,
    Lookup,
}

impl Words for RegistryMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("register", RegistryMode::Register), ("lookup", RegistryMode::Lookup)];
}

/// How the registry knows us.
#[derive(Clone, Debug)]
pub(crate) enum RegistryAuth {
    None,
    Basic { username: String, password: Secret },
    Bearer(Secret),
}

/// `[registry]`
#[derive(Clone)]
pub(crate) struct RegistrySettings {
    /// Without a trailing slash.
    pub(crate) url: String,
    pub(crate) mode: RegistryMode,
    pub(crate) auth: RegistryAuth,
    /// PEM, in addition to the system's authorities.
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) timeout: Duration,
    pub(crate) verify_interval: Duration,
}
