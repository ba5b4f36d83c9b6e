//! How a variable of the environment is called that sets a key.

pub(super) const PREFIX: &str = "HOOKBRIDGE__";

/// Whether a variable is meant to set a key, be its name in small letters, so that it sets none.
pub(super) fn is_meant(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// A key, in the letters that a variable's name has.
pub(super) fn plain(key: &str) -> String {
    key.to_ascii_lowercase().replace(['-', '.'], "_")
}

/// The name of the variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    let parts: Vec<String> = key.split('.').map(|part| plain(part).to_ascii_uppercase()).collect();
    format!("{PREFIX}{}", parts.join("__"))
}
