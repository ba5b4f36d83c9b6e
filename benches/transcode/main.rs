//! `cargo bench --bench transcode`: JSON to Avro, ours against the straightforward way (parse to `serde_json::Value`, convert to
//! `apache_avro::types::Value`, write with `apache-avro`), on realistic bodies of every event type.
//!
//! With a word such as `whazing.ticket`, only the types that have it in their names.
//!
//! Both do the same work in one run, in turn, so that a machine whose speed drifts treats both alike; the ratio of
//! each pair is what counts, and the median of the pairs is printed with its spread. Both give the same bytes, which
//! is checked first.

#![allow(clippy::expect_used, clippy::cast_precision_loss, reason = "a benchmark has nobody to report to")]

mod straight;

use std::hint::black_box;
use std::time::Instant;

use hookbridge::bench::cases;

use straight::{Schemas, Straight};

const BODIES: u64 = 32;
const PAIRS: usize = 15;
/// Passes over the bodies in one timed half of a pair.
const PASSES: usize = 12;

fn main() {
    // Without cargo's `--bench`, as in `cargo test --benches`, it only shows that all is in order.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let words = std::env::args().skip(1).filter(|arg| !quick && !arg.starts_with('-'));
    let part: String = words.take(1).collect();
    let (bench, mut cases) = cases(BODIES);
    cases.retain(|case| case.name().contains(&part));
    assert!(!cases.is_empty(), "no event type has {part:?} in its name");
    let (pairs, passes) = if quick { (1, 1) } else { (PAIRS, PASSES) };
    println!("{:<46} {:>7} {:>10} {:>14} {:>22}", "event type", "bytes", "ours", "straightforward", "ratio (min..max)");
    let mut all = Vec::new();
    for case in &cases {
        let schemas = Schemas::of(case);
        let straight = Straight::new(&schemas, case);
        straight.check(&bench);
        let ours = || case.bodies.iter().for_each(|body| _ = black_box(bench.convert(&case.profile, black_box(body))));
        let theirs = || case.bodies.iter().for_each(|body| _ = black_box(straight.convert(black_box(body))));
        let mut measured: Vec<(f64, f64)> = (0..pairs).map(|_| (time(passes, ours), time(passes, theirs))).collect();
        measured.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
        let ratio = |at: usize| measured[at].1 / measured[at].0;
        let (ours, theirs) = measured[pairs / 2];
        let bytes = case.bodies.iter().map(String::len).sum::<usize>() / case.bodies.len();
        println!(
            "{:<46} {bytes:>7} {:>7.2} µs {:>11.2} µs {:>6.2} ({:.2}..{:.2})",
            case.name(),
            ours,
            theirs,
            ratio(pairs / 2),
            ratio(0),
            ratio(pairs - 1)
        );
        all.push(ratio(pairs / 2));
    }
    if quick {
        println!("It works. These figures are of a moment, and mean nothing.");
        return;
    }
    all.sort_by(f64::total_cmp);
    println!(
        "straightforward / ours over {} event types: median {:.2}, worst {:.2}, best {:.2}",
        all.len(),
        all[all.len() / 2],
        all[0],
        all[all.len() - 1]
    );
}

/// Microseconds per body.
fn time(passes: usize, work: impl Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..passes {
        work();
    }
    start.elapsed().as_secs_f64() * 1e6 / (passes as f64 * BODIES as f64)
}
