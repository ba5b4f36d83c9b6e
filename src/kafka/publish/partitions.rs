//! Which partitions of a topic cannot be written, from what Kafka says of their leaders and replicas.
//!
//! | leader | replicas in sync | |
//! | --- | --- | --- |
//! | none | | leaderless: Kafka takes nothing |
//! | one | fewer than `min.insync.replicas` | under-replicated: Kafka refuses every record |
//! | one | enough, but not all | thin: it can be written until one more broker fails |
//!
//! More replicas than there are need not be in sync, whatever the setting says: Kafka sees it so.
//! How many have to be in sync is not always known. Then a partition is thin at worst: what nobody tells is no
//! reason for alarm.

use std::collections::BTreeSet;
use std::sync::Arc;

use rdkafka::metadata::MetadataPartition;

use super::replication::MIN_INSYNC;

/// So many topics are named that lack the same, and so many different things are told.
const NAMED: usize = 8;

/// What Kafka says of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(super) id: i32,
    pub(super) has_leader: bool,
    /// The ids of brokers, as those in sync are.
    pub(super) replicas: Vec<i32>,
    pub(super) in_sync: Vec<i32>,
}

impl From<&MetadataPartition> for Partition {
    fn from(told: &MetadataPartition) -> Partition {
        Partition {
            id: told.id(),
            has_leader: told.leader() >= 0,
            replicas: told.replicas().to_vec(),
            in_sync: told.isr().to_vec(),
        }
    }
}

/// Partitions of one topic that lack the same thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    partitions: BTreeSet<i32>,
    /// The brokers that would have to come back.
    down: BTreeSet<i32>,
    /// The brokers that are up, and have not caught up.
    behind: BTreeSet<i32>,
    /// All brokers that hold them.
    holders: BTreeSet<i32>,
}

impl Group {
    /// How many partitions there are.
    pub(crate) fn count(&self) -> usize {
        self.partitions.len()
    }

    fn add(&mut self, partition: &Partition, missing: &[i32], alive: &[i32]) {
        self.partitions.insert(partition.id);
        self.holders.extend(&partition.replicas);
        for &id in missing {
            if alive.contains(&id) { &mut self.behind } else { &mut self.down }.insert(id);
        }
    }

    /// What to do.
    fn remedy(&self) -> String {
        let mut parts = Vec::new();
        if !self.down.is_empty() {
            parts.push(format!("bring {} back", brokers(&self.down)));
        }
        if !self.behind.is_empty() {
            parts.push(format!("find out why {} cannot keep up", brokers(&self.behind)));
        }
        if parts.is_empty() {
            parts.push(format!("look for a failed disk in the logs of {}", brokers(&self.holders)));
        }
        parts.join(", ")
    }
}

/// What the partitions of one topic lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Degraded {
    pub(crate) topic: Arc<str>,
    pub(crate) leaderless: Group,
    pub(crate) under_replicated: Group,
    /// They can be written, with fewer replicas in sync than they have.
    pub(crate) thin: Group,
    /// `min.insync.replicas`, where it is known.
    min_insync: Option<i32>,
    partitions: usize,
}

impl Degraded {
    /// `None` when the topic lacks nothing. `alive` are the brokers that are up.
    pub(super) fn of(
        topic: &Arc<str>,
        partitions: &[Partition],
        min_insync: Option<i32>,
        alive: &[i32],
    ) -> Option<Degraded> {
        let mut found = Degraded {
            topic: Arc::clone(topic),
            leaderless: Group::default(),
            under_replicated: Group::default(),
            thin: Group::default(),
            min_insync,
            partitions: partitions.len(),
        };
        let needed = min_insync.and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        for partition in partitions {
            let Partition { replicas, in_sync, .. } = partition;
            let missing: Vec<_> = replicas.iter().copied().filter(|id| !in_sync.contains(id)).collect();
            if !partition.has_leader {
                found.leaderless.add(partition, &lost(partition, alive), alive);
            } else if in_sync.len() < needed.min(replicas.len()) {
                found.under_replicated.add(partition, &missing, alive);
            } else if in_sync.len() < replicas.len() {
                found.thin.add(partition, &missing, alive);
            }
        }
        let lacks = found.unwritable() + found.thin.count() > 0;
        lacks.then_some(found)
    }

    /// How many partitions cannot be written.
    pub(crate) fn unwritable(&self) -> usize {
        self.leaderless.count() + self.under_replicated.count()
    }

    /// Whether no partition of the topic can be written.
    pub(super) fn is_dead(&self) -> bool {
        self.unwritable() == self.partitions
    }

    /// Whether somebody who lowers `min.insync.replicas` would change what is found.
    pub(super) fn is_under_replicated(&self) -> bool {
        self.under_replicated.count() > 0
    }

    /// One sentence for each thing that keeps partitions from being written, with what to do.
    pub(crate) fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let topic = &self.topic;
        if self.leaderless.count() > 0 {
            let (which, have) = (listed(&self.leaderless), plural(&self.leaderless, "has", "have"));
            let remedy = self.leaderless.remedy();
            found.push(format!("topic {topic}: {which} {have} no leader and cannot be written: {remedy}"));
        }
        if self.under_replicated.count() > 0 {
            let (which, needed) = (listed(&self.under_replicated), self.min_insync.unwrap_or_default());
            let why = format!("fewer replicas are in sync than {MIN_INSYNC} ({needed})");
            let remedy = self.under_replicated.remedy();
            found.push(format!("topic {topic}: {which} cannot be written: {why}: {remedy}"));
        }
        found
    }

    /// One sentence on partitions that can be written with fewer replicas in sync than they have.
    pub(crate) fn warning(&self) -> Option<String> {
        let Degraded { topic, thin, .. } = self;
        let remedy = || thin.remedy();
        (thin.count() > 0)
            .then(|| format!("topic {topic}: not all replicas of {} are in sync: {}", listed(thin), remedy()))
    }

    /// The partitions that cannot be written, and why, in few words.
    fn in_short(&self) -> String {
        let groups = [(&self.leaderless, "no leader"), (&self.under_replicated, "too few replicas in sync")];
        let groups = groups.into_iter().filter(|(group, _)| group.count() > 0);
        let words: Vec<_> = groups.map(|(group, why)| format!("{} ({why})", ranges(&group.partitions))).collect();
        words.join(", ")
    }
}

/// The partitions that cannot be written, and why; `None` when all can. Topics of which the same is to be said stand together.
pub(super) fn unwritable(found: &[Degraded]) -> Option<String> {
    let mut alike: Vec<(String, Vec<&str>)> = Vec::new();
    for topic in found.iter().filter(|topic| topic.unwritable() > 0) {
        let words = topic.in_short();
        match alike.iter_mut().find(|(same, _)| *same == words) {
            Some((_, topics)) => topics.push(&topic.topic),
            None => alike.push((words, vec![&topic.topic])),
        }
    }
    let part = |(words, topics): &(String, Vec<&str>)| format!("{} {words}", named(topics));
    let mut parts: Vec<_> = alike.iter().take(NAMED).map(part).collect();
    match alike.iter().skip(NAMED).map(|(_, topics)| topics.len()).sum() {
        0 => {}
        1 => parts.push("and one more topic".to_owned()),
        more => parts.push(format!("and {more} more topics")),
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn named(topics: &[&str]) -> String {
    let first = topics.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match topics.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The brokers without which a partition finds no leader: those that were in sync last, of which Kafka waits for one.
fn lost(partition: &Partition, alive: &[i32]) -> Vec<i32> {
    let gone = |ids: &[i32]| ids.iter().copied().filter(|id| !alive.contains(id)).collect::<Vec<_>>();
    let gone_in_sync = gone(&partition.in_sync);
    if gone_in_sync.is_empty() { gone(&partition.replicas) } else { gone_in_sync }
}

fn plural<'a>(group: &Group, one: &'a str, more: &'a str) -> &'a str {
    if group.count() == 1 { one } else { more }
}

fn listed(group: &Group) -> String {
    format!("{} {}", plural(group, "partition", "partitions"), ranges(&group.partitions))
}

fn brokers(ids: &BTreeSet<i32>) -> String {
    format!("{} {}", if ids.len() == 1 { "broker" } else { "brokers" }, ranges(ids))
}

/// `0-5, 7, 9`.
fn ranges(ids: &BTreeSet<i32>) -> String {
    let mut runs: Vec<(i32, i32)> = Vec::new();
    for &id in ids {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => runs.push((id, id)),
        }
    }
    let words = runs.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
