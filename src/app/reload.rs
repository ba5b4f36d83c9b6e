//! SIGHUP: secrets and certificates are read again, tried out, and taken over, all of them or none.
//!
//! ```text
//! file ─▶ config (what a reload takes over) ─▶ certificate, registry, Kafka: tried out ─▶ all take over
//!            └────────────────────────────────────┴─ anything wrong ─▶ all stays as it is, which is said
//! ```
//!
//! A request is held against the secrets in force when its signature is looked at; records that are under way stay with
//! the producer they were given to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::task::block_in_place;

use super::preflight::unusable;
use crate::config::{ConfigError, InForce, Reloaded, Settings};
use crate::http::{Identity, Tls};
use crate::kafka::publish::{PrepareError, Publisher};
use crate::kafka::registry::{ClientError, Registry};
use crate::observe::metrics::Metrics;
use crate::source::Source;
use crate::values::time::now_millis;

/// Why the configuration in force stays.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error("{}", .0.in_one_line())]
    Config(ConfigError),
    #[error("http.tls.certificate_file: the new certificate expired on {0}: put one there that is valid")]
    Expired(String),
    #[error(transparent)]
    Registry(#[from] ClientError),
    #[error(transparent)]
    Kafka(#[from] PrepareError),
}

impl From<ConfigError> for ReloadError {
    fn from(error: ConfigError) -> ReloadError {
        ReloadError::Config(error)
    }
}

/// Logs what is no fault of a configuration, but can hardly be meant.
pub(crate) fn log_warnings(settings: &Settings) {
    for warning in &settings.warnings {
        tracing::warn!("configuration: {warning}");
    }
}

/// What there is in a running bridge that has secrets or certificates.
pub(crate) struct Reload {
    pub(crate) sources: BTreeMap<String, Arc<Source>>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Reload {
    /// Reads `file` again at each `hangup`, until the task is dropped.
    pub(crate) async fn keep(self, mut hangup: Signal, file: PathBuf, mut in_force: InForce) {
        while hangup.recv().await.is_some() {
            let taken_over = match self.once(&file, &in_force).await {
                Ok(reloaded) => {
                    in_force = reloaded.in_force;
                    log_warnings(&reloaded.settings);
                    if !reloaded.left.is_empty() {
                        let keys = reloaded.left.join(", ");
                        tracing::warn!(
                            keys,
                            "configuration reloaded, but these keys take effect at the next start only"
                        );
                    }
                    // The last line of a reload, whatever came of it.
                    if reloaded.changed.is_empty() {
                        tracing::info!("configuration reloaded; nothing that a reload applies has changed");
                    } else {
                        let changed = reloaded.changed.join(", ");
                        tracing::info!(changed, "configuration reloaded");
                    }
                    true
                }
                Err(reason) => {
                    tracing::error!(%reason, "configuration not reloaded; the previous one stays in force");
                    false
                }
            };
            self.metrics.reloads.note(taken_over);
        }
    }

    async fn once(&self, file: &Path, in_force: &InForce) -> Result<Reloaded, ReloadError> {
        let mut reloaded = block_in_place(|| in_force.reload(file, unusable))?;
        let settings = &reloaded.settings;
        let tls = self.tls.as_ref().zip(settings.http.tls.as_ref());
        let tls = tls.map(|(tls, files)| Identity::read(files).map(|identity| (tls, identity)));
        let tls = tls.transpose()?;
        if let Some((in_force, new)) = &tls
            && new.fingerprint != in_force.fingerprint()
            && new.is_expired(now_millis())
        {
            return Err(ReloadError::Expired(new.end()));
        }
        let client = self.registry.prepare(&settings.registry).await?;
        let producers = self.publisher.prepare(settings).await?;
        // From here on nothing fails.
        if let Some((tls, identity)) = tls {
            self.metrics.listener.certificate_ends_at.set(identity.ends_at);
            identity.warn_of_its_end(now_millis());
            if identity.fingerprint != tls.fingerprint() {
                reloaded.changed.push(format!("http.tls (certificate {})", identity.fingerprint));
            }
            tls.replace(identity);
        }
        for (name, source) in &self.sources {
            if let Some(now) = settings.sources.get(name) {
                source.verifier.store(now.verifier.load_full());
            }
        }
        self.registry.replace(client);
        self.publisher.replace(producers).await;
        Ok(reloaded)
    }
}
