//! What commands are made of, beside the flow: nothing in the flow knows them.

pub(crate) mod audit;
#[doc(hidden)]
pub mod bench;
pub(crate) mod dead_letter_index;
pub(crate) mod dev;
pub(crate) mod docs;
pub(crate) mod event_id;
#[doc(hidden)]
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub(crate) mod infer;
pub(crate) mod random;
pub(crate) mod read;
pub(crate) mod replay;
pub(crate) mod sample;
pub(crate) mod send;
pub(crate) mod starter;
pub(crate) mod trial;
