//! What `benches/` needs of the inside; not for anyone else, and in no program: `main` leads to nothing here, so the
//! linker leaves it out.

mod passthrough;
mod workload;

use http::HeaderMap;
use rlibphonenumber::Region;
use serde_json::{Value, json};

use crate::catalog::{Catalog, EventType, FurtherTopics, Path, Profile};
use crate::tools::sample::{self, Sampler};
use crate::values::derive::How;
use crate::values::phone;

pub use passthrough::{NUMBER, Passthrough, PassthroughError};
pub use workload::{Request, SECRET, TOKEN, Workload};

/// The time of all bodies, in milliseconds since 1970: 2026-06-02T12:00:00Z.
const NOW: i64 = 1_780_401_600_000;

/// An event type of the catalog, with realistic bodies.
pub struct Case {
    /// Of the source, such as `wegly`.
    pub profile: String,
    /// Such as `lead.won`.
    pub event_type: String,
    /// The record's self-contained schema.
    pub schema: String,
    /// The member of the body that holds the payload, and the field it stands under, where they are.
    pub payload: Option<String>,
    /// Set when the payload as a whole is one field of the record.
    pub whole_payload: bool,
    /// Steps from the payload to the key, and to the time, best first.
    pub key: Vec<String>,
    pub times: Vec<Vec<String>>,
    /// For each of the type's join topics where the linked entities' ids are.
    pub links: Vec<Vec<Place>>,
    /// The record of the entity's last state.
    pub latest: Option<LatestCase>,
    /// Bodies as their sender would write them.
    pub bodies: Vec<String>,
}

impl Case {
    /// Such as `wegly.lead.won`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.profile, self.event_type)
    }
}

/// An entity's last state.
pub struct LatestCase {
    /// The record's self-contained schema. Its second field, the snapshot, is the event's of the same name.
    pub schema: String,
    /// Steps from the payload to the time of the last change.
    pub updated: Vec<String>,
    /// What the list is made of, if there is one.
    pub list: Option<Place>,
}

/// Where values are: in a list, each of them.
pub struct Place {
    /// From the payload on.
    pub steps: Vec<String>,
    /// What is made of each, as `derive` in a schema says it; else they are taken as they are.
    pub how: Option<Value>,
}

/// Every event type, with `bodies` bodies each.
///
/// # Panics
/// When the catalog compiled in does not load, which tests rule out.
#[must_use]
#[expect(clippy::expect_used, reason = "a benchmark has nobody to report to")]
pub fn cases(bodies: u64) -> (Bench, Vec<Case>) {
    let mut catalog = Catalog::load(None).expect("the catalog");
    catalog.keep(&FurtherTopics::default());
    let each = catalog.profiles.values().flat_map(|p| p.types.values().map(move |t| (p, t)));
    let cases = each.map(|(profile, event_type)| case(profile, event_type, bodies)).collect();
    (Bench { catalog }, cases)
}

fn case(profile: &Profile, event_type: &EventType, bodies: u64) -> Case {
    Case {
        profile: profile.name.clone(),
        event_type: event_type.name.clone(),
        schema: event_type.schema.text.clone(),
        payload: profile.payload.clone(),
        whole_payload: event_type.payload_slot.is_some(),
        key: steps(&event_type.key),
        times: event_type.times.iter().map(steps).collect(),
        links: event_type.joins.iter().map(|join| join.keys.iter().map(place).collect()).collect(),
        latest: event_type.latest.as_ref().map(|latest| LatestCase {
            schema: latest.schema.text.clone(),
            updated: steps(&latest.updated),
            list: latest.list.as_ref().map(place),
        }),
        bodies: (0..bodies).map(|seed| Sampler::new(profile, seed, NOW).body(event_type)).collect(),
    }
}

fn steps(path: &Path) -> Vec<String> {
    path.steps.iter().map(ToString::to_string).collect()
}

fn place(path: &Path) -> Place {
    let how = path.derived.as_ref().map(|how| match how {
        How::Reference { member } => json!({"reference": member}),
        How::Member { member } => json!({"member": member}),
        How::Phone { region, whatsapp: true } => json!({"whatsapp": format!("{region:?}")}),
        How::Phone { region, whatsapp: false } => json!({"phone": format!("{region:?}")}),
    });
    Place { steps: steps(path), how }
}

/// A phone number as records have it; one without a country's code is Brazilian. Whatever way a record is made, this is part of it.
#[must_use]
pub fn phone(text: &str, whatsapp: bool) -> Option<String> {
    phone::phone(text, Region::BR, whatsapp)
}

/// What a body becomes: all that is written to Kafka, but for headers.
#[derive(Debug, PartialEq, Eq)]
pub struct Converted {
    /// The entity's id, as Kafka's key has it.
    pub key: String,
    /// The event's Kafka value, under schema id 1.
    pub event: Vec<u8>,
    /// For each of the type's join topics the keys under which the event is written once more.
    pub links: Vec<Vec<String>>,
    /// When the entity was last changed, in milliseconds since 1970, and the Kafka value of its state.
    pub latest: Option<(Option<i64>, Vec<u8>)>,
}

/// The encoder, ready.
pub struct Bench {
    catalog: Catalog,
}

impl Bench {
    /// Scan, identify and encode, as the pipeline does.
    #[must_use]
    pub fn convert(&self, profile: &str, body: &str) -> Option<Converted> {
        let profile = self.catalog.profiles.get(profile)?;
        let (identified, records) = sample::converted(profile, &HeaderMap::new(), body, NOW)?;
        Some(Converted {
            key: identified.key,
            event: records.event.framed(1),
            links: identified.links,
            latest: records.latest.map(|latest| (identified.updated_at, latest.framed(1))),
        })
    }
}
