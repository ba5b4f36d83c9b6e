//! Why the registry did not do what it was asked.

use crate::config::ConfigError;

/// The registry cannot be reached, is unwilling to talk to us, or is broken: another time it may work.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RegistryUnavailable(pub(super) String);

impl RegistryUnavailable {
    /// `registry URL: WORDS`, where the words may begin so themselves.
    pub(crate) fn at(&self, url: &str) -> String {
        let place = format!("registry {url}: ");
        if self.0.starts_with(&place) { self.0.clone() } else { place + &self.0 }
    }
}

/// Why the registry did not do with a schema what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum RegistryError {
    #[error(transparent)]
    Unavailable(#[from] RegistryUnavailable),
    /// It does not want this schema; its own words.
    #[error("{subject}: {reasons}")]
    Refused { subject: String, reasons: String },
}

impl RegistryError {
    pub(super) fn unavailable(words: impl Into<String>) -> RegistryError {
        RegistryUnavailable(words.into()).into()
    }
}

/// Why a client cannot take the place of the one in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// `registry.ca_file` cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The registry does not take it.
    #[error("registry: {0}")]
    NoAnswer(RegistryUnavailable),
}

/// The registry does not give the schema with this id.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSchema {
    /// It has none.
    #[error("schema {id}: {why}")]
    Unknown { id: u32, why: String },
    /// Another time it may.
    #[error("schema {id}: {why}")]
    Unavailable { id: u32, why: RegistryUnavailable },
}
