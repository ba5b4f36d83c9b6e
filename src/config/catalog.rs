//! `[catalog]`: where profiles come from, and the key for what they hash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::written::{WrittenCatalog, WrittenSource};
use crate::catalog::Catalog;
use crate::disk::access::explain;
use crate::values::hash::Hasher;
use crate::values::secret::Secret;
use crate::values::showable;

/// 128 bits, if they are random, which nobody tries through. What is shorter is likely to be a word.
const SHORTEST_KEY: usize = 16;

const KEY: &str = "catalog.hash_key";

impl WrittenCatalog {
    /// `None` if the catalog cannot be used.
    pub(super) fn load(self, sources: &BTreeMap<String, WrittenSource>, faults: &mut Faults) -> Option<Catalog> {
        let dir = self.dir.map(|dir| PathBuf::from(dir.0));
        let unusable = dir.as_ref().and_then(|dir| Some((dir, not_a_folder(dir)?)));
        // The profiles that are built in are enough to look at the rest.
        let dir = match unusable {
            Some((dir, what)) => {
                faults.add("catalog.dir", format!("{}: {what}", showable::path(dir)));
                None
            }
            None => dir,
        };
        let mut catalog = match Catalog::load(dir.as_deref()) {
            Ok(catalog) => catalog,
            Err(error) => {
                faults.take(error.into());
                // Whether the sources' profiles are in it is not known. The rest is looked at with those that are built in.
                for name in sources.keys() {
                    faults.settle(format!("sources.{name}.profile"));
                }
                Catalog::load(None).ok()?
            }
        };
        let key = self.hash_key.map(|key| key.0);
        for (name, source) in sources {
            match &key {
                None => hashes_nothing(&catalog, name, source, faults),
                Some(key) => is_no_secret_of(key, name, source, faults),
            }
        }
        if let Some(key) = key {
            if key.expose().trim().len() < SHORTEST_KEY {
                let what = format!("shorter than {SHORTEST_KEY} bytes");
                faults.add_with(KEY, what, "make one with `openssl rand -hex 32`");
            }
            catalog.hash_with(&Hasher::new(key.expose().as_bytes()));
        }
        Some(catalog)
    }
}

fn not_a_folder(dir: &Path) -> Option<String> {
    match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some("not a directory".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some("no such directory".to_owned()),
        Err(error) => Some(explain(dir, &error)),
    }
}

/// A source whose profile does not exist is told of with its other keys.
fn hashes_nothing(catalog: &Catalog, name: &str, source: &WrittenSource, faults: &mut Faults) {
    let profile = source.profile.as_ref().map_or(name, |profile| &profile.0);
    if let Some(path) = catalog.profiles.get(profile).and_then(|profile| profile.hashed.first()) {
        let what = format!("missing: sources.{name} has the profile {profile}, which hashes {path}");
        faults.add_with(KEY, what, "make one with `openssl rand -hex 32`");
    }
}

/// Under a secret by which bodies are signed, the hash of a text would be the signature of a body: readers of the topics
/// could send what they get somebody to write into a hashed field.
fn is_no_secret_of(key: &Secret, name: &str, source: &WrittenSource, faults: &mut Faults) {
    let lists = source.secrets.iter().chain(&source.tokens).chain(&source.handshake_tokens);
    if lists.flat_map(|list| &list.0).any(|secret| secret == key) {
        let what = format!("the same as a secret of sources.{name}");
        faults.add_with(KEY, what, "use a key of its own, from `openssl rand -hex 32`");
    }
}
