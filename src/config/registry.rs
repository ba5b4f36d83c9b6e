//! `[registry]`: where schemas are registered.

use std::time::Duration;

use http::HeaderValue;

use super::address::AddressRule;
use super::bounds::{bounded, or, period};
use super::fault::Faults;
use super::units::{Choice, Period, Text};
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
        let time = |key: &str, written, default: u64, faults: &mut Faults| {
            let default = Duration::from_secs(default);
            let fits = |time: &Period| !time.0.is_zero();
            bounded(key, Period(period(written, default)), Period(default), fits, "longer than 0", faults).0
        };
        RegistrySettings {
            url: url(self.url, faults),
            mode: or(self.mode, Choice::default()).0,
            auth,
            ca_file: self.ca_file.map(|path| path.0.into()),
            timeout: time("registry.timeout", self.timeout, 5, faults),
            verify_interval: time("registry.verify_interval", self.verify_interval, 30, faults),
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
