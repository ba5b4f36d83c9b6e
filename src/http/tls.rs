//! TLS for the webhook listener: the certificate in force, and how a stream becomes one of it.

use std::fs;
use std::pin::Pin;

use arc_swap::ArcSwap;
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, Ssl, SslAcceptor, SslContext, SslMethod, SslMode, select_next_proto};
use openssl::x509::{X509, X509Ref};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::lingering::OnTcp;
use crate::config::{ConfigError, TlsSettings};
use crate::disk::access::explain;
use crate::observe::metrics::CERTIFICATE_WARNING_DAYS;
use crate::values::showable;
use crate::values::time::{DAY, to_rfc3339};

/// What may be spoken behind TLS, best first, as ALPN has it: each name with its length in front.
const PROTOCOLS: &[u8] = b"\x02h2\x08http/1.1";

/// A certificate and its key, ready to be shown.
pub(crate) struct Identity {
    context: SslContext,
    /// When the first of the chain ends: seconds since 1970.
    pub(crate) ends_at: i64,
    /// SHA-256 of that one, in hex.
    pub(crate) fingerprint: String,
}

impl Identity {
    /// Whether the certificate has expired at `now`, in milliseconds since 1970.
    pub(crate) fn is_expired(&self, now: i64) -> bool {
        self.ends_at.saturating_mul(1000) <= now
    }

    /// When it ends, as people read it.
    pub(crate) fn end(&self) -> String {
        to_rfc3339(self.ends_at.saturating_mul(1000))
    }

    /// Warns of a certificate that has expired, or soon will.
    pub(crate) fn warn_of_its_end(&self, now: i64) {
        let (ends_at, soon) = (self.end(), now + i64::from(CERTIFICATE_WARNING_DAYS) * DAY);
        if self.is_expired(now) {
            tracing::error!(ends_at, "the certificate in http.tls has expired: senders do not deliver; replace it");
        } else if self.is_expired(soon) {
            tracing::warn!(ends_at, "the certificate in http.tls expires soon: replace it");
        }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, is not PEM, or the key is not the certificate's.
    pub(crate) fn read(settings: &TlsSettings) -> Result<Identity, ConfigError> {
        const CERTIFICATE: &str = "http.tls.certificate_file";
        const KEY: &str = "http.tls.key_file";
        let fail = |key: &'static str, what: &str| {
            let path = if key == KEY { &settings.key_file } else { &settings.certificate_file };
            ConfigError::key(key, format!("{}: {what}", showable::path(path)))
        };
        let chain = fs::read(&settings.certificate_file)
            .map_err(|e| fail(CERTIFICATE, &explain(&settings.certificate_file, &e)));
        let key = fs::read(&settings.key_file).map_err(|e| fail(KEY, &explain(&settings.key_file, &e)));
        let (chain, key) = match (chain, key) {
            (Err(one), Err(other)) => return Err(one.and(other)),
            (chain, key) => (chain?, key?),
        };
        let chain = X509::stack_from_pem(&chain).map_err(|_| fail(CERTIFICATE, "expected certificates in PEM"))?;
        let Some((own, issuers)) = chain.split_first() else { return Err(fail(CERTIFICATE, "holds no certificate")) };
        // Nobody is there to be asked for a passphrase.
        let key = PKey::private_key_from_pem_callback(&key, |_| Ok(0));
        let key = key.map_err(|_| fail(KEY, "expected a private key in PEM, without a passphrase"))?;
        let unusable = |e: openssl::error::ErrorStack| fail(CERTIFICATE, &e.to_string());
        let ends_at = seconds_of(own).map_err(unusable)?;
        // Mozilla's server-side TLS guidelines, version 5: TLS 1.2 and 1.3.
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).map_err(unusable)?;
        // An idle connection holds no buffers.
        builder.set_mode(SslMode::RELEASE_BUFFERS);
        builder.set_certificate(own).map_err(unusable)?;
        for issuer in issuers {
            builder.add_extra_chain_cert(issuer.clone()).map_err(unusable)?;
        }
        builder
            .set_private_key(&key)
            .map_err(|_| fail(KEY, "does not belong to the certificate in http.tls.certificate_file"))?;
        builder
            .check_private_key()
            .map_err(|_| fail(KEY, "does not belong to the certificate in http.tls.certificate_file"))?;
        builder.set_alpn_select_callback(|_, offered| select_next_proto(PROTOCOLS, offered).ok_or(AlpnError::NOACK));
        let fingerprint = own.digest(MessageDigest::sha256()).map_err(unusable)?;
        let fingerprint = base16ct::lower::encode_string(&fingerprint);
        Ok(Identity { context: builder.build().into_context(), ends_at, fingerprint })
    }
}

/// The names of hosts that the first certificate of `pem` is for; those with a star as one host below it.
pub(crate) fn host_names(pem: &[u8]) -> Vec<String> {
    let chain = X509::stack_from_pem(pem).unwrap_or_default();
    let names = chain.first().and_then(|own| X509Ref::subject_alt_names(own));
    let names = names.iter().flatten().filter_map(|name| name.dnsname());
    names.map(|name| name.replacen("*.", "hookbridge.", 1)).collect()
}

/// When a certificate ends, in seconds since 1970.
fn seconds_of(certificate: &X509) -> Result<i64, openssl::error::ErrorStack> {
    let left = Asn1Time::from_unix(0)?.diff(certificate.not_after())?;
    Ok(i64::from(left.days) * 86_400 + i64::from(left.secs))
}

/// The identity in force.
pub(crate) struct Tls(ArcSwap<Identity>);

impl Tls {
    pub(crate) fn new(identity: Identity) -> Tls {
        Tls(ArcSwap::from_pointee(identity))
    }

    /// Connections from here on see this one.
    pub(crate) fn replace(&self, identity: Identity) {
        self.0.store(identity.into());
    }

    /// The fingerprint of the certificate in force.
    pub(crate) fn fingerprint(&self) -> String {
        self.0.load().fingerprint.clone()
    }

    /// Shakes hands.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<SslStream<TcpStream>, openssl::ssl::Error> {
        let ssl = Ssl::new(&self.0.load().context)?;
        let mut stream = SslStream::new(ssl, stream)?;
        Pin::new(&mut stream).accept().await?;
        Ok(stream)
    }
}

/// Whether both sides have agreed on HTTP/2.
pub(super) fn speaks_h2(stream: &SslStream<TcpStream>) -> bool {
    stream.ssl().selected_alpn_protocol() == Some(b"h2")
}

impl OnTcp for SslStream<TcpStream> {
    fn tcp(&mut self) -> &mut TcpStream {
        self.get_mut()
    }
}
