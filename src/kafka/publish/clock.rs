//! The time that a record is sent with, and whose clock is wrong when Kafka refuses it.
//!
//! Kafka 4 refuses a record from more than an hour ahead of its own clock. No record is sent with a time that is still to
//! come by our clock, however it was made: so what waited under a clock that was ahead leaves by itself once that is right.
//!
//! Until then records go on with the last time that Kafka took, plus what has passed since by a clock that nobody sets. A
//! program that has not seen Kafka take any waits, in order, or goes by the clock of the registry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::ConfigResource;

use super::topics::Watch;
use crate::values::time;

/// What is no older than this when it is sent shows that Kafka takes our time.
const FRESH: i64 = 5_000;
/// Clocks that differ by less are no reason to refuse anything.
const NOTABLE: i64 = 60_000;
/// A record that is older is refused for its age, where Kafka does not say what it allows: clocks that are wrong by more are
/// rare.
const SUPPOSED_BEFORE: i64 = 24 * 60 * MINUTE;
const MINUTE: i64 = 60_000;
/// How long what was found out is relied on, and how often at most it is logged.
const RELIED_ON: Duration = Duration::from_secs(60);

/// What a topic takes, in milliseconds before and after the broker's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    before: i64,
    after: i64,
}

impl Limits {
    fn of(topic: &ConfigResource) -> Option<Limits> {
        let number = |key| topic.get(key)?.value.as_ref()?.parse::<i64>().ok();
        // The last is the name of both before Kafka 3.6.
        let both = number("message.timestamp.difference.max.ms");
        let or_both = |key| number(key).into_iter().chain(both).min();
        Some(Limits {
            before: or_both("message.timestamp.before.max.ms")?,
            after: or_both("message.timestamp.after.max.ms")?,
        })
    }
}

/// Why Kafka refused a record's time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TimeRefusal {
    /// The record is older than its topic allows.
    Age,
    /// A clock is wrong; with another time the record may be taken at once.
    Clock { again: Option<i64>, words: String },
}

/// A moment by both clocks: the one that only counts, and milliseconds since 1970.
type Moment = (Instant, i64);

#[derive(Debug, Default)]
struct ClockState {
    /// Kafka took a record of this time, or the registry told it.
    known: Option<Moment>,
    /// Kafka refuses our time; until then that need not be tried again.
    refused_until: Option<Instant>,
    logged: Option<Instant>,
}

impl ClockState {
    /// The time by what was known, for a clock that shows `wall`.
    fn known_at(&self, at: Instant) -> Option<i64> {
        let (since, time) = self.known?;
        Some(time + i64::try_from(at.saturating_duration_since(since).as_millis()).ok()?)
    }

    /// The time of a record that wants to have `wanted`.
    fn stamp(&self, wanted: i64, (at, wall): Moment) -> i64 {
        let mut stamp = wanted.min(wall);
        if self.refused_until.is_some_and(|until| at < until) {
            stamp = stamp.min(self.known_at(at).unwrap_or(stamp));
        }
        // librdkafka takes 0 for now.
        stamp.max(1)
    }

    /// Says how wrong our clock seems to be.
    fn words(&self, (at, wall): Moment, limits: Option<Limits>) -> String {
        let ahead = self.known_at(at).map_or(0, |known| wall - known);
        match limits {
            _ if ahead >= NOTABLE => format!("this machine's clock seems to be {} ahead", span(ahead)),
            _ if ahead <= -NOTABLE => format!("this machine's clock seems to be {} behind", span(-ahead)),
            Some(Limits { before: i64::MAX, after }) => {
                format!("this machine's clock seems to be more than {} ahead of Kafka's", span(after))
            }
            Some(Limits { before, after }) => {
                format!("this machine's clock and Kafka's seem to differ by more than {}", span(before.min(after)))
            }
            None => "this machine's clock and Kafka's seem to differ".into(),
        }
    }

    /// Kafka refused a record that was sent alone with the time `stamp`.
    fn refused(&mut self, stamp: i64, now: Moment, limits: Option<Limits>) -> TimeRefusal {
        let by_our_clock = self.known_at(now.0).map_or(now.1, |known| known.min(now.1));
        let before = limits.map_or(SUPPOSED_BEFORE, |limits| limits.before);
        if by_our_clock.saturating_sub(stamp) > before {
            return TimeRefusal::Age;
        }
        self.refused_until = Some(now.0 + RELIED_ON);
        let again = Some(self.stamp(stamp, now)).filter(|again| stamp - again >= NOTABLE);
        TimeRefusal::Clock { again, words: self.words(now, limits) }
    }

    /// Kafka took a record that was sent at `sent` with the time `stamp`; gives whether it refused our time before.
    fn taken(&mut self, stamp: i64, sent: Moment) -> bool {
        if sent.1 - stamp > FRESH {
            return false;
        }
        self.known = Some(sent);
        self.refused_until.take().is_some()
    }
}

/// `61 minutes`, `5 hours`, `12 days`.
pub(crate) fn span(millis: i64) -> String {
    match millis / MINUTE {
        minutes @ ..180 => format!("{minutes} minutes"),
        minutes @ ..4320 => format!("{} hours", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

/// When Kafka was asked what a topic takes, and what it said, if anything.
type Asked = (Instant, Option<Limits>);

/// Gives records their time, and finds out why one is refused.
#[derive(Default)]
pub(crate) struct Clock {
    state: Mutex<ClockState>,
    /// By topic. Held while Kafka is asked: once is enough for all.
    limits: tokio::sync::Mutex<BTreeMap<Arc<str>, Asked>>,
}

fn now() -> Moment {
    (Instant::now(), time::now_millis())
}

impl Clock {
    fn state(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of a record that is sent now and wants to have `wanted`; and now.
    pub(super) fn stamp(&self, wanted: i64) -> (i64, Moment) {
        let now = now();
        (self.state().stamp(wanted, now), now)
    }

    /// Kafka took a record that was sent at `sent` with the time `stamp`.
    pub(super) fn taken(&self, stamp: i64, sent: Moment) {
        if self.state().taken(stamp, sent) {
            tracing::info!("Kafka accepts this machine's timestamps again");
        }
    }

    /// Kafka refused the time of a record that was sent alone to `topic` with the time `stamp`.
    pub(super) async fn refused(&self, watch: &Watch, topic: &Arc<str>, stamp: i64) -> TimeRefusal {
        let limits = self.limits(watch, topic).await;
        let mut state = self.state();
        let now = now();
        let cause = state.refused(stamp, now, limits);
        if let TimeRefusal::Clock { words, .. } = &cause
            && state.logged.is_none_or(|logged| logged.elapsed() > RELIED_ON)
        {
            state.logged = Some(now.0);
            tracing::warn!(%topic, "Kafka rejects the timestamps of records: {words}; set the clock");
        }
        cause
    }

    async fn limits(&self, watch: &Watch, topic: &Arc<str>) -> Option<Limits> {
        let mut known = self.limits.lock().await;
        if let Some((_, limits)) = known.get(topic).filter(|(asked, _)| asked.elapsed() < RELIED_ON) {
            return *limits;
        }
        let limits = match watch.topic_configs(&[topic]).await {
            Ok(configs) => configs.get(topic).and_then(Limits::of),
            Err(error) => {
                tracing::debug!(%topic, %error, "cannot read which timestamps the topic accepts");
                None
            }
        };
        known.insert(Arc::clone(topic), (Instant::now(), limits));
        limits
    }

    /// Whether Kafka refuses our time, and nothing is known that it would take.
    pub(crate) fn is_lost(&self) -> bool {
        let state = self.state();
        state.refused_until.is_some() && state.known.is_none()
    }

    /// Another server told the time.
    pub(crate) fn learn(&self, told: i64) {
        self.state().known.get_or_insert((Instant::now(), told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * MINUTE;
    const USUAL: Option<Limits> = Some(Limits { before: i64::MAX, after: HOUR });
    const NOON: i64 = 1_800_000_000_000;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn no_record_has_a_time_that_is_still_to_come() {
        let (state, now) = (ClockState::default(), (Instant::now(), NOON));
        for (wanted, stamp) in [(NOON - 5, NOON - 5), (NOON, NOON), (NOON + HOUR, NOON), (0, 1), (-7, 1)] {
            assert_eq!(state.stamp(wanted, now), stamp);
        }
    }

    #[test]
    fn while_kafka_refuses_our_time_records_go_on_with_the_time_it_took_last() {
        let (mut state, start) = (ClockState::default(), Instant::now());
        assert!(!state.taken(NOON, (start, NOON)));
        // Two hours ahead, after ten seconds.
        let (at, wall) = (after(start, 10), NOON + 10_000 + 2 * HOUR);
        assert_eq!(state.stamp(wall, (at, wall)), wall, "nobody has said no yet");
        let TimeRefusal::Clock { again, words } = state.refused(wall, (at, wall), USUAL) else { panic!("old") };
        assert_eq!(
            (again, words.as_str()),
            (Some(NOON + 10_000), "this machine's clock seems to be 120 minutes ahead")
        );
        let later = (after(start, 20), wall + 10_000);
        assert_eq!(state.stamp(wall, later), NOON + 20_000);
        assert_eq!(state.stamp(NOON - 5, later), NOON - 5, "an earlier time stays");
        assert!(!state.taken(NOON + 20_000, later), "that says nothing of our time");
        // Tried again a minute later, and the clock is right.
        let right = (after(start, 100), NOON + 100_000);
        assert_eq!(state.stamp(right.1, right), right.1);
        assert!(state.taken(right.1, right));
        assert!(!state.taken(right.1, right), "said once");
    }

    #[test]
    fn a_time_that_kafka_never_took_waits() {
        let (mut state, now) = (ClockState::default(), (Instant::now(), NOON));
        let words = "this machine's clock seems to be more than 60 minutes ahead of Kafka's".to_owned();
        assert_eq!(state.refused(NOON, now, USUAL), TimeRefusal::Clock { again: None, words });
        // As long ago as a clock may be wrong.
        assert!(matches!(state.refused(NOON - 700 * 24 * HOUR, now, USUAL), TimeRefusal::Clock { again: None, .. }));
    }

    #[test]
    fn a_record_that_is_older_than_its_topic_allows_is_refused_for_its_age_alone() {
        let (mut state, now) = (ClockState::default(), (Instant::now(), NOON));
        let day = Some(Limits { before: 24 * HOUR, after: HOUR });
        assert_eq!(state.refused(NOON - 25 * HOUR, now, day), TimeRefusal::Age);
        assert_eq!(state.refused(NOON - 25 * HOUR, now, None), TimeRefusal::Age);
        assert_eq!(state.stamp(NOON, now), NOON);
        assert!(matches!(state.refused(NOON - 23 * HOUR, now, day), TimeRefusal::Clock { .. }));
        // By a clock that is ahead it only looks old.
        state.taken(NOON, now);
        assert!(matches!(state.refused(NOON + HOUR, (now.0, NOON + 30 * HOUR), day), TimeRefusal::Clock { .. }));
    }

    #[test]
    fn spans_are_told_in_the_unit_that_is_read_best() {
        let told = [61, 179, 200, 4319, 4320].map(|minutes| span(minutes * MINUTE));
        assert_eq!(told, ["61 minutes", "179 minutes", "3 hours", "71 hours", "3 days"]);
    }
}
