//! Where events are: counted by their ids, of which a sender may say which ones there should be. Pure; fed from the spool,
//! the dead letters and the topics, in this order. An event moves that way only, so what moves meanwhile is seen at least
//! once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufRead};

use serde::Deserialize;

use crate::kafka::dead_letter::IGNORED;
use crate::outcome::Accepted;
use crate::source::verify::Part;
use crate::tools::dead_letter_index::{LetterStatus, RecordKind};
use crate::tools::event_id::EventId;
use crate::tools::read::ReadRecord;
use crate::tools::replay::part_of;

/// Why a list of ids cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdsError {
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error("line {line}: {what}")]
    Line { line: usize, what: String },
}

/// The ids that a sender believes delivered, and how many lines had none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) ids: HashSet<EventId>,
    pub(crate) without: u64,
    /// How many answers said that the event is ignored: it is nowhere.
    pub(crate) ignored: u64,
}

impl Given {
    /// One id a line, or one JSON object with a member `id`: an answer of ours. An object without is one that promised
    /// nothing.
    ///
    /// # Errors
    /// With the number of a line that is neither.
    pub(crate) fn read(lines: impl BufRead) -> Result<Given, IdsError> {
        #[derive(Deserialize)]
        struct SenderAnswer {
            id: Option<String>,
            outcome: Option<String>,
        }
        let mut given = Given::default();
        for (at, line) in lines.lines().enumerate() {
            let line = line?;
            let text = line.trim();
            let wrong = |what: String| IdsError::Line { line: at + 1, what };
            let id = if text.starts_with('{') {
                let answer = serde_json::from_str::<SenderAnswer>(text).map_err(|e| wrong(e.to_string()))?;
                if answer.outcome.as_deref() == Some(Accepted::IGNORED) {
                    given.ignored += 1;
                    continue;
                }
                answer.id
            } else {
                (!text.is_empty()).then(|| text.to_owned())
            };
            match id {
                Some(id) => _ = given.ids.insert(id.parse().map_err(|words: &str| wrong(words.into()))?),
                None if text.is_empty() => {}
                None => given.without += 1,
            }
        }
        Ok(given)
    }
}

/// How many events are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventCounts {
    pub(crate) published: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) spooled: u64,
    /// Those that stand in one topic more than once.
    pub(crate) duplicated: u64,
}

/// Where an event is, the end of its way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum EventPlace {
    Topic,
    DeadLetters,
    Spool,
}

/// What was found so far.
#[derive(Default)]
pub(crate) struct Audit {
    spooled: HashSet<EventId>,
    letters: HashMap<EventId, LetterStatus>,
    /// Dead letters that a replay found ignored: they are marked, and in no other topic.
    ignored: HashSet<EventId>,
    /// Of deliveries with several events: those that were found, and how many there have to be.
    several: HashMap<EventId, (HashSet<EventId>, u32)>,
    /// With the number of the topic it was seen in first.
    published: HashMap<EventId, u16>,
    /// The other topics it was seen in: none, unless topics were given other names.
    elsewhere: HashSet<(EventId, u16)>,
    duplicated: HashSet<EventId>,
    topics: BTreeMap<String, u16>,
    /// Records without an event id: somebody else wrote them.
    pub(crate) foreign: u64,
}

impl Audit {
    pub(crate) fn spooled(&mut self, id: &str, part: Option<&Part>) {
        if let Ok(id) = id.parse() {
            self.spooled.insert(id);
            self.note_part(id, part);
        }
    }

    /// Takes note of one of several events that came together.
    fn note_part(&mut self, id: EventId, part: Option<&Part>) {
        let Some((delivery, of)) = part.and_then(|part| Some((part.delivery.parse().ok()?, part.of))) else { return };
        let (found, all) = self.several.entry(delivery).or_default();
        found.insert(id);
        *all = of.max(*all);
    }

    pub(crate) fn dead_letter(&mut self, found: &ReadRecord) {
        match RecordKind::of(found) {
            Some((id, kind)) => {
                if kind == RecordKind::Mark && found.header(IGNORED).is_some() {
                    self.ignored.insert(id);
                }
                self.letters.entry(id).or_default().take(kind, found);
                self.note_part(id, part_of(found).as_ref());
            }
            None => self.foreign += 1,
        }
    }

    pub(crate) fn published(&mut self, found: &ReadRecord) {
        let Some(id) = found.header("ce_id").and_then(|id| id.parse().ok()) else {
            self.foreign += 1;
            return;
        };
        self.note_part(id, part_of(found).as_ref());
        let topic = self.number(&found.topic);
        let again = match self.published.entry(id) {
            Entry::Vacant(new) => {
                new.insert(topic);
                false
            }
            Entry::Occupied(first) if *first.get() == topic => true,
            Entry::Occupied(_) => !self.elsewhere.insert((id, topic)),
        };
        if again {
            self.duplicated.insert(id);
        }
    }

    fn number(&mut self, topic: &str) -> u16 {
        if let Some(&number) = self.topics.get(topic) {
            return number;
        }
        let number = self.topics.len() as u16;
        self.topics.insert(topic.to_owned(), number);
        number
    }

    /// Whether its only place is among the dead letters.
    fn is_dead_letter(&self, id: EventId) -> bool {
        self.letters.get(&id).is_some_and(LetterStatus::is_pending) || self.ignored.contains(&id)
    }

    fn is_duplicated(&self, id: EventId) -> bool {
        let part = |(found, _): &(HashSet<EventId>, u32)| found.iter().any(|id| self.duplicated.contains(id));
        self.duplicated.contains(&id) || self.several.get(&id).is_some_and(part)
    }

    /// The first place that has it. A delivery with several events is where the last of them is on its way, and nowhere while one
    /// is missing.
    fn place_of(&self, id: EventId) -> Option<EventPlace> {
        let own = if self.published.contains_key(&id) {
            Some(EventPlace::Topic)
        } else if self.is_dead_letter(id) {
            Some(EventPlace::DeadLetters)
        } else {
            self.spooled.contains(&id).then_some(EventPlace::Spool)
        };
        own.or_else(|| {
            let (found, of) = self.several.get(&id)?;
            let places = found.iter().map(|id| self.place_of(*id)).collect::<Option<Vec<_>>>()?;
            places.into_iter().max().filter(|_| found.len() >= *of as usize)
        })
    }

    /// All events that are anywhere; one may be in several places.
    pub(crate) fn there(&self) -> EventCounts {
        EventCounts {
            published: self.published.len() as u64,
            dead_lettered: self.letters.keys().filter(|&&id| self.is_dead_letter(id)).count() as u64,
            spooled: self.spooled.len() as u64,
            duplicated: self.duplicated.len() as u64,
        }
    }

    /// Where those of `given` are, each in the first of these places; and those that are in none.
    pub(crate) fn hold_against(&self, given: &Given) -> (EventCounts, Vec<EventId>) {
        let (mut counts, mut missing) = (EventCounts::default(), Vec::new());
        for &id in &given.ids {
            counts.duplicated += u64::from(self.is_duplicated(id));
            match self.place_of(id) {
                Some(EventPlace::Topic) => counts.published += 1,
                Some(EventPlace::DeadLetters) => counts.dead_lettered += 1,
                Some(EventPlace::Spool) => counts.spooled += 1,
                None => missing.push(id),
            }
        }
        missing.sort_unstable();
        (counts, missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 5] = [
        "00000000-0000-8000-8000-000000000001",
        "00000000-0000-8000-8000-000000000002",
        "00000000-0000-8000-8000-000000000003",
        "00000000-0000-8000-8000-000000000004",
        "00000000-0000-8000-8000-000000000005",
    ];

    fn record(id: &str, offset: i64, reason: Option<&str>) -> ReadRecord {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        ReadRecord {
            topic: "a".into(),
            partition: 0,
            offset,
            timestamp: Some(0),
            key: Some(id.into()),
            value: Some(Vec::new()),
            headers: [header("ce_id", id)].into_iter().chain(reason.map(|r| header("hookbridge_reason", r))).collect(),
        }
    }

    #[test]
    fn ids_are_read_from_plain_lines_and_from_logged_answers() {
        let text = format!(
            "{}\n\n  {}\r\n{{\"id\":\"{}\",\"outcome\":\"published\"}}\n{{\"code\":\"overloaded\"}}\n{}\n",
            IDS[0],
            IDS[1].to_uppercase(),
            IDS[2],
            IDS[0]
        );
        let given = Given::read(text.as_bytes()).unwrap();
        assert_eq!((given.ids.len(), given.without), (3, 1));
        let given = Given::read(format!("{{\"id\":\"{}\",\"outcome\":\"ignored\"}}", IDS[0]).as_bytes()).unwrap();
        assert_eq!((given.ids.len(), given.without, given.ignored), (0, 0, 1));
        for (text, line) in [("x", 1), ("\n{\"id\":7}", 2), ("{\"id\":\"x\"}", 1), ("{", 1)] {
            let error = Given::read(text.as_bytes()).unwrap_err();
            assert!(matches!(error, IdsError::Line { line: at, .. } if at == line), "{text}: {error}");
        }
    }

    #[test]
    fn each_id_given_counts_once_and_what_is_nowhere_is_missing() {
        let mut audit = Audit::default();
        audit.spooled(IDS[0], None);
        audit.spooled(IDS[1], None);
        for (id, offset) in [(IDS[1], 0), (IDS[2], 1)] {
            audit.dead_letter(&record(id, offset, Some("unknown_type")));
        }
        // Replayed, but its record is in no topic.
        audit.dead_letter(&ReadRecord { value: None, ..record(IDS[2], 2, None) });
        audit.published(&record(IDS[3], 0, None));
        audit.published(&record(IDS[3], 1, None));
        audit.published(&record("", 2, None));
        // The same event in another topic is none of its duplicates.
        for topic in ["a", "b", "c"] {
            audit.published(&ReadRecord { topic: topic.into(), ..record(IDS[1], 3, None) });
        }
        assert_eq!(audit.there().duplicated, 1);
        audit.published(&ReadRecord { topic: "b".into(), ..record(IDS[1], 4, None) });

        let there = EventCounts { published: 2, dead_lettered: 1, spooled: 2, duplicated: 2 };
        assert_eq!((audit.there(), audit.foreign), (there, 1));
        let given = Given::read(IDS.join("\n").as_bytes()).unwrap();
        let (counts, missing) = audit.hold_against(&given);
        assert_eq!(counts, EventCounts { published: 2, dead_lettered: 0, spooled: 1, duplicated: 2 });
        assert_eq!(missing.iter().map(ToString::to_string).collect::<Vec<_>>(), [IDS[2], IDS[4]]);
    }
}
