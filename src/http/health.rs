//! Whether an event could be accepted now, what stands against it, and the gauges that are read at a scrape.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::flow::pipeline::Pipeline;
use crate::kafka::registry::Registry;
use crate::observe::telemetry::dropped_lines;
use crate::spool::Spool;
use crate::values::time::now_millis;

/// How long a scrape waits for the spool's file.
const DISK_PATIENCE: Duration = Duration::from_secs(1);

/// What readiness rests on.
pub(crate) struct Health {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) spool: Arc<Spool>,
    /// Set from SIGTERM on.
    pub(crate) ending: AtomicBool,
}

impl Health {
    /// Whether an event could be accepted now, and what stands against it.
    pub(super) fn report(&self) -> (bool, Value) {
        let kafka = self.pipeline.publisher.trouble();
        let registry = self.registry.trouble();
        let (known, all) = self.registry.known();
        let refused = self.registry.refusals();
        let ending = self.ending.load(Ordering::Relaxed);
        // A refused type stands alone; the others go on.
        let ids_known = known > 0 && known + refused.len() >= all;
        let spool = self.spool.trouble();
        let ready = !ending && ((kafka.is_none() && ids_known) || spool.is_none());
        let part = |trouble: &Option<String>| match trouble {
            None => json!({ "ok": true }),
            Some(reason) => json!({ "ok": false, "reason": reason }),
        };
        let mut spool_part = part(&spool);
        spool_part["bytes"] = self.spool.bytes().into();
        if let Some(note) = self.spool.note() {
            spool_part["note"] = note.into();
        }
        let mut kafka_part = part(&kafka);
        // It does not count: what can be written is written, and the rest waits in the spool.
        if let Some(partitions) = self.pipeline.publisher.watch().unwritable().filter(|_| kafka.is_none()) {
            kafka_part["note"] = format!("some partitions cannot be written: {partitions}").into();
        }
        let report = json!({
            "ready": ready,
            "ending": ending,
            "kafka": kafka_part,
            "registry": part(&registry),
            "spool": spool_part,
            "schemas": { "known": known, "all": all, "refused": refused },
        });
        (ready, report)
    }

    /// Brings the gauges up to date.
    pub(super) async fn gauge(&self) {
        let Pipeline { metrics, media, .. } = &*self.pipeline;
        metrics.ready.set(self.report().0.into());
        metrics.kafka.show(&self.pipeline.publisher.statistics(), self.pipeline.publisher.replaced());
        metrics.latest.show(self.pipeline.publisher.latest());
        self.pipeline.publisher.watch().for_each_topic(|topic| metrics.kafka.show_topic(&topic));
        metrics.patience.show();
        // A disk that does not answer must not keep the other figures from being read.
        if let Ok(oldest) = timeout(DISK_PATIENCE, self.spool.oldest()).await {
            metrics.show_oldest(&oldest, now_millis());
        }
        let room = self.spool.room();
        metrics.space.show(room.bytes, room.free, media.used());
        metrics.damage.files.set(i64::try_from(self.spool.damaged_files()).unwrap_or(i64::MAX));
        metrics.show_dropped_lines(dropped_lines());
        let (known, all) = self.registry.known();
        let refused = self.registry.refusals().len();
        metrics.kafka_up.set(self.pipeline.publisher.trouble().is_none().into());
        metrics.registry_up.set(self.registry.trouble().is_none().into());
        for (state, count) in [("known", known), ("refused", refused), ("unknown", all.saturating_sub(known + refused))]
        {
            metrics.schemas.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
