//! The one thread that writes the spool: whatever waits shares one transaction, and so one fsync.
//!
//! ```text
//! requests ─┐                     ┌─ insert … insert, delete … delete
//! requests ─┼─▶ channel ─▶ group ─┤
//! drain    ─┘                     └─ COMMIT (fsync) ─▶ every request of the group gets its answer
//! ```
//!
//! While one group is being written the next one gathers; nobody waits for company.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::lane::Lane;
use super::store::{self, NewRow, Store};
use super::{Shared, SpoolError};

/// Commands that share a transaction at most, and bytes after which no more join.
const GROUP_COMMANDS: usize = 512;
const GROUP_BYTES: usize = 32 << 20;
/// Without work for this long, space is given back.
const IDLE: Duration = Duration::from_millis(500);
/// Pages given back at a time: 8 MiB, so that a request that comes meanwhile hardly waits.
const SHRINK_PAGES: u32 = 2048;

pub(super) enum Command {
    Append(Append),
    /// These are in Kafka.
    Remove {
        lane: Arc<Lane>,
        rows: Vec<Done>,
    },
    /// This one goes to the end of another lane, which has room reserved for it under these keys.
    Relocate {
        from: Arc<Lane>,
        to: Arc<Lane>,
        row: Done,
        keys: Vec<u64>,
        /// What is put before its headers.
        before: Vec<u8>,
        moved: oneshot::Sender<Result<(), SpoolError>>,
    },
    Close,
}

/// A delivery that is to be kept.
pub(super) struct Append {
    pub(super) lane: Arc<Lane>,
    pub(super) source: String,
    pub(super) event_type: Option<String>,
    pub(super) id: String,
    pub(super) received_at: i64,
    pub(super) bytes: u64,
    /// Under which room is reserved for it.
    pub(super) keys: Vec<u64>,
    pub(super) headers: Vec<u8>,
    pub(super) body: Bytes,
    pub(super) kept: oneshot::Sender<Result<(), SpoolError>>,
}

/// A delivery that is in the spool no longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) seq: i64,
    pub(crate) bytes: u64,
}

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) commands: Receiver<Command>,
    pub(super) shared: Arc<Shared>,
    /// The highest number given so far.
    pub(super) last: i64,
    /// Published deliveries that could not be removed.
    pub(super) left_over: Vec<(Arc<Lane>, Vec<Done>)>,
}

impl Writer {
    /// Works until told to close, or until nobody is left who could tell.
    pub(super) fn run(mut self) {
        let mut shrinking = true;
        loop {
            let first = match self.commands.recv_timeout(IDLE) {
                Ok(command) => command,
                Err(RecvTimeoutError::Timeout) => {
                    self.remove_left_over();
                    self.look_again();
                    shrinking = shrinking && self.store.shrink(SHRINK_PAGES).unwrap_or(false);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            shrinking = true;
            let (group, closing) = self.gather(first);
            self.write(group);
            if closing {
                break;
            }
        }
        if let Err(error) = self.store.checkpoint() {
            tracing::debug!(%error, "the spool's log was not copied at the end; the next start does it");
        }
    }

    fn gather(&self, first: Command) -> (Vec<Command>, bool) {
        let (mut group, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        while let Some(command) = next.take() {
            match &command {
                Command::Close => return (group, true),
                Command::Append(append) => bytes += append.body.len(),
                Command::Remove { .. } | Command::Relocate { .. } => {}
            }
            group.push(command);
            if group.len() < GROUP_COMMANDS && bytes < GROUP_BYTES {
                next = self.commands.try_recv().ok();
            }
        }
        (group, false)
    }

    fn write(&mut self, group: Vec<Command>) {
        let (appends, others): (Vec<_>, Vec<_>) = group.into_iter().partition(|c| matches!(c, Command::Append(_)));
        let refusal = if appends.is_empty() { None } else { self.shared.refusal() };
        let first_try = match refusal {
            Some(refusal) => Err(refusal),
            None => self.commit(appends.iter().chain(&others)),
        };
        let mut lanes = Vec::new();
        let written = first_try.is_ok();
        match first_try {
            Ok(()) => {
                if !appends.is_empty() {
                    self.shared.well();
                }
                for command in appends.into_iter().chain(others) {
                    lanes.extend(self.settle(command, Ok(())));
                }
            }
            Err(error) => {
                self.shared.failed(&error);
                for command in appends {
                    lanes.extend(self.settle(command, Err(error.clone())));
                }
                // What is in Kafka makes room even when nothing can be added.
                let removed = self.commit(others.iter());
                for command in others {
                    lanes.extend(self.settle(command, removed.clone()));
                }
            }
        }
        // Counted first, so that nothing leaves the spool before it was in it; told last, so that it is found.
        self.shared.visible.store(self.last, Ordering::Release);
        for lane in lanes {
            lane.changed.notify_one();
        }
        if written {
            self.remove_left_over();
        }
    }

    /// Whether what was in the way is gone, though nobody asks: readiness rests on it.
    fn look_again(&mut self) {
        let mended = |trouble: &SpoolError| matches!(trouble, SpoolError::Full(_) | SpoolError::Failed(_));
        if self.shared.trouble().is_some_and(|t| mended(&t))
            && self.shared.refusal().is_none()
            && self.store.commit(|_| Ok(())).is_ok()
        {
            self.shared.well();
        }
    }

    /// Tries once more to remove what is in Kafka already.
    fn remove_left_over(&mut self) {
        if self.left_over.is_empty() {
            return;
        }
        // On a full disk, room may only be had by copying the log and starting it anew.
        let _ = self.store.checkpoint();
        let rows = &self.left_over;
        let removed = self.store.commit(|connection| {
            rows.iter().flat_map(|(_, rows)| rows).try_for_each(|row| store::delete(connection, row.seq))
        });
        if removed.is_ok() {
            for (lane, rows) in self.left_over.drain(..) {
                lane.removed(rows.iter().map(|row| row.seq));
            }
        }
    }

    fn commit<'a>(&mut self, commands: impl Iterator<Item = &'a Command>) -> Result<(), SpoolError> {
        let mut last = self.last;
        let mut commands = commands.peekable();
        if commands.peek().is_none() {
            return Ok(());
        }
        let since = |now| *self.shared.writing_since.lock().unwrap_or_else(PoisonError::into_inner) = now;
        since(Some(Instant::now()));
        let written = self.store.commit(|connection| commands.try_for_each(|c| apply(connection, c, &mut last)));
        since(None);
        written.map_err(|error| SpoolError::of(&error))?;
        self.last = last;
        Ok(())
    }

    /// Counts what was done, and tells the one who asked for it; gives the lane in which something changed.
    fn settle(&mut self, command: Command, written: Result<(), SpoolError>) -> Option<Arc<Lane>> {
        let shared = Arc::clone(&self.shared);
        match command {
            Command::Append(append) => {
                let Append { lane, source, event_type, bytes, keys, kept, .. } = append;
                match &written {
                    Ok(()) => shared.metrics.spooled(&lane.name, &source, event_type.as_deref(), bytes),
                    Err(_) => {
                        lane.free(&keys);
                        lane.release(1, bytes);
                        shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
                    }
                }
                // Nobody is there only when the process is ending at once.
                let _ = kept.send(written);
                Some(lane)
            }
            Command::Remove { lane, rows } => {
                let (records, bytes) = (rows.len(), rows.iter().map(|row| row.bytes).sum());
                match written {
                    Ok(()) => lane.removed(rows.iter().map(|row| row.seq)),
                    Err(error) => {
                        tracing::warn!(%error, records, "published deliveries are still in the spool; a restart now would publish them again");
                        self.left_over.push((Arc::clone(&lane), rows));
                    }
                }
                // They hold up nobody: a lane must not stay closed for what is in Kafka.
                lane.release(records as u64, bytes);
                shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
                Some(lane)
            }
            Command::Relocate { from, to, row, keys, moved, .. } => {
                if written.is_ok() {
                    shared.metrics.relocated(&from.name, &to.name, row.bytes);
                    from.release(1, row.bytes);
                } else {
                    to.free(&keys);
                    to.release(1, row.bytes);
                }
                let _ = moved.send(written);
                Some(to)
            }
            Command::Close => None,
        }
    }
}

fn apply(connection: &Connection, command: &Command, last: &mut i64) -> rusqlite::Result<()> {
    match command {
        Command::Append(append) => {
            *last += 1;
            let row = NewRow {
                seq: *last,
                lane: &append.lane.name,
                source: &append.source,
                event_type: append.event_type.as_deref(),
                id: &append.id,
                received_at: append.received_at,
                bytes: append.bytes,
                headers: &append.headers,
                body: &append.body,
            };
            store::insert(connection, &row)
        }
        Command::Remove { rows, .. } => rows.iter().try_for_each(|row| store::delete(connection, row.seq)),
        Command::Relocate { to, row, before, .. } => {
            *last += 1;
            store::relocate(connection, row.seq, *last, &to.name, before)
        }
        Command::Close => Ok(()),
    }
}
