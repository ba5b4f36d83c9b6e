//! How many replicas of each topic have to be in sync before Kafka takes a record: asked when a topic is new or looks
//! different, not at every look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::ConfigResource;

use super::super::partitions::Partition;
use super::super::replication::{self, MIN_INSYNC};
use super::view::TopicState;

/// While too few replicas are in sync somebody may lower the setting, which nothing else shows.
const WHILE_TOO_FEW: Duration = Duration::from_secs(10);
/// After this time it is asked again when records fail and nothing shows why.
const WHILE_FAILING: Duration = Duration::from_secs(60);
/// After this time it is asked again where Kafka did not tell: it may never do so, as with a principal that may not ask.
const UNTOLD: Duration = Duration::from_secs(600);

/// `min.insync.replicas` of each topic, as was last told.
#[derive(Debug, Default)]
pub(super) struct MinInsync(BTreeMap<Arc<str>, Told>);

#[derive(Debug)]
struct Told {
    /// `None` when Kafka did not say.
    count: Option<i32>,
    looks: Looks,
    at: Instant,
}

/// What may go with another setting: the number of partitions, and the fewest replicas of one, all and in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    partitions: usize,
    replicas: usize,
    in_sync: usize,
}

impl Looks {
    fn of(partitions: &[Partition]) -> Looks {
        let fewest = |count: fn(&Partition) -> usize| partitions.iter().map(count).min().unwrap_or(0);
        let (replicas, in_sync) = (fewest(|p| p.replicas.len()), fewest(|p| p.in_sync.len()));
        Looks { partitions: partitions.len(), replicas, in_sync }
    }
}

impl MinInsync {
    pub(super) fn of(&self, topic: &str) -> Option<i32> {
        self.0.get(topic)?.count
    }

    /// The topics to ask about: new ones, those that look different, those with too few replicas (`too_few` says which), and
    /// from time to time those that nobody told of, or all if records fail.
    pub(super) fn to_ask(
        &self,
        topics: &[TopicState],
        failing: bool,
        too_few: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Vec<Arc<str>> {
        let is_old = |topic: &TopicState| {
            let Some(partitions) = &topic.partitions else { return false };
            let Some(told) = self.0.get(&topic.name) else { return true };
            let age = now.saturating_duration_since(told.at);
            told.looks != Looks::of(partitions)
                || (age >= WHILE_TOO_FEW && too_few(&topic.name))
                || (age >= WHILE_FAILING && failing)
                || (age >= UNTOLD && told.count.is_none())
        };
        topics.iter().filter(|topic| is_old(topic)).map(|topic| Arc::clone(&topic.name)).collect()
    }

    /// Takes over what Kafka told of the topics that were asked about. Of those that it did not tell of, what was known stays.
    pub(super) fn take(
        &mut self,
        asked: &[Arc<str>],
        topics: &[TopicState],
        told: &BTreeMap<Arc<str>, ConfigResource>,
        now: Instant,
    ) {
        let counts =
            told.iter().filter_map(|(topic, config)| Some((&**topic, replication::number(config, MIN_INSYNC)?)));
        self.note(asked, topics, &counts.collect(), now);
    }

    fn note(&mut self, asked: &[Arc<str>], topics: &[TopicState], counts: &BTreeMap<&str, i32>, now: Instant) {
        for topic in topics.iter().filter(|topic| asked.contains(&topic.name)) {
            let Some(partitions) = &topic.partitions else { continue };
            let count = counts.get(&*topic.name).copied().or_else(|| self.of(&topic.name));
            let told = Told { count, looks: Looks::of(partitions), at: now };
            self.0.insert(Arc::clone(&topic.name), told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::route::Role;

    fn topic(name: &str, in_sync: &[i32]) -> TopicState {
        let partition = Partition { id: 0, has_leader: true, replicas: vec![1, 2, 3], in_sync: in_sync.to_vec() };
        TopicState { name: name.into(), role: Role::Events, partitions: Some(vec![partition]), error: None }
    }

    #[test]
    fn a_topic_is_asked_about_once_and_again_when_there_is_a_reason() {
        let (mut known, start) = (MinInsync::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let [whole, fewer] = [&[1, 2, 3][..], &[1, 2]].map(|in_sync| [topic("a", in_sync), topic("b", &[1, 2, 3])]);
        let asked = |known: &MinInsync, topics: &[TopicState; 2], failing, too_few: &str, now| {
            known
                .to_ask(topics, failing, |topic| topic == too_few, now)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(asked(&known, &whole, false, "", at(0)), ["a", "b"], "they are new");
        known.note(&["a".into(), "b".into()], &whole, &[("a", 2), ("b", 2)].into(), at(0));
        assert_eq!((known.of("a"), known.of("c")), (Some(2), None));
        for (topics, failing, too_few, seconds, expected, why) in [
            (&whole, false, "", 600, &[][..], "nothing changed"),
            (&fewer, false, "", 1, &["a"], "it looks different"),
            (&whole, true, "", 59, &[], "it was asked a moment ago"),
            (&whole, true, "", 60, &["a", "b"], "records fail, and nothing shows why"),
            (&whole, false, "b", 9, &[], "it was asked a moment ago"),
            (&whole, false, "b", 10, &["b"], "somebody may have lowered it"),
        ] {
            assert_eq!(asked(&known, topics, failing, too_few, at(seconds)), expected, "{why}");
        }
    }

    #[test]
    fn what_kafka_does_not_tell_stays_as_it_was_known_and_is_asked_again_later() {
        let (mut known, start) = (MinInsync::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let topics = [topic("a", &[1, 2, 3]), topic("b", &[1, 2, 3])];
        let both = ["a".into(), "b".into()];
        known.note(&both, &topics, &[("a", 2)].into(), at(0));
        known.note(&both, &topics, &[].into(), at(5));
        assert_eq!((known.of("a"), known.of("b")), (Some(2), None));
        assert_eq!(known.to_ask(&topics, false, |_| false, at(604)), Vec::<Arc<str>>::new());
        assert_eq!(known.to_ask(&topics, false, |_| false, at(605)), ["b".into()]);
    }

    #[test]
    fn a_topic_that_is_missing_is_not_asked_about() {
        let missing = [TopicState { partitions: None, ..topic("a", &[]) }];
        assert!(MinInsync::default().to_ask(&missing, true, |_| true, Instant::now()).is_empty());
    }
}
