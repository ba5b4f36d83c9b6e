//! `[registry]`: where schemas are registered.

use std::time::Duration;

use http::HeaderValue;

use super::address::AddressRule;
use super::bounds::{or, wait};
use super::fault::Faults;
use super::units::{Choice, Text};
use super::written::WrittenRegistry;
use super::{RegistryAuth, RegistrySettings};
use crate::values::secret::Secret;

const REGISTRY_URL: AddressRule<'_> = AddressRule {
    key: "registry.url",
    schemes: &["http", "https"],
    expected: "an http:// or https:// address",
    no_credentials: Some("must not hold credentials, since it is shown: use registry.username and registry.password"),
    no_query: Some("must not have a `?` or `#`"),
};

/// What `registry.url` is while it is not usable.
const NO_URL: &str = "http://registry.invalid";

impl WrittenRegistry {
    pub(super) fn resolve(self, faults: &mut Faults) -> RegistrySettings {
        let auth = auth(self.username, self.password, self.token, faults);
        RegistrySettings {
            url: url(self.url, faults),
            mode: or(self.mode, Choice::default()).0,
            auth,
            ca_file: self.ca_file.map(|path| path.0.into()),
            timeout: wait("registry.timeout", self.timeout, Duration::from_secs(5), faults),
            verify_interval: wait("registry.verify_interval", self.verify_interval, Duration::from_secs(30), faults),
        }
    }
}

fn url(written: Option<Text<String>>, faults: &mut Faults) -> String {
    let url = or(written, String::new());
    if url.is_empty() {
        faults.missing(REGISTRY_URL.key, "http://localhost:8081");
        return NO_URL.to_owned();
    }
    match REGISTRY_URL.parse(&url, faults.written()) {
        Ok(_) => url.trim_end_matches('/').to_owned(),
        Err(error) => {
            faults.take(error);
            NO_URL.to_owned()
        }
    }
}

fn auth(
    username: Option<Text<String>>,
    password: Option<Text<Secret>>,
    token: Option<Text<Secret>>,
    faults: &mut Faults,
) -> RegistryAuth {
    let mut refuse = |key: &str, what: &str, remedy: &str| {
        faults.add_with(key, what, remedy);
        RegistryAuth::None
    };
    match (username, password, token) {
        (None, None, None) => RegistryAuth::None,
        (Some(username), Some(password), None) if username.0.contains(':') => {
            drop(password);
            refuse("registry.username", "must not have a colon", "basic authentication separates the password by it")
        }
        (Some(Text(username)), Some(Text(password)), None) => RegistryAuth::Basic { username, password },
        (Some(_), None, None) => {
            refuse("registry.password", "missing, but registry.username is set", "set both or neither")
        }
        (None, None, Some(Text(token))) if HeaderValue::try_from(token.expose()).is_err() => {
            refuse("registry.token", "cannot be sent in a header", "look for a line end or a control character")
        }
        (None, None, Some(Text(token))) => RegistryAuth::Bearer(token),
        (None, Some(_), None) => {
            refuse("registry.username", "missing, but registry.password is set", "set both or neither")
        }
        (_, _, Some(_)) => refuse(
            "registry.token",
            "registry.username or registry.password is set, too",
            "set registry.token, or the other two, not both",
        ),
    }
}
