//! `[tracing]`: where spans are told, and of how many deliveries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::AddressRule;
use super::bounds::{bounded, flatten, or, period};
use super::fault::Faults;
use super::units::{Period, Text, fractions, properties};
use super::{ConfigError, Written};
use crate::values::secret::Secret;

/// What is appended to the endpoint, as OTLP has it.
const TRACES_PATH: &str = "/v1/traces";
/// A collector that takes longer is not to be waited for.
const LONGEST: Duration = Duration::from_secs(60);

/// As written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenTracing {
    /// Collector for spans, by OTLP over HTTP; /v1/traces is appended. Without it tracing is off.
    otlp_endpoint: Option<Text<String>>,
    /// Headers of every request, to authenticate.
    #[schemars(schema_with = "properties")]
    otlp_headers: toml::Table,
    /// Certificate authorities in PEM, in addition to the system's.
    otlp_ca_file: Option<Text<String>>,
    /// Timeout of one request, up to 1 minute. Default: "5s".
    otlp_timeout: Option<Text<Period>>,
    /// Share of deliveries to trace, from 0 to 1. Default: 1.0.
    #[schemars(schema_with = "fractions")]
    sample_ratio: Option<toml::Value>,
    /// Service name of the spans. Default: "hookbridge".
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
    /// `None` without a collector.
    pub(super) fn resolve(self, faults: &mut Faults) -> Option<TracingSettings> {
        let Some(Text(endpoint)) = self.otlp_endpoint else {
            for (key, set) in [
                ("otlp_headers", !self.otlp_headers.is_empty()),
                ("otlp_ca_file", self.otlp_ca_file.is_some()),
                ("otlp_timeout", self.otlp_timeout.is_some()),
                ("sample_ratio", self.sample_ratio.is_some()),
                ("service_name", self.service_name.is_some()),
            ] {
                if set && !faults.has("tracing.otlp_endpoint") {
                    let what = "has no effect without tracing.otlp_endpoint";
                    faults.add_with(format!("tracing.{key}"), what, "set that, or remove this");
                }
            }
            return None;
        };
        let default = Duration::from_secs(5);
        let timeout = bounded(
            "tracing.otlp_timeout",
            Period(period(self.otlp_timeout, default)),
            Period(default),
            |time| (Duration::from_millis(1)..=LONGEST).contains(&time.0),
            "from 1 ms to 1 minute",
            faults,
        );
        let service_name = or(self.service_name, "hookbridge".to_owned());
        if service_name.trim().is_empty() {
            faults.add("tracing.service_name", "blank: expected a name");
        }
        let mut texts = BTreeMap::new();
        flatten("tracing.otlp_headers", "", &self.otlp_headers, &mut texts, faults);
        let headers = headers(texts);
        let headers = faults.or(headers, HeaderMap::new());
        let sample_ratio = ratio(self.sample_ratio.as_ref()).unwrap_or_else(|| {
            faults.unfit("tracing.sample_ratio", "a number from 0 to 1");
            1.0
        });
        let ca_file = self.otlp_ca_file.map(|path| path.0.into());
        match url(&endpoint, faults.written()) {
            Ok(url) => Some(TracingSettings { url, headers, ca_file, timeout: timeout.0, sample_ratio, service_name }),
            Err(error) => {
                faults.take(error);
                None
            }
        }
    }
}

fn fail(key: &str, what: &str) -> ConfigError {
    ConfigError::key(format!("tracing.{key}"), what)
}

const ENDPOINT: AddressRule<'_> = AddressRule {
    key: "tracing.otlp_endpoint",
    schemes: &["http", "https"],
    expected: "an http:// or https:// address, such as \"http://localhost:4318\"",
    no_credentials: Some("must not hold credentials, since it is shown: use tracing.otlp_headers"),
    no_query: Some("must not have a `?` or `#`"),
};

fn url(endpoint: &str, written: &Written) -> Result<Url, ConfigError> {
    let fail = |what| Err(fail("otlp_endpoint", what));
    let endpoint = endpoint.trim_end_matches('/');
    ENDPOINT.parse(endpoint, written)?;
    if endpoint.ends_with(TRACES_PATH) {
        return fail("must not end in /v1/traces, which hookbridge appends");
    }
    Url::parse(&format!("{endpoint}{TRACES_PATH}")).or_else(|_| fail("not an address that a path can be appended to"))
}

fn headers(texts: BTreeMap<String, Secret>) -> Result<HeaderMap, ConfigError> {
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

fn ratio(written: Option<&toml::Value>) -> Option<f64> {
    let ratio = match written {
        None => Some(1.0),
        Some(toml::Value::Float(ratio)) => Some(*ratio),
        Some(toml::Value::Integer(whole)) => Some(*whole as f64),
        // As the environment has it.
        Some(toml::Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    ratio.filter(|ratio| (0.0..=1.0).contains(ratio))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFault;

    fn read(text: &str) -> Result<Option<TracingSettings>, String> {
        let written: WrittenTracing = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut faults = Faults::new(Written::default());
        let resolved = written.resolve(&mut faults);
        let words = |fault: &ConfigFault| format!("{}: {}", fault.place.key, fault.what);
        faults.end(Some(resolved)).map_err(|e| e.faults().iter().map(words).collect())
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
            ("otlp_timeout = 0", "tracing.otlp_timeout: expected from"),
            ("otlp_timeout = \"2m\"", "tracing.otlp_timeout: expected from"),
            ("sample_ratio = 1.5", "tracing.sample_ratio: expected a number from"),
            ("sample_ratio = nan", "tracing.sample_ratio: expected a number from"),
            ("sample_ratio = \"all\"", "tracing.sample_ratio: expected a number from"),
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
