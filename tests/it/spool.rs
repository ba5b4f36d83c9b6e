//! What waits on disk: while Kafka is away, for one topic alone, through a kill, within its bounds; and looking at it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::mock::Mock;
use crate::support::reader;
use crate::support::sender::{self, Answer, Line, TOKEN, WHAZING_HEADER};
use crate::support::{assert_in_time, eventually};

/// A ticket event of `ticket`; `n` tells it from the others.
fn ticket(ticket: u32, n: u32) -> String {
    format!(r#"{{"Type":"NewTicket","ticket":{{"id":{ticket}}},"n":{n}}}"#)
}

/// A bridge on a Kafka of its own that is down; `sections` go into its configuration.
fn without_kafka(test: &str, sections: &str) -> (Mock, Bridge) {
    let (kafka, mut setup) = Setup::on_its_own_kafka(test, &[]);
    setup.sources += sections;
    kafka.go_down();
    let bridge = setup.start_unready();
    bridge.wait_ready();
    (kafka, bridge)
}

fn spooled(answer: &Answer) -> String {
    assert_eq!(answer.sum(), (202, "spooled".into()), "{answer:?}");
    answer.get("id")
}

/// Ids in the order of their first occurrence.
fn ids(kafka: &Mock, topic: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let records = reader::read_from(&kafka.address, topic);
    let ids = records.iter().map(|record| record.header("ce_id").unwrap().to_owned());
    ids.filter(|id| seen.insert(id.clone())).collect()
}

fn wait_drained(bridge: &Bridge, lane: &str) {
    let series = format!("hookbridge_spool_records{{lane=\"{}\"}}", bridge.topic(lane));
    eventually("the lane is drained", SOON, || (bridge.metric(&series) == 0).then_some(()));
}

fn inspect(setup: &Setup) -> Vec<Value> {
    let output = setup.run(&["spool", "inspect", "--events", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn while_kafka_is_away_events_wait_without_each_of_them_being_held_up_and_then_go_in_order() {
    let (kafka, bridge) = without_kafka("spool-away", "");
    let started = Instant::now();
    let mut accepted = vec![spooled(&bridge.deliver("whazing", ticket(1, 0)))];
    assert_in_time(started, Duration::from_secs(1));
    let started = Instant::now();
    for n in 1..100 {
        accepted.push(spooled(&bridge.deliver("whazing", ticket(1, n))));
    }
    // Each of them would have waited for a second.
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    // Other topics, too, since it is Kafka as a whole that is away; and what is no record.
    let other = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-0000000000e1"}}"#;
    spooled(&bridge.deliver("wegly", other));
    let dead = bridge.deliver("wegly", "[]");
    assert_eq!((dead.sum(), dead.get("reason")), ((202, "dead_lettered".into()), "unknown_type".into()), "{dead:?}");
    let (status, report) = bridge.readyz();
    assert_eq!((status, &report["kafka"]["ok"], &report["spool"]["ok"]), (200, &false.into(), &true.into()));
    assert_eq!(bridge.metric("hookbridge_accepted_total{source=\"whazing\",type=\"ticket.opened\"}"), 100);
    let published = "hookbridge_events_total{outcome=\"published\",source=\"whazing\",type=\"ticket.opened\"}";
    assert_eq!(bridge.metric(published), 0);

    kafka.come_up();
    for lane in ["whazing.ticket", "wegly.lead", "hookbridge.dead-letters"] {
        wait_drained(&bridge, lane);
    }
    let last = eventually("events go straight to Kafka again", SOON, || {
        let answer = bridge.deliver("whazing", ticket(2, 0));
        (answer.status == 200).then(|| answer.get("id"))
    });
    let found = ids(&kafka, &bridge.topic("whazing.ticket"));
    let of_ticket_1: Vec<_> = found.iter().filter(|id| accepted.contains(id)).cloned().collect();
    assert_eq!(of_ticket_1, accepted);
    assert!(found.contains(&last));
    assert_eq!(ids(&kafka, &bridge.topic("hookbridge.dead-letters")), [dead.get("id")]);
    assert_eq!(bridge.metric("hookbridge_dead_letters_total{reason=\"unknown_type\",source=\"wegly\"}"), 1);
    assert!(bridge.metric(published) >= 101);
}

#[test]
fn what_waits_survives_a_kill_and_can_be_looked_at_before_and_after() {
    let (kafka, bridge) = without_kafka("spool-killed", "");
    let accepted: Vec<_> = (0..20).map(|n| spooled(&bridge.deliver("whazing", ticket(n % 3, n)))).collect();
    let listed = |found: Vec<Value>| -> Vec<String> {
        assert!(
            found.iter().all(|event| event["type"] == "ticket.opened" && event["source"] == "whazing"),
            "{found:?}"
        );
        found.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(inspect(&bridge.setup)), accepted, "while the bridge runs");
    let setup = bridge.setup.clone();
    // Kills it.
    drop(bridge);
    assert_eq!(listed(inspect(&setup)), accepted, "without a bridge");
    let output = setup.run(&["spool", "inspect"]);
    assert!(words(&output).contains("20 deliveries"), "{}", words(&output));

    let bridge = setup.start_unready();
    assert_eq!(bridge.metric("hookbridge_recovered_total{source=\"whazing\"}"), 20);
    spooled(&bridge.deliver("whazing", ticket(0, 100)));
    kafka.come_up();
    wait_drained(&bridge, "whazing.ticket");
    let found = ids(&kafka, &bridge.topic("whazing.ticket"));
    assert_eq!(found.len(), 21);
    for key in 0..3 {
        let order = |all: &[String]| -> Vec<String> {
            let mine = accepted.iter().enumerate().filter(|(n, _)| n % 3 == key).map(|(_, id)| id.clone());
            let mine: BTreeSet<_> = mine.collect();
            all.iter().filter(|id| mine.contains(*id)).cloned().collect()
        };
        assert_eq!(order(&found), order(&accepted));
    }
    assert_eq!(
        bridge.metric("hookbridge_events_total{outcome=\"published\",source=\"whazing\",type=\"ticket.opened\"}"),
        21
    );
    eventually("nothing is left on disk", SOON, || inspect(&bridge.setup).is_empty().then_some(()));
}

#[test]
fn a_full_spool_turns_senders_away_and_takes_events_again_when_there_is_room() {
    let (kafka, bridge) = without_kafka("spool-full", "[spool]\nmax_bytes = \"4 kB\"\nmax_lane_bytes = \"3 kB\"\n");
    let mut accepted = Vec::new();
    let refused = loop {
        let answer = bridge.deliver("whazing", ticket(1, accepted.len() as u32));
        if answer.status != 202 {
            break answer;
        }
        accepted.push(spooled(&answer));
    };
    assert_eq!(refused.sum(), (503, "unavailable".into()));
    assert!(refused.header("retry-after").is_some());
    assert!((3..20).contains(&accepted.len()), "{}", accepted.len());
    // A lane takes no more than its share, so that another has some.
    let lead = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-0000000000e2"}}"#;
    spooled(&bridge.deliver("wegly", lead));
    kafka.come_up();
    wait_drained(&bridge, "whazing.ticket");
    assert_eq!(ids(&kafka, &bridge.topic("whazing.ticket")), accepted);
    let refused = "hookbridge_events_total{outcome=\"refused\",source=\"whazing\",type=\"ticket.opened\"}";
    assert_eq!(bridge.metric(refused), 1);
    kafka.go_down();
    eventually("there is room again", SOON, || (bridge.deliver("whazing", ticket(1, 77)).status == 202).then_some(()));
}

#[test]
fn a_sender_that_hangs_up_early_does_not_take_its_event_back() {
    let (kafka, bridge) = without_kafka("spool-hang-up", "");
    let body = ticket(9, 9);
    let mut line = Line::open(bridge.http);
    let length = body.len().to_string();
    let headers = [(WHAZING_HEADER, TOKEN), ("content-type", "application/json"), ("content-length", &length)];
    line.head("POST", "/webhooks/whazing", &headers);
    line.stream.write_all(body.as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(200));
    drop(line);
    let waiting = eventually("it is in the spool", SOON, || inspect(&bridge.setup).pop());
    kafka.come_up();
    wait_drained(&bridge, "whazing.ticket");
    assert_eq!(ids(&kafka, &bridge.topic("whazing.ticket")), [waiting["id"].as_str().unwrap()]);
}

#[test]
fn no_credential_is_in_the_spool() {
    let (_kafka, bridge) = without_kafka("spool-secret", "");
    let path = format!("/webhooks/whazing/{TOKEN}");
    let bearer = format!("Bearer {TOKEN}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("x-original-uri", path.as_str()),
        ("x-kept", "kept-too"),
    ];
    spooled(&sender::post(bridge.http, &path, &headers, ticket(3, 3).as_bytes()));
    let mut all = Vec::new();
    for file in std::fs::read_dir(bridge.setup.data_dir()).unwrap().flatten().filter(|file| file.path().is_file()) {
        all.extend(std::fs::read(file.path()).unwrap());
    }
    let holds = |part: &str| all.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(holds("x-kept: kept-too") && holds("NewTicket"));
    assert!(!holds(TOKEN));
}

#[test]
fn a_file_that_was_removed_takes_nothing_more() {
    let (_kafka, bridge) = without_kafka("spool-removed", "");
    spooled(&bridge.deliver("whazing", ticket(3, 3)));
    for file in std::fs::read_dir(bridge.setup.data_dir()).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("spool.db") {
            std::fs::remove_file(file.path()).unwrap();
        }
    }
    assert_eq!(bridge.deliver("whazing", ticket(3, 4)).sum(), (503, "unavailable".into()));
    let report = bridge.wait_not_ready();
    assert!(report["spool"]["reason"].as_str().unwrap().contains("removed or replaced"), "{report}");
}

#[test]
fn a_topic_that_cannot_be_written_waits_alone() {
    let (kafka, setup) = Setup::on_its_own_kafka("spool-lane", &[]);
    let broken = setup.topic("whazing.ticket");
    kafka.refuse(&broken, true);
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let first = spooled(&bridge.deliver("whazing", ticket(1, 1)));
    let second = spooled(&bridge.deliver("whazing", ticket(1, 2)));
    let lead = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-0000000000e3"}}"#;
    eventually("the others go on", SOON, || (bridge.deliver("wegly", lead).status == 200).then_some(()));
    kafka.refuse(&broken, false);
    wait_drained(&bridge, "whazing.ticket");
    assert_eq!(ids(&kafka, &broken), [first, second]);
}

#[test]
fn a_spool_whose_bridge_does_not_come_back_can_be_drained() {
    let (kafka, bridge) = without_kafka("spool-drain", "");
    let accepted: Vec<_> = (0..5).map(|n| spooled(&bridge.deliver("whazing", ticket(1, n)))).collect();
    let output = bridge.setup.run(&["spool", "drain"]);
    assert_eq!(output.status.code(), Some(69), "not while a bridge uses it: {}", words(&output));
    let setup = bridge.setup.clone();
    let topic = bridge.topic("whazing.ticket");
    drop(bridge);
    let output = setup.run(&["spool", "drain", "--wait", "2s"]);
    assert_eq!(output.status.code(), Some(69), "not while Kafka is away: {}", words(&output));
    assert!(words(&output).contains("drained 0, left 5"), "{}", words(&output));
    kafka.come_up();
    let output = setup.run(&["spool", "drain"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("drained 5, left 0"), "{}", words(&output));
    assert_eq!(ids(&kafka, &topic), accepted);
    assert_eq!(inspect(&setup), Vec::<Value>::new());
}

#[test]
fn at_the_end_what_kafka_does_not_take_is_in_the_spool_and_answered() {
    let (_kafka, mut bridge) = without_kafka("spool-end", "");
    let (address, body) = (bridge.http, ticket(4, 4));
    let under_way = thread::spawn(move || sender::deliver(address, "whazing", body.as_bytes()));
    thread::sleep(Duration::from_millis(100));
    bridge.terminate();
    let answer = under_way.join().unwrap();
    let id = spooled(&answer);
    assert_eq!(bridge.wait_end().code(), Some(0));
    let waiting = inspect(&bridge.setup);
    assert_eq!(waiting.iter().map(|event| event["id"].as_str().unwrap()).collect::<Vec<_>>(), [id]);
}

#[test]
fn deliveries_of_a_source_that_is_gone_are_kept_until_it_is_back() {
    let (kafka, bridge) =
        without_kafka("spool-source", "[sources.other]\nprofile = \"whazing\"\ntokens = [\"other-token\"]\n");
    spooled(&bridge.deliver("whazing", ticket(4, 4)));
    let mut fewer = bridge.setup.clone();
    let mut all = bridge.setup.clone();
    fewer.sources = fewer.sources.split("[sources.whazing]").next().unwrap().to_owned();
    all.sources.clone_from(&bridge.setup.sources);
    drop(bridge);
    kafka.come_up();
    let bridge = fewer.start_unready();
    let source = eventually("it says so", SOON, || {
        bridge
            .log()
            .into_iter()
            .find(|line| line.contains("the spool holds deliveries of a source that is not configured"))
    });
    assert!(source.contains("whazing"), "{source}");
    assert_eq!(inspect(&bridge.setup).len(), 1);
    drop(bridge);
    let bridge = all.start_unready();
    wait_drained(&bridge, "whazing.ticket");
    assert_eq!(ids(&kafka, &bridge.topic("whazing.ticket")).len(), 1);
}
