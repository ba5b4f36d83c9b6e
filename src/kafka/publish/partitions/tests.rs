//! What is found in made-up metadata, and how it is told.

use super::*;

/// A partition on brokers 1, 2 and 3.
fn partition(id: i32, has_leader: bool, in_sync: &[i32]) -> Partition {
    Partition { id, has_leader, replicas: vec![1, 2, 3], in_sync: in_sync.to_vec() }
}

/// A partition that one broker alone has.
fn single(id: i32, broker: i32, has_leader: bool) -> Partition {
    Partition { id, has_leader, replicas: vec![broker], in_sync: vec![broker] }
}

fn judge(partitions: &[Partition], min_insync: Option<i32>, alive: &[i32]) -> Option<Degraded> {
    Degraded::of(&"wegly.deal".into(), partitions, min_insync, alive)
}

#[test]
fn a_partition_cannot_be_written_without_a_leader_or_with_too_few_replicas_in_sync() {
    for (is, min_insync, expected) in [
        (partition(0, true, &[1, 2, 3]), Some(2), None),
        (partition(0, true, &[1, 2]), Some(2), Some((0, 0, 1))),
        (partition(0, true, &[1]), Some(2), Some((0, 1, 0))),
        (partition(0, true, &[1]), Some(1), Some((0, 0, 1))),
        (partition(0, true, &[]), Some(1), Some((0, 1, 0))),
        (partition(0, false, &[1, 2, 3]), Some(2), Some((1, 0, 0))),
        (partition(0, false, &[]), None, Some((1, 0, 0))),
        // Nobody says how many are needed.
        (partition(0, true, &[1]), None, Some((0, 0, 1))),
        (single(0, 1, true), Some(1), None),
        // No more can be in sync than there are.
        (single(0, 1, true), Some(2), None),
        (single(0, 1, true), None, None),
    ] {
        let counts = |found: Degraded| (found.leaderless.count(), found.under_replicated.count(), found.thin.count());
        assert_eq!(
            judge(std::slice::from_ref(&is), min_insync, &[1, 2, 3]).map(counts),
            expected,
            "{is:?}, {min_insync:?}"
        );
    }
}

#[test]
fn a_topic_is_dead_when_none_of_its_partitions_can_be_written() {
    let dead = |partitions: &[Partition]| judge(partitions, Some(2), &[1]).unwrap().is_dead();
    let (leaderless, too_few) = (partition(0, false, &[2]), partition(1, true, &[1]));
    assert!(dead(&[leaderless.clone(), too_few.clone()]));
    assert!(!dead(&[leaderless, too_few, partition(2, true, &[1, 2])]));
}

#[test]
fn a_finding_names_the_partitions_and_the_brokers_to_bring_back() {
    let twelve =
        |lead_by_one: bool| (0..12).map(|id| single(id, id % 2 + 1, id % 2 == 0 || lead_by_one)).collect::<Vec<_>>();
    let leaderless = judge(&twelve(false), Some(1), &[1]).unwrap();
    assert_eq!(
        leaderless.findings(),
        ["topic wegly.deal: partitions 1, 3, 5, 7, 9, 11 have no leader and cannot be written: bring broker 2 back"]
    );
    assert_eq!(leaderless.warning(), None);
    assert_eq!(judge(&twelve(true), Some(1), &[1, 2]), None);

    let too_few = judge(&[partition(4, true, &[2]), partition(5, true, &[2, 3])], Some(2), &[2, 3]).unwrap();
    assert_eq!(
        too_few.findings(),
        [
            "topic wegly.deal: partition 4 cannot be written: fewer replicas are in sync than min.insync.replicas (2): bring \
             broker 1 back, find out why broker 3 cannot keep up"
        ]
    );
    assert_eq!(
        too_few.warning().unwrap(),
        "topic wegly.deal: not all replicas of partition 5 are in sync: bring broker 1 back"
    );
}

#[test]
fn the_brokers_to_bring_back_for_a_leader_are_those_that_were_in_sync_last() {
    for (in_sync, alive, expected) in [
        // One of these is enough; the third has old records only.
        (&[2, 3][..], &[1][..], "bring brokers 2, 3 back"),
        (&[3], &[1, 2], "bring broker 3 back"),
        (&[], &[1], "bring brokers 2, 3 back"),
        // A disk that failed.
        (&[1], &[1, 2, 3], "look for a failed disk in the logs of brokers 1-3"),
    ] {
        let found = judge(&[partition(0, false, in_sync)], Some(2), alive).unwrap();
        let words = found.findings().remove(0);
        assert!(words.ends_with(expected), "{in_sync:?} of {alive:?}: {words}");
    }
}

#[test]
fn all_topics_that_cannot_be_written_stand_in_one_sentence() {
    let topic =
        |name: &str, partitions: &[Partition]| Degraded::of(&name.into(), partitions, Some(2), &[1, 2]).unwrap();
    let both = topic("a", &[partition(0, false, &[3]), partition(3, true, &[1]), partition(4, true, &[1])]);
    let thin = topic("b", &[partition(0, true, &[1, 2])]);
    let dead = |name: &str| topic(name, &(0..12).map(|id| partition(id, false, &[3])).collect::<Vec<_>>());
    assert_eq!(unwritable(std::slice::from_ref(&thin)), None);
    assert_eq!(
        unwritable(&[dead("c"), both, thin, dead("d")]).unwrap(),
        "c, d 0-11 (no leader); a 0 (no leader), 3, 4 (too few replicas in sync)"
    );
}

#[test]
fn the_sentence_on_topics_does_not_grow_without_end() {
    let lacks_leaders = |name: usize, partitions: usize| {
        let partitions: Vec<_> = (0..partitions).map(|id| partition(i32::try_from(id).unwrap(), false, &[3])).collect();
        Degraded::of(&format!("t{name}").into(), &partitions, Some(2), &[1, 2]).unwrap()
    };
    for (topics, alike, end) in [
        (8, true, "t6, t7 0-2 (no leader)"),
        (10, true, "t6, t7 and 2 more 0-2 (no leader)"),
        (8, false, "; t7 0-7 (no leader)"),
        (9, false, "; t7 0-7 (no leader); and one more topic"),
        (19, false, "; t7 0-7 (no leader); and 11 more topics"),
    ] {
        let found: Vec<_> = (0..topics).map(|name| lacks_leaders(name, if alike { 3 } else { name + 1 })).collect();
        let words = unwritable(&found).unwrap();
        assert!(words.ends_with(end), "{words}");
    }
}

#[test]
fn numbers_that_follow_each_other_are_told_as_a_range() {
    for (ids, expected) in [(&[3][..], "3"), (&[3, 4], "3, 4"), (&[0, 1, 2, 5, 7, 8, 9], "0-2, 5, 7-9"), (&[], "")] {
        assert_eq!(ranges(&ids.iter().copied().collect()), expected);
    }
}
