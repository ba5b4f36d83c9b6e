//! UUIDs as text.

use uuid::fmt::Hyphenated;

/// A UUID in its 36-character form, in capital or small letters; it is written in small ones.
pub(crate) fn uuid(text: &str) -> Option<Hyphenated> {
    text.parse().ok()
}
