//! What strangers can do without a secret: hold memory and connections that honest senders need. Whatever they hold, the honest
//! are answered, within the memory that the kernel allows.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::doors::{H2, behind_tls, frame, memory};
use crate::memory::confine;
use crate::support::bridge::{Bridge, SOON, Setup};
use crate::support::sender::{self, Line, TOKEN, WEGLY_HEADER, WHAZING_HEADER};
use crate::support::{assert_in_time, eventually};

const DEAL: &str = r#"{"event_key":"deal.updated","payload":{"id":"00000000-0000-4000-8000-0000000000d2"}}"#;
const TICKET: &str = r#"{"Type":"NewTicket","ticket":{"id":5}}"#;
/// What a signature looks like, 32 bytes.
pub(crate) const MADE_UP_SIGNATURE: &str = "abababababababababababababababababababababababababababababababab";
const MIB: usize = 1 << 20;

/// A body behind a made-up signature, of which all but the last byte is sent.
fn stalled(to: SocketAddr, announced: usize, sent: usize) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_write_timeout(Some(SOON)).ok()?;
    let head = format!(
        "POST /webhooks/wegly HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n{WEGLY_HEADER}: {MADE_UP_SIGNATURE}\r\nContent-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let piece = vec![b' '; sent.min(64 << 10)];
    let mut left = sent;
    while left > 0 {
        let bytes = left.min(piece.len());
        // A refusal ends it.
        stream.write_all(&piece[..bytes]).ok()?;
        left -= bytes;
    }
    Some(stream)
}

/// Calls `post` with the numbers below `count`, 50 times a second, whatever becomes of those before. Gives the statuses, and the times
/// that they took, from the shortest on.
pub(crate) fn post_evenly(count: usize, post: impl Fn(usize) -> u16 + Sync) -> (Vec<u16>, Vec<Duration>) {
    let (began, post) = (Instant::now(), &post);
    let answers: Vec<_> = thread::scope(|scope| {
        let senders: Vec<_> = (0..count)
            .map(|n| {
                thread::sleep((began + Duration::from_millis(20) * n as u32).saturating_duration_since(Instant::now()));
                scope.spawn(move || {
                    let began = Instant::now();
                    (post(n), began.elapsed())
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let (statuses, mut times): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
    times.sort();
    (statuses, times)
}

/// Posts events of either source in this way; gives the statuses that are not 200, and the times.
fn honest(bridge: &Bridge, count: usize) -> (Vec<u16>, Vec<Duration>) {
    let (mut statuses, times) = post_evenly(count, |n| {
        let (source, body) = if n % 2 == 0 { ("wegly", DEAL) } else { ("whazing", TICKET) };
        bridge.deliver(source, body).status
    });
    statuses.retain(|status| *status != 200);
    (statuses, times)
}

/// Ends the strangers, also when a test fails.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn bodies_that_stall_behind_made_up_signatures_hold_up_no_honest_sender() {
    let bridge = Setup::new("strangers-bodies").start();
    let _group = confine(&bridge, 512);
    assert_eq!(honest(&bridge, 10).0, [0_u16; 0], "before");
    // (stallers, bytes of each); 17 of the largest are more than all memory for bodies.
    for (count, bytes) in [(17, 16 * MIB - 1), (500, MIB)] {
        let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        let ((refused, times), in_flight) = thread::scope(|scope| {
            let _ends = Ends(&stop);
            for _ in 0..count.min(17) {
                scope.spawn(|| {
                    // Again and again, as each is refused.
                    let mut held = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        held.extend(stalled(bridge.http, 16 * MIB, bytes));
                        sent.fetch_add(1, Ordering::Relaxed);
                        if held.len() * 17 > count {
                            held.remove(0);
                        }
                        thread::sleep(Duration::from_millis(100));
                    }
                });
            }
            eventually("all of them are there", 4 * SOON, || (sent.load(Ordering::Relaxed) >= count).then_some(()));
            let answers = honest(&bridge, 250);
            let in_flight = bridge.metric("hookbridge_http_in_flight_bytes") >> 20;
            (answers, in_flight)
        });
        let (middle, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        eprintln!("{count} of {bytes} bytes: refused {refused:?}, median {middle:?}, p99 {p99:?}, {in_flight} MiB");
        assert_eq!(refused, [0_u16; 0], "{count} stallers of {bytes} bytes");
        // One address has a quarter of what strangers may hold, which is 128 MiB.
        assert!(in_flight <= 33, "{in_flight} MiB");
    }
    eventually("all is given back", SOON, || (bridge.metric("hookbridge_http_in_flight_bytes") == 0).then_some(()));
}

#[test]
fn a_stranger_that_has_to_give_way_sees_the_answer() {
    let mut setup = Setup::new("strangers-answer");
    setup.http += "max_body_bytes = 100_000\nmax_in_flight_bytes = 100_000\n";
    let bridge = setup.start();
    let stranger = stalled(bridge.http, 90_000, 80_000).unwrap();
    let in_flight = || bridge.metric("hookbridge_http_in_flight_bytes");
    eventually("the bytes are charged", SOON, || (in_flight() == 80_000).then_some(()));
    let body = format!("{TICKET}{}", " ".repeat(50_000));
    assert_eq!(bridge.deliver("whazing", &body).status, 200, "a token counts");
    stranger.set_read_timeout(Some(SOON)).unwrap();
    let answer = Line { stream: stranger }.answer().expect("an answer");
    assert_eq!((answer.sum(), answer.header("retry-after").is_some()), ((503, "overloaded".into()), true));
    // One that holds more than is left for others does not.
    assert_eq!(bridge.deliver("wegly", DEAL).status, 200);
}

#[test]
fn a_body_that_nobody_vouches_for_has_to_go_on() {
    let mut setup = Setup::new("strangers-pace");
    setup.http += "body_timeout = \"1s\"\n";
    let bridge = setup.start();
    // 4 MiB would give it 17 seconds.
    let stranger = stalled(bridge.http, 5 * MIB, 4 * MIB).unwrap();
    let began = Instant::now();
    stranger.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(Line { stream: stranger }.answer().expect("an answer").sum(), (408, "read_timeout".into()));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

/// The head of a delivery with any signature, then a header in the table, then `fields` references to it of one byte each.
pub(crate) fn packed_head(fields: usize) -> Vec<u8> {
    let path = b"/webhooks/wegly";
    let literal = |index: u8, name: &str, value: &str| {
        let name = if name.is_empty() { Vec::new() } else { [&[name.len() as u8], name.as_bytes()].concat() };
        [&[index], &name[..], &[value.len() as u8], value.as_bytes()].concat()
    };
    let mut head = [&[0x83, 0x87, 0x01, 1, b'b', 0x04, path.len() as u8], &path[..]].concat();
    head.extend(literal(0, "content-type", "application/json"));
    head.extend(literal(0, WEGLY_HEADER, "ab"));
    head.extend(literal(0x40, "a", ""));
    // The newest in the dynamic table is 62, after the static one.
    head.extend(vec![0xbe; fields]);
    head
}

#[test]
fn heads_that_unpack_to_a_thousand_times_their_size_take_no_memory_to_speak_of() {
    let Some((bridge, folder)) = behind_tls("strangers-heads", "", "") else { return };
    let ca = folder.path().join("ca.pem");
    let answered = |what: &str| assert_eq!(crate::tls::curl(bridge.http.port(), &ca, &[]).0, "2 200", "{what}");
    answered("before");
    let before = memory(&bridge);
    let _group = confine(&bridge, 512);
    let mut most = before;
    // 95: as many as HTTP/1.1 takes, with the others. 1,850: just below 64 KiB as RFC 9113 counts them.
    for fields in [95, 900, 1850] {
        let head = packed_head(fields);
        let connections: Vec<_> = (0..60)
            .map(|_| {
                let mut h2 = H2::open(bridge.http);
                for n in 0..100 {
                    // No END_STREAM: a body that never comes.
                    if h2.send(&frame(1, 0x4, 2 * n + 1, &head)).is_err() {
                        break;
                    }
                }
                h2
            })
            .collect();
        thread::sleep(Duration::from_millis(500));
        most = most.max(memory(&bridge));
        answered(&format!("beside heads of {fields}"));
        drop(connections);
    }
    eprintln!("before {before} KiB, most {most} KiB, after {} KiB", memory(&bridge));
    // Sixty connections of TLS and HTTP/2, each with 100 requests, take the most of it.
    assert!(most - before < 160 << 10, "from {before} to {most} KiB");
}

#[test]
fn heads_that_do_not_end_hold_a_bounded_part_of_memory_in_all() {
    let mut setup = Setup::new("strangers-half-heads");
    setup.http += "max_in_flight_bytes = \"32 MiB\"\n";
    let bridge = setup.start();
    let before = memory(&bridge);
    let mut half = b"POST /webhooks/wegly HTTP/1.1\r\nHost: b\r\n".to_vec();
    half.resize(60_000, b'x');
    let mut held = Vec::new();
    for _ in 0..600 {
        let mut stream = TcpStream::connect(bridge.http).unwrap();
        let _ = stream.write_all(&half);
        held.push(stream);
    }
    assert_eq!(honest(&bridge, 20).0, [0_u16; 0]);
    let open = bridge.metric("hookbridge_http_connections");
    assert!(open < 120, "4 MiB of heads are 70 of them: {open}");
    let grown = memory(&bridge).saturating_sub(before);
    eprintln!("{grown} KiB more, {open} connections");
    assert!(grown < 48 << 10, "{grown} KiB");
}

#[test]
fn idle_connections_give_their_places_to_those_with_something_to_say() {
    let mut setup = Setup::new("strangers-idle");
    setup.http += "max_connections = 8\n";
    let bridge = setup.start();
    let post = |line: &mut Line| {
        let headers = [(WHAZING_HEADER, TOKEN), ("content-type", "application/json"), ("content-length", "2")];
        line.head("POST", "/webhooks/whazing", &headers);
        line.send(b"{}").unwrap();
        line.answer().map(|answer| answer.status)
    };
    let mut known = Line::open(bridge.http);
    assert_eq!(post(&mut known), Some(202));
    for kind in [
        "says nothing",
        "was told 404",
        "sends a head for ever",
        "sends a body for ever",
        "is refused with a body for ever",
    ] {
        let held: Vec<_> = (0..8)
            .map(|_| {
                let mut line = Line::open(bridge.http);
                match kind {
                    "was told 404" => {
                        line.head("GET", "/", &[]);
                        assert_eq!(line.answer().unwrap().status, 404);
                    }
                    "sends a head for ever" => line.send(b"POST /").unwrap(),
                    "sends a body for ever" => {
                        let headers =
                            [(WEGLY_HEADER, "ab"), ("content-type", "application/json"), ("content-length", "9")];
                        line.head("POST", "/webhooks/wegly", &headers);
                    }
                    "is refused with a body for ever" => {
                        line.head("POST", "/webhooks/wegly", &[("content-length", "9")]);
                        assert_eq!(line.answer().unwrap().status, 401);
                    }
                    _ => {}
                }
                line
            })
            .collect();
        let began = Instant::now();
        for _ in 0..20 {
            assert_eq!(sender::deliver(bridge.http, "wegly", DEAL.as_bytes()).status, 200, "{kind}");
        }
        eprintln!("{kind}: 20 events in {:?}", began.elapsed());
        assert_in_time(began, Duration::from_secs(2));
        drop(held);
    }
    assert_eq!(post(&mut known), Some(202), "who has proved itself keeps its place");
}

#[test]
fn a_connection_has_to_begin_within_seconds() {
    let mut setup = Setup::new("strangers-silent");
    setup.http += "header_timeout = \"1s\"\n";
    let bridge = setup.start();
    let mut silent = Line::open(bridge.http);
    let began = Instant::now();
    assert!(silent.answer().is_none());
    assert_in_time(began, Duration::from_secs(1));
}
