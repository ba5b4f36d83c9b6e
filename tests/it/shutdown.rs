//! How it ends: in order, in time, and without dropping what it took on. And that two do not share a directory.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::bridge::{SOON, Setup, words};
use crate::support::eventually;
use crate::support::sender::{self, Line, TOKEN, WHAZING_HEADER};

const BODY: &str = r#"{"Type":"NewTicket","ticket":{"id":5}}"#;
const HEADERS: [(&str, &str); 2] = [(WHAZING_HEADER, TOKEN), ("content-type", "application/json")];

#[test]
fn it_is_not_ready_at_once_serves_on_for_the_delay_then_turns_away_and_ends() {
    let mut setup = Setup::new("ends");
    setup.top = "shutdown_delay = \"2s\"\nshutdown_timeout = \"10s\"\n".into();
    let mut bridge = setup.start();
    // Under way from before the signal until after the delay.
    let length = BODY.len().to_string();
    let mut slow = Line::open(bridge.http);
    slow.head("POST", "/webhooks/whazing", &[&HEADERS[..], &[("content-length", &length)]].concat());
    slow.send(&BODY.as_bytes()[..10]).unwrap();
    // Connections that are there already when new requests are turned away.
    let mut kept = Line::open(bridge.http);
    let mut large = Line::open(bridge.http);
    thread::sleep(Duration::from_millis(300));

    bridge.terminate();
    let started = Instant::now();
    let report = eventually("/readyz fails", Duration::from_secs(1), || {
        let (status, report) = bridge.readyz();
        (status == 503).then_some(report)
    });
    assert_eq!(report["ending"], true);
    let served = bridge.deliver("whazing", BODY);
    assert_eq!((served.status, started.elapsed() < Duration::from_secs(2)), (200, true), "served during the delay");

    thread::sleep(Duration::from_millis(2300).saturating_sub(started.elapsed()));
    kept.head("POST", "/webhooks/whazing", &[&HEADERS[..], &[("content-length", &length)]].concat());
    kept.send(BODY.as_bytes()).unwrap();
    let refused = kept.answer().expect("an answer");
    assert_eq!(refused.sum(), (503, "shutting_down".into()));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("connection"), Some("close"));
    assert_eq!(sender::get(bridge.admin, "/livez").status, 200, "alive until the end");
    // Its body is read by nobody, and the answer reaches it all the same.
    large.head("POST", "/webhooks/whazing", &[&HEADERS[..], &[("content-length", "3000000")]].concat());
    assert_ne!(large.stream.peek(&mut [0]).unwrap(), 0);
    (0..300).for_each(|_| large.send(&[b' '; 10_000]).unwrap());
    assert_eq!(large.answer().expect("an answer").sum(), (503, "shutting_down".into()));

    slow.send(&BODY.as_bytes()[10..]).unwrap();
    let finished = slow.answer().expect("what was under way is answered");
    assert_eq!(finished.sum(), (200, "published".into()));
    assert_eq!(finished.header("connection"), Some("close"));
    assert_eq!(bridge.wait_end().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_sender_that_never_finishes_does_not_hold_up_the_end() {
    let mut setup = Setup::new("ends-anyway");
    setup.top = "shutdown_timeout = \"3s\"\n".into();
    let mut bridge = setup.start();
    let mut never = Line::open(bridge.http);
    never.head("POST", "/webhooks/whazing", &[&HEADERS[..], &[("content-length", "1000")]].concat());
    never.send(b"{").unwrap();
    let _idle = Line::open(bridge.http);
    thread::sleep(Duration::from_millis(200));
    bridge.terminate();
    let started = Instant::now();
    assert_eq!(bridge.wait_end().code(), Some(0));
    assert!(started.elapsed() < Duration::from_millis(3500), "{:?}", started.elapsed());
}

#[test]
fn without_anything_under_way_it_ends_at_once() {
    let mut bridge = Setup::new("ends-idle").start();
    assert_eq!(bridge.deliver("whazing", BODY).status, 200);
    bridge.terminate();
    let started = Instant::now();
    assert_eq!(bridge.wait_end().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[test]
fn a_second_process_on_the_same_directory_does_not_start() {
    let bridge = Setup::new("locked").start();
    let output = bridge.setup.run(&["serve"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("data_dir"), "{said}");
    assert_eq!(bridge.deliver("whazing", BODY).status, 200, "the first goes on");
}

#[test]
fn the_directory_is_free_again_after_a_kill() {
    let setup = Setup::new("killed");
    let again = setup.clone();
    drop(setup.start());
    let bridge = again.start_unready();
    eventually("it is ready", SOON, || (bridge.readyz().0 == 200).then_some(()));
}

#[test]
fn an_address_that_is_taken_is_unavailable() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut setup = Setup::new("taken");
    setup.http = format!("# {}\n", setup.prefix);
    setup.prepare(&[]);
    let file = setup.write();
    let address = taken.local_addr().unwrap().to_string();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("127.0.0.1:0", &address, 1)).unwrap();
    let output = crate::support::bridge::run(&["serve"], &file);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("http.listen"), "{said}");
}
