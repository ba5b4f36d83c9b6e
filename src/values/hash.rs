//! What stands in a record in place of a text that readers may count and join by, but not read: its keyed hash.
//!
//! ```text
//! printf %s "$TEXT" | openssl dgst -sha256 -hmac "$KEY"
//! ```
//!
//! A plain hash would give a phone number away to whoever tries all numbers; without the key nobody can try. Nothing but the
//! text is hashed, so that the same text has the same hash in every field and source, and others who hold the key can make
//! it. Nothing needs to keep it apart from other uses of the key, since there are none.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The operator's key, ready for use; without one, nothing has a hash.
#[derive(Clone, Default)]
pub(crate) struct Hasher(Option<Hmac<Sha256>>);

impl Hasher {
    pub(crate) fn new(key: &[u8]) -> Hasher {
        // HMAC takes a key of any length.
        Hasher(Hmac::new_from_slice(key).ok())
    }

    /// 64 hex digits in small letters. A blank text has none: all who gave none would pass for one.
    pub(crate) fn hash(&self, text: &str) -> Option<String> {
        let mac = self.0.as_ref().filter(|_| !text.trim().is_empty())?;
        Some(base16ct::lower::encode_string(&mac.clone().chain_update(text).finalize().into_bytes()))
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_openssl_says() {
        // printf %s 5511987654321 | openssl dgst -sha256 -hmac 0123456789abcdef
        let hasher = Hasher::new(b"0123456789abcdef");
        for (text, hash) in [
            ("5511987654321", "2e37fc2fe598676f1b16885f459eb0974feef1b65e6a539bd6a3d163dd9e1ebe"),
            ("São José", "453f5cdb07ce72fa32eb4252f75a908f2ca389a7558fdf47434002b171211955"),
        ] {
            assert_eq!(hasher.hash(text).as_deref(), Some(hash), "{text}");
        }
        assert_ne!(hasher.hash("5511987654321 "), hasher.hash("5511987654321"), "the text is taken as it is");
    }

    #[test]
    fn what_is_blank_has_no_hash_and_without_a_key_nothing_has() {
        let hasher = Hasher::new(b"0123456789abcdef");
        assert_eq!([hasher.hash(""), hasher.hash(" \u{a0}\n")], [None, None]);
        assert_eq!(Hasher::default().hash("5511987654321"), None);
        assert_eq!(format!("{hasher:?}"), "[hidden]");
    }
}
