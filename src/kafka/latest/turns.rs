//! Whose turn it is among the states of one key.
//!
//! ```text
//! claim ─┬─ older than what is written ─▶ superseded
//!        ├─ goes behind those under way ─▶ under way ─▶ written, or not
//!        └─ else waits ──────────────────────▲  as soon as what is under way has its verdict
//! ```
//!
//! A state goes behind others that are under way only if it is no older than any of them, and by the same channel, which keeps the
//! order in which it is given records. So whatever becomes of each, the topic does not go backwards.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::StateVersion;

/// The way of a record to Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Keeps the order of what it is given: a producer, by a number, of this generation.
    Ordered { producer: usize, generation: u64 },
    /// Goes beside others.
    Apart,
}

/// What a waiting state is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnAnswer {
    /// It is under way from here on.
    Go,
    /// A newer one is written.
    Superseded,
    /// The one before it was not taken, so it would not be either.
    NotNow,
}

/// Whether one may be told that Kafka does not take it now, without having been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Until it is its turn.
    Long,
    /// Somebody waits for an answer.
    Short,
}

#[derive(Debug)]
struct SentState {
    id: u64,
    version: StateVersion,
    channel: Channel,
    /// The channel has it. What comes behind it in the same channel comes later in the topic.
    handed: bool,
}

#[derive(Debug)]
struct WaitingState {
    id: u64,
    version: StateVersion,
    channel: Channel,
    waits: Waits,
    tell: oneshot::Sender<TurnAnswer>,
}

/// What a claim came to.
#[derive(Debug)]
pub(super) enum Claimed {
    Superseded,
    Now,
    Later(oneshot::Receiver<TurnAnswer>),
}

/// The states of one key that are under way, and those that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct KeyTurns {
    under_way: Vec<SentState>,
    waiting: VecDeque<WaitingState>,
}

impl KeyTurns {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.waiting.is_empty()
    }

    /// A state wants to be written; `written` is the newest that is.
    pub(super) fn claim(
        &mut self,
        id: u64,
        version: StateVersion,
        written: Option<StateVersion>,
        (channel, waits): (Channel, Waits),
    ) -> Claimed {
        if written.is_some_and(|written| version < written) {
            return Claimed::Superseded;
        }
        if self.waiting.is_empty() && self.may_go(version, channel) {
            self.under_way.push(SentState { id, version, channel, handed: false });
            return Claimed::Now;
        }
        let (tell, told) = oneshot::channel();
        self.waiting.push_back(WaitingState { id, version, channel, waits, tell });
        Claimed::Later(told)
    }

    fn may_go(&self, version: StateVersion, channel: Channel) -> bool {
        let goes_behind = |before: &SentState| {
            before.handed && before.channel == channel && channel != Channel::Apart && before.version <= version
        };
        self.under_way.iter().all(goes_behind)
    }

    /// Its channel has it.
    pub(super) fn hand(&mut self, id: u64, written: Option<StateVersion>) {
        if let Some(one) = self.under_way.iter_mut().find(|one| one.id == id) {
            one.handed = true;
        }
        self.advance(written);
    }

    /// It is no longer under way; `written` is the newest state that is written now.
    pub(super) fn end(&mut self, id: u64, written: Option<StateVersion>, is_taken: bool) {
        self.under_way.retain(|one| one.id != id);
        if !is_taken {
            let (short, long): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|one| one.waits == Waits::Short);
            self.waiting = long.into();
            for one in short {
                let _ = one.tell.send(TurnAnswer::NotNow);
            }
        }
        self.advance(written);
    }

    /// Lets go who may; `written` is the newest state that is written now.
    pub(super) fn advance(&mut self, written: Option<StateVersion>) {
        while let Some(first) = self.waiting.front() {
            let is_old = written.is_some_and(|written| first.version < written);
            if !is_old && !self.may_go(first.version, first.channel) {
                return;
            }
            let Some(WaitingState { id, version, channel, tell, .. }) = self.waiting.pop_front() else { return };
            if is_old {
                let _ = tell.send(TurnAnswer::Superseded);
            } else if tell.send(TurnAnswer::Go).is_ok() {
                self.under_way.push(SentState { id, version, channel, handed: false });
            }
        }
    }
}

#[cfg(test)]
mod tests;
