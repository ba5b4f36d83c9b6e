//! What the fuzz targets under `fuzz/` run: each function takes any bytes, and panics where a promise does not hold.
//! The corpora that were found stand in `fuzz/corpus/`, and `cargo test` runs them all.

#![allow(clippy::unwrap_used, reason = "a panic is how a target tells that something is wrong")]

mod config;
mod dead_letters;
mod encode;
mod identify;
mod verify;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use crate::config::from_text;
use crate::source::Source;

pub use config::config;
pub use dead_letters::dead_letters;
pub use encode::encode;
pub use identify::identify;
pub use verify::verify;

const SECRETS: [&str; 2] = ["s3cret-of-wegly", "the-next-one"];
const TOKEN: &str = "t0ken-of-whazing";

/// One source of each profile.
static SOURCES: LazyLock<BTreeMap<String, Arc<Source>>> = LazyLock::new(|| {
    let text = format!(
        "[kafka]\nbootstrap_servers = \"localhost:9092\"\n[registry]\nurl = \"http://localhost:8081\"\n\
         [sources.wegly]\nsecrets = {SECRETS:?}\n[sources.whazing]\ntokens = [{TOKEN:?}]\n"
    );
    from_text("fuzz", &text, &crate::config::Environment::default()).unwrap().sources
});

/// The part before the first `byte`, and the part behind it.
fn split(data: &[u8], byte: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|&b| b == byte) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 10, "{}: {} files", folder.display(), files.len());
        for file in files {
            // A panic's report comes after this line.
            println!("{}", file.display());
            target(&std::fs::read(&file).unwrap());
        }
    }

    #[test]
    fn every_body_and_claim_that_was_found_is_verified_rightly() {
        replay("verify", super::verify);
    }

    #[test]
    fn every_body_that_was_found_is_identified_or_said_why_not() {
        replay("identify", super::identify);
    }

    #[test]
    fn every_body_that_was_found_is_encoded_without_loss() {
        replay("encode", super::encode);
    }

    #[test]
    fn every_configuration_that_was_found_is_read_or_refused() {
        replay("config", super::config);
    }

    #[test]
    fn every_dead_letter_that_was_found_is_read_back() {
        replay("dead_letters", super::dead_letters);
    }
}
