//! A clock that is ahead: Kafka refuses what is from more than an hour ahead of its own. Nothing becomes a dead letter by
//! that, nothing overtakes, and no record has a time that is still to come.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::java::free_port;
use crate::support::reader;
use crate::support::servers::servers;
use crate::support::wrong_clock::WrongClock;
use crate::support::{eventually, skip};

const AHEAD: Duration = Duration::from_secs(61 * 60);
const DEALS: u32 = 6;

/// A setup whose bridge has this clock.
fn with_a_clock(test: &str) -> Option<(WrongClock, Setup)> {
    if servers().is_mock() {
        skip(test, "the mock cluster takes records of any time", "install Java and Maven");
        return None;
    }
    let mut setup = Setup::new(test);
    match WrongClock::compile(setup.dir.path()) {
        Ok(clock) => {
            setup.runner = clock.runner();
            Some((clock, setup))
        }
        Err(missing) => {
            skip(test, &format!("no clock that can be set: {missing}"), "install a C compiler");
            None
        }
    }
}

fn millis() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn deal(key: u32, n: u32) -> String {
    let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let id = format!("00000000-0000-4000-8000-{key:012x}");
    json!({"event_key": "deal.updated", "payload": {"id": id, "title": n.to_string(), "updated_at": at}}).to_string()
}

/// Sends the next events of every deal, one after the other, and gives how many of them were spooled.
fn send(bridge: &Bridge, from: u32, count: u32) -> u32 {
    thread::scope(|scope| {
        let senders: Vec<_> = (0..DEALS)
            .map(|key| {
                scope.spawn(move || {
                    let mut spooled = 0;
                    for n in from..from + count {
                        match bridge.deliver("wegly", deal(key, n)).sum() {
                            (200, outcome) => assert_eq!(outcome, "published"),
                            (status, outcome) => {
                                assert_eq!((status, outcome.as_str()), (202, "spooled"));
                                spooled += 1;
                            }
                        }
                    }
                    spooled
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    })
}

/// Waits until the spool is empty, and looks at what Kafka has then: `count` events of each deal.
fn judge(bridge: &Bridge, count: u32) {
    for lane in ["wegly.deal", "hookbridge.dead-letters"] {
        let series = format!("hookbridge_spool_records{{lane=\"{}\"}}", bridge.topic(lane));
        eventually("the lane is drained", SOON, || (bridge.metric(&series) == 0).then_some(()));
    }
    for reason in ["kafka_rejected", "record_too_large"] {
        let series = format!("hookbridge_dead_letters_total{{reason=\"{reason}\",source=\"wegly\"}}");
        assert_eq!(bridge.metric(&series), 0, "{reason}");
    }
    for topic in ["wegly.deal", "wegly.deal-latest"] {
        let mut of_key: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for record in reader::read(&bridge.topic(topic)) {
            assert!(record.timestamp <= millis(), "{} ms ahead", record.timestamp - millis());
            let n = record.decode()["deal"]["title"].as_str().unwrap().parse().unwrap();
            of_key.entry(record.key).or_default().push(n);
        }
        assert_eq!(of_key.len() as u32, DEALS);
        for (key, mut all) in of_key {
            // A record of an event whose other one had to wait is written again.
            all.dedup();
            assert_eq!(all, (0..count).collect::<Vec<_>>(), "{topic}: {key}");
        }
    }
}

#[test]
fn when_the_clock_jumps_ahead_events_go_on_in_order_with_the_time_that_kafka_takes() {
    let Some((clock, setup)) = with_a_clock("clock-jumps") else { return };
    let bridge = setup.start();
    send(&bridge, 0, 5);
    clock.set_ahead(AHEAD);
    let spooled = send(&bridge, 5, 20);
    let dead = bridge.deliver("wegly", "[]");
    assert_eq!((dead.sum(), dead.get("reason")), ((202, "dead_lettered".into()), "unknown_type".into()));
    assert_eq!(spooled, 0, "the time that passed since it was right is known");
    assert_eq!(bridge.says("this machine's clock seems to be 61 minutes ahead").len(), 1);
    clock.set_ahead(Duration::ZERO);
    send(&bridge, 25, 5);
    judge(&bridge, 30);
    let letters = reader::read(&bridge.topic("hookbridge.dead-letters"));
    assert_eq!(letters.iter().map(|letter| letter.key.as_str()).collect::<Vec<_>>(), [dead.get("id")]);
    assert!(letters[0].timestamp <= millis());
}

#[test]
fn under_a_clock_that_was_never_right_events_wait_in_order_and_go_on_by_the_registrys() {
    let Some((clock, setup)) = with_a_clock("clock-at-start") else { return };
    let right = setup.clone().start();
    drop(right);
    clock.set_ahead(AHEAD);

    let bridge = setup.start();
    assert!(send(&bridge, 0, 5) > 0, "nothing is known of the right time yet");
    assert_eq!(bridge.says("clock seems to be more than 60 minutes ahead of Kafka's; set the clock").len(), 1);
    let mut next = 5;
    eventually("events go straight to Kafka again", SOON, || {
        next += 1;
        thread::sleep(Duration::from_millis(200));
        (send(&bridge, next - 1, 1) == 0).then_some(())
    });
    judge(&bridge, next);

    let mut check = Command::new("env");
    check.args(&clock.runner()[1..]).arg(env!("CARGO_BIN_EXE_hookbridge")).arg("--config").arg(bridge.setup.write());
    let output = check.arg("check").output().unwrap();
    let told = words(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("this machine's clock is 6"), "{told}");
    assert!(told.contains("minutes ahead of the registry's"), "{told}");
}

#[test]
fn what_waited_under_a_clock_that_was_ahead_leaves_once_it_is_right() {
    let Some((clock, mut setup)) = with_a_clock("clock-backlog") else { return };
    clock.set_ahead(2 * AHEAD);
    let kafka = std::mem::replace(&mut setup.bootstrap, format!("127.0.0.1:{}", free_port()));
    setup.http = "ack_timeout = \"1s\"\n".into();
    let bridge = setup.clone().start_unready();
    bridge.wait_ready();
    assert_eq!(send(&bridge, 0, 5), 5 * DEALS);
    // Kills it.
    drop(bridge);
    setup.bootstrap = kafka;
    clock.set_ahead(Duration::ZERO);
    let bridge = setup.start();
    judge(&bridge, 5);
}
