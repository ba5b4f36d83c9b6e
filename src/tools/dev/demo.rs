//! The demo sources: their secrets, which everybody knows, and the configuration that they are in.

use std::collections::BTreeMap;
use std::path::Path;

use crate::catalog::{Catalog, Method, Profile};
use crate::config::{self, ConfigError, Settings};

/// Secret of the demo source `wegly`. Known to all, so `dev` listens on this machine alone.
const DEMO_SECRET: &str = "demo-wegly-secret";
/// Token of the demo source `whazing`.
const DEMO_TOKEN: &str = "demo-whazing-token";
/// For what the profiles of a folder hash.
const DEMO_HASH_KEY: &str = "demo-key-known-to-everybody";

/// The key of a source's configuration that its credential stands in, and the demo source's credential.
fn credential(profile: &Profile) -> (&'static str, String) {
    let name = &profile.name;
    match profile.verification.method {
        Method::Token => ("tokens", format!("demo-{name}-token")),
        Method::Basic => ("secrets", format!("demo:demo-{name}-password")),
        _ => ("secrets", format!("demo-{name}-secret")),
    }
}

/// What the demo source of `profile` proves itself by, in words.
pub(super) fn proof(profile: &Profile) -> String {
    let (key, credential) = credential(profile);
    format!("{} {credential}", key.trim_end_matches('s'))
}

/// The secret or token of the demo source of `profile`.
pub(crate) fn demo_credential(profile: &Profile) -> String {
    credential(profile).1
}

/// The configuration of a bridge with the demo sources.
pub(crate) fn configuration(kafka: &str, registry: &str, create_topics: bool, data_dir: &Path) -> String {
    format!(
        "data_dir = {}\n[kafka]\nbootstrap_servers = {}\ncreate_topics = {create_topics}\n[registry]\nurl = {}\n\
         [sources.wegly]\nsecrets = [{}]\n[sources.whazing]\ntokens = [{}]\n",
        text(&data_dir.display().to_string()),
        text(kafka),
        text(registry),
        text(DEMO_SECRET),
        text(DEMO_TOKEN),
    )
}

/// The settings of [`configuration`] with the catalog in `dir`, and one source more for each of its profiles.
///
/// # Errors
/// When the catalog is not usable.
pub(crate) fn demo_settings(kafka: &str, registry: &str, dir: Option<&Path>) -> Result<Settings, ConfigError> {
    let mut whole = configuration(kafka, registry, true, Path::new("data"));
    if let Some(dir) = dir {
        whole += &catalog(dir)?;
    }
    config::from_text("flags", &whole, &BTreeMap::new())
}

/// What [`configuration`] says of the catalog in `dir`, if it has one.
///
/// # Errors
/// When the catalog is not usable.
pub(crate) fn catalog(dir: &Path) -> Result<String, ConfigError> {
    if !dir.is_dir() {
        return Err(ConfigError::key("--catalog", format!("{}: no such directory", dir.display())));
    }
    let (key, folder) = (text(DEMO_HASH_KEY), text(&dir.display().to_string()));
    let mut written = format!("[catalog]\ndir = {folder}\nhash_key = {key}\n");
    for profile in added_profiles(&Catalog::load(Some(dir))?) {
        let (key, secret) = credential(profile);
        written += &format!("[sources.{}]\n{key} = [{}]\n", profile.name, text(&secret));
    }
    Ok(written)
}

/// The profiles that are not compiled in.
fn added_profiles(catalog: &Catalog) -> impl Iterator<Item = &Profile> {
    catalog.profiles.values().map(|profile| &**profile).filter(|profile| !is_built_in(&profile.name))
}

/// Whether a profile of this name is compiled in.
pub(super) fn is_built_in(name: &str) -> bool {
    ["wegly", "whazing"].contains(&name)
}

fn text(value: &str) -> String {
    toml::Value::from(value).to_string()
}
