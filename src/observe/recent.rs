//! The newest dead letters, for people: what became one, when and why. No body, and no header.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::outcome::Rejection;
use crate::values::printable;

/// So many are kept: as many as somebody reads. All of them are in their topic.
const MOST: usize = 50;
/// Of a sentence. Kafka's own words may be long.
const LONGEST: usize = 400;

/// A delivery that became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RecentDeadLetter {
    pub(crate) id: String,
    pub(crate) source: String,
    #[serde(rename = "type")]
    pub(crate) event_type: Option<String>,
    pub(crate) reason: &'static str,
    /// A sentence with the place in the body.
    pub(crate) error: String,
    /// In milliseconds since 1970.
    pub(crate) received_at: i64,
    /// It is in the spool, on its way to its topic.
    pub(crate) in_spool: bool,
}

impl RecentDeadLetter {
    /// What `rejection` says, cut to a length that can be read.
    pub(crate) fn new(
        (id, source): (&str, &str),
        event_type: Option<&str>,
        rejection: &Rejection,
        received_at: i64,
        in_spool: bool,
    ) -> RecentDeadLetter {
        let error = rejection.error.chars().take(LONGEST).collect::<String>();
        RecentDeadLetter {
            id: id.to_owned(),
            source: source.to_owned(),
            event_type: event_type.map(str::to_owned),
            reason: rejection.reason.code(),
            error: printable::line(&error).into_owned(),
            received_at,
            in_spool,
        }
    }
}

/// Of one process, since its start.
#[derive(Debug, Default)]
pub(crate) struct RecentDeadLetters(Mutex<VecDeque<RecentDeadLetter>>);

impl RecentDeadLetters {
    fn letters(&self) -> MutexGuard<'_, VecDeque<RecentDeadLetter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes one, in place of what was known of the same event.
    pub(crate) fn note(&self, letter: RecentDeadLetter) {
        let mut letters = self.letters();
        letters.retain(|known| known.id != letter.id);
        letters.truncate(MOST - 1);
        let at = letters.partition_point(|known| known.received_at > letter.received_at);
        letters.insert(at, letter);
    }

    /// The newest first.
    pub(crate) fn newest_first(&self) -> Vec<RecentDeadLetter> {
        self.letters().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Reason;

    fn letter(id: &str, received_at: i64, in_spool: bool) -> RecentDeadLetter {
        let rejection =
            Rejection { reason: Reason::MissingKey, error: format!("payload.lead: absent\n{}", "é".repeat(900)) };
        RecentDeadLetter::new((id, "wegly"), Some("lead.won"), &rejection, received_at, in_spool)
    }

    #[test]
    fn the_newest_are_kept_each_event_once() {
        let recent = RecentDeadLetters::default();
        for n in 0..60 {
            recent.note(letter(&n.to_string(), n, true));
        }
        recent.note(letter("30", 30, false));
        recent.note(letter("59", 90, false));
        let kept = recent.newest_first();
        assert_eq!(kept.len(), MOST);
        assert_eq!((&*kept[0].id, &*kept[1].id, kept[0].in_spool), ("59", "58", false));
        assert!(kept.iter().all(|letter| letter.in_spool != ["30", "59"].contains(&&*letter.id)));
    }

    #[test]
    fn a_sentence_is_one_line_of_bounded_length() {
        let error = letter("1", 1, false).error;
        assert!(error.starts_with("payload.lead: absent") && !error.contains('\n'), "{error}");
        assert!(error.chars().count() < LONGEST + 10, "{error}");
    }
}
