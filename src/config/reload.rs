//! What a reload takes over: secrets and certificates, Kafka's properties among them. Everything else stays as it was at
//! start, and is named when it differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::load::{Further, read, resolve};
use super::{ConfigError, Settings};

/// The keys of a registry, of a source and of TLS that a reload takes over.
const REGISTRY: [&str; 4] = ["username", "password", "token", "ca_file"];
const SOURCE: [&str; 4] = ["secrets", "tokens", "handshake_tokens", "allow_unauthenticated"];
const TLS: [&str; 2] = ["certificate_file", "key_file"];
/// The keys whose values are told by their fingerprints.
const FINGERPRINTED: [&str; 3] = ["secrets", "tokens", "handshake_tokens"];
/// Of the 64 hex digits of a fingerprint: enough to tell secrets apart, too few to find a good one by trying.
const FINGERPRINT_DIGITS: usize = 8;

/// The configuration in force, as it was written, with what its values name filled in. It holds secrets, so it has no
/// `Debug`.
pub(crate) struct InForce(Table);

/// A configuration that a reload leads to.
pub(crate) struct Reloaded {
    pub(crate) settings: Settings,
    pub(crate) in_force: InForce,
    /// What it changes: keys, and behind those of secrets the fingerprints that were added and removed.
    pub(crate) changed: Vec<String>,
    /// The keys that are written otherwise now, and take effect at the next start.
    pub(crate) left: Vec<String>,
}

/// As [`super::load_whole`], with what a reload is held against.
///
/// # Errors
/// As [`super::load()`].
pub(crate) fn load_in_force(file: &Path, further: Further) -> Result<(Settings, InForce), ConfigError> {
    let said = read(file)?;
    let in_force = InForce(said.table.clone());
    Ok((resolve(said, further)?, in_force))
}

impl InForce {
    /// Reads `file` and the environment again.
    ///
    /// # Errors
    /// When it could not be started with what is written now, or with what of it is taken over.
    pub(crate) fn reload(&self, file: &Path, further: Further) -> Result<Reloaded, ConfigError> {
        let said = read(file)?;
        // What could not be started with is not taken in parts either.
        resolve(said.clone(), further)?;
        let merged = self.merged(&said.table);
        let left = differing(&merged, &said.table).into_keys().collect();
        let changed = differing(&self.0, &merged).into_iter().map(|(key, values)| describe(&key, values)).collect();
        Ok(Reloaded {
            settings: resolve(said.with(merged.clone()), further)?,
            in_force: InForce(merged),
            changed,
            left,
        })
    }

    /// What is in force, with the part of `written` that a reload takes over.
    fn merged(&self, written: &Table) -> Table {
        let mut merged = self.0.clone();
        let section = |path: &[&str]| table_at(written, path);
        if let Some(kafka) = table_in(&mut merged, &["kafka"]) {
            take(kafka, section(&["kafka"]), &["properties"]);
        }
        if let Some(registry) = table_in(&mut merged, &["registry"]) {
            take(registry, section(&["registry"]), &REGISTRY);
        }
        // With TLS or without is for a whole life of the listener.
        if let (Some(tls), Some(now)) = (table_in(&mut merged, &["http", "tls"]), section(&["http", "tls"])) {
            take(tls, Some(now), &TLS);
        }
        let names: Vec<String> = table_at(&self.0, &["sources"]).into_iter().flat_map(Table::keys).cloned().collect();
        for name in &names {
            if let (Some(source), Some(now)) = (table_in(&mut merged, &["sources", name]), section(&["sources", name]))
            {
                take(source, Some(now), &SOURCE);
            }
        }
        merged
    }
}

/// Makes `keys` of `section` what they are in `written`, be it nothing.
fn take(section: &mut Table, written: Option<&Table>, keys: &[&str]) {
    for key in keys {
        match written.and_then(|written| written.get(*key)) {
            Some(value) => _ = section.insert((*key).to_owned(), value.clone()),
            None => _ = section.remove(*key),
        }
    }
}

fn table_at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(table, |table, key| table.get(*key)?.as_table())
}

fn table_in<'a>(table: &'a mut Table, path: &[&str]) -> Option<&'a mut Table> {
    path.iter().try_fold(table, |table, key| table.get_mut(*key)?.as_table_mut())
}

/// The values of a key, before and now.
type Values<'a> = (Option<&'a Value>, Option<&'a Value>);

/// The keys that only one of the two has, or that have other values there.
fn differing<'a>(before: &'a Table, now: &'a Table) -> BTreeMap<String, Values<'a>> {
    let (mut a, mut b) = (BTreeMap::new(), BTreeMap::new());
    flat("", before, &mut a);
    flat("", now, &mut b);
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).cloned().collect();
    let values = keys.into_iter().map(|key| {
        let values = (a.get(&key).copied(), b.get(&key).copied());
        (key, values)
    });
    values.filter(|(_, (before, now))| before != now).collect()
}

/// A key that changes, and which secrets come and go by that.
fn describe(key: &str, (before, now): Values<'_>) -> String {
    if !FINGERPRINTED.iter().any(|name| key.ends_with(&format!(".{name}"))) {
        return key.to_owned();
    }
    let (before, now) = (fingerprints(before), fingerprints(now));
    let told = [("added", now.difference(&before)), ("removed", before.difference(&now))]
        .map(|(what, which)| (what, which.cloned().collect::<Vec<_>>().join(", ")));
    let told = told.iter().filter(|(_, which)| !which.is_empty()).map(|(what, which)| format!("{what} {which}"));
    let told = told.collect::<Vec<_>>().join("; ");
    if told.is_empty() { format!("{key} (same secrets, other order)") } else { format!("{key} ({told})") }
}

/// Of a text or a list of texts: the first digits of each one's SHA-256.
fn fingerprints(value: Option<&Value>) -> BTreeSet<String> {
    let values = value.map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    let texts = values.into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| base16ct::lower::encode_string(&Sha256::digest(text))[..FINGERPRINT_DIGITS].to_owned()).collect()
}

fn flat<'a>(prefix: &str, table: &'a Table, into: &mut BTreeMap<String, &'a Value>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flat(&key, inner, into),
            value => _ = into.insert(key, value),
        }
    }
}
