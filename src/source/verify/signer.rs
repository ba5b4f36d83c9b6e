//! The sender's side: signs bodies as a profile's vendor does, for samples and loads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, Uri};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

use super::evidence::SignatureEvidence;
use super::{RequestHead, SecretFlaw, secret_bytes};
use crate::catalog::{MessagePart, Method, ProofEncoding, SecretEncoding, Verification};
use crate::values::secret::Secret;

/// What a source and its sender have of each other.
pub(crate) struct CredentialPair {
    /// The source's secret or token; for Ed25519 the public key.
    pub(crate) source: String,
    /// What the sender has: the same, or the private key.
    pub(crate) sender: String,
}

impl CredentialPair {
    /// Made of `text`, as `rule` has secrets written: nobody who knows the text is kept out.
    pub(crate) fn of_text(rule: &Verification, text: &str) -> CredentialPair {
        let (source, sender) = match rule.method {
            Method::Ed25519 => {
                let private = SigningKey::from_bytes(&Sha256::digest(text).into());
                (written(rule, private.verifying_key().as_bytes()), written(rule, private.as_bytes()))
            }
            Method::Basic => (format!("demo:{text}"), format!("demo:{text}")),
            Method::Token => (text.to_owned(), text.to_owned()),
            Method::HmacSha1 | Method::HmacSha256 | Method::HmacSha512 => {
                (written(rule, text.as_bytes()), written(rule, text.as_bytes()))
            }
        };
        CredentialPair { source, sender }
    }
}

/// A secret of these bytes as it is written: what [`secret_bytes`] reads.
fn written(rule: &Verification, bytes: &[u8]) -> String {
    let text = match rule.secret_encoding {
        SecretEncoding::Text => String::from_utf8_lossy(bytes).into_owned(),
        SecretEncoding::Base64 => STANDARD.encode(bytes),
        SecretEncoding::Hex | SecretEncoding::HexOrBase64 => base16ct::lower::encode_string(bytes),
    };
    format!("{}{text}", rule.secret_prefix)
}

/// Signs as a vendor.
pub(crate) struct Signer {
    rule: Verification,
    key: SignerKey,
}

enum SignerKey {
    Mac(Vec<u8>),
    Ed25519(Box<SigningKey>),
    /// Sent as it is.
    Plain(Secret),
}

impl Signer {
    /// Takes the secret that the bridge has, or for Ed25519 the private key to its public one.
    pub(crate) fn new(rule: &Verification, secret: &Secret) -> Result<Signer, SecretFlaw> {
        let key = match rule.method {
            Method::HmacSha1 | Method::HmacSha256 | Method::HmacSha512 => SignerKey::Mac(secret_bytes(rule, secret)?),
            Method::Ed25519 => SignerKey::Ed25519(Box::new(private_key(&secret_bytes(rule, secret)?)?)),
            Method::Token | Method::Basic => SignerKey::Plain(secret.clone()),
        };
        Ok(Signer { rule: rule.clone(), key })
    }

    /// The headers that prove who posts `body` to `path`; `id` stands where the vendor has one of the delivery, `now` is
    /// in milliseconds since 1970.
    pub(crate) fn headers(&self, path: &str, body: &[u8], id: &str, now: i64) -> Vec<(String, String)> {
        let time = (now / 1000).to_string();
        let (mut headers, in_list) = self.signed_headers(id, &time);
        let proof = match &self.key {
            SignerKey::Plain(secret) => self.plain(secret),
            SignerKey::Mac(_) | SignerKey::Ed25519(_) => {
                in_list.clone().unwrap_or_default() + &self.proof(&headers, in_list.as_deref(), path, body)
            }
        };
        headers.push((self.rule.header.to_string(), proof));
        headers
    }

    /// The headers that are signed, and what stands in front of the signature in its own: the time, if it is there.
    fn signed_headers(&self, id: &str, time: &str) -> (Vec<(String, String)>, Option<String>) {
        let (mut headers, mut in_list) = (Vec::new(), None);
        let mut add = |name: &HeaderName, value: String| {
            if !headers.iter().any(|(known, _): &(String, String)| known == name.as_str()) {
                headers.push((name.to_string(), value));
            }
        };
        if let Some(signed) = &self.rule.time {
            let time = format!("{}{time}", signed.prefix);
            match (&signed.header, &self.rule.separator) {
                (Some(name), _) => add(name, time),
                (None, Some(separator)) => in_list = Some(time + separator),
                (None, None) => {}
            }
        }
        for part in self.rule.before_body.iter().chain(&self.rule.after_body) {
            if let MessagePart::Header(name) = part {
                add(name, id.to_owned());
            }
        }
        (headers, in_list)
    }

    fn plain(&self, secret: &Secret) -> String {
        match self.rule.method {
            Method::Basic => format!("Basic {}", STANDARD.encode(secret.expose())),
            _ => format!("{}{}", self.rule.prefix.as_deref().unwrap_or_default(), secret.expose()),
        }
    }

    /// The signature as it stands in its header.
    fn proof(&self, headers: &[(String, String)], in_list: Option<&str>, path: &str, body: &[u8]) -> String {
        let Some(evidence) = self.evidence(headers, in_list.unwrap_or("-"), path) else {
            return String::new();
        };
        let message = evidence.message(body).concat();
        let signature = match (&self.key, self.rule.method) {
            (SignerKey::Ed25519(key), _) => key.sign(&message).to_bytes().to_vec(),
            (SignerKey::Mac(key), Method::HmacSha1) => mac::<Hmac<Sha1>>(key, &message),
            (SignerKey::Mac(key), Method::HmacSha512) => mac::<Hmac<Sha512>>(key, &message),
            (SignerKey::Mac(key), _) => mac::<Hmac<Sha256>>(key, &message),
            (SignerKey::Plain(_), _) => Vec::new(),
        };
        let text = match self.rule.encoding {
            ProofEncoding::Base64 => STANDARD.encode(signature),
            ProofEncoding::Any | ProofEncoding::Hex => base16ct::lower::encode_string(&signature),
        };
        format!("{}{text}", self.rule.prefix.as_deref().unwrap_or_default())
    }

    /// What the bridge will see of the head, but for the signature.
    fn evidence(&self, headers: &[(String, String)], proof: &str, path: &str) -> Option<SignatureEvidence> {
        let named = |(name, value): &(String, String)| Some((name.parse().ok()?, value.parse().ok()?));
        let mut map: HeaderMap = headers.iter().filter_map(named).collect();
        map.insert(&self.rule.header, HeaderValue::from_str(proof).ok()?);
        let uri: Uri = path.parse().ok()?;
        let head = RequestHead { method: &HttpMethod::POST, uri: &uri, headers: &map };
        SignatureEvidence::of(&self.rule, head).ok()
    }
}

/// A private key, alone or with the public one behind it.
fn private_key(bytes: &[u8]) -> Result<SigningKey, SecretFlaw> {
    let seed = bytes.first_chunk().filter(|_| bytes.len() == 32 || bytes.len() == 64);
    seed.map(SigningKey::from_bytes).ok_or(SecretFlaw::NoPrivateKey)
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length.
    let mac = <M as KeyInit>::new_from_slice(key).map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec());
    mac.unwrap_or_default()
}

/// The HMAC-SHA256 that a sender with this secret puts on `body`, in hex.
#[cfg(any(test, fuzzing))]
pub(crate) fn signature(secret: &Secret, body: &[u8]) -> String {
    base16ct::lower::encode_string(&mac::<Hmac<Sha256>>(secret.expose().as_bytes(), body))
}
