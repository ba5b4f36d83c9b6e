//! The service that a team would write by hand, `benches/rivals/go`: built here, and started as a contender.

use std::path::{Path, PathBuf};
use std::process::Command;

use hookbridge::bench::SECRET;

use crate::support::java::test_servers;

/// The event type that it takes.
pub(crate) const EVENT_TYPE: &str = "lead.stage_changed";

/// The topics that it writes to: of the events, and of the last states.
pub(crate) const TOPICS: [&str; 2] = ["wegly.lead", "wegly.lead-latest"];

/// Builds it; or says what is missing.
pub(crate) fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rivals/go");
    let program = test_servers().with_file_name("rivals").join("go");
    let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(".").current_dir(source).status();
    match built {
        Ok(status) if status.success() => Ok(program),
        Ok(status) => Err(format!("go build: {status}")),
        Err(error) => Err(format!("go: {error}")),
    }
}

/// What it is told.
pub(crate) struct Rival {
    pub(crate) program: PathBuf,
    pub(crate) kafka: String,
    pub(crate) registry: String,
    /// Of its topics.
    pub(crate) prefix: String,
    /// Of the topics whose schemas it uses.
    pub(crate) schemas: String,
    /// Of each event: 1, or 2 with the last state.
    pub(crate) records: usize,
}

impl Rival {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("KAFKA", &self.kafka).env("REGISTRY", &self.registry).env("SECRET", SECRET);
        command.env("PREFIX", &self.prefix).env("SCHEMAS", &self.schemas).env("RECORDS", self.records.to_string());
        command.env("LISTEN", "127.0.0.1:0");
        command
    }
}
