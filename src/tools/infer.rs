//! From sample bodies, or JSON Schemas, to a profile: `profile.toml` and `.avsc` files, or what is to be added to those of one that is there. Pure:
//! texts in, texts out; whoever calls reads and writes the files.
//!
//! ```text
//! samples ─▶ grouping: which type ─▶ shape: what was seen where ─▶ walk: what has a field already
//! schemas ──────┘
//!        ─▶ keys: key and time ─▶ places: which objects are one record ─▶ layout ─▶ avsc_text, profile_file ─▶ trial
//! ```
//!
//! What is there only ever gets more: nullable fields, records, types. What would not go together with it is said.
//! Values of samples are in no file and no note, but for those that tell types.

mod avsc_text;
mod drafting;
mod extras;
mod grouping;
mod keys;
mod known;
mod layout;
mod naming;
mod notes;
mod places;
mod profile_file;
mod reading;
mod schemas;
mod shape;
mod trial;
mod walk;

pub(crate) use drafting::{Draft, DraftedType, draft};
pub(crate) use extras::{SeenExtras, SeenSpan};
pub(crate) use profile_file::VerifyChoice;
pub(crate) use reading::{Base, InferError, Inputs, Sample};
pub(crate) use schemas::SchemaFile;
pub(crate) use trial::{SampleTrial, changes_that_break, try_out};

#[cfg(test)]
mod tests;
