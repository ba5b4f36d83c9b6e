//! Words of command lines that are shown to be copied.

use std::path::Path;

/// `text` as a shell takes it for one word.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.,:_-+@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The same of a path.
pub(crate) fn path(path: &Path) -> String {
    word(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_stands_in_quotes() {
        for (text, expected) in [
            ("/var/lib/hookbridge-2/a,b:c+d@e%f=g.toml", "/var/lib/hookbridge-2/a,b:c+d@e%f=g.toml"),
            ("", "''"),
            ("my samples", "'my samples'"),
            ("it's", r"'it'\''s'"),
            ("$HOME;ls*", "'$HOME;ls*'"),
            ("ação", "'ação'"),
        ] {
            assert_eq!(word(text), expected);
        }
    }
}
