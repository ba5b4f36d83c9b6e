//! Whether an event could be accepted now, what stands against it, and the gauges that are read at a scrape.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::flow::pipeline::Pipeline;
use crate::kafka::registry::{ChangedIds, NOT_ASKED, RefusedSchema, Registry};
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

/// What stands for and against accepting an event, at one moment.
pub(crate) struct HealthReport {
    /// An event could be accepted.
    pub(crate) ready: bool,
    pub(crate) ending: bool,
    /// Why Kafka cannot take events.
    pub(crate) kafka: Option<String>,
    /// Which partitions cannot be written, while others can.
    pub(crate) partitions: Option<String>,
    /// Why the registry cannot be used.
    pub(crate) registry: Option<String>,
    /// Why the spool would not take a delivery.
    pub(crate) spool: Option<String>,
    pub(crate) spool_bytes: u64,
    /// What is to be known of damaged files of the spool.
    pub(crate) damage: Option<String>,
    /// Schemas whose id is known, of how many.
    pub(crate) known: usize,
    pub(crate) all: usize,
    pub(crate) refused: Vec<RefusedSchema>,
    pub(crate) changed_ids: ChangedIds,
}

impl HealthReport {
    /// As `/readyz` and the console have it.
    pub(crate) fn json(&self) -> Value {
        let part = |trouble: &Option<String>| match trouble {
            None => json!({ "ok": true }),
            Some(reason) => json!({ "ok": false, "reason": reason }),
        };
        let (mut kafka, mut spool) = (part(&self.kafka), part(&self.spool));
        spool["bytes"] = self.spool_bytes.into();
        if let Some(damage) = &self.damage {
            spool["note"] = damage.as_str().into();
        }
        if let Some(partitions) = &self.partitions {
            kafka["note"] = format!("some partitions cannot be written: {partitions}").into();
        }
        json!({
            "ready": self.ready,
            "ending": self.ending,
            "kafka": kafka,
            "registry": part(&self.registry),
            "spool": spool,
            "schemas": { "known": self.known, "all": self.all, "refused": self.refused },
        })
    }
}

impl Health {
    /// Whether an event could be accepted now, and what stands against it.
    pub(crate) fn report(&self) -> HealthReport {
        let (states, registry) = (self.pipeline.publisher.unknown_states(), self.registry.trouble());
        let are_states_known = states.is_none();
        // States are read with the registry's schemas. While it cannot be used they are its trouble, else they are Kafka's.
        let (of_kafka, registry) = match (states, registry) {
            (Some(states), Some(reason)) if reason != NOT_ASKED => {
                (None, Some(format!("{reason}; until it is back, {states}")))
            }
            other => other,
        };
        let kafka = self.pipeline.publisher.trouble().or(of_kafka);
        let (known, all) = self.registry.known();
        let refused = self.registry.refusals();
        let ending = self.ending.load(Ordering::Relaxed);
        // A refused type stands alone; the others go on.
        let ids_known = known > 0 && known + refused.len() >= all && self.registry.are_ids_verified();
        let spool = self.spool.trouble();
        HealthReport {
            ready: !ending && ((kafka.is_none() && are_states_known && ids_known) || spool.is_none()),
            ending,
            // They do not count: what can be written is written, and the rest waits in the spool.
            partitions: self.pipeline.publisher.watch().unwritable().filter(|_| kafka.is_none()),
            kafka,
            registry,
            spool,
            spool_bytes: self.spool.bytes(),
            damage: self.spool.note(),
            known,
            all,
            refused,
            changed_ids: self.registry.changed_ids(),
        }
    }

    /// Brings the gauges up to date.
    pub(crate) async fn gauge(&self) {
        let Pipeline { metrics, media, .. } = &*self.pipeline;
        let report = self.report();
        metrics.ready.set(report.ready.into());
        metrics.kafka_up.set(report.kafka.is_none().into());
        metrics.registry_up.set(report.registry.is_none().into());
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
        metrics.schemas.show((report.known, report.refused.len(), report.all), report.changed_ids.count);
    }
}
