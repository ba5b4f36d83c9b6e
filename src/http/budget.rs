//! The memory that requests hold, from their heads to their answers, and who gives way when it runs short.
//!
//! A request is *unproven* until a token in its head, or its whole body, is there. Anybody can send such requests, so they may
//! hold only a part of the memory, and they are evicted when others need the room: first the one that has cost most, which is its
//! bytes times the time it has held them. So a small body that arrives at once outlives any number of large or slow ones, also
//! behind a proxy, where all senders have one address.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Uri};
use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::HttpSettings;

/// A piece up to this size is copied: it is part of what the connection reads into, 8 KiB at least, which would be kept as long as
/// the piece is, and charged to nobody.
const COPIED: usize = 8 << 10;
/// What a header takes beside its bytes: its name, its value and its links in the map.
const PER_FIELD: usize = 128;
/// Bodies up to this size find room where larger ones do not.
const SMALL_BODY: usize = 64 << 10;
/// This part of the limit is for small bodies alone, whoever sends the large ones.
const FOR_SMALL: usize = 8;
/// Heads may take this at least, however small the budget for bodies.
const LEAST_FOR_HEADS: usize = 1 << 20;
/// Who has only just come is looked at as if it had been there for this long: size counts, then.
const NEWCOMER: Duration = Duration::from_millis(20);
/// Evictions free this part of the limit at once, so that they are rare.
const FREED_AT_ONCE: usize = 16;
/// What has cost this part of the worst, or more, goes with it then.
const ABOUT_AS_BAD: u128 = 4;
/// Between two lines of the log about evictions.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// There is no room, or the request had to give way.
#[derive(Debug)]
pub(crate) struct NoRoom;

/// Where a request comes from: an IPv4 address, or the 64 bits of an IPv6 address that one customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin(IpAddr);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Origin {
        Origin(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (!0 << 64)).into()),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// About what a request's head takes of memory.
pub(super) fn head_bytes(uri: &Uri, headers: &HeaderMap) -> usize {
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + PER_FIELD).sum::<usize>() + path + PER_FIELD
}

/// What requests may hold, in bytes.
#[derive(Clone, Copy)]
struct Most {
    bodies: usize,
    /// A body that is not small finds no room beyond this.
    bodies_beside_large: usize,
    unproven_bodies: usize,
    /// Of the unproven, those from one origin.
    from_one_origin: usize,
    heads: usize,
    unproven_heads: usize,
}

impl Most {
    /// `largest_body` always finds room when there is nothing else.
    fn of(bodies: usize, largest_body: usize) -> Most {
        let bodies_beside_large = (bodies - bodies / FOR_SMALL).max(largest_body);
        let unproven_bodies = (bodies / 2).max(largest_body);
        let heads = (bodies / 4).max(LEAST_FOR_HEADS);
        let from_one_origin = (unproven_bodies / 4).max(largest_body);
        Most { bodies, bodies_beside_large, unproven_bodies, from_one_origin, heads, unproven_heads: heads / 2 }
    }
}

/// The memory that all requests of a listener hold.
pub(crate) struct Budget {
    most: Most,
    /// Shows the bytes of bodies.
    gauge: IntGauge,
    state: Mutex<BudgetState>,
}

#[derive(Default)]
struct BudgetState {
    next: u64,
    /// Of all requests.
    sums: Holding,
    /// Of the unproven ones.
    unproven_sums: Holding,
    bodies_by_origin: HashMap<Origin, usize>,
    unproven: HashMap<u64, Unproven>,
    proven: HashMap<u64, Holding>,
    evicted: u64,
    said: Option<Instant>,
}

/// Bytes of heads and bodies.
#[derive(Clone, Copy, Default)]
struct Holding {
    head: usize,
    body: usize,
}

impl Holding {
    fn head(&self) -> usize {
        self.head
    }

    fn body(&self) -> usize {
        self.body
    }

    fn add(&mut self, other: Holding) {
        self.head += other.head;
        self.body += other.body;
    }

    fn subtract(&mut self, other: Holding) {
        self.head -= other.head;
        self.body -= other.body;
    }
}

struct Unproven {
    holding: Holding,
    origin: Origin,
    since: Instant,
    buffer: Arc<Buffer>,
}

impl Unproven {
    /// What a part of it has cost until `now`: bytes times milliseconds.
    fn cost(&self, part: fn(&Holding) -> usize, now: Instant) -> u128 {
        let held = now.duration_since(self.since).max(NEWCOMER);
        part(&self.holding) as u128 * held.as_millis()
    }
}

/// A body as far as it has come; nothing once its request was evicted.
struct Buffer {
    pieces: Mutex<Option<Pieces>>,
    evicted: Notify,
}

/// Most bodies come in one piece.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    rest: BytesMut,
}

impl Pieces {
    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn append(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = if piece.len() <= COPIED { Bytes::copy_from_slice(&piece) } else { piece };
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&piece);
    }

    fn whole(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Budget {
    /// For the settings of a listener and the largest body that a source of it takes.
    pub(crate) fn new(settings: &HttpSettings, largest_body: usize, gauge: IntGauge) -> Budget {
        Budget { most: Most::of(settings.max_in_flight_bytes, largest_body), gauge, state: Mutex::default() }
    }

    /// What heads that are still arriving may take in all.
    pub(super) fn most_of_arriving_heads(&self) -> usize {
        self.most.unproven_heads
    }

    /// A request whose head is there.
    pub(super) fn enter(self: &Arc<Self>, origin: Origin, head: usize) -> Result<Share, NoRoom> {
        let buffer = Arc::new(Buffer { pieces: Mutex::new(Some(Pieces::default())), evicted: Notify::new() });
        let holding = Holding { head, body: 0 };
        let mut state = locked(&self.state);
        let id = state.next;
        state.next += 1;
        let entry = Unproven { holding, origin, since: Instant::now(), buffer: Arc::clone(&buffer) };
        state.unproven.insert(id, entry);
        state.sums.add(holding);
        state.unproven_sums.add(holding);
        let stays = self.make_room(state, id);
        stays.then(|| Share(Arc::new(Inner { budget: Arc::clone(self), id, buffer }))).ok_or(NoRoom)
    }

    /// Evicts until the limits hold; tells whether request `id` is still there. What was evicted is freed by then.
    fn make_room(&self, mut state: MutexGuard<'_, BudgetState>, id: u64) -> bool {
        let mut freed = Vec::new();
        let most = self.most;
        if let Some(origin) = state.unproven.get(&id).map(|entry| entry.origin) {
            let of_origin = |state: &BudgetState| state.bodies_by_origin.get(&origin).copied().unwrap_or_default();
            state.evict(&mut freed, Some(origin), Holding::body, of_origin, most.from_one_origin);
            state.evict(&mut freed, None, Holding::body, |state| state.unproven_sums.body, most.unproven_bodies);
            state.evict(&mut freed, None, Holding::head, |state| state.unproven_sums.head, most.unproven_heads);
        }
        let body = state.body_of(id);
        let bodies = if body <= SMALL_BODY { most.bodies } else { most.bodies_beside_large };
        let proven = state.sums.body - state.unproven_sums.body;
        let own = if state.unproven.contains_key(&id) { body } else { 0 };
        // Otherwise evictions would not make room.
        if proven + own <= bodies {
            state.evict(&mut freed, None, Holding::body, |state| state.sums.body, bodies);
        }
        state.evict(&mut freed, None, Holding::head, |state| state.sums.head, most.heads);
        let fits = state.sums.body <= bodies && state.sums.head <= most.heads;
        // Nobody else is left to give way.
        if !fits {
            freed.extend(state.remove(id));
        }
        let stays = state.unproven.contains_key(&id) || state.proven.contains_key(&id);
        self.show(&state);
        state.say(freed.len());
        drop(state);
        for buffer in freed {
            drop(locked(&buffer.pieces).take());
            buffer.evicted.notify_one();
        }
        stays
    }

    fn show(&self, state: &BudgetState) {
        self.gauge.set(i64::try_from(state.sums.body).unwrap_or(i64::MAX));
    }
}

impl BudgetState {
    /// While `sum` is above `most`, evicts unproven requests (of `origin`): first those whose `part` has cost most. Goes on for a
    /// while with others that are about as bad, so that it need not look through all of them for every piece that arrives.
    fn evict(
        &mut self,
        freed: &mut Vec<Arc<Buffer>>,
        origin: Option<Origin>,
        part: fn(&Holding) -> usize,
        sum: impl Fn(&BudgetState) -> usize,
        most: usize,
    ) {
        if sum(self) <= most {
            return;
        }
        let now = Instant::now();
        let candidates = self.unproven.iter().filter(|(_, entry)| origin.is_none_or(|origin| origin == entry.origin));
        // What holds nothing has nothing to give.
        let candidates = candidates.filter(|(_, entry)| part(&entry.holding) > 0);
        let mut costs: Vec<_> = candidates.map(|(id, entry)| (entry.cost(part, now), Reverse(*id))).collect();
        costs.sort_unstable();
        let bad = costs.last().map_or(0, |(cost, _)| cost / ABOUT_AS_BAD);
        while let Some((cost, Reverse(id))) = costs.pop() {
            let enough = if cost < bad { most } else { most - most / FREED_AT_ONCE };
            if sum(self) <= enough {
                return;
            }
            freed.extend(self.remove(id));
        }
    }

    /// Bytes of the body of request `id`; 0 when it was evicted.
    fn body_of(&self, id: u64) -> usize {
        let holding = self.proven.get(&id).or_else(|| self.unproven.get(&id).map(|entry| &entry.holding));
        holding.map_or(0, |holding| holding.body)
    }

    /// Takes a request out.
    fn remove(&mut self, id: u64) -> Option<Arc<Buffer>> {
        if let Some(entry) = self.unproven.remove(&id) {
            self.sums.subtract(entry.holding);
            self.unproven_sums.subtract(entry.holding);
            self.origin_gives(entry.origin, entry.holding.body);
            return Some(entry.buffer);
        }
        if let Some(holding) = self.proven.remove(&id) {
            self.sums.subtract(holding);
        }
        None
    }

    fn origin_gives(&mut self, origin: Origin, bytes: usize) {
        if let Some(sum) = self.bodies_by_origin.get_mut(&origin) {
            *sum -= bytes;
            if *sum == 0 {
                self.bodies_by_origin.remove(&origin);
            }
        }
    }

    fn say(&mut self, evicted: usize) {
        if evicted == 0 {
            return;
        }
        self.evicted += evicted as u64;
        let now = Instant::now();
        if self.said.is_none_or(|said| now - said >= SAY_AGAIN) {
            self.said = Some(now);
            let requests = std::mem::take(&mut self.evicted);
            tracing::warn!(requests, "unverified requests refused: they held too much memory for too long");
        }
    }
}

/// What a request holds, until the last of its handles is dropped.
#[derive(Clone)]
pub(crate) struct Share(Arc<Inner>);

struct Inner {
    budget: Arc<Budget>,
    id: u64,
    buffer: Arc<Buffer>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut state = locked(&self.budget.state);
        state.remove(self.id);
        self.budget.show(&state);
    }
}

impl Share {
    /// Its sender has proved itself: it is not evicted from here on.
    pub(super) fn prove(&self) -> Result<(), NoRoom> {
        let mut state = locked(&self.0.budget.state);
        if let Some(entry) = state.unproven.remove(&self.0.id) {
            state.unproven_sums.subtract(entry.holding);
            state.origin_gives(entry.origin, entry.holding.body);
            state.proven.insert(self.0.id, entry.holding);
        }
        if state.proven.contains_key(&self.0.id) { Ok(()) } else { Err(NoRoom) }
    }

    /// Whether its sender has proved itself.
    pub(super) fn is_proven(&self) -> bool {
        locked(&self.0.budget.state).proven.contains_key(&self.0.id)
    }

    /// One more piece of its body.
    pub(super) fn append(&self, piece: Bytes) -> Result<(), NoRoom> {
        let more = Holding { head: 0, body: piece.len() };
        let mut state = locked(&self.0.budget.state);
        let BudgetState { unproven, proven, sums, unproven_sums, bodies_by_origin, .. } = &mut *state;
        if let Some(entry) = unproven.get_mut(&self.0.id) {
            entry.holding.add(more);
            unproven_sums.add(more);
            *bodies_by_origin.entry(entry.origin).or_default() += more.body;
        } else if let Some(holding) = proven.get_mut(&self.0.id) {
            holding.add(more);
        } else {
            return Err(NoRoom);
        }
        sums.add(more);
        if !self.0.budget.make_room(state, self.0.id) {
            return Err(NoRoom);
        }
        // Evicted in between: then it is no more.
        locked(&self.0.buffer.pieces).as_mut().ok_or(NoRoom)?.append(piece);
        Ok(())
    }

    /// Bytes of its body that are there.
    pub(super) fn received(&self) -> usize {
        locked(&self.0.buffer.pieces).as_ref().map_or(0, Pieces::len)
    }

    /// Gives back what it holds of the body, and its place: nothing more comes.
    pub(super) fn give_up(&self) {
        let mut state = locked(&self.0.budget.state);
        state.remove(self.0.id);
        self.0.budget.show(&state);
        drop(state);
        drop(locked(&self.0.buffer.pieces).take());
    }

    /// The whole body, which stays charged. It is about to be verified, so it is not evicted any more.
    pub(super) fn whole(&self) -> Result<Bytes, NoRoom> {
        self.prove()?;
        Ok(locked(&self.0.buffer.pieces).take().ok_or(NoRoom)?.whole())
    }

    /// Returns once it is evicted.
    pub(super) async fn evicted(&self) {
        self.0.buffer.evicted.notified().await;
    }

    /// Whether there is nothing for a proven request to take, with all unproven ones gone.
    pub(super) fn is_none_left(&self) -> bool {
        let state = locked(&self.0.budget.state);
        state.sums.body - state.unproven_sums.body >= self.0.budget.most.bodies
    }
}

#[cfg(test)]
mod tests;
