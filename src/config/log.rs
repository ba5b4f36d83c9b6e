//! `[log]`: what is logged, and in which form.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::ConfigError;
use super::resolve::{choice, or};
use super::units::Text;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenLog {
    level: Option<Text<String>>,
    format: Option<Text<String>>,
}

/// What log lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    Text,
    Json,
}

/// `[log]`
#[derive(Debug, Default)]
pub(crate) struct Logging {
    pub(crate) filter: EnvFilter,
    pub(crate) format: Format,
}

impl Logging {
    /// What is worth knowing, in the usual form, without what the module at `path` has to say.
    pub(crate) fn info_without(path: &str) -> Self {
        Logging { filter: EnvFilter::new(format!("{},{path}=off", filter("info"))), format: Format::Auto }
    }
}

/// What to log at `level`. `object_store` tells each try that fails; here the outage is told, once.
fn filter(level: &str) -> &str {
    if level == "info" { "info,object_store=warn" } else { level }
}

impl WrittenLog {
    pub(super) fn resolve(self) -> Result<Logging, ConfigError> {
        let level = or(self.level, "info".to_owned());
        let known = ["off", "error", "warn", "info", "debug", "trace"];
        // A word that is no level would pass for the name of a module, and nothing would be logged.
        if let Some(word) = level.split(',').find(|word| !word.contains('=') && !known.contains(&word.trim())) {
            return Err(ConfigError::key("log.level", format!("got {word:?}, expected one of {}", known.join(", "))));
        }
        let filter = EnvFilter::try_new(filter(&level));
        let filter = filter.map_err(|e| ConfigError::key("log.level", format!("{level:?}: {e}")))?;
        let formats = [("auto", Format::Auto), ("text", Format::Text), ("json", Format::Json)];
        Ok(Logging { filter, format: choice("log.format", self.format, &formats)? })
    }
}
