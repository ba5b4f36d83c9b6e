//! Which Kafka and registry a tool talks to: by the configuration file where one is named, and by flags over it; else
//! those of `hookbridge dev`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use crate::config::{self, ConfigError, Settings};
use crate::tools::dev;

#[derive(Debug, Args)]
pub(super) struct Connect {
    /// Kafka's bootstrap servers [default: those of --config, otherwise of `hookbridge dev`]
    #[arg(long, global = true, value_name = "SERVERS")]
    kafka: Option<String>,
    /// The registry's address [default: that of --config, otherwise of `hookbridge dev`]
    #[arg(long, global = true, value_name = "URL")]
    registry: Option<String>,
}

impl Connect {
    /// The settings of `file`, if one is named, with the flags over it.
    pub(super) fn settings(&self, file: Option<&Path>) -> Result<Settings, ConfigError> {
        let Some(file) = file else {
            let kafka = self.kafka.as_deref().unwrap_or("127.0.0.1:9092");
            let registry = self.registry.as_deref().unwrap_or("http://127.0.0.1:8081");
            let text = dev::configuration(kafka, registry, true, Path::new("data"));
            return config::from_text("flags", &text, &BTreeMap::new());
        };
        config::load_with(
            file,
            [
                ("HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS", self.kafka.as_deref()),
                ("HOOKBRIDGE__REGISTRY__URL", self.registry.as_deref()),
            ],
        )
    }
}
