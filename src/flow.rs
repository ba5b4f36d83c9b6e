//! The way of a delivery from the door to Kafka: taken in, prepared and published, or kept in the spool and drained.

pub(crate) mod chains;
pub(crate) mod drain;
pub(crate) mod intake;
pub(crate) mod pipeline;
