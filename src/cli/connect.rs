//! Which Kafka and registry a tool talks to: by flags, by the configuration file, or those of `hookbridge dev`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use crate::config::{self, ConfigError, Settings};
use crate::dev;

#[derive(Debug, Args)]
pub(super) struct Connect {
    /// Kafka's bootstrap servers; by default those of the configuration file, or of `hookbridge dev` without one
    #[arg(long, value_name = "SERVERS")]
    kafka: Option<String>,
    /// The registry's address; by default that of the configuration file, or of `hookbridge dev` without one
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
}

impl Connect {
    /// The settings of `file` where it is there and no flag says otherwise.
    pub(super) fn settings(&self, file: &Path) -> Result<Settings, ConfigError> {
        if self.kafka.is_none() && self.registry.is_none() && file.exists() {
            return config::load(file);
        }
        let kafka = self.kafka.as_deref().unwrap_or("127.0.0.1:9092");
        let registry = self.registry.as_deref().unwrap_or("http://127.0.0.1:8081");
        config::from_text("flags", &dev::configuration(kafka, registry, true, Path::new("data")), &BTreeMap::new())
    }
}
