//! A small configuration to begin with, for the vendors that somebody names: those that are compiled in, and those of the gallery,
//! whose profiles come as files beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::{Catalog, CatalogError, Method, Profile, gallery};
use crate::values::similar::closest;

/// A vendor that is asked for does not exist, or the catalog is not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StarterError {
    #[error("no vendor {name:?}: {hint}")]
    Unknown { name: String, hint: String },
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// What is written, and what is left to do.
pub(crate) struct Starter {
    /// `hookbridge.toml`.
    pub(crate) text: String,
    /// Profiles of the gallery: each one's name and its files, by their names.
    pub(crate) profiles: BTreeMap<String, BTreeMap<&'static str, &'static str>>,
    /// The files that secrets are read from, and what belongs in each.
    pub(crate) secrets: Vec<(PathBuf, String)>,
    /// Each source.
    pub(crate) sources: Vec<String>,
}

/// The names that can be asked for.
pub(crate) fn known_vendors() -> Result<Vec<String>, CatalogError> {
    let built_in = Catalog::load(None)?.profiles.into_keys();
    Ok(built_in.chain(gallery().into_keys().map(str::to_owned)).collect())
}

impl Starter {
    /// For `vendors`, with secrets in `secrets_dir` and profiles in `catalog_dir`.
    ///
    /// # Errors
    /// When there is no such vendor.
    pub(crate) fn new(vendors: &[String], secrets_dir: &Path, catalog_dir: &Path) -> Result<Starter, StarterError> {
        let built_in = Catalog::load(None)?.profiles;
        let mut starter =
            Starter { text: HEAD.to_owned(), profiles: BTreeMap::new(), secrets: Vec::new(), sources: Vec::new() };
        let mut sections = String::new();
        let mut hashes = false;
        for name in vendors {
            if starter.sources.contains(name) {
                continue;
            }
            let profile = match built_in.get(name) {
                Some(profile) => Arc::clone(profile),
                None => starter.of_gallery(name)?,
            };
            hashes |= !profile.hashed.is_empty();
            sections += &starter.source(&profile, secrets_dir);
            starter.sources.push(name.clone());
        }
        if !starter.profiles.is_empty() || hashes {
            starter.text += &starter.catalog_section(hashes, secrets_dir, catalog_dir);
        }
        if hashes {
            starter.secrets.push((secrets_dir.join("hash-key"), "a key of its own: openssl rand -hex 32".to_owned()));
        }
        starter.text += &sections;
        Ok(starter)
    }

    fn of_gallery(&mut self, name: &str) -> Result<Arc<Profile>, StarterError> {
        let Some(files) = gallery().remove(name) else {
            let known = known_vendors()?;
            let known = || known.iter().map(String::as_str);
            let hint = match closest(name, known()) {
                Some(meant) => format!("did you mean {meant}?"),
                None => {
                    let known = known().collect::<Vec<_>>().join(", ");
                    format!(
                        "expected one of {known}. For another sender, make a profile with `hookbridge profile init`"
                    )
                }
            };
            return Err(StarterError::Unknown { name: name.to_owned(), hint });
        };
        let texts = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        let mut catalog = Catalog::load_with(None, name, &texts)?;
        self.profiles.insert(name.to_owned(), files);
        catalog
            .profiles
            .remove(name)
            .ok_or_else(|| StarterError::Unknown { name: name.to_owned(), hint: String::new() })
    }

    fn catalog_section(&self, hashes: bool, secrets_dir: &Path, catalog_dir: &Path) -> String {
        let mut text = String::from("\n[catalog]\n");
        if !self.profiles.is_empty() {
            let names = self.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
            text += &format!(
                "# Profiles beside the built-in ones: {names}. Decide about their topics and keys before the first event.\n"
            );
            text += &format!("dir = {}\n", quoted(&catalog_dir.display().to_string()));
        }
        if hashes {
            text += "# For fields that a profile hashes. Must be used for nothing else.\n";
            text += &format!("hash_key = {}\n", reference(&secrets_dir.join("hash-key")));
        }
        text
    }

    /// The section of a source, which has the name of its profile.
    fn source(&mut self, profile: &Profile, secrets_dir: &Path) -> String {
        let name = &profile.name;
        let header = &profile.verification.header;
        let (key, what, proof) = match profile.verification.method {
            Method::Token => ("tokens", "the token that you set at the vendor", format!("a token in {header}")),
            Method::Basic => ("secrets", "USER:PASSWORD, as set at the vendor", "user and password".to_owned()),
            Method::Ed25519 => ("secrets", "the vendor's public key", format!("a signature in {header}")),
            _ => {
                ("secrets", "the signing secret that the vendor shows or asks for", format!("a signature in {header}"))
            }
        };
        let file = secrets_dir.join(name);
        let mut text = format!(
            "\n# {name} proves itself by {proof}. At the vendor, set the address https://YOUR-HOST/webhooks/{name}\n"
        );
        text += &format!(
            "[sources.{name}]\n# The file holds {what}. Several may be valid at once, so that one can be replaced without a gap.\n"
        );
        text += &format!("{key} = [{}]\n", reference(&file));
        self.secrets.push((file, format!("for {name}: {what}")));
        if profile.asks_for_handshake_token() {
            let file = secrets_dir.join(format!("{name}-handshake"));
            text +=
                "# The verify token that you choose and give the vendor, which sends it when it asks for an answer.\n";
            text += &format!("handshake_tokens = [{}]\n", reference(&file));
            self.secrets.push((file, format!("for {name}: a verify token that you choose and give the vendor")));
        }
        if profile.has_media() {
            text += "# Bodies may hold files.\nmax_body_bytes = \"32 MiB\"\n";
        }
        text
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn reference(file: &Path) -> String {
    quoted(&format!("${{file:{}}}", file.display()))
}

const HEAD: &str = r#"# Written by `hookbridge init`: what has to be set, and little more. An unknown key is an error that names it.
# Any value may contain ${VAR}, an environment variable, or ${file:/path}, a file's content without its last line end.
# `hookbridge docs config-schema` describes every key; `hookbridge check` tries this file out.

# Spool, large files and cached schema ids: on a disk that survives a restart.
data_dir = "data"

[http]
# For webhooks: POST /webhooks/{source}. Put TLS in front of it, or set http.tls.
listen = "0.0.0.0:8080"

[kafka]
bootstrap_servers = "localhost:9092"
# For TLS and credentials, remove the `#`:
# properties."security.protocol" = "SASL_SSL"
# properties."sasl.mechanisms" = "SCRAM-SHA-512"
# properties."sasl.username" = "hookbridge"
# properties."sasl.password" = "${file:/run/secrets/kafka}"

[registry]
# A schema registry with Confluent's REST API.
url = "http://localhost:8081"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    #[test]
    fn what_is_written_for_any_vendor_is_a_configuration_once_its_secrets_exist() {
        let dir = tempfile::tempdir().unwrap();
        let (secrets, catalog) = (dir.path().join("secrets"), dir.path().join("catalog"));
        let starter = Starter::new(&known_vendors().unwrap(), &secrets, &catalog).unwrap();
        std::fs::create_dir(&secrets).unwrap();
        for (profile, files) in &starter.profiles {
            std::fs::create_dir_all(catalog.join(profile)).unwrap();
            for (name, text) in files {
                std::fs::write(catalog.join(profile).join(name), text).unwrap();
            }
        }
        let missing = from_text("hookbridge.toml", &starter.text, &crate::config::Environment::default())
            .err()
            .unwrap()
            .to_string();
        assert_eq!(missing.lines().count(), starter.secrets.len(), "{missing}");
        for (file, what) in &starter.secrets {
            let is_pair = what.contains("USER:PASSWORD");
            std::fs::write(file, if is_pair { "user:d2hhdGV2ZXI\n" } else { "d2hhdGV2ZXIgaXQgaXMsIGl0IGlzIGxvbmc=\n" })
                .unwrap();
        }
        let settings = from_text("hookbridge.toml", &starter.text, &crate::config::Environment::default());
        let settings = settings.unwrap_or_else(|error| panic!("{error}"));
        assert!(settings.sources.len() >= 11 && settings.warnings.is_empty());
    }
}
