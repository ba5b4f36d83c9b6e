//! The spool: verified deliveries on our own disk, until Kafka has them.
//!
//! ```text
//! pipeline ─append─▶ writer ─fsync─▶ spool.db ─read─▶ drain ─▶ pipeline ─▶ Kafka
//!                       ▲                               │
//!                       └──────────── remove ───────────┘
//! ```
//!
//! A delivery is appended only when Kafka's verdict on it is known, so it has one owner. It is kept as it arrived and
//! goes through the pipeline again, by the catalog and the schema ids of that time.
//!
//! What its sender was told is a dead letter stays one, and is kept with the reason. Others of its key have been written since:
//! published after all, it would come behind them. `dead-letters replay` does that when somebody wants it.
//!
//! # Why SQLite
//!
//! `benches/stores` compares SQLite (WAL, `synchronous=FULL`), redb and fjall, each with a sync at every commit. One
//! run on two cores of a machine in use, median (least..most) of 7 rounds:
//!
//! ```text
//!                                   SQLite 3.54          redb 4.5             fjall 3.1
//! 1.5 kB, 1 a commit, entries/s     5136 (2281..5924)    2876 (1619..3748)    5107 (2476..6376)
//! 1.5 kB, 16 a commit, entries/s    44455 (33k..49k)     27461 (25k..31k)     45438 (43k..49k)
//! 1.5 kB, 64 a commit, entries/s    76942 (16k..88k)     63217 (22k..68k)     108425 (27k..119k)
//! 4 MiB, 1 a commit, MB/s           227 (121..286)       240 (151..387)       521 (209..623)
//! open after kill -9, 50,000 in it  8 ms                 273 ms               71 ms
//! lost of those committed, 10 kills 0                    0                    0
//! peak memory, 100,000 added        40 MB                39 MB                145 MB
//! back on disk once emptied         0.4 of 207 MB        0.02 of 208 MB       158 of 219 MB
//! read by another process meanwhile yes                  no                   no
//! ```
//!
//! All are fast enough: requests share commits. SQLite has by far the longest record of keeping what it committed (redb
//! mended two crash bugs, #1276 and #1290, and fjall two commits that were none, #304 and #308, within the last months),
//! and it alone lets an operator look inside while the bridge runs, with a tool that is everywhere. Its own recent bug
//! (two connections that write and checkpoint at the same instant, up to 3.51.2) needs two writers; there is one here.
//! Its weak spot is large bodies, which are written twice, to the log and to the file.

mod keys;
mod lane;
mod store;
mod writer;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::config::SpoolSettings;
use crate::dead_letter::Rejection;
use crate::metrics::Metrics;
use crate::order::Gate;
use crate::verify::Verified;
pub(crate) use lane::Lane;
pub(crate) use store::{Row, Store, Waiting};
pub(crate) use writer::Done;
use writer::{Append, Command, Writer};

/// What a delivery counts for besides its body and headers: its row, its index entry, and their share of pages.
const ROW_BYTES: u64 = 256;
/// What a usual delivery takes: without room for one, the spool is full.
const USUAL_BYTES: u64 = 2048;
/// A disk that takes longer for a commit is in trouble.
const SLOW_COMMIT: Duration = Duration::from_secs(5);
/// Deliveries read at a time, and bytes after which no more are: what a lane that is drained takes in memory.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 4 << 20;

/// Why the spool did not take or give a delivery.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// No room, by a limit or on the disk: it comes back as deliveries leave.
    #[error("{0}")]
    Full(String),
    /// Another time it may work: another process holds the file, or it was made by another version.
    #[error("{0}")]
    Failed(String),
    /// Nothing more is promised on this file until a restart: what the disk holds of the last writes is not known.
    #[error("{0}")]
    Broken(String),
}

impl SpoolError {
    fn of(error: &rusqlite::Error) -> SpoolError {
        use rusqlite::ErrorCode as Code;
        use rusqlite::ffi::{SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE};
        let words = format!("{}: {error}", store::FILE);
        let rusqlite::Error::SqliteFailure(cause, _) = error else { return SpoolError::Failed(words) };
        match (cause.code, cause.extended_code) {
            // The index of the log did not fit.
            (Code::DiskFull, _) | (_, SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_SHMMAP) => SpoolError::Full(words),
            (Code::SystemIoFailure | Code::DatabaseCorrupt | Code::NotADatabase, _) => SpoolError::Broken(words),
            _ => SpoolError::Failed(words),
        }
    }
}

/// Bytes that this user may still write on the disk where `dir` is; `None` when the disk does not say.
fn free_bytes(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Says so when less than `least` bytes would be left where `dir` is, once the log was copied into the database.
pub(crate) fn scarce(dir: &Path, least: u64) -> Option<String> {
    let free = free_bytes(dir)?;
    (free < least.saturating_add(store::LOG_BYTES)).then(|| {
        let kept = if least > 0 { format!("spool.min_free_bytes is {least}, and ") } else { String::new() };
        format!("{free} bytes are free on its disk; {kept}{} are for the log", store::LOG_BYTES)
    })
}

/// How much more the spool could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes that it would take now, at most.
    pub(crate) bytes: u64,
    /// Bytes free on its disk; `None` when the disk does not say.
    pub(crate) free: Option<u64>,
}

impl Room {
    /// What is left by the limits, when `held` bytes are in the spool and `free` on its disk.
    fn within(limits: &SpoolSettings, held: u64, free: Option<u64>) -> Room {
        let by_limit = limits.max_bytes.saturating_sub(held);
        let reserved = limits.min_free_bytes.saturating_add(store::LOG_BYTES);
        Room { bytes: free.map_or(by_limit, |free| by_limit.min(free.saturating_sub(reserved))), free }
    }
}

/// Tells a file from any other, under whatever name.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// What the writer and everyone else see.
struct Shared {
    limits: SpoolSettings,
    dir: PathBuf,
    /// The file that was opened, by device and number.
    file: Option<(u64, u64)>,
    /// Set while a commit is under way.
    writing_since: Mutex<Option<Instant>>,
    metrics: Arc<Metrics>,
    /// In the spool and on their way there.
    bytes: AtomicU64,
    /// The last number whose commit is done and counted.
    visible: AtomicI64,
    trouble: Mutex<Option<SpoolError>>,
}

impl Shared {
    fn trouble(&self) -> Option<SpoolError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why nothing can be added now.
    fn refusal(&self) -> Option<SpoolError> {
        // Full and failed are tried again each time.
        if let Some(broken @ SpoolError::Broken(_)) = self.trouble() {
            return Some(broken);
        }
        if identity(&self.dir.join(store::FILE)) != self.file {
            // What is written to it now is gone with this process.
            return Some(SpoolError::Broken(format!("{} was removed or replaced while in use", store::FILE)));
        }
        scarce(&self.dir, self.limits.min_free_bytes).map(SpoolError::Full)
    }

    fn failed(&self, error: &SpoolError) {
        let before = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).replace(error.clone());
        // One line when it begins, not one per event.
        match (&before, error) {
            (Some(SpoolError::Broken(_)), _) => {}
            (_, SpoolError::Broken(_)) => {
                tracing::error!(%error, "the spool's file cannot be trusted any more; nothing is added to it until a restart");
            }
            (None, error) => tracing::error!(%error, "the spool takes nothing now"),
            (Some(_), _) => {}
        }
    }

    fn well(&self) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*trouble, Some(SpoolError::Broken(_))) && trouble.take().is_some() {
            tracing::info!("the spool takes deliveries again");
        }
    }
}

/// The spool of this process.
pub(crate) struct Spool {
    shared: Arc<Shared>,
    lanes: RwLock<BTreeMap<Arc<str>, Arc<Lane>>>,
    commands: mpsc::Sender<Command>,
    reader: Arc<Mutex<Store>>,
    /// Lanes that somebody has to empty.
    to_drain: UnboundedSender<Arc<Lane>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    /// Opens the spool in `dir` with what is in it, each delivery in the lane that `lane_of` names. Gives also the lanes that
    /// are to be drained, as they come up.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn open(
        dir: &Path,
        limits: SpoolSettings,
        metrics: Arc<Metrics>,
        lane_of: impl Fn(&Waiting) -> String,
    ) -> Result<(Spool, UnboundedReceiver<Arc<Lane>>), SpoolError> {
        let mut store = Store::create(dir)?;
        store.reroute(lane_of)?;
        let (last, waiting) = (store.last_seq()?, store.waiting()?);
        let reader = Store::look(dir)?.ok_or_else(|| SpoolError::Failed("gone while it was opened".into()))?;
        let (commands, received) = mpsc::channel();
        let (to_drain, drained) = unbounded_channel();
        let shared = Arc::new(Shared {
            limits,
            file: identity(&dir.join(store::FILE)),
            writing_since: Mutex::default(),
            dir: dir.to_owned(),
            metrics,
            bytes: AtomicU64::new(0),
            visible: AtomicI64::new(last),
            trouble: Mutex::default(),
        });
        let writer = Writer { store, commands: received, shared: Arc::clone(&shared), last, left_over: Vec::new() };
        let writer = thread::Builder::new().name("spool".into()).spawn(|| writer.run());
        let writer = writer.map_err(|e| SpoolError::Failed(format!("no thread for the spool: {e}")))?;
        let spool = Spool {
            shared,
            lanes: RwLock::default(),
            commands,
            reader: Arc::new(Mutex::new(reader)),
            to_drain,
            writer: Mutex::new(Some(writer)),
        };
        for waiting in &waiting {
            spool.take_over(waiting, last);
        }
        Ok((spool, drained))
    }

    /// Counts what a process before this one left, up to number `last`.
    fn take_over(&self, waiting: &Waiting, last: i64) {
        let lane = self.lane(&waiting.lane);
        self.shared.bytes.fetch_add(waiting.bytes, Ordering::Relaxed);
        self.shared.metrics.recovered(&waiting.lane, &waiting.source, waiting.records, waiting.bytes);
        if lane.take_over(waiting.records, waiting.bytes, last) {
            self.have_drained(&lane);
        }
        tracing::info!(
            lane = waiting.lane,
            source = waiting.source,
            "type" = waiting.event_type.as_deref().unwrap_or("unknown"),
            records = waiting.records,
            "deliveries of an earlier run wait in the spool"
        );
    }

    /// The lane of this name.
    pub(crate) fn lane(&self, name: &str) -> Arc<Lane> {
        if let Some(lane) = self.lanes.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(lane);
        }
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(name.into()).or_insert_with(|| Arc::new(Lane::new(name)));
        Arc::clone(lane)
    }

    /// Puts a delivery at the end of a lane, with why it is a dead letter, if it is one; when this returns `Ok`, it is on disk.
    /// From the call on, what has any of `keys` queues behind it, and what needs a gate of `shut`, too.
    ///
    /// # Errors
    /// When there is no room, or the file cannot be written.
    pub(crate) async fn append(
        &self,
        lane: &Arc<Lane>,
        delivery: &Verified,
        event_type: Option<&str>,
        rejection: Option<&Rejection>,
        keys: Vec<u64>,
        shut: &[Gate],
    ) -> Result<(), SpoolError> {
        let mut headers = rejection.map(Rejection::line).unwrap_or_default();
        headers.extend(delivery.header_lines());
        let bytes = (headers.len() + delivery.body().len()) as u64 + ROW_BYTES;
        self.reserve(lane, &keys, shut, bytes)?;
        self.ask(|kept| {
            Command::Append(Append {
                lane: Arc::clone(lane),
                source: delivery.source().name.clone(),
                event_type: event_type.map(str::to_owned),
                id: delivery.id().to_owned(),
                received_at: delivery.received_at(),
                bytes,
                keys,
                headers,
                body: delivery.body().clone(),
                kept,
            })
        })
        .await
    }

    /// Hands the writer a command, and waits for its answer.
    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), SpoolError>>) -> Command,
    ) -> Result<(), SpoolError> {
        let (done, answer) = oneshot::channel();
        let closed = || SpoolError::Failed("the spool is closed".into());
        self.commands.send(command(done)).map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Somebody empties this lane from now on. The drain ends only with the process.
    fn have_drained(&self, lane: &Arc<Lane>) {
        let _ = self.to_drain.send(Arc::clone(lane));
    }

    /// Makes room within the limits, or says which one is reached.
    fn reserve(&self, lane: &Arc<Lane>, keys: &[u64], shut: &[Gate], bytes: u64) -> Result<(), SpoolError> {
        let limits = &self.shared.limits;
        let all = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let refusal = if all > limits.max_bytes {
            format!("spool.max_bytes is {}", limits.max_bytes)
        } else if let Some(first) = lane.reserve(keys, shut, bytes, limits.max_lane_bytes) {
            if first {
                self.have_drained(lane);
            }
            return Ok(());
        } else {
            format!("spool.max_lane_bytes is {}, and {} has as much", limits.max_lane_bytes, lane.name)
        };
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(SpoolError::Full(refusal))
    }

    /// The next deliveries of a lane after number `after`, none if there are none yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn read(&self, lane: &Lane, after: i64) -> Result<Vec<Row>, SpoolError> {
        let (reader, name, last) =
            (Arc::clone(&self.reader), Arc::clone(&lane.name), self.shared.visible.load(Ordering::Acquire));
        let read = move || {
            let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.read(&name, (after, last), READ_RECORDS, READ_BYTES)
        };
        let rows = tokio::task::spawn_blocking(read).await.map_err(|e| SpoolError::Failed(e.to_string()))?;
        // What cannot be read back is no place for more.
        rows.inspect_err(|error| self.shared.failed(error))
    }

    /// By lane, when the oldest delivery in it was received, in milliseconds since 1970; `None` where none waits.
    pub(crate) async fn oldest(&self) -> Vec<(Arc<str>, Option<i64>)> {
        let lanes: Vec<_> = self.lanes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let reader = Arc::clone(&self.reader);
        let look = move || {
            let of = |lane: Arc<Lane>| {
                // Most lanes are empty: the file is not asked for these.
                let asked = (lane.records() > 0).then(|| reader.lock().unwrap_or_else(PoisonError::into_inner));
                let found = asked.and_then(|reader| reader.oldest(&lane.name).ok().flatten());
                (Arc::clone(&lane.name), found)
            };
            lanes.into_iter().map(of).collect()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// These deliveries are in Kafka. They are not read again.
    pub(crate) fn remove(&self, lane: &Arc<Lane>, rows: Vec<Done>) {
        lane.set_gone(rows.iter().map(|row| row.seq));
        // Without a writer the process is ending; the next one publishes them again.
        let _ = self.commands.send(Command::Remove { lane: Arc::clone(lane), rows });
    }

    /// Puts a delivery at the end of another lane, under `keys`, with why it is a dead letter, if it has become one.
    ///
    /// # Errors
    /// When the file cannot be written; it is where it was then.
    pub(crate) async fn relocate(
        &self,
        from: &Arc<Lane>,
        to: &Arc<Lane>,
        row: Done,
        keys: Vec<u64>,
        rejection: Option<&Rejection>,
    ) -> Result<(), SpoolError> {
        // It is in the spool already: no limit applies.
        if to.reserve(&keys, &[], row.bytes, u64::MAX) == Some(true) {
            self.have_drained(to);
        }
        let before = rejection.map(Rejection::line).unwrap_or_default();
        self.ask(|moved| Command::Relocate { from: Arc::clone(from), to: Arc::clone(to), row, keys, before, moved })
            .await
    }

    /// Why the spool would not take a delivery now.
    pub(crate) fn trouble(&self) -> Option<String> {
        let (shared, limits) = (&self.shared, &self.shared.limits);
        let writing = *shared.writing_since.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.refusal().or_else(|| shared.trouble()) {
            Some(refusal) => Some(refusal.to_string()),
            None if self.bytes() + USUAL_BYTES > limits.max_bytes => {
                Some(format!("spool.max_bytes is {}, and {} are taken", limits.max_bytes, self.bytes()))
            }
            None if USUAL_BYTES > limits.max_lane_bytes => {
                Some(format!("spool.max_lane_bytes is {}", limits.max_lane_bytes))
            }
            None => {
                let long = writing.map(|since| since.elapsed()).filter(|elapsed| *elapsed > SLOW_COMMIT)?;
                Some(format!("the disk has not answered for {} s", long.as_secs()))
            }
        }
    }

    /// How much more it would take now: nothing while it refuses deliveries, for whatever reason.
    pub(crate) async fn room(&self) -> Option<Room> {
        let shared = Arc::clone(&self.shared);
        let look = move || {
            let room = Room::within(&shared.limits, shared.bytes.load(Ordering::Relaxed), free_bytes(&shared.dir));
            let refuses = shared.refusal().or_else(|| shared.trouble()).is_some();
            if refuses { Room { bytes: 0, ..room } } else { room }
        };
        // A disk that hangs must hold up nobody else.
        tokio::task::spawn_blocking(look).await.ok()
    }

    /// How many deliveries are in it, or on their way there.
    pub(crate) fn records(&self) -> u64 {
        self.lanes.read().unwrap_or_else(PoisonError::into_inner).values().map(|lane| lane.records()).sum()
    }

    /// Bytes of what is in it, as they count against `spool.max_bytes`.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Writes what was handed over and closes the file.
    pub(crate) async fn close(&self) {
        let _ = self.commands.send(Command::Close);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        let ended = tokio::task::spawn_blocking(move || writer.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the spool's thread failed; the next start recovers the file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_what_the_nearest_limit_leaves() {
        let limits = SpoolSettings { max_bytes: 100 << 20, max_lane_bytes: 50 << 20, min_free_bytes: 64 << 20 };
        let mib = |bytes: u64| bytes << 20;
        for (held, free, expected) in [
            (0, Some(mib(1000)), 100),
            (40, Some(mib(1000)), 60),
            // 64 MiB are reserved, and 16 for the log.
            (0, Some(mib(110)), 30),
            (0, Some(mib(80)), 0),
            (0, Some(0), 0),
            (101, Some(mib(1000)), 0),
            (40, None, 60),
        ] {
            let room = Room::within(&limits, mib(held), free);
            assert_eq!(room, Room { bytes: mib(expected), free }, "{held} MiB held");
        }
    }
}
