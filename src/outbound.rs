//! What HTTP clients have in common that talk to the operator's servers: the registry, the collector of spans.

use std::path::Path;

use reqwest::{Certificate, Client, ClientBuilder};

use crate::config::ConfigError;

/// A client that trusts the system's authorities and those in `ca_file`, which is what `key` says.
///
/// # Errors
/// When there is no certificate in the file.
pub(crate) fn client(ca_file: Option<&Path>, key: &str) -> Result<ClientBuilder, ConfigError> {
    // No proxy from the environment: the one place that reads it is the configuration.
    let builder = Client::builder().no_proxy();
    let Some(path) = ca_file else { return Ok(builder) };
    let fail = |what: String| ConfigError::key(key, format!("{}: {what}", path.display()));
    let pem = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| fail(e.to_string()))?;
    if certificates.is_empty() {
        return Err(fail("no certificate in it".into()));
    }
    Ok(certificates.into_iter().fold(builder, ClientBuilder::add_root_certificate))
}

/// reqwest says what it did; its causes say why it failed.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
