//! `[tracing]`: where spans are told, and of how many deliveries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use serde::Deserialize;

use super::ConfigError;
use super::address::AddressRule;
use super::resolve::flatten;
use super::units::{Period, Text};

/// What is appended to the endpoint, as OTLP has it.
const TRACES_PATH: &str = "/v1/traces";
/// A collector that takes longer is not to be waited for.
const LONGEST: Duration = Duration::from_secs(60);

/// As written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenTracing {
    otlp_endpoint: Option<Text<String>>,
    otlp_headers: toml::Table,
    otlp_ca_file: Option<Text<String>>,
    otlp_timeout: Option<Text<Period>>,
    /// The one key that may be a fraction.
    sample_ratio: Option<toml::Value>,
    service_name: Option<Text<String>>,
}

/// `[tracing]`, where it names a collector.
#[derive(Debug)]
pub(crate) struct TracingSettings {
    /// With the path of traces.
    pub(crate) url: Url,
    /// Sent with every request; marked as sensitive, so that `Debug` hides them.
    pub(crate) headers: HeaderMap,
    /// PEM, in addition to the system's authorities.
    pub(crate) ca_file: Option<PathBuf>,
    /// For one request.
    pub(crate) timeout: Duration,
    /// Of the deliveries whose sender has not decided.
    pub(crate) sample_ratio: f64,
    pub(crate) service_name: String,
}

impl WrittenTracing {
    pub(super) fn resolve(self) -> Result<Option<TracingSettings>, ConfigError> {
        let Some(Text(endpoint)) = self.otlp_endpoint else {
            for (key, set) in [
                ("otlp_headers", !self.otlp_headers.is_empty()),
                ("otlp_ca_file", self.otlp_ca_file.is_some()),
                ("otlp_timeout", self.otlp_timeout.is_some()),
                ("sample_ratio", self.sample_ratio.is_some()),
                ("service_name", self.service_name.is_some()),
            ] {
                if set {
                    return Err(fail(key, "has no effect without tracing.otlp_endpoint: set that, or remove this"));
                }
            }
            return Ok(None);
        };
        let timeout = self.otlp_timeout.map_or(Duration::from_secs(5), |text| text.0.0);
        if timeout.is_zero() || timeout > LONGEST {
            return Err(fail("otlp_timeout", "must be from 1 ms to 1 minute"));
        }
        let service_name = self.service_name.map_or_else(|| "hookbridge".to_owned(), |text| text.0);
        if service_name.trim().is_empty() {
            return Err(fail("service_name", "blank: expected a name"));
        }
        Ok(Some(TracingSettings {
            url: url(&endpoint)?,
            headers: headers(&self.otlp_headers)?,
            ca_file: self.otlp_ca_file.map(|path| path.0.into()),
            timeout,
            sample_ratio: ratio(self.sample_ratio.as_ref())?,
            service_name,
        }))
    }
}

fn fail(key: &str, what: &str) -> ConfigError {
    ConfigError::key(format!("tracing.{key}"), what)
}

const ENDPOINT: AddressRule = AddressRule {
    key: "tracing.otlp_endpoint",
    schemes: &["http", "https"],
    expected: "expected an http:// or https:// address, such as \"http://localhost:4318\"",
    no_credentials: "must not hold credentials, since it is shown: use tracing.otlp_headers",
    no_query: "must not have a `?` or `#`",
};

fn url(endpoint: &str) -> Result<Url, ConfigError> {
    let fail = |what| Err(fail("otlp_endpoint", what));
    let endpoint = endpoint.trim_end_matches('/');
    ENDPOINT.parse(endpoint)?;
    if endpoint.ends_with(TRACES_PATH) {
        return fail("must not end in /v1/traces, which hookbridge appends");
    }
    Url::parse(&format!("{endpoint}{TRACES_PATH}")).or_else(|_| fail("not an address that a path can be appended to"))
}

fn headers(written: &toml::Table) -> Result<HeaderMap, ConfigError> {
    let mut texts = BTreeMap::new();
    flatten("tracing.otlp_headers", "", written, &mut texts)?;
    let mut headers = HeaderMap::new();
    for (name, secret) in texts {
        let fail = |what| Err(fail(&format!("otlp_headers.{name}"), what));
        let Ok(parsed) = HeaderName::try_from(&name) else { return fail("not a valid header name") };
        if [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::HOST].contains(&parsed) {
            return fail("must not be set: hookbridge sets this header");
        }
        let Ok(mut value) = HeaderValue::from_str(secret.expose()) else { return fail("not a valid header value") };
        value.set_sensitive(true);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

fn ratio(written: Option<&toml::Value>) -> Result<f64, ConfigError> {
    let ratio = match written {
        None => Some(1.0),
        Some(toml::Value::Float(ratio)) => Some(*ratio),
        Some(toml::Value::Integer(whole)) => Some(*whole as f64),
        // As the environment has it.
        Some(toml::Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    ratio.filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(|| fail("sample_ratio", "must be from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<TracingSettings>, String> {
        let written: WrittenTracing = toml::from_str(text).map_err(|e| e.to_string())?;
        written.resolve().map_err(|e| e.to_string())
    }

    #[test]
    fn without_an_endpoint_there_is_no_tracing_and_nothing_else_may_be_set() {
        assert!(read("").unwrap().is_none());
        for key in [
            "service_name = \"a\"",
            "sample_ratio = 1",
            "otlp_timeout = 1",
            "otlp_ca_file = \"a\"",
            "otlp_headers.a = 1",
        ] {
            let words = read(key).unwrap_err();
            assert!(words.contains("has no effect without tracing.otlp_endpoint"), "{words}");
        }
    }

    #[test]
    fn an_endpoint_is_enough() {
        for endpoint in ["http://localhost:4318", "http://localhost:4318/"] {
            let settings = read(&format!("otlp_endpoint = \"{endpoint}\"")).unwrap().unwrap();
            assert_eq!(settings.url.as_str(), "http://localhost:4318/v1/traces");
            assert_eq!((settings.sample_ratio, settings.service_name.as_str()), (1.0, "hookbridge"));
        }
        let settings = read("otlp_endpoint = \"https://a.example/otlp\"\nsample_ratio = \"0.25\"").unwrap().unwrap();
        assert_eq!((settings.url.as_str(), settings.sample_ratio), ("https://a.example/otlp/v1/traces", 0.25));
    }

    #[test]
    fn the_values_of_headers_are_hidden() {
        let headers = "otlp_headers = { Authorization = \"Bearer s3cret\", x-tenant = 7 }";
        let settings = read(&format!("otlp_endpoint = \"http://a\"\n{headers}")).unwrap().unwrap();
        assert_eq!(settings.headers["authorization"], "Bearer s3cret");
        assert_eq!(settings.headers["x-tenant"], "7");
        assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_name_of_its_key() {
        for (text, expected) in [
            ("otlp_endpoint = \"localhost:4318\"", "tracing.otlp_endpoint: expected an http://"),
            ("otlp_endpoint = \"http://u:s3cret@a\"", "tracing.otlp_endpoint: must not hold credentials"),
            ("otlp_endpoint = \"http://a/?s3cret\"", "tracing.otlp_endpoint: must not have a `?`"),
            ("otlp_endpoint = \"http://a/v1/traces\"", "tracing.otlp_endpoint: must not end in /v1/traces"),
            ("otlp_timeout = 0", "tracing.otlp_timeout: must be from"),
            ("otlp_timeout = \"2m\"", "tracing.otlp_timeout: must be from"),
            ("sample_ratio = 1.5", "tracing.sample_ratio: must be from"),
            ("sample_ratio = nan", "tracing.sample_ratio: must be from"),
            ("sample_ratio = \"all\"", "tracing.sample_ratio: must be from"),
            ("service_name = \" \"", "tracing.service_name: blank"),
            ("otlp_headers = { \"a b\" = \"s3cret\" }", "tracing.otlp_headers.a b: not a valid header name"),
            ("otlp_headers = { a = \"s3cret\\n\" }", "tracing.otlp_headers.a: not a valid header value"),
            ("otlp_headers = { a = [\"s3cret\"] }", "tracing.otlp_headers.a: expected a single value"),
            ("otlp_headers = { content-type = \"s3cret\" }", "tracing.otlp_headers.content-type: must not be set"),
        ] {
            let endpoint = if text.starts_with("otlp_endpoint") { "" } else { "otlp_endpoint = \"http://a\"\n" };
            let words = read(&format!("{endpoint}{text}")).unwrap_err();
            assert!(words.starts_with(expected) && !words.contains("s3cret"), "{words}");
        }
    }
}
