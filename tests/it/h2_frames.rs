//! HTTP/2 by hand, frame by frame: sequences that are nearly right, in any order, on any stream (RFC 9113). Whatever a connection
//! does, nothing but whole, proven deliveries becomes an event, and others are served.
//!
//! `HOOKBRIDGE_FAULTS=full cargo test --release --test it h2_frames` plays fifty times as many sequences.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::doors::{H2, behind_tls, frame, literal, memory};
use crate::siege::post;
use crate::support::bridge::{Bridge, SOON};
use crate::support::sender::TOKEN;
use crate::support::{eventually, is_full_form, reader, say};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

/// One step of a connection. The streams count from 0; the n-th has the identifier 2n + 1.
#[derive(Clone, Debug)]
enum Step {
    /// A delivery with its right token on a new stream: in how many pieces its head and its body come, with how much padding, and
    /// how it ends.
    Delivery {
        head_pieces: usize,
        body_pieces: usize,
        padding: Option<u8>,
        end: End,
    },
    /// A frame as it may come at any time: PING, SETTINGS, `WINDOW_UPDATE`, PRIORITY, or of a kind that nobody knows.
    Harmless(Vec<u8>),
    /// Trailers, or a second head, or a head without proof, on a stream that is new, open or closed.
    Head {
        stream: u32,
        flags: u8,
        proven: bool,
    },
    /// Bytes of a body, in the same way.
    Body {
        stream: u32,
        flags: u8,
        bytes: Vec<u8>,
    },
    /// A frame of any kind, with a payload of the right or a wrong length.
    Control {
        kind: u8,
        flags: u8,
        stream: u32,
        payload: Vec<u8>,
    },
    /// A frame that says another length than it has.
    Lies {
        kind: u8,
        length: u32,
    },
    Noise(Vec<u8>),
}

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Whole,
    /// Its last byte is missing, and its stream is open.
    Open,
    /// Its last byte is missing, and the stream ends all the same.
    Short,
    /// All of it is there, and then the stream is reset instead of ended, with `NO_ERROR` or CANCEL.
    Reset(u8),
}

/// A sequence of steps, most of them right: one that is wrong often ends the connection.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![12 => deliveries(), 6 => harmless(), 1 => wrong()];
    vec(step, 1..16)
}

fn deliveries() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        4 => Just(End::Whole),
        1 => Just(End::Open),
        1 => Just(End::Short),
        1 => select(vec![0_u8, 8]).prop_map(End::Reset),
    ];
    let padding = proptest::option::of(any::<u8>());
    (1..4_usize, 1..5_usize, padding, end).prop_map(|(head_pieces, body_pieces, padding, end)| Step::Delivery {
        head_pieces,
        body_pieces,
        padding,
        end,
    })
}

fn harmless() -> impl Strategy<Value = Step> {
    let frames = prop_oneof![
        vec(any::<u8>(), 8).prop_map(|payload| frame(6, 0, 0, &payload)),
        Just(frame(4, 0, 0, &[])),
        // HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE.
        (select(vec![1_u8, 4]), any::<u16>()).prop_map(|(setting, value)| {
            let value = value.to_be_bytes();
            frame(4, 0, 0, &[0, setting, 0, 0, value[0], value[1]])
        }),
        (1..1000_u16).prop_map(|more| frame(8, 0, 0, &u32::from(more).to_be_bytes())),
        (20..30_u32, any::<u8>()).prop_map(|(stream, weight)| frame(2, 0, identifier(stream), &[0, 0, 0, 0, weight])),
        (11..255_u8, any::<u8>(), vec(any::<u8>(), 0..50))
            .prop_map(|(kind, flags, bytes)| frame(kind, flags, 0, &bytes)),
    ];
    frames.prop_map(Step::Harmless)
}

fn wrong() -> impl Strategy<Value = Step> {
    let stream = 0..12_u32;
    let head = (stream.clone(), any::<u8>(), any::<bool>());
    let head = head.prop_map(|(stream, flags, proven)| Step::Head { stream, flags, proven });
    let body = (stream.clone(), any::<u8>(), vec(any::<u8>(), 0..300));
    let body = body.prop_map(|(stream, flags, bytes)| Step::Body { stream, flags, bytes });
    let payload = prop_oneof![
        vec(any::<u8>(), 0..20),
        select(vec![4_usize, 5, 6, 8]).prop_flat_map(|length| vec(any::<u8>(), length)),
        Just(vec![0, 0, 0, 0]),
        Just(vec![0x7f, 0xff, 0xff, 0xff]),
    ];
    let stream = prop_oneof![Just(0), stream.prop_map(identifier)];
    let control = (2..10_u8, any::<u8>(), stream, payload).prop_map(|(kind, flags, stream, payload)| Step::Control {
        kind,
        flags,
        stream,
        payload,
    });
    let lies = (0..10_u8, 0..0x00ff_ffff_u32).prop_map(|(kind, length)| Step::Lies { kind, length });
    let noise = vec(any::<u8>(), 1..100).prop_map(Step::Noise);
    prop_oneof![3 => head, 3 => body, 4 => control, 1 => lies, 1 => noise]
}

fn identifier(stream: u32) -> u32 {
    2 * stream + 1
}

/// The head of a POST, with the right token in the path or without any proof.
fn head(proven: bool) -> Vec<u8> {
    let path = if proven { format!("/webhooks/whazing/{TOKEN}") } else { "/webhooks/wegly".into() };
    let start = [&[0x83, 0x87, 0x01, 1, b'b', 0x04, path.len() as u8], path.as_bytes()].concat();
    [start, literal("content-type", "application/json")].concat()
}

/// A body that no other delivery has. A ticket with an odd number is one of a stream that is reset.
fn body(end: End) -> Vec<u8> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = 2 * COUNT.fetch_add(1, Ordering::Relaxed) + u32::from(matches!(end, End::Reset(_)));
    format!(r#"{{"Type":"NewTicket","ticket":{{"id":{number}}}}}"#).into_bytes()
}

fn pieces(bytes: &[u8], count: usize) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(bytes.len().div_ceil(count).max(1))
}

/// Payload and flag of a frame with padding.
fn padded(bytes: &[u8], padding: Option<u8>) -> (Vec<u8>, u8) {
    match padding {
        Some(length) => ([&[length], bytes, &vec![0; usize::from(length)][..]].concat(), PADDED),
        None => (bytes.to_vec(), 0),
    }
}

/// The frames of a delivery.
fn delivery(stream: u32, head_pieces: usize, body_pieces: usize, padding: Option<u8>, end: End) -> Vec<Vec<u8>> {
    let (head, mut body) = (head(true), body(end));
    if matches!(end, End::Open | End::Short) {
        body.pop();
    }
    let heads: Vec<_> = pieces(&head, head_pieces).collect();
    let last = heads.len() - 1;
    let mut frames: Vec<_> = heads
        .iter()
        .enumerate()
        .map(|(n, piece)| {
            let flags = if n == last { END_HEADERS } else { 0 };
            let (payload, padded) = if n == 0 { padded(piece, padding) } else { (piece.to_vec(), 0) };
            frame(if n == 0 { HEADERS } else { CONTINUATION }, flags | padded, stream, &payload)
        })
        .collect();
    let bodies: Vec<_> = pieces(&body, body_pieces).collect();
    let last = bodies.len() - 1;
    for (n, piece) in bodies.iter().enumerate() {
        let ends = n == last && matches!(end, End::Whole | End::Short);
        let (payload, padded) = padded(piece, padding);
        frames.push(frame(DATA, padded | if ends { END_STREAM } else { 0 }, stream, &payload));
    }
    if let End::Reset(code) = end {
        frames.push(frame(3, 0, stream, &[0, 0, 0, code]));
    }
    frames
}

/// All frames of a connection.
fn frames(steps: &[Step]) -> Vec<Vec<u8>> {
    let mut streams = (0..).map(identifier);
    let mut frames = Vec::new();
    for step in steps {
        match step {
            Step::Delivery { head_pieces, body_pieces, padding, end } => {
                let stream = streams.next().unwrap();
                frames.extend(delivery(stream, *head_pieces, *body_pieces, *padding, *end));
            }
            Step::Harmless(bytes) | Step::Noise(bytes) => frames.push(bytes.clone()),
            Step::Head { stream, flags, proven } => {
                let flags = flags & (END_STREAM | END_HEADERS);
                frames.push(frame(HEADERS, flags, identifier(*stream), &head(*proven)));
            }
            Step::Body { stream, flags, bytes } => {
                frames.push(frame(DATA, flags & (END_STREAM | PADDED), identifier(*stream), bytes));
            }
            Step::Control { kind, flags, stream, payload } => frames.push(frame(*kind, *flags, *stream, payload)),
            Step::Lies { kind, length } => {
                let mut bytes = frame(*kind, 0, 1, b"as much as this");
                bytes[..3].copy_from_slice(&length.to_be_bytes()[1..]);
                frames.push(bytes);
            }
        }
    }
    frames
}

/// Plays `count` sequences, each on a connection of its own; between them an honest delivery has to get through.
fn play(bridge: &Bridge, seed: u8, count: usize) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for number in 0..count {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        let mut h2 = H2::open(bridge.http);
        // Refused in the middle: then it is over.
        let _ = frames(&steps).iter().try_for_each(|frame| h2.send(frame));
        h2.settle();
        if number % 10 == 0 {
            assert_eq!(post(bridge.http, "whazing", &body(End::Whole)), 200, "seed {seed}, after {number}: {steps:?}");
        }
    }
}

#[test]
fn whatever_frames_come_only_whole_and_proven_deliveries_are_events() {
    const PLAYERS: u8 = 4;
    let Some((bridge, _folder)) = behind_tls("h2-frames", "", "") else { return };
    let count = if is_full_form() { 2500 } else { 50 };
    play(&bridge, PLAYERS, 1);
    let before = memory(&bridge) >> 10;
    thread::scope(|scope| {
        for seed in 0..PLAYERS {
            let bridge = &bridge;
            scope.spawn(move || play(bridge, seed, count));
        }
    });
    eventually("nothing is in flight", SOON, || (bridge.metric("hookbridge_http_in_flight_bytes") == 0).then_some(()));
    let after = memory(&bridge) >> 10;

    let tickets = reader::read(&bridge.topic("whazing.ticket"));
    let numbers = tickets.iter().map(|record| record.decode()["ticket"]["id"].as_i64().unwrap());
    let reset: Vec<_> = numbers.filter(|number| number % 2 == 1).collect();
    let letters = reader::read(&bridge.topic("hookbridge.dead-letters"));
    let unproven = letters.iter().filter(|letter| letter.header("hookbridge_source") != Some("whazing")).count();
    say(&format!(
        "{} sequences of frames: {} tickets, {} dead letters; {before} MiB before, {after} MiB after",
        count * usize::from(PLAYERS),
        tickets.len(),
        letters.len()
    ));
    assert_eq!(reset, [0_i64; 0], "tickets of streams that were reset");
    assert_eq!(unproven, 0, "dead letters without proof");
    assert!(tickets.len() > count, "{} tickets: the sequences break off too soon", tickets.len());
    assert!(after < before + 64, "{before} MiB before, {after} MiB after");
}
