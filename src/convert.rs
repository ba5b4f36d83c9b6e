//! From a verified body to Avro bytes. No I/O, no clock.

pub(crate) mod encode;
pub(crate) mod identify;
pub(crate) mod prepare;
pub(crate) mod spelling;
pub(crate) mod split;
