//! A client of S3, made of `media.options`. Every option that is none, or has a value that it cannot have, is found at once.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientConfigKey, ClientOptions, RetryConfig};

use super::bounded::Bounded;
use super::signing::Signing;
use crate::config::ConfigError;
use crate::outbound::is_in_clear;
use crate::values::secret::Secret;
use crate::values::similar::closest;

/// The spool is the one to try for longer.
const RETRIES: usize = 2;
/// As much of an error as a log line can bear: S3 answers with a page of XML.
const LONGEST_ERROR: usize = 400;
/// Options that people set, to recognise slips.
const USUAL_OPTIONS: [&str; 8] = [
    "access_key_id",
    "secret_access_key",
    "session_token",
    "region",
    "endpoint",
    "allow_http",
    "virtual_hosted_style_request",
    "web_identity_token_file",
];

/// An option by its key.
type KnownOption<'a> = (&'a str, AmazonS3ConfigKey, &'a str);

/// # Errors
/// When options do not exist, do not fit their keys, or do not fit each other.
pub(super) fn client(bucket: &str, options: &BTreeMap<String, Secret>) -> Result<AmazonS3, ConfigError> {
    let (mut known, mut faults) = (Vec::new(), Vec::new());
    for (name, value) in options {
        match key_of(name) {
            Ok(key) => known.push((name.as_str(), key, value.expose())),
            Err(error) => faults.push(error),
        }
    }
    faults.extend(half_of_a_pair(&known));
    // Any value may have come under a wrong key.
    let all: Vec<_> = options.values().cloned().collect();
    let built = builder(bucket, &known).build().map_err(|error| {
        let alone: Vec<_> = known.iter().filter_map(|option| misfit(bucket, option, &all)).collect();
        // The rest may be about a key that is named already.
        if alone.is_empty() && faults.is_empty() {
            vec![ConfigError::key("media.options", words(&error, &all))]
        } else {
            alone
        }
    });
    match built {
        Ok(client) if faults.is_empty() => Ok(client),
        Ok(_) => Err(all_of(faults)),
        Err(misfits) => Err(all_of(faults.into_iter().chain(misfits))),
    }
}

fn all_of(errors: impl IntoIterator<Item = ConfigError>) -> ConfigError {
    let all = errors.into_iter().reduce(ConfigError::and);
    all.unwrap_or_else(|| ConfigError::key("media.options", "not usable"))
}

fn builder(bucket: &str, options: &[KnownOption<'_>]) -> AmazonS3Builder {
    let builder = AmazonS3Builder::new()
        // Who keeps a file says until when; a limit for each request would only make large ones impossible.
        .with_client_options(ClientOptions::new().with_timeout_disabled())
        .with_bucket_name(bucket)
        .with_crypto_provider(Arc::new(Signing))
        .with_http_connector(Bounded)
        .with_retry(RetryConfig { max_retries: RETRIES, ..RetryConfig::default() });
    options.iter().fold(builder, |builder, &(_, key, value)| {
        // Who writes such an address has decided that nothing need be hidden.
        let is_in_clear = key == AmazonS3ConfigKey::Endpoint && is_in_clear(value);
        let allowed = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
        let builder = if is_in_clear { builder.with_config(allowed, "true") } else { builder };
        builder.with_config(key, value)
    })
}

fn place(name: &str) -> String {
    format!("media.options.{name}")
}

fn key_of(name: &str) -> Result<AmazonS3ConfigKey, ConfigError> {
    let lower = name.to_ascii_lowercase();
    let Ok(key) = lower.parse() else {
        let error = ConfigError::key(place(name), "unknown option");
        return Err(match closest(&lower, USUAL_OPTIONS) {
            Some(meant) => error.or_remedy(&format!("did you mean `{meant}`?")),
            None => error.or_remedy("expected one such as access_key_id, secret_access_key, region or endpoint"),
        });
    };
    match key {
        AmazonS3ConfigKey::Bucket => {
            let error = ConfigError::key(place(name), "must not be set: media.url names the bucket");
            Err(error.or_remedy("remove it"))
        }
        key => Ok(key),
    }
}

/// One half of a pair of keys, unless the other is there under a name with a slip.
fn half_of_a_pair(known: &[KnownOption<'_>]) -> Option<ConfigError> {
    let name_of = |wanted: AmazonS3ConfigKey| known.iter().find(|(_, key, _)| *key == wanted).map(|(name, ..)| *name);
    let (id, secret) = (name_of(AmazonS3ConfigKey::AccessKeyId), name_of(AmazonS3ConfigKey::SecretAccessKey));
    let (missing, set) = match (id, secret) {
        (Some(set), None) => ("secret_access_key", set),
        (None, Some(set)) => ("access_key_id", set),
        _ => return None,
    };
    let what = format!("missing, but media.options.{set} is set");
    Some(ConfigError::key(place(missing), what).or_remedy("set both or neither"))
}

/// That an option does not fit its key, whatever the others are.
fn misfit(bucket: &str, option: &KnownOption<'_>, all: &[Secret]) -> Option<ConfigError> {
    let &(name, key, value) = option;
    let mut options = vec![("", AmazonS3ConfigKey::AccessKeyId, "-"), ("", AmazonS3ConfigKey::SecretAccessKey, "-")];
    match key {
        // It belongs to credentials that have no keys.
        AmazonS3ConfigKey::ImdsV1Fallback => options.clear(),
        // They fit, or do not fit, each other.
        AmazonS3ConfigKey::Encryption(_) => return None,
        _ => {}
    }
    options.push((name, key, value));
    let error = builder(bucket, &options).build().err()?;
    let said = error.to_string();
    let what = match said.rsplit_once("\" as ").map(|(_, kind)| kind) {
        Some("boolean") => "expected true or false".to_owned(),
        Some("Duration") => "expected a duration such as \"5s\"".to_owned(),
        Some("usize" | "u32") => "expected a whole number".to_owned(),
        _ => words(&error, all),
    };
    Some(ConfigError::key(place(name), what))
}

/// The error with its innermost cause, without secrets.
pub(super) fn words(error: &object_store::Error, secrets: &[Secret]) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    if let Some(cause) = cause.map(ToString::to_string).filter(|cause| !words.contains(cause)) {
        words = format!("{words}: {cause}");
    }
    for secret in secrets.iter().filter(|secret| !secret.expose().is_empty()) {
        words = words.replace(secret.expose(), "[hidden]");
    }
    match words.char_indices().nth(LONGEST_ERROR) {
        Some((at, _)) => format!("{}…", &words[..at]),
        None => words,
    }
}
