//! `[sources.NAME]`: who may send, and what they prove themselves by.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::{Quota, RateLimiter};
use http::HeaderName;
use toml::Value;

use super::bounds::{body_limit, or, topic_prefix};
use super::fault::Faults;
use super::suspicious::foreign_reference;
use super::units::OneOrMany;
use super::weak_secret::{self, SHORTEST_HMAC, is_placeholder};
use super::written::WrittenSource;
use crate::catalog::{Catalog, Method, Profile, Verification, gallery};
use crate::source::Source;
use crate::source::verify::{Verifier, hmac_key_length};
use crate::values::secret::Secret;
use crate::values::similar::closest;

/// No sender repeats a delivery for longer.
const LONGEST_PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A source's own keys, for its faults.
struct SourceFaults<'a> {
    name: &'a str,
    faults: &'a mut Faults,
}

impl SourceFaults<'_> {
    fn key(&self, key: &str) -> String {
        format!("sources.{}.{key}", self.name)
    }

    fn add(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let key = self.key(key);
        self.faults.add_with(key, what, remedy);
    }

    /// Secrets under `key`, of which none may be blank, nor several in one text.
    fn secrets(&mut self, key: &str, written: OneOrMany) -> Vec<Secret> {
        let OneOrMany(secrets) = written;
        if secrets.is_empty() {
            self.add(key, "empty", "expected at least one");
        }
        let at = self.key(key);
        // As written: what a file holds is one secret, whatever is in it.
        let several = self.faults.written().raw(&at).and_then(Value::as_str).is_some_and(|text| text.contains(','));
        if several {
            let what = "one text with a comma, which may be one secret or several";
            self.add(key, what, "write a list: '[\"a\", \"b\"]' for two, or '[\"a,b\"]' if the comma belongs to it");
        }
        for (index, _) in secrets.iter().enumerate().filter(|(_, secret)| secret.expose().trim().is_empty()) {
            let is_list = self.faults.written().raw(&at).is_some_and(Value::is_array);
            let key = if is_list { format!("{key}[{index}]") } else { key.to_owned() };
            self.add(&key, "blank", "expected a secret");
        }
        secrets
    }
}

impl SourceFaults<'_> {
    /// Keys of an HMAC that are short; of placeholders and references more is said elsewhere.
    fn warn_of_short(&mut self, key: &str, rule: &Verification, secrets: &[Secret]) {
        let is_list = self.faults.written().raw(&self.key(key)).is_some_and(Value::is_array);
        let is_short = |secret: &Secret| {
            let length = hmac_key_length(rule, secret);
            length.is_some_and(|length| length < SHORTEST_HMAC)
                && !is_placeholder(secret.expose())
                && foreign_reference(secret.expose()).is_none()
        };
        for (index, _) in secrets.iter().enumerate().filter(|(_, secret)| is_short(secret)) {
            let key = self.key(&if is_list { format!("{key}[{index}]") } else { key.to_owned() });
            let raw = self.faults.written().raw(&key).and_then(Value::as_str).unwrap_or_default();
            let what = format!("is shorter than {SHORTEST_HMAC} bytes, so that it can be guessed");
            let (what, remedy) = weak_secret::explain(&key, raw, &what);
            self.faults.warn(&key, what, remedy);
        }
    }

    /// No header and no path can carry them, so no request would have such a token.
    fn refuse_control_characters(&mut self, key: &str, tokens: &[Secret]) {
        let is_list = self.faults.written().raw(&self.key(key)).is_some_and(Value::is_array);
        for (index, token) in tokens.iter().enumerate().filter(|(_, token)| !token.expose().trim().is_empty()) {
            if token.expose().contains(char::is_control) {
                let key = if is_list { format!("{key}[{index}]") } else { key.to_owned() };
                self.add(&key, "cannot be sent in a header", "look for a line end or a control character");
            }
        }
    }
}

/// `name` as a source may have it: in small letters, with dashes for what is not allowed.
pub(super) fn name_for(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c.to_ascii_lowercase() } else { '-' };
    name.chars().map(letter).collect()
}

/// It becomes part of a path.
pub(super) fn check_name(name: &str, faults: &mut Faults) {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        let what = format!("expected a name of at most 64 lower-case letters, digits, `-` and `_`, got {name:?}");
        let remedy = match name_for(name) {
            other if name.bytes().any(|b| b.is_ascii_alphanumeric()) && other.len() <= 64 => {
                format!("did you mean [sources.{other}]?")
            }
            _ => "it becomes part of the path /webhooks/NAME".to_owned(),
        };
        faults.insist(&format!("sources.{name}"), what, Some(remedy));
    }
}

impl WrittenSource {
    /// `None` if its profile does not exist.
    pub(super) fn resolve(
        mut self,
        name: &str,
        catalog: &Catalog,
        credential_headers: &Arc<[HeaderName]>,
        max_body_bytes: usize,
        faults: &mut Faults,
    ) -> Option<Source> {
        let key = |key: &str| format!("sources.{name}.{key}");
        let topic_prefix = topic_prefix(&key("topic_prefix"), self.topic_prefix.take(), faults);
        let limit = self.max_body_bytes.map_or(max_body_bytes, |text| text.0.0);
        let max_body_bytes = body_limit(&key("max_body_bytes"), limit, max_body_bytes, faults);
        let rate_limit = self.rate_limit.and_then(|text| NonZeroU32::new(text.0.0.unsigned_abs()));
        let patience = self.patience.map(|text| text.0.0);
        if patience.is_some_and(|time| time > LONGEST_PATIENCE) {
            faults.unfit(&key("patience"), "from 0 to 1 year");
        }
        let profile_name = or(self.profile.take(), name.to_ascii_lowercase());
        let Some(profile) = catalog.profiles.get(&profile_name) else {
            unknown_profile(name, &profile_name, catalog, faults);
            return None;
        };
        let verifier = self.verifier(&mut SourceFaults { name, faults }, profile)?;
        Some(Source {
            name: name.to_owned(),
            topic_prefix,
            verifier: ArcSwap::from_pointee(verifier),
            profile: Arc::clone(profile),
            credential_headers: Arc::clone(credential_headers),
            max_body_bytes,
            rate_limit: rate_limit.map(|per_second| RateLimiter::direct(Quota::per_second(per_second))),
            patience: patience.or(profile.patience),
        })
    }

    /// Takes the secrets out, and makes of them what requests are held against; `None` if they cannot be used.
    fn verifier(&mut self, keys: &mut SourceFaults<'_>, profile: &Profile) -> Option<Verifier> {
        let (secrets, tokens) = (self.secrets.take(), self.tokens.take());
        let (key, mine, other_key, other) = match profile.verification.method {
            Method::Token => ("tokens", tokens, "secrets", secrets),
            _ => ("secrets", secrets, "tokens", tokens),
        };
        if other.is_some() {
            let what = format!("not for this source: profile {} verifies by `{key}`", profile.name);
            keys.add(other_key, what, format!("use `{key}`"));
            // What is meant is there, by another name.
            let meant = keys.key(key);
            keys.faults.settle(meant);
        }
        let open = self.allow_unauthenticated.take().is_some_and(|text| text.0);
        let secrets = match (mine, open) {
            (Some(secrets), true) => {
                keys.add("allow_unauthenticated", format!("`{key}` is set, too"), "set one of the two, not both");
                keys.secrets(key, secrets)
            }
            (None, false) => {
                let missing = "missing: without it anyone could send events";
                keys.add(key, missing, format!("set {key} = [\"${{file:/path}}\"], with what the vendor shows"));
                Vec::new()
            }
            (Some(secrets), false) => keys.secrets(key, secrets),
            (None, true) => Vec::new(),
        };
        let handshake_tokens = self.handshake_tokens(keys, profile);
        if profile.verification.method == Method::Token {
            keys.refuse_control_characters(key, &secrets);
        }
        keys.warn_of_short(key, &profile.verification, &secrets);
        match Verifier::new(&profile.verification, &secrets) {
            Ok(verifier) => Some(verifier.with_handshake_tokens(&handshake_tokens)),
            Err((index, flaw)) => {
                let at = keys.key(&format!("{key}[{index}]"));
                keys.faults.add(at, flaw.to_string());
                None
            }
        }
    }

    /// They are there if, and only if, the profile asks for them.
    fn handshake_tokens(&mut self, keys: &mut SourceFaults<'_>, profile: &Profile) -> Vec<Secret> {
        const KEY: &str = "handshake_tokens";
        match (self.handshake_tokens.take(), profile.asks_for_handshake_token()) {
            (Some(tokens), true) => return keys.secrets(KEY, tokens),
            (None, false) => {}
            (None, true) => {
                let what =
                    format!("missing: the vendor of profile {} sends it when it asks for an answer", profile.name);
                keys.add(KEY, what, "set it to the verify token that you gave the vendor");
            }
            (Some(_), false) => {
                let what = format!("not for this source: profile {} has no handshake with a token", profile.name);
                keys.add(KEY, what, "remove it");
            }
        }
        Vec::new()
    }
}

fn unknown_profile(name: &str, profile: &str, catalog: &Catalog, faults: &mut Faults) {
    let known = || catalog.profiles.keys().map(String::as_str);
    let listed = known().collect::<Vec<_>>().join(", ");
    let key = format!("sources.{name}.profile");
    // Without the key it is the source's own name.
    let shown = if faults.written().raw(&key).is_some() {
        faults.written().part(&key, profile)
    } else {
        format!("{profile:?}")
    };
    let what = format!("unknown profile {shown}, expected one of {listed}");
    let remedy = match closest(profile, known()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None if gallery().contains_key(profile) => {
            format!("`hookbridge init --vendor {profile}` writes this profile into a folder for catalog.dir")
        }
        None => "set it to one of these, or add the profile to catalog.dir".to_owned(),
    };
    faults.add_with(key, what, remedy);
}
