//! What the tests are made of: servers, the program, a sender, readers, and odd payloads.
//!
//! Not a test: the test targets include it by its path, each as a module `support`.

pub(crate) mod bridge;
pub(crate) mod java;
#[allow(dead_code, reason = "the integration tests have one node")]
pub(crate) mod kafka_nodes;
pub(crate) mod mock;
pub(crate) mod payloads;
#[allow(dead_code, reason = "the benches preload nothing")]
pub(crate) mod preloaded;
pub(crate) mod proxy;
pub(crate) mod python;
pub(crate) mod reader;
pub(crate) mod registry;
pub(crate) mod s3;
pub(crate) mod sender;
pub(crate) mod servers;
#[allow(dead_code, reason = "the other targets have no vendors of their own")]
pub(crate) mod vendor;
#[allow(dead_code, reason = "the other targets set no clock")]
pub(crate) mod wrong_clock;

use std::io::{Write as _, stderr};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

/// For the few asynchronous parts; the tests themselves are plain threads.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Asks again and again until `probe` gives something, for `limit` at the longest.
pub(crate) fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    // What is nearly there is seen at once; what takes long is not asked all the time.
    let mut wait = Duration::from_millis(2);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        thread::sleep(wait);
        wait = (wait * 2).min(Duration::from_millis(50));
    }
}

/// What a machine that has much else to do may add to any time.
const BUSY: Duration = Duration::from_secs(10);

/// Asserts that it took no longer than `due` since `began`, and what a busy machine adds.
#[allow(dead_code, reason = "only the integration tests ask how long things take")]
pub(crate) fn assert_in_time(began: Instant, due: Duration) {
    let took = began.elapsed();
    assert!(took < due + BUSY, "expected {due:?} and {BUSY:?} at the most, got {took:?}");
}

/// A variable of the environment that says how to test; empty is as good as unset.
#[allow(clippy::disallowed_methods, reason = "the tests' own variables, read here only")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether `HOOKBRIDGE_FAULTS` asks for the full form of what has a short one.
pub(crate) fn is_full_form() -> bool {
    match variable("HOOKBRIDGE_FAULTS").as_deref() {
        None | Some("short") => false,
        Some("full") => true,
        Some(other) => panic!("HOOKBRIDGE_FAULTS is {other}; it may be short (the default) or full"),
    }
}

/// Says something about the run as a whole; unlike `eprintln!`, past what `cargo test` keeps of passing tests.
pub(crate) fn say(words: &str) {
    let _ = writeln!(stderr(), "integration tests: {words}");
}

/// Says that a test did not run and how to enable it, also where real servers are required: it needs a tool that is large or
/// not in every distribution.
#[allow(dead_code, reason = "only the integration tests have such tools")]
pub(crate) fn leave_out(test: &str, why: &str, enable: &str) {
    say(&format!("LEFT OUT {test}: {why}; to enable it, {enable}"));
}

/// Says that a test did not run and how to enable it; an error where real servers are required.
pub(crate) fn skip(test: &str, why: &str, enable: &str) {
    assert!(!servers::require_real(), "HOOKBRIDGE_TEST_REQUIRE_REAL: {test} cannot run: {why}; {enable}");
    say(&format!("SKIPPED {test}: {why}; to enable it, {enable}"));
}
