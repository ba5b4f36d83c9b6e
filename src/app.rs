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
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ConfigError, Settings};
use crate::drain::Drain;
use crate::http::{ANSWERS, Door, Health, Limits, admin_router, serve, webhook_router};
use crate::metrics::Metrics;
use crate::pipeline::{LARGE_AT_ONCE, Pipeline};
use crate::publish::Publisher;
use crate::registry::{Refusal, Registry};
use crate::route::Routes;
use crate::spool::{Lane, Spool, SpoolError, Waiting};

/// What the end of shutdown keeps for itself: closing the listeners and the process.
const LAST_STEPS: Duration = Duration::from_millis(500);

/// How long what was called back from the producer takes to be in the spool, at the longest.
const CALL_BACK: Duration = Duration::from_secs(2);

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("data_dir: another process uses {0}")]
    Locked(String),
    #[error("data_dir: {0}")]
    Spool(#[from] SpoolError),
    #[error("the registry refuses {} schema(s):{}", .0.len(), list(.0))]
    Refused(Vec<Refusal>),
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(|r| format!("\n  {}: {}", r.subject, r.reasons)).collect()
}

/// Everything between the door and Kafka: what `serve` and `spool drain` have in common.
pub(crate) struct Core {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) registry: Arc<Registry>,
    drain: Drain,
    to_drain: UnboundedReceiver<Arc<Lane>>,
    /// Held for as long as the data directory is ours.
    lock: File,
}

impl Core {
    /// Takes the data directory, opens the spool, asks the registry for ids, makes the producer.
    ///
    /// # Errors
    /// When the data directory or the spool is unusable or taken, a setting is refused, or the registry refuses a
    /// schema.
    pub(crate) async fn build(settings: &Settings) -> Result<Core, StartError> {
        let routes = Routes::plan(settings);
        for warning in &routes.warnings {
            tracing::warn!("{warning}");
        }
        let lanes = routes.topics.iter().map(|topic| &*topic.name);
        let metrics =
            Metrics::new(settings, &ANSWERS, lanes).map_err(|e| ConfigError::key("metrics", e.to_string()))?;
        let metrics = Arc::new(metrics);
        let publisher = Arc::new(Publisher::new(settings, &routes)?);
        let lock = lock(&settings.data_dir)?;
        let lane_of = |waiting: &Waiting| lane_of(settings, &routes, waiting);
        let (spool, to_drain) = Spool::open(&settings.data_dir, settings.spool, Arc::clone(&metrics), lane_of)?;
        let registry = Registry::new(&settings.registry, &settings.data_dir, routes.subjects.clone())?;
        let (ids, ()) = tokio::join!(registry.start(), publisher.start());
        ids.map_err(StartError::Refused)?;
        let pipeline = Arc::new(Pipeline {
            routes,
            publisher,
            spool: Arc::new(spool),
            metrics,
            max_record_bytes: settings.kafka.max_record_bytes,
            large_bodies: Semaphore::new(LARGE_AT_ONCE),
        });
        let drain = Drain {
            pipeline: Arc::clone(&pipeline),
            sources: settings.sources.clone(),
            ack_timeout: settings.http.ack_timeout,
            stop: CancellationToken::new(),
        };
        Ok(Core { pipeline, registry: Arc::new(registry), drain, to_drain, lock })
    }

    /// Starts what goes on in the background: the looks at Kafka and the registry, and emptying the spool.
    pub(crate) fn start(self) -> Running {
        let mut watches = JoinSet::new();
        watches.spawn(Arc::clone(&self.pipeline.publisher).keep_watch());
        let registry = self.registry;
        watches.spawn(async move { registry.keep().await });
        let stop = self.drain.stop.clone();
        let drain = tokio::spawn(self.drain.run(self.to_drain));
        Running { pipeline: self.pipeline, stop, drain, _watches: watches, _lock: self.lock }
    }
}

/// A core that works.
pub(crate) struct Running {
    pub(crate) pipeline: Arc<Pipeline>,
    stop: CancellationToken,
    drain: JoinHandle<()>,
    /// Dropped, and so aborted, at the end.
    _watches: JoinSet<()>,
    _lock: File,
}

impl Running {
    /// Begins nothing new in the spool.
    pub(crate) fn stop_draining(&self) {
        self.stop.cancel();
    }

    /// Ends: what is under way to Kafka is finished or called back, and the spool closed, by `end`.
    pub(crate) async fn end(mut self, end: Instant) {
        self.stop.cancel();
        let publisher = &self.pipeline.publisher;
        let last_part = CALL_BACK.min(end.saturating_duration_since(Instant::now()) / 4);
        if timeout_at(end - last_part, &mut self.drain).await.is_err() {
            publisher.call_back_all();
            let _ = timeout_at(end, &mut self.drain).await;
        }
        let left = publisher.flush(end.saturating_duration_since(Instant::now())).await;
        if left != 0 {
            tracing::warn!(records = left, "records are still unacknowledged; no sender got a 2xx for them");
        }
        self.pipeline.spool.close().await;
    }
}

/// The lane of what an earlier run left: by the topics of today. What has no source any more waits apart.
fn lane_of(settings: &Settings, routes: &Routes, waiting: &Waiting) -> String {
    if settings.sources.contains_key(&waiting.source) {
        routes.lane(&waiting.source, waiting.event_type.as_deref()).to_string()
    } else {
        format!("source {}, not configured", waiting.source)
    }
}

/// A bridge that is ready to run.
pub(crate) struct App {
    core: Core,
    door: Arc<Door>,
    health: Arc<Health>,
    limits: Limits,
    shutdown_delay: Duration,
    shutdown_timeout: Duration,
}

impl App {
    /// Builds everything. Nothing listens yet.
    ///
    /// # Errors
    /// As [`Core::build`].
    pub(crate) async fn build(settings: Settings) -> Result<App, StartError> {
        let core = Core::build(&settings).await?;
        let pipeline = &core.pipeline;
        let limits = Limits {
            connections: settings.http.max_connections,
            head: settings.http.header_timeout,
            idle: settings.http.idle_timeout,
            gauge: Some(pipeline.metrics.connections.clone()),
        };
        let health = Health {
            publisher: Arc::clone(&pipeline.publisher),
            registry: Arc::clone(&core.registry),
            spool: Arc::clone(&pipeline.spool),
            metrics: Arc::clone(&pipeline.metrics),
            ending: AtomicBool::new(false),
        };
        let door = Door {
            budget: Arc::new(Semaphore::new(settings.http.max_in_flight_bytes)),
            sources: settings.sources,
            settings: settings.http,
            pipeline: Arc::clone(pipeline),
            closing: AtomicBool::new(false),
            under_way: TaskTracker::new(),
        };
        Ok(App {
            door: Arc::new(door),
            health: Arc::new(health),
            limits,
            shutdown_delay: settings.shutdown_delay,
            shutdown_timeout: settings.shutdown_timeout,
            core,
        })
    }

    /// Serves until `shutdown`, then ends in order: not ready, no new requests, those under way answered (by the spool,
    /// if Kafka does not take them in time), the spool closed. Returns within the shutdown timeout.
    pub(crate) async fn run(self, webhooks: TcpListener, admin: TcpListener, shutdown: impl Future<Output = ()>) {
        let (stop_webhooks, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let running = self.core.start();
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
        running.stop_draining();
        // What Kafka has not taken by then is called back, and goes to the spool.
        let last_part = CALL_BACK.min(end.saturating_duration_since(Instant::now()) / 4);
        let answered = async |until| timeout_at(until, self.door.under_way.wait()).await.is_ok();
        if !answered(end - 2 * last_part).await {
            running.pipeline.publisher.call_back_all();
            if !answered(end - last_part).await {
                let requests = self.door.under_way.len();
                tracing::warn!(requests, "requests are still under way; their senders will try again");
            }
        }
        running.end(end).await;
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
