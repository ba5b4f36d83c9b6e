//! What `/metrics` shows: everything under one name, all of it from the start, and counts that move.

use crate::support::bridge::{Bridge, SOON, SUBJECTS, Setup, words};
use crate::support::eventually;
use crate::support::java::free_port;
use crate::support::sender::{self, SECRET, WEGLY_HEADER, hex, mac};

#[test]
fn every_metric_is_there_from_the_start_under_one_name() {
    let bridge = Setup::new("metrics-start").start();
    let answer = sender::get(bridge.admin, "/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    for line in answer.body.lines() {
        let name = line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")).unwrap_or(line);
        assert!(name.starts_with("hookbridge_"), "{line}");
        // What only grows is a counter, and only counters are named like one.
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(answer.body.contains(&format!("# HELP {name} ")), "{name} has no help");
        }
    }
    let memory = bridge.metric("hookbridge_process_resident_memory_bytes");
    assert!((1 << 20..1 << 30).contains(&memory), "{memory}");
    for code in [
        "published",
        "spooled",
        "dead_lettered",
        "ignored",
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
    for (source, reason) in [("wegly", "wrong"), ("whazing", "rate_limited"), ("(none)", "unknown_source")] {
        let series = format!("hookbridge_refused_total{{reason=\"{reason}\",source=\"{source}\"}}");
        assert_eq!(bridge.metric(&series), 0);
    }
    for topic in ["wegly.deal", "wegly.chat-by-deal", "wegly.deal-latest", "hookbridge.dead-letters"] {
        for reason in ["leaderless", "under_replicated"] {
            let labels = format!("{{reason=\"{reason}\",topic=\"{}\"}}", bridge.topic(topic));
            assert_eq!(bridge.metric(&format!("hookbridge_kafka_partitions_unwritable{labels}")), 0);
        }
    }
    let lane = |name: &str| format!("{name}{{lane=\"{}\"}}", bridge.topic("wegly.deal"));
    for series in [
        "hookbridge_events_total{outcome=\"published\",source=\"whazing\",type=\"ticket.closed\"}",
        "hookbridge_events_total{outcome=\"ignored\",source=\"whazing\",type=\"unknown\"}",
        "hookbridge_type_header_mismatches_total{source=\"wegly\"}",
        "hookbridge_body_bytes_total{source=\"wegly\"}",
        "hookbridge_answer_seconds_count",
        "hookbridge_http_connections",
        "hookbridge_http_in_flight_bytes",
        "hookbridge_accepted_total{source=\"whazing\",type=\"ticket.closed\"}",
        "hookbridge_recovered_total{source=\"wegly\"}",
        "hookbridge_drift_total{field=\"other\",source=\"wegly\",type=\"lead.won\"}",
        "hookbridge_stage_seconds_count{stage=\"spool\"}",
        "hookbridge_kafka_ack_seconds_count",
        "hookbridge_spans_total{outcome=\"dropped\"}",
        "hookbridge_kafka_queue_records",
        "hookbridge_kafka_producers_replaced_total{reason=\"fatal\"}",
        "hookbridge_kafka_producers_replaced_total{reason=\"unreachable\"}",
        "hookbridge_kafka_producers_replaced_total{reason=\"stalled\"}",
        "hookbridge_kafka_queue_bytes",
        &lane("hookbridge_spool_oldest_seconds"),
        &lane("hookbridge_spool_records"),
        &lane("hookbridge_spool_bytes"),
    ] {
        assert_eq!(bridge.metric(series), 0, "{series}");
    }
    assert_eq!(bridge.metric("hookbridge_sender_patience_seconds{source=\"whazing\"}"), 360);
    assert_eq!(bridge.metric("hookbridge_ready"), 1);
    assert_eq!(bridge.metric("hookbridge_spool_limit_bytes"), 10 << 30);
    assert_eq!(bridge.metric("hookbridge_spool_lane_limit_bytes"), 5 << 30);
    let (free, reserve) =
        (bridge.metric("hookbridge_disk_free_bytes"), bridge.metric("hookbridge_spool_min_free_bytes"));
    assert!(reserve >= 64 << 20 && free > reserve, "{free} bytes free, {reserve} of them reserved");
    let room = bridge.metric("hookbridge_spool_room_bytes");
    assert!(room > 0 && room <= 10 << 30 && room < free, "{room}");
    // 0 where no limit is set.
    bridge.metric("hookbridge_process_memory_limit_bytes");
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
        ("hookbridge_stage_seconds_count{stage=\"verify\"}", 3),
        ("hookbridge_stage_seconds_count{stage=\"prepare\"}", 3),
        ("hookbridge_stage_seconds_count{stage=\"publish\"}", 3),
        // Two leads, each with its latest state.
        ("hookbridge_kafka_ack_seconds_count", 4),
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

#[test]
fn drift_is_told_by_record_and_key() {
    let bridge = Setup::new("metrics-drift").start();
    let deal = r#""id":"00000000-0000-4000-8000-0000000000ee","novo":1,"code":"seven","stage":null"#;
    let body =
        format!(r#"{{"event_key":"deal.won","versão":2,"payload":{{"deal":{{{deal}}},"won_by":{{"name":"Ana"}}}}}}"#);
    for _ in 0..2 {
        assert_eq!(bridge.deliver("wegly", &body).status, 200);
    }
    let metrics = sender::get(bridge.admin, "/metrics").body;
    let drift: Vec<_> =
        metrics.lines().filter(|l| l.starts_with("hookbridge_drift_total{") && !l.ends_with(" 0")).collect();
    let series =
        |field: &str| format!("hookbridge_drift_total{{field=\"{field}\",source=\"wegly\",type=\"deal.won\"}} 2");
    // Unknown; no number; no id, so that the whole goes; beside the payload.
    let due = ["DealSnapshot.code", "DealSnapshot.novo", "DealWon.$envelope", "DealWon.won_by"].map(series);
    assert_eq!(drift, due);
}

#[test]
fn what_waits_grows_old_and_who_is_turned_away_grows_impatient() {
    let (kafka, mut setup) = Setup::on_its_own_kafka("metrics-old", &[]);
    setup.sources += "patience = \"60s\"\n[spool]\nmax_bytes = 8000\n";
    kafka.go_down();
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let ticket = |n: u32| format!(r#"{{"Type":"NewTicket","ticket":{{"id":{n}}},"pad":"{}"}}"#, "x".repeat(2500));
    let oldest = format!("hookbridge_spool_oldest_seconds{{lane=\"{}\"}}", bridge.topic("whazing.ticket"));
    let patience = || seconds(&bridge, "hookbridge_sender_patience_seconds{source=\"whazing\"}");
    assert_eq!(bridge.deliver("whazing", ticket(1)).status, 202);
    eventually("there is no room for more", SOON, || {
        (bridge.deliver("whazing", ticket(2)).status == 503).then_some(())
    });
    eventually("both are seen", SOON, || (seconds(&bridge, &oldest) > 1.0 && patience() < 59.5).then_some(()));
    kafka.come_up();
    eventually("it is taken", SOON, || (bridge.deliver("whazing", ticket(2)).status < 300).then_some(()));
    assert!((patience() - 60.0).abs() < 0.01);
    eventually("nothing waits", SOON, || (seconds(&bridge, &oldest) == 0.0).then_some(()));
    let broker = |l: &str| l.starts_with("hookbridge_kafka_broker_connections{") && !l.ends_with(" 0");
    eventually("librdkafka tells of its broker", SOON, || {
        sender::get(bridge.admin, "/metrics").body.lines().any(broker).then_some(())
    });
}

fn seconds(bridge: &Bridge, series: &str) -> f64 {
    let metrics = sender::get(bridge.admin, "/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("no {series}"));
    line.trim().parse().unwrap()
}

#[test]
fn a_disk_that_is_full_for_the_spool_shows_as_no_room_before_an_event_is_refused() {
    let mut setup = Setup::new("metrics-room");
    // More than any disk has.
    setup.sources += "[spool]\nmin_free_bytes = 1125899906842624\n";
    let bridge = setup.start();
    assert_eq!(bridge.metric("hookbridge_spool_room_bytes"), 0);
    assert_eq!(bridge.metric("hookbridge_spool_min_free_bytes"), 1 << 50);
    assert!(bridge.metric("hookbridge_disk_free_bytes") > 0);
    assert_eq!(bridge.metric("hookbridge_ready"), 1, "Kafka takes events");
}

#[test]
fn health_asks_the_running_bridge() {
    let (kafka, mut setup) = Setup::on_its_own_kafka("health", &[]);
    setup.ports = [free_port(), free_port()];
    setup.sources += "[spool]\nmax_bytes = 0\n";
    let health = |setup: &Setup, more: &[&str]| {
        let output = setup.run(&[&["health"], more].concat());
        (output.status.code(), words(&output))
    };
    let (code, said) = health(&setup, &[]);
    assert!(code == Some(1) && said.contains("/livez: no answer"), "{said}");
    kafka.go_down();
    let bridge = setup.clone().start_unready();
    assert_eq!(health(&setup, &[]), (Some(0), String::new()));
    let (code, said) = health(&setup, &["--ready"]);
    assert!(code == Some(1) && said.contains("/readyz: 503"), "{said}");
    kafka.come_up();
    bridge.wait_ready();
    assert_eq!(health(&setup, &["--ready"]), (Some(0), String::new()));
}
