//! Every metric there is; `new` gives each its name and its help text.
//!
//! Names begin with `hookbridge_`; every series whose labels are known at start is there from the start, at zero, so
//! that a rate over it is right from the first event on.
//!
//! What is accepted is accounted for, at every moment:
//!
//! ```text
//! accepted + recovered = published + dead-lettered + in the spool
//! ```
//!
//! What a profile ignores is counted apart: it goes nowhere. So is what was in the spool when its profile began to ignore it.
//!
//! What a damaged file of the spool loses while the bridge runs is missing on the right, and in `spool_lost_total`.
//!
//! The counters of one delivery move together, and a reader sees them before or after, never between.

mod damage;
mod drift;
mod kafka;
mod latest;
mod listener;
mod make;
mod patience;
pub(crate) mod refusals;
mod refused_records;
mod reloads;
mod schemas;
mod space;
mod tallies;

use std::sync::{Arc, RwLock};

use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramTimer, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};

use crate::build_info::BUILD;
use crate::config::Settings;
use crate::outcome::{Accepted, End, Reason};
use damage::Damage;
use drift::Drift;
use kafka::Kafka;
use latest::LatestMetrics;
pub(crate) use listener::CERTIFICATE_WARNING_DAYS;
use listener::Listener;
use make::Make;
use patience::PatienceGauge;
use refusals::Refusals;
pub(crate) use refusals::{NO_SOURCE, NewestRefusal};
use refused_records::RefusedRecords;
use reloads::Reloads;
use schemas::SchemaMetrics;
use space::Space;
pub(crate) use space::Usage;
pub(crate) use tallies::Tallies;
use tallies::{buckets, tally};

/// In front of every name, with an underscore.
const PREFIX: &str = "hookbridge";

/// In place of an outcome of an event, what was answered with neither 2xx nor 401.
pub(crate) const REFUSED: &str = "refused";

/// How a delivery ended, as the label `outcome` has it; what is in the spool has not.
const OUTCOMES: [&str; 3] = [Accepted::PUBLISHED, Accepted::DEAD_LETTERED, REFUSED];

/// What becomes of a span, as the label `outcome` has it.
pub(crate) const SPANS: [&str; 3] = ["exported", "dropped", "refused"];

/// The type of events whose type is not known.
const NO_TYPE: &str = "unknown";

/// What a delivery goes through, as the label `stage` has it, and the names of spans.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// The signature or token of a whole body.
    Verify,
    /// From the body to Avro.
    Prepare,
    /// Until Kafka has all records.
    Publish,
    /// Until the spool has it.
    Spool,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::Verify, Stage::Prepare, Stage::Publish, Stage::Spool];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Stage::Verify => "verify",
            Stage::Prepare => "prepare",
            Stage::Publish => "publish",
            Stage::Spool => "spool",
        }
    }
}

/// Ours, with those that any process has: memory, open files, time of the processor. They are read when asked for.
fn registry() -> Result<Registry, prometheus::Error> {
    let registry = Registry::new_custom(Some(PREFIX.into()), None)?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    Ok(registry)
}

pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) refusals: Refusals,
    pub(crate) handshakes: IntCounterVec,
    accepted: IntCounterVec,
    recovered: IntCounterVec,
    events: IntCounterVec,
    dead_letters: IntCounterVec,
    spool_records: IntGaugeVec,
    spool_bytes: IntGaugeVec,
    /// Held shared while the counters of one delivery move, and alone while all are read.
    balance: RwLock<()>,
    pub(crate) type_mismatches: IntCounterVec,
    pub(crate) body_bytes: IntCounterVec,
    pub(crate) media_objects: IntCounterVec,
    pub(crate) media_bytes: IntCounterVec,
    pub(crate) answer_seconds: Histogram,
    stage_seconds: [Histogram; 4],
    /// One record: from librdkafka's queue to the acknowledgement.
    pub(crate) ack_seconds: Histogram,
    pub(crate) drift: Drift,
    pub(crate) refused_records: RefusedRecords,
    pub(crate) latest: LatestMetrics,
    pub(crate) patience: PatienceGauge,
    pub(crate) space: Space,
    pub(crate) damage: Damage,
    spool_oldest_seconds: GaugeVec,
    pub(crate) kafka: Kafka,
    pub(crate) listener: Listener,
    pub(crate) reloads: Reloads,
    log_lines_dropped: IntCounter,
    pub(crate) ready: IntGauge,
    pub(crate) kafka_up: IntGauge,
    pub(crate) registry_up: IntGauge,
    pub(crate) schemas: SchemaMetrics,
    /// By what became of them: one of [`SPANS`].
    pub(crate) spans: IntCounterVec,
}

impl Metrics {
    /// `answers` are the labels of all answers there can be, `lanes` those of the spool that are known.
    ///
    /// # Errors
    /// When two metrics have one name, which a test rules out.
    pub(crate) fn new<'a>(
        settings: &Settings,
        answers: &[&str],
        lanes: impl Iterator<Item = &'a str>,
    ) -> Result<Metrics, prometheus::Error> {
        let registry = registry()?;
        let make = Make(&registry);
        let help = "Seconds of the stages of a delivery: verify, prepare, publish, spool.";
        let stages = make.fine_histograms("stage_seconds", help, &["stage"])?;
        let help = "Requests answered, by outcome or problem code.";
        let requests = make.announced("http_requests_total", help, "code", answers)?;
        let help = "Verified deliveries that were accepted (they are in Kafka or in the spool).";
        let accepted = make.counter("accepted_total", help, &["source", "type"])?;
        let help = "Deliveries that were in the spool at start.";
        let recovered = make.counter("recovered_total", help, &["source"])?;
        let help = "Verified deliveries by final outcome; those still in the spool are not counted yet.";
        let events = make.counter("events_total", help, &["source", "type", "outcome"])?;
        let dead_letters =
            make.counter("dead_letters_total", "Dead letters written, by reason.", &["source", "reason"])?;
        let mismatches = "Deliveries whose unsigned type header differs from the signed body.";
        let type_mismatches = make.counter("type_header_mismatches_total", mismatches, &["source"])?;
        let body_bytes = make.counter("body_bytes_total", "Bytes of verified bodies.", &["source"])?;
        let media_objects = make.counter("media_objects_total", "Files written to the media store.", &["source"])?;
        let media_bytes =
            make.counter("media_bytes_total", "Bytes of files written to the media store.", &["source"])?;
        let handshakes = make.counter("handshakes_total", "Handshakes of vendors that were answered.", &["source"])?;
        let drift = Drift::new(&make)?;
        for source in settings.sources.values() {
            let types = source.profile.types.keys().map(String::as_str).chain([NO_TYPE]);
            for event_type in types {
                accepted.with_label_values(&[source.name.as_str(), event_type]);
                drift.announce(&source.name, event_type);
                for outcome in OUTCOMES {
                    events.with_label_values(&[source.name.as_str(), event_type, outcome]);
                }
            }
            events.with_label_values(&[source.name.as_str(), NO_TYPE, Accepted::IGNORED]);
            recovered.with_label_values(&[source.name.as_str()]);
            for reason in Reason::ALL {
                dead_letters.with_label_values(&[source.name.as_str(), reason.code()]);
            }
            type_mismatches.with_label_values(&[source.name.as_str()]);
            for per_source in [&handshakes, &body_bytes, &media_objects, &media_bytes] {
                per_source.with_label_values(&[source.name.as_str()]);
            }
        }
        let help = "Deliveries in the spool, by lane: the topic they wait for.";
        let spool_records = make.gauges("spool_records", help, &["lane"])?;
        let help = "Bytes of the deliveries in the spool, as they count against spool.max_bytes.";
        let spool_bytes = make.gauges("spool_bytes", help, &["lane"])?;
        let help = "Age of the oldest delivery in the spool in seconds, by the topic it waits for; 0 when none.";
        let spool_oldest_seconds = make.seconds("spool_oldest_seconds", help, &["lane"])?;
        for lane in lanes {
            spool_records.with_label_values(&[lane]);
            spool_bytes.with_label_values(&[lane]);
            spool_oldest_seconds.with_label_values(&[lane]);
        }
        let help = "Spans by outcome: exported, dropped (queue full, or shutdown), refused by the collector.";
        let spans = make.announced("spans_total", help, "outcome", &SPANS)?;
        make.build_info(&BUILD)?;
        Ok(Metrics {
            requests,
            refusals: Refusals::new(&make, settings)?,
            handshakes,
            accepted,
            recovered,
            events,
            dead_letters,
            spool_records,
            spool_bytes,
            balance: RwLock::default(),
            type_mismatches,
            body_bytes,
            media_objects,
            media_bytes,
            answer_seconds: make
                .histogram("answer_seconds", "Seconds from the end of a verified body to its answer.")?,
            stage_seconds: Stage::ALL.map(|stage| stages.with_label_values(&[stage.label()])),
            ack_seconds: make
                .histogram("kafka_ack_seconds", "Seconds from sending a record to its acknowledgement.")?,
            drift,
            refused_records: RefusedRecords::new(&make)?,
            latest: LatestMetrics::new(&make)?,
            patience: PatienceGauge::new(&make, settings)?,
            space: Space::new(&make, settings)?,
            damage: Damage::new(&make)?,
            spool_oldest_seconds,
            kafka: Kafka::new(&make)?,
            listener: Listener::new(&make)?,
            reloads: Reloads::new(&make)?,
            log_lines_dropped: make
                .single("log_lines_dropped_total", "Log lines that standard error did not accept.")?,
            ready: make.gauge("ready", "1 while events can be accepted, as /readyz says.")?,
            kafka_up: make.gauge(
                "kafka_up",
                "1 while all producers reach Kafka, all topics exist and a partition is writable.",
            )?,
            registry_up: make.gauge("registry_up", "1 while the registry is available.")?,
            schemas: SchemaMetrics::new(&make)?,
            spans,
            registry,
        })
    }

    fn together(&self, count: impl FnOnce()) {
        let _balanced = self.balance.read();
        count();
    }

    /// Starts the time of a stage; it is told when what this gives is dropped.
    pub(crate) fn stage(&self, stage: Stage) -> HistogramTimer {
        self.stage_seconds[stage as usize].start_timer()
    }

    /// Sets how old the oldest delivery of each lane is; by lane, when it was received, in milliseconds since 1970.
    pub(crate) fn show_oldest(&self, received_at: &[(Arc<str>, Option<i64>)], now: i64) {
        for (lane, received_at) in received_at {
            let seconds = received_at.map_or(0.0, |received_at| (now - received_at).max(0) as f64 / 1000.0);
            self.spool_oldest_seconds.with_label_values(&[lane]).set(seconds);
        }
    }

    /// A delivery was taken and its sender is told so: it ended at once.
    pub(crate) fn accepted(&self, source: &str, event_type: Option<&str>, end: End) {
        self.patience.taken(source);
        self.together(|| {
            self.accepted.with_label_values(&[source, event_type.unwrap_or(NO_TYPE)]).inc();
            self.count_end(source, event_type, end);
        });
    }

    /// A delivery was taken, and is written nowhere: its profile ignores it.
    pub(crate) fn ignored(&self, source: &str) {
        self.patience.taken(source);
        self.count_end(source, None, End::Ignored);
    }

    /// A delivery was taken into the spool.
    pub(crate) fn spooled(&self, lane: &str, source: &str, event_type: Option<&str>, bytes: u64) {
        self.patience.taken(source);
        self.together(|| {
            self.accepted.with_label_values(&[source, event_type.unwrap_or(NO_TYPE)]).inc();
            self.fill(lane, 1, bytes as i64);
        });
    }

    /// Deliveries of the spool are lost: the disk does not hold them any more.
    pub(crate) fn spool_lost(&self, lane: &str, records: u64, bytes: u64) {
        self.together(|| self.fill(lane, -(records as i64), -(bytes as i64)));
    }

    /// Deliveries of the spool that were counted as lost are in Kafka: they were in memory when the disk lost them, and are counted
    /// as drained as well.
    pub(crate) fn spool_found(&self, lane: &str, records: u64, bytes: u64) {
        self.together(|| self.fill(lane, records as i64, bytes as i64));
    }

    /// A damaged file was put aside.
    pub(crate) fn spool_recovered(&self, records: u64, lost: u64) {
        self.damage.recoveries.inc();
        self.damage.recovered.inc_by(records);
        self.damage.lost.inc_by(lost);
    }

    /// Deliveries were in the spool at start.
    pub(crate) fn recovered(&self, lane: &str, source: &str, records: u64, bytes: u64) {
        self.together(|| {
            self.recovered.with_label_values(&[source]).inc_by(records);
            self.fill(lane, records as i64, bytes as i64);
        });
    }

    /// A delivery of the spool is in Kafka.
    pub(crate) fn drained(&self, lane: &str, source: &str, event_type: Option<&str>, end: End, bytes: u64) {
        self.together(|| {
            self.fill(lane, -1, -(bytes as i64));
            self.count_end(source, event_type, end);
        });
    }

    /// A delivery went to another lane of the spool.
    pub(crate) fn relocated(&self, from: &str, to: &str, bytes: u64) {
        self.together(|| {
            self.fill(from, -1, -(bytes as i64));
            self.fill(to, 1, bytes as i64);
        });
    }

    /// A delivery was turned away.
    pub(crate) fn refused(&self, source: &str, event_type: Option<&str>) {
        self.patience.turned_away(source);
        self.events.with_label_values(&[source, event_type.unwrap_or(NO_TYPE), REFUSED]).inc();
    }

    fn fill(&self, lane: &str, records: i64, bytes: i64) {
        self.spool_records.with_label_values(&[lane]).add(records);
        self.spool_bytes.with_label_values(&[lane]).add(bytes);
    }

    fn count_end(&self, source: &str, event_type: Option<&str>, end: End) {
        if let End::DeadLettered(reason) = end {
            self.dead_letters.with_label_values(&[source, reason.code()]).inc();
        }
        let outcome = Accepted::from(end).name();
        self.events.with_label_values(&[source, event_type.unwrap_or(NO_TYPE), outcome]).inc();
    }

    /// Sets how many log lines were dropped since the start of the process.
    pub(crate) fn show_dropped_lines(&self, dropped: u64) {
        self.log_lines_dropped.inc_by(dropped.saturating_sub(self.log_lines_dropped.get()));
    }

    /// The text format of Prometheus, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        let balanced = self.balance.write();
        let families = self.registry.gather();
        drop(balanced);
        // Writing to memory does not fail.
        let _ = TextEncoder::new().encode(&families, &mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    /// What is counted of events and answers, as it balanced at one moment.
    pub(crate) fn tallies(&self) -> Tallies {
        let _balanced = self.balance.write();
        Tallies {
            accepted: tally(&self.accepted, ["source", "type"]),
            events: tally(&self.events, ["source", "type", "outcome"]),
            dead_letters: tally(&self.dead_letters, ["source", "reason"]),
            refused: self.refusals.tally(),
            requests: tally(&self.requests, ["code"]),
            spool_records: tally(&self.spool_records, ["lane"]),
            spool_bytes: tally(&self.spool_bytes, ["lane"]),
            drift: self.drift.tally(),
            answer_seconds: buckets(&self.answer_seconds),
        }
    }
}
