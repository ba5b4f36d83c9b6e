//! What `check` came upon: one line per finding, then one verdict; or all of it as one JSON document.

use serde_json::{Value, json};

use crate::cli::{Ending, print};
use crate::config::{ConfigError, ConfigFault, FaultPlace, Written};
use crate::values::amount::counted;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckLevel {
    Ok,
    /// To be looked at; does not change the verdict.
    Warn,
    Fail,
    /// A server that cannot be reached.
    Down,
}

impl CheckLevel {
    /// As lines begin.
    fn word(self) -> &'static str {
        match self {
            CheckLevel::Ok => "ok    ",
            CheckLevel::Warn => "warn  ",
            CheckLevel::Fail => "FAIL  ",
            CheckLevel::Down => "DOWN  ",
        }
    }

    /// As JSON has it.
    fn name(self) -> &'static str {
        match self {
            CheckLevel::Ok => "ok",
            CheckLevel::Warn => "warn",
            CheckLevel::Fail => "fail",
            CheckLevel::Down => "down",
        }
    }
}

/// Which part of the setup a finding is about; `--json` shows its name, which stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckPart {
    Configuration,
    DataDir,
    Spool,
    Media,
    Certificates,
    Kafka,
    Topics,
    Registry,
    Schemas,
    Clock,
    Tracing,
}

impl CheckPart {
    fn name(self) -> &'static str {
        match self {
            CheckPart::Configuration => "configuration",
            CheckPart::DataDir => "data_dir",
            CheckPart::Spool => "spool",
            CheckPart::Media => "media",
            CheckPart::Certificates => "certificates",
            CheckPart::Kafka => "kafka",
            CheckPart::Topics => "topics",
            CheckPart::Registry => "registry",
            CheckPart::Schemas => "schemas",
            CheckPart::Clock => "clock",
            CheckPart::Tracing => "tracing",
        }
    }

    /// The key that says where it is, if one does.
    fn key(self) -> Option<&'static str> {
        match self {
            CheckPart::DataDir | CheckPart::Spool => Some("data_dir"),
            CheckPart::Media => Some("media.url"),
            CheckPart::Kafka => Some("kafka.bootstrap_servers"),
            CheckPart::Registry => Some("registry.url"),
            CheckPart::Tracing => Some("tracing.otlp_endpoint"),
            _ => None,
        }
    }
}

struct CheckFinding {
    level: CheckLevel,
    part: CheckPart,
    place: FaultPlace,
    message: String,
    remedy: Option<String>,
}

/// What came up so far.
pub(super) struct Report {
    is_json: bool,
    written: Written,
    findings: Vec<CheckFinding>,
}

impl Report {
    pub(super) fn new(is_json: bool, written: Written) -> Self {
        Report { is_json, written, findings: Vec::new() }
    }

    pub(super) fn ok(&mut self, part: CheckPart, message: &str) {
        self.add(CheckLevel::Ok, part, message, None);
    }

    pub(super) fn warn(&mut self, part: CheckPart, message: &str, remedy: Option<&str>) {
        self.add(CheckLevel::Warn, part, message, remedy);
    }

    pub(super) fn fail(&mut self, part: CheckPart, message: &str, remedy: Option<&str>) {
        self.add(CheckLevel::Fail, part, message, remedy);
    }

    pub(super) fn down(&mut self, part: CheckPart, message: &str) {
        self.add(CheckLevel::Down, part, message, None);
    }

    fn add(&mut self, level: CheckLevel, part: CheckPart, message: &str, remedy: Option<&str>) {
        let place = part.key().map(|key| self.written.place(key)).unwrap_or_default();
        let remedy = remedy.map(str::to_owned);
        self.note(CheckFinding { level, part, place, message: message.to_owned(), remedy }, false);
    }

    /// A fault of the configuration, with its own place.
    pub(super) fn fault(&mut self, level: CheckLevel, fault: &ConfigFault) {
        let ConfigFault { place, what, remedy } = fault.clone();
        self.note(CheckFinding { level, part: CheckPart::Configuration, place, message: what, remedy }, true);
    }

    fn note(&mut self, finding: CheckFinding, shows_place: bool) {
        if !self.is_json {
            let place = if shows_place { format!("{}: ", finding.place) } else { String::new() };
            let remedy = finding.remedy.as_ref().map(|remedy| format!(": {remedy}")).unwrap_or_default();
            print(&format!("{} {place}{}{remedy}\n", finding.level.word(), finding.message));
        }
        self.findings.push(finding);
    }

    fn count(&self, level: CheckLevel) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    /// Says how it all is.
    pub(super) fn verdict(self) -> Ending {
        let [down, failed, warned] =
            [CheckLevel::Down, CheckLevel::Fail, CheckLevel::Warn].map(|level| self.count(level));
        let findings = counted(failed as u64, "finding");
        let (ending, verdict, mut words) = match (down, failed) {
            (0, 0) => (Ending::Well, "ok", "all well".to_owned()),
            (0, _) => (Ending::Findings, "findings", findings),
            (_, _) => (Ending::Unavailable, "unavailable", format!("{down} not available, {findings}")),
        };
        if warned > 0 {
            words += &format!(", {}", counted(warned as u64, "warning"));
        }
        if self.is_json {
            print(&document(verdict, ending, &self.findings));
        } else {
            print(&format!("{words}\n"));
        }
        ending
    }
}

/// A configuration that cannot be used, as JSON.
pub(super) fn unusable(error: &ConfigError) -> Ending {
    let findings = error.faults().iter().map(|fault| CheckFinding {
        level: CheckLevel::Fail,
        part: CheckPart::Configuration,
        place: fault.place.clone(),
        message: fault.what.clone(),
        remedy: fault.remedy.clone(),
    });
    print(&document("configuration", Ending::Configuration, &findings.collect::<Vec<_>>()));
    Ending::Configuration
}

fn document(verdict: &str, ending: Ending, findings: &[CheckFinding]) -> String {
    let findings: Vec<Value> = findings.iter().map(as_json).collect();
    let document = json!({ "verdict": verdict, "exit_code": ending.code(), "findings": findings });
    format!("{document:#}\n")
}

fn as_json(finding: &CheckFinding) -> Value {
    let FaultPlace { file, line, variable, key } = &finding.place;
    let key = Some(key).filter(|key| !key.is_empty());
    json!({
        "level": finding.level.name(),
        "part": finding.part.name(),
        "where": { "file": file, "line": line, "key": key, "variable": variable },
        "message": finding.message,
        "remedy": finding.remedy,
    })
}
