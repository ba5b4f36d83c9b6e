//! A refusal of a body that its sender is still writing reaches it, in every framing, and costs the bridge only so much.

use std::fs;
use std::io::Read as _;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bridge::{Bridge, SOON, Setup};
use crate::support::java::{self, available};
use crate::support::sender::{Line, TOKEN, WEGLY_HEADER, WHAZING_HEADER};
use crate::support::{eventually, leave_out, python};
use crate::tls::{section, tools};

const KEY: (&str, &str) = (WHAZING_HEADER, TOKEN);
const JSON: (&str, &str) = ("content-type", "application/json");
/// A body, in bytes: more than `max_body_bytes`, less than what is read of a body that is refused.
const BODY: usize = 2_000_000;
/// Two of them are more than `max_body_bytes`.
const PIECE: usize = 100_000;

/// A bridge that takes small bodies, and waits for none for long.
fn limited(test: &str) -> Bridge {
    let mut setup = Setup::new(test);
    setup.http += "max_body_bytes = 150_000\nbody_timeout = \"2s\"\n";
    setup.start()
}

/// How a request says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length,
    Chunks,
    /// HTTP/1.0.
    Old,
}

impl Framing {
    fn head(self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let (version, body) = match self {
            Framing::Length => ("1.1", format!("content-length: {BODY}")),
            Framing::Chunks => ("1.1", "transfer-encoding: chunked".into()),
            Framing::Old => ("1.0", format!("content-length: {BODY}")),
        };
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{method} {path} HTTP/{version}\r\nHost: bridge\r\n{lines}{body}\r\n\r\n")
    }

    fn piece(self) -> Vec<u8> {
        let piece = " ".repeat(PIECE);
        if self == Framing::Chunks { format!("{PIECE:x}\r\n{piece}\r\n").into_bytes() } else { piece.into_bytes() }
    }
}

/// Waits until an answer is there to be read, and leaves it there.
fn answered(line: &Line) {
    assert_ne!(line.stream.peek(&mut [0]).expect("an answer"), 0, "the connection ends without an answer");
}

/// The connection ends, and is not broken.
fn ends(line: &mut Line) {
    let mut rest = Vec::new();
    line.stream.read_to_end(&mut rest).expect("the end of the connection");
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

/// What is refused, by whom.
#[derive(Clone, Copy, Debug)]
struct Refused {
    status: u16,
    method: &'static str,
    path: &'static str,
    headers: [(&'static str, &'static str); 2],
}

const REFUSED: &[Refused] = &[
    Refused { status: 401, method: "POST", path: "/webhooks/whazing", headers: [(WHAZING_HEADER, "wrong"), JSON] },
    Refused { status: 401, method: "POST", path: "/webhooks/whazing/wrong", headers: [JSON, ("x-other", "")] },
    Refused { status: 401, method: "POST", path: "/webhooks/wegly", headers: [JSON, ("x-other", "")] },
    Refused { status: 404, method: "POST", path: "/elsewhere", headers: [KEY, JSON] },
    Refused { status: 404, method: "POST", path: "/webhooks/nobody", headers: [KEY, JSON] },
    Refused { status: 404, method: "POST", path: "/webhooks/%FF", headers: [KEY, JSON] },
    Refused { status: 405, method: "PUT", path: "/webhooks/whazing", headers: [KEY, JSON] },
    Refused { status: 415, method: "POST", path: "/webhooks/whazing", headers: [KEY, ("content-type", "text/plain")] },
    Refused { status: 413, method: "POST", path: "/webhooks/whazing", headers: [KEY, JSON] },
    Refused { status: 413, method: "POST", path: "/webhooks/wegly", headers: [(WEGLY_HEADER, "ab"), JSON] },
];

/// Writes all of a body, most of it when the answer is there; then reads it, and makes another request.
fn write_then_read(bridge: &Bridge, refused: Refused, framing: Framing) {
    let what = format!("{refused:?} {framing:?}");
    let Refused { status, method, path, headers } = refused;
    let mut line = Line::open(bridge.http);
    line.send(framing.head(method, path, &headers).as_bytes()).unwrap();
    // A body without a length is too large once it is.
    let early = if status == 413 { 2 } else { 0 };
    for n in 0..BODY / PIECE {
        if n == early {
            answered(&line);
        }
        line.send(&framing.piece()).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    if framing == Framing::Chunks {
        line.send(b"0\r\n\r\n").unwrap();
    }
    assert_eq!(line.answer().expect(&what).status, status, "{what}");
    if framing == Framing::Old {
        return ends(&mut line);
    }
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", "2")]);
    line.send(b"{}").unwrap();
    assert_eq!(line.answer().expect(&what).status, 202, "{what}: the next request");
}

#[test]
fn a_sender_that_writes_all_before_it_reads_sees_each_refusal_and_goes_on() {
    let bridge = limited("refused-bodies");
    thread::scope(|scope| {
        for framing in [Framing::Length, Framing::Chunks, Framing::Old] {
            for refused in REFUSED {
                let bridge = &bridge;
                scope.spawn(move || write_then_read(bridge, *refused, framing));
            }
        }
    });
    let connections = || bridge.metric("hookbridge_http_connections");
    eventually("all are closed", SOON, || (connections() == 0).then_some(()));
}

/// Answers 413 to `length` bytes by `Content-Length`, all written before the answer is read, and closes the connection or not.
fn too_large(bridge: &Bridge, length: usize, closes: bool) {
    let mut line = Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", &length.to_string())]);
    if closes {
        answered(&line);
    } else {
        (0..length / PIECE).for_each(|_| line.send(&Framing::Length.piece()).expect("room to write"));
    }
    let answer = line.answer().expect("an answer");
    assert_eq!((answer.status, answer.header("connection")), (413, closes.then_some("close")), "{length} bytes");
    if !closes {
        line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", "2")]);
        line.send(b"{}").unwrap();
        assert_eq!(line.answer().expect("an answer").status, 202, "the request after {length} bytes");
    }
}

#[test]
fn a_body_that_says_it_is_too_large_is_read_as_far_as_any_other() {
    let mut setup = Setup::new("refused-large");
    setup.http += "max_body_bytes = 5_000_000\n";
    let bridge = setup.start();
    // 4 MiB beyond the limit are read, and no more.
    too_large(&bridge, 5_100_000, false);
    too_large(&bridge, 9_100_000, false);
    too_large(&bridge, 9_200_000, true);
}

#[test]
fn a_sender_that_asks_first_is_told_no_and_may_send_all_the_same() {
    let bridge = limited("refused-asking");
    for (status, length) in [(401, 90_000), (413, 900_000)] {
        let mut line = Line::open(bridge.http);
        let key = if status == 401 { (WHAZING_HEADER, "wrong") } else { KEY };
        let length_text = length.to_string();
        let headers = [key, JSON, ("expect", "100-continue"), ("content-length", &length_text)];
        line.head("POST", "/webhooks/whazing", &headers);
        answered(&line);
        // It cannot be told that it shall not.
        for _ in 0..length / 1000 {
            line.send(&[b' '; 1000]).unwrap();
        }
        let answer = line.answer().expect("an answer, not 100");
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")));
        ends(&mut line);
    }
}

#[test]
fn a_body_that_is_late_or_broken_gets_an_answer_that_outlives_what_follows() {
    let bridge = limited("refused-late");
    for (status, framing, body) in [
        (408, "content-length: 99999", " "),
        (408, "transfer-encoding: chunked", "1\r\n \r\n"),
        (400, "transfer-encoding: chunked", "1\r\n \r\nno length\r\n"),
        // By the server library, before it is a request.
        (400, "content-length: -1", ""),
    ] {
        let mut line = Line::open(bridge.http);
        let headers = format!("{WHAZING_HEADER}: {TOKEN}\r\ncontent-type: application/json\r\n{framing}");
        line.send(format!("POST /webhooks/whazing HTTP/1.1\r\nHost: b\r\n{headers}\r\n\r\n{body}").as_bytes()).unwrap();
        answered(&line);
        for _ in 0..50 {
            line.send(&[b' '; 1000]).unwrap_or_else(|error| panic!("{framing}: {error}"));
        }
        assert_eq!(line.answer().expect(framing).status, status, "{framing}");
        ends(&mut line);
    }
    let mut line = Line::open(bridge.http);
    let header = format!("x: {}\r\n", "a".repeat(1_000_000));
    line.send(b"POST /webhooks/whazing HTTP/1.1\r\n").unwrap();
    line.send(header.as_bytes()).unwrap();
    answered(&line);
    line.send(header.as_bytes()).unwrap();
    assert_eq!(line.answer().expect("an answer").status, 431);
    ends(&mut line);
}

#[test]
fn a_sender_without_room_writes_on_and_sees_that_it_is_to_wait() {
    let mut setup = Setup::new("refused-room");
    setup.http += "max_body_bytes = 100_000\nmax_in_flight_bytes = 100_000\n";
    let bridge = setup.start();
    let mut large = Line::open(bridge.http);
    large.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", "100000")]);
    large.send(" ".repeat(99_990).as_bytes()).unwrap();
    let in_flight = || bridge.metric("hookbridge_http_in_flight_bytes") == 99_990;
    eventually("the bytes are charged", SOON, || in_flight().then_some(()));
    let mut line = Line::open(bridge.http);
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", "99000")]);
    line.send(&[b' '; 1000]).unwrap();
    answered(&line);
    for _ in 0..98 {
        line.send(&[b' '; 1000]).unwrap();
    }
    assert_eq!(line.answer().expect("an answer").sum(), (503, "overloaded".into()));
    drop(large);
    eventually("there is room", SOON, || (bridge.metric("hookbridge_http_in_flight_bytes") == 0).then_some(()));
    line.head("POST", "/webhooks/whazing", &[KEY, JSON, ("content-length", "2")]);
    line.send(b"{}").unwrap();
    assert_eq!(line.answer().expect("an answer").status, 202, "the next request");
}

#[test]
fn what_is_read_of_a_refused_body_is_bounded_in_bytes_and_in_time() {
    let bridge = limited("refused-bounds");
    let refused = |headers: &[(&str, &str)]| {
        let mut line = Line::open(bridge.http);
        line.head("POST", "/webhooks/wegly", headers);
        assert_eq!(line.answer().expect("an answer").status, 401);
        line
    };
    // One that writes for ever; the system's buffers hold up to ten MiB beside the four.
    let mut line = refused(&[JSON, ("transfer-encoding", "chunked")]);
    let began = Instant::now();
    let sent = (0..10_000).take_while(|_| line.send(&Framing::Chunks.piece()).is_ok()).count() * PIECE;
    assert!((4 << 20..20 << 20).contains(&sent), "{sent} bytes");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // One that drips, and one that says nothing more.
    let mut drips = refused(&[JSON, ("content-length", "90000")]);
    let mut silent = refused(&[JSON, ("content-length", "90000")]);
    let began = Instant::now();
    ends(&mut silent);
    while drips.send(b" ").is_ok() {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        thread::sleep(Duration::from_millis(50));
    }
    let connections = || bridge.metric("hookbridge_http_connections");
    eventually("their places are free", SOON, || (connections() == 0).then_some(()));
}

#[test]
fn a_half_closed_sender_gets_its_answer_whatever_it_is() {
    let bridge = limited("half-closed");
    for (status, path, key) in [
        (202, "/webhooks/whazing", TOKEN),
        (401, "/webhooks/whazing", "wrong"),
        (404, "/webhooks/nobody", TOKEN),
        (404, "/", TOKEN),
    ] {
        for (framing, body, status) in [
            ("content-length: 2", "{}", status),
            ("transfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n", status),
            ("content-length: 2", "{", if status == 202 { 400 } else { status }),
            ("content-length: 2\r\nexpect: 100-continue", "{}", status),
        ] {
            let mut line = Line::open(bridge.http);
            let headers = format!("{WHAZING_HEADER}: {key}\r\ncontent-type: application/json\r\n{framing}");
            line.send(format!("POST {path} HTTP/1.1\r\nHost: b\r\n{headers}\r\n\r\n{body}").as_bytes()).unwrap();
            line.stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            line.stream.read_to_string(&mut answer).unwrap();
            let last = answer.rsplit_once("HTTP/1.1 ").map_or("", |(_, last)| last);
            assert!(last.starts_with(&status.to_string()), "{path} {framing} {body}: {answer}");
        }
    }
}

/// The clients that are on this machine, by their names: programs that take `URL COUNT BYTES`, post so many bodies of that size, and
/// print each status on a line of its own.
fn clients() -> Vec<(&'static str, Vec<String>)> {
    let program = |program: &str, file: &str| {
        let file = format!("{}/tests/it/{file}", env!("CARGO_MANIFEST_DIR"));
        vec![program.to_owned(), file]
    };
    let node = java::run(Command::new("node").arg("--version"));
    let python = python::python("venv-requests", &["requests==2.32.5"]);
    let all = [
        ("Node.js", node.map(|()| program("node", "post.js")), "install Node.js"),
        ("Java", available(17).map(|()| program("java", "Post.java")), "install a JDK of 17 or later, and Maven"),
        ("requests", python.map(|python| program(&python.display().to_string(), "post.py")), python::ENABLE),
    ];
    let found = all.into_iter().filter_map(|(name, command, enable)| match command {
        Ok(command) => Some((name, command)),
        Err(missing) => {
            leave_out(&format!("refusals as {name} sees them"), &missing, enable);
            None
        }
    });
    found.collect()
}

#[test]
fn the_clients_that_senders_use_see_a_refusal_each_time() {
    const COUNT: usize = 20;
    let bridge = Setup::new("refused-clients").start();
    let url = format!("http://{}/webhooks/whazing", bridge.http);
    for (name, command) in clients() {
        for bytes in [300_000, 8_000_000] {
            let mut program = Command::new(&command[0]);
            let output = program.args(&command[1..]).args([&url, &COUNT.to_string(), &bytes.to_string()]).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(String::from_utf8_lossy(&output.stdout), "401\n".repeat(COUNT), "{name}, {bytes}: {said}");
        }
    }
}

#[test]
fn curl_sees_a_refusal_each_time_in_each_version_of_http() {
    let Some((folder, ca)) = tools("refusals as curl sees them") else { return };
    let body = folder.path().join("body");
    fs::write(&body, vec![b' '; 8_000_000]).unwrap();
    let body = format!("@{}", body.display());
    let mut secure = Setup::new("refused-curl-tls");
    secure.http += &section(folder.path(), "server");
    let (plain, secure) = (Setup::new("refused-curl").start(), secure.start());
    let chunked = &["-H", "transfer-encoding: chunked"][..];
    // Without a word before its body, and with one.
    let (blunt, asking) = (&["-H", "expect:"][..], &["-H", "expect: 100-continue"][..]);
    for (bridge, scheme, version) in
        [(&plain, "http", "1.0"), (&plain, "http", "1.1"), (&secure, "https", "1.1"), (&secure, "https", "2")]
    {
        for how in [blunt, asking, &[blunt, chunked].concat()] {
            if version == "1.0" && how.len() > 2 {
                continue;
            }
            let mut curl = Command::new("curl");
            curl.args(["-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{http_code} %{exitcode}\n", "--cacert"]);
            curl.arg(&ca).arg(format!("--http{version}")).args(how).args(["-H", "content-type: application/json"]);
            // Ten requests, which share a connection if it lasts.
            curl.args(["--data-binary", &body])
                .arg(format!("{scheme}://127.0.0.1:{}/webhooks/wegly?[1-10]", bridge.http.port()));
            let output = curl.output().unwrap();
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(out, "401 0\n".repeat(10), "{scheme} {version} {how:?}: {err}");
        }
    }
}
