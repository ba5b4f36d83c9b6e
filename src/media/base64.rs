//! Base64 as senders write it: in either alphabet, padded or not, in lines or in one piece, bare or as a data URL.
//!
//! `verify` is stricter with signatures; here the question is whether a long text is a file, and a text that only looks
//! like one must stay what it is.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A file, and the media type that stood before it.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: Option<String>,
}

/// The longest media type that is taken, parameters and all; its names have at most 127 characters each (RFC 6838).
const LONGEST_TYPE: usize = 512;
/// Base64 in lines has long ones (64 or 76 characters, say), while the words of a language are short.
const SHORTEST_LINE: usize = 16;
/// Characters decoded at a time: whole groups of four.
const CHUNK: usize = 4 << 10;

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new();
/// In the middle of a text there is no padding.
const MIDDLE: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, CONFIG.with_decode_padding_mode(DecodePaddingMode::RequireNone));
/// The last group's unused bits say nothing, and not every sender clears them.
const END: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    CONFIG.with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// The file in `text`; `None` when it is no base64, or a data URL whose head would be lost.
pub(super) fn decode(text: &str) -> Option<Decoded> {
    let text = text.trim_ascii();
    let (media_type, symbols) = match text.split_at_checked(5) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("data:") => {
            let (head, symbols) = rest.split_once(',')?;
            let (media_type, encoding) = head.rsplit_once(';')?;
            if !encoding.trim_ascii().eq_ignore_ascii_case("base64") {
                return None;
            }
            match media_type.trim_ascii() {
                "" => (None, symbols),
                told if is_media_type(told) => (Some(told.to_owned()), symbols),
                _ => return None,
            }
        }
        _ => (None, text),
    };
    Some(Decoded { bytes: decode_symbols(symbols)?, media_type })
}

/// `type/subtype`, perhaps with parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let (names, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_name = |name: &str| {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        !name.is_empty() && name.bytes().all(legal)
    };
    let names = names.trim_ascii_end().split_once('/');
    text.len() <= LONGEST_TYPE
        && names.is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
        && parameters.bytes().all(|b| (b' '..=b'~').contains(&b))
}

fn decode_symbols(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut chunk = [0; CHUNK];
    let (mut filled, mut symbols, mut gaps) = (0, 0, 0);
    let (mut in_gap, mut standard, mut url) = (false, false, false);
    for byte in text.bytes() {
        let symbol = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => {
                gaps += usize::from(!in_gap);
                in_gap = true;
                continue;
            }
            b'-' | b'_' => {
                url = true;
                if byte == b'-' { b'+' } else { b'/' }
            }
            _ => byte,
        };
        standard |= matches!(byte, b'+' | b'/');
        in_gap = false;
        symbols += 1;
        if filled == CHUNK {
            MIDDLE.decode_vec(chunk, &mut bytes).ok()?;
            filled = 0;
        }
        chunk[filled] = symbol;
        filled += 1;
    }
    END.decode_vec(&chunk[..filled], &mut bytes).ok()?;
    // A text in both alphabets is in neither.
    let one_alphabet = !(standard && url);
    (one_alphabet && gaps * SHORTEST_LINE <= symbols).then_some(bytes)
}
