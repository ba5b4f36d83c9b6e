//! Whether samples become records by a profile, and whether it goes together with what it was before.

use std::collections::BTreeMap;

use super::reading::Sample;
use crate::catalog::{EventType, Profile, compatibility};
use crate::convert::encode::{Fault, Head, encode};
use crate::convert::identify::{Why, identify};
use crate::values::json::{Document, MAX_DEPTH, SyntaxError};

/// What became of samples.
#[derive(Default)]
pub(crate) struct SampleTrial {
    pub(crate) converted: usize,
    /// What was left in `extra`: record and member, and how often.
    pub(crate) extra: BTreeMap<String, usize>,
    /// What could not be converted, and why.
    pub(crate) failed: Vec<(String, String)>,
}

/// Converts all samples by `profile`.
pub(crate) fn try_out(profile: &Profile, samples: &[Sample]) -> SampleTrial {
    let mut trial = SampleTrial::default();
    for sample in samples {
        match convert(profile, sample) {
            Ok(extra) => {
                trial.converted += 1;
                for member in extra {
                    *trial.extra.entry(member).or_default() += 1;
                }
            }
            Err(why) => trial.failed.push((sample.label.clone(), why.to_string())),
        }
    }
    trial
}

/// Why a body is no record.
#[derive(Debug, thiserror::Error)]
enum Unconverted {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error(transparent)]
    Type(#[from] Why),
    #[error(transparent)]
    Record(#[from] Fault),
}

/// What a body leaves in `extra`.
fn convert(profile: &Profile, sample: &Sample) -> Result<Vec<String>, Unconverted> {
    let doc = Document::scan(sample.text.as_bytes(), MAX_DEPTH)?;
    let identified = identify(&doc, &sample.headers, profile).map_err(|unidentified| unidentified.why)?;
    let head = Head {
        id: "00000000-0000-8000-8000-000000000000",
        event_type: &identified.event_type.name,
        source: &profile.name,
        entity_id: &identified.key,
        occurred_at: identified.occurred_at,
        received_at: 0,
    };
    let records = encode(&doc, profile, identified.event_type, &head, None, usize::MAX)?;
    Ok(records.drift)
}

/// In what the types of `new` do not go with those of `old`, a sentence each: there is none where all was only added to.
pub(crate) fn changes_that_break(old: &Profile, new: &Profile) -> Vec<String> {
    let mut found = Vec::new();
    for (name, was) in &old.types {
        match new.types.get(name) {
            Some(is) => found.extend(broken(was, is)),
            None => found.push(format!("{name} is gone")),
        }
    }
    found
}

fn broken(was: &EventType, is: &EventType) -> Vec<String> {
    let read = |text: &str| serde_json::from_str(text).unwrap_or_default();
    let schemas = was.schemas().zip(is.schemas());
    let found = schemas.flat_map(|(was, is)| compatibility::incompatibilities(&read(&was.text), &read(&is.text)));
    found.map(|found| format!("{}: {found}", was.name)).collect()
}
