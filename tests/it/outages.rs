//! Kafka or the registry goes away: what senders are told meanwhile, and that all is well again by itself. What waits
//! meanwhile is the subject of `spool.rs`.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::bridge::{Bridge, SOON, SUBJECTS, Setup};
use crate::support::proxy::{Proxy, split_url};
use crate::support::reader;
use crate::support::servers::servers;
use crate::support::{assert_in_time, eventually};

const BODY: &str = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-00000000000b"}}"#;

/// No room on disk: what Kafka does not take is turned away.
const NO_SPOOL: &str = "[spool]\nmax_bytes = 0\n";

/// Delivers until it is published.
fn delivered_again(bridge: &Bridge) {
    eventually("events are published again", SOON, || (bridge.deliver("wegly", BODY).status == 200).then_some(()));
}

fn assert_turned_away(bridge: &Bridge, ack_timeout: Duration) {
    let started = Instant::now();
    let answer = bridge.deliver("wegly", BODY);
    assert_eq!(answer.sum(), (503, "unavailable".into()), "{answer:?}");
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
    assert_in_time(started, ack_timeout);
}

#[test]
fn without_kafka_and_without_room_to_wait_it_is_not_ready_and_becomes_so_when_kafka_comes() {
    let proxy = Proxy::closed();
    let mut setup = Setup::new("kafka-late");
    setup.bootstrap = proxy.address.to_string();
    setup.http = "ack_timeout = \"1s\"\n".into();
    setup.sources += NO_SPOOL;
    setup.prepare(&[]);
    let bridge = setup.start_unready();
    let report = bridge.wait_not_ready();
    assert_eq!((&report["kafka"]["ok"], &report["spool"]["ok"]), (&false.into(), &false.into()), "{report}");
    assert_turned_away(&bridge, Duration::from_secs(1));
    assert_eq!(bridge.metric("hookbridge_kafka_up"), 0);

    proxy.open(servers().kafka.split(',').next().unwrap());
    bridge.wait_ready();
    assert_eq!(bridge.metric("hookbridge_kafka_up"), 1);
    assert_eq!(bridge.deliver("wegly", BODY).status, 200);
    assert!(!reader::read(&bridge.topic("wegly.lead")).is_empty());
}

#[test]
fn when_kafka_goes_down_and_nothing_may_wait_senders_are_turned_away_within_the_ack_timeout_until_it_is_back() {
    let (kafka, bridge) = Bridge::on_its_own_kafka("kafka-down", NO_SPOOL);
    assert_eq!(bridge.deliver("wegly", BODY).status, 200);

    kafka.go_down();
    assert_turned_away(&bridge, Duration::from_secs(1));
    let report = bridge.wait_not_ready();
    assert_eq!(report["kafka"]["ok"], false, "{report}");
    // A dead letter is no exception.
    let started = Instant::now();
    assert_eq!(bridge.deliver("wegly", "[]").sum(), (503, "unavailable".into()));
    assert_in_time(started, Duration::from_secs(1));

    kafka.come_up();
    bridge.wait_ready();
    delivered_again(&bridge);
    assert!(reader::read_from(&kafka.address, &bridge.topic("wegly.lead")).len() >= 2);
}

#[test]
fn without_the_registry_at_start_events_wait_until_the_registry_comes() {
    let proxy = Proxy::closed();
    let (target, path) = split_url(&servers().registry);
    let mut setup = Setup::new("registry-late");
    setup.registry_url = format!("http://{}{path}", proxy.address);
    setup.prepare(&[]);
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let (_, report) = bridge.readyz();
    assert_eq!((&report["registry"]["ok"], &report["schemas"]["known"]), (&false.into(), &0.into()), "{report}");
    let started = Instant::now();
    let waiting = bridge.deliver("wegly", BODY);
    assert_eq!(waiting.sum(), (202, "spooled".into()), "{waiting:?}");
    assert_in_time(started, Duration::ZERO);

    proxy.open(&target);
    delivered_again(&bridge);
    assert_eq!(bridge.metric("hookbridge_schemas{state=\"known\"}"), SUBJECTS as u64);
    let records = reader::read(&bridge.topic("wegly.lead"));
    assert_eq!(records[0].header("ce_id").unwrap(), waiting.get("id"));
}

#[test]
fn with_cached_ids_it_is_ready_though_the_registry_is_away() {
    let proxy = Proxy::closed();
    let (target, path) = split_url(&servers().registry);
    let mut setup = Setup::new("registry-cached");
    setup.registry_url = format!("http://{}{path}", proxy.address);
    setup.registry = "verify_interval = \"1s\"\n".into();
    proxy.open(&target);
    let again = setup.clone();
    drop(setup.start());

    proxy.close();
    let bridge = again.start_unready();
    bridge.wait_ready();
    let (_, report) = bridge.readyz();
    assert_eq!(report["registry"]["ok"], false, "{report}");
    assert_eq!(bridge.deliver("wegly", BODY).status, 200);
    let record = reader::read(&bridge.topic("wegly.lead")).remove(0);
    assert_eq!(record.decode()["lead"]["id"], "00000000-0000-4000-8000-00000000000b");

    proxy.open(&target);
    eventually("the registry is seen again", SOON, || (bridge.readyz().1["registry"]["ok"] == true).then_some(()));
}

/// A registry that takes connections, and answers nothing.
fn silent_registry(setup: &mut Setup) -> TcpListener {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    setup.registry_url = format!("http://{}", silent.local_addr().unwrap());
    setup.registry = "timeout = \"1m\"\n".into();
    silent
}

#[test]
fn with_cached_ids_events_are_published_before_a_registry_that_hangs_has_answered() {
    let mut setup = Setup::new("registry-hangs");
    let proxy = Proxy::closed();
    let (target, path) = split_url(&servers().registry);
    let url = format!("http://{}{path}", proxy.address);
    setup.registry_url.clone_from(&url);
    let mut again = setup.clone();
    proxy.open(&target);
    drop(setup.start());

    let silent = silent_registry(&mut again);
    proxy.open(&silent.local_addr().unwrap().to_string());
    again.registry_url = url;
    let bridge = again.start_unready();
    assert_eq!(bridge.deliver("wegly", BODY).status, 200);
    let (status, report) = bridge.readyz();
    assert_eq!((status, &report["registry"]["reason"]), (200, &"not connected yet".into()), "{report}");
}

#[test]
fn without_ids_events_wait_in_the_spool_of_a_bridge_whose_registry_hangs() {
    let mut setup = Setup::new("registry-hangs-new");
    let _silent = silent_registry(&mut setup);
    setup.http = "ack_timeout = \"2s\"\n".into();
    setup.prepare(&[]);
    let bridge = setup.start_unready();
    let started = Instant::now();
    assert_eq!(bridge.deliver("wegly", BODY).sum(), (202, "spooled".into()));
    assert_in_time(started, Duration::from_secs(2));
    // Nor does each request wait again.
    let started = Instant::now();
    for _ in 0..8 {
        assert_eq!(bridge.deliver("wegly", BODY).sum(), (202, "spooled".into()));
    }
    assert_in_time(started, Duration::ZERO);
}

#[test]
fn a_kafka_that_is_missing_for_a_moment_loses_nothing_that_was_accepted() {
    let (kafka, bridge) = Bridge::on_its_own_kafka("kafka-blink", "");
    let mut accepted = Vec::new();
    for n in 0..30 {
        match n {
            10 => kafka.go_down(),
            12 => kafka.come_up(),
            _ => {}
        }
        let body = format!(r#"{{"Type":"NewTicket","ticket":{{"id":1}},"n":{n}}}"#);
        let answer = bridge.deliver("whazing", &body);
        assert!([200, 202].contains(&answer.status), "{answer:?}");
        accepted.push(answer.get("id"));
    }
    let ids = eventually("all are in Kafka", SOON, || {
        let records = reader::read_from(&kafka.address, &bridge.topic("whazing.ticket"));
        let mut ids: Vec<_> = records.iter().map(|record| record.header("ce_id").unwrap().to_owned()).collect();
        // What timed out may have landed all the same: the first counts.
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        (ids.len() >= accepted.len()).then_some(ids)
    });
    // In the order they were answered: they share a key.
    assert_eq!(ids, accepted);
}
