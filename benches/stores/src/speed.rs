//! How fast: durable appends, and draining beside them. Only the time inside the store is counted.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::Spread;
use crate::stores::{Entry, Kind};
use crate::{Result, SMALL};

/// How many entries a drain reads and removes at once.
const DRAIN_BATCH: usize = 256;
/// How many entries each commit adds meanwhile.
const DRAIN_APPENDS: usize = 16;

/// The commits of one round.
pub struct Commits {
    /// In seconds each.
    pub times: Vec<f64>,
    entries: usize,
    bytes: usize,
}

impl Commits {
    fn total(&self) -> f64 {
        self.times.iter().sum()
    }

    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.total()
    }

    pub fn entries_per_second(&self) -> f64 {
        self.entries as f64 / self.total()
    }

    pub fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.total()
    }
}

/// Commits `batch` entries of `len` bytes at a time, until `span` is spent in commits.
pub fn append(kind: Kind, dir: &Path, batch: usize, len: usize, span: Duration) -> Result<Commits> {
    let mut store = kind.open(dir)?;
    commits(batch, len, span, |entries| store.commit(entries, None))
}

/// The same without a store, to know the disk: a file that is written at its end and synced. A store that writes over
/// what its file already holds, as a log that starts anew does, can be faster: the file system has less to note.
pub fn append_to_file(dir: &Path, batch: usize, len: usize, span: Duration) -> Result<Commits> {
    let mut file = File::create(dir.join("file"))?;
    commits(batch, len, span, |entries| {
        file.write_all(&entries.iter().map(|entry| entry.body.as_slice()).collect::<Vec<_>>().concat())?;
        Ok(file.sync_data()?)
    })
}

fn commits(
    batch: usize,
    len: usize,
    span: Duration,
    mut commit: impl FnMut(&[Entry]) -> Result<()>,
) -> Result<Commits> {
    let mut done = Commits { times: Vec::new(), entries: 0, bytes: 0 };
    while done.total() < span.as_secs_f64() {
        let entries: Vec<Entry> = (1..=batch).map(|n| Entry::new((done.entries + n) as u64, len)).collect();
        let start = Instant::now();
        commit(&entries)?;
        done.times.push(start.elapsed().as_secs_f64());
        done.entries += batch;
        done.bytes += batch * len;
    }
    Ok(done)
}

/// Reads `count` entries in order and has them removed, while the writer adds new ones. The writer takes a removal into
/// the commit it makes anyway, as a spool with one writer thread would. Entries a second: removed, and added.
pub fn drain(kind: Kind, dir: &Path, count: u64) -> Result<(f64, f64)> {
    let mut store = kind.open(dir)?;
    let mut last = crate::fill(store.as_mut(), count)?;
    let mut reader = store.reader()?;
    let (remove, removals) = channel();
    let (removed, acknowledged) = channel();
    let start = Instant::now();
    let drained = thread::scope(|scope| {
        let drainer = scope.spawn(move || -> Result<u64> {
            let mut drained = 0;
            while drained < count {
                for entry in reader.after(drained, DRAIN_BATCH)? {
                    if entry.id != drained + 1 {
                        return Err(format!("read {} after {drained}", entry.id).into());
                    }
                    drained = entry.id;
                }
                remove.send(drained)?;
                acknowledged.recv()?;
            }
            Ok(drained)
        });
        loop {
            let through = match removals.try_recv() {
                Ok(through) => Some(through),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => break,
            };
            let entries: Vec<Entry> = (1..=DRAIN_APPENDS as u64).map(|n| Entry::new(last + n, SMALL)).collect();
            store.commit(&entries, through)?;
            last += DRAIN_APPENDS as u64;
            if through.is_some() {
                removed.send(())?;
            }
        }
        drainer.join().map_err(|_| "the drain panicked")?
    })?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((drained as f64 / seconds, (last - count) as f64 / seconds))
}

/// The times of all rounds together, in milliseconds.
pub fn milliseconds(rounds: &[Commits]) -> Spread {
    rounds.iter().flat_map(|round| &round.times).map(|time| time * 1e3).collect()
}
