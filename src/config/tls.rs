//! `[http.tls]`: the certificate of the webhook listener.

use std::path::PathBuf;

use super::{ConfigError, WrittenTls};

/// `[http.tls]`; both are PEM.
pub(crate) struct TlsSettings {
    /// The server's own first, then those of its issuers.
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

impl WrittenTls {
    /// `None` is without TLS.
    pub(super) fn resolve(self) -> Result<Option<TlsSettings>, ConfigError> {
        let missing = |key: &str, other: &str| {
            Err(ConfigError::key(
                format!("http.tls.{key}"),
                format!("missing, but http.tls.{other} is set: set both or neither"),
            ))
        };
        match (self.certificate_file, self.key_file) {
            (Some(certificate), Some(key)) => {
                Ok(Some(TlsSettings { certificate_file: certificate.0.into(), key_file: key.0.into() }))
            }
            (None, None) => Ok(None),
            (None, Some(_)) => missing("certificate_file", "key_file"),
            (Some(_), None) => missing("key_file", "certificate_file"),
        }
    }
}
