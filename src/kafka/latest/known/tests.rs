//! What is known of keys: the newest state wins, tombstones bury, and the bound holds.

use proptest::prelude::*;

use super::*;

fn state(version: i64, offset: i64) -> KnownState {
    KnownState::of(StateVersion(version), StatePlace { topic: 0, partition: 0, offset })
}

fn hash(key: u32) -> KeyHash {
    hash_of("t", &key.to_string())
}

#[test]
fn a_key_is_another_one_in_another_topic() {
    assert_eq!(hash_of("a", "bc"), hash_of("a", "bc"));
    assert_ne!(hash_of("a", "bc"), hash_of("ab", "c"));
}

#[test]
fn a_newer_state_with_an_older_one_behind_it_is_told() {
    let mut known = KnownStates::new(100);
    assert!(!known.note(hash(1), state(10, 5)));
    assert!(known.note(hash(1), state(7, 6)));
    // The older one was known first.
    assert!(!known.note(hash(2), state(7, 6)));
    assert!(known.note(hash(2), state(10, 5)));
    assert_eq!(known.get(&hash(2)), Some(KnownState { last: 6, ..state(10, 5) }));
    // Written once more, it comes last.
    assert!(!known.note(hash(1), state(10, 7)));
    assert!(!known.note(hash(1), state(7, 6)), "read late");
    assert_eq!(known.get(&hash(1)), Some(state(10, 7)));
}

#[test]
fn of_states_in_two_partitions_nobody_says_which_comes_last() {
    let mut known = KnownStates::new(100);
    let elsewhere = |version, offset| {
        let state = state(version, offset);
        KnownState { place: StatePlace { partition: 1, ..state.place }, ..state }
    };
    known.note(hash(1), state(10, 5));
    assert!(!known.note(hash(1), elsewhere(9, 0)));
    assert_eq!(known.get(&hash(1)), Some(state(10, 5)));
    assert!(!known.note(hash(1), elsewhere(10, 1)));
    assert_eq!(known.get(&hash(1)), Some(elsewhere(10, 1)));
}

#[test]
fn a_tombstone_forgets_what_stands_before_it() {
    let mut known = KnownStates::new(100);
    known.note(hash(1), state(10, 5));
    known.bury(&hash(1), state(0, 4).place);
    assert_eq!(known.get(&hash(1)), Some(state(10, 5)), "it was written after the tombstone");
    known.bury(&hash(1), state(0, 6).place);
    assert_eq!(known.get(&hash(1)), None);
    assert!(!known.note(hash(1), state(3, 7)));
}

#[test]
fn what_was_written_last_is_known_and_the_rest_is_dropped() {
    let mut known = KnownStates::new(20);
    for key in 0..95 {
        known.note(hash(key), state(1, i64::from(key)));
        // One that is written all the time.
        known.note(hash(1000), state(i64::from(key), 1000 + i64::from(key)));
        assert!(known.len() <= 40, "{}", known.len());
    }
    assert!((76..95).all(|key| known.get(&hash(key)).is_some()));
    assert!(known.get(&hash(1000)).is_some() && known.get(&hash(0)).is_none());
    assert!(known.dropped() > 0);
}

#[test]
fn as_many_keys_as_there_is_to_be_room_for_are_known_however_often_each_is_written() {
    let mut known = KnownStates::new(20);
    for offset in 0..400 {
        // Some keys far more often than others.
        let key = if offset % 2 == 0 { offset / 2 % 20 } else { offset % 3 };
        known.note(hash(key), state(1, i64::from(offset)));
    }
    assert_eq!((known.len(), known.dropped()), (20, 0));
}

#[test]
fn a_topic_that_was_made_anew_is_forgotten() {
    let mut known = KnownStates::new(100);
    known.load(0, std::iter::empty());
    let of_another = KnownState { place: StatePlace { topic: 1, ..state(1, 1).place }, ..state(1, 1) };
    known.note(hash(1), state(1, 1));
    known.note(hash(2), of_another);
    known.clear(0);
    assert_eq!((known.get(&hash(1)), known.get(&hash(2))), (None, Some(of_another)));
    let changes = known.take_changes().unwrap();
    assert_eq!((changes.cleared, changes.states), (vec![0], HashMap::from([(hash(2), Some(of_another))])));
    assert!(known.take_changes().unwrap().states.is_empty());
    assert_eq!(known.take_all(2).unwrap().states.len(), 1);
}

proptest! {
    /// Whatever the order in which records are learned of, what is known in the end is the same, and it is told if the topic's last
    /// record is not its newest.
    #[test]
    fn the_order_in_which_records_are_learned_of_does_not_matter(
        records in prop::collection::vec(0_i64..5, 1..12).prop_flat_map(|versions| {
            let records: Vec<_> = versions.into_iter().zip(0..).collect();
            (Just(records.clone()), Just(records).prop_shuffle())
        }),
    ) {
        let (written, learned) = records;
        let mut known = KnownStates::new(100);
        let told: Vec<_> = learned.iter().map(|&(v, at)| known.note(hash(1), state(v, at))).collect();
        let newest = written.iter().copied().max().map(|(v, at)| state(v, at)).unwrap();
        let last = written.len() as i64 - 1;
        prop_assert_eq!(known.get(&hash(1)), Some(KnownState { last, ..newest }));
        prop_assert_eq!(told.last().copied(), Some(written[written.len() - 1].0 != newest.version.0));
    }
}
