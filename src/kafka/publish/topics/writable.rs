//! Keeps in mind which partitions of our topics cannot be written, and says in the log when that begins, lasts and ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::super::outage::{News, Outage};
use super::super::partitions::{self, Degraded};
use super::Watch;
use super::min_insync::MinInsync;
use super::view::View;
use crate::kafka::route::Role;

/// How many partitions of a topic cannot be written, by the reason.
pub(crate) struct Unwritable<'a> {
    pub(crate) topic: &'a str,
    pub(crate) leaderless: usize,
    pub(crate) under_replicated: usize,
}

/// What the last look said of the partitions.
#[derive(Debug, Default)]
pub(super) struct Writable {
    degraded: ArcSwap<Vec<Degraded>>,
    min_insync: Mutex<MinInsync>,
    outage: Mutex<Outage>,
}

impl Writable {
    /// The partitions that cannot be written, in one sentence; `None` when all can.
    pub(super) fn words(&self) -> Option<String> {
        partitions::unwritable(&self.degraded.load())
    }

    /// What partitions lack, as far as is known.
    fn judge(&self, view: &View) -> Vec<Degraded> {
        let known = self.min_insync.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |topic: &super::TopicState| {
            Degraded::of(&topic.name, topic.partitions.as_ref()?, known.of(&topic.name), &view.brokers)
        };
        view.topics.iter().filter_map(of).collect()
    }

    /// Takes over what a look found, and says what is new about it. Gives why no event can be written at all, if that is so.
    pub(super) fn found(&self, view: &View) -> Option<String> {
        let degraded = self.judge(view);
        let words = partitions::unwritable(&degraded);
        let nothing = nothing_writable(view, &degraded);
        self.degraded.store(Arc::new(degraded));
        match self.outage.lock().unwrap_or_else(PoisonError::into_inner).next(words.is_some(), Instant::now()) {
            Some(News::Begins) => {
                tracing::warn!(
                    partitions = words,
                    "Kafka cannot write some partitions; events of their keys wait in the spool"
                );
            }
            Some(News::Lasts(time)) => {
                let seconds = time.as_secs();
                tracing::warn!(partitions = words, seconds, "Kafka still cannot write some partitions");
            }
            Some(News::Ended(time)) => {
                tracing::info!(seconds = time.as_secs(), "Kafka can write all partitions again");
            }
            None => {}
        }
        nothing.then(|| format!("no partition can be written: {}", words.unwrap_or_default()))
    }
}

/// Whether no partition of any topic of events can be written. One topic that is dead is no trouble of the others.
fn nothing_writable(view: &View, degraded: &[Degraded]) -> bool {
    let is_dead = |topic: &Arc<str>| degraded.iter().any(|found| found.topic == *topic && found.is_dead());
    let mut events = view.there().filter(|topic| topic.role == Role::Events).peekable();
    events.peek().is_some() && events.all(|topic| is_dead(&topic.name))
}

impl Watch {
    /// Asks how many replicas have to be in sync, where that is not known or may have changed. Says whether it asked.
    pub(super) async fn ask_min_insync(&self, view: &View, failing: bool) -> bool {
        let known = || self.writable.min_insync.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = {
            let degraded = self.writable.degraded.load();
            let too_few =
                |topic: &str| degraded.iter().any(|found| *found.topic == *topic && found.is_under_replicated());
            known().to_ask(&view.topics, failing, too_few, Instant::now())
        };
        if asked.is_empty() {
            return false;
        }
        // A broker that does not tell is no reason for alarm.
        let told =
            self.topic_configs(&asked.iter().map(|topic| &**topic).collect::<Vec<_>>()).await.unwrap_or_default();
        known().take(&asked, &view.topics, &told, Instant::now());
        true
    }

    /// What the partitions of our topics lack, for one who looks once.
    pub(crate) async fn degraded(&self, view: &View) -> Vec<Degraded> {
        self.ask_min_insync(view, false).await;
        self.writable.judge(view)
    }

    /// The partitions that cannot be written, as was last seen, in one sentence; `None` when all can.
    #[must_use]
    pub(crate) fn unwritable(&self) -> Option<String> {
        self.writable.words()
    }

    /// How many partitions of each topic cannot be written, as was last seen. Every topic is among them.
    pub(crate) fn for_each_topic(&self, mut show: impl FnMut(Unwritable<'_>)) {
        let degraded = self.writable.degraded.load();
        for spec in &self.topics {
            let found = degraded.iter().find(|found| found.topic == spec.name);
            let count = |group: fn(&Degraded) -> usize| found.map_or(0, group);
            show(Unwritable {
                topic: &spec.name,
                leaderless: count(|found| found.leaderless.count()),
                under_replicated: count(|found| found.under_replicated.count()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::TopicState;
    use super::*;
    use crate::kafka::publish::partitions::Partition;

    /// A topic of two partitions, of which some have no leader.
    fn topic(name: &str, role: Role, leaders: [bool; 2]) -> TopicState {
        let partition = |(id, has_leader)| Partition { id, has_leader, replicas: vec![1], in_sync: vec![1] };
        let partitions = (0..).zip(leaders).map(partition).collect();
        TopicState { name: name.into(), role, partitions: Some(partitions), error: None }
    }

    #[test]
    fn it_is_trouble_of_kafka_when_no_event_can_be_written_at_all() {
        let [well, half, dead] = [[true, true], [false, true], [false, false]];
        for (deal, lead, dead_letters, expected) in [
            (well, well, well, false),
            (half, half, half, false),
            (dead, half, well, false),
            (dead, dead, well, true),
            (well, well, dead, false),
        ] {
            let topics = vec![
                topic("deal", Role::Events, deal),
                topic("lead", Role::Events, lead),
                topic("dead-letters", Role::DeadLetters, dead_letters),
            ];
            let writable = Writable::default();
            let trouble = writable.found(&View { brokers: vec![1], topics });
            assert_eq!(trouble.is_some(), expected, "{trouble:?}: {deal:?} {lead:?} {dead_letters:?}");
            assert_eq!(writable.words().is_some(), [deal, lead, dead_letters] != [well; 3]);
        }
    }

    #[test]
    fn topics_that_are_not_there_are_no_matter_of_partitions() {
        let missing = TopicState { partitions: None, ..topic("deal", Role::Events, [true, true]) };
        let writable = Writable::default();
        assert_eq!(writable.found(&View { brokers: vec![1], topics: vec![missing] }), None);
        assert_eq!(writable.words(), None);
    }
}
