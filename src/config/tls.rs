//! `[http.tls]`: the certificate of the webhook listener.

use std::path::PathBuf;

use super::fault::Faults;
use super::written::WrittenTls;

/// `[http.tls]`; both are PEM.
pub(crate) struct TlsSettings {
    /// The server's own first, then those of its issuers.
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

/// `None` is without TLS.
pub(super) fn resolve(written: WrittenTls, faults: &mut Faults) -> Option<TlsSettings> {
    let mut missing = |key: &str, other: &str| {
        let what = format!("missing, but http.tls.{other} is set");
        faults.add_with(format!("http.tls.{key}"), what, "set both or neither");
        None
    };
    match (written.certificate_file, written.key_file) {
        (Some(certificate), Some(key)) => {
            Some(TlsSettings { certificate_file: certificate.0.into(), key_file: key.0.into() })
        }
        (None, None) => None,
        (None, Some(_)) => missing("certificate_file", "key_file"),
        (Some(_), None) => missing("key_file", "certificate_file"),
    }
}
