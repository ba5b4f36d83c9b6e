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

mod command;
mod error;
mod keys;
mod lane;
mod opening;
mod pages;
mod recovery;
mod rows;
mod seal;
mod state;
mod store;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::config::SpoolSettings;
use crate::observe::metrics::Metrics;
use crate::ordering::Gate;
use crate::outcome::Rejection;
use crate::source::verify::Verified;
use crate::values::amount::size;
pub(crate) use command::Done;
use command::{Append, WriterCommand};
pub(crate) use error::{SpoolError, UnknownSource};
pub(crate) use lane::Lane;
use opening::Opening;
pub(crate) use recovery::{put_aside, recover_again};
use state::Shared;
pub(crate) use store::{Row, SpoolStore, Waiting};
use writer::Writer;

/// The lane of deliveries that the disk has altered. They are not published; no topic has such a name.
pub(crate) const ALTERED: &str = "altered on disk";

/// What a delivery counts for besides its body and headers: its row, its index entry, and their share of pages.
const ROW_BYTES: u64 = 256;
/// What a usual delivery takes: without room for one, the spool is full.
const USUAL_BYTES: u64 = 2048;
/// Whether `bytes` leave no room within a limit.
pub(crate) fn is_full(bytes: u64, max_bytes: u64) -> bool {
    bytes + USUAL_BYTES > max_bytes
}

/// Deliveries read at a time, and bytes after which no more are: what a lane that is drained takes in memory.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 4 << 20;

/// Bytes that this user may still write on the disk where `dir` is; `None` when the disk does not say.
fn free_bytes(dir: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Says so when less than `least` bytes would be left where `dir` is, once the log was copied into the database.
pub(crate) fn scarce(dir: &Path, least: u64) -> Option<String> {
    let free = free_bytes(dir)?;
    (free < least.saturating_add(store::LOG_BYTES)).then(|| {
        let kept = if least > 0 {
            format!("{} are kept free (spool.min_free_bytes), and ", size(least))
        } else {
            String::new()
        };
        format!("{} are free on its disk; {kept}{} are needed for its log", size(free), size(store::LOG_BYTES))
    })
}

/// How much more the spool could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpoolRoom {
    /// Bytes that it would take now, at most.
    pub(crate) bytes: u64,
    /// Bytes free on its disk; `None` when the disk does not say.
    pub(crate) free: Option<u64>,
}

impl SpoolRoom {
    /// What is left by the limits, when `held` bytes are in the spool and `free` on its disk.
    fn within(limits: &SpoolSettings, held: u64, free: Option<u64>) -> SpoolRoom {
        let by_limit = limits.max_bytes.saturating_sub(held);
        let reserved = limits.min_free_bytes.saturating_add(store::LOG_BYTES);
        SpoolRoom { bytes: free.map_or(by_limit, |free| by_limit.min(free.saturating_sub(reserved))), free }
    }
}

fn closed() -> SpoolError {
    SpoolError::Failed("the spool is closed".into())
}

/// The spool of this process.
pub(crate) struct Spool {
    shared: Arc<Shared>,
    commands: mpsc::Sender<WriterCommand>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    /// Opens the spool in `dir` with what is in it, each delivery in the lane that `lane_of` names. Gives also the lanes that
    /// are to be drained, as they come up. Where the disk does not let us, that is tried again until it does.
    ///
    /// # Errors
    /// When the file cannot be used, and that would not be over by itself.
    pub(crate) fn open(
        dir: &Path,
        limits: SpoolSettings,
        metrics: Arc<Metrics>,
        lane_of: impl Fn(&Waiting) -> String + Send + 'static,
    ) -> Result<(Spool, UnboundedReceiver<Arc<Lane>>), SpoolError> {
        let (commands, received) = mpsc::channel();
        let (to_drain, drained) = unbounded_channel();
        let shared = Arc::new(Shared::new(dir, limits, metrics, to_drain));
        let opening = Opening { dir: dir.to_owned(), lane_of: Box::new(lane_of) };
        let mut writer = Writer::new(opening, received, Arc::clone(&shared));
        match writer.open() {
            Err(error) if !error.is_of_the_disk() => return Err(error),
            Err(error) => tracing::error!(%error, "cannot open the spool; running without it, and trying again"),
            Ok(()) => {}
        }
        let writer = thread::Builder::new().name("spool".into()).spawn(|| writer.run());
        let writer = writer.map_err(|e| SpoolError::Failed(format!("cannot start the spool's thread: {e}")))?;
        Ok((Spool { shared, commands, writer: Mutex::new(Some(writer)) }, drained))
    }

    /// The lane of this name.
    pub(crate) fn lane(&self, name: &str) -> Arc<Lane> {
        self.shared.lane(name)
    }

    /// All lanes that had something in them since the start.
    pub(crate) fn lanes(&self) -> Vec<Arc<Lane>> {
        self.shared.all_lanes()
    }

    pub(crate) fn limits(&self) -> &SpoolSettings {
        &self.shared.limits
    }

    /// Puts a delivery at the end of a lane, with why it is a dead letter, if it is one; when this returns `Ok`, it is on disk.
    /// From the call on, what has any of `keys` queues behind it, and what needs a gate of `shut`, too. What is not on disk by
    /// `until` is taken back.
    ///
    /// # Errors
    /// When there is no room, or the file cannot be written.
    pub(crate) async fn append(
        &self,
        lane: &Arc<Lane>,
        delivery: &Verified,
        event_type: Option<&str>,
        rejection: Option<&Rejection>,
        (keys, shut): (Vec<u64>, &[Gate]),
        until: Instant,
    ) -> Result<(), SpoolError> {
        self.shared.hangs().map_or(Ok(()), Err)?;
        let lines = [rejection.map(Rejection::line).unwrap_or_default(), delivery.header_lines()].concat();
        let mut headers = seal::line(event_type, delivery.received_at(), &lines);
        headers.extend(lines);
        let bytes = (headers.len() + delivery.body().len()) as u64 + ROW_BYTES;
        self.reserve(lane, &keys, shut, bytes)?;
        let (settled, (kept, mut answer)) = (Arc::new(AtomicBool::new(false)), oneshot::channel());
        let append = Append {
            lane: Arc::clone(lane),
            source: delivery.source().name.clone(),
            event_type: event_type.map(str::to_owned),
            id: delivery.id().to_owned(),
            received_at: delivery.received_at(),
            bytes,
            keys: keys.clone(),
            headers,
            body: delivery.body().clone(),
            settled: Arc::clone(&settled),
            kept,
        };
        self.commands.send(WriterCommand::Append(append)).map_err(|_| closed())?;
        if let Ok(answer) = timeout_at(until, &mut answer).await {
            return answer.unwrap_or_else(|_| Err(closed()));
        }
        if settled.swap(true, Ordering::AcqRel) {
            return answer.await.unwrap_or_else(|_| Err(closed()));
        }
        // The writer takes it out again.
        lane.free(&keys);
        Err(SpoolError::Disk("the disk did not answer in time".into()))
    }

    /// Hands the writer a command, and waits for its answer.
    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), SpoolError>>) -> WriterCommand,
    ) -> Result<(), SpoolError> {
        let (done, answer) = oneshot::channel();
        self.commands.send(command(done)).map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Makes room within the limits, or says which one is reached.
    fn reserve(&self, lane: &Arc<Lane>, keys: &[u64], shut: &[Gate], bytes: u64) -> Result<(), SpoolError> {
        let limits = &self.shared.limits;
        let all = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let refusal = if all > limits.max_bytes {
            format!("the spool is full: spool.max_bytes is {}", size(limits.max_bytes))
        } else if let Some(first) = lane.reserve(keys, shut, bytes, limits.max_lane_bytes) {
            if first {
                self.shared.have_drained(lane);
            }
            return Ok(());
        } else {
            format!(
                "the lane is full: spool.max_lane_bytes is {}, and {} holds as much",
                size(limits.max_lane_bytes),
                lane.name
            )
        };
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        Err(SpoolError::Full(refusal))
    }

    /// Up to this number all can be read. What of that nobody waits for, such as a delivery that its sender was told to send again,
    /// is among [`Lane::gone`] before, until it is removed.
    pub(crate) fn visible(&self) -> i64 {
        self.shared.visible.load(Ordering::Acquire)
    }

    /// The next deliveries of a lane after number `after`, up to `last`, none if there are none yet. What the disk has altered is not
    /// given: it goes to a lane of its own.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) async fn read(&self, lane: &Arc<Lane>, (after, last): (i64, i64)) -> Result<Vec<Row>, SpoolError> {
        let (shared, of) = (Arc::clone(&self.shared), Arc::clone(&lane.name));
        let read = move || {
            let reader = shared.reader();
            let reader = reader.as_ref().ok_or_else(|| SpoolError::Disk("no file is open".into()))?;
            let rows = reader.read(&of, (after, last), READ_RECORDS, READ_BYTES)?;
            let (mut whole, altered): (Vec<_>, Vec<_>) = rows.into_iter().partition(seal::is_whole);
            for row in &mut whole {
                seal::strip(&mut row.headers);
            }
            Ok((whole, altered))
        };
        let files = self.files();
        let rows = tokio::task::spawn_blocking(read).await.map_err(|e| SpoolError::Failed(e.to_string()))?;
        let (whole, altered) = rows.inspect_err(|error| self.mistrust(error, files))?;
        self.set_aside(lane, altered).await;
        Ok(whole)
    }

    /// Has a file that cannot be read recovered, unless another was opened since `files` were.
    fn mistrust(&self, error: &SpoolError, files: u64) {
        if !matches!(error, SpoolError::Full(_) | SpoolError::Failed(_)) {
            let _ = self.commands.send(WriterCommand::Mistrust { error: error.clone(), files });
        }
    }

    /// Puts deliveries into the lane of what was altered.
    async fn set_aside(&self, lane: &Arc<Lane>, rows: Vec<Row>) {
        if rows.is_empty() {
            return;
        }
        for Row { seq, source, id, bytes, .. } in &rows {
            tracing::error!(lane = %lane.name, seq, source, id, bytes, "a delivery in the spool was altered on disk; it is kept but not published");
        }
        let rows = rows.iter().map(|row| Done { seq: row.seq, bytes: row.bytes }).collect();
        let (from, to) = (Arc::clone(lane), self.lane(ALTERED));
        if let Err(error) = self.ask(|done| WriterCommand::SetAside { from, to, rows, done }).await {
            tracing::warn!(%error, "cannot move an altered delivery out of its lane");
        }
    }

    /// A lane has been read up to number `seq`, and yet deliveries should be in it: has the file recovered if it does not hold what
    /// was written to it.
    pub(crate) fn compare(&self, lane: &Arc<Lane>, seq: i64) {
        let _ = self.commands.send(WriterCommand::Compare { lane: Arc::clone(lane), seq });
    }

    /// How many files were opened so far: what was read of another one is to be read again.
    pub(crate) fn files(&self) -> u64 {
        self.shared.files.load(Ordering::Acquire)
    }

    /// By lane, when the oldest delivery in it was received, in milliseconds since 1970; `None` where none waits. What the disk
    /// does not tell now is left out.
    pub(crate) async fn oldest(&self) -> Vec<(Arc<str>, Option<i64>)> {
        let (shared, lanes) = (Arc::clone(&self.shared), self.shared.all_lanes());
        let look = move || {
            let of = |lane: Arc<Lane>| {
                // Most lanes are empty: the file is not asked for these.
                if lane.records() == 0 {
                    return Some((Arc::clone(&lane.name), None));
                }
                let reader = shared.try_reader()?;
                Some((Arc::clone(&lane.name), reader.as_ref()?.oldest(&lane.name).ok().flatten()))
            };
            lanes.into_iter().filter_map(of).collect()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// These deliveries are in Kafka. They are not read again.
    pub(crate) fn remove(&self, lane: &Arc<Lane>, rows: Vec<Done>) {
        lane.set_gone(rows.iter().map(|row| row.seq));
        // Without a writer the process is ending; the next one publishes them again.
        let _ = self.commands.send(WriterCommand::Remove { lane: Arc::clone(lane), rows });
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
        (event_type, received_at): (Option<&str>, i64),
        rejection: Option<&Rejection>,
    ) -> Result<(), SpoolError> {
        // It is in the spool already: no limit applies.
        if to.reserve(&keys, &[], row.bytes, u64::MAX) == Some(true) {
            self.shared.have_drained(to);
        }
        let mut before = rejection.map(Rejection::line).unwrap_or_default();
        if !before.is_empty() {
            before.splice(0..0, seal::line(event_type, received_at, &before));
        }
        self.ask(|moved| WriterCommand::Relocate {
            from: Arc::clone(from),
            to: Arc::clone(to),
            row,
            keys,
            before,
            moved,
        })
        .await
    }

    /// Why the spool would not take a delivery now.
    pub(crate) fn trouble(&self) -> Option<String> {
        let limits = &self.shared.limits;
        match self.shared.trouble() {
            Some(trouble) => Some(trouble.to_string()),
            None if is_full(self.bytes(), limits.max_bytes) => {
                let (held, most) = (size(self.bytes()), size(limits.max_bytes));
                Some(format!("the spool is full: {held} of spool.max_bytes ({most}) are used"))
            }
            None if is_full(0, limits.max_lane_bytes) => {
                Some(format!("spool.max_lane_bytes is {}", size(limits.max_lane_bytes)))
            }
            None => None,
        }
    }

    /// Whether the disk does not answer.
    pub(crate) fn hangs(&self) -> bool {
        self.shared.hangs().is_some()
    }

    /// What is to be known of damaged files, while they are there.
    pub(crate) fn note(&self) -> Option<String> {
        self.shared.note()
    }

    /// How many damaged files are in the data directory.
    pub(crate) fn damaged_files(&self) -> usize {
        self.shared.damaged_files()
    }

    /// How much more it would take now: nothing while it refuses deliveries, for whatever reason.
    pub(crate) fn room(&self) -> SpoolRoom {
        self.shared.room()
    }

    /// How many deliveries are in it, or on their way there.
    pub(crate) fn records(&self) -> u64 {
        self.shared.all_lanes().iter().map(|lane| lane.records()).sum()
    }

    /// Bytes of what is in it, as they count against `spool.max_bytes`.
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Writes what was handed over and closes the file.
    pub(crate) async fn close(&self) {
        let _ = self.commands.send(WriterCommand::Close);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        let ended = tokio::task::spawn_blocking(move || writer.join()).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::error!("the spool's thread failed; the next start recovers the spool");
        }
    }
}

#[cfg(test)]
mod tests;
