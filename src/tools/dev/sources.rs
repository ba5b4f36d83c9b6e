//! Which sources `dev` runs: the demo ones, those of a folder of profiles, or those of a configuration file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::{Table, Value};

use super::demo::{catalog, configuration, is_built_in, proof};
use crate::catalog::EventType;
use crate::config::{self, ConfigError, Settings};
use crate::kafka::route::Routes;
use crate::source::Source;

/// Where the sources come from.
pub(crate) struct DevSources {
    /// A configuration file; without it they are the demo ones.
    pub(crate) file: Option<PathBuf>,
    /// A folder of profiles; with the demo sources one more for each.
    pub(crate) catalog: Option<PathBuf>,
}

/// The servers of `dev`.
pub(super) struct Servers<'a> {
    pub(super) kafka: &'a str,
    pub(super) registry: &'a str,
    /// Whether these are its own.
    pub(super) embedded: (bool, bool),
    pub(super) data_dir: &'a Path,
}

impl DevSources {
    /// The settings of the bridge.
    pub(super) fn settings(&self, servers: &Servers<'_>) -> Result<Settings, ConfigError> {
        let Some(file) = &self.file else {
            return config::from_text("dev", &self.demo(servers)?, &config::Environment::default());
        };
        config::load_rewritten(file, |table| self.rewrite(table, servers))
    }

    /// The same as a table, as it is written: nothing is looked up in the environment.
    pub(super) fn table(&self, servers: &Servers<'_>) -> Option<Table> {
        let Some(file) = &self.file else {
            let text = self.demo(servers).ok()?;
            return text.parse().ok();
        };
        let mut table = std::fs::read_to_string(file).ok()?.parse().ok()?;
        self.rewrite(&mut table, servers);
        Some(table)
    }

    /// The configuration of the demo sources.
    fn demo(&self, servers: &Servers<'_>) -> Result<String, ConfigError> {
        let mut text = configuration(servers.kafka, servers.registry, !servers.embedded.0, servers.data_dir);
        if let Some(dir) = &self.catalog {
            text += &catalog(dir)?;
        }
        Ok(text)
    }

    /// Puts the servers and folders of `dev` in the place of the file's.
    fn rewrite(&self, table: &mut Table, servers: &Servers<'_>) {
        // A bucket and a collector are servers, too.
        for section in ["media", "tracing", "admin", "log"] {
            table.remove(section);
        }
        remove(table, "http", &["listen", "tls"]);
        let (own_kafka, own_registry) = servers.embedded;
        if own_registry {
            table.remove("registry");
        }
        if own_kafka {
            // What clients are to prove and to trust is about the file's servers.
            remove(table, "kafka", &["properties", "replication_factor"]);
            set(table, "kafka", "create_topics", false);
        }
        set(table, "kafka", "bootstrap_servers", servers.kafka);
        set(table, "registry", "url", servers.registry);
        if let Some(dir) = &self.catalog {
            set(table, "catalog", "dir", dir.display().to_string());
        }
        table.insert("data_dir".into(), servers.data_dir.display().to_string().into());
    }

    /// What the greeting says of the sources.
    pub(super) fn listed(&self, settings: &Settings) -> Listed {
        let proof_of = |source: &Source| match &self.file {
            None => proof(&source.profile),
            Some(file) => format!("with what {} says", file.display()),
        };
        let sources = settings.sources.values().map(|source| (source.name.clone(), proof_of(source))).collect();
        Listed { sources, example: self.example(settings) }
    }

    /// A source to begin with: one that was added, if there is one.
    fn example(&self, settings: &Settings) -> SendExample {
        let of = |source: &Arc<Source>| {
            let profile = &source.profile;
            let preferred = profile.types.get("deal.won").or_else(|| profile.types.values().next());
            let event_type = preferred.map(|ty: &EventType| ty.name.clone()).unwrap_or_default();
            let routes = Routes::plan(settings);
            let topic = routes.get(&source.name, &event_type).map(|route| route.main.topic.to_string());
            // What the file says of the source need not be typed.
            let named = source.name == profile.name || self.file.is_some();
            let name = (!named).then(|| format!(" --profile {}", profile.name));
            let dir = self.catalog.as_ref().map(|dir| format!(" --catalog {}", dir.display()));
            let config = self.file.as_ref().map(|file| format!(" --config {}", file.display()));
            let flags = [name, dir, config].into_iter().flatten().collect();
            let (source, names_file) = (source.name.clone(), self.file.is_some());
            SendExample { source, flags, names_file, event_type, topic: topic.unwrap_or_default() }
        };
        let sources = || settings.sources.values();
        let added = sources().find(|source| !is_built_in(&source.profile.name));
        added.or_else(|| sources().next()).map(of).unwrap_or_default()
    }
}

fn remove(table: &mut Table, section: &str, keys: &[&str]) {
    if let Some(section) = table.get_mut(section).and_then(Value::as_table_mut) {
        for key in keys {
            section.remove(*key);
        }
    }
}

pub(super) fn set(table: &mut Table, section: &str, key: &str, value: impl Into<Value>) {
    let entry = table.entry(section).or_insert_with(|| Table::new().into());
    // What is no table is told of when it is read.
    if let Some(section) = entry.as_table_mut() {
        section.insert(key.to_owned(), value.into());
    }
}

/// What the greeting says of the sources.
pub(super) struct Listed {
    /// Each one's name, and what it proves itself by.
    sources: Vec<(String, String)>,
    pub(super) example: SendExample,
}

impl Listed {
    /// A line for each source.
    pub(super) fn addresses(&self, url: &str) -> String {
        let width = self.sources.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let lines: Vec<_> =
            self.sources.iter().map(|(name, proof)| format!("{url}/webhooks/{name:<width$}  {proof}")).collect();
        lines.join("\n            ")
    }
}

/// What to type first.
#[derive(Default)]
pub(super) struct SendExample {
    source: String,
    flags: String,
    /// Whether the flags name a configuration, whose address is another one.
    pub(super) names_file: bool,
    pub(super) event_type: String,
    pub(super) topic: String,
}

impl SendExample {
    /// Source and flags of `send`, without the type.
    pub(super) fn send(&self) -> String {
        format!("{}{}", self.source, self.flags)
    }
}
