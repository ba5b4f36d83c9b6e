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
//! The counters of one delivery move together, and a reader sees them before or after, never between.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramOpts, HistogramTimer, HistogramVec, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::config::Settings;
use crate::dead_letter::Reason;
use crate::pipeline::End;
use crate::publish::Summary;

/// How a delivery ended, as the label `outcome` has it; what is in the spool has not.
const OUTCOMES: [&str; 3] = ["published", "dead_lettered", "refused"];

/// The type of events whose type is not known.
const NO_TYPE: &str = "unknown";

/// Drift is told of so many fields; further ones are [`OTHER`]. Names of fields come from senders.
const MOST_DRIFT: usize = 500;
const OTHER: &str = "other";

/// What a delivery goes through, as the label `stage` has it.
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

    fn label(self) -> &'static str {
        match self {
            Stage::Verify => "verify",
            Stage::Prepare => "prepare",
            Stage::Publish => "publish",
            Stage::Spool => "spool",
        }
    }
}

/// How long a source's sender has been turned away.
struct Patience {
    whole: Duration,
    /// When the first delivery was turned away with none taken since.
    since: Mutex<Option<Instant>>,
}

pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
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
    drift: IntCounterVec,
    /// (source, type, field) that drift was told of.
    drifted: Mutex<HashSet<(String, String, String)>>,
    patience: BTreeMap<String, Patience>,
    patience_seconds: GaugeVec,
    pub(crate) spool_oldest_seconds: GaugeVec,
    pub(crate) kafka: Kafka,
    pub(crate) connections: IntGauge,
    pub(crate) in_flight_bytes: IntGauge,
    pub(crate) ready: IntGauge,
    pub(crate) kafka_up: IntGauge,
    pub(crate) registry_up: IntGauge,
    pub(crate) schemas: IntGaugeVec,
}

/// librdkafka's own figures, of all producers together; set before each scrape.
pub(crate) struct Kafka {
    pub(crate) queue_records: IntGauge,
    pub(crate) queue_bytes: IntGauge,
    pub(crate) up: IntGaugeVec,
    pub(crate) requests: IntGaugeVec,
    pub(crate) retries: IntGaugeVec,
    pub(crate) timeouts: IntGaugeVec,
    pub(crate) rtt: GaugeVec,
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
        let registry = Registry::new_custom(Some("hookbridge".into()), None)?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let seconds = |name: &str, help: &str, labels: &[&str]| {
            let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        // From a fraction of a round trip to Kafka to the acknowledgement timeout.
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
        let histogram = |name: &str, help: &str| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.clone()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let answer_seconds = histogram("answer_seconds", "Seconds from the end of a verified body to its answer.")?;
        let ack_seconds = histogram("kafka_ack_seconds", "Seconds from sending a record to its acknowledgement.")?;
        // From the signature of a small body on.
        let finer = [0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5];
        let help = "Seconds of the stages of a delivery: verify, prepare, publish, spool.";
        let opts = HistogramOpts::new("stage_seconds", help).buckets([&finer[..], &buckets].concat());
        let stages = HistogramVec::new(opts, &["stage"])?;
        registry.register(Box::new(stages.clone()))?;
        let stage_seconds = Stage::ALL.map(|stage| stages.with_label_values(&[stage.label()]));

        let requests = counter("http_requests_total", "Requests answered, by outcome or problem code.", &["code"])?;
        for code in answers {
            requests.with_label_values(&[*code]);
        }
        let help = "Verified deliveries that were taken, which is what a 2xx says: in Kafka or in the spool.";
        let accepted = counter("accepted_total", help, &["source", "type"])?;
        let help = "Deliveries that were in the spool at start.";
        let recovered = counter("recovered_total", help, &["source"])?;
        let help = "Verified deliveries, by how they ended; those in the spool have not.";
        let events = counter("events_total", help, &["source", "type", "outcome"])?;
        let dead_letters = counter("dead_letters_total", "Dead letters written, by reason.", &["source", "reason"])?;
        let mismatches = "Deliveries whose unsigned type header differs from the signed body.";
        let type_mismatches = counter("type_header_mismatches_total", mismatches, &["source"])?;
        let body_bytes = counter("body_bytes_total", "Bytes of verified bodies.", &["source"])?;
        let media_objects = counter("media_objects_total", "Files written to the media store.", &["source"])?;
        let media_bytes = counter("media_bytes_total", "Bytes of files written to the media store.", &["source"])?;
        let help = "Payloads other than the schema, by the record and key that went to `extra`; from the 500th on, field=other.";
        let drift = counter("drift_total", help, &["source", "type", "field"])?;
        for source in settings.sources.values() {
            let types = source.profile.types.keys().map(String::as_str).chain([NO_TYPE]);
            for event_type in types {
                accepted.with_label_values(&[source.name.as_str(), event_type]);
                drift.with_label_values(&[source.name.as_str(), event_type, OTHER]);
                for outcome in OUTCOMES {
                    events.with_label_values(&[source.name.as_str(), event_type, outcome]);
                }
            }
            recovered.with_label_values(&[source.name.as_str()]);
            for reason in Reason::ALL {
                dead_letters.with_label_values(&[source.name.as_str(), reason.code()]);
            }
            type_mismatches.with_label_values(&[source.name.as_str()]);
            for per_source in [&body_bytes, &media_objects, &media_bytes] {
                per_source.with_label_values(&[source.name.as_str()]);
            }
        }
        let help = "Deliveries in the spool, by the topic they wait for.";
        let spool_records = gauges("spool_records", help, &["lane"])?;
        let help = "Bytes of the deliveries in the spool, as they count against spool.max_bytes.";
        let spool_bytes = gauges("spool_bytes", help, &["lane"])?;
        let help = "Seconds since the oldest delivery of the spool was received, by the topic it waits for; 0 when none waits.";
        let spool_oldest_seconds = seconds("spool_oldest_seconds", help, &["lane"])?;
        for lane in lanes {
            spool_records.with_label_values(&[lane]);
            spool_bytes.with_label_values(&[lane]);
            spool_oldest_seconds.with_label_values(&[lane]);
        }
        let help = "Seconds until the sender of a source that is being turned away may give its first delivery up; all of \
                    them while it is not. Only sources whose sender's patience is known.";
        let patience_seconds = seconds("sender_patience_seconds", help, &["source"])?;
        let known = settings.sources.values().filter_map(|source| Some((source.name.clone(), source.patience?)));
        let patience = known.map(|(name, whole)| (name, Patience { whole, since: Mutex::default() })).collect();
        let broker = &["broker"];
        let kafka = Kafka {
            queue_records: gauge("kafka_queue_records", "Records in librdkafka's queues or under way.")?,
            queue_bytes: gauge("kafka_queue_bytes", "Bytes of the records in librdkafka's queues or under way.")?,
            up: gauges("kafka_broker_connections", "Connections to a broker that can be used.", broker)?,
            requests: gauges("kafka_broker_requests", "Requests to a broker that wait or are under way.", broker)?,
            retries: gauges("kafka_broker_retries", "Requests to a broker that were sent again, so far.", broker)?,
            timeouts: gauges("kafka_broker_timeouts", "Requests to a broker that timed out, so far.", broker)?,
            rtt: seconds("kafka_broker_rtt_seconds", "Seconds to a broker's answer, lately.", &["broker", "quantile"])?,
        };
        let schemas = gauges("schemas", "Schemas by what is known of their id.", &["state"])?;
        let help = "spool.max_bytes: what the spool holds at the most.";
        let limit = gauge("spool_limit_bytes", help)?;
        limit.set(i64::try_from(settings.spool.max_bytes).unwrap_or(i64::MAX));
        let build = gauges("build_info", "Always 1; the version is the label.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Metrics {
            requests,
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
            answer_seconds,
            stage_seconds,
            ack_seconds,
            drift,
            drifted: Mutex::default(),
            patience,
            patience_seconds,
            spool_oldest_seconds,
            kafka,
            connections: gauge("http_connections", "Connections open on the webhook listener.")?,
            in_flight_bytes: gauge("http_in_flight_bytes", "Bytes of bodies that are being received or published.")?,
            ready: gauge("ready", "1 while an event could be accepted, as /readyz says.")?,
            kafka_up: gauge("kafka_up", "1 while Kafka is reachable and every topic is there.")?,
            registry_up: gauge("registry_up", "1 while the registry can be used.")?,
            schemas,
            registry,
        })
    }

    fn together(&self, count: impl FnOnce()) {
        let _balanced = self.balance.read();
        count();
    }

    /// Sets librdkafka's figures.
    pub(crate) fn gauge_kafka(&self, summary: &Summary) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.kafka.queue_records.set(signed(summary.records));
        self.kafka.queue_bytes.set(signed(summary.bytes));
        for (id, broker) in &summary.brokers {
            let id = id.to_string();
            let of = |gauges: &IntGaugeVec| gauges.with_label_values(&[id.as_str()]);
            of(&self.kafka.up).set(broker.up);
            of(&self.kafka.requests).set(broker.requests);
            of(&self.kafka.retries).set(signed(broker.retries));
            of(&self.kafka.timeouts).set(signed(broker.timeouts));
            for (quantile, micros) in [("0.5", broker.rtt_p50), ("0.99", broker.rtt_p99)] {
                self.kafka.rtt.with_label_values(&[id.as_str(), quantile]).set(micros as f64 / 1e6);
            }
        }
    }

    /// Starts the time of a stage; it is told when what this gives is dropped.
    pub(crate) fn stage(&self, stage: Stage) -> HistogramTimer {
        self.stage_seconds[stage as usize].start_timer()
    }

    /// A payload was other than its schema in these fields.
    pub(crate) fn drifted(&self, source: &str, event_type: &str, fields: &[String]) {
        for field in fields {
            let key = (source.to_owned(), event_type.to_owned(), field.clone());
            let mut drifted = self.drifted.lock().unwrap_or_else(PoisonError::into_inner);
            let told = drifted.contains(&key) || (drifted.len() < MOST_DRIFT && drifted.insert(key));
            drop(drifted);
            self.drift.with_label_values(&[source, event_type, if told { field } else { OTHER }]).inc();
        }
    }

    /// Sets how old the oldest delivery of each lane is; by lane, when it was received, in milliseconds since 1970.
    pub(crate) fn gauge_oldest(&self, received_at: &[(Arc<str>, Option<i64>)], now: i64) {
        for (lane, received_at) in received_at {
            let seconds = received_at.map_or(0.0, |received_at| (now - received_at).max(0) as f64 / 1000.0);
            self.spool_oldest_seconds.with_label_values(&[lane]).set(seconds);
        }
    }

    /// Sets what is left of each sender's patience.
    pub(crate) fn gauge_patience(&self) {
        for (source, Patience { whole, since }) in &self.patience {
            let turned_away =
                since.lock().unwrap_or_else(PoisonError::into_inner).map_or(Duration::ZERO, |t| t.elapsed());
            let left = whole.saturating_sub(turned_away).as_secs_f64();
            self.patience_seconds.with_label_values(&[source.as_str()]).set(left);
        }
    }

    fn turned_away(&self, source: &str, is: bool) {
        if let Some(patience) = self.patience.get(source) {
            let mut since = patience.since.lock().unwrap_or_else(PoisonError::into_inner);
            *since = if is { since.or_else(|| Some(Instant::now())) } else { None };
        }
    }

    /// A delivery was taken and its sender is told so: it ended at once.
    pub(crate) fn accepted(&self, source: &str, event_type: Option<&str>, end: End) {
        self.turned_away(source, false);
        self.together(|| {
            self.accepted.with_label_values(&[source, event_type.unwrap_or(NO_TYPE)]).inc();
            self.count_end(source, event_type, end);
        });
    }

    /// A delivery was taken into the spool.
    pub(crate) fn spooled(&self, lane: &str, source: &str, event_type: Option<&str>, bytes: u64) {
        self.turned_away(source, false);
        self.together(|| {
            self.accepted.with_label_values(&[source, event_type.unwrap_or(NO_TYPE)]).inc();
            self.fill(lane, 1, bytes as i64);
        });
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
        self.turned_away(source, true);
        self.events.with_label_values(&[source, event_type.unwrap_or(NO_TYPE), "refused"]).inc();
    }

    fn fill(&self, lane: &str, records: i64, bytes: i64) {
        self.spool_records.with_label_values(&[lane]).add(records);
        self.spool_bytes.with_label_values(&[lane]).add(bytes);
    }

    fn count_end(&self, source: &str, event_type: Option<&str>, end: End) {
        let outcome = match end {
            End::Published => "published",
            End::DeadLettered(reason) => {
                self.dead_letters.with_label_values(&[source, reason.code()]).inc();
                "dead_lettered"
            }
        };
        self.events.with_label_values(&[source, event_type.unwrap_or(NO_TYPE), outcome]).inc();
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
}
