//! `[catalog]`: where profiles come from, and the key for what they hash.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{ConfigError, Secret, WrittenCatalog, WrittenSource};
use crate::catalog::Catalog;
use crate::values::hash::Hasher;

/// 128 bits, if they are random, which nobody tries through. What is shorter is likely to be a word.
const SHORTEST_KEY: usize = 16;

const KEY: &str = "catalog.hash_key";

impl WrittenCatalog {
    pub(super) fn load(self, sources: &BTreeMap<String, WrittenSource>) -> Result<Catalog, ConfigError> {
        let dir = self.dir.map(|dir| PathBuf::from(dir.0));
        if let Some(dir) = dir.as_ref().filter(|dir| !dir.is_dir()) {
            return Err(ConfigError::key("catalog.dir", format!("{}: no such directory", dir.display())));
        }
        let mut catalog = Catalog::load(dir.as_deref())?;
        let key = self.hash_key.map(|key| key.0);
        for (name, source) in sources {
            match &key {
                None => hashes_nothing(&catalog, name, source)?,
                Some(key) => is_no_secret_of(key, name, source)?,
            }
        }
        if let Some(key) = key {
            if key.expose().trim().len() < SHORTEST_KEY {
                let what = format!("shorter than {SHORTEST_KEY} bytes: make one with `openssl rand -hex 32`");
                return Err(ConfigError::key(KEY, what));
            }
            catalog.hash_with(&Hasher::new(key.expose().as_bytes()));
        }
        Ok(catalog)
    }
}

/// A source whose profile does not exist is told of with its other keys.
fn hashes_nothing(catalog: &Catalog, name: &str, source: &WrittenSource) -> Result<(), ConfigError> {
    let profile = source.profile.as_ref().map_or(name, |profile| &profile.0);
    match catalog.profiles.get(profile).and_then(|profile| profile.hashed.first()) {
        Some(path) => Err(ConfigError::key(
            KEY,
            format!("missing: sources.{name} has the profile {profile}, which hashes {path}"),
        )),
        None => Ok(()),
    }
}

/// Under a secret by which bodies are signed, the hash of a text would be the signature of a body: readers of the topics
/// could send what they get somebody to write into a hashed field.
fn is_no_secret_of(key: &Secret, name: &str, source: &WrittenSource) -> Result<(), ConfigError> {
    let lists = source.secrets.iter().chain(&source.tokens).chain(&source.handshake_tokens);
    if lists.flat_map(|list| &list.0).any(|secret| secret == key) {
        return Err(ConfigError::key(
            KEY,
            format!("the same as a secret of sources.{name}: use a key of its own, from `openssl rand -hex 32`"),
        ));
    }
    Ok(())
}
