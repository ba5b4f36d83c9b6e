//! Whose turn it is among the states of one key.

use super::*;

const SAME: (Channel, Waits) = (Channel::Ordered { producer: 1, generation: 1 }, Waits::Long);
const OTHER: (Channel, Waits) = (Channel::Ordered { producer: 1, generation: 2 }, Waits::Long);
const APART: (Channel, Waits) = (Channel::Apart, Waits::Long);

fn v(version: i64) -> StateVersion {
    StateVersion(version)
}

fn waits(claimed: Claimed) -> oneshot::Receiver<TurnAnswer> {
    match claimed {
        Claimed::Later(told) => told,
        other => panic!("{other:?}"),
    }
}

fn goes(claimed: &Claimed) -> bool {
    matches!(claimed, Claimed::Now)
}

#[test]
fn a_state_goes_behind_no_newer_one_of_the_same_channel_at_once() {
    let mut turns = KeyTurns::default();
    assert!(goes(&turns.claim(1, v(5), None, SAME)));
    let mut equal = waits(turns.claim(2, v(5), None, SAME));
    assert!(equal.try_recv().is_err(), "the first is not with its channel yet");
    turns.hand(1, None);
    assert_eq!(equal.try_recv(), Ok(TurnAnswer::Go));
    turns.hand(2, None);
    assert!(goes(&turns.claim(3, v(6), None, SAME)));
}

#[test]
fn by_another_channel_it_waits_for_the_verdict() {
    for way in [OTHER, APART] {
        let mut turns = KeyTurns::default();
        assert!(goes(&turns.claim(1, v(5), None, way)));
        turns.hand(1, None);
        let mut newer = waits(turns.claim(2, v(6), None, if way == OTHER { SAME } else { APART }));
        assert!(newer.try_recv().is_err());
        turns.end(1, Some(v(5)), true);
        assert_eq!(newer.try_recv(), Ok(TurnAnswer::Go));
    }
}

#[test]
fn an_older_state_waits_for_what_decides() {
    for (written, expected) in [(Some(v(9)), TurnAnswer::Superseded), (None, TurnAnswer::Go)] {
        let mut turns = KeyTurns::default();
        assert!(goes(&turns.claim(1, v(9), None, SAME)));
        turns.hand(1, None);
        let mut older = waits(turns.claim(2, v(4), None, SAME));
        // One that comes later waits behind it.
        let mut newer = waits(turns.claim(3, v(9), None, SAME));
        turns.end(1, written, true);
        assert_eq!(older.try_recv(), Ok(expected), "a refused state suppresses nothing");
        if expected == TurnAnswer::Go {
            turns.hand(2, None);
        }
        assert_eq!(newer.try_recv(), Ok(TurnAnswer::Go));
    }
}

#[test]
fn without_a_time_a_state_is_older_than_all_with_one() {
    let (none, first) = (StateVersion::of(None), StateVersion::of(Some(i64::MIN)));
    assert!(none < first && first < StateVersion::of(Some(0)));
    let mut turns = KeyTurns::default();
    assert!(matches!(turns.claim(1, none, Some(v(0)), SAME), Claimed::Superseded));
    assert!(goes(&turns.claim(2, none, Some(none), SAME)));
}

#[test]
fn whoever_has_little_time_is_told_that_kafka_takes_nothing_now() {
    let mut turns = KeyTurns::default();
    assert!(goes(&turns.claim(1, v(5), None, APART)));
    let mut short = waits(turns.claim(2, v(5), None, (Channel::Apart, Waits::Short)));
    let mut long = waits(turns.claim(3, v(5), None, APART));
    turns.end(1, None, false);
    assert_eq!((short.try_recv(), long.try_recv()), (Ok(TurnAnswer::NotNow), Ok(TurnAnswer::Go)));
}

#[test]
fn one_that_nobody_waits_for_holds_up_nobody() {
    let mut turns = KeyTurns::default();
    assert!(goes(&turns.claim(1, v(5), None, APART)));
    drop(waits(turns.claim(2, v(5), None, APART)));
    let mut last = waits(turns.claim(3, v(5), None, APART));
    turns.end(1, None, true);
    assert_eq!(last.try_recv(), Ok(TurnAnswer::Go));
    turns.end(3, None, true);
    assert!(turns.is_empty());
}
