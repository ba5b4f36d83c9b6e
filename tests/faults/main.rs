//! The fault suite: what the bridge promises, held while everything around it breaks. Each scenario plays a fault under
//! load against a real Apache Kafka, and then holds all that Kafka has against all that senders were told.
//!
//! ```text
//! load (events, history) ──▶ the bridge ──▶ broker          at the end: check(history, records) ──▶ table
//!                               ▲ killed, starved, cut off (rig, scenarios)
//! ```
//!
//! `cargo test --test faults` is the short form, `HOOKBRIDGE_FAULTS=full cargo test --release --test faults` the full
//! one. Before the scenarios come the tests of the checkers themselves: each must find what is wrong in a made-up story.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

#[path = "../support/support.rs"]
#[allow(dead_code, reason = "shared with the integration tests, which use what this suite does not")]
mod support;

mod broker;
mod check;
mod check_tests;
mod cluster;
mod cutter;
mod damage;
mod damage_tests;
mod events;
mod failing_sync;
mod follower;
mod front;
mod hanging_disk;
mod history;
mod load;
mod metrics;
mod reassign;
mod record;
mod rig;
mod scenarios;
mod setting;
mod size;
mod small_disk;
mod switched;
mod table;
mod topics;
mod trace;
mod trace_tests;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use scenarios::Scenario;

/// Scenarios that are still to come in this run; after the last one comes the table.
static TO_COME: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    // They break the one broker there is. And a bridge ends with the thread that started it, which is this one.
    args.test_threads = Some(1);
    let trial = |&scenario: &Scenario| Trial::ignorable_test(scenario.name, move || run(scenario));
    let scenarios: Vec<_> = scenarios::ALL.iter().map(trial).collect();
    let coming = scenarios.iter().filter(|trial| !args.is_filtered_out(trial)).count();
    TO_COME.store(coming, Ordering::Relaxed);
    let trials = check_tests::trials()
        .into_iter()
        .chain(trace_tests::trials())
        .chain(damage_tests::trials())
        .chain(scenarios)
        .collect();
    libtest_mimic::run(&args, trials).exit_code()
}

/// Plays a scenario, whatever comes of it; after the last one the table is printed.
fn run(scenario: Scenario) -> Result<Completion, Failed> {
    let began = Instant::now();
    let result = std::panic::catch_unwind(|| scenario.run());
    println!("{:.1} s ", began.elapsed().as_secs_f64());
    if TO_COME.fetch_sub(1, Ordering::Relaxed) == 1 {
        table::print();
    }
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
