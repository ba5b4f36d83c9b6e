//! To whom `send` sends, and as whom: the address, the profile and the secret, of the configuration or of flags.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::Url;

use super::SendArgs;
use crate::catalog::{Catalog, Method, Profile};
use crate::cli::connect::{self, Configured, SettingsOrigin};
use crate::cli::listening::{BehindTls, behind_tls, url_of};
use crate::cli::warn;
use crate::config::{self, ConfigError, DEFAULT_FILE};
use crate::kafka::route::Routes;
use crate::source::verify::{SecretFlaw, Signer};
use crate::tools::dev::{RunningDev, demo_credential, demo_settings, sender_credential};
use crate::values::secret::Secret;
use crate::values::showable;
use crate::values::similar::closest;

const LISTEN: &str = "HOOKBRIDGE__HTTP__LISTEN";

/// Why it is not known where to, or as whom.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("unknown profile {name}, expected one of {}: {}", .known.join(", "), meant(.name, .known, "name it with --profile"))]
    UnknownProfile { name: String, known: Vec<String> },
    #[error("{file} has no source {source_name}, expected one of {}: {}", .known.join(", "), meant(.source_name, .known, "to send as another one, give its --secret"))]
    UnknownSource { file: String, source_name: String, known: Vec<String> },
    #[error("--url {given}: expected an address such as {example}")]
    Url { given: String, example: String },
    #[error("--url: must not hold credentials, since it is shown: use --header 'authorization: Basic ...'")]
    UrlCredentials,
    #[error("http.listen has port 0, so the address of the bridge is not known: name it with --url")]
    NoPort,
    #[error("{from}: {flaw}")]
    Secret { from: String, flaw: SecretFlaw },
    #[error("sources.{0} has only the public key, with which nobody can sign: give the private key with --secret")]
    PublicKey(String),
}

/// Whose events are sent.
pub(super) struct SendAs {
    pub(super) profile: Arc<Profile>,
    configured: Configured,
    source: String,
    catalog: Option<PathBuf>,
}

/// Where the events of a source go.
pub(super) struct SourceTopics {
    routes: Option<Routes>,
    source: String,
    /// Whether the names are those of a configuration.
    is_of_bridge: bool,
}

impl SourceTopics {
    pub(super) fn of(&self, event_type: &str) -> Option<String> {
        Some(self.routes.as_ref()?.get(&self.source, event_type)?.main.topic.to_string())
    }

    pub(super) fn dead_letters(&self) -> Option<String> {
        self.routes.as_ref().filter(|_| self.is_of_bridge).map(|routes| routes.dead_letters.to_string())
    }
}

/// Where they are sent, and with what proof.
pub(super) struct Destination {
    /// Without a slash at its end.
    pub(super) url: String,
    /// What the configuration's bridge shows at that address, if it speaks TLS.
    pub(super) tls: Option<BehindTls>,
    /// `None` for a source that accepts events from anybody.
    pub(super) signer: Option<Signer>,
    /// Where the secret is from, in words.
    pub(super) secret_from: String,
}

impl SendAs {
    /// Finds the profile.
    pub(super) fn find(args: &SendArgs, file: Option<&Path>) -> Result<SendAs, TargetError> {
        let mut configured = connect::configured(file, [])?;
        if args.secret.is_none() && !matches!(configured.origin, SettingsOrigin::File { named: true, .. }) {
            configured = of_who_listens(args, configured)?;
        }
        let of_source = configured.settings.sources.get(&args.source);
        let name = args.profile.as_ref().or(of_source.map(|source| &source.profile.name)).unwrap_or(&args.source);
        let profile = match (of_source, &args.catalog) {
            (Some(source), None) if source.profile.name == *name => Arc::clone(&source.profile),
            _ => {
                let dir = args.catalog.as_deref().or(configured.settings.catalog_dir.as_deref());
                let mut catalog = Catalog::load(dir).map_err(ConfigError::from)?;
                let known: Vec<_> = catalog.profiles.keys().cloned().collect();
                catalog.profiles.remove(name).ok_or_else(|| {
                    if let Some(words) = in_place_of_file(&configured) {
                        warn(words);
                    }
                    TargetError::UnknownProfile { name: name.clone(), known }
                })?
            }
        };
        Ok(SendAs { profile, source: args.source.clone(), catalog: args.catalog.clone(), configured })
    }

    /// The topics of the source, if the configuration has it; else of its profile, as they are by default.
    pub(super) fn topics(&self) -> SourceTopics {
        let settings = &self.configured.settings;
        if settings.sources.contains_key(&self.source) {
            return SourceTopics {
                routes: Some(Routes::plan(settings)),
                source: self.source.clone(),
                is_of_bridge: true,
            };
        }
        let demo = demo_settings("127.0.0.1:9092", "http://127.0.0.1:8081", self.catalog.as_deref()).ok();
        SourceTopics { routes: demo.as_ref().map(Routes::plan), source: self.profile.name.clone(), is_of_bridge: false }
    }

    /// Finds the address and the secret, and says them where they are neither typed nor in a file.
    pub(super) fn destination(&self, args: &SendArgs) -> Result<Destination, TargetError> {
        let settings = &self.configured.settings;
        let (signer, secret_from) = self.signer(args)?;
        let (url, tls) = match &args.url {
            Some(url) => (checked(url)?, None),
            None => (url_of(settings).ok_or(TargetError::NoPort)?, behind_tls(settings)),
        };
        let is_typed = (args.url.is_some(), args.secret.is_some());
        let is_of_environment = match is_typed {
            (false, _) if connect::is_set(LISTEN) => true,
            (_, false) => connect::secret_variable(&args.source).is_some(),
            _ => false,
        };
        let is_of_file = matches!(self.configured.origin, SettingsOrigin::File { .. }) && !is_of_environment;
        if !is_of_file && is_typed != (true, true) {
            let from = match &args.url {
                Some(_) => "--url".to_owned(),
                None if connect::is_set(LISTEN) => LISTEN.to_owned(),
                None => self.configured.origin.words(),
            };
            let here = match in_place_of_file(&self.configured) {
                Some(words) => format!("{words}; "),
                None if self.configured.no_file => "no hookbridge.toml in this folder: ".to_owned(),
                None => String::new(),
            };
            warn(format_args!("{here}using {url} ({from}), {secret_from}"));
        }
        Ok(Destination { url, tls, signer, secret_from })
    }

    /// What signs, and where its secret is from.
    fn signer(&self, args: &SendArgs) -> Result<(Option<Signer>, String), TargetError> {
        let rule = &self.profile.verification;
        let word = if rule.method == Method::Token { "token" } else { "secret" };
        let (origin, settings) = (&self.configured.origin, &self.configured.settings);
        let (secret, from): (Secret, String) = match (&args.secret, settings.sources.get(&args.source)) {
            (Some(secret), _) => {
                let Ok(secret) = secret.parse();
                (secret, format!("the {word} that was given (--secret or HOOKBRIDGE_SECRET)"))
            }
            (None, Some(source)) => {
                let Some(secret) = source.verifier.load().first_secret().cloned() else {
                    return Ok((None, "no secret, since the source accepts events from anybody".to_owned()));
                };
                let Ok(credential) = sender_credential(&self.profile, secret.expose()).parse::<Secret>();
                if rule.method == Method::Ed25519 && credential.expose() == secret.expose() {
                    return Err(TargetError::PublicKey(args.source.clone()));
                }
                let variable = connect::secret_variable(&args.source);
                let of = match (variable, origin) {
                    (Some(variable), _) => format!("of {variable}"),
                    (None, SettingsOrigin::File { path, .. }) => {
                        format!("of sources.{} in {}", args.source, path.display())
                    }
                    (None, SettingsOrigin::Environment) if connect::names_sources() => {
                        format!("of sources.{} in the environment", args.source)
                    }
                    (None, SettingsOrigin::Environment | SettingsOrigin::Dev(_) | SettingsOrigin::Nothing) => {
                        "of `hookbridge dev`".to_owned()
                    }
                };
                (credential, format!("the {word} {of}"))
            }
            (None, None) => {
                // A file says who may send: a name that is not in it is most likely misspelled.
                if let SettingsOrigin::File { path, .. } = origin {
                    let known = settings.sources.keys().cloned().collect();
                    let (file, source_name) = (path.display().to_string(), args.source.clone());
                    return Err(TargetError::UnknownSource { file, source_name, known });
                }
                let Ok(secret) = demo_credential(&self.profile).parse();
                (secret, format!("the {word} of `hookbridge dev`"))
            }
        };
        match Signer::new(rule, &secret) {
            Ok(signer) => Ok((Some(signer), from)),
            Err(flaw) => Err(TargetError::Secret { from, flaw }),
        }
    }
}

/// Which of the `known` names is probably meant by `name`, or what else to do.
pub(super) fn meant(name: &str, known: &[String], remedy: &str) -> String {
    let meant = closest(name, known.iter().map(String::as_str));
    meant.map_or_else(|| remedy.to_owned(), |meant| format!("did you mean {meant}?"))
}

/// What is said where a `dev` has the address that a file in this folder names, so that its sources and secrets count.
fn in_place_of_file(configured: &Configured) -> Option<String> {
    let SettingsOrigin::Dev(dev) = &configured.origin else { return None };
    let address = dev.listens_at().filter(|_| !configured.no_file)?;
    let process = dev.process;
    Some(format!(
        "the `hookbridge dev` at {address} (process {process}) goes before {DEFAULT_FILE}; to send as {DEFAULT_FILE} says: --config {DEFAULT_FILE}"
    ))
}

/// The secrets are those of the bridge that is asked: of a `dev` that listens at the address, if there is one. Which address that is,
/// the configuration with its variables says; where the `dev` listens, it alone.
fn of_who_listens(args: &SendArgs, configured: Configured) -> Result<Configured, TargetError> {
    let url = match &args.url {
        Some(url) => Some(checked(url)?),
        None => url_of(&configured.settings),
    };
    let Some(port) = url.and_then(|url| port_here(&url)) else { return Ok(configured) };
    let found = RunningDev::all().into_iter().find_map(|dev| {
        dev.listens_at().filter(|address| address.port() == port)?;
        let settings = config::load(&dev.file).ok()?;
        Some((dev, settings))
    });
    Ok(match found {
        Some((dev, settings)) => Configured { settings, origin: SettingsOrigin::Dev(dev), ..configured },
        None => configured,
    })
}

/// The port of an address of this machine.
fn port_here(url: &str) -> Option<u16> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    url.port_or_known_default().filter(|_| is_here)
}

/// An address that somebody typed, without a slash at its end.
fn checked(given: &str) -> Result<String, TargetError> {
    let fail = |example: String| Err(TargetError::Url { given: showable::quoted(given), example });
    let bare = given.trim_end_matches('/');
    match Url::parse(bare) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => {
            if !url.username().is_empty() || url.password().is_some() {
                return Err(TargetError::UrlCredentials);
            }
            if url.query().is_some() || url.fragment().is_some() {
                return fail("http://127.0.0.1:8080, without `?` and `#`".to_owned());
            }
            Ok(bare.to_owned())
        }
        // `localhost:8080` has the scheme `localhost`.
        _ if !bare.is_empty()
            && !given.contains("://")
            && !given.contains('@')
            && Url::parse(&format!("http://{bare}")).is_ok() =>
        {
            fail(format!("http://{bare}"))
        }
        _ => fail("http://127.0.0.1:8080".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_told_with_one() {
        for (given, example) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost:8080", "http://localhost:8080"),
            ("bridge.example", "http://bridge.example"),
            ("", "http://127.0.0.1:8080"),
            ("ftp://x", "http://127.0.0.1:8080"),
            ("http://", "http://127.0.0.1:8080"),
        ] {
            let error = checked(given).unwrap_err().to_string();
            assert_eq!(error, format!("--url {given:?}: expected an address such as {example}"));
        }
        for given in ["http://u:s3cret@a", "u:s3cret@a", "http://a/?s3cret"] {
            let error = checked(given).unwrap_err().to_string();
            assert!(error.starts_with("--url") && !error.contains("s3cret"), "{error}");
        }
        assert_eq!(checked("https://a:1/x/").unwrap(), "https://a:1/x");
    }

    #[test]
    fn only_ports_of_this_machine_are_a_dev_s() {
        for (url, port) in [
            ("http://127.0.0.1:8080", Some(8080)),
            ("http://localhost", Some(80)),
            ("http://[::1]:7", Some(7)),
            ("https://bridge.example:8080", None),
        ] {
            assert_eq!(port_here(url), port, "{url}");
        }
    }
}
