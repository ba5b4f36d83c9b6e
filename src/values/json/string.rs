//! Strings: where they end, and what they say once unescaped.

use std::borrow::Cow;

/// What a JSON string says.
pub(crate) struct Unescaped<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Whether half a surrogate pair stood in it, which no UTF-8 text can hold; it is U+FFFD in `text`.
    pub(crate) lone_surrogate: bool,
}

impl<'a> Unescaped<'a> {
    pub(crate) fn plain(text: &'a str) -> Self {
        Unescaped { text: Cow::Borrowed(text), lone_surrogate: false }
    }
}

/// Where, from `at` on, the first quote, backslash or control character is, or the end: eight bytes at a time, the classic way
/// of finding a byte in a word (a byte is below `n` when subtracting `n` borrows into its top bit, and it had none).
pub(super) fn plain_end(bytes: &[u8], at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    const QUOTES: u64 = b'"' as u64 * ONES;
    const BACKSLASHES: u64 = b'\\' as u64 * ONES;
    let mut rest = &bytes[at..];
    while let Some((eight, after)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let borrows = word.wrapping_sub(ONES * 0x20)
            | (word ^ QUOTES).wrapping_sub(ONES)
            | (word ^ BACKSLASHES).wrapping_sub(ONES);
        let hit = borrows & !word & TOPS;
        if hit != 0 {
            // The lowest hit is exact; a borrow can only invent hits above a true one.
            return bytes.len() - rest.len() + (hit.trailing_zeros() / 8) as usize;
        }
        rest = after;
    }
    let tail = rest.iter().take_while(|&&b| b >= 0x20 && b != b'"' && b != b'\\').count();
    bytes.len() - rest.len() + tail
}

/// Unescapes what stands between the quotes of a string whose escapes were checked.
pub(crate) fn unescape(inner: &str) -> Unescaped<'_> {
    let mut text = String::with_capacity(inner.len());
    let mut lone_surrogate = false;
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or("");
        let simple = match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = hex4(&mut rest);
                char::from_u32(unit).or_else(|| low_half(unit, &mut rest)).unwrap_or_else(|| {
                    lone_surrogate = true;
                    char::REPLACEMENT_CHARACTER
                })
            }
            other => char::from(other),
        };
        text.push(simple);
    }
    text.push_str(rest);
    Unescaped { text: Cow::Owned(text), lone_surrogate }
}

/// Takes four hexadecimal digits off `rest`.
fn hex4(rest: &mut &str) -> u32 {
    let (digits, after) = rest.split_at_checked(4).unwrap_or((rest, ""));
    *rest = after;
    u32::from_str_radix(digits, 16).unwrap_or(0xFFFD)
}

/// The character of the surrogate pair that `high` begins, when its other half follows at once.
fn low_half(high: u32, rest: &mut &str) -> Option<char> {
    if !(0xD800..0xDC00).contains(&high) {
        return None;
    }
    let mut after = rest.strip_prefix("\\u")?;
    let low = hex4(&mut after);
    if !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    *rest = after;
    char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_an_emoji_becomes_the_replacement_character() {
        for (inner, text, lone) in [
            (r"a\ud83d\ude00b", "a😀b", false),
            (r"\ud83d", "\u{FFFD}", true),
            (r"\ude00x", "\u{FFFD}x", true),
            (r"\ud83d\ud83d\ude00", "\u{FFFD}😀", true),
            (r"\ud83d\n", "\u{FFFD}\n", true),
            (r"\ud83dA", "\u{FFFD}A", true),
        ] {
            let read = unescape(inner);
            assert_eq!((&*read.text, read.lone_surrogate), (text, lone), "{inner}");
        }
    }

    proptest! {
        #[test]
        fn any_string_that_serde_json_writes_is_read_back(s in any::<String>()) {
            let written = serde_json::to_string(&s).unwrap();
            let read = unescape(&written[1..written.len() - 1]);
            prop_assert_eq!(&*read.text, s.as_str());
        }

        #[test]
        fn plain_text_ends_at_the_first_special_byte(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), 0x1eu8..0x22], 0..40), at in any::<prop::sample::Index>()) {
            let at = at.index(bytes.len() + 1);
            let special = bytes[at..].iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\');
            prop_assert_eq!(plain_end(&bytes, at), special.map_or(bytes.len(), |after| at + after));
        }
    }
}
