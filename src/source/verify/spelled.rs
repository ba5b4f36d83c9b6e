//! Bytes as they are written in headers and secrets: hex in either case, base64 in either alphabet, padded or not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::catalog::ProofEncoding;

/// The longest signature there is.
const LONGEST: usize = 64;

/// The bytes of what may be a signature.
pub(super) struct ProofBytes {
    bytes: [u8; LONGEST],
    length: usize,
}

impl ProofBytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The `length` bytes that `text` spells.
    pub(super) fn read(text: &str, encoding: ProofEncoding, length: usize) -> Option<ProofBytes> {
        let mut bytes = [0; LONGEST];
        let proof = bytes.get_mut(..length)?;
        let is_hex = encoding == ProofEncoding::Hex || (encoding == ProofEncoding::Any && text.len() == 2 * length);
        if is_hex {
            let decoded = base16ct::mixed::decode(text, proof).ok()?;
            return (decoded.len() == length).then_some(ProofBytes { bytes, length });
        }
        let decoded = base64(text)?;
        (decoded.len() == length).then(|| proof.copy_from_slice(&decoded))?;
        Some(ProofBytes { bytes, length })
    }
}

/// What `text` spells in base64. Padding is whole or left away.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    let padding = text.len() - bare.len();
    if padding != 0 && (padding > 2 || !text.len().is_multiple_of(4)) {
        return None;
    }
    let standard: String = bare
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    STANDARD_NO_PAD.decode(standard).ok()
}

/// What `text` spells in hex.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    base16ct::mixed::decode_vec(text).ok()
}
