//! What `/metrics` shows: everything under one name, all of it from the start, and counts that move.

use crate::support::bridge::{SUBJECTS, Setup};
use crate::support::sender::{self, SECRET, WEGLY_HEADER, hex, mac};

#[test]
fn every_metric_is_there_from_the_start_under_one_name() {
    let bridge = Setup::new("metrics-start").start();
    let answer = sender::get(bridge.admin, "/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    for line in answer.body.lines() {
        let name = line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")).unwrap_or(line);
        assert!(name.starts_with("hookbridge_"), "{line}");
    }
    for code in [
        "published",
        "spooled",
        "dead_lettered",
        "not_found",
        "unknown_source",
        "method_not_allowed",
        "overloaded",
        "shutting_down",
        "unavailable",
        "unauthorized",
        "unsupported_media_type",
        "body_too_large",
        "bad_request",
        "read_timeout",
        "rate_limited",
    ] {
        assert_eq!(bridge.metric(&format!("hookbridge_http_requests_total{{code=\"{code}\"}}")), 0);
    }
    for reason in
        ["malformed_json", "unknown_type", "missing_key", "schema_violation", "record_too_large", "kafka_rejected"]
    {
        let series = format!("hookbridge_dead_letters_total{{reason=\"{reason}\",source=\"wegly\"}}");
        assert_eq!(bridge.metric(&series), 0);
    }
    let lane = |name: &str| format!("{name}{{lane=\"{}\"}}", bridge.topic("wegly.deal"));
    for series in [
        "hookbridge_events_total{outcome=\"published\",source=\"whazing\",type=\"ticket.closed\"}",
        "hookbridge_type_header_mismatches_total{source=\"wegly\"}",
        "hookbridge_body_bytes_total{source=\"wegly\"}",
        "hookbridge_answer_seconds_count",
        "hookbridge_http_connections",
        "hookbridge_http_in_flight_bytes",
        "hookbridge_accepted_total{source=\"whazing\",type=\"ticket.closed\"}",
        "hookbridge_recovered_total{source=\"wegly\"}",
        &lane("hookbridge_spool_records"),
        &lane("hookbridge_spool_bytes"),
    ] {
        assert_eq!(bridge.metric(series), 0, "{series}");
    }
    assert_eq!(bridge.metric("hookbridge_kafka_up"), 1);
    assert_eq!(bridge.metric("hookbridge_registry_up"), 1);
    assert_eq!(bridge.metric("hookbridge_schemas{state=\"known\"}"), SUBJECTS as u64);
    assert_eq!(bridge.metric("hookbridge_schemas{state=\"refused\"}"), 0);
}

#[test]
fn counts_move() {
    let bridge = Setup::new("metrics-move").start();
    let body = r#"{"event_key":"lead.won","payload":{"lead":{"id":"00000000-0000-4000-8000-0000000000ee"}}}"#;
    let signature = hex(&mac(SECRET, body.as_bytes()));
    for header in ["lead.won", "lead.lost"] {
        let headers = [(WEGLY_HEADER, &*signature), ("content-type", "application/json"), ("x-wegly-event", header)];
        assert_eq!(sender::post(bridge.http, "/webhooks/wegly", &headers, body.as_bytes()).status, 200);
    }
    assert_eq!(bridge.deliver("wegly", "[]").status, 202);
    assert_eq!(sender::get(bridge.http, "/nowhere").status, 404);
    for (series, due) in [
        ("hookbridge_http_requests_total{code=\"published\"}", 2),
        ("hookbridge_http_requests_total{code=\"dead_lettered\"}", 1),
        ("hookbridge_http_requests_total{code=\"not_found\"}", 1),
        ("hookbridge_events_total{outcome=\"published\",source=\"wegly\",type=\"lead.won\"}", 2),
        ("hookbridge_events_total{outcome=\"dead_lettered\",source=\"wegly\",type=\"unknown\"}", 1),
        ("hookbridge_accepted_total{source=\"wegly\",type=\"lead.won\"}", 2),
        ("hookbridge_accepted_total{source=\"wegly\",type=\"unknown\"}", 1),
        ("hookbridge_dead_letters_total{reason=\"unknown_type\",source=\"wegly\"}", 1),
        ("hookbridge_type_header_mismatches_total{source=\"wegly\"}", 1),
        ("hookbridge_answer_seconds_count", 3),
        ("hookbridge_http_in_flight_bytes", 0),
        ("hookbridge_body_bytes_total{source=\"wegly\"}", 2 * body.len() as u64 + 2),
    ] {
        assert_eq!(bridge.metric(series), due, "{series}");
    }
}

#[test]
fn the_admin_listener_says_that_it_lives_and_why_it_is_ready() {
    let bridge = Setup::new("admin").start();
    assert_eq!(sender::get(bridge.admin, "/livez").status, 200);
    let (status, report) = bridge.readyz();
    assert_eq!(status, 200);
    assert_eq!((&report["ready"], &report["kafka"]["ok"]), (&true.into(), &true.into()), "{report}");
    // Its routes are its own.
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(sender::get(bridge.http, path).status, 404, "{path}");
    }
    assert_eq!(sender::post(bridge.admin, "/webhooks/wegly", &[], b"{}").status, 404);
}
