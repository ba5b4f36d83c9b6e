//! SHA-256 and HMAC for the requests to S3 (Signature Version 4), by the crates that verify webhooks: `object_store`
//! would otherwise bring a library of cryptography of its own.

use hmac::{Hmac, KeyInit as _, Mac as _};
use object_store::client::{CryptoProvider, DigestAlgorithm, DigestContext, HmacContext, Signer, SigningAlgorithm};
use object_store::{Error, Result};
use sha2::{Digest as _, Sha256};

use crate::blocking::off_the_hot_path;

#[derive(Debug)]
pub(super) struct Signing;

impl CryptoProvider for Signing {
    fn digest(&self, algorithm: DigestAlgorithm) -> Result<Box<dyn DigestContext>> {
        match algorithm {
            DigestAlgorithm::Sha256 => Ok(Box::new(RunningHash { state: Sha256::new(), result: [0; 32] })),
            other => Err(unsupported(&other)),
        }
    }

    fn hmac(&self, algorithm: DigestAlgorithm, secret: &[u8]) -> Result<Box<dyn HmacContext>> {
        match (algorithm, Hmac::<Sha256>::new_from_slice(secret)) {
            (DigestAlgorithm::Sha256, Ok(state)) => Ok(Box::new(RunningHash { state, result: [0; 32] })),
            (other, _) => Err(unsupported(&other)),
        }
    }

    /// Only other stores than S3 sign so.
    fn sign(&self, algorithm: SigningAlgorithm, _pem: &[u8]) -> Result<Box<dyn Signer>> {
        Err(unsupported(&algorithm))
    }
}

fn unsupported(algorithm: &dyn std::fmt::Debug) -> Error {
    Error::NotSupported { source: format!("{algorithm:?} is not used with S3").into() }
}

/// A computation under way, and its result once it is finished.
struct RunningHash<S> {
    state: S,
    result: [u8; 32],
}

impl DigestContext for RunningHash<Sha256> {
    fn update(&mut self, data: &[u8]) {
        // A whole file may come here.
        off_the_hot_path(data.len(), || self.state.update(data));
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.result = self.state.finalize_reset().into();
        Ok(&self.result)
    }
}

impl HmacContext for RunningHash<Hmac<Sha256>> {
    fn update(&mut self, data: &[u8]) {
        self.state.update(data);
    }

    fn finish(&mut self) -> Result<&[u8]> {
        self.result = self.state.clone().finalize().into_bytes().into();
        Ok(&self.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        let mut digest = Signing.digest(DigestAlgorithm::Sha256).unwrap();
        digest.update(b"a");
        digest.update(b"bc");
        let found = base16ct::lower::encode_string(digest.finish().unwrap());
        assert_eq!(found, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "FIPS 180-2, B.1");
        let mut hmac = Signing.hmac(DigestAlgorithm::Sha256, b"Jefe").unwrap();
        hmac.update(b"what do ya want ");
        hmac.update(b"for nothing?");
        let found = base16ct::lower::encode_string(hmac.finish().unwrap());
        assert_eq!(found, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", "RFC 4231, 4.3");
    }
}
