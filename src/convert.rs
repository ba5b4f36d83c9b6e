//! From a verified body to Avro bytes. No I/O, no clock.

mod distinct;
pub(crate) mod encode;
pub(crate) mod identify;
pub(crate) mod prepare;
pub(crate) mod spelling;
pub(crate) mod split;
