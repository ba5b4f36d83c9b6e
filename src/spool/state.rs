//! What the spool's writer knows, for everyone else to see without asking the disk: a disk that hangs holds up nobody but the
//! writer.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::lane::Lane;
use super::recovery::{Recovered, put_aside};
use super::store::{self, SpoolStore, Waiting};
use super::{ALTERED, SpoolError, SpoolRoom, free_bytes, scarce};
use crate::config::SpoolSettings;
use crate::observe::metrics::Metrics;

/// A disk that takes longer for an answer is in trouble.
const HANGS: Duration = Duration::from_secs(2);

/// Tells a file from any other, under whatever name.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[derive(Default)]
struct SpoolState {
    /// What went wrong last, until it goes well again.
    trouble: Option<SpoolError>,
    /// Why nothing could be added when that was looked at last.
    refusal: Option<SpoolError>,
    /// Bytes free on the disk then.
    free: Option<u64>,
    /// Set while the disk is asked for something.
    asked_at: Option<Instant>,
    /// The file that is open, by device and number; none until the disk lets us open one.
    file: Option<(u64, u64)>,
    recovered: Option<Recovered>,
    /// How many damaged files are still there.
    damaged_files: usize,
}

/// What the writer and everyone else see.
pub(super) struct Shared {
    pub(super) limits: SpoolSettings,
    pub(super) dir: PathBuf,
    pub(super) metrics: Arc<Metrics>,
    pub(super) lanes: RwLock<BTreeMap<Arc<str>, Arc<Lane>>>,
    /// Lanes that somebody has to empty.
    pub(super) to_drain: UnboundedSender<Arc<Lane>>,
    /// None while there is no file.
    pub(super) reader: Mutex<Option<SpoolStore>>,
    /// In the spool and on their way there.
    pub(super) bytes: AtomicU64,
    /// The last number whose commit is done and counted.
    pub(super) visible: AtomicI64,
    /// How many files were opened: what was read of another one is to be read again.
    pub(super) files: AtomicU64,
    state: Mutex<SpoolState>,
}

impl Shared {
    pub(super) fn new(
        dir: &Path,
        limits: SpoolSettings,
        metrics: Arc<Metrics>,
        to_drain: UnboundedSender<Arc<Lane>>,
    ) -> Shared {
        Shared {
            limits,
            dir: dir.to_owned(),
            metrics,
            lanes: RwLock::default(),
            to_drain,
            reader: Mutex::default(),
            bytes: AtomicU64::new(0),
            visible: AtomicI64::new(0),
            files: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, SpoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reader(&self) -> MutexGuard<'_, Option<SpoolStore>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reader, unless somebody waits for the disk with it.
    pub(super) fn try_reader(&self) -> Option<MutexGuard<'_, Option<SpoolStore>>> {
        match self.reader.try_lock() {
            Ok(reader) => Some(reader),
            Err(std::sync::TryLockError::Poisoned(reader)) => Some(reader.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }

    /// The lane of this name.
    pub(super) fn lane(&self, name: &str) -> Arc<Lane> {
        if let Some(lane) = self.lanes.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(lane);
        }
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(name.into()).or_insert_with(|| Arc::new(Lane::new(name)));
        Arc::clone(lane)
    }

    pub(super) fn all_lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Somebody empties this lane from now on. The drain ends only with the process.
    pub(super) fn have_drained(&self, lane: &Arc<Lane>) {
        // What was altered waits for an operator.
        if &*lane.name != ALTERED {
            let _ = self.to_drain.send(Arc::clone(lane));
        }
    }

    /// A file is open now.
    pub(super) fn opened(&self, reader: SpoolStore, last: i64, recovered: Option<Recovered>) {
        *self.reader() = Some(reader);
        self.visible.store(last, Ordering::Release);
        self.files.fetch_add(1, Ordering::AcqRel);
        if let Some(recovered) = &recovered {
            self.metrics.spool_recovered(recovered.records, recovered.lost);
        }
        let mut state = self.state();
        state.file = identity(&self.dir.join(store::FILE));
        state.recovered = recovered.or(state.recovered.take());
    }

    /// Counts what is in the file, up to number `last`, and was not known to be.
    pub(super) fn take_over(&self, waiting: &Waiting, last: i64) {
        let lane = self.lane(&waiting.lane);
        self.bytes.fetch_add(waiting.bytes, Ordering::Relaxed);
        self.metrics.recovered(&waiting.lane, &waiting.source, waiting.records, waiting.bytes);
        if lane.take_over(waiting.records, waiting.bytes, last) {
            self.have_drained(&lane);
        }
        tracing::info!(
            lane = waiting.lane,
            source = waiting.source,
            "type" = waiting.event_type.as_deref().unwrap_or("unknown"),
            records = waiting.records,
            "the spool holds deliveries of an earlier run"
        );
    }

    /// Compares what is in a file that was opened, up to number `last`, with what should be there: what is lost is counted out, what
    /// was not known is taken over.
    pub(super) fn count_anew(&self, waiting: &[Waiting], last: i64) {
        let mut found: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for waiting in waiting {
            let (records, bytes) = found.entry(&waiting.lane).or_default();
            (*records, *bytes) = (*records + waiting.records, *bytes + waiting.bytes);
        }
        for lane in self.all_lanes() {
            let (records, bytes) = found.get(&*lane.name).copied().unwrap_or_default();
            let (expected, expected_bytes) = lane.in_file();
            let (missing, missing_bytes) = (expected.saturating_sub(records), expected_bytes.saturating_sub(bytes));
            if missing > 0 {
                lane.left(missing, missing_bytes);
                self.bytes.fetch_sub(missing_bytes, Ordering::Relaxed);
                self.metrics.spool_lost(&lane.name, missing, missing_bytes);
            }
        }
        for waiting in waiting {
            let (known, known_bytes) = self.lane(&waiting.lane).in_file();
            let (records, bytes) = found.get(&*waiting.lane).copied().unwrap_or_default();
            let new = records.saturating_sub(known).min(waiting.records);
            let new_bytes = bytes.saturating_sub(known_bytes).min(waiting.bytes);
            if new > 0 {
                self.take_over(&Waiting { records: new, bytes: new_bytes, ..waiting.clone() }, last);
            }
        }
    }

    /// Carries out what asks the disk. Until it returns, the others see since when.
    pub(super) fn asking<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.state().asked_at.get_or_insert_with(Instant::now);
        let answer = ask();
        self.state().asked_at = None;
        answer
    }

    /// Looks whether something could be added; gives why not.
    pub(super) fn look(&self) -> Option<SpoolError> {
        let file = self.state().file;
        let (is_there, scarce, free) = self.asking(|| {
            let is_there = identity(&self.dir.join(store::FILE)) == file;
            (is_there, scarce(&self.dir, self.limits.min_free_bytes), free_bytes(&self.dir))
        });
        let mut state = self.state();
        state.refusal = if file.is_some() && !is_there {
            Some(SpoolError::Removed(format!("{} was removed or replaced while in use", store::FILE)))
        } else {
            scarce.map(SpoolError::Full)
        };
        state.free = free;
        state.refusal.clone()
    }

    /// Why the spool would not take a delivery now, as far as the disk is concerned.
    pub(super) fn trouble(&self) -> Option<SpoolError> {
        self.hangs().or_else(|| {
            let state = self.state();
            state.refusal.clone().or_else(|| state.trouble.clone())
        })
    }

    /// Says so when the disk does not answer.
    pub(super) fn hangs(&self) -> Option<SpoolError> {
        let long = self.state().asked_at?.elapsed();
        (long > HANGS).then(|| SpoolError::Disk(format!("the disk has not answered for {} s", long.as_secs())))
    }

    /// How much more the spool would take now.
    pub(super) fn room(&self) -> SpoolRoom {
        let room = SpoolRoom::within(&self.limits, self.bytes.load(Ordering::Relaxed), self.state().free);
        if self.trouble().is_some() { SpoolRoom { bytes: 0, ..room } } else { room }
    }

    pub(super) fn failed(&self, error: &SpoolError) {
        let before = self.state().trouble.replace(error.clone());
        // One line when it begins, not one per event.
        if before.is_none_or(|before| std::mem::discriminant(&before) != std::mem::discriminant(error)) {
            tracing::error!(%error, "the spool is rejecting deliveries");
        }
    }

    /// Says whether it did not go well before.
    pub(super) fn well(&self) -> bool {
        let was_ill = self.state().trouble.take().is_some();
        if was_ill {
            tracing::info!("the spool accepts deliveries again");
        }
        was_ill
    }

    /// Counts the damaged files in the directory. They come when a file is opened, and go when an operator removes them.
    pub(super) fn count_damaged_files(&self) {
        let files = self.asking(|| put_aside(&self.dir).len());
        self.state().damaged_files = files;
    }

    /// How many damaged files are in the directory.
    pub(super) fn damaged_files(&self) -> usize {
        self.state().damaged_files
    }

    /// What is to be known of damaged files, while they are there.
    pub(super) fn note(&self) -> Option<String> {
        let state = self.state();
        match (&state.recovered, state.damaged_files) {
            (_, 0) => None,
            (Some(recovered), _) => Some(recovered.words()),
            (None, files) => Some(format!("damaged spool files that an earlier run put aside in data_dir: {files}")),
        }
    }
}
