//! More than it should take: a source over its rate, bodies over the memory there is for them, idle connections.

use std::time::{Duration, Instant};

use crate::support::bridge::{SOON, Setup};
use crate::support::sender::{Line, TOKEN, WHAZING_HEADER};
use crate::support::{assert_in_time, eventually};

const HEADERS: [(&str, &str); 2] = [(WHAZING_HEADER, TOKEN), ("content-type", "application/json")];

#[test]
fn a_source_over_its_rate_is_told_to_wait_and_only_that_source() {
    let mut setup = Setup::new("rate");
    setup.sources += "rate_limit = 2\n";
    let bridge = setup.start();
    let answers: Vec<_> =
        (0..6).map(|_| bridge.deliver("whazing", r#"{"Type":"NewTicket","ticket":{"id":5}}"#)).collect();
    assert_eq!(answers[0].status, 200);
    let limited = answers.iter().find(|answer| answer.status == 429).expect("a 429");
    assert_eq!(limited.sum(), (429, "rate_limited".into()));
    assert!(limited.header("retry-after").is_some());
    assert_eq!(bridge.deliver("wegly", "{}").status, 202, "the other source has no limit");
    // Only what is authentic counts.
    eventually("it is let in again", SOON, || {
        (bridge.deliver("whazing", r#"{"Type":"NewTicket","ticket":{"id":5}}"#).status == 200).then_some(())
    });
}

#[test]
fn bodies_over_the_memory_for_them_are_turned_away_until_there_is_room_again() {
    let mut setup = Setup::new("memory");
    setup.http = "max_body_bytes = 100_000\nmax_in_flight_bytes = 100_000\n".into();
    let bridge = setup.start();
    // Charged as it arrives, not as it is announced.
    let mut large = Line::open(bridge.http);
    large.head("POST", "/webhooks/whazing", &[&HEADERS[..], &[("content-length", "100000")]].concat());
    assert_eq!(bridge.deliver("whazing", "{}").status, 202);
    large.send(" ".repeat(99_990).as_bytes()).unwrap();
    let in_flight = || bridge.metric("hookbridge_http_in_flight_bytes") == 99_990;
    eventually("the bytes are charged", SOON, || in_flight().then_some(()));

    let answer = bridge.deliver("whazing", r#"{"Type":"NewTicket","ticket":{"id":5}}"#);
    assert_eq!(answer.sum(), (503, "overloaded".into()));
    assert!(answer.header("retry-after").is_some());
    drop(large);
    eventually("there is room again", SOON, || {
        (bridge.deliver("whazing", r#"{"Type":"NewTicket","ticket":{"id":5}}"#).status == 200).then_some(())
    });
}

#[test]
fn a_connection_is_kept_from_request_to_request_and_closed_when_idle_too_long() {
    let mut setup = Setup::new("idle");
    setup.http = "idle_timeout = \"1s\"\n".into();
    let bridge = setup.start();
    let mut line = Line::open(bridge.http);
    for _ in 0..3 {
        line.head("POST", "/webhooks/whazing", &[&HEADERS[..], &[("content-length", "2")]].concat());
        line.send(b"{}").unwrap();
        assert_eq!(line.answer().unwrap().status, 202);
    }
    let started = Instant::now();
    assert!(line.answer().is_none(), "closed");
    assert_in_time(started, Duration::from_secs(1));
}

#[test]
fn connections_over_the_cap_wait_their_turn() {
    let mut setup = Setup::new("cap");
    setup.http = "max_connections = 2\n".into();
    let bridge = setup.start();
    let mut held = [Line::open(bridge.http), Line::open(bridge.http)];
    for line in &mut held {
        line.head("POST", "/webhooks/whazing", &[&HEADERS[..], &[("content-length", "2")]].concat());
    }
    eventually("both are open", SOON, || (bridge.metric("hookbridge_http_connections") == 2).then_some(()));
    std::thread::sleep(Duration::from_millis(200));
    let mut third = Line::open(bridge.http);
    third.head("POST", "/webhooks/whazing", &[&HEADERS[..], &[("content-length", "2")]].concat());
    third.send(b"{}").unwrap();
    third.stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(third.answer().is_none(), "not while two are served");
    drop(held);
    third.stream.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(third.answer().unwrap().status, 202);
}

#[test]
fn strangers_that_hold_all_connections_leave_files_for_the_admin_listener_and_kafka() {
    let mut setup = Setup::new("few-files");
    setup.http += "max_connections = 10_000\n";
    setup.runner = ["prlimit", "--nofile=700:700"].map(String::from).to_vec();
    let bridge = setup.start();
    bridge.says("http.max_connections is lowered");
    let before = bridge.log().len();
    // More than there are files: the last ones take the places of the first.
    let held: Vec<_> = (0..800).map(|_| std::net::TcpStream::connect(bridge.http).unwrap()).collect();
    let open = || bridge.metric("hookbridge_http_connections");
    eventually("almost all places are taken", SOON, || (open() >= 300).then_some(()));
    assert!(open() <= 350);
    assert_eq!(bridge.readyz().0, 200);
    let warnings = bridge.log()[before..].iter().filter(|line| line.contains("cannot accept connections")).count();
    assert_eq!(warnings, 0);
    drop(held);
    eventually("a sender gets through", SOON, || {
        (bridge.deliver("whazing", r#"{"Type":"NewTicket","ticket":{"id":5}}"#).status == 200).then_some(())
    });
}
