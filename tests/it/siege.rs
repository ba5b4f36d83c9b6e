//! Everything that strangers and senders can do to the memory and the processor, all at once, behind TLS, in the memory that the
//! deployments allow, while honest senders post 50 events a second: each is answered with 2xx, and the memory goes back afterwards.
//!
//! `cargo test` plays it for 20 seconds. `HOOKBRIDGE_FAULTS=full cargo test --release --test it siege` plays five minutes, and holds the
//! times of the answers against a second, too.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::setpriority_process;

use crate::doors::{H2, behind_tls, connect, frame, memory};
use crate::memory::{IN_FLIGHT, LIMIT_MIB, MAX_BODY, WORST_BODIES, chat_of_many_deals, confine, peak_mib};
use crate::strangers::{Ends, MADE_UP_SIGNATURE, packed_head, post_evenly};
use crate::support::bridge::{Bridge, SOON};
use crate::support::sender::{WEGLY_HEADER, proof, read_answer};
use crate::support::{eventually, is_full_form, say};

const DEAL: &str = r#"{"event_key":"deal.updated","payload":{"id":"00000000-0000-4000-8000-0000000000d3"}}"#;
const TICKET: &str = r#"{"Type":"NewTicket","ticket":{"id":7}}"#;
/// Between two honest events of [`post_evenly`].
const PACE: Duration = Duration::from_millis(20);
const HTTP_1: &[u8] = b"\x08http/1.1";
const MIB: usize = 1 << 20;

/// How often each attack was made.
#[derive(Default)]
struct Tally {
    heads: AtomicUsize,
    stalled: AtomicUsize,
    multiplied: AtomicUsize,
    worst: AtomicUsize,
}

fn head(source: &str, (name, value): (&str, &str), length: usize) -> String {
    format!(
        "POST /webhooks/{source} HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n{name}: {value}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Posts an authentic event on a connection of its own; 0 when there is no answer.
pub(crate) fn post(to: SocketAddr, source: &str, body: &[u8]) -> u16 {
    let (name, value) = proof(source, body);
    let Some(mut stream) = connect(to, HTTP_1) else { return 0 };
    let _ = stream.write_all(head(source, (name, &value), body.len()).as_bytes());
    // An answer may come before the body is all out.
    let _ = stream.write_all(body);
    read_answer(&mut stream).map_or(0, |answer| answer.status)
}

/// Sixty connections of a hundred requests whose heads unpack to many times their size, again and again.
fn unpack_heads(to: SocketAddr, stop: &AtomicBool, tally: &Tally) {
    let head = packed_head(1850);
    while !stop.load(Ordering::Relaxed) {
        let mut connections = Vec::new();
        for _ in 0..60 {
            let Some(mut h2) = H2::try_open(to) else { continue };
            let sent = (0..100).take_while(|n| h2.send(&frame(1, 0x4, 2 * n + 1, &head)).is_ok()).count();
            tally.heads.fetch_add(sent, Ordering::Relaxed);
            connections.push(h2);
        }
        thread::sleep(Duration::from_secs(3));
    }
}

/// Bodies behind made-up signatures that come in as fast as they are taken, and stall before their end.
fn stall(to: SocketAddr, stop: &AtomicBool, tally: &Tally) {
    let piece = vec![b' '; 64 << 10];
    let mut held = None;
    while !stop.load(Ordering::Relaxed) {
        let next = connect(to, HTTP_1).and_then(|mut stream| {
            stream.write_all(head("wegly", (WEGLY_HEADER, MADE_UP_SIGNATURE), 16 * MIB).as_bytes()).ok()?;
            let pieces = 16 * MIB / piece.len() - 1;
            // A refusal ends it.
            let sent = (0..pieces).take_while(|_| stream.write_all(&piece).is_ok()).count();
            tally.stalled.fetch_add(sent * piece.len() / MIB, Ordering::Relaxed);
            Some(stream)
        });
        drop(held.replace(next));
        thread::sleep(Duration::from_millis(500));
    }
}

/// One after the other, what a sender with a secret can make most of.
fn multiply(to: SocketAddr, stop: &AtomicBool, tally: &Tally) {
    while !stop.load(Ordering::Relaxed) {
        let number = tally.multiplied.fetch_add(1, Ordering::Relaxed);
        post(to, "wegly", chat_of_many_deals(number).as_bytes());
    }
}

/// One after the other, the bodies that take most memory and time.
fn worst(to: SocketAddr, bodies: &[String], stop: &AtomicBool, tally: &Tally) {
    while !stop.load(Ordering::Relaxed) {
        let number = tally.worst.fetch_add(1, Ordering::Relaxed);
        post(to, "whazing", bodies[number % bodies.len()].as_bytes());
    }
}

/// Starts an attacker. It would have a machine of its own, so what it computes here gives way to the bridge and the honest.
fn attack<'a>(scope: &'a thread::Scope<'a, '_>, attacker: impl FnOnce() + Send + 'a) {
    scope.spawn(|| {
        // Of this thread alone, on Linux.
        let _ = setpriority_process(None, 10);
        attacker();
    });
}

/// Posts events of both sources for so long. Gives what is not 2xx and how often (0: no answer), the median, and what 99 of 100 took at
/// most.
fn honest(bridge: &Bridge, how_long: Duration) -> (BTreeMap<u16, usize>, Duration, Duration) {
    let count = (how_long.as_millis() / PACE.as_millis()) as usize;
    let (statuses, times) = post_evenly(count, |n| {
        let (source, body) = if n % 2 == 0 { ("wegly", DEAL) } else { ("whazing", TICKET) };
        post(bridge.http, source, body.as_bytes())
    });
    let mut wrong = BTreeMap::new();
    for status in statuses.into_iter().filter(|status| !(200..300).contains(status)) {
        *wrong.entry(status).or_default() += 1;
    }
    (wrong, times[count / 2], times[count * 99 / 100])
}

#[test]
fn all_attacks_at_once_cost_no_honest_sender_an_event_and_leave_no_memory_behind() {
    let settings = format!("max_in_flight_bytes = \"{IN_FLIGHT}\"\n");
    let sources = format!("max_body_bytes = {MAX_BODY}\n");
    let Some((bridge, _folder)) = behind_tls("siege", &settings, &sources) else { return };
    let _group = confine(&bridge, LIMIT_MIB);
    let tally = Tally::default();
    let (wrong, ..) = honest(&bridge, Duration::from_secs(5));
    assert!(wrong.is_empty(), "before: {wrong:?}");
    let before = memory(&bridge) >> 10;

    let bodies = WORST_BODIES.map(|body| body());
    let how_long = Duration::from_secs(if is_full_form() { 300 } else { 20 });
    let stop = AtomicBool::new(false);
    let (stop, to) = (&stop, bridge.http);
    let (wrong, middle, p99) = thread::scope(|scope| {
        let _ends = Ends(stop);
        let (tally, bodies) = (&tally, &bodies[..]);
        attack(scope, move || unpack_heads(to, stop, tally));
        for _ in 0..17 {
            attack(scope, move || stall(to, stop, tally));
        }
        for _ in 0..2 {
            attack(scope, move || multiply(to, stop, tally));
            attack(scope, move || worst(to, bodies, stop, tally));
        }
        honest(&bridge, how_long)
    });
    let Tally { heads, stalled, multiplied, worst } = &tally;
    say(&format!(
        "siege of {how_long:?}: {heads:?} packed heads, {stalled:?} MiB of bodies that stall, {multiplied:?} chats of 500 deals, {worst:?} worst bodies; \
         not 2xx: {wrong:?}, median {middle:?}, p99 {p99:?}; {before} MiB before, {} MiB at the peak",
        peak_mib(&bridge)
    ));
    assert!(wrong.is_empty(), "honest events that were refused: {wrong:?}");
    assert!(peak_mib(&bridge) < LIMIT_MIB);
    if is_full_form() {
        assert!(p99 < Duration::from_secs(1), "{p99:?}");
    }
    // The allocator gives back within ten seconds what nobody uses.
    let after = || memory(&bridge) >> 10;
    let began = Instant::now();
    eventually("the memory is given back", 4 * SOON, || (after() * 10 <= before * 13).then_some(()));
    say(&format!("{} MiB {:?} after the siege", after(), began.elapsed()));
}
