//! What a reload takes over: secrets and certificates, Kafka's properties among them. Everything else stays as it was at
//! start, and is named when it differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::{Table, Value};

use super::load::{read, resolve};
use super::{ConfigError, Settings};

/// The keys of a registry, of a source and of TLS that a reload takes over.
const REGISTRY: [&str; 4] = ["username", "password", "token", "ca_file"];
const SOURCE: [&str; 3] = ["secrets", "tokens", "allow_unauthenticated"];
const TLS: [&str; 2] = ["certificate_file", "key_file"];

/// The configuration in force, as it was written, with what its values name filled in. It holds secrets, so it has no
/// `Debug`.
pub(crate) struct InForce(Table);

/// A configuration that a reload leads to.
pub(crate) struct Reloaded {
    pub(crate) settings: Settings,
    pub(crate) in_force: InForce,
    /// The keys that are written otherwise now, and take effect at the next start.
    pub(crate) left: Vec<String>,
}

/// As [`super::load`], with what a reload is held against.
///
/// # Errors
/// As [`super::load`].
pub(crate) fn load_in_force(file: &Path) -> Result<(Settings, InForce), ConfigError> {
    let table = read(file)?;
    Ok((resolve(&file.display().to_string(), table.clone())?, InForce(table)))
}

impl InForce {
    /// Reads `file` and the environment again.
    ///
    /// # Errors
    /// When it could not be started with what is written now, or with what of it is taken over.
    pub(crate) fn reload(&self, file: &Path) -> Result<Reloaded, ConfigError> {
        let (path, written) = (file.display().to_string(), read(file)?);
        // What could not be started with is not taken in parts either.
        resolve(&path, written.clone())?;
        let merged = self.merged(&written);
        let left = differing(&merged, &written);
        Ok(Reloaded { settings: resolve(&path, merged.clone())?, in_force: InForce(merged), left })
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

/// The keys that only one of the two has, or that have other values there.
fn differing(one: &Table, other: &Table) -> Vec<String> {
    let (mut a, mut b) = (BTreeMap::new(), BTreeMap::new());
    flat("", one, &mut a);
    flat("", other, &mut b);
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    keys.into_iter().filter(|key| a.get(*key) != b.get(*key)).cloned().collect()
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
