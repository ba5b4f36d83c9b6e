//! Empties one lane: reads its deliveries in order, sends what may be sent, and takes out what Kafka has.

use std::collections::{HashMap, HashSet};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, sleep_until};

use super::Drain;
use super::delivery::{AllSent, Spooled, Turn};
use super::window::Window;
use crate::convert::prepare::Detached;
use crate::flow::pipeline::RecordVerdicts;
use crate::kafka::publish::Patience;
use crate::outcome::Rejection;
use crate::spool::{Done, Lane, Row, SpoolError, UnknownSource};

/// With fewer deliveries than these left, the lane is about to be empty.
const FEW: usize = 200;
/// How often is looked whether something takes long.
const LOOK: Duration = Duration::from_millis(100);
/// What was appended or removed is counted within this time.
const MISSING: Duration = Duration::from_secs(2);
/// A file that cannot be read is tried again after this time.
const UNREADABLE: Duration = Duration::from_secs(2);

/// A delivery in memory.
struct Item {
    spooled: Arc<Spooled>,
    /// What was made of it, until it is sent for the first time.
    made: Option<Detached>,
    /// Of its latest try, and of which generation its producers are.
    sent: AllSent,
    generation: u64,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// What was read, and which of it is to be left out.
type Read = (Result<Vec<Row>, SpoolError>, HashSet<i64>);

/// One lane while it is emptied.
pub(super) struct Emptying {
    drain: Arc<Drain>,
    lane: Arc<Lane>,
    window: Window<Item>,
    under_way: FuturesUnordered<Boxed<(i64, Turn)>>,
    /// Started, and not on their way yet.
    starting: Vec<i64>,
    news: AllSent,
    reading: Option<Boxed<Read>>,
    /// Up to this number the file has been read; and how far it ever was.
    after: i64,
    furthest: i64,
    /// There was nothing more to be read, and nothing has changed since the reading began.
    at_end: bool,
    changed: bool,
    unreadable_until: Option<Instant>,
    /// How many files of the spool had been opened when reading began anew last.
    files: u64,
    /// Since when nothing is found, though something should be there.
    missing_since: Option<Instant>,
    next_look: Instant,
    /// What Kafka has of deliveries that were left.
    half_taken: HashMap<i64, Arc<RecordVerdicts>>,
    published: u64,
    warned: bool,
}

impl Emptying {
    pub(super) fn new(drain: &Arc<Drain>, lane: Arc<Lane>) -> Emptying {
        let after = lane.drained();
        Emptying {
            drain: Arc::clone(drain),
            lane,
            window: Window::new(),
            under_way: FuturesUnordered::new(),
            starting: Vec::new(),
            news: AllSent::default(),
            reading: None,
            after,
            furthest: after,
            at_end: false,
            changed: false,
            unreadable_until: None,
            files: drain.spool.files(),
            missing_since: None,
            next_look: Instant::now(),
            half_taken: HashMap::new(),
            published: 0,
            warned: false,
        }
    }

    /// Empties the lane and opens it then, or stops when told to.
    pub(super) async fn run(mut self) {
        loop {
            let stops = self.drain.stop.is_cancelled();
            if stops && self.under_way.is_empty() {
                return;
            }
            if !stops {
                if self.window.is_done() && self.lane.open_if_empty(self.furthest) {
                    break;
                }
                self.start().await;
                self.settle();
                self.miss();
                self.read_on();
            }
            let drain = Arc::clone(&self.drain);
            tokio::select! {
                Some(ended) = self.under_way.next(), if !self.under_way.is_empty() => self.end(ended),
                read = when_read(&mut self.reading) => {
                    if self.take(read).await.is_err() {
                        return;
                    }
                }
                () = self.lane.changed.notified(), if !stops => (self.at_end, self.changed) = (false, true),
                () = self.news.news() => {}
                () = sleep_until(self.next_look), if !stops => self.look(),
                () = drain.stop.cancelled(), if !stops => self.reading = None,
            }
        }
        // Nothing was in it when the spool did not take what was to be.
        if self.published > 0 {
            tracing::info!(
                lane = %self.lane.name,
                records = self.published,
                "the lane is drained; its new events go directly to Kafka"
            );
        }
    }

    /// Begins to read, if there is reason and room.
    fn read_on(&mut self) {
        // Nothing can be written: no need to know what more there is.
        let is_away = self.drain.pipeline.publisher.watch().is_away() && !self.window.is_empty();
        let pauses = self.unreadable_until.is_some_and(|until| Instant::now() < until);
        if self.reading.is_some() || self.at_end || is_away || pauses || !self.window.has_room() {
            return;
        }
        self.changed = false;
        // What is under way now may be in Kafka and out of the file by the time this is read, not the other way round. So may what is
        // gone; and what becomes so later is beyond the last, however long the disk takes to give the others.
        let places = (self.after, self.drain.spool.visible());
        let mut known = self.window.seqs();
        known.extend(self.lane.gone());
        let (spool, lane) = (Arc::clone(&self.drain.spool), Arc::clone(&self.lane));
        self.reading = Some(Box::pin(async move { (spool.read(&lane, places).await, known) }));
    }

    /// Takes in what was read.
    ///
    /// # Errors
    /// When the source of a delivery is not configured.
    async fn take(&mut self, (read, known): Read) -> Result<(), ()> {
        let rows = match read {
            Ok(rows) => rows,
            Err(error) => {
                self.lane.set_reason(Some(format!("cannot read the spool: {error}")));
                if self.unreadable_until.replace(Instant::now() + UNREADABLE).is_none() {
                    tracing::error!(lane = %self.lane.name, %error, "cannot read the spool; draining of the lane is paused, and retried");
                }
                return Ok(());
            }
        };
        if self.unreadable_until.take().is_some() {
            self.lane.set_reason(None);
        }
        let last = rows.last().map(|row| row.seq);
        self.window.shut_before(self.lane.shut(), Instant::now());
        for row in rows.into_iter().filter(|row| !known.contains(&row.seq)) {
            self.offer(row).await?;
        }
        self.lane.told_up_to(last);
        match last {
            Some(last) => {
                self.after = last;
                self.furthest = self.furthest.max(last);
            }
            None => self.at_end = !self.changed,
        }
        Ok(())
    }

    async fn offer(&mut self, row: Row) -> Result<(), ()> {
        let (done, event_type) = (Done { seq: row.seq, bytes: row.bytes }, row.event_type.clone());
        let (seq, rejection) = (done.seq, Rejection::kept(&row.headers));
        let delivery = row.restore(&self.drain.sources).map_err(|UnknownSource(source)| {
            self.lane.set_reason(Some(format!("source {source} is not configured")));
            tracing::error!(
                lane = %self.lane.name,
                source,
                "the spool holds deliveries of a source that is not configured: configure it again to publish them"
            );
        })?;
        let verdicts = self.half_taken.get(&seq).cloned().unwrap_or_default();
        let spooled = Arc::new(Spooled { done, event_type, delivery, rejection, verdicts });
        let prepared = self.drain.prepare(&self.lane, &spooled).await;
        // What is made of it may be many times what it is.
        let bytes = prepared.made.as_ref().map_or(0, |made| made.parts.extent().1 as u64).max(done.bytes);
        let (needs, made) = (self.drain.pipeline.needs(&prepared), Some(prepared.detach()));
        self.lane.tell(seq, &needs);
        let held = self.lane.holds(&needs.keys);
        let item = Item { spooled, made, sent: self.news.another(), generation: 0 };
        self.window.offer(seq, needs, bytes, held, item);
        self.lane.hold(&self.window.take_held());
        Ok(())
    }

    /// Starts all that may be sent. One that is on its way at once lets the next of its key follow.
    async fn start(&mut self) {
        let generation = self.drain.pipeline.publisher.generation();
        self.note_sent();
        let (now, mut gone) = (Instant::now(), Vec::new());
        let mut under_way = self.window.under_way();
        for seq in self.window.waiting() {
            if !self.window.may_start(seq, generation, now) || !under_way.add(self.window.bytes(seq)) {
                continue;
            }
            let by = if self.window.is_alone(seq) { Patience::Alone } else { Patience::Spool { generation } };
            let Some(item) = self.window.get_mut(seq) else { continue };
            let sent = self.news.another();
            (item.sent, item.generation) = (sent.clone(), generation);
            let (drain, lane) = (Arc::clone(&self.drain), Arc::clone(&self.lane));
            let deliver = drain.deliver(lane, Arc::clone(&item.spooled), item.made.take(), by, sent.clone());
            let mut deliver: Boxed<_> = Box::pin(async move { (seq, deliver.await) });
            self.window.set_started(seq);
            match poll_fn(|context| Poll::Ready(deliver.as_mut().poll(context))).await {
                Poll::Ready(ended) => self.end_one(ended, &mut gone),
                Poll::Pending => {
                    self.under_way.push(deliver);
                    if sent.is_sent() {
                        self.window.set_sent(seq, generation, Instant::now());
                    } else {
                        self.starting.push(seq);
                    }
                }
            }
        }
        self.remove(gone);
    }

    /// Notes which of those that were started are on their way by now.
    fn note_sent(&mut self) {
        let window = &mut self.window;
        self.starting.retain(|&seq| {
            let Some(item) = window.get_mut(seq) else { return false };
            let (is_sent, generation) = (item.sent.is_sent(), item.generation);
            if is_sent {
                window.set_sent(seq, generation, Instant::now());
            }
            !is_sent
        });
    }

    /// Ends one that was under way, and all others that have ended.
    fn end(&mut self, ended: (i64, Turn)) {
        let (mut gone, mut next) = (Vec::new(), Some(ended));
        while let Some(ended) = next {
            self.end_one(ended, &mut gone);
            next = self.under_way.next().now_or_never().flatten();
        }
        self.remove(gone);
    }

    fn remove(&self, gone: Vec<Done>) {
        if !gone.is_empty() {
            self.drain.spool.remove(&self.lane, gone);
        }
    }

    fn end_one(&mut self, (seq, turn): (i64, Turn), gone: &mut Vec<Done>) {
        if let Turn::NotTaken(why, words) = turn {
            if !why.gates.is_empty() {
                if !std::mem::replace(&mut self.warned, true) {
                    tracing::warn!(lane = %self.lane.name, reason = %words, "deliveries wait in the spool");
                }
                self.lane.set_reason(Some(words));
            }
            self.window.set_not_taken(seq, why, Instant::now());
            return;
        }
        let Some((item, needs)) = self.window.set_gone(seq) else { return };
        self.published += 1;
        self.half_taken.remove(&seq);
        if matches!(turn, Turn::Gone) {
            gone.push(item.spooled.done);
        }
        self.lane.free(&needs.keys);
    }

    /// Tells the lane what is held up, and goes back to what was, when it is not any more.
    fn settle(&mut self) {
        for (seq, item) in self.window.take_dropped() {
            if item.spooled.verdicts.has_final() {
                self.half_taken.insert(seq, Arc::clone(&item.spooled.verdicts));
            }
        }
        self.lane.hold(&self.window.take_held());
        // Those through which senders' events did not get, too.
        self.window.shut_before(self.lane.shut(), Instant::now());
        if let Some(after) = self.window.rewind(self.after, Instant::now()) {
            self.lane.let_go();
            (self.after, self.at_end, self.reading) = (after, false, None);
        }
        // What could not be written to a disk that hangs asks for no gate, and nothing comes that would.
        if self.window.is_done() && self.drain.spool.hangs() {
            self.window.open_unasked();
        }
        self.lane.set_shut(self.window.shut());
        if self.warned && !self.window.has_trouble() {
            self.warned = false;
            self.lane.set_reason(None);
            tracing::info!(lane = %self.lane.name, "deliveries of the lane are published again");
        }
        self.lane.set_leaving(self.at_end && self.window.len() < FEW);
    }

    /// Reads anew what is in another file than before, and has the file looked at when deliveries are missing.
    fn miss(&mut self) {
        let files = self.drain.spool.files();
        if std::mem::replace(&mut self.files, files) != files {
            (self.after, self.at_end, self.reading) = (self.lane.drained(), false, None);
        }
        if !(self.at_end && self.window.is_done()) {
            self.missing_since = None;
        } else if self.missing_since.get_or_insert_with(Instant::now).elapsed() > MISSING {
            self.missing_since = None;
            self.drain.spool.compare(&self.lane, self.after);
        }
    }

    /// Looks whether something takes long.
    fn look(&mut self) {
        self.next_look = Instant::now() + LOOK;
        let before = self.window.shut();
        self.window.look(Instant::now(), |item| item.spooled.verdicts.pending_gates());
        if let Some(gate) = self.window.shut().difference(&before).next()
            && !std::mem::replace(&mut self.warned, true)
        {
            let reason = format!("{gate}: no acknowledgement yet");
            tracing::warn!(lane = %self.lane.name, reason, "deliveries wait in the spool");
            self.lane.set_reason(Some(reason));
        }
    }
}

/// Waits for what is being read, for ever if that is nothing.
async fn when_read(reading: &mut Option<Boxed<Read>>) -> Read {
    let Some(read) = reading else { return pending().await };
    let read = read.await;
    *reading = None;
    read
}
