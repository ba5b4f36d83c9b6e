//! Every metric there is; `new` gives each its name and its help text.
//!
//! Names begin with `hookbridge_`; every series whose labels are known at start is there from the start, at zero, so
//! that a rate over it is right from the first event on.

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::config::Settings;
use crate::dead_letter::Reason;

/// How an accepted delivery ended, as the label `outcome` has it.
const OUTCOMES: [&str; 3] = ["published", "dead_lettered", "refused"];

/// The type of events whose type is not known.
pub(crate) const NO_TYPE: &str = "unknown";

pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) events: IntCounterVec,
    pub(crate) dead_letters: IntCounterVec,
    pub(crate) type_mismatches: IntCounterVec,
    pub(crate) body_bytes: IntCounterVec,
    pub(crate) answer_seconds: Histogram,
    pub(crate) connections: IntGauge,
    pub(crate) in_flight_bytes: IntGauge,
    pub(crate) kafka_up: IntGauge,
    pub(crate) registry_up: IntGauge,
    pub(crate) schemas: IntGaugeVec,
}

impl Metrics {
    /// `answers` are the labels of all answers there can be.
    ///
    /// # Errors
    /// When two metrics have one name, which a test rules out.
    pub(crate) fn new(settings: &Settings, answers: &[&str]) -> Result<Metrics, prometheus::Error> {
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
        // From a fraction of a round trip to Kafka to the acknowledgement timeout.
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
        let answer_seconds = Histogram::with_opts(
            HistogramOpts::new("answer_seconds", "Seconds from the end of a verified body to its answer.")
                .buckets(buckets),
        )?;
        registry.register(Box::new(answer_seconds.clone()))?;

        let requests = counter("http_requests_total", "Requests answered, by outcome or problem code.", &["code"])?;
        for code in answers {
            requests.with_label_values(&[*code]);
        }
        let events =
            counter("events_total", "Verified deliveries, by how they ended.", &["source", "type", "outcome"])?;
        let dead_letters = counter("dead_letters_total", "Dead letters written, by reason.", &["source", "reason"])?;
        let mismatches = "Deliveries whose unsigned type header differs from the signed body.";
        let type_mismatches = counter("type_header_mismatches_total", mismatches, &["source"])?;
        let body_bytes = counter("body_bytes_total", "Bytes of verified bodies.", &["source"])?;
        for source in settings.sources.values() {
            let types = source.profile.types.keys().map(String::as_str).chain([NO_TYPE]);
            for (event_type, outcome) in types.flat_map(|t| OUTCOMES.map(|outcome| (t, outcome))) {
                events.with_label_values(&[source.name.as_str(), event_type, outcome]);
            }
            for reason in Reason::ALL {
                dead_letters.with_label_values(&[source.name.as_str(), reason.code()]);
            }
            type_mismatches.with_label_values(&[source.name.as_str()]);
            body_bytes.with_label_values(&[source.name.as_str()]);
        }
        let schemas = gauges("schemas", "Schemas by what is known of their id.", &["state"])?;
        let build = gauges("build_info", "Always 1; the version is the label.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Metrics {
            requests,
            events,
            dead_letters,
            type_mismatches,
            body_bytes,
            answer_seconds,
            connections: gauge("http_connections", "Connections open on the webhook listener.")?,
            in_flight_bytes: gauge("http_in_flight_bytes", "Bytes of bodies that are being received or published.")?,
            kafka_up: gauge("kafka_up", "1 while Kafka is reachable and every topic is there.")?,
            registry_up: gauge("registry_up", "1 while the registry can be used.")?,
            schemas,
            registry,
        })
    }

    /// The text format of Prometheus, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}
