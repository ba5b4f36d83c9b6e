//! `[sources.NAME]`: who may send, and what they prove themselves by.

use std::num::NonZeroU32;
use std::sync::Arc;

use arc_swap::ArcSwap;
use governor::{Quota, RateLimiter};
use http::HeaderName;

use super::resolve::{check_body_limit, or, topic_prefix};
use super::units::OneOrMany;
use super::{ConfigError, WrittenSource};
use crate::catalog::{Catalog, Method, Profile};
use crate::source::Source;
use crate::source::verify::Verifier;
use crate::values::secret::Secret;

/// A source's own keys, for its errors.
struct SourceKeys<'a>(&'a str);

impl SourceKeys<'_> {
    fn error(&self, key: &str, what: impl Into<String>) -> ConfigError {
        let what: String = what.into();
        ConfigError::key(format!("sources.{}{key}", self.0), what)
    }

    /// Secrets under `key`, of which none may be blank.
    fn secrets(&self, key: &str, written: OneOrMany) -> Result<Vec<Secret>, ConfigError> {
        let OneOrMany(secrets) = written;
        if secrets.is_empty() {
            return Err(self.error(&format!(".{key}"), "empty: expected at least one"));
        }
        match secrets.iter().position(|secret| secret.expose().trim().is_empty()) {
            Some(index) => Err(self.error(&format!(".{key}[{index}]"), "blank: expected a secret")),
            None => Ok(secrets),
        }
    }
}

impl WrittenSource {
    pub(super) fn resolve(
        mut self,
        name: &str,
        catalog: &Catalog,
        credential_headers: &Arc<[HeaderName]>,
        max_body_bytes: usize,
    ) -> Result<Source, ConfigError> {
        let keys = SourceKeys(name);
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
            let what =
                "expected a name of at most 64 lower-case letters, digits, `-` and `_`: it becomes part of the path";
            return Err(keys.error("", what));
        }
        let profile_name = or(self.profile.take(), name.to_owned());
        let Some(profile) = catalog.profiles.get(&profile_name) else {
            let known = catalog.profiles.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(keys.error(".profile", format!("unknown profile {profile_name:?}, expected one of {known}")));
        };
        let verifier = self.verifier(&keys, profile)?;
        let max_body_bytes = self.max_body_bytes.map_or(max_body_bytes, |text| text.0.0);
        check_body_limit(&format!("sources.{name}.max_body_bytes"), max_body_bytes)?;
        let rate_limit = match self.rate_limit.map(|text| NonZeroU32::new(text.0)) {
            None => None,
            Some(Some(per_second)) => Some(RateLimiter::direct(Quota::per_second(per_second))),
            Some(None) => {
                return Err(keys.error(".rate_limit", "must be at least 1: with 0 every request would be refused"));
            }
        };
        Ok(Source {
            name: name.to_owned(),
            topic_prefix: topic_prefix(&format!("sources.{name}.topic_prefix"), self.topic_prefix)?,
            verifier: ArcSwap::from_pointee(verifier),
            profile: Arc::clone(profile),
            credential_headers: Arc::clone(credential_headers),
            max_body_bytes,
            rate_limit,
            patience: self.patience.map(|text| text.0.0).or(profile.patience),
        })
    }

    /// Takes the secrets out, and makes of them what requests are held against.
    fn verifier(&mut self, keys: &SourceKeys<'_>, profile: &Profile) -> Result<Verifier, ConfigError> {
        let (secrets, tokens) = (self.secrets.take(), self.tokens.take());
        let (key, mine, other_key, other) = match profile.verification.method {
            Method::Token => ("tokens", tokens, "secrets", secrets),
            _ => ("secrets", secrets, "tokens", tokens),
        };
        if other.is_some() {
            let what = format!("not for this source: profile {} verifies by `{key}`", profile.name);
            return Err(keys.error(&format!(".{other_key}"), what));
        }
        let open = self.allow_unauthenticated.take().is_some_and(|text| text.0);
        let secrets = match (mine, open) {
            (Some(_), true) => {
                let what = format!("set allow_unauthenticated or {key}, not both");
                return Err(keys.error(".allow_unauthenticated", what));
            }
            (None, false) => {
                return Err(keys.error(&format!(".{key}"), "missing: set it, otherwise anyone could send events"));
            }
            (Some(secrets), false) => keys.secrets(key, secrets)?,
            (None, true) => Vec::new(),
        };
        let verifier = Verifier::new(&profile.verification, &secrets)
            .map_err(|(index, flaw)| keys.error(&format!(".{key}[{index}]"), flaw.to_string()))?;
        Ok(verifier.with_handshake_tokens(&self.handshake_tokens(keys, profile)?))
    }

    /// They are there if, and only if, the profile asks for them.
    fn handshake_tokens(&mut self, keys: &SourceKeys<'_>, profile: &Profile) -> Result<Vec<Secret>, ConfigError> {
        const KEY: &str = "handshake_tokens";
        match (self.handshake_tokens.take(), profile.asks_for_handshake_token()) {
            (Some(tokens), true) => keys.secrets(KEY, tokens),
            (None, false) => Ok(Vec::new()),
            (None, true) => {
                let what =
                    format!("missing: the vendor of profile {} sends it when it asks for an answer", profile.name);
                Err(keys.error(&format!(".{KEY}"), what))
            }
            (Some(_), false) => {
                let what = format!("not for this source: profile {} has no handshake with a token", profile.name);
                Err(keys.error(&format!(".{KEY}"), what))
            }
        }
    }
}
