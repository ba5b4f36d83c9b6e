//! Deliveries that hold several events: where these stand, and how many there may be.

use schemars::JsonSchema;
use serde::Deserialize;

use super::FlawAt;

/// Nobody may allow more: each is a record, or a dead letter, before the sender is answered.
const MOST_ALLOWED: u64 = 10_000;

/// `[[split]]` as the profile has it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenSplit {
    /// The path of the array in the body; "." if the body is the array.
    path: String,
    /// How many events a delivery may hold, up to 10000.
    most: Option<u64>,
}

/// An array whose elements are events.
#[derive(Clone, Debug)]
pub(crate) struct Split {
    /// Its path, as the profile has it.
    pub(crate) text: String,
    /// The members on the way, through arrays as well. None where the body itself is the array.
    pub(crate) steps: Vec<Box<str>>,
    /// So many events a delivery may hold.
    pub(crate) most: usize,
}

/// Reads them, and refuses one without a bound.
pub(super) fn resolve(written: &[WrittenSplit]) -> Result<Vec<Split>, FlawAt> {
    let mut splits: Vec<Split> = Vec::new();
    for (index, WrittenSplit { path, most }) in written.iter().enumerate() {
        let at = |key: &str| format!("split[{index}].{key}");
        let steps: Vec<Box<str>> = if path == "." { Vec::new() } else { path.split('.').map(Into::into).collect() };
        if steps.iter().any(|step| step.is_empty()) {
            return Err(FlawAt::new(
                at("path"),
                format!("{path:?} is not a path: a name is empty; the body itself is \".\""),
            ));
        }
        if splits.iter().any(|other| other.text == *path) {
            return Err(FlawAt::new(at("path"), format!("an earlier split has the path {path:?} already")));
        }
        let most = match most {
            Some(most @ 1..=MOST_ALLOWED) => usize::try_from(*most).unwrap_or(usize::MAX),
            Some(_) => return Err(FlawAt::new(at("most"), format!("expected a number from 1 to {MOST_ALLOWED}"))),
            None => {
                let what = format!("missing: how many events a delivery may hold, from 1 to {MOST_ALLOWED}");
                return Err(FlawAt::new(at("most"), what));
            }
        };
        splits.push(Split { text: path.clone(), steps, most });
    }
    Ok(splits)
}
