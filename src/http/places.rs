//! The places for connections of a listener, and who gives his up when there are none left: connections that wait for
//! something, those of strangers first, those that have waited longest first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::progress::{Progress, Rank, SERVED_IN};

/// As many of the places are freed at once, if as many connections have waited about as long: all are looked at for that.
const FREED_AT_ONCE: usize = 64;
/// What has waited for this part of the longest time, or more, goes with it.
const ABOUT_AS_LONG: u32 = 4;
/// When nobody can give up his place, it is looked again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// All places of a listener.
pub(super) struct ConnectionPlaces {
    most: usize,
    free: Arc<Semaphore>,
    open: Mutex<Open>,
    /// Bytes of heads that have not arrived wholly.
    arriving: AtomicUsize,
    most_arriving: usize,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Arc<Progress>>,
}

/// A connection's place, until this is dropped.
pub(super) struct ConnectionPlace {
    places: Arc<ConnectionPlaces>,
    id: u64,
    pub(super) progress: Arc<Progress>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.places.open().connections.remove(&self.id);
        self.places.arrived(&self.progress);
    }
}

impl ConnectionPlaces {
    pub(super) fn new(most: usize, most_arriving: usize) -> Arc<ConnectionPlaces> {
        let free = Arc::new(Semaphore::new(most));
        Arc::new(ConnectionPlaces { most, free, open: Mutex::default(), arriving: AtomicUsize::new(0), most_arriving })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, be it somebody else's. `None` is at the end of the program.
    pub(super) async fn take(self: &Arc<Self>) -> Option<ConnectionPlace> {
        let permit = loop {
            match Arc::clone(&self.free).try_acquire_owned() {
                Ok(permit) => break permit,
                Err(_) => self.free_some(),
            }
            if let Ok(permit) = timeout(LOOK_AGAIN, Arc::clone(&self.free).acquire_owned()).await {
                break permit.ok()?;
            }
        };
        let progress = Arc::new(Progress::new());
        let mut open = self.open();
        let id = open.next;
        open.next += 1;
        open.connections.insert(id, Arc::clone(&progress));
        Some(ConnectionPlace { places: Arc::clone(self), id, progress, _permit: permit })
    }

    fn free_some(&self) {
        let now = Instant::now();
        let open = self.open();
        let waiting = open.connections.values().filter_map(|progress| Some((progress.gives_way(now)?, progress)));
        let mut waiting: Vec<_> = waiting.map(|((rank, waited), progress)| (rank, waited, progress)).collect();
        waiting.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some(&(rank, longest, _)) = waiting.first() else { return };
        // Before those who are trusted lose theirs, a stranger's request is waited for.
        let least = if rank == Rank::Slow { SERVED_IN } else { Duration::ZERO };
        let about_as_long = |waited: Duration| waited >= least && waited * ABOUT_AS_LONG >= longest;
        let worst = waiting.iter().take_while(|(of, waited, _)| *of == rank && about_as_long(*waited));
        worst.take((self.most / FREED_AT_ONCE).max(1)).for_each(|(_, _, progress)| progress.evict());
    }

    /// Bytes have come that are none of a request being served.
    pub(super) fn arriving(&self, progress: &Progress, bytes: usize) {
        progress.arriving.fetch_add(bytes, Ordering::Relaxed);
        if self.arriving.fetch_add(bytes, Ordering::Relaxed) + bytes > self.most_arriving {
            self.evict_heads();
        }
    }

    /// A head is complete, or comes no more.
    pub(super) fn arrived(&self, progress: &Progress) {
        self.arriving.fetch_sub(progress.arriving.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Ends the connections whose heads have cost most: bytes times time.
    fn evict_heads(&self) {
        let now = Instant::now();
        let open = self.open();
        let heads = open.connections.values().filter_map(|progress| {
            let bytes = progress.arriving.load(Ordering::Relaxed);
            let (rank, waited) = progress.gives_way(now)?;
            (bytes > 0).then(|| (rank, bytes as u128 * waited.as_millis(), bytes, progress))
        });
        let mut heads: Vec<_> = heads.collect();
        heads.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut left = self.arriving.load(Ordering::Relaxed);
        for (_, _, bytes, progress) in heads {
            if left <= self.most_arriving - self.most_arriving / FREED_AT_ONCE {
                return;
            }
            progress.evict();
            self.arrived(progress);
            left = left.saturating_sub(bytes);
        }
    }
}
