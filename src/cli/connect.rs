//! Which configuration a command has, and so which servers: the one rule for all that talk to servers.
//!
//! 1. The file that `--config` or `HOOKBRIDGE_CONFIG` names, else `./hookbridge.toml`; the environment over it, as for `serve`.
//! 2. Without a file the environment alone, if it sets keys; what it leaves out is as `dev` has it.
//! 3. Else the `dev` that runs on this machine.
//! 4. Else the addresses at which `dev` would be.
//!
//! Flags go over all of it. What comes neither from a file nor from a flag is said in the first line on standard error.

use std::path::{Path, PathBuf};

use clap::Args;

use super::listening::url_of;
use super::warn;
use crate::config::{self, ConfigError, DEFAULT_FILE, Environment, Further, KeyFlag, Settings};
use crate::tools::dev::{self, Assumed, RunningDev};

const KAFKA: &str = "HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS";
const REGISTRY: &str = "HOOKBRIDGE__REGISTRY__URL";

#[derive(Debug, Args)]
pub(super) struct Connect {
    /// Kafka's bootstrap servers [default: those of the configuration]
    #[arg(long, global = true, value_name = "SERVERS")]
    kafka: Option<String>,
    /// The registry's address [default: that of the configuration]
    #[arg(long, global = true, value_name = "URL")]
    registry: Option<String>,
}

/// What a command needs of a configuration, and therefore says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolNeeds {
    Sources,
    Kafka,
    Registry,
    Both,
}

/// Where the settings are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SettingsOrigin {
    /// A file, and whether somebody named it.
    File {
        path: PathBuf,
        named: bool,
    },
    Environment,
    Dev(RunningDev),
    Nothing,
}

/// Settings, and where they are from.
pub(super) struct Configured {
    pub(super) settings: Settings,
    pub(super) origin: SettingsOrigin,
    /// Whether there was no file to read.
    pub(super) no_file: bool,
}

impl Configured {
    /// The directory of the bridge that they are of, if they are of one.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        (self.origin != SettingsOrigin::Nothing).then_some(&*self.settings.data_dir)
    }
}

impl SettingsOrigin {
    /// Where all is from that has no variable or flag of its own.
    pub(super) fn words(&self) -> String {
        match self {
            SettingsOrigin::File { path, .. } => path.display().to_string(),
            SettingsOrigin::Dev(dev) => format!("of `hookbridge dev`, process {}", dev.process),
            SettingsOrigin::Environment | SettingsOrigin::Nothing => "the default of `hookbridge dev`".to_owned(),
        }
    }
}

impl Connect {
    /// The settings by the rule, said where it has to be.
    pub(super) fn settings(&self, file: Option<&Path>, needs: ToolNeeds) -> Result<Settings, ConfigError> {
        Ok(self.configured(file, needs)?.settings)
    }

    /// The same, and where they are from.
    pub(super) fn configured(&self, file: Option<&Path>, needs: ToolNeeds) -> Result<Configured, ConfigError> {
        let configured = configured(file, self.flags())?;
        if let Some(words) = self.words(&configured, needs) {
            warn(words);
        }
        Ok(configured)
    }

    /// The settings of a bridge: `serve` would start with them, but for the flags. What `further` finds stands against them, too.
    pub(super) fn settings_of_bridge(&self, file: &Path, further: Further) -> Result<Settings, ConfigError> {
        let settings = config::load_whole(file, self.flags(), further)?;
        let origin = if file.exists() {
            SettingsOrigin::File { path: file.to_owned(), named: true }
        } else {
            SettingsOrigin::Environment
        };
        let configured = Configured { settings, origin, no_file: !file.exists() };
        if let Some(words) = self.words(&configured, ToolNeeds::Both) {
            warn(words);
        }
        Ok(configured.settings)
    }

    /// Those of `file` if one is named, else those of `dev`: for what talks to no server.
    pub(super) fn settings_if_named(&self, file: Option<&Path>) -> Result<Settings, ConfigError> {
        match file {
            Some(file) => config::load_with(file, self.flags()),
            None => config::from_text("flags", &demo(&[]), &Environment::and(self.flags())),
        }
    }

    fn flags(&self) -> [KeyFlag<'_>; 2] {
        [("--kafka", KAFKA, self.kafka.as_deref()), ("--registry", REGISTRY, self.registry.as_deref())]
    }

    /// What is to be said of servers that nobody wrote into a file or typed.
    fn words(&self, configured: &Configured, needs: ToolNeeds) -> Option<String> {
        let Configured { settings, origin, .. } = configured;
        let from_file = matches!(origin, SettingsOrigin::File { .. });
        let mut said = Vec::new();
        let mut assumed = false;
        for (what, value, flag, variable, wanted) in [
            ("Kafka", &settings.kafka.bootstrap_servers, &self.kafka, KAFKA, needs != ToolNeeds::Registry),
            ("registry", &settings.registry.url, &self.registry, REGISTRY, needs != ToolNeeds::Kafka),
        ] {
            let (from, is_known) = match flag {
                Some(_) => (format!("--{}", what.to_lowercase()), true),
                None if is_set(variable) => (variable.to_owned(), false),
                None => (origin.words(), from_file),
            };
            if wanted {
                said.push(format!("{what} {value} ({from})"));
                assumed |= !is_known;
            }
        }
        if needs == ToolNeeds::Sources {
            let of = match origin {
                SettingsOrigin::Dev(_) => origin.words(),
                SettingsOrigin::Environment if names_sources() => "of the environment".to_owned(),
                SettingsOrigin::Environment | SettingsOrigin::File { .. } | SettingsOrigin::Nothing => {
                    "of `hookbridge dev`".to_owned()
                }
            };
            said = vec![format!("the sources {of}")];
            assumed = !from_file;
        }
        let here = if configured.no_file { format!("no {DEFAULT_FILE} in this folder: ") } else { String::new() };
        let hint = if *origin == SettingsOrigin::Nothing {
            "; no `hookbridge dev` runs. To use others: --config FILE"
        } else {
            ""
        };
        assumed.then(|| format!("{here}using {}{hint}", said.join(", ")))
    }
}

/// The settings by the rule, with `flags` over them.
pub(super) fn configured<'a>(
    file: Option<&Path>,
    flags: impl IntoIterator<Item = KeyFlag<'a>> + Clone,
) -> Result<Configured, ConfigError> {
    if let Some(path) = file.map(Path::to_owned).or_else(file_here) {
        let settings = config::load_with(&path, flags)?;
        let origin = SettingsOrigin::File { path, named: file.is_some() };
        return Ok(Configured { settings, origin, no_file: false });
    }
    let variables = config::variables();
    if variables.iter().any(|name| names_servers_or_sources(name)) {
        let settings = config::from_text("the environment", &demo(&variables), &Environment::and(flags))?;
        return Ok(Configured { settings, origin: SettingsOrigin::Environment, no_file: true });
    }
    for dev in RunningDev::all() {
        // It may end at any time, and its file with it.
        match config::load_with(&dev.file, flags.clone()) {
            Err(_) if !dev.file.exists() => {}
            settings => return Ok(Configured { settings: settings?, origin: SettingsOrigin::Dev(dev), no_file: true }),
        }
    }
    let settings = config::from_text("flags", &demo(&[]), &Environment::and(flags))?;
    Ok(Configured { settings, origin: SettingsOrigin::Nothing, no_file: true })
}

/// What a command takes for granted in this folder, whether or not a `dev` runs; `None` where its file cannot be used.
pub(super) fn assumed() -> Option<Assumed> {
    let settings = match file_here() {
        Some(path) => config::load(&path).ok()?,
        None => config::from_text("the environment", &demo(&config::variables()), &Environment::and([])).ok()?,
    };
    let (kafka, registry) = (settings.kafka.bootstrap_servers.clone(), settings.registry.url.clone());
    Some(Assumed { url: url_of(&settings), kafka, registry })
}

/// The file that is read when none is named, if it is there.
fn file_here() -> Option<PathBuf> {
    let path = Path::new(DEFAULT_FILE);
    // One that is there and cannot be read is not passed over.
    path.try_exists().unwrap_or(true).then(|| path.to_owned())
}

/// Whether the environment has this variable.
pub(super) fn is_set(variable: &str) -> bool {
    config::variables().iter().any(|name| name.eq_ignore_ascii_case(variable))
}

/// Whether the environment has sources.
pub(super) fn names_sources() -> bool {
    config::variables().iter().any(|name| is_of_sources(name))
}

/// The variable that gives the source `name` its secrets or tokens, if the environment has one.
pub(super) fn secret_variable(name: &str) -> Option<String> {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let of_source = ["SECRETS", "TOKENS"].map(|key| format!("HOOKBRIDGE__SOURCES__{name}__{key}"));
    config::variables().into_iter().find(|variable| of_source.iter().any(|of| of.eq_ignore_ascii_case(variable)))
}

fn is_of_sources(variable: &str) -> bool {
    variable.to_ascii_uppercase().starts_with("HOOKBRIDGE__SOURCES__")
}

fn names_servers_or_sources(variable: &str) -> bool {
    let name = variable.to_ascii_uppercase();
    ["KAFKA", "REGISTRY", "SOURCES", "HTTP", "CATALOG"].iter().any(|key| {
        name.strip_prefix("HOOKBRIDGE__")
            .and_then(|name| name.strip_prefix(key))
            .is_some_and(|rest| rest.starts_with("__"))
    })
}

/// The configuration of `dev` at its usual addresses; without its sources where `variables` have some.
fn demo(variables: &[String]) -> String {
    let whole = dev::configuration("127.0.0.1:9092", "http://127.0.0.1:8081", true, Path::new("data"));
    match whole.find("[sources.") {
        Some(at) if variables.iter().any(|name| is_of_sources(name)) => whole[..at].to_owned(),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_servers_or_sources_is_a_configuration() {
        for (name, expected) in [
            ("HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS", true),
            ("HOOKBRIDGE__sources__wegly__secrets", true),
            ("HOOKBRIDGE__LOG__LEVEL", false),
            ("HOOKBRIDGE__KAFKAESQUE__X", false),
            ("HOOKBRIDGE__DATA_DIR", false),
        ] {
            assert_eq!(names_servers_or_sources(name), expected, "{name}");
        }
    }

    #[test]
    fn sources_of_the_environment_stand_alone() {
        assert!(demo(&[]).contains("[sources.whazing]"));
        let without = demo(&["HOOKBRIDGE__SOURCES__SHOP__SECRETS".into()]);
        assert!(without.contains("[registry]") && !without.contains("[sources."), "{without}");
    }
}
