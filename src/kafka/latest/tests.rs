//! Histories of one key, made at random: whatever becomes of each record, and in whichever order that is known, the topic never goes
//! backwards, and nothing is left out but what is older than what the topic has.

use std::pin::Pin;

use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::*;

const TOPIC: &str = "t-latest";

fn latest() -> Arc<LatestTopics> {
    LatestTopics::new(vec![TOPIC.into()], 1000)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A state of this time comes, by this channel (0 is apart), from somebody with little time or not.
    Comes(Option<i64>, u8, bool),
    /// The first record of a channel gets its verdict.
    Ends(u8, End),
    /// The first of those that wait gives up.
    GivesUp,
    /// The topic is read up to its end.
    Reads,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Written,
    Refused,
    NotNow,
    /// Written, though nobody says so: the answer is lost.
    Lost,
}

fn step() -> impl Strategy<Value = Step> {
    let ends = prop_oneof![4 => Just(End::Written), 1 => Just(End::Refused), 1 => Just(End::NotNow)];
    prop_oneof![
        4 => (prop::option::weighted(0.9, 0_i64..6), 0_u8..3, any::<bool>())
            .prop_map(|(at, channel, short)| Step::Comes(at, channel, short)),
        4 => (0_u8..3, ends).prop_map(|(channel, end)| Step::Ends(channel, end)),
        1 => Just(Step::GivesUp),
    ]
}

/// Steps with answers that are lost as well.
fn rough_step() -> impl Strategy<Value = Step> {
    prop_oneof![6 => step(), 1 => (0_u8..3).prop_map(|channel| Step::Ends(channel, End::Lost)), 1 => Just(Step::Reads)]
}

type Waiting = (StateVersion, u8, Pin<Box<dyn Future<Output = Turned>>>);

struct History {
    latest: Arc<LatestTopics>,
    /// What is in the topic, and how much of it was read.
    log: Vec<StateVersion>,
    read: usize,
    /// Records with their channels: 0 has no order.
    channels: [Vec<Ticket>; 3],
    waiting: Vec<Waiting>,
    superseded: Vec<StateVersion>,
    left: usize,
}

impl History {
    fn new() -> History {
        let (log, channels) = (Vec::new(), [(); 3].map(|()| Vec::new()));
        History { latest: latest(), log, read: 0, channels, waiting: Vec::new(), superseded: Vec::new(), left: 0 }
    }

    fn take(&mut self, channel: u8, ticket: Ticket) {
        ticket.hand();
        self.channels[usize::from(channel)].push(ticket);
    }

    fn supersede(&mut self, version: StateVersion) {
        assert!(
            self.log.iter().any(|written| *written > version),
            "{version:?} is not older than any of {:?}",
            self.log
        );
        self.superseded.push(version);
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Comes(at, channel, short) => {
                let version = StateVersion::of(at);
                let way = match channel {
                    0 => Channel::Apart,
                    other => Channel::Ordered { producer: usize::from(other), generation: 1 },
                };
                let waits = if short { Waits::Short } else { Waits::Long };
                match self.latest.claim(TOPIC, "k", version, (way, waits)) {
                    Claim::Now(ticket) => self.take(channel, ticket),
                    Claim::Later(queued) => self.waiting.push((version, channel, Box::pin(queued.turn()))),
                    Claim::Superseded => self.supersede(version),
                }
            }
            Step::Ends(channel, end) if !self.channels[usize::from(channel)].is_empty() => {
                let ticket = self.channels[usize::from(channel)].remove(0);
                if matches!(end, End::Written | End::Lost) {
                    self.log.push(ticket.version);
                }
                ticket.end(match end {
                    End::Written => WriteEnd::Written(0, self.log.len() as i64 - 1),
                    End::Refused => WriteEnd::NotWritten,
                    End::NotNow | End::Lost => WriteEnd::NotNow,
                });
            }
            Step::GivesUp if !self.waiting.is_empty() => drop(self.waiting.remove(0)),
            Step::Reads => self.read_all(),
            Step::Ends(..) | Step::GivesUp => {}
        }
        self.turn();
    }

    /// Goes on with those whose turn it is.
    fn turn(&mut self) {
        for (version, channel, mut turn) in std::mem::take(&mut self.waiting) {
            match turn.as_mut().now_or_never() {
                None => self.waiting.push((version, channel, turn)),
                Some(Turned::Now(ticket)) => self.take(channel, ticket),
                Some(Turned::Superseded) => self.supersede(version),
                Some(Turned::NotNow) => self.left += 1,
            }
        }
    }

    fn read_all(&mut self) {
        for (at, version) in self.log.iter().enumerate().skip(self.read) {
            self.latest.note_read(TOPIC, 0, at as i64, "k", Some(*version));
        }
        self.read = self.log.len();
    }

    /// Ends what is under way, and writes once more what has to be.
    fn finish(&mut self) {
        for _ in 0..1000 {
            (0..3).for_each(|channel| self.play(Step::Ends(channel, End::Written)));
        }
        assert!(self.waiting.is_empty(), "somebody waits for ever");
        assert!(self.latest.ledger().turns.is_empty(), "what has ended takes memory");
    }

    fn mend(&mut self) {
        self.play(Step::Reads);
        for overtaken in self.latest.take_overtaken() {
            assert_eq!(self.log[overtaken.offset as usize], overtaken.version);
            let way = (Channel::Apart, Waits::Long);
            let Claim::Now(ticket) = self.latest.claim(TOPIC, "k", overtaken.version, way) else {
                panic!("superseded")
            };
            self.take(0, ticket);
        }
        self.finish();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_topic_never_goes_backwards(steps in prop::collection::vec(step(), 1..60)) {
        let mut history = History::new();
        for step in steps {
            history.play(step);
        }
        history.finish();
        prop_assert!(history.log.is_sorted(), "{:?}", history.log);
        prop_assert!(history.latest.take_overtaken().is_empty());
    }

    #[test]
    fn where_an_answer_was_lost_the_newest_state_is_last_in_the_end(steps in prop::collection::vec(rough_step(), 1..60)) {
        let mut history = History::new();
        for step in steps {
            history.play(step);
        }
        history.finish();
        history.mend();
        prop_assert_eq!(history.log.last(), history.log.iter().max());
        history.mend();
        prop_assert!(history.latest.take_overtaken().is_empty());
    }
}

#[test]
fn a_dropped_ticket_is_one_that_was_not_written() {
    let latest = latest();
    let way = (Channel::Apart, Waits::Long);
    let Claim::Now(ticket) = latest.claim(TOPIC, "k", StateVersion::of(Some(9)), way) else { panic!() };
    let Claim::Later(queued) = latest.claim(TOPIC, "k", StateVersion::of(Some(5)), way) else { panic!() };
    drop(ticket);
    assert!(matches!(queued.turn().now_or_never(), Some(Turned::Now(_))));
    assert!(latest.ledger().turns.is_empty());
}

#[test]
fn one_that_is_sent_once_more_goes_behind_what_went_on_meanwhile() {
    let latest = latest();
    let channel = (Channel::Ordered { producer: 1, generation: 1 }, Waits::Long);
    let Claim::Now(first) = latest.claim(TOPIC, "k", StateVersion::of(Some(5)), channel) else { panic!() };
    first.hand();
    let Claim::Now(second) = latest.claim(TOPIC, "k", StateVersion::of(Some(6)), channel) else { panic!() };
    second.hand();
    let Claim::Later(again) = first.again((Channel::Apart, Waits::Long)) else { panic!() };
    second.end(WriteEnd::Written(0, 0));
    assert!(matches!(again.turn().now_or_never(), Some(Turned::Superseded)));
}

#[tokio::test]
async fn nothing_is_written_until_the_topic_is_open() {
    let latest = latest();
    assert!(latest.is_open(TOPIC) && latest.is_open("another"));
    latest.hold();
    assert!(!latest.is_open(TOPIC) && latest.opened(TOPIC).now_or_never().is_none());
    assert!(latest.open(TOPIC) && !latest.open(TOPIC));
    latest.opened(TOPIC).await;
}
