//! What a message may repeat of a value: one place decides it, since a secret may stand wherever somebody put it by mistake.

use std::path::Path;

/// Longer values are cut in messages.
const LONGEST: usize = 60;

/// Said in the place of what is not shown.
const NOT_SHOWN: &str = "[not shown, it may hold a secret]";

/// `text` in quotes, cut to a length that can stand in a sentence; or that it is not shown.
pub(crate) fn quoted(text: &str) -> String {
    if may_hold_a_secret(text) {
        return NOT_SHOWN.to_owned();
    }
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{:?}…", &text[..at]),
        None => format!("{text:?}"),
    }
}

/// A path whole, but not what was pasted in the place of one.
pub(crate) fn path(path: &Path) -> String {
    let text = path.display().to_string();
    if is_pasted(&text) { NOT_SHOWN.to_owned() } else { text }
}

/// User info or a query of an address, an assignment, or something with lines.
fn may_hold_a_secret(text: &str) -> bool {
    text.contains(['@', '?', '#', '=']) || is_pasted(text)
}

/// PEM, or another text where a name is expected.
fn is_pasted(text: &str) -> bool {
    text.contains("BEGIN") || text.contains(['\n', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_a_secret_is_not_shown() {
        for secret in [
            "user:s3cret@kafka:9092",
            "s3:/id:s3cret@bucket",
            "s3cret@",
            "http://a?token=s3cret",
            "http://a#s3cret",
            "password=s3cret",
            "-----BEGIN PRIVATE KEY-----s3cret",
            "a\ns3cret",
        ] {
            assert_eq!(quoted(secret), NOT_SHOWN, "{secret}");
        }
        assert_eq!(path(Path::new("-----BEGIN PRIVATE KEY-----s3cret")), NOT_SHOWN);
        assert_eq!(path(Path::new("/run/secrets/a@b=c")), "/run/secrets/a@b=c");
        assert_eq!(quoted("localhost:9092"), "\"localhost:9092\"");
        assert_eq!(quoted(&"é".repeat(61)), format!("\"{}\"…", "é".repeat(60)));
    }
}
