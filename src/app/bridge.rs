//! Everything between the door and Kafka, wired: what `serve`, `spool drain` and, in part, `dead-letters replay` share.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, TryLockError};
use std::hash::RandomState;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::config::{ConfigError, Settings};
use crate::disk::access::{explain, is_of_the_disk};
use crate::disk::private;
use crate::flow::drain::Drain;
use crate::flow::intake::Intake;
use crate::flow::pipeline::{LARGE_AT_ONCE, Pipeline, RecordsRoom};
use crate::http::ANSWER_CODES;
use crate::kafka::follow::Follower;
use crate::kafka::latest::store::LatestStore;
use crate::kafka::publish::Publisher;
use crate::kafka::registry::{RefusedSchema, Registry};
use crate::kafka::route::{DEAD_LETTERS, Role, Routes};
use crate::media::Store;
use crate::observe::metrics::Metrics;
use crate::observe::recent::RecentDeadLetters;
use crate::observe::traces::{Exporter, Exporting, Traces};
use crate::source::Source;
use crate::spool::{ALTERED, Lane, Spool, SpoolError, Waiting};

/// How long what is called back from the producer takes to be in the spool, at the longest.
const CALL_BACK: Duration = Duration::from_secs(2);

/// How often is looked whether Kafka refuses our time.
const LOST_TIME: Duration = Duration::from_secs(5);

/// The part of the time until `end` that is kept for what has to be called back.
pub(crate) fn last_part(end: Instant) -> Duration {
    CALL_BACK.min(end.saturating_duration_since(Instant::now()) / 4)
}

/// Why the program does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("data_dir: another process uses {0}: stop it, or set another data_dir")]
    Locked(String),
    #[error("data_dir: {0}")]
    Spool(SpoolError),
    #[error("{} schema(s) refused:{}", .0.len(), list(.0))]
    Refused(Vec<RefusedSchema>),
}

impl From<SpoolError> for StartError {
    fn from(error: SpoolError) -> StartError {
        StartError::Spool(error)
    }
}

fn list(refusals: &[RefusedSchema]) -> String {
    refusals.iter().map(|r| format!("\n  {}: {}", r.subject, r.reasons)).collect()
}

/// The stages, with nothing known yet of Kafka and the registry, and without spans.
///
/// # Errors
/// When a setting of Kafka's producer or of the media store cannot be used.
pub(crate) fn pipeline(settings: &Settings) -> Result<Pipeline, ConfigError> {
    let routes = Routes::plan(settings);
    let lanes = routes.lanes();
    let metrics = Metrics::new(settings, ANSWER_CODES, lanes.into_iter())
        .map_err(|e| ConfigError::key("metrics", e.to_string()))?;
    for topic in routes.topics.iter().filter(|topic| matches!(topic.role, Role::Links | Role::Latest)) {
        metrics.refused_records.announce(&topic.name);
        if topic.role == Role::Latest {
            metrics.latest.announce(&topic.name);
        }
    }
    let publisher = Arc::new(Publisher::new(settings, &routes)?);
    Ok(Pipeline {
        routes,
        media: Store::new(&settings.media)?,
        publisher,
        metrics: Arc::new(metrics),
        traces: Traces::off(),
        dead_letters: RecentDeadLetters::default(),
        max_record_bytes: settings.kafka.max_record_bytes,
        large_bodies: Semaphore::new(LARGE_AT_ONCE as usize),
        registry_asked: watch::Sender::new(false),
        // What Kafka does not take comes back as a second copy.
        records_room: RecordsRoom::of(settings.http.max_in_flight_bytes / 2),
        hashing: RandomState::new(),
    })
}

/// Built, and not started yet.
pub(crate) struct Core {
    pub(crate) intake: Arc<Intake>,
    pub(crate) registry: Arc<Registry>,
    follower: Option<Follower>,
    drain: Drain,
    to_drain: UnboundedReceiver<Arc<Lane>>,
    exporter: Option<Exporter>,
    /// Held for as long as the data directory is ours.
    lock: Option<File>,
}

impl Core {
    /// Takes the data directory, opens the spool, makes the producers. Neither Kafka nor the registry is asked for anything.
    /// `is_watched` says whether somebody wants to know what becomes of each event.
    ///
    /// # Errors
    /// When the data directory or the spool is unusable or taken, or a setting is refused.
    pub(crate) fn build(settings: &Settings, is_watched: bool) -> Result<Core, StartError> {
        let mut pipeline = pipeline(settings)?;
        let mut exporter = None;
        if let Some(tracing) = &settings.tracing {
            let made = Exporter::new(tracing, &pipeline.metrics.spans)?;
            (pipeline.traces, exporter) = (made.0, Some(made.1));
        }
        let pipeline = Arc::new(pipeline);
        let Pipeline { routes, metrics, .. } = &*pipeline;
        for warning in &routes.warnings {
            tracing::warn!("{warning}");
        }
        let lock = lock(&settings.data_dir)?;
        private::make_private(&settings.data_dir);
        if settings.sources.values().any(|source| source.profile.has_media()) {
            pipeline.media.prepare()?;
        }
        let (sources, of) = (settings.sources.clone(), Arc::clone(&pipeline));
        let lane_of = move |waiting: &Waiting| lane_of(&sources, &of.routes, waiting);
        let (dir, metrics) = (&settings.data_dir, Arc::clone(metrics));
        let (spool, to_drain) = Spool::open(dir, settings.spool, metrics, lane_of)?;
        let registry = Registry::new(&settings.registry, &settings.data_dir, routes.subjects.clone())?;
        // The ids that the registry told an earlier run are known by now.
        let follower = follower(settings, &pipeline, &registry);
        let spool = Arc::new(spool);
        let drain = Drain {
            pipeline: Arc::clone(&pipeline),
            spool: Arc::clone(&spool),
            sources: settings.sources.clone(),
            ack_timeout: settings.http.ack_timeout,
            stop: CancellationToken::new(),
        };
        let intake = Arc::new(Intake { pipeline, spool, is_watched });
        Ok(Core { intake, registry: Arc::new(registry), follower, drain, to_drain, exporter, lock })
    }

    /// Starts what goes on in the background: the looks at Kafka and the registry, and emptying the spool.
    pub(crate) fn start(self) -> Running {
        let mut watches = JoinSet::new();
        watches.spawn(Arc::clone(&self.intake.pipeline.publisher).keep_watch());
        if let Some(follower) = self.follower {
            watches.spawn(follower.keep());
        }
        let (refuse, refused) = oneshot::channel();
        let counted = Arc::clone(&self.intake.pipeline);
        watches.spawn(async move { counted.media.keep_count().await });
        let metrics = Arc::clone(&self.intake.pipeline.metrics);
        watches.spawn(async move { metrics.refusals.keep_log().await });
        watches.spawn(keep_ids(self.registry, Arc::clone(&self.intake.pipeline), refuse));
        let stop = self.drain.stop.clone();
        let drain = tokio::spawn(self.drain.run(self.to_drain));
        let exporting = self.exporter.map(Exporter::start);
        Running { intake: self.intake, stop, drain, exporting, refused, _watches: watches, _lock: self.lock }
    }
}

/// Who follows the latest topics, if there are any. None of their states is written until enough is known of them.
fn follower(settings: &Settings, pipeline: &Pipeline, registry: &Registry) -> Option<Follower> {
    let latest = pipeline.publisher.latest();
    if latest.topics().is_empty() {
        return None;
    }
    let store = match LatestStore::open(&settings.data_dir, latest.topics()) {
        Ok((store, saved)) => {
            latest.load(saved);
            Some(store)
        }
        Err(error) => {
            let dir = settings.data_dir.display();
            tracing::warn!(%dir, %error, "cannot keep what is known of the latest topics on disk; each start reads them from the beginning");
            None
        }
    };
    latest.hold();
    Some(Follower::new(&pipeline.publisher, &pipeline.routes, registry.reader(), store))
}

/// Asks the registry for ids, at once and from time to time; tells `refuse` when the start fails by what it says.
async fn keep_ids(registry: Arc<Registry>, pipeline: Arc<Pipeline>, refuse: oneshot::Sender<Vec<RefusedSchema>>) {
    let first = registry.start().await;
    pipeline.registry_asked.send_replace(true);
    if let Err(refusals) = first {
        // Nobody listens only when the process ends anyway.
        let _ = refuse.send(refusals);
    }
    tokio::join!(
        registry.keep(),
        verify_after_outages(&registry, &pipeline),
        tell_time(&registry, &pipeline.publisher)
    );
}

/// A registry keeps its schemas in Kafka: what became of one in an outage may have become of the other. So while Kafka does not
/// answer no id is trusted; when it does again the registry is asked first, and what waits is published then.
async fn verify_after_outages(registry: &Registry, pipeline: &Pipeline) {
    let kafka = pipeline.publisher.watch();
    loop {
        kafka.until_answering(false).await;
        registry.doubt_ids();
        pipeline.registry_asked.send_replace(false);
        loop {
            kafka.until_answering(true).await;
            tokio::select! {
                () = registry.verify_ids() => break,
                // What it says now may be of before.
                () = kafka.until_answering(false) => {}
            }
        }
        pipeline.registry_asked.send_replace(true);
    }
}

/// A clock that was wrong at the start has nothing to go by but the registry's.
async fn tell_time(registry: &Registry, publisher: &Publisher) {
    loop {
        sleep(LOST_TIME).await;
        if publisher.clock().is_lost()
            && let Some(told) = registry.time().await
        {
            publisher.clock().learn(told);
        }
    }
}

/// A core that works.
pub(crate) struct Running {
    pub(crate) intake: Arc<Intake>,
    stop: CancellationToken,
    drain: JoinHandle<()>,
    exporting: Option<Exporting>,
    refused: oneshot::Receiver<Vec<RefusedSchema>>,
    /// Dropped, and so aborted, at the end.
    _watches: JoinSet<()>,
    _lock: Option<File>,
}

impl Running {
    /// Returns when the registry refuses a schema so that the start fails; never if it does not.
    pub(crate) async fn refused(&mut self) -> Vec<RefusedSchema> {
        match (&mut self.refused).await {
            Ok(refusals) => refusals,
            Err(_) => std::future::pending().await,
        }
    }

    /// Begins nothing new in the spool.
    pub(crate) fn stop_draining(&self) {
        self.stop.cancel();
    }

    /// Ends: what is under way to Kafka is finished or called back, and the spool closed, by `end`.
    pub(crate) async fn end(mut self, end: Instant) {
        self.stop.cancel();
        let publisher = &self.intake.pipeline.publisher;
        // What is under way from the spool is still in it: no need to wait for long.
        let patience = (end - last_part(end)).min(Instant::now() + CALL_BACK);
        if timeout_at(patience, &mut self.drain).await.is_err() {
            publisher.call_back_all();
            let _ = timeout_at(end, &mut self.drain).await;
        }
        let close = async {
            let left = publisher.flush(end.saturating_duration_since(Instant::now())).await;
            if left != 0 {
                tracing::warn!(
                    records = left,
                    "Kafka has not acknowledged all records at exit; they are in the spool, or their senders got no 2xx and will send them again"
                );
            }
            if timeout_at(end + CALL_BACK / 4, self.intake.spool.close()).await.is_err() {
                tracing::warn!("the spool did not close in time; the next start recovers it");
            }
        };
        // Side by side: neither the records nor the spans take the other's time.
        let export = async {
            if let Some(exporting) = self.exporting {
                exporting.end(end).await;
            }
        };
        tokio::join!(close, export);
    }
}

/// The lane of what an earlier run left: by the topics of today. What has no source any more waits apart, and a dead letter
/// stays one.
fn lane_of(sources: &BTreeMap<String, Arc<Source>>, routes: &Routes, waiting: &Waiting) -> String {
    if waiting.lane == ALTERED {
        waiting.lane.clone()
    } else if !sources.contains_key(&waiting.source) {
        format!("source {}, not configured", waiting.source)
    } else if waiting.lane.ends_with(DEAD_LETTERS) {
        routes.dead_letters.to_string()
    } else {
        routes.lane(&waiting.source, waiting.event_type.as_deref()).to_string()
    }
}

/// Makes the data directory, if need be, and takes it. The lock ends with the process, however that ends. There is none while the
/// disk does not let us make it.
pub(crate) fn lock(data_dir: &Path) -> Result<Option<File>, StartError> {
    let unusable = |e: io::Error| {
        let is_other = data_dir.exists() && !data_dir.is_dir();
        let why = if is_other { "not a directory".to_owned() } else { explain(data_dir, &e) };
        let words = format!("{}: {why}", data_dir.display());
        if !is_of_the_disk(&e) {
            return Err(ConfigError::key("data_dir", words).into());
        }
        tracing::error!("data_dir: {words}; it is not locked, so another process could use it too");
        Ok(None)
    };
    // Bodies wait in it: nobody else's business.
    if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(data_dir) {
        return unusable(error);
    }
    let path = data_dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    // A disk that cannot be written may have one of before.
    match file.or_else(|error| if is_of_the_disk(&error) { File::open(&path).map_err(|_| error) } else { Err(error) }) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(StartError::Locked(data_dir.display().to_string())),
            Err(TryLockError::Error(e)) => unusable(e),
        },
        Err(error) => unusable(error),
    }
}
