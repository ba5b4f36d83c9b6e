//! Readings of real metrics, and an hour made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::history::MetricHistory;
use super::page::Page;
use super::reading::Reading;

const TEN: Duration = Duration::from_secs(10);

/// Metrics as the bridge names them.
struct Counters {
    registry: Registry,
    accepted: IntCounterVec,
    events: IntCounterVec,
    requests: IntCounterVec,
    drift: IntCounterVec,
    records: IntGaugeVec,
    seconds: Histogram,
}

impl Counters {
    fn new() -> Counters {
        let registry = Registry::new_custom(Some("hookbridge".into()), None).unwrap();
        let counter = |name: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, name), labels).unwrap();
            registry.register(Box::new(counter.clone())).unwrap();
            counter
        };
        let records = IntGaugeVec::new(Opts::new("spool_records", "help"), &["lane"]).unwrap();
        registry.register(Box::new(records.clone())).unwrap();
        let seconds =
            Histogram::with_opts(HistogramOpts::new("answer_seconds", "help").buckets(vec![0.01, 0.1, 1.0])).unwrap();
        registry.register(Box::new(seconds.clone())).unwrap();
        Counters {
            accepted: counter("accepted_total", &["source", "type"]),
            events: counter("events_total", &["source", "type", "outcome"]),
            requests: counter("http_requests_total", &["code"]),
            drift: counter("drift_total", &["source", "type", "field"]),
            records,
            seconds,
            registry,
        }
    }

    fn answer(&self, code: &str, count: u64) {
        self.requests.with_label_values(&[code]).inc_by(count);
    }

    fn reading(&self) -> Reading {
        Reading::of(&self.registry.gather())
    }
}

fn key(source: &str, event_type: &str) -> (String, String) {
    (source.to_owned(), event_type.to_owned())
}

#[test]
fn rates_are_per_second_of_the_time_that_passed() {
    let (counters, mut history) = (Counters::new(), MetricHistory::default());
    counters.answer("published", 1000);
    history.sample(0, Duration::ZERO, counters.reading());
    assert!(history.points().is_empty(), "what was before says nothing of a rate");
    for (code, count) in
        [("published", 50), ("spooled", 20), ("dead_lettered", 10), ("unauthorized", 3), ("not_found", 2)]
    {
        counters.answer(code, count);
    }
    counters.records.with_label_values(&["a"]).set(7);
    counters.records.with_label_values(&["b"]).set(5);
    history.sample(20_000, 2 * TEN, counters.reading());
    let point = &history.points()[0];
    let rates = [point.published, point.spooled, point.dead_lettered, point.refused];
    assert_eq!((point.at, rates, point.waiting), (20_000, [2.5, 1.0, 0.5, 0.25], 12));
    assert_eq!((point.p50, point.p99), (None, None), "nothing was answered after a verified body");
}

#[test]
fn quantiles_are_those_of_the_answers_since_the_last_point() {
    let counters = Counters::new();
    for _ in 0..1000 {
        counters.seconds.observe(0.5);
    }
    let before = counters.reading();
    assert_eq!(counters.reading().quantile(&before, 0.5), None);
    for _ in 0..100 {
        counters.seconds.observe(0.05);
    }
    let reading = counters.reading();
    let median = reading.quantile(&before, 0.5).unwrap();
    assert!((median - 0.055).abs() < 1e-9, "in the middle of 0.01 to 0.1: {median}");
    for _ in 0..100 {
        counters.seconds.observe(30.0);
    }
    assert_eq!(counters.reading().quantile(&before, 0.99), Some(1.0), "beyond the last bound it is that bound");
}

#[test]
fn an_hour_is_kept_and_no_more() {
    let (counters, mut history) = (Counters::new(), MetricHistory::default());
    for at in 0..1000 {
        history.sample(at * 10_000, TEN, counters.reading());
    }
    assert_eq!(history.points().len(), 360);
    assert_eq!(history.latest(), Some(9_990_000));
    assert_eq!(history.points()[0].at, 9_990_000 - 359 * 10_000);
}

#[test]
fn a_type_is_seen_when_its_count_moves_also_one_that_begins_late() {
    let (counters, mut history) = (Counters::new(), MetricHistory::default());
    counters.accepted.with_label_values(&["wegly", "lead.won"]);
    history.sample(1, TEN, counters.reading());
    assert_eq!(history.last_seen(&key("wegly", "lead.won")), None);
    counters.accepted.with_label_values(&["wegly", "lead.won"]).inc();
    counters.events.with_label_values(&["wegly", "new", "refused"]).inc();
    history.see(2, &counters.reading());
    history.sample(3, TEN, counters.reading());
    assert_eq!(history.last_seen(&key("wegly", "lead.won")), Some(2));
    assert_eq!(history.last_seen(&key("wegly", "new")), Some(2));
    counters.events.with_label_values(&["wegly", "lead.won", "published"]).inc();
    history.see(4, &counters.reading());
    assert_eq!(history.last_seen(&key("wegly", "lead.won")), Some(2), "drained later, but not seen again");
}

#[test]
fn drift_is_read_with_the_most_frequent_first() {
    let counters = Counters::new();
    assert_eq!(counters.reading().drift, []);
    for (field, count) in [("a", 1), ("none", 0), ("<b>", 5)] {
        counters.drift.with_label_values(&["wegly", "lead.won", field]).inc_by(count);
    }
    let drift = counters.reading().drift;
    let words = serde_json::to_string(&drift).unwrap();
    let due = r#"[{"source":"wegly","type":"lead.won","field":"<b>","count":5},{"source":"wegly","type":"lead.won","field":"a","count":1}]"#;
    assert_eq!(words, due);
    let many = Counters::new();
    for field in 0..300 {
        many.drift.with_label_values(&["wegly", "lead.won", &field.to_string()]).inc();
    }
    assert_eq!(many.reading().drift.len(), 200);
}

#[test]
fn the_page_is_whole_and_asks_for_nothing_from_elsewhere() {
    let Page { html, policy } = Page::new();
    for elsewhere in [
        "http://",
        "https://",
        "src=",
        "url(",
        "@import",
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "{style}",
        "{script}",
    ] {
        assert!(!html.contains(elsewhere), "{elsewhere}");
    }
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
}

#[test]
fn the_catalogue_has_every_record_that_its_events_name() {
    let text =
        crate::tools::dev::configuration("localhost:9092", "http://localhost:8081", true, std::path::Path::new("data"));
    let settings = crate::config::from_text("console", &text, &BTreeMap::new()).unwrap();
    let routes = crate::kafka::route::Routes::plan(&settings);
    let catalogue = super::catalogue::of(&settings.sources, &routes);
    let events = catalogue["events"].as_array().unwrap();
    let types: usize = settings.sources.values().map(|source| source.profile.types.len()).sum();
    assert_eq!(events.len(), types);
    for event in events {
        let latest = event["latest"]["record"].as_str();
        for record in [event["record"].as_str()].into_iter().flatten().chain(latest) {
            assert!(catalogue["types"][record]["fields"].is_array(), "{record}");
        }
        assert!(!event["doc"].as_str().unwrap().is_empty(), "{event}");
    }
}
