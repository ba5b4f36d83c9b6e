//! Takes a delivery that holds several events: each of them as a delivery of its own, and one answer for all.
//!
//! ```text
//! delivery ─split─▶ wave ─prepare─▶ chains ─┬─ one after the other ─▶ Kafka or the spool ─▶ the next wave ... ─▶ answer
//!                                           └─ keys side by side ───▶ ...
//! ```
//!
//! Those that share a key are taken in their order, each once the one before it is answered for. Only a wave of them is in memory
//! beside the delivery. When one is declined, what is not yet on its way is not begun, and the sender sends all of it again:
//! those that were taken are written twice, with the same ids.

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{Intake, TakenEvent};
use crate::convert::prepare::Prepared;
use crate::flow::chains::chains;
use crate::observe::metrics::Stage;
use crate::observe::traces::Trace;
use crate::outcome::{Accepted, AcceptedWhole, Declined, EachAccepted, SettledEvent};
use crate::source::verify::Verified;

/// At most so many events are in memory at once,
const WAVE: usize = 256;
/// and, but for the first, so many bytes of them.
const WAVE_BYTES: usize = 1 << 20;

/// What became of the events so far.
struct Sum {
    accepted: Accepted,
    each: EachAccepted,
    events: Vec<SettledEvent>,
}

impl Sum {
    fn add(&mut self, TakenEvent { accepted, event }: TakenEvent) {
        self.accepted = self.accepted.and(accepted);
        self.each.add(accepted);
        self.events.extend(event);
    }
}

impl Intake {
    /// Takes each event of a delivery; `None` where it is to be taken as a whole.
    pub(super) async fn take_each(
        &self,
        delivery: &Verified,
        deadline: Instant,
        trace: &Trace,
    ) -> Result<Option<AcceptedWhole>, Declined> {
        let source = delivery.source().name.as_str();
        let (timer, span) = (self.pipeline.metrics.stage(Stage::Prepare), trace.stage(Stage::Prepare));
        let Ok(split) = timeout_at(deadline, self.pipeline.split(delivery)).await else {
            self.pipeline.metrics.refused(source, None);
            return Err(Declined::Overloaded);
        };
        drop((timer, span));
        // What cannot be taken apart is found to be a dead letter as a whole.
        let Ok(Some(several)) = split else { return Ok(None) };
        let mut sum = Sum { accepted: Accepted::Ignored, each: EachAccepted::default(), events: Vec::new() };
        for _ in 0..several.ignored {
            sum.add(TakenEvent { accepted: Accepted::Ignored, event: None });
            self.pipeline.metrics.ignored(source);
        }
        let mut parts = several.deliveries(delivery).peekable();
        while parts.peek().is_some() {
            let (mut wave, mut bytes) = (Vec::new(), 0);
            while let Some(part) = parts.next_if(|part| {
                let fits = wave.is_empty() || (wave.len() < WAVE && bytes + part.body().len() <= WAVE_BYTES);
                bytes += part.body().len();
                fits
            }) {
                wave.push(part);
            }
            self.take_wave(&wave, deadline, trace, &mut sum).await?;
        }
        let Sum { accepted, each, mut events } = sum;
        events.sort_unstable_by_key(|event| event.part);
        Ok(Some(AcceptedWhole { accepted, each: Some(each), events }))
    }

    /// Takes the events of a wave, and waits for all of them.
    async fn take_wave(
        &self,
        wave: &[Verified],
        deadline: Instant,
        trace: &Trace,
        sum: &mut Sum,
    ) -> Result<(), Declined> {
        let mut prepared = Vec::with_capacity(wave.len());
        for part in wave {
            prepared.push((part, self.prepare(part, deadline, &mut trace.of_part()).await?));
        }
        let chains = chains(prepared).map(|chain| self.take_chain(chain, deadline, trace));
        let mut declined = None;
        for (taken, ended) in join_all(chains).await {
            for event in taken {
                sum.add(event);
            }
            declined = declined.or(ended.err());
        }
        declined.map_or(Ok(()), Err)
    }

    /// Takes events that keep their order, up to the first that is declined.
    async fn take_chain(
        &self,
        chain: Vec<(&Verified, Prepared<'_>)>,
        deadline: Instant,
        trace: &Trace,
    ) -> (Vec<TakenEvent>, Result<(), Declined>) {
        let mut taken = Vec::with_capacity(chain.len());
        for (part, prepared) in chain {
            match self.take(part, prepared, deadline, &mut trace.of_part()).await {
                Ok(event) => taken.push(event),
                Err(declined) => return (taken, Err(declined)),
            }
        }
        (taken, Ok(()))
    }
}
