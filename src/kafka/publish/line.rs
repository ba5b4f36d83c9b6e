//! The line in front of the senders' producers: records wait in it for those before them, so that all together make few and full requests.
//!
//! ```text
//! record ─▶ nothing under way? ─yes─▶ sent at once, alone
//!                └─no─▶ waits ─▶ sent in a burst with all that wait, once the burst before has its verdicts, or takes long;
//!                                after a moment, if those whom that burst answered are about to come (`gather`)
//! ```
//!
//! librdkafka sends a record as soon as it can, and a request has the records of one partition. Records that come one by one make
//! a request each, and a request costs Kafka and us more than a record does. A burst has the records of each partition side by side.
//! The more records come during a burst, the larger is the next: nobody has to say for how long to wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Sent;
use super::evidence::TopicPartition;
use super::gather::Gathering;
use super::scale::LineLoad;
use crate::kafka::route::Record;

/// How long a record waits for the burst before it, at the most: a partition that gives no verdict must not hold up the others.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// The line in front of the senders' producers.
#[derive(Default)]
pub(super) struct Line(Mutex<LineState>);

#[derive(Default)]
struct LineState {
    burst: Burst,
    waiting: Vec<LinedUp>,
    gathering: Gathering,
    load: LineLoad,
}

/// The last burst that was sent.
#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    /// Counts from 1.
    number: u64,
    records: usize,
    /// Those without a verdict.
    under_way: usize,
    /// How many waited or were under way at the most, since it was sent.
    together: usize,
    sent: Option<Instant>,
    /// After how long the first verdict came.
    first_verdict: Option<Duration>,
}

/// A record in the line.
pub(super) struct LinedUp {
    pub(super) record: Record,
    /// Where it goes.
    pub(super) place: TopicPartition,
    /// The time that it gets, in milliseconds since 1970.
    pub(super) stamp: i64,
    /// The number of its producer.
    pub(super) producer: usize,
    /// To whoever waits for it: the number of its burst, and what was sent.
    pub(super) sent: oneshot::Sender<(u64, Option<Sent>)>,
}

/// Records to be sent together, and the number of their burst.
pub(super) type Released = (u64, Vec<LinedUp>);

/// What becomes of a record that comes to the line.
pub(super) enum Entered {
    /// It goes at once, as a burst of this number.
    Now(u64, Record),
    /// It waits; or it was the last that the line waited for, and goes with the burst that is released.
    Later(oneshot::Receiver<(u64, Option<Sent>)>, Option<Released>),
}

/// How the line goes on after a verdict.
pub(super) enum Next {
    Nothing,
    /// With the next burst.
    Burst(Released),
    /// With the next burst after [`super::gather::MOMENT`]: [`Line::gathered`].
    Gathers,
}

impl Line {
    pub(super) fn enter(&self, record: Record, place: TopicPartition, stamp: i64, producer: usize) -> Entered {
        let mut state = self.state();
        if state.burst.under_way == 0 && state.waiting.is_empty() && !state.gathering.is_on() {
            return Entered::Now(state.begin(1), record);
        }
        let (sent, later) = oneshot::channel();
        state.waiting.push(LinedUp { record, place, stamp, producer, sent });
        let waiting = state.waiting.len();
        state.burst.together = state.burst.together.max(waiting + state.burst.under_way);
        let released = if state.gathering.has_all(waiting) { state.release() } else { None };
        Entered::Later(later, released)
    }

    /// A record of this burst has its verdict, or nobody waits for it any more.
    pub(super) fn leave(&self, burst: u64) -> Next {
        let mut state = self.state();
        if !state.end_one(burst) {
            return Next::Nothing;
        }
        let (Burst { records, together, .. }, waiting) = (state.burst, state.waiting.len());
        if state.gathering.begin(records, together, waiting) {
            return Next::Gathers;
        }
        state.release().map_or(Next::Nothing, Next::Burst)
    }

    /// All that wait, unless the line no longer waits for others to come.
    pub(super) fn gathered(&self) -> Option<Released> {
        let mut state = self.state();
        if state.gathering.is_on() { state.release() } else { None }
    }

    /// All that wait, whatever is under way.
    pub(super) fn release(&self) -> Option<Released> {
        self.state().release()
    }

    /// What went through it since this was last asked.
    pub(super) fn take_load(&self) -> LineLoad {
        std::mem::take(&mut self.state().load)
    }

    fn state(&self) -> MutexGuard<'_, LineState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineState {
    /// Begins a burst of so many records; gives its number.
    fn begin(&mut self, records: usize) -> u64 {
        let number = self.burst.number + 1;
        let sent = Some(Instant::now());
        self.burst = Burst { number, records, under_way: records, together: records, sent, first_verdict: None };
        self.load.records += records as u64;
        number
    }

    /// Takes note of a verdict; says whether it was the last of the last burst.
    fn end_one(&mut self, burst: u64) -> bool {
        let Some(sent) = self.burst.sent.filter(|_| burst == self.burst.number && self.burst.under_way > 0) else {
            return false;
        };
        self.burst.under_way -= 1;
        let took = sent.elapsed();
        let first = *self.burst.first_verdict.get_or_insert(took);
        if self.burst.under_way > 0 {
            return false;
        }
        self.load.add_burst(first, took);
        true
    }

    /// A burst of all that wait and that somebody waits for.
    fn release(&mut self) -> Option<Released> {
        self.gathering.end(self.waiting.len());
        let mut burst = std::mem::take(&mut self.waiting);
        burst.retain(|one| !one.sent.is_closed());
        if burst.is_empty() { None } else { Some((self.begin(burst.len()), burst)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether nothing waits, and nothing is under way.
    fn is_idle(line: &Line) -> bool {
        let state = line.state();
        state.burst.under_way == 0 && state.waiting.is_empty()
    }

    fn record(key: &str) -> Record {
        Record { topic: "t".into(), key: key.into(), value: None, headers: Vec::new(), timestamp: 0, version: None }
    }

    fn enter(line: &Line, key: &str) -> Entered {
        line.enter(record(key), ("t".into(), 0), 0, 0)
    }

    /// A line that has sent a burst: number 1.
    fn line() -> Line {
        let line = Line::default();
        assert!(matches!(enter(&line, "first"), Entered::Now(1, _)));
        assert!(matches!(line.leave(1), Next::Nothing));
        line
    }

    fn leave(line: &Line, burst: u64) -> Option<(u64, Vec<String>)> {
        match line.leave(burst) {
            Next::Nothing => None,
            Next::Burst(released) => keys(Some(released)),
            Next::Gathers => panic!("burst {burst} is too small to wait for anybody"),
        }
    }

    fn keys(released: Option<Released>) -> Option<(u64, Vec<String>)> {
        released.map(|(burst, waiting)| (burst, waiting.into_iter().map(|one| one.record.key).collect()))
    }

    #[tokio::test]
    async fn a_lone_record_goes_at_once_and_what_comes_meanwhile_goes_together() {
        let line = line();
        assert!(matches!(enter(&line, "a"), Entered::Now(2, _)));
        let waiting = [enter(&line, "b"), enter(&line, "c")];
        assert!(waiting.iter().all(|entered| matches!(entered, Entered::Later(_, None))));
        assert_eq!(leave(&line, 2), Some((3, vec!["b".into(), "c".into()])));
        let _d = enter(&line, "d");
        assert_eq!(leave(&line, 3), None, "one of two is still under way");
        assert_eq!(leave(&line, 3), Some((4, vec!["d".into()])));
        assert!(leave(&line, 4).is_none() && is_idle(&line));
        assert!(matches!(enter(&line, "e"), Entered::Now(5, _)));
    }

    #[tokio::test]
    async fn what_takes_long_holds_up_nobody_once_the_line_was_released() {
        let line = line();
        let _stuck = enter(&line, "stuck");
        let _b = enter(&line, "b");
        assert_eq!(keys(line.release()), Some((3, vec!["b".into()])));
        let _c = enter(&line, "c");
        assert_eq!(leave(&line, 2), None, "a verdict of an earlier burst ends no later one");
        assert_eq!(leave(&line, 3), Some((4, vec!["c".into()])));
    }

    #[tokio::test]
    async fn a_record_that_nobody_waits_for_is_left_out() {
        let line = line();
        let _a = enter(&line, "a");
        drop(enter(&line, "gone"));
        assert!(leave(&line, 2).is_none() && is_idle(&line));
    }

    /// A line with a burst of four under way, and one record that waits; gives who waits for them.
    fn busy() -> (Line, Vec<Entered>) {
        let line = line();
        let mut entered: Vec<_> = ["a", "b", "c", "d", "e"].map(|key| enter(&line, key)).into();
        assert_eq!(leave(&line, 2).map(|(number, keys)| (number, keys.len())), Some((3, 4)));
        entered.push(enter(&line, "f"));
        (line, entered)
    }

    #[tokio::test]
    async fn those_whom_a_burst_answered_go_with_the_next() {
        let (line, _entered) = busy();
        assert!((0..3).all(|_| leave(&line, 3).is_none()));
        let _g = enter(&line, "g");
        assert!(matches!(line.leave(3), Next::Gathers), "five were there together, and two wait");
        let more = ["h", "i"].map(|key| enter(&line, key));
        assert!(more.iter().all(|entered| matches!(entered, Entered::Later(_, None))));
        let Entered::Later(_waits, released) = enter(&line, "j") else { panic!("the line waits for it") };
        assert_eq!(keys(released), Some((4, ["f", "g", "h", "i", "j"].map(String::from).into())));
        assert!(line.gathered().is_none(), "it is no longer waited for anybody");
    }

    #[tokio::test]
    async fn it_waits_for_a_moment_only() {
        let (line, _entered) = busy();
        assert!((0..3).all(|_| leave(&line, 3).is_none()));
        assert!(matches!(line.leave(3), Next::Gathers));
        let _g = enter(&line, "g");
        assert_eq!(keys(line.gathered()), Some((4, vec!["f".into(), "g".into()])));
        assert!(matches!(enter(&line, "h"), Entered::Later(_, None)), "behind the burst");
    }

    #[tokio::test]
    async fn a_moment_in_which_nobody_comes_leaves_the_line_idle() {
        let (line, entered) = busy();
        drop(entered);
        assert!((0..3).all(|_| leave(&line, 3).is_none()));
        assert!(matches!(line.leave(3), Next::Gathers));
        assert!(line.gathered().is_none() && is_idle(&line));
        assert!(matches!(enter(&line, "g"), Entered::Now(4, _)));
    }
}
