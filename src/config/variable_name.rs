//! How a variable of the environment is called that sets a key.

pub(super) const PREFIX: &str = "HOOKBRIDGE__";

/// A key, in the letters that a variable's name has.
pub(super) fn plain(key: &str) -> String {
    key.to_ascii_lowercase().replace(['-', '.'], "_")
}

/// The name of the variable that sets `key`.
pub(super) fn variable(key: &str) -> String {
    let parts: Vec<String> = key.split('.').map(|part| plain(part).to_ascii_uppercase()).collect();
    format!("{PREFIX}{}", parts.join("__"))
}
