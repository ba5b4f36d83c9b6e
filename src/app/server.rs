//! The bridge as a server: [`App::build`] from settings, [`App::run`] on bound listeners until a shutdown.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::bridge::{Core, StartError, last_part};
use crate::app::reload::Reload;
use crate::config::Settings;
use crate::console::{Console, ToolFlags};
use crate::flow::intake::Intake;
use crate::health::Health;
use crate::http::{
    Budget, ConnectionCounts, ConnectionLimits, ConsoleRoutes, Door, HostNames, Identity, Tls, admin_router, serve,
    webhook_router,
};
use crate::outcome::RequestWatcher;
use crate::values::time::now_millis;

/// What the end of shutdown keeps for itself: closing the listeners and the process.
const LAST_STEPS: Duration = Duration::from_millis(500);

/// A bridge that is ready to run.
pub(crate) struct App {
    core: Core,
    door: Arc<Door>,
    health: Arc<Health>,
    console: Arc<Console>,
    limits: ConnectionLimits,
    tls: Option<Arc<Tls>>,
    admin_hosts: Vec<String>,
    shutdown_delay: Duration,
    shutdown_timeout: Duration,
}

impl App {
    /// Builds everything. Nothing listens yet. `flags` lead a tool to the servers of this bridge; `watcher` is told of each request.
    ///
    /// # Errors
    /// As [`Core::build`].
    pub(crate) fn build(
        settings: Settings,
        flags: ToolFlags,
        watcher: Option<RequestWatcher>,
    ) -> Result<App, StartError> {
        let identity = settings.http.tls.as_ref().map(Identity::read).transpose()?;
        let core = Core::build(&settings, watcher.is_some())?;
        let Intake { pipeline, spool, .. } = &*core.intake;
        let counts = ConnectionCounts {
            open: pipeline.metrics.listener.connections.clone(),
            failed_handshakes: pipeline.metrics.listener.failed_handshakes.clone(),
        };
        let mut limits = ConnectionLimits::of(&settings.http, Some(counts));
        let largest_body = settings.sources.values().map(|source| source.max_body_bytes).max().unwrap_or_default();
        limits.largest_body = largest_body;
        let in_flight = pipeline.metrics.listener.in_flight_bytes.clone();
        limits.budget = Some(Arc::new(Budget::new(&settings.http, largest_body, in_flight)));
        if let Some(identity) = &identity {
            identity.warn_of_its_end(now_millis());
        }
        pipeline.metrics.listener.certificate_ends_at.set(identity.as_ref().map_or(0, |identity| identity.ends_at));
        let health = Health {
            pipeline: Arc::clone(pipeline),
            registry: Arc::clone(&core.registry),
            spool: Arc::clone(spool),
            ending: AtomicBool::new(false),
        };
        let health = Arc::new(health);
        let console = Console::new(&settings, Arc::clone(&health), flags);
        let door = Door {
            sources: settings.sources,
            settings: settings.http,
            intake: Arc::clone(&core.intake),
            watcher,
            closing: AtomicBool::new(false),
            under_way: TaskTracker::new(),
        };
        Ok(App {
            door: Arc::new(door),
            health,
            console: Arc::new(console),
            limits,
            tls: identity.map(|identity| Arc::new(Tls::new(identity))),
            admin_hosts: settings.admin_hosts,
            shutdown_delay: settings.shutdown_delay,
            shutdown_timeout: settings.shutdown_timeout,
            core,
        })
    }

    /// Returns once the registry was asked for schema ids, whatever it said.
    pub(crate) fn registry_asked(&self) -> impl Future<Output = ()> + use<> {
        let pipeline = Arc::clone(&self.core.intake.pipeline);
        async move { pipeline.registry_was_asked().await }
    }

    /// What a reload of the configuration reaches.
    pub(crate) fn reload(&self) -> Reload {
        let pipeline = &self.core.intake.pipeline;
        Reload {
            sources: self.door.sources.clone(),
            tls: self.tls.clone(),
            publisher: Arc::clone(&pipeline.publisher),
            registry: Arc::clone(&self.core.registry),
            metrics: Arc::clone(&pipeline.metrics),
        }
    }

    /// Serves until `shutdown`, then ends in order: not ready, no new requests, those under way answered (by the spool,
    /// if Kafka does not take them in time), the spool closed. Returns within the shutdown timeout.
    ///
    /// # Errors
    /// When the registry refuses a schema whose id is not known: it ends in order then, too, at once.
    pub(crate) async fn run(
        self,
        webhooks: TcpListener,
        admin: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), StartError> {
        let (stop_webhooks, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let mut running = self.core.start();
        let mut servers = JoinSet::new();
        let router = webhook_router(Arc::clone(&self.door));
        servers.spawn(serve(webhooks, router, self.limits.clone(), self.tls.clone(), stop_webhooks.clone()));
        let console_routes = ConsoleRoutes::new(Arc::clone(&self.console), stop_admin.clone());
        let router = admin_router(Arc::clone(&self.health), console_routes, HostNames::new(self.admin_hosts));
        servers.spawn(serve(admin, router, ConnectionLimits::for_few(), None, stop_admin.clone()));
        // Apart from the listeners: the bridge is whole without it.
        let mut sampling = JoinSet::new();
        sampling.spawn(self.console.keep(stop_admin.clone()));

        let refused = tokio::select! {
            () = shutdown => None,
            refusals = running.refused() => Some(StartError::Refused(refusals)),
            _ = servers.join_next() => {
                tracing::error!("a listener stopped unexpectedly; shutting down");
                None
            }
        };
        let end = Instant::now() + self.shutdown_timeout.saturating_sub(LAST_STEPS);
        self.health.ending.store(true, Ordering::Relaxed);
        tracing::info!(delay = ?self.shutdown_delay, timeout = ?self.shutdown_timeout, "shutting down");
        if refused.is_none() {
            sleep(self.shutdown_delay).await;
        }
        self.door.closing.store(true, Ordering::Relaxed);
        self.door.under_way.close();
        running.stop_draining();
        // What Kafka has not taken by then is called back, and goes to the spool.
        let last_part = last_part(end);
        let answered = async |until| timeout_at(until, self.door.under_way.wait()).await.is_ok();
        if !answered(end - 2 * last_part).await {
            running.intake.pipeline.publisher.call_back_all();
            if !answered(end - last_part).await {
                let requests = self.door.under_way.len();
                tracing::warn!(
                    requests,
                    "requests are still in flight at the shutdown deadline; their senders will try again"
                );
            }
        }
        // What is still on its way is answered meanwhile, with 503.
        stop_webhooks.cancel();
        running.end(end).await;
        stop_admin.cancel();
        let ended = async {
            while servers.join_next().await.is_some() {}
            while sampling.join_next().await.is_some() {}
        };
        let _ = timeout_at(end + LAST_STEPS / 2, ended).await;
        self.door.intake.pipeline.metrics.refusals.log_rest();
        tracing::info!("ended");
        refused.map_or(Ok(()), Err)
    }
}
