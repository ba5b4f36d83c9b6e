//! What `benches/` needs of the inside; not for anyone else, and in no program: `main` leads to nothing here, so the
//! linker leaves it out.

mod passthrough;
mod workload;

use crate::catalog::{Catalog, EventType, Path, Profile};
use crate::derive;
use crate::sample::{self, Sampler};

use rlibphonenumber::Region;

pub use passthrough::{NUMBER, Passthrough, PassthroughError};
pub use workload::{Request, SECRET, TOKEN, Workload};

/// The time of all bodies, in milliseconds since 1970: 2026-06-02T12:00:00Z.
const NOW: i64 = 1_780_401_600_000;

/// An event type of the catalog, with realistic bodies.
pub struct Case {
    /// Such as `wegly.lead.won`.
    pub name: String,
    /// The record's self-contained schema.
    pub schema: String,
    /// The member of the body that holds the payload, and the field it stands under, where they are.
    pub payload: Option<String>,
    /// Set when the payload as a whole is one field of the record.
    pub whole_payload: bool,
    /// Steps from the payload to the key, and to the time, best first.
    pub key: Vec<String>,
    pub times: Vec<Vec<String>>,
    /// Bodies as their sender would write them.
    pub bodies: Vec<String>,
}

/// Every event type, with `bodies` bodies each.
///
/// # Panics
/// When the catalog compiled in does not load, which tests rule out.
#[must_use]
#[expect(clippy::expect_used, reason = "a benchmark has nobody to report to")]
pub fn cases(bodies: u64) -> (Bench, Vec<Case>) {
    let catalog = Catalog::load(None).expect("the catalog");
    let each = catalog.profiles.values().flat_map(|p| p.types.values().map(move |t| (p, t)));
    let cases = each.map(|(profile, event_type)| case(profile, event_type, bodies)).collect();
    (Bench { catalog }, cases)
}

fn case(profile: &Profile, event_type: &EventType, bodies: u64) -> Case {
    Case {
        name: format!("{}.{}", profile.name, event_type.name),
        schema: event_type.schema.text.clone(),
        payload: profile.payload.clone(),
        whole_payload: event_type.payload_slot.is_some(),
        key: steps(&event_type.key),
        times: event_type.times.iter().map(steps).collect(),
        bodies: (0..bodies).map(|seed| Sampler::new(profile, seed, NOW).body(event_type)).collect(),
    }
}

/// A phone number as records have it; one without a country's code is Brazilian. Whatever way a record is made, this is part of it.
#[must_use]
pub fn phone(text: &str, whatsapp: bool) -> Option<String> {
    derive::phone(text, Region::BR, whatsapp)
}

fn steps(path: &Path) -> Vec<String> {
    path.steps.iter().map(ToString::to_string).collect()
}

/// The encoder, ready.
pub struct Bench {
    catalog: Catalog,
}

impl Bench {
    /// Scan, identify and encode, as the pipeline does; gives the Kafka value.
    #[must_use]
    pub fn transcode(&self, profile: &str, body: &str) -> Option<Vec<u8>> {
        let profile = self.catalog.profiles.get(profile)?;
        sample::converted(profile, body, NOW).map(|(_, value)| value)
    }
}
