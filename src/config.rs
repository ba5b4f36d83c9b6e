//! Configuration, in two stages: as written (this file: every key there is, unknown ones refused) and resolved
//! ([`Settings`]: parsed, contradictions refused, secrets wrapped). Nothing listens before the second stage is done,
//! and no other module reads files for settings or the environment.

mod address;
mod catalog;
mod load;
mod log;
mod media;
mod reload;
mod resolve;
mod settings;
mod source;
mod spool;
mod tls;
mod tracing;
mod units;
mod without_file;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalog::CatalogError;
use crate::disk::access::explain;
use crate::values::secret::Secret;

pub(crate) use load::{from_text, load, load_rewritten, load_with};
use log::WrittenLog;
pub(crate) use log::{Format, Logging};
pub(crate) use media::{MediaPlace, MediaSettings};
pub(crate) use reload::{InForce, Reloaded, load_in_force};
pub(crate) use settings::{
    HttpSettings, KafkaSettings, Producers, RegistryAuth, RegistryMode, RegistrySettings, Settings, Timestamps, Topics,
};
pub(crate) use spool::SpoolSettings;
pub(crate) use tls::TlsSettings;
pub(crate) use tracing::TracingSettings;
use units::{Bytes, OneOrMany, Period, SwitchOrNames, Text};
pub(crate) use without_file::{DEFAULT_FILE, environment_and, variables};

/// Why the configuration cannot be used; the message names the key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{path}: {}{}", explain(path.as_ref(), .error), hint(.error))]
    Unreadable { path: String, error: std::io::Error },
    #[error("{path}: {message}")]
    Syntax { path: String, message: String },
    #[error("{key}: {what}")]
    Key { key: String, what: String },
    #[error("catalog: {0}")]
    Catalog(CatalogError),
}

/// What a first-time user wants to know.
fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "; name a file with --config, or try `hookbridge dev`, which needs no file",
        _ => "",
    }
}

impl From<CatalogError> for ConfigError {
    fn from(error: CatalogError) -> ConfigError {
        ConfigError::Catalog(error)
    }
}

impl ConfigError {
    pub(crate) fn key(key: impl Into<String>, what: impl Into<String>) -> Self {
        ConfigError::Key { key: key.into(), what: what.into() }
    }
}

/// `hookbridge.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenSettings {
    data_dir: Option<Text<String>>,
    shutdown_delay: Option<Text<Period>>,
    shutdown_timeout: Option<Text<Period>>,
    http: WrittenHttp,
    admin: WrittenAdmin,
    kafka: WrittenKafka,
    registry: WrittenRegistry,
    media: WrittenMedia,
    catalog: WrittenCatalog,
    log: WrittenLog,
    spool: spool::WrittenSpool,
    tracing: tracing::WrittenTracing,
    sources: BTreeMap<String, WrittenSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenHttp {
    listen: Option<Text<String>>,
    ack_timeout: Option<Text<Period>>,
    max_body_bytes: Option<Text<Bytes>>,
    max_in_flight_bytes: Option<Text<Bytes>>,
    max_connections: Option<Text<usize>>,
    header_timeout: Option<Text<Period>>,
    body_timeout: Option<Text<Period>>,
    idle_timeout: Option<Text<Period>>,
    tls: Option<WrittenTls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenTls {
    certificate_file: Option<Text<String>>,
    key_file: Option<Text<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenAdmin {
    listen: Option<Text<String>>,
    hosts: Option<OneOrMany>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenKafka {
    bootstrap_servers: Option<OneOrMany>,
    topics: Option<Text<String>>,
    topic_prefix: Option<Text<String>>,
    create_topics: Option<Text<bool>>,
    partitions: Option<Text<i32>>,
    replication_factor: Option<Text<i32>>,
    timestamp: Option<Text<String>>,
    producers: Option<Text<String>>,
    max_record_bytes: Option<Text<Bytes>>,
    join_topics: Option<SwitchOrNames>,
    latest_topics: Option<Text<bool>>,
    latest_keys: Option<Text<usize>>,
    timeline_topics: Option<Text<bool>>,
    properties: toml::Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenRegistry {
    url: Option<Text<String>>,
    mode: Option<Text<String>>,
    username: Option<Text<String>>,
    password: Option<Text<Secret>>,
    token: Option<Text<Secret>>,
    ca_file: Option<Text<String>>,
    timeout: Option<Text<Period>>,
    verify_interval: Option<Text<Period>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenMedia {
    inline_max_bytes: Option<Text<Bytes>>,
    max_bytes: Option<Text<Bytes>>,
    url: Option<Text<String>>,
    options: toml::Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenCatalog {
    dir: Option<Text<String>>,
    hash_key: Option<Text<Secret>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenSource {
    profile: Option<Text<String>>,
    secrets: Option<OneOrMany>,
    tokens: Option<OneOrMany>,
    handshake_tokens: Option<OneOrMany>,
    allow_unauthenticated: Option<Text<bool>>,
    topic_prefix: Option<Text<String>>,
    max_body_bytes: Option<Text<Bytes>>,
    rate_limit: Option<Text<u32>>,
    patience: Option<Text<Period>>,
}

#[cfg(test)]
mod tests;
