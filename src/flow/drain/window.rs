//! Which of a lane's deliveries may be sent now. No I/O.
//!
//! ```text
//!            ┌─ its key is held, or a gate of its is shut ─▶ left: in the file, its keys held
//! file ─offer┤
//!            └─▶ waiting ─start─▶ started ─sent─▶ sent ─┬─▶ gone
//!                   ▲  what shares a key follows at once │
//!                   └────────── not taken ───────────────┘  shuts a gate
//! ```
//!
//! Behind a gate that is shut one delivery asks; what else needs the gate is left, and what shares a key with it. When a gate
//! opens, what was left is read again, from the first on ([`Window::rewind`]). So what can be written is written, in the order
//! of each key, and however much waits, little is in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::ordering::{Gate, Needs};

/// Deliveries that are under way at once, and bytes after which no more are; those that ask do not count.
const MOST: usize = 1024;
const MOST_BYTES: u64 = 4 << 20;
/// The same with those that ask.
const MOST_OF_ALL: usize = 8 * MOST;
const MOST_BYTES_OF_ALL: u64 = 8 * MOST_BYTES;

/// First pause after a delivery was not taken; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// And no longer than this: senders' patience is minutes, and so is an operator's.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What is not acknowledged by then takes long: others need not go the same way.
const LONG: Duration = Duration::from_secs(2);

/// The file is not read again more often.
const BETWEEN_READINGS: Duration = Duration::from_millis(50);

/// How a delivery was not taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unsent {
    /// What it did not get through.
    pub(super) gates: Vec<Gate>,
    /// It is to be judged alone.
    pub(super) alone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowState {
    Waiting,
    Started,
    /// All its records are on their way, by producers of this generation, since then.
    Sent(u64, Instant),
}

struct WindowRow<T> {
    item: T,
    needs: Needs,
    bytes: u64,
    state: RowState,
    /// It is sent with nothing of its keys beside it.
    alone: bool,
    /// One before it that shares a key with it is left.
    orphan: bool,
}

impl<T> WindowRow<T> {
    /// What it needs may have changed since it was read.
    fn add_gates(&mut self, gates: &[Gate]) {
        for gate in gates {
            if !self.needs.gates.contains(gate) {
                self.needs.gates.push(gate.clone());
            }
        }
    }
}

/// A gate that is shut.
struct Shut {
    /// The delivery that finds out whether it opens.
    asks: Option<i64>,
    not_before: Instant,
    pause: Duration,
}

/// Bytes of what is under way: of what gets through, and with what asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnderWay {
    bytes: u64,
    all_bytes: u64,
}

impl UnderWay {
    /// Adds a delivery, unless that is too much. One that is alone is never too much.
    pub(super) fn add(&mut self, bytes: u64) -> bool {
        let sum = UnderWay { bytes: self.bytes + bytes, all_bytes: self.all_bytes + bytes };
        let fits =
            (self.bytes == 0 || sum.bytes <= MOST_BYTES) && (self.all_bytes == 0 || sum.all_bytes <= MOST_BYTES_OF_ALL);
        if fits {
            *self = sum;
        }
        fits
    }
}

/// The deliveries of a lane that are in memory, by number.
pub(super) struct Window<T> {
    rows: BTreeMap<i64, WindowRow<T>>,
    /// Those of them that are to be sent.
    waiting: BTreeSet<i64>,
    /// Bytes of all, and of those that are under way.
    bytes: u64,
    bytes_under_way: u64,
    by_key: BTreeSet<(u64, i64)>,
    shut: BTreeMap<Gate, Shut>,
    /// The first delivery that was left since the file was last read from there.
    left: Option<i64>,
    /// What was left may be written now.
    rewinds: bool,
    /// When the file was last read again.
    rewound: Option<Instant>,
    /// Keys of what was just left.
    held: Vec<u64>,
    /// What was in memory when it was left.
    dropped: Vec<(i64, T)>,
}

impl<T> Window<T> {
    pub(super) fn new() -> Window<T> {
        Window {
            rows: BTreeMap::new(),
            waiting: BTreeSet::new(),
            bytes: 0,
            bytes_under_way: 0,
            by_key: BTreeSet::new(),
            shut: BTreeMap::new(),
            left: None,
            rewinds: false,
            rewound: None,
            held: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Whether it has no deliveries, and has left none.
    pub(super) fn is_done(&self) -> bool {
        self.rows.is_empty() && self.left.is_none()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it holds back anything.
    pub(super) fn has_trouble(&self) -> bool {
        !self.shut.is_empty()
    }

    pub(super) fn shut(&self) -> BTreeSet<Gate> {
        self.shut.keys().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn seqs(&self) -> HashSet<i64> {
        self.rows.keys().copied().collect()
    }

    pub(super) fn get_mut(&mut self, seq: i64) -> Option<&mut T> {
        self.rows.get_mut(&seq).map(|row| &mut row.item)
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        let (mut count, mut bytes) = (self.rows.len(), self.bytes);
        for row in self.stuck() {
            count -= 1;
            bytes -= row.bytes;
        }
        count < MOST && bytes < MOST_BYTES && self.rows.len() < MOST_OF_ALL && self.bytes < MOST_BYTES_OF_ALL
    }

    /// What is under way.
    pub(super) fn under_way(&self) -> UnderWay {
        let stuck = self.stuck().filter(|row| row.state != RowState::Waiting).map(|row| row.bytes).sum::<u64>();
        UnderWay { bytes: self.bytes_under_way - stuck, all_bytes: self.bytes_under_way }
    }

    /// What needs a gate that is shut: nothing, most of the time.
    fn stuck(&self) -> impl Iterator<Item = &WindowRow<T>> {
        let rows = (!self.shut.is_empty()).then(|| self.rows.values());
        rows.into_iter().flatten().filter(|row| self.is_stuck(row))
    }

    /// Bytes of a delivery, and of all that is made of it.
    pub(super) fn bytes(&self, seq: i64) -> u64 {
        self.rows.get(&seq).map_or(0, |row| row.bytes)
    }

    fn is_stuck(&self, row: &WindowRow<T>) -> bool {
        !self.shut.is_empty() && row.needs.gates.iter().any(|gate| self.shut.contains_key(gate))
    }

    /// The deliveries before `seq` that are the last with one of these keys.
    fn before<'a>(&'a self, seq: i64, keys: &'a [u64]) -> impl Iterator<Item = i64> + 'a {
        keys.iter().filter_map(move |&key| {
            let before = self.by_key.range((key, i64::MIN)..(key, seq)).next_back();
            before.map(|&(_, seq)| seq)
        })
    }

    /// Takes in a delivery, unless its keys are `held` or it could not be sent anyhow: then it is left.
    pub(super) fn offer(&mut self, seq: i64, needs: Needs, bytes: u64, held: bool, item: T) {
        let stuck_behind = |before: i64| self.rows.get(&before).is_some_and(|row| row.orphan || self.is_stuck(row));
        let asked = |gate: &Gate| self.shut.get(gate).is_some_and(|shut| shut.asks.is_some());
        if held || self.before(seq, &needs.keys).any(stuck_behind) || needs.gates.iter().any(asked) {
            self.leave(seq, &needs.keys);
            return;
        }
        for gate in &needs.gates {
            if let Some(shut) = self.shut.get_mut(gate) {
                shut.asks = Some(seq);
            }
        }
        self.by_key.extend(needs.keys.iter().map(|&key| (key, seq)));
        let row = WindowRow { item, needs, bytes, state: RowState::Waiting, alone: false, orphan: false };
        self.bytes += bytes;
        self.rows.insert(seq, row);
        self.waiting.insert(seq);
    }

    /// Leaves a delivery in the file.
    fn leave(&mut self, seq: i64, keys: &[u64]) {
        self.left = Some(self.left.map_or(seq, |first| first.min(seq)));
        self.held.extend(keys);
    }

    /// Keys of what was left since this was last asked.
    pub(super) fn take_held(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.held)
    }

    /// What was in memory when it was left, since this was last asked.
    pub(super) fn take_dropped(&mut self) -> Vec<(i64, T)> {
        std::mem::take(&mut self.dropped)
    }

    /// Shuts gates through which deliveries of an earlier time did not get: the next one that comes asks.
    pub(super) fn shut_before(&mut self, gates: BTreeSet<Gate>, now: Instant) {
        for gate in gates {
            let is_new = !self.shut.contains_key(&gate);
            let is_used = self.rows.values().any(|row| row.needs.gates.contains(&gate));
            if is_new && !is_used {
                self.shut.insert(gate, Shut { asks: None, not_before: now, pause: FIRST_PAUSE });
            }
        }
    }

    /// Opens the gates that nobody asks for: whoever needs them next finds out.
    pub(super) fn open_unasked(&mut self) {
        self.shut.retain(|_, shut| shut.asks.is_some());
    }

    /// Deliveries that are to be sent, in order.
    pub(super) fn waiting(&self) -> Vec<i64> {
        self.waiting.iter().copied().collect()
    }

    /// Whether it may be sent now, with producers of this generation.
    pub(super) fn may_start(&self, seq: i64, generation: u64, now: Instant) -> bool {
        let Some(row) = self.rows.get(&seq).filter(|row| row.state == RowState::Waiting && !row.orphan) else {
            return false;
        };
        let follows = |before: i64| {
            let before = &self.rows[&before];
            !row.alone && !before.alone && matches!(before.state, RowState::Sent(of, _) if of == generation)
        };
        let asks =
            |gate: &Gate| self.shut.get(gate).is_none_or(|shut| shut.asks == Some(seq) && shut.not_before <= now);
        self.before(seq, &row.needs.keys).all(follows) && row.needs.gates.iter().all(asks)
    }

    /// Whether it is to be sent with nothing of its keys beside it.
    pub(super) fn is_alone(&self, seq: i64) -> bool {
        self.rows.get(&seq).is_some_and(|row| row.alone)
    }

    pub(super) fn set_started(&mut self, seq: i64) {
        if self.waiting.remove(&seq) {
            self.bytes_under_way += self.bytes(seq);
        }
        self.set_state(seq, RowState::Started);
    }

    /// It is on its way, unless it has ended meanwhile.
    pub(super) fn set_sent(&mut self, seq: i64, generation: u64, now: Instant) {
        if self.rows.get(&seq).is_some_and(|row| row.state == RowState::Started) {
            self.set_state(seq, RowState::Sent(generation, now));
        }
    }

    fn set_state(&mut self, seq: i64, state: RowState) {
        if let Some(row) = self.rows.get_mut(&seq) {
            row.state = state;
        }
    }

    /// It is in Kafka, or elsewhere; gives what it needed.
    pub(super) fn set_gone(&mut self, seq: i64) -> Option<(T, Needs)> {
        let row = self.take_out(seq)?;
        let asked = self.shut.iter().filter(|(gate, shut)| shut.asks == Some(seq) || row.needs.gates.contains(gate));
        for gate in asked.map(|(gate, _)| gate.clone()).collect::<Vec<_>>() {
            self.open(&gate);
        }
        // What came behind it was left.
        self.rewinds |= row.orphan;
        Some((row.item, row.needs))
    }

    fn take_out(&mut self, seq: i64) -> Option<WindowRow<T>> {
        let row = self.rows.remove(&seq)?;
        self.bytes -= row.bytes;
        if !self.waiting.remove(&seq) {
            self.bytes_under_way -= row.bytes;
        }
        row.needs.keys.iter().for_each(|&key| {
            self.by_key.remove(&(key, seq));
        });
        Some(row)
    }

    fn open(&mut self, gate: &Gate) {
        if self.shut.remove(gate).is_some() {
            self.rewinds = true;
        }
    }

    /// It waits again, and asks for each gate that it did not get through, later.
    pub(super) fn set_not_taken(&mut self, seq: i64, why: Unsent, now: Instant) {
        let Some(row) = self.rows.get_mut(&seq) else { return };
        row.state = RowState::Waiting;
        row.alone |= why.alone;
        if self.waiting.insert(seq) {
            self.bytes_under_way -= row.bytes;
        }
        row.add_gates(&why.gates);
        for gate in why.gates {
            let shut = self.shut.entry(gate).or_insert(Shut { asks: Some(seq), not_before: now, pause: FIRST_PAUSE });
            if shut.asks == Some(seq) || shut.asks.is_none() {
                shut.asks = Some(seq);
                shut.not_before = now + shut.pause;
                shut.pause = (shut.pause * 2).min(LONGEST_PAUSE);
            }
        }
        self.sweep();
    }

    /// Shuts the gates of what takes long: `open` gives, of a delivery, those that it has not got through yet.
    pub(super) fn look(&mut self, now: Instant, open: impl Fn(&T) -> Vec<Gate>) {
        let is_long =
            |row: &&WindowRow<T>| matches!(row.state, RowState::Sent(_, since) if now.duration_since(since) >= LONG);
        let mut slow: Vec<(i64, Vec<Gate>, Vec<Gate>)> = Vec::new();
        for (&seq, row) in self.rows.iter().filter(|(_, row)| is_long(row)) {
            let open = open(&row.item);
            let through = row.needs.gates.iter().filter(|gate| !open.contains(gate)).cloned().collect();
            slow.push((seq, open, through));
        }
        let mut changed = false;
        for (seq, open, through) in slow {
            if let Some(row) = self.rows.get_mut(&seq) {
                row.add_gates(&open);
            }
            for gate in open {
                self.shut.entry(gate).or_insert_with(|| {
                    changed = true;
                    Shut { asks: Some(seq), not_before: now, pause: FIRST_PAUSE }
                });
            }
            // It asked for these as well, and they are open.
            for gate in through {
                if self.shut.get(&gate).is_some_and(|shut| shut.asks == Some(seq)) {
                    self.open(&gate);
                }
            }
        }
        if changed {
            self.sweep();
        }
    }

    /// Leaves everything that waits behind a gate that is shut, but for what asks.
    fn sweep(&mut self) {
        let mut out = Vec::new();
        let mut stuck: HashSet<u64> = HashSet::new();
        for (&seq, row) in &self.rows {
            let behind = row.needs.keys.iter().any(|key| stuck.contains(key));
            let asks = |gate: &Gate| self.shut.get(gate).is_none_or(|shut| shut.asks == Some(seq));
            let leaves = row.state == RowState::Waiting && (row.orphan || behind || !row.needs.gates.iter().all(asks));
            if leaves {
                out.push(seq);
            }
            if leaves || self.is_stuck(row) {
                stuck.extend(&row.needs.keys);
            }
        }
        let mut left: HashMap<u64, i64> = HashMap::new();
        for &seq in &out {
            let Some(row) = self.take_out(seq) else { continue };
            self.leave(seq, &row.needs.keys);
            // No gate holds it up, and it is not in order any more.
            self.rewinds |= row.orphan;
            for shut in self.shut.values_mut().filter(|shut| shut.asks == Some(seq)) {
                shut.asks = None;
            }
            for &key in &row.needs.keys {
                left.entry(key).and_modify(|first| *first = seq.min(*first)).or_insert(seq);
            }
            self.dropped.push((seq, row.item));
        }
        if left.is_empty() {
            return;
        }
        // What is on its way behind one of them will not be taken either; then it must not go before it.
        for (&seq, row) in &mut self.rows {
            row.orphan |= row.needs.keys.iter().any(|key| left.get(key).is_some_and(|&first| first < seq));
        }
    }

    /// Where the file is to be read again from, if there is reason to: after this number. It has been read up to number `after`.
    pub(super) fn rewind(&mut self, after: i64, now: Instant) -> Option<i64> {
        let first = self.left?;
        let nobody_asks = self.shut.values().any(|shut| shut.asks.is_none() && shut.not_before <= now);
        let just_now = self.rewound.is_some_and(|last| now.duration_since(last) < BETWEEN_READINGS);
        if just_now || !(self.rewinds || nobody_asks || self.shut.is_empty()) {
            return None;
        }
        (self.left, self.rewinds, self.rewound) = (None, false, Some(now));
        self.open_unasked();
        Some(after.min(first - 1))
    }
}

#[cfg(test)]
mod tests;
