//! Empties the spool into Kafka, each lane in order.
//!
//! ```text
//! lane ─read─▶ prepare ─▶ window ─┬─ may be sent ─▶ deliver ─┬─ in Kafka ─▶ remove
//!                  ▲              │                          └─ not taken ─▶ waits, and asks again
//!                  └──────────────┴─ held up ─▶ stays in the file until that is over
//! ```
//!
//! What shares a key goes by one producer, in order, one behind the other without waiting for it: should Kafka not take one,
//! it takes none behind it either. What cannot be written holds up its own keys only.

mod delivery;
mod emptying;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::flow::pipeline::Pipeline;
use crate::source::Source;
use crate::spool::{Lane, Spool};
use emptying::Emptying;

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

impl Drain {
    /// Empties each lane that comes up, until told to stop.
    pub(crate) async fn run(self, mut to_drain: UnboundedReceiver<Arc<Lane>>) {
        let drain = Arc::new(self);
        let mut lanes = JoinSet::new();
        loop {
            tokio::select! {
                () = drain.stop.cancelled() => break,
                Some(lane) = to_drain.recv() => { lanes.spawn(Emptying::new(&drain, lane).run()); }
                Some(ended) = lanes.join_next(), if !lanes.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "draining a lane failed; its deliveries stay in the spool until a restart");
                    }
                }
            }
        }
        while lanes.join_next().await.is_some() {}
    }
}
