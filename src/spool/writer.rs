//! The one thread that writes the spool: whatever waits shares one transaction, and so one fsync.
//!
//! ```text
//! requests ─┐                     ┌─ insert … insert, delete … delete
//! requests ─┼─▶ channel ─▶ group ─┤
//! drain    ─┘                     └─ COMMIT (fsync) ─▶ every request of the group gets its answer
//! ```
//!
//! While one group is being written the next one gathers; nobody waits for company.
//!
//! The file is the writer's: it opens it, has it recovered when it is damaged, and tries again when the disk was not there.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::SpoolError;
use super::command::{Append, Applied, Done, WriterCommand, apply};
use super::lane::Lane;
use super::opening::{Opened, Opening};
use super::state::Shared;
use super::store::{self, SpoolStore, Waiting};

/// Commands that share a transaction at most, and bytes after which no more join.
const GROUP_COMMANDS: usize = 512;
const GROUP_BYTES: usize = 32 << 20;
/// Without work for this long, space is given back.
const IDLE: Duration = Duration::from_millis(500);
/// How often is tried to open a file that the disk did not give.
const AGAIN: Duration = Duration::from_secs(2);
/// Pages given back at a time: 8 MiB, so that a request that comes meanwhile hardly waits.
const SHRINK_PAGES: u32 = 2048;

pub(super) struct Writer {
    opening: Opening,
    /// None while the disk does not give it, or it cannot be trusted.
    store: Option<SpoolStore>,
    /// Why all has to go into a new file.
    mistrusted: Option<String>,
    opened_at: Option<Instant>,
    commands: Receiver<WriterCommand>,
    shared: Arc<Shared>,
    /// The highest number given so far.
    last: i64,
    /// Deliveries that are to be out of the file, and could not be removed.
    left_over: Vec<(Arc<Lane>, Vec<Done>)>,
}

impl Writer {
    pub(super) fn new(opening: Opening, commands: Receiver<WriterCommand>, shared: Arc<Shared>) -> Writer {
        let (store, mistrusted, opened_at, left_over) = (None, None, None, Vec::new());
        Writer { opening, store, mistrusted, opened_at, commands, shared, last: 0, left_over }
    }

    /// Works until told to close, or until nobody is left who could tell.
    pub(super) fn run(mut self) {
        let mut shrinking = true;
        loop {
            let first = match self.commands.recv_timeout(IDLE) {
                Ok(command) => command,
                Err(RecvTimeoutError::Timeout) => {
                    shrinking = self.idle(shrinking);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            shrinking = true;
            self.open_again();
            let (group, next) = self.gather(first);
            self.write(group);
            match next {
                Some(WriterCommand::Close) => break,
                Some(WriterCommand::Compare { lane, seq }) => self.compare(&lane, seq),
                Some(WriterCommand::Mistrust { error, files })
                    if files == self.shared.files.load(Ordering::Acquire) =>
                {
                    self.mistrust(&error);
                }
                _ => {}
            }
        }
        let closed = self.store.take().map_or(Ok(()), |store| store.checkpoint());
        if let Err(error) = closed {
            tracing::debug!(%error, "the spool's log was not copied into its file at shutdown; the next start does that");
        }
    }

    /// Tries from time to time to open a file that the disk did not give.
    fn open_again(&mut self) {
        if self.store.is_none() && self.opened_at.is_none_or(|at| at.elapsed() >= AGAIN) {
            // Said already, and seen by all.
            let _ = self.open();
        }
    }

    /// What is done when nobody asks for anything; says whether there is more space to be given back.
    fn idle(&mut self, shrinking: bool) -> bool {
        self.open_again();
        self.remove_left_over();
        self.look_again();
        self.shared.count_damaged_files();
        let shared = Arc::clone(&self.shared);
        let Some(store) = self.store.as_ref().filter(|_| shrinking) else { return false };
        shared.asking(|| store.shrink(SHRINK_PAGES)).unwrap_or(false)
    }

    /// Opens the file, if none is open: the one that is there, or a new one of what can be read of it.
    pub(super) fn open(&mut self) -> Result<(), SpoolError> {
        if self.store.is_some() {
            return Ok(());
        }
        self.opened_at = Some(Instant::now());
        let (shared, opening, why) = (Arc::clone(&self.shared), &self.opening, self.mistrusted.as_deref());
        let opened = shared.asking(|| match why {
            // The reader goes last: what it has open is the old file.
            Some(why) => opening.recover(why, || *shared.reader() = None),
            None => opening.open(),
        });
        match opened {
            Ok(opened) => {
                self.adopt(opened);
                Ok(())
            }
            Err(error) => {
                shared.failed(&error);
                Err(error)
            }
        }
    }

    fn adopt(&mut self, opened: Opened) {
        let Opened { store, reader, last, waiting, recovered } = opened;
        self.mistrusted = None;
        self.store = Some(store);
        self.last = self.last.max(last);
        let waiting = if self.left_over.is_empty() { waiting } else { self.without_left_over(waiting) };
        self.shared.opened(reader, self.last, recovered);
        self.shared.count_anew(&waiting, self.last);
        self.shared.count_damaged_files();
        self.shared.look();
        self.shared.well();
        for lane in self.shared.all_lanes() {
            lane.changed.notify_one();
        }
    }

    /// What waits, when what was to be removed is.
    fn without_left_over(&mut self, waiting: Vec<Waiting>) -> Vec<Waiting> {
        self.remove_left_over();
        self.store.as_ref().and_then(|store| store.waiting().ok()).unwrap_or(waiting)
    }

    /// The file does not hold, or give, what was written to it.
    fn mistrust(&mut self, error: &SpoolError) {
        self.shared.failed(error);
        if matches!(error, SpoolError::Disk(_) | SpoolError::Damaged(_)) {
            self.mistrusted = Some(error.to_string());
            self.store = None;
            self.opened_at = None;
            if matches!(error, SpoolError::Damaged(_)) {
                let _ = self.open();
            }
        }
    }

    /// Has the file recovered if a lane holds other deliveries than it should, or some that its reader did not find.
    fn compare(&mut self, lane: &Arc<Lane>, seq: i64) {
        let Some(store) = &self.store else { return };
        let gone = lane.gone();
        let words = match self.shared.asking(|| store.count(&lane.name, lane.drained(), seq)) {
            Ok((records, up_to)) => {
                let expected = lane.in_file().0 + gone.len() as u64;
                let unread = up_to.iter().filter(|seq| !gone.contains(seq)).count();
                if records == expected && unread == 0 {
                    return;
                }
                format!(
                    "{}: {}: expected {expected} deliveries, got {records}, {unread} of them unread",
                    store::FILE,
                    lane.name
                )
            }
            Err(SpoolError::Damaged(words)) => words,
            Err(_) => return,
        };
        self.mistrust(&SpoolError::Damaged(words));
    }

    /// A group of what can share a transaction, and what is to be done after it.
    fn gather(&self, first: WriterCommand) -> (Vec<WriterCommand>, Option<WriterCommand>) {
        let (mut group, mut bytes, mut next) = (Vec::new(), 0, Some(first));
        while let Some(command) = next.take() {
            if !command.writes() {
                return (group, Some(command));
            }
            if let WriterCommand::Append(append) = &command {
                bytes += append.body.len();
            }
            group.push(command);
            if group.len() < GROUP_COMMANDS && bytes < GROUP_BYTES {
                next = self.commands.try_recv().ok();
            }
        }
        (group, None)
    }

    fn write(&mut self, group: Vec<WriterCommand>) {
        let (appends, others): (Vec<_>, Vec<_>) = group.into_iter().partition(WriterCommand::is_append);
        let (given_up, appends): (Vec<_>, Vec<_>) = appends.into_iter().partition(WriterCommand::is_given_up);
        let mut lanes = self.settle_all(given_up, Err(SpoolError::Failed("nobody waits for it any more".into())));
        let refusal = if appends.is_empty() { None } else { self.shared.look() };
        let first_try = match refusal {
            Some(refusal) => Err(refusal),
            None => self.commit_or_recover(appends.iter().chain(&others)),
        };
        let written = first_try.is_ok();
        match first_try {
            Ok(applied) => {
                if !appends.is_empty() && self.shared.well() {
                    self.cut_log();
                }
                lanes.extend(self.settle_all(appends.into_iter().chain(others), Ok(applied)));
            }
            Err(error) => {
                self.shared.failed(&error);
                lanes.extend(self.settle_all(appends, Err(error)));
                // What is in Kafka makes room even when nothing can be added.
                let applied = self.commit(others.iter());
                lanes.extend(self.settle_all(others, applied));
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
        let refusal = self.shared.look();
        let ill = matches!(self.shared.trouble(), Some(SpoolError::Full(_) | SpoolError::Failed(_)));
        if !ill || refusal.is_some() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let Some(store) = &mut self.store else { return };
        if shared.asking(|| store.commit(|_| Ok(()))).is_ok() {
            shared.well();
            self.cut_log();
        }
    }

    /// Tries once more to remove what is to be out of the file.
    fn remove_left_over(&mut self) {
        let Some(store) = self.store.as_mut().filter(|_| !self.left_over.is_empty()) else { return };
        let rows = &self.left_over;
        let removed = self.shared.asking(|| {
            // On a full disk, room may only be had by copying the log and starting it anew.
            let _ = store.checkpoint();
            store.commit(|connection| {
                let mut rows = rows.iter().flat_map(|(_, rows)| rows);
                rows.try_for_each(|row| store::delete(connection, row.seq).map(drop))
            })
        });
        if removed.is_ok() {
            for (lane, rows) in self.left_over.drain(..) {
                lane.removed(rows.iter().map(|row| row.seq));
            }
        }
    }

    /// A write that failed has left a part of itself at the end of the log.
    fn cut_log(&self) {
        if let Some(store) = &self.store {
            let _ = self.shared.asking(|| store.checkpoint());
        }
    }

    /// Commits; a file that turns out to be damaged is recovered, and the same then goes into the new one.
    fn commit_or_recover<'a>(
        &mut self,
        commands: impl Iterator<Item = &'a WriterCommand> + Clone,
    ) -> Result<Vec<Applied>, SpoolError> {
        match self.commit(commands.clone()) {
            Err(error @ SpoolError::Damaged(_)) => {
                self.mistrust(&error);
                self.commit(commands)
            }
            Err(error @ SpoolError::Disk(_)) => {
                self.mistrust(&error);
                Err(error)
            }
            done => done,
        }
    }

    fn commit<'a>(&mut self, commands: impl Iterator<Item = &'a WriterCommand>) -> Result<Vec<Applied>, SpoolError> {
        let mut commands = commands.peekable();
        if commands.peek().is_none() {
            return Ok(Vec::new());
        }
        let mut last = self.last;
        let closed = || SpoolError::Disk(format!("{} is not open", store::FILE));
        let Some(store) = &mut self.store else { return Err(self.shared.trouble().unwrap_or_else(closed)) };
        let write = || store.commit(|connection| commands.map(|c| apply(connection, c, &mut last)).collect());
        let written: rusqlite::Result<Vec<_>> = self.shared.asking(write);
        let applied = written.map_err(|error| SpoolError::of(&error))?;
        self.last = last;
        Ok(applied)
    }

    /// Settles commands that shared a transaction; gives the lanes in which something changed.
    fn settle_all(
        &mut self,
        commands: impl IntoIterator<Item = WriterCommand>,
        written: Result<Vec<Applied>, SpoolError>,
    ) -> Vec<Arc<Lane>> {
        let commands = commands.into_iter();
        match written {
            Ok(applied) => commands.zip(applied).filter_map(|(c, applied)| self.settle(c, Ok(applied))).collect(),
            Err(error) => commands.filter_map(|command| self.settle(command, Err(error.clone()))).collect(),
        }
    }

    /// Counts what was done, and tells the one who asked for it; gives the lane in which something changed.
    fn settle(&mut self, command: WriterCommand, written: Result<Applied, SpoolError>) -> Option<Arc<Lane>> {
        match (command, written) {
            (WriterCommand::Append(append), Ok(Applied::Appended(seq))) => Some(self.appended(append, seq)),
            (WriterCommand::Append(append), written) => {
                let error = written.err().unwrap_or_else(|| SpoolError::Failed("nothing was written".into()));
                let Append { lane, bytes, keys, settled, kept, .. } = append;
                // Whoever has given it up has freed its keys.
                if !settled.swap(true, Ordering::AcqRel) {
                    lane.free(&keys);
                    let _ = kept.send(Err(error));
                }
                self.release(&lane, bytes);
                Some(lane)
            }
            (WriterCommand::Remove { lane, rows }, written) => {
                Some(self.removed(lane, rows, written.map(Applied::gone)))
            }
            (WriterCommand::Relocate { from, to, row, keys, moved, .. }, written) => {
                let there = written.map(|applied| !applied.gone().is_empty());
                if matches!(there, Ok(true)) {
                    self.shared.metrics.relocated(&from.name, &to.name, row.bytes);
                    from.left(1, row.bytes);
                    to.stored(row.bytes);
                } else {
                    to.free(&keys);
                    to.release(row.bytes);
                }
                let missing = || SpoolError::Failed(format!("{} no longer holds the delivery", store::FILE));
                let _ = moved.send(there.and_then(|there| if there { Ok(()) } else { Err(missing()) }));
                Some(to)
            }
            (WriterCommand::SetAside { from, to, done, .. }, written) => {
                let gone = written.map(Applied::gone);
                for row in gone.iter().flatten() {
                    self.shared.metrics.relocated(&from.name, &to.name, row.bytes);
                    from.left(1, row.bytes);
                    to.reserve(&[], &[], row.bytes, u64::MAX);
                    to.stored(row.bytes);
                }
                let _ = done.send(gone.map(drop));
                Some(from)
            }
            (WriterCommand::Compare { .. } | WriterCommand::Mistrust { .. } | WriterCommand::Close, _) => None,
        }
    }

    fn appended(&mut self, append: Append, seq: i64) -> Arc<Lane> {
        let Append { lane, source, event_type, bytes, settled, kept, .. } = append;
        if settled.swap(true, Ordering::AcqRel) {
            // Its sender was told to come again.
            lane.set_gone([seq]);
            self.release(&lane, bytes);
            self.left_over.push((Arc::clone(&lane), vec![Done { seq, bytes }]));
        } else {
            lane.stored(bytes);
            self.shared.metrics.spooled(&lane.name, &source, event_type.as_deref(), bytes);
            // Nobody is there only when the process is ending at once.
            let _ = kept.send(Ok(()));
        }
        lane
    }

    fn removed(&mut self, lane: Arc<Lane>, rows: Vec<Done>, gone: Result<Vec<Done>, SpoolError>) -> Arc<Lane> {
        // They hold up nobody: a lane must not stay closed for what is in Kafka. What was lost meanwhile is counted out already.
        let left = match gone {
            Ok(gone) => {
                lane.removed(rows.iter().map(|row| row.seq));
                if gone.len() < rows.len() {
                    let found: HashSet<_> = gone.iter().map(|row| row.seq).collect();
                    let lost = || rows.iter().filter(|row| !found.contains(&row.seq));
                    let bytes = lost().map(|row| row.bytes).sum();
                    self.shared.metrics.spool_found(&lane.name, lost().count() as u64, bytes);
                }
                gone
            }
            Err(error) => {
                let records = rows.len();
                tracing::warn!(%error, records, "cannot remove published deliveries from the spool; a restart now would publish them again");
                self.left_over.push((Arc::clone(&lane), rows.clone()));
                rows
            }
        };
        let bytes = left.iter().map(|row| row.bytes).sum();
        lane.left(left.len() as u64, bytes);
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        lane
    }

    fn release(&self, lane: &Lane, bytes: u64) {
        lane.release(bytes);
        self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
