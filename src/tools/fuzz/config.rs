//! Configuration: whatever it says, it is resolved or refused with a key, and a secret is in no error.
//!
//! The file, a zero byte, and variables, one `NAME=value` a line.

use std::collections::BTreeMap;

use super::split;
use crate::config::from_text;

/// What `${FUZZ_SECRET}` stands for.
const SECRET: &str = "hunter2-hunter2";
/// Keys whose values may be secrets.
const SECRET_KEYS: [&str; 6] = ["secret", "token", "password", "properties", "options", "hash_key"];

/// A file with an environment.
pub fn config(data: &[u8]) {
    let (file, variables) = split(data, 0);
    let (Ok(file), Ok(variables)) = (std::str::from_utf8(file), std::str::from_utf8(variables)) else { return };
    let mut environment: BTreeMap<String, String> = variables
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    environment.insert("FUZZ_SECRET".into(), SECRET.into());
    if reaches_out(file, &environment) || data.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()) {
        return;
    }
    match from_text("fuzz.toml", file, &environment.into()) {
        Ok(settings) => assert!(!settings.sources.is_empty()),
        Err(error) => {
            assert!(!error.faults().is_empty());
            for fault in error.faults() {
                let words = fault.to_string();
                let is_secret = SECRET_KEYS.iter().any(|part| fault.place.key.contains(part));
                assert!(!words.is_empty());
                assert!(!is_secret || !words.contains(SECRET), "{words}");
            }
        }
    }
}

/// Whether it names files, or hosts that would be asked for: a target shall depend on its input alone.
fn reaches_out(file: &str, environment: &BTreeMap<String, String>) -> bool {
    let names_files = |text: &str| text.contains("file:") || text.contains('/') && text.contains("file");
    let listens_elsewhere = |text: &str| text.parse::<std::net::SocketAddr>().is_err();
    let table: toml::Table = file.parse().unwrap_or_default();
    let listens = ["http", "admin"].iter().filter_map(|section| table.get(*section)?.get("listen"));
    listens.map(|value| value.as_str().unwrap_or("0.0.0.0:0")).any(listens_elsewhere)
        || table.contains_key("catalog")
        || names_files(file)
        || environment.iter().any(|(name, value)| {
            let name = name.to_ascii_uppercase();
            name.contains("CATALOG") || name.contains("LISTEN") || names_files(value)
        })
}
