//! The only wiring: [`App::build`] from settings, [`App::run`] on bound listeners until a shutdown.

use std::fs::{self, File, TryLockError};
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ConfigError, Settings};
use crate::http::{ANSWERS, Door, Health, Limits, admin_router, serve, webhook_router};
use crate::metrics::Metrics;
use crate::pipeline::{LARGE_AT_ONCE, Pipeline};
use crate::publish::Publisher;
use crate::registry::{Refusal, Registry};
use crate::route::Routes;

/// What the end of shutdown keeps for itself: closing the listeners and the process.
const LAST_STEPS: Duration = Duration::from_millis(500);

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("data_dir: another process uses {0}")]
    Locked(String),
    #[error("the registry refuses {} schema(s):{}", .0.len(), list(.0))]
    Refused(Vec<Refusal>),
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| format!("\n  {}: {}", r.subject, r.reasons)).collect()
}

/// A bridge that is ready to run.
pub(crate) struct App {
    door: Arc<Door>,
    health: Arc<Health>,
    limits: Limits,
    shutdown_delay: Duration,
    shutdown_timeout: Duration,
    /// Held for as long as the data directory is ours.
    _lock: File,
}

impl App {
    /// Takes the data directory, asks the registry for ids, makes the producer. Nothing listens yet.
    ///
    /// # Errors
    /// When the data directory is unusable or taken, a setting is refused, or the registry refuses a schema.
    pub(crate) async fn build(settings: Settings) -> Result<App, StartError> {
        let routes = Routes::plan(&settings);
        for warning in &routes.warnings {
            tracing::warn!("{warning}");
        }
        let metrics = Metrics::new(&settings, &ANSWERS).map_err(|e| ConfigError::key("metrics", e.to_string()))?;
        let metrics = Arc::new(metrics);
        let publisher = Arc::new(Publisher::new(&settings, &routes)?);
        let lock = lock(&settings.data_dir)?;
        let registry = Registry::new(&settings.registry, &settings.data_dir, routes.subjects.clone())?;
        registry.start().await.map_err(StartError::Refused)?;

        let limits = Limits {
            connections: settings.http.max_connections,
            head: settings.http.header_timeout,
            idle: settings.http.idle_timeout,
            gauge: Some(metrics.connections.clone()),
        };
        let health = Health {
            publisher: Arc::clone(&publisher),
            registry: Arc::new(registry),
            metrics: Arc::clone(&metrics),
            ending: AtomicBool::new(false),
        };
        let max_record_bytes = settings.kafka.max_record_bytes;
        let large_bodies = Semaphore::new(LARGE_AT_ONCE);
        let door = Door {
            budget: Arc::new(Semaphore::new(settings.http.max_in_flight_bytes)),
            sources: settings.sources,
            settings: settings.http,
            pipeline: Pipeline { routes, publisher, metrics, max_record_bytes, large_bodies },
            closing: AtomicBool::new(false),
            under_way: TaskTracker::new(),
        };
        Ok(App {
            door: Arc::new(door),
            health: Arc::new(health),
            limits,
            shutdown_delay: settings.shutdown_delay,
            shutdown_timeout: settings.shutdown_timeout,
            _lock: lock,
        })
    }

    /// Serves until `shutdown`, then ends in order: not ready, no new requests, those under way answered, the
    /// producer flushed. Returns within the shutdown timeout.
    pub(crate) async fn run(self, webhooks: TcpListener, admin: TcpListener, shutdown: impl Future<Output = ()>) {
        let (stop_webhooks, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        // Dropped, and so aborted, when this function returns.
        let mut watches = JoinSet::new();
        watches.spawn(Arc::clone(&self.health.publisher).keep_watch());
        let registry = Arc::clone(&self.health.registry);
        watches.spawn(async move { registry.keep().await });

        let mut servers = JoinSet::new();
        let router = webhook_router(Arc::clone(&self.door));
        servers.spawn(serve(webhooks, router, self.limits.clone(), stop_webhooks.clone()));
        servers.spawn(serve(admin, admin_router(Arc::clone(&self.health)), Limits::for_few(), stop_admin.clone()));

        tokio::select! {
            () = shutdown => {}
            _ = servers.join_next() => tracing::error!("a listener ended by itself"),
        }
        let end = Instant::now() + self.shutdown_timeout.saturating_sub(LAST_STEPS);
        self.health.ending.store(true, Ordering::Relaxed);
        tracing::info!(delay = ?self.shutdown_delay, timeout = ?self.shutdown_timeout, "shutting down");
        sleep(self.shutdown_delay).await;
        self.door.closing.store(true, Ordering::Relaxed);
        self.door.under_way.close();
        if timeout_at(end, self.door.under_way.wait()).await.is_err() {
            tracing::warn!(
                requests = self.door.under_way.len(),
                "requests are still under way; their senders will try again"
            );
        }
        let left = self.health.publisher.flush(end.saturating_duration_since(Instant::now())).await;
        if left != 0 {
            tracing::warn!(records = left, "records are still unacknowledged; their senders got no 2xx");
        }
        stop_webhooks.cancel();
        stop_admin.cancel();
        let _ = timeout_at(end + LAST_STEPS / 2, async { while servers.join_next().await.is_some() {} }).await;
        tracing::info!("ended");
    }
}

/// Makes the data directory, if need be, and takes it. The lock ends with the process, however that ends.
fn lock(data_dir: &Path) -> Result<File, StartError> {
    let unusable = |e: io::Error| ConfigError::key("data_dir", format!("{}: {e}", data_dir.display()));
    fs::create_dir_all(data_dir).map_err(unusable)?;
    let file =
        File::options().create(true).truncate(false).write(true).open(data_dir.join("lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::Locked(data_dir.display().to_string())),
        Err(TryLockError::Error(e)) => Err(unusable(e).into()),
    }
}
