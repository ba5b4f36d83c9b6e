//! Who gives way, and who finds room.

use super::*;

const MIB: usize = 1 << 20;

fn budget(bodies: usize, largest_body: usize) -> Arc<Budget> {
    let gauge = IntGauge::new("bytes", "of bodies").unwrap();
    Arc::new(Budget { most: Most::of(bodies, largest_body), gauge, state: Mutex::default() })
}

fn origin(last: u8) -> Origin {
    IpAddr::from([192, 0, 2, last]).into()
}

fn piece(bytes: usize) -> Bytes {
    Bytes::from(vec![b' '; bytes])
}

/// Of an unproven request that holds so many bytes.
fn stalled(budget: &Arc<Budget>, last: u8, bytes: usize) -> Share {
    let share = budget.enter(origin(last), 100).unwrap();
    share.append(piece(bytes)).unwrap();
    share
}

/// Makes all that are there so much older.
fn age(budget: &Arc<Budget>, by: Duration) {
    locked(&budget.state).unproven.values_mut().for_each(|entry| entry.since -= by);
}

#[tokio::test]
async fn large_bodies_that_stall_give_way_to_small_ones() {
    let budget = budget(64 * MIB, 8 * MIB);
    let mut shares: Vec<_> = (0..4).map(|n| stalled(&budget, n, 8 * MIB - 1)).collect();
    age(&budget, Duration::from_secs(1));
    // From one address, as behind a proxy.
    for _ in 0..100 {
        let small = budget.enter(origin(1), 100).unwrap();
        small.append(piece(1000)).unwrap();
        shares.push(small);
    }
    shares.push(stalled(&budget, 9, MIB));
    let left = shares.split_off(4);
    let evicted = shares.iter().filter(|share| share.append(piece(1)).is_err()).count();
    assert!((1..4).contains(&evicted), "{evicted}");
    for share in left {
        assert!([1000, MIB].contains(&share.whole().unwrap().len()));
    }
}

#[tokio::test]
async fn what_is_proven_is_never_evicted_and_finds_room_where_strangers_hold_all() {
    let budget = budget(16 * MIB, 16 * MIB);
    let stranger = stalled(&budget, 1, 16 * MIB);
    assert!(!stranger.is_none_left());
    let proven = budget.enter(origin(2), 100).unwrap();
    proven.prove().unwrap();
    proven.append(piece(16 * MIB)).unwrap();
    stranger.evicted().await;
    assert_eq!(budget.gauge.get(), 16 << 20);
    assert!(proven.is_none_left());
    let late = budget.enter(origin(3), 100).unwrap();
    late.prove().unwrap();
    assert!(late.append(piece(1)).is_err(), "there is none left");
    assert_eq!(proven.whole().unwrap().len(), 16 * MIB);
    drop((stranger, proven, late));
    assert_eq!(budget.gauge.get(), 0);
}

#[tokio::test]
async fn large_bodies_leave_room_for_small_ones_whoever_sends_them() {
    let budget = budget(64 * MIB, 16 * MIB);
    let proven = || {
        let share = budget.enter(origin(1), 100).unwrap();
        share.prove().unwrap();
        share
    };
    let large: Vec<_> = (0..4).map(|_| proven()).collect();
    let taken = large.iter().filter(|share| share.append(piece(16 * MIB)).is_ok()).count();
    assert_eq!(taken, 3, "a fourth would leave nothing");
    let (rest, small, unproven) = (proven(), proven(), budget.enter(origin(2), 100).unwrap());
    rest.append(piece(8 * MIB)).unwrap();
    assert!(rest.append(piece(1)).is_err(), "what is left is for small bodies");
    assert!(small.append(piece(SMALL_BODY)).is_ok());
    assert!(unproven.append(piece(SMALL_BODY)).is_ok());
    assert!(small.append(piece(1)).is_ok(), "the one that gave up left its room");
}

#[tokio::test]
async fn one_origin_has_a_part_of_what_all_strangers_may_hold() {
    let budget = budget(64 * MIB, MIB);
    let other = stalled(&budget, 1, MIB);
    age(&budget, Duration::from_secs(60));
    let many: Vec<_> = (0..64).map(|_| stalled(&budget, 2, MIB)).collect();
    assert!(budget.gauge.get() <= 9 << 20, "{}", budget.gauge.get());
    assert!(other.append(piece(1)).is_ok(), "it has not been touched");
    drop(many);
    let v6 = |text: &str| Origin::from(text.parse::<IpAddr>().unwrap());
    assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"), "one customer");
    assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
    assert_eq!(v6("::ffff:192.0.2.1"), v6("192.0.2.1"));
}

#[tokio::test]
async fn heads_have_a_limit_of_their_own() {
    let budget = budget(4 * MIB, MIB);
    let heads: Vec<_> = (0..100).filter_map(|_| budget.enter(origin(1), 64 << 10).ok()).collect();
    let held = locked(&budget.state).sums.head;
    assert!(held <= MIB / 2, "{held}");
    let small = budget.enter(origin(1), 1000).unwrap();
    small.append(piece(1000)).unwrap();
    assert_eq!(small.whole().unwrap().len(), 1000);
    drop((heads, small));
    assert_eq!(locked(&budget.state).sums.head, 0);
}
