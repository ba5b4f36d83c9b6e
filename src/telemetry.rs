//! Logs: one line per fact, on standard error; text on a terminal, JSON otherwise. Never a body, never a secret.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

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
    /// What is worth knowing, in the usual form.
    pub(crate) fn info() -> Self {
        Logging { filter: EnvFilter::new(filter("info")), format: Format::Auto }
    }
}

/// What to log at `level`. `object_store` tells each try that fails; here the outage is told, once.
pub(crate) fn filter(level: &str) -> &str {
    if level == "info" { "info,object_store=warn" } else { level }
}

/// Starts logging; a second call changes nothing.
pub(crate) fn init(logging: Logging) {
    let builder = fmt().with_env_filter(logging.filter).with_writer(io::stderr).with_target(false);
    let text = match logging.format {
        Format::Auto => io::stderr().is_terminal(),
        Format::Text => true,
        Format::Json => false,
    };
    // An error means that logging is set up already, which is what was wanted.
    let _ = if text {
        builder.with_ansi(io::stderr().is_terminal()).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
}
