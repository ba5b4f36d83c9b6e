//! What was sent and what was answered, attempt by attempt: the senders' side of the story.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::events::Event;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A 2xx, with its `outcome`.
    Accepted(String),
    /// A 503 or 429, with its `code`, and whether it said when to come again.
    Refused { code: String, retry_after: bool },
    /// An answer that there is no reason for.
    Odd(String),
    /// The connection could not be made, or broke.
    Broken(String),
    /// Neither answer nor end within the sender's patience.
    Silence,
}

/// One time an event was sent. Times count from the beginning of the history.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) answer: Answer,
}

/// An event, and what became of it as far as its sender knows.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) event: Event,
    pub(crate) attempts: Vec<Attempt>,
    /// Its topic was deleted after it was accepted: it may be gone.
    pub(crate) may_be_gone: bool,
}

impl Sent {
    /// When it was accepted, and with which outcome.
    pub(crate) fn accepted(&self) -> Option<(Duration, &str)> {
        self.attempts.iter().find_map(|attempt| match &attempt.answer {
            Answer::Accepted(outcome) => Some((attempt.ended, outcome.as_str())),
            _ => None,
        })
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { id, topic, key, number, .. } = &self.event;
        write!(f, "event {id}, number {number} of {topic} {key}")?;
        // The first ones say as much as all.
        for Attempt { began, ended, answer } in self.attempts.iter().take(12) {
            write!(f, "\n    {:.3} s to {:.3} s: {answer:?}", began.as_secs_f64(), ended.as_secs_f64())?;
        }
        if self.attempts.len() > 12 {
            write!(f, "\n    ... {} attempts", self.attempts.len())?;
        }
        Ok(())
    }
}

/// All that was sent, by id.
pub(crate) struct History {
    began: Instant,
    /// The same moment on the wall clock, in milliseconds.
    began_at: i64,
    pub(crate) sent: Mutex<BTreeMap<String, Sent>>,
}

impl History {
    pub(crate) fn begin() -> History {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
        History {
            began: Instant::now(),
            began_at: i64::try_from(now.as_millis()).expect("milliseconds"),
            sent: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A time of the wall clock, as records have it.
    pub(crate) fn at(&self, millis: i64) -> Duration {
        Duration::from_millis(u64::try_from(millis - self.began_at).unwrap_or(0))
    }

    pub(crate) fn note(&self, event: &Event, attempt: Attempt) {
        let mut sent = self.sent.lock().expect("the history");
        let new = || Sent { event: event.clone(), attempts: Vec::new(), may_be_gone: false };
        sent.entry(event.id.clone()).or_insert_with(new).attempts.push(attempt);
    }

    /// Whatever `look` finds in the attempts.
    pub(crate) fn count(&self, look: impl Fn(&Attempt) -> bool) -> usize {
        self.sent.lock().expect("the history").values().flat_map(|sent| &sent.attempts).filter(|a| look(a)).count()
    }

    /// When the first 200 with the outcome `published` came after `since`; in `topic`, or in any.
    pub(crate) fn first_published(&self, since: Duration, topic: Option<&str>) -> Option<Duration> {
        let published = Answer::Accepted("published".into());
        let sent = self.sent.lock().expect("the history");
        let sent = sent.values().filter(|sent| topic.is_none_or(|topic| topic == sent.event.topic));
        let attempts = sent.flat_map(|sent| &sent.attempts);
        attempts.filter(|a| a.ended >= since && a.answer == published).map(|a| a.ended).min()
    }

    /// By entity, when the first of its events came to its 200 that was sent after `since`.
    pub(crate) fn served_since(&self, since: Duration) -> BTreeMap<usize, Duration> {
        let published = Answer::Accepted("published".into());
        let mut served = BTreeMap::new();
        for sent in self.sent.lock().expect("the history").values() {
            // Sent after it for the first time: one that was tried before is no new event.
            if sent.attempts[0].began < since {
                continue;
            }
            if let Some(attempt) = sent.attempts.iter().find(|attempt| attempt.answer == published) {
                let first = served.entry(sent.event.entity).or_insert(attempt.ended);
                *first = attempt.ended.min(*first);
            }
        }
        served
    }

    /// The attempts that `look` wants, each with its event.
    pub(crate) fn attempts(&self, look: impl Fn(&Attempt) -> bool) -> Vec<(Event, Attempt)> {
        let sent = self.sent.lock().expect("the history");
        let of = |sent: &Sent| {
            let wanted = sent.attempts.iter().filter(|attempt| look(attempt));
            wanted.map(|attempt| (sent.event.clone(), attempt.clone())).collect::<Vec<_>>()
        };
        sent.values().flat_map(of).collect()
    }
}
