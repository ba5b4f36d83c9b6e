//! The demo sources: their secrets, which everybody knows, and the configuration that they are in.

use std::path::Path;

use crate::catalog::{Catalog, Method, Profile};
use crate::config::{self, ConfigError, Settings};
use crate::source::verify::CredentialPair;

/// Secret of the demo source `wegly`. Known to all, so `dev` listens on this machine alone.
const DEMO_SECRET: &str = "demo-wegly-secret";
/// Token of the demo source `whazing`.
const DEMO_TOKEN: &str = "demo-whazing-token";
/// For what the profiles of a folder hash.
const DEMO_HASH_KEY: &str = "demo-key-known-to-everybody";

/// What the demo source's secret or token is called.
fn word(profile: &Profile) -> &'static str {
    if profile.verification.method == Method::Token { "token" } else { "secret" }
}

/// What the demo source of `profile` and its sender have of each other.
fn credentials(profile: &Profile) -> CredentialPair {
    CredentialPair::of_text(&profile.verification, &format!("demo-{}-{}", profile.name, word(profile)))
}

/// What the demo source of `profile` proves itself by, in words.
pub(super) fn proof(profile: &Profile) -> String {
    format!("{} {}", word(profile), demo_credential(profile))
}

/// What a sender to the demo source of `profile` signs with, or its token.
pub(crate) fn demo_credential(profile: &Profile) -> String {
    credentials(profile).sender
}

/// What a sender to a source with this secret signs with: the private key where the secret is the public one of a demo source.
pub(crate) fn sender_credential(profile: &Profile, secret: &str) -> String {
    let demo = credentials(profile);
    if demo.source == secret { demo.sender } else { secret.to_owned() }
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
    config::from_text("flags", &whole, &config::Environment::default())
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
        let (name, secret) = (&profile.name, text(&credentials(profile).source));
        written += &format!("[sources.{name}]\n{}s = [{secret}]\n", word(profile));
        if profile.asks_for_handshake_token() {
            written += &format!("handshake_tokens = [{}]\n", text(&format!("demo-{name}-verify-token")));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::verify::Signer;

    #[test]
    fn profiles_of_every_method_have_a_demo_source_and_its_senders_can_sign() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/vendors");
        let settings = demo_settings("127.0.0.1:1", "http://127.0.0.1:1", Some(&dir)).unwrap();
        let added: Vec<_> = settings.sources.values().filter(|source| !is_built_in(&source.profile.name)).collect();
        assert!(added.len() >= 9, "{}", added.len());
        for source in added {
            let Ok(credential) = demo_credential(&source.profile).parse();
            assert!(Signer::new(&source.profile.verification, &credential).is_ok(), "{}", source.name);
        }
    }
}
