//! A source's secrets as keys, and whether one of them made a signature.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::ed25519::signature::MultipartVerifier as _;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq as _};

use super::spelled::{self, ProofBytes};
use crate::catalog::{Method, SecretEncoding, Verification};
use crate::values::secret::Secret;

/// Why a secret cannot be used. It is never shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SecretFlaw {
    #[error("blank: expected a secret")]
    Blank,
    #[error("expected {0}, as verify.secret.encoding of its profile says")]
    NotSpelled(&'static str),
    #[error("expected a public key of ed25519: 32 bytes in hex or base64")]
    NoPublicKey,
    #[error("a weak key of ed25519: anybody could make signatures that it accepts")]
    WeakKey,
    #[error("expected a private key of ed25519: 32 bytes (or 64, with the public key) in hex or base64")]
    NoPrivateKey,
    #[error("expected \"user:password\"")]
    NoPassword,
}

/// Keys that signatures are held against.
pub(super) enum ProofKeys {
    Sha1(Vec<Hmac<Sha1>>),
    Sha256(Vec<Hmac<Sha256>>),
    Sha512(Vec<Hmac<Sha512>>),
    Ed25519(Vec<VerifyingKey>),
}

impl ProofKeys {
    /// Those of `secrets`, or which of them is none; `None` for a method that does not sign.
    pub(super) fn new(rule: &Verification, secrets: &[Secret]) -> Option<Result<ProofKeys, (usize, SecretFlaw)>> {
        Some(match rule.method {
            Method::HmacSha1 => each(rule, secrets, mac_key).map(ProofKeys::Sha1),
            Method::HmacSha256 => each(rule, secrets, mac_key).map(ProofKeys::Sha256),
            Method::HmacSha512 => each(rule, secrets, mac_key).map(ProofKeys::Sha512),
            Method::Ed25519 => each(rule, secrets, public_key).map(ProofKeys::Ed25519),
            Method::Token | Method::Basic => return None,
        })
    }

    /// Whether any key made any of `candidates` for `message`. All keys are tried, and all candidates.
    pub(super) fn any_made(&self, message: &[&[u8]], candidates: &[ProofBytes]) -> Choice {
        match self {
            ProofKeys::Sha1(keys) => any_mac(keys, message, candidates),
            ProofKeys::Sha256(keys) => any_mac(keys, message, candidates),
            ProofKeys::Sha512(keys) => any_mac(keys, message, candidates),
            ProofKeys::Ed25519(keys) => any_signature(keys, message, candidates),
        }
    }
}

fn each<K>(
    rule: &Verification,
    secrets: &[Secret],
    key: fn(&[u8]) -> Result<K, SecretFlaw>,
) -> Result<Vec<K>, (usize, SecretFlaw)> {
    let keys = secrets.iter().map(|secret| key(&secret_bytes(rule, secret)?));
    keys.enumerate().map(|(index, key)| key.map_err(|flaw| (index, flaw))).collect()
}

fn mac_key<M: KeyInit>(bytes: &[u8]) -> Result<M, SecretFlaw> {
    // HMAC takes a key of any length.
    M::new_from_slice(bytes).map_err(|_| SecretFlaw::Blank)
}

fn public_key(bytes: &[u8]) -> Result<VerifyingKey, SecretFlaw> {
    let bytes = bytes.try_into().map_err(|_| SecretFlaw::NoPublicKey)?;
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| SecretFlaw::NoPublicKey)?;
    if key.is_weak() { Err(SecretFlaw::WeakKey) } else { Ok(key) }
}

/// The bytes that a secret stands for; never none.
pub(super) fn secret_bytes(rule: &Verification, secret: &Secret) -> Result<Vec<u8>, SecretFlaw> {
    let text = secret.expose();
    let bare = text.strip_prefix(&rule.secret_prefix).unwrap_or(text);
    let (bytes, expected) = match rule.secret_encoding {
        SecretEncoding::Text => (Some(bare.as_bytes().to_vec()), "text"),
        SecretEncoding::Hex => (spelled::hex(bare.trim()), "hex"),
        SecretEncoding::Base64 => (spelled::base64(bare.trim()), "base64"),
        SecretEncoding::HexOrBase64 => {
            let bare = bare.trim();
            // A key of 32 bytes, or one of 64: base64 of neither has as many digits.
            let is_hex = bare.len() == 64 || bare.len() == 128;
            (if is_hex { spelled::hex(bare) } else { spelled::base64(bare) }, "hex or base64")
        }
    };
    match bytes {
        Some(bytes) if bytes.trim_ascii().is_empty() => Err(SecretFlaw::Blank),
        Some(bytes) => Ok(bytes),
        None => Err(SecretFlaw::NotSpelled(expected)),
    }
}

/// How many bytes the key of an HMAC has; `None` of what is no such key.
pub(crate) fn hmac_key_length(rule: &Verification, secret: &Secret) -> Option<usize> {
    match rule.method {
        Method::HmacSha1 | Method::HmacSha256 | Method::HmacSha512 => Some(secret_bytes(rule, secret).ok()?.len()),
        Method::Ed25519 | Method::Token | Method::Basic => None,
    }
}

fn any_mac<M: Mac + Clone>(keys: &[M], message: &[&[u8]], candidates: &[ProofBytes]) -> Choice {
    let mut right = Choice::from(0);
    for key in keys {
        let mut mac = key.clone();
        for part in message {
            mac.update(part);
        }
        let expected = mac.finalize().into_bytes();
        for candidate in candidates {
            right |= expected.ct_eq(candidate.as_slice());
        }
    }
    right
}

/// What is compared here is no secret, so it may take its time. That a key is not weak was seen to when it was read.
fn any_signature(keys: &[VerifyingKey], message: &[&[u8]], candidates: &[ProofBytes]) -> Choice {
    let mut right = Choice::from(0);
    for candidate in candidates {
        let Ok(signature) = ed25519_dalek::Signature::from_slice(candidate.as_slice()) else { continue };
        for key in keys {
            right |= Choice::from(u8::from(key.multipart_verify(message, &signature).is_ok()));
        }
    }
    right
}
