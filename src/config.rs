//! Configuration, in two stages: as written (`written`: every key that exists, unknown ones refused) and resolved
//! ([`Settings`]: parsed, contradictions refused, secrets wrapped). What is wrong is found at once, each fault with its place
//! (`fault`). Nothing listens before the second stage is done, and no other module reads files for settings or the environment.

mod address;
mod bounds;
mod catalog;
mod environment;
mod fault;
mod kafka;
mod kafka_security;
mod load;
mod log;
mod media;
mod media_options;
mod registry;
mod reload;
mod resolve;
mod schema;
mod settings;
mod source;
mod spool;
mod suspicious;
mod tls;
mod tracing;
mod units;
mod unknown_key;
mod variable_name;
mod weak_secret;
mod without_file;
#[allow(clippy::doc_markdown, reason = "editors show these docs, and not as Markdown")]
mod written;
mod written_where;

pub(crate) use fault::{ConfigError, ConfigFault};
pub(crate) use kafka_security::MECHANISMS;
pub(crate) use load::{Further, from_text, load, load_rewritten, load_whole, load_with};
pub(crate) use log::{Format, Logging};
pub(crate) use media::{MediaPlace, MediaSettings};
pub(crate) use reload::{InForce, Reloaded, load_in_force};
pub(crate) use schema::settings_schema;
pub(crate) use settings::{
    HttpSettings, KafkaSettings, PROBE, Producers, RegistryAuth, RegistryMode, RegistrySettings, Settings, Timestamps,
    Topics,
};
pub(crate) use spool::SpoolSettings;
pub(crate) use tls::TlsSettings;
pub(crate) use tracing::TracingSettings;
pub(crate) use without_file::{DEFAULT_FILE, Environment, KeyFlag, variables};
pub(crate) use written_where::{FaultPlace, Written};

#[cfg(test)]
mod tests;
