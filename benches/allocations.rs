//! `cargo bench --bench allocations`: what the conversion asks of the allocator for each event, beside the straightforward
//! way, on the bodies of the transcode bench. These are counts: they are the same in every run, on every machine.
//!
//! With `--profile` it takes only ours, and writes where each allocation comes from to `target/allocations.json`, for DHAT's
//! viewer (`dh_view.html` of valgrind).
//!
//! Apart from the transcode bench, since counting takes time.

#![allow(clippy::expect_used, clippy::cast_precision_loss, reason = "a benchmark has nobody to report to")]

#[path = "transcode/straight.rs"]
mod straight;

use std::hint::black_box;

use hookbridge::bench::cases;

use straight::{Schemas, Straight};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const BODIES: u64 = 32;

fn main() {
    let profile_wanted = std::env::args().any(|arg| arg == "--profile");
    let (bench, cases) = cases(BODIES);
    if profile_wanted {
        let all = || {
            for case in &cases {
                case.bodies.iter().for_each(|body| _ = black_box(bench.convert(&case.profile, body)));
            }
        };
        // What is made once is not what an event takes.
        all();
        let _profiler = dhat::Profiler::builder().file_name("target/allocations.json").build();
        all();
        return;
    }
    println!("{:<46} {:>7} {:>20} {:>20}", "event type", "bytes", "ours", "straightforward");
    println!("{:<46} {:>7} {:>9} {:>10} {:>9} {:>10}", "", "", "number", "bytes", "number", "bytes");
    let (mut all_ours, mut all_theirs) = (Vec::new(), Vec::new());
    for case in &cases {
        let schemas = Schemas::of(case);
        let straight = Straight::new(&schemas, case);
        // Whatever is made once, at the first body, was made by that.
        straight.check(&bench);
        let ours = counted(|| case.bodies.iter().for_each(|body| _ = black_box(bench.convert(&case.profile, body))));
        let theirs = counted(|| case.bodies.iter().for_each(|body| _ = black_box(straight.convert(body))));
        let bytes = case.bodies.iter().map(String::len).sum::<usize>() / case.bodies.len();
        println!(
            "{:<46} {bytes:>7} {:>9.1} {:>10.0} {:>9.1} {:>10.0}",
            case.name(),
            ours.0,
            ours.1,
            theirs.0,
            theirs.1
        );
        all_ours.push(ours.0);
        all_theirs.push(theirs.0);
    }
    for all in [&mut all_ours, &mut all_theirs] {
        all.sort_by(f64::total_cmp);
    }
    let types = all_ours.len();
    println!(
        "allocations per event over {types} event types: median {:.1}, least {:.1}, most {:.1}; straightforward: median {:.1}",
        all_ours[types / 2],
        all_ours[0],
        all_ours[types - 1],
        all_theirs[types / 2]
    );
}

/// How often `work` asks for memory for each body, and for how many bytes.
fn counted(work: impl Fn()) -> (f64, f64) {
    let _profiler = dhat::Profiler::builder().testing().build();
    work();
    let stats = dhat::HeapStats::get();
    (stats.total_blocks as f64 / BODIES as f64, stats.total_bytes as f64 / BODIES as f64)
}
