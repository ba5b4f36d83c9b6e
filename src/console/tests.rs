//! Readings of real metrics, and an hour made of them.

use std::path::Path;
use std::time::Duration;

use super::history::MetricHistory;
use super::page::Page;
use super::reading::Reading;
use crate::config::Settings;
use crate::observe::metrics::Metrics;
use crate::outcome::End;

const TEN: Duration = Duration::from_secs(10);

fn settings() -> Settings {
    let text = crate::tools::dev::configuration("localhost:9092", "http://localhost:8081", true, Path::new("data"));
    crate::config::from_text("console", &text, &crate::config::Environment::default()).unwrap()
}

/// The bridge's metrics, moved by hand.
struct Counters(Metrics);

impl Counters {
    fn new() -> Counters {
        Counters(Metrics::new(&settings(), &[], std::iter::empty()).unwrap())
    }

    fn answer(&self, code: &str, count: u64) {
        self.0.requests.with_label_values(&[code]).inc_by(count);
    }

    fn reading(&self) -> Reading {
        Reading::of(self.0.tallies())
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
    counters.0.recovered("a", "wegly", 7, 700);
    counters.0.recovered("b", "wegly", 5, 500);
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
        counters.0.answer_seconds.observe(0.5);
    }
    let before = counters.reading();
    assert_eq!(counters.reading().quantile(&before, 0.5), None);
    for _ in 0..100 {
        counters.0.answer_seconds.observe(0.05);
    }
    let reading = counters.reading();
    let median = reading.quantile(&before, 0.5).unwrap();
    assert!((median - 0.035).abs() < 1e-9, "in the middle of 0.02 to 0.05: {median}");
    for _ in 0..100 {
        counters.0.answer_seconds.observe(30.0);
    }
    assert_eq!(counters.reading().quantile(&before, 0.99), Some(10.0), "beyond the last bound it is that bound");
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
    history.sample(1, TEN, counters.reading());
    assert_eq!(history.last_seen(&key("wegly", "lead.won")), None);
    counters.0.spooled("a", "wegly", Some("lead.won"), 100);
    counters.0.refused("wegly", Some("new"));
    history.see(2, &counters.reading());
    history.sample(3, TEN, counters.reading());
    assert_eq!(history.last_seen(&key("wegly", "lead.won")), Some(2));
    assert_eq!(history.last_seen(&key("wegly", "new")), Some(2));
    counters.0.drained("a", "wegly", Some("lead.won"), End::Published, 100);
    history.see(4, &counters.reading());
    assert_eq!(history.last_seen(&key("wegly", "lead.won")), Some(2), "drained later, but not seen again");
}

#[test]
fn drift_is_read_with_the_most_frequent_first() {
    let counters = Counters::new();
    assert_eq!(counters.reading().drift, []);
    counters.0.drift.note("wegly", "lead.won", &["a".into(), "<b>".into(), "<b>".into()]);
    let words = serde_json::to_string(&counters.reading().drift).unwrap();
    let expected = r#"[{"source":"wegly","type":"lead.won","field":"<b>","count":2},{"source":"wegly","type":"lead.won","field":"a","count":1}]"#;
    assert_eq!(words, expected);
    let many = Counters::new();
    many.0.drift.note("wegly", "lead.won", &(0..300).map(|field| field.to_string()).collect::<Vec<_>>());
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
fn the_catalog_has_every_record_that_its_events_name() {
    let settings = settings();
    let routes = crate::kafka::route::Routes::plan(&settings);
    let catalog = super::catalog::of(&settings.sources, &routes);
    let events = catalog["events"].as_array().unwrap();
    let types: usize = settings.sources.values().map(|source| source.profile.types.len()).sum();
    assert_eq!(events.len(), types);
    for event in events {
        let latest = event["latest"]["record"].as_str();
        for record in [event["record"].as_str()].into_iter().flatten().chain(latest) {
            assert!(catalog["types"][record]["fields"].is_array(), "{record}");
        }
        assert!(!event["doc"].as_str().unwrap().is_empty(), "{event}");
    }
}
