//! The dead letters as they stand in their topic: one per event, the newest, pending or replayed. Pure: fed record by
//! record, in any order between partitions.
//!
//! ```text
//! letter ─▶ pending ─mark─▶ replayed ─letter─▶ pending ...
//! ```

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::kafka::dead_letter::{ERROR, REASON, RECEIVED_AT, REPLAYED_AT, SOURCE};
use crate::outcome::Reason;
use crate::tools::event_id::EventId;
use crate::tools::read::{ReadRecord, RecordPlace};
use crate::values::time;

/// Where a record of an event stands, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct At {
    place: RecordPlace,
    /// Milliseconds since 1970.
    timestamp: i64,
}

impl At {
    fn of(found: &ReadRecord) -> At {
        At { place: found.place(), timestamp: found.timestamp.unwrap_or_default() }
    }

    /// Records of one event share a partition, where offsets tell. In a topic that was given more partitions since,
    /// only time can.
    fn is_after(self, other: At) -> bool {
        if self.place.partition == other.place.partition {
            self.place.offset > other.place.offset
        } else {
            self.timestamp > other.timestamp
        }
    }
}

/// The newest dead letter of an event, and the newest mark.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LetterStatus {
    letter: Option<At>,
    mark: Option<At>,
}

/// What a record of the topic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Letter,
    /// What was before it was replayed.
    Mark,
}

impl RecordKind {
    /// `None` is a record that somebody else wrote.
    pub(crate) fn of(found: &ReadRecord) -> Option<(EventId, RecordKind)> {
        let id = std::str::from_utf8(found.key.as_deref()?).ok()?.parse().ok()?;
        match &found.value {
            None => Some((id, RecordKind::Mark)),
            Some(_) => found.header(REASON).map(|_| (id, RecordKind::Letter)),
        }
    }
}

impl LetterStatus {
    /// Takes a record in; says whether it is the newest of its kind.
    pub(crate) fn take(&mut self, kind: RecordKind, found: &ReadRecord) -> bool {
        let newest = match kind {
            RecordKind::Letter => &mut self.letter,
            RecordKind::Mark => &mut self.mark,
        };
        let at = At::of(found);
        let is_newest = newest.is_none_or(|known| at.is_after(known));
        if is_newest {
            *newest = Some(at);
        }
        is_newest
    }

    /// Whether there is a dead letter with no mark behind it.
    pub(crate) fn is_pending(&self) -> bool {
        self.letter.is_some_and(|letter| self.mark.is_none_or(|mark| letter.is_after(mark)))
    }
}

/// A dead letter, without its body.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) id: EventId,
    pub(crate) place: RecordPlace,
    /// Milliseconds since 1970.
    pub(crate) received_at: i64,
    pub(crate) reason: Arc<str>,
    pub(crate) source: Arc<str>,
    /// `<profile>.<type>`, where it is known.
    pub(crate) event_type: Option<Arc<str>>,
    pub(crate) error: Box<str>,
    /// Size of the body.
    pub(crate) bytes: usize,
    /// How many times the event stands in the topic.
    pub(crate) copies: u32,
    /// When it was replayed; `None` while it is pending.
    pub(crate) replayed_at: Option<i64>,
}

/// Which dead letters are meant; what is empty or `None` means all.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) ids: BTreeSet<EventId>,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) sources: Vec<String>,
    /// With or without their profile.
    pub(crate) event_types: Vec<String>,
    /// Milliseconds since 1970, of the time received.
    pub(crate) from: Option<i64>,
    /// Not included.
    pub(crate) to: Option<i64>,
}

impl Filter {
    fn takes(&self, letter: &Letter) -> bool {
        let one_of = |wanted: &[String], is: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == is);
        let event_type = letter.event_type.as_deref().unwrap_or_default();
        let of_profile = event_type.split_once('.').map_or("", |(_, name)| name);
        (self.ids.is_empty() || self.ids.contains(&letter.id))
            && (self.reasons.is_empty() || self.reasons.iter().any(|reason| reason.code() == &*letter.reason))
            && one_of(&self.sources, &letter.source)
            && (one_of(&self.event_types, event_type) || one_of(&self.event_types, of_profile))
            && self.from.is_none_or(|from| letter.received_at >= from)
            && self.to.is_none_or(|to| letter.received_at < to)
    }
}

#[derive(Default)]
struct IndexEntry {
    standing: LetterStatus,
    replayed_at: i64,
    copies: u32,
    letter: Option<Letter>,
}

/// All of them, by event.
#[derive(Default)]
pub(crate) struct Letters {
    entries: HashMap<EventId, IndexEntry>,
    /// Reasons, sources and types: few, and each is there many times.
    names: BTreeSet<Arc<str>>,
}

impl Letters {
    /// Takes a record of the topic in.
    pub(crate) fn take(&mut self, found: &ReadRecord) {
        let Some((id, kind)) = RecordKind::of(found) else { return };
        let entry = self.entries.entry(id).or_default();
        let is_newest = entry.standing.take(kind, found);
        let instant = |header| found.header(header).and_then(time::parse_iso).map(|iso| iso.millis);
        let at = |header| instant(header).or(found.timestamp).unwrap_or_default();
        entry.copies += u32::from(kind == RecordKind::Letter);
        if !is_newest {
            return;
        }
        if kind == RecordKind::Mark {
            entry.replayed_at = at(REPLAYED_AT);
            return;
        }
        let mut name = |text: &str| {
            let known = self.names.get(text).cloned();
            known.unwrap_or_else(|| {
                let new: Arc<str> = text.into();
                self.names.insert(Arc::clone(&new));
                new
            })
        };
        entry.letter = Some(Letter {
            id,
            place: found.place(),
            received_at: at(RECEIVED_AT),
            reason: name(found.header(REASON).unwrap_or_default()),
            source: name(found.header(SOURCE).unwrap_or_default()),
            event_type: found.header("ce_type").map(&mut name),
            error: found.header(ERROR).unwrap_or_default().into(),
            bytes: found.value.as_ref().map_or(0, Vec::len),
            copies: 0,
            replayed_at: None,
        });
    }

    /// Those that `filter` takes, as they were received; those that were replayed only when asked for.
    pub(crate) fn chosen(self, filter: &Filter, replayed_too: bool) -> Vec<Letter> {
        let entries = self.entries.into_values().filter(|entry| replayed_too || entry.standing.is_pending());
        let mut letters: Vec<_> = entries
            .filter_map(|IndexEntry { standing, replayed_at, copies, letter }| {
                let replayed_at = (!standing.is_pending()).then_some(replayed_at);
                Some(Letter { copies, replayed_at, ..letter? })
            })
            .filter(|letter| filter.takes(letter))
            .collect();
        letters.sort_by_key(|letter| (letter.received_at, letter.place));
        letters
    }

    /// Whether the topic has a dead letter of this event, replayed or not.
    pub(crate) fn has(&self, id: EventId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.letter.is_some())
    }
}

#[cfg(test)]
mod tests;
