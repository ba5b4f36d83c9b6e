//! `hookbridge health`: asks a running bridge how it is, for health checks where there is no `curl`.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;

use super::listening::here;
use super::{Ending, fail, fail_config, on_runtime};
use crate::config;

const HELP: &str = "\
Asks the bridge on this machine, at admin.listen of the configuration, for /livez. Prints nothing when
all is well. It does not contact Kafka or the registry, and locks nothing.

Examples:
  hookbridge health --config /etc/hookbridge.toml           is it running?
  hookbridge health --ready --config /etc/hookbridge.toml   could it accept an event now?

Exit codes: 0 yes, 1 no, or no answer in time, 64 wrong usage, 78 configuration.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct HealthArgs {
    /// Ask for /readyz instead
    #[arg(long)]
    ready: bool,
    /// How long to wait for the answer
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub(super) fn run(args: &HealthArgs, file: &Path) -> Ending {
    let settings = match config::load(file) {
        Ok(settings) => settings,
        Err(error) => return fail_config(&error),
    };
    let path = if args.ready { "/readyz" } else { "/livez" };
    let url = format!("http://{}{path}", here(settings.admin_listen));
    match on_runtime(ask(&url, args.timeout)) {
        Ok(Ok(())) => Ending::Well,
        Ok(Err(error)) => fail(&format!("{url}: {error}"), Ending::Findings),
        Err(ending) => ending,
    }
}

/// Why it is not well.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("{0}")]
    Client(reqwest::Error),
    #[error("no answer in time")]
    TooSlow,
    #[error("no answer")]
    NoAnswer,
    #[error("{0}")]
    Status(StatusCode),
}

async fn ask(url: &str, timeout: Duration) -> Result<(), HealthError> {
    let client = reqwest::Client::builder().no_proxy().timeout(timeout).build().map_err(HealthError::Client)?;
    let no_answer = |e: reqwest::Error| if e.is_timeout() { HealthError::TooSlow } else { HealthError::NoAnswer };
    let answer = client.get(url).send().await.map_err(no_answer)?;
    if answer.status().is_success() { Ok(()) } else { Err(HealthError::Status(answer.status())) }
}
