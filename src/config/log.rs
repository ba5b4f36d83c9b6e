//! `[log]`: what is logged, and in which form.

use schemars::JsonSchema;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::bounds::or;
use super::fault::Faults;
use super::units::{Choice, Text, Words};
use crate::values::similar::closest;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenLog {
    /// off, error, warn, info, debug, trace; or a filter such as "info,hookbridge=debug". Default: "info".
    level: Option<Text<String>>,
    /// "auto" is text on a terminal, JSON otherwise. Default: "auto".
    format: Option<Text<Choice<Format>>>,
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

impl Words for Format {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Format::Auto), ("text", Format::Text), ("json", Format::Json)];
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

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl WrittenLog {
    pub(super) fn resolve(self, faults: &mut Faults) -> Logging {
        let level = or(self.level, "info".to_owned());
        let format = or(self.format, Choice::default()).0;
        // A word that is no level would pass for the name of a module, and nothing would be logged.
        let of_directive =
            |directive: &str| directive.rsplit_once('=').map_or(directive, |(_, level)| level).trim().to_owned();
        if let Some(word) = level.split(',').map(of_directive).find(|word| !LEVELS.contains(&word.as_str())) {
            let shown = faults.written().part("log.level", &word);
            let what = format!("expected one of {}, got {shown}", LEVELS.join(", "));
            match closest(&word, LEVELS) {
                Some(meant) => faults.add_with("log.level", what, format!("did you mean {meant:?}?")),
                None => faults.add("log.level", what),
            }
            return Logging { filter: EnvFilter::new(filter("info")), format };
        }
        match EnvFilter::try_new(filter(&level)) {
            Ok(filter) => Logging { filter, format },
            Err(error) => {
                drop(error);
                faults.unfit("log.level", "a level, or a filter such as \"info,hookbridge=debug\"");
                Logging { filter: EnvFilter::new(filter("info")), format }
            }
        }
    }
}
