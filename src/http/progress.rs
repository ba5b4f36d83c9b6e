//! What a connection is at, and how long it may be.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::ConnectionLimits;

/// Bytes that a head in arrival is charged for at the most. No more is buffered, and in HTTP/2 bytes need not be a head.
pub(super) const MOST_OF_A_HEAD: usize = 64 << 10;
/// Bytes that are read and dropped of what nobody wants: beyond the limit of a body, or beyond the last request of a connection.
pub(super) const READ_ON: usize = 4 << 20;

/// What a connection is at.
#[derive(Clone, Copy)]
enum Phase {
    /// Nothing since it was opened.
    New(Instant),
    /// Nothing since then, when a request was answered.
    Idle(Instant),
    /// A request's head began to arrive then.
    Head(Instant),
    /// So many requests are being served, some of them since then; their own limits hold.
    Serving(usize, Instant),
}

/// A stranger's requests have this long before a connection is ended for the sake of another.
pub(super) const SERVED_IN: Duration = Duration::from_secs(1);

/// Who gives up a place for another first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Waits for a request, and has proved nothing.
    Idle,
    /// Its requests are being received, for too long after [`SERVED_IN`], and none was ever proved.
    Slow,
    /// Waits for a further request of a sender that has proved itself.
    Trusted,
}

/// A connection's phase, and word of when it changes.
pub(super) struct Progress {
    phase: Mutex<Phase>,
    pub(super) changed: Notify,
    /// A sender on it has proved itself.
    trusted: AtomicBool,
    /// It is to end for the sake of another.
    gone: AtomicBool,
    pub(super) evicted: Notify,
    /// Bytes that have come of a head: see `ConnectionPlaces`.
    pub(super) arriving: AtomicUsize,
    /// What the heads of its requests take.
    heads: AtomicUsize,
    /// Bytes that may be read after its last request.
    read_on: AtomicUsize,
    /// It ends without that.
    ends_at_once: AtomicBool,
}

/// A request that is being served, until this is dropped.
pub(super) struct Serving {
    progress: Arc<Progress>,
    head: usize,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.progress.heads.fetch_sub(self.head, Ordering::Relaxed);
        let mut phase = self.progress.phase();
        *phase = match *phase {
            Phase::Serving(requests, since) if requests > 1 => Phase::Serving(requests - 1, since),
            _ => Phase::Idle(Instant::now()),
        };
    }
}

impl Serving {
    /// It is answered, and its head is gone; what is left of its body is not.
    pub(super) fn drop_head(&mut self) {
        self.progress.heads.fetch_sub(std::mem::take(&mut self.head), Ordering::Relaxed);
    }

    /// What the heads of all requests on its connection take.
    pub(super) fn heads(&self) -> usize {
        self.progress.heads.load(Ordering::Relaxed)
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        Progress {
            phase: Mutex::new(Phase::New(Instant::now())),
            changed: Notify::new(),
            trusted: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            evicted: Notify::new(),
            arriving: AtomicUsize::new(0),
            heads: AtomicUsize::new(0),
            read_on: AtomicUsize::new(READ_ON),
            ends_at_once: AtomicBool::new(false),
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handshake is over.
    pub(super) fn begin(&self) {
        *self.phase() = Phase::New(Instant::now());
    }

    /// A request's head is there, and takes so many bytes.
    pub(super) fn serve(self: &Arc<Self>, head: usize) -> Serving {
        self.heads.fetch_add(head, Ordering::Relaxed);
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Serving(requests, since) => Phase::Serving(requests + 1, since),
            _ => Phase::Serving(1, Instant::now()),
        };
        Serving { progress: Arc::clone(self), head }
    }

    /// A sender on it has proved itself: it gives way last.
    pub(super) fn trust(&self) {
        self.trusted.store(true, Ordering::Relaxed);
    }

    /// Ends it for the sake of another.
    pub(super) fn evict(&self) {
        self.gone.store(true, Ordering::Relaxed);
        self.evicted.notify_one();
    }

    /// Whether it may be ended for the sake of another, and for how long it has waited.
    pub(super) fn gives_way(&self, now: Instant) -> Option<(Rank, Duration)> {
        let trusted = self.trusted.load(Ordering::Relaxed);
        let (rank, since) = match *self.phase() {
            Phase::New(since) | Phase::Idle(since) | Phase::Head(since) if trusted => (Rank::Trusted, since),
            Phase::New(since) | Phase::Idle(since) | Phase::Head(since) => (Rank::Idle, since),
            Phase::Serving(_, since) if !trusted => (Rank::Slow, since),
            Phase::Serving(..) => return None,
        };
        (!self.gone.load(Ordering::Relaxed)).then(|| (rank, now.duration_since(since)))
    }

    /// Bytes arrived: if nothing was going on, they are those of a head, and the first ones begin it (`by_bytes`: in HTTP/2 they
    /// may be something else). Tells whether they may be a head's.
    pub(super) fn read(&self, by_bytes: bool) -> bool {
        let mut phase = self.phase();
        if by_bytes && matches!(*phase, Phase::New(_) | Phase::Idle(_)) {
            *phase = Phase::Head(Instant::now());
            self.changed.notify_one();
        }
        !matches!(*phase, Phase::Serving(..))
    }

    /// Bytes were sent: an answer that goes on does not leave its connection idle.
    pub(super) fn wrote(&self) {
        if let Phase::Idle(since) = &mut *self.phase() {
            *since = Instant::now();
        }
    }

    /// Whether it waits for a request, of which nothing has come.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(*self.phase(), Phase::New(_) | Phase::Idle(_))
    }

    /// When it ends, no more is read than this.
    pub(super) fn read_on_at_most(&self, bytes: usize) {
        self.read_on.fetch_min(bytes, Ordering::Relaxed);
    }

    /// Nobody is sending: when it ends, nothing is waited for.
    pub(super) fn end_at_once(&self) {
        self.ends_at_once.store(true, Ordering::Relaxed);
    }

    /// How many bytes may be read after its last request; nothing if it ends at once.
    pub(super) fn reads_on(&self) -> Option<usize> {
        (!self.ends_at_once.load(Ordering::Relaxed)).then(|| self.read_on.load(Ordering::Relaxed))
    }

    /// When a request is waited for no longer of a connection that is to end: `patience` after it was opened or has served one, or its
    /// head began to arrive, and after `stopped` at the latest.
    pub(super) fn last_call(&self, stopped: Instant, patience: Duration) -> Instant {
        match *self.phase() {
            Phase::New(since) | Phase::Idle(since) | Phase::Head(since) => since.min(stopped) + patience,
            Phase::Serving(..) => stopped,
        }
    }

    pub(super) fn is_head(&self) -> bool {
        matches!(*self.phase(), Phase::Head(_))
    }

    /// When the present phase has lasted too long.
    pub(super) fn deadline(&self, limits: &ConnectionLimits) -> Instant {
        match *self.phase() {
            Phase::Idle(since) => since + limits.idle,
            Phase::New(since) | Phase::Head(since) => since + limits.head,
            // Looked at again after a while.
            Phase::Serving(..) => Instant::now() + limits.head.min(limits.idle),
        }
    }

    /// When it has had `patience` without a request, counted from `since` at the earliest.
    pub(super) fn end_of_patience(&self, since: Instant, patience: Duration) -> Instant {
        match *self.phase() {
            Phase::New(idle) | Phase::Idle(idle) => since.max(idle) + patience,
            Phase::Head(_) => since + patience,
            // Looked at again after a while.
            Phase::Serving(..) => Instant::now() + patience,
        }
    }
}
