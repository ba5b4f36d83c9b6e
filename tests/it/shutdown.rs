//! How it ends: in order, in time, and without dropping what it took on. And that two do not share a directory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bridge::{SOON, Setup, signal, words};
use crate::support::sender::{self, Line, TOKEN, WHAZING_HEADER};
use crate::support::{assert_in_time, eventually};

const BODY: &str = r#"{"Type":"NewTicket","ticket":{"id":5}}"#;
const HEADERS: [(&str, &str); 2] = [(WHAZING_HEADER, TOKEN), ("content-type", "application/json")];

#[test]
fn it_is_not_ready_at_once_serves_on_for_the_delay_then_turns_away_and_ends() {
    let mut setup = Setup::new("ends");
    setup.top = "shutdown_delay = \"5s\"\nshutdown_timeout = \"40s\"\n".into();
    setup.http += "header_timeout = \"1m\"\n";
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
    let report = eventually("/readyz fails", SOON, || {
        let (status, report) = bridge.readyz();
        (status == 503).then_some(report)
    });
    assert_eq!(report["ending"], true);
    let served = bridge.deliver("whazing", BODY);
    assert_eq!((served.status, started.elapsed() < Duration::from_secs(5)), (200, true), "served during the delay");

    thread::sleep(Duration::from_millis(5300).saturating_sub(started.elapsed()));
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
    assert_in_time(started, Duration::from_secs(6));
}

/// What became of connections that were there.
#[derive(Debug, Default)]
struct Answers {
    served: usize,
    turned_away: usize,
    /// Closed or reset without an answer.
    lost: Vec<String>,
}

impl Answers {
    fn note(&mut self, answer: std::io::Result<String>) {
        match answer {
            Ok(text) if text.starts_with("HTTP/1.1 200") => self.served += 1,
            Ok(text) if text.starts_with("HTTP/1.1 503") && text.contains("connection: close") => self.turned_away += 1,
            answer => self.lost.push(format!("{answer:?}")),
        }
    }
}

/// An authentic request of a connection that is used once, and what comes back until the connection ends.
fn exchange(mut stream: &TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(SOON))?;
    let (length, close) = (BODY.len(), "connection: close");
    let head =
        format!("{WHAZING_HEADER}: {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{close}");
    stream.write_all(format!("POST /webhooks/whazing HTTP/1.1\r\nHost: b\r\n{head}\r\n\r\n{BODY}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn every_sender_that_has_connected_gets_an_answer_under_load() {
    for delay in ["0s", "1s"] {
        let mut setup = Setup::new("ends-under-load");
        setup.top = format!("shutdown_delay = \"{delay}\"\n");
        let mut bridge = setup.start();
        let answers = Mutex::new(Answers::default());
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    // Who is refused a connection has lost nothing; a retry goes to the next instance.
                    while let Ok(stream) = TcpStream::connect(bridge.http) {
                        let answer = exchange(&stream);
                        answers.lock().unwrap().note(answer);
                    }
                });
            }
            eventually("it serves", SOON, || (answers.lock().unwrap().served > 200).then_some(()));
            bridge.terminate();
        });
        let answers = answers.into_inner().unwrap();
        assert!(answers.lost.is_empty(), "delay {delay}: {answers:?}");
        assert_eq!(bridge.wait_end().code(), Some(0));
    }
}

#[test]
fn connections_that_nobody_has_accepted_when_it_is_to_end_get_an_answer() {
    let mut bridge = Setup::new("ends-with-a-queue").start();
    // The system completes connections in place of a process that does not run.
    signal(bridge.pid(), "STOP");
    let waiting: Vec<_> = (0..200).map(|_| TcpStream::connect(bridge.http).expect("room in the queue")).collect();
    let answers = Mutex::new(Answers::default());
    thread::scope(|scope| {
        for stream in &waiting {
            let answers = &answers;
            scope.spawn(move || {
                let answer = exchange(stream);
                answers.lock().unwrap().note(answer);
            });
        }
        bridge.terminate();
        signal(bridge.pid(), "CONT");
    });
    let answers = answers.into_inner().unwrap();
    assert!(answers.lost.is_empty(), "{answers:?}");
    assert_eq!(bridge.wait_end().code(), Some(0));
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
    assert_in_time(started, Duration::from_secs(3));
}

#[test]
fn without_anything_under_way_it_ends_at_once() {
    let mut bridge = Setup::new("ends-idle").start();
    assert_eq!(bridge.deliver("whazing", BODY).status, 200);
    bridge.terminate();
    let started = Instant::now();
    assert_eq!(bridge.wait_end().code(), Some(0));
    assert_in_time(started, Duration::ZERO);
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
