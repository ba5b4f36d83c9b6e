//! Empties the spool into Kafka, each lane in order.
//!
//! ```text
//! lane ─read─▶ batch ─prepare─▶ chains ─┬─ one after the other ─▶ deliver ─▶ remove
//!                                       └─ keys side by side
//! ```
//!
//! What shares a key goes one after the other, the next when Kafka has acknowledged the one before: should one fail,
//! none behind it is ahead of it in Kafka. While Kafka takes nothing, one delivery at a time asks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chains::chains;
use crate::config::Source;
use crate::dead_letter::{Reason, Rejection};
use crate::pipeline::{Pipeline, Taken};
use crate::prepare::Prepared;
use crate::publish::Patience;
use crate::spool::{Done, Lane, Spool};
use crate::verify::Verified;

/// First pause after Kafka did not take a delivery; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// And no longer than this: senders' patience is minutes, and so is an operator's.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// With fewer deliveries than these left, the lane is about to be empty.
const FEW: usize = 200;
/// 256 KiB a second, as slow as a sender's body may come.
const UPLOAD_BYTES_PER_MILLI: u64 = 256;

/// How long a delivery may take that no sender waits for: a large file may take its time to a far store.
pub(crate) fn patience(ack_timeout: Duration, bytes: u64) -> Duration {
    ack_timeout + Duration::from_millis(bytes / UPLOAD_BYTES_PER_MILLI)
}

/// What emptying a lane needs.
pub(crate) struct Drain {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) sources: BTreeMap<String, Arc<Source>>,
    pub(crate) ack_timeout: Duration,
    /// Ends it: what is under way is finished, nothing new begun.
    pub(crate) stop: CancellationToken,
}

/// A delivery of the spool.
struct Spooled {
    done: Done,
    event_type: Option<String>,
    delivery: Verified,
    /// Why it is a dead letter, if its sender was told that it is one.
    rejection: Option<Rejection>,
    taken: Mutex<Taken>,
}

/// How one delivery's turn went.
enum Turn {
    /// It is in Kafka.
    Gone,
    /// It waits in another lane.
    Moved,
}

impl Drain {
    /// Empties each lane that comes up, until told to stop.
    pub(crate) async fn run(self, mut to_drain: UnboundedReceiver<Arc<Lane>>) {
        let drain = Arc::new(self);
        let mut lanes = JoinSet::new();
        loop {
            tokio::select! {
                () = drain.stop.cancelled() => break,
                Some(lane) = to_drain.recv() => { lanes.spawn(Arc::clone(&drain).empty(lane)); }
                Some(ended) = lanes.join_next(), if !lanes.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "emptying a lane failed; what is in it waits for a restart");
                    }
                }
            }
        }
        while lanes.join_next().await.is_some() {}
    }

    /// Empties one lane, and opens it then.
    async fn empty(self: Arc<Self>, lane: Arc<Lane>) {
        let (mut after, mut pause, mut records) = (lane.drained(), FIRST_PAUSE, 0_u64);
        // Asks with one delivery whether Kafka takes any.
        let mut asking = true;
        let (mut warned, mut unreadable) = (false, false);
        while !lane.open_if_empty() {
            let Some(rows) = self.unless_stopped(self.spool.read(&lane, after)).await else { return };
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    if !std::mem::replace(&mut unreadable, true) {
                        tracing::error!(lane = %lane.name, %error, "the spool cannot be read; the lane waits");
                    }
                    if self.unless_stopped(tokio::time::sleep(LONGEST_PAUSE)).await.is_none() {
                        return;
                    }
                    continue;
                }
            };
            let Some(last) = rows.last() else { continue };
            after = last.seq;
            let caught_up = rows.len() < FEW;
            let mut waiting: VecDeque<Spooled> = VecDeque::with_capacity(rows.len());
            for row in rows {
                let (done, event_type) = (Done { seq: row.seq, bytes: row.bytes }, row.event_type.clone());
                let rejection = Rejection::kept(&row.headers);
                match row.restore(&self.sources) {
                    Ok(delivery) => {
                        waiting.push_back(Spooled { done, event_type, delivery, rejection, taken: Mutex::default() });
                    }
                    Err(source) => {
                        tracing::error!(lane = %lane.name, source, "deliveries of a source that is not configured wait in the spool");
                        return;
                    }
                }
            }
            while !waiting.is_empty() {
                let now = if asking { 1 } else { waiting.len() };
                let rest = waiting.split_off(now);
                let (left, trouble) = self.turn(&lane, waiting).await;
                records += (now - left.len()) as u64;
                asking = trouble.is_some();
                if asking {
                    lane.hold();
                } else if caught_up {
                    lane.catch_up();
                }
                waiting = left;
                waiting.extend(rest);
                let Some(words) = trouble else {
                    if std::mem::take(&mut warned) {
                        tracing::info!(lane = %lane.name, "the lane's deliveries get through again");
                    }
                    pause = FIRST_PAUSE;
                    continue;
                };
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(lane = %lane.name, reason = %words, "deliveries wait in the spool");
                }
                if self.unless_stopped(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            lane.set_drained(after);
        }
        // Nothing was in it when the spool did not take what was to be.
        if records > 0 {
            tracing::info!(lane = %lane.name, records, "the lane is empty; its events go straight to Kafka");
        }
    }

    /// What is to be made of a delivery: a dead letter, if its sender was told that it is one.
    async fn prepare<'a>(&self, lane: &Lane, spooled: &'a Spooled) -> Prepared<'a> {
        let mut prepared = self.pipeline.prepare(&spooled.delivery).await;
        if let Some(rejection) = &spooled.rejection {
            prepared.made = Err(rejection.clone());
        } else if lane.name == self.pipeline.routes.dead_letters && prepared.made.is_ok() {
            let error = "it waited as a dead letter of an earlier version, which did not keep the reason".into();
            prepared.made = Err(Rejection { reason: Reason::KafkaRejected, error });
        }
        prepared
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }

    /// Tries to deliver all of `waiting`; gives those that still wait, in order, and why.
    async fn turn(&self, lane: &Arc<Lane>, waiting: VecDeque<Spooled>) -> (VecDeque<Spooled>, Option<String>) {
        let mut prepared = Vec::with_capacity(waiting.len());
        for (at, spooled) in waiting.iter().enumerate() {
            prepared.push((at, self.prepare(lane, spooled).await));
        }
        let mut chains: FuturesUnordered<_> = chains(prepared)
            .map(async |chain| {
                let mut turns = Vec::with_capacity(chain.len());
                for (at, prepared) in chain {
                    if self.stop.is_cancelled() {
                        return (turns, Some("the bridge is ending".to_owned()));
                    }
                    match self.deliver(lane, &waiting[at], prepared).await {
                        Ok(turn) => turns.push((at, turn)),
                        Err(words) => return (turns, Some(words)),
                    }
                }
                (turns, None)
            })
            .collect();
        let (mut over, mut gone, mut trouble) = (vec![false; waiting.len()], Vec::new(), None);
        while let Some((turns, words)) = chains.next().await {
            for (at, turn) in turns {
                over[at] = true;
                if matches!(turn, Turn::Gone) {
                    gone.push(waiting[at].done);
                }
            }
            trouble = trouble.or(words);
        }
        drop(chains);
        if !gone.is_empty() {
            self.spool.remove(lane, gone);
        }
        let left = waiting.into_iter().zip(over).filter_map(|(spooled, over)| (!over).then_some(spooled));
        (left.collect(), trouble)
    }

    /// Delivers one, or says why it waits on.
    async fn deliver(&self, lane: &Arc<Lane>, spooled: &Spooled, prepared: Prepared<'_>) -> Result<Turn, String> {
        let bytes = spooled.done.bytes;
        let deadline = Instant::now() + patience(self.ack_timeout, bytes);
        let known = || spooled.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = std::mem::take(&mut *known());
        let (began, topic) = (SystemTime::now(), self.pipeline.topic(&prepared));
        let delivered = self.pipeline.deliver(prepared, deadline, Patience::Spool, &mut taken).await;
        if let Ok(end) = &delivered {
            let mut span = self.pipeline.traces.drained(&spooled.delivery, began);
            span.set_type(&spooled.delivery.source().profile.name, spooled.event_type.as_deref());
            self.pipeline.tell(&mut span, topic.as_deref(), &taken, Ok(*end));
        }
        *known() = taken;
        match delivered {
            Ok(end) => {
                let source = &spooled.delivery.source().name;
                self.pipeline.metrics.drained(&lane.name, source, spooled.event_type.as_deref(), end, bytes);
                Ok(Turn::Gone)
            }
            Err(waits) if *waits.lane == *lane.name => Err(waits.words),
            // It turned out to be a dead letter that cannot be written now, or its schema is refused: the lane goes on.
            Err(waits) => {
                let (to, rejection) = (self.spool.lane(&waits.lane), waits.rejection.as_ref());
                let rejection = rejection.filter(|_| spooled.rejection.is_none());
                match self.spool.relocate(lane, &to, spooled.done, rejection).await {
                    Ok(()) => Ok(Turn::Moved),
                    Err(error) => Err(format!("{}; {error}", waits.words)),
                }
            }
        }
    }
}
