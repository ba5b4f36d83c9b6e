//! Stories of single rules, and of a Kafka that fails at random.

use super::*;
use crate::tools::random::Random;

fn gate(partition: i32) -> Gate {
    Gate::Partition("wegly.deal".into(), partition)
}

/// A key's records go through the gate of its number modulo three.
fn needs(keys: &[u64]) -> Needs {
    Needs::new(keys.to_vec(), keys.iter().map(|&key| gate((key % 3) as i32)).collect())
}

fn not_taken(gates: &[i32]) -> Unsent {
    Unsent { gates: gates.iter().copied().map(gate).collect(), alone: false }
}

struct Story {
    window: Window<()>,
    now: Instant,
}

impl Story {
    fn new() -> Story {
        Story { window: Window::new(), now: Instant::now() }
    }

    fn offer(&mut self, seq: i64, keys: &[u64]) {
        self.window.offer(seq, needs(keys), 1, false, ());
    }

    fn may_start(&self) -> Vec<i64> {
        let may = |&seq: &i64| self.window.may_start(seq, 1, self.now);
        self.window.waiting().into_iter().filter(may).collect()
    }

    fn send(&mut self, seq: i64) {
        assert!(self.may_start().contains(&seq), "{seq} may be sent");
        self.window.set_started(seq);
        self.window.set_sent(seq, 1, self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

#[test]
fn a_delivery_follows_another_of_its_key_once_that_is_on_its_way_by_the_same_producers() {
    let mut story = Story::new();
    story.offer(1, &[7]);
    story.offer(2, &[7]);
    story.offer(3, &[8]);
    assert_eq!(story.may_start(), [1, 3]);
    story.window.set_started(1);
    assert_eq!(story.may_start(), [3], "it is not on its way yet");
    story.window.set_sent(1, 1, story.now);
    assert_eq!(story.may_start(), [2, 3]);
    assert!(!story.window.may_start(2, 2, story.now), "by another producer it could go before");
    story.window.set_gone(1);
    assert!(story.window.may_start(2, 2, story.now));
}

#[test]
fn a_gate_that_nobody_asks_for_can_be_opened_and_one_that_is_asked_for_cannot() {
    let mut story = Story::new();
    story.window.shut_before([gate(1), gate(2)].into(), story.now);
    story.offer(1, &[1]);
    assert_eq!(story.window.shut(), [gate(1), gate(2)].into(), "the first asks for one of them");
    story.window.open_unasked();
    assert_eq!(story.window.shut(), [gate(1)].into());
}

#[test]
fn what_is_judged_alone_has_nothing_of_its_key_beside_it() {
    let mut story = Story::new();
    for seq in 1..=3 {
        story.offer(seq, &[7]);
        story.send(seq);
    }
    let alone = Unsent { gates: Vec::new(), alone: true };
    story.window.set_not_taken(2, alone.clone(), story.now);
    assert_eq!(story.may_start(), [0_i64; 0], "the first is under way");
    story.window.set_not_taken(3, not_taken(&[]), story.now);
    story.window.set_gone(1);
    story.send(2);
    assert!(story.window.is_alone(2) && story.may_start().is_empty(), "none follows it");
    story.window.set_gone(2);
    assert_eq!(story.may_start(), [3]);
}

#[test]
fn behind_a_gate_that_is_shut_one_asks_and_the_rest_is_read_again_when_it_opens() {
    let mut story = Story::new();
    for (seq, keys) in [(1, &[3][..]), (2, &[6]), (3, &[7]), (4, &[3, 10]), (5, &[10]), (6, &[13])] {
        story.offer(seq, keys);
    }
    story.send(1);
    story.window.set_not_taken(1, not_taken(&[0]), story.now);
    assert_eq!(story.may_start(), [3, 6], "5 shares a key with 4, which needs the gate");
    assert_eq!(story.window.shut(), BTreeSet::from([gate(0)]));
    assert_eq!(story.window.rewind(9, story.now), None);
    for seq in [3, 6] {
        story.send(seq);
        story.window.set_gone(seq);
    }
    story.offer(7, &[9]);
    assert_eq!(story.window.seqs(), HashSet::from([1]), "the others are left");
    story.pass(FIRST_PAUSE);
    story.send(1);
    story.window.set_gone(1);
    assert_eq!(story.window.rewind(9, story.now), Some(1), "2 was the first that was left");
    assert!(!story.window.has_trouble());
}

#[test]
fn what_takes_long_shuts_the_gates_that_it_has_not_got_through() {
    let mut story = Story::new();
    story.offer(1, &[3, 7]);
    story.send(1);
    story.offer(2, &[6]);
    story.offer(3, &[10]);
    story.pass(LONG);
    story.window.look(story.now, |()| vec![gate(0)]);
    assert_eq!(story.window.shut(), BTreeSet::from([gate(0)]));
    assert_eq!(story.may_start(), [3], "through the other it got");
    story.window.set_gone(1);
    assert_eq!(story.window.rewind(9, story.now), Some(1));
}

#[test]
fn there_is_room_for_others_beside_what_asks() {
    let mut story = Story::new();
    for seq in 0..MOST as i64 {
        story.offer(seq, &[seq as u64 * 3]);
        story.send(seq);
    }
    assert!(!story.window.has_room());
    story.pass(LONG);
    story.window.look(story.now, |()| vec![gate(0)]);
    assert!(story.window.has_room());
}

#[test]
fn what_is_under_way_is_bounded_but_for_one_that_is_alone() {
    let (mut under_way, mib) = (UnderWay::default(), 1 << 20);
    assert!(under_way.add(9 * mib) && !under_way.add(1));
    let mut beside_what_asks = UnderWay { bytes: 0, all_bytes: 30 * mib };
    assert!(!beside_what_asks.add(3 * mib) && beside_what_asks.add(mib) && beside_what_asks.add(mib));
}

/// Kafka and the file, made up.
struct World {
    random: Random,
    window: Window<()>,
    now: Instant,
    generation: u64,
    /// What is in the file: number and keys.
    file: BTreeMap<i64, Vec<u64>>,
    after: i64,
    /// Per gate, what its producer has to write: number, key.
    queues: BTreeMap<i32, Vec<(i64, u64)>>,
    open: [bool; 3],
    /// What of a delivery is not written yet.
    missing: BTreeMap<i64, Vec<u64>>,
    /// Given back by a producer that was replaced, and not known to the window yet.
    given_back: Vec<i64>,
    written: BTreeMap<u64, Vec<i64>>,
}

impl World {
    fn read(&mut self) {
        let next: Vec<_> = self.file.range(self.after + 1..).take(5).map(|(&seq, keys)| (seq, keys.clone())).collect();
        for (seq, keys) in next {
            self.after = seq;
            if self.window.rows.contains_key(&seq) {
                continue;
            }
            let held = keys.iter().any(|key| self.window.held.contains(key));
            self.window.offer(seq, needs(&keys), 1, held, ());
        }
        if let Some(after) = self.window.rewind(self.after, self.now) {
            self.after = after;
            self.window.held.clear();
        }
    }

    fn start(&mut self) {
        for seq in self.window.waiting() {
            if !self.window.may_start(seq, self.generation, self.now) {
                continue;
            }
            self.window.set_started(seq);
            for &key in &self.missing[&seq] {
                self.queues.entry((key % 3) as i32).or_default().push((seq, key));
            }
            // Some take their time, as those with a file.
            if self.random.below(8) > 0 {
                self.window.set_sent(seq, self.generation, self.now);
            }
        }
    }

    fn write(&mut self) {
        let gate = self.random.below(3) as i32;
        let queue = self.queues.entry(gate).or_default();
        if !self.open[gate as usize] || queue.is_empty() {
            return;
        }
        let (seq, key) = queue.remove(0);
        self.written.entry(key).or_default().push(seq);
        let missing = self.missing.get_mut(&seq).unwrap();
        missing.retain(|&other| other != key);
        if missing.is_empty() {
            self.file.remove(&seq);
            self.window.set_gone(seq);
        }
    }

    /// A producer is replaced: what it has is given back, in any order.
    fn replace(&mut self) {
        self.generation += 1;
        let gate = self.random.below(3) as i32;
        for (seq, _) in self.queues.remove(&gate).unwrap_or_default() {
            if !self.given_back.contains(&seq) {
                self.given_back.push(seq);
            }
        }
    }

    /// A delivery fails once all its records have a verdict.
    fn fail(&mut self) {
        let is_open = |seq: i64| self.queues.values().flatten().any(|&(other, _)| other == seq);
        let over: Vec<_> = self.given_back.iter().copied().filter(|&seq| !is_open(seq)).collect();
        if over.is_empty() {
            return;
        }
        let seq = over[self.random.below(over.len())];
        self.given_back.retain(|&other| other != seq);
        let gates: Vec<_> = self.missing[&seq].iter().map(|&key| (key % 3) as i32).collect();
        let gates = if self.random.below(3) == 0 { &[][..] } else { &gates };
        self.window.set_not_taken(seq, not_taken(gates), self.now);
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(20);
        match self.random.below(40) {
            0..10 => self.read(),
            10..16 => self.start(),
            16..32 => self.write(),
            32..36 => self.fail(),
            36 => self.replace(),
            37 => self.open[self.random.below(3)] ^= true,
            _ => self.window.look(self.now, |()| Vec::new()),
        }
    }
}

#[test]
fn whatever_fails_each_key_keeps_its_order_and_everything_leaves() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let file: BTreeMap<_, _> = (1..60)
            .map(|seq| {
                let mut keys: Vec<_> = (0..=random.below(3)).map(|_| random.below(12) as u64).collect();
                keys.sort_unstable();
                keys.dedup();
                (seq, keys)
            })
            .collect();
        let mut world = World {
            random,
            window: Window::new(),
            now: Instant::now(),
            generation: 1,
            missing: file.clone(),
            file: file.clone(),
            after: 0,
            queues: BTreeMap::new(),
            open: [true; 3],
            given_back: Vec::new(),
            written: BTreeMap::new(),
        };
        (0..3000).for_each(|_| world.step());
        for _ in 0..20_000 {
            world.open = [true; 3];
            world.step();
        }
        assert_eq!((world.window.bytes, world.window.bytes_under_way), (0, 0), "seed {seed}");
        assert!(world.file.is_empty() && world.window.is_done(), "seed {seed}: {:?} stay", world.file);
        for (key, written) in &world.written {
            let due: Vec<_> = file.iter().filter(|(_, keys)| keys.contains(key)).map(|(&seq, _)| seq).collect();
            let mut seen = HashSet::new();
            let first: Vec<_> = written.iter().copied().filter(|seq| seen.insert(*seq)).collect();
            assert_eq!(first, due, "seed {seed}, key {key}");
        }
    }
}
