//! Everything that is said to Kafka and to the schema registry: which record, where to, and whether it was acknowledged.

pub(crate) mod dead_letter;
pub(crate) mod follow;
pub(crate) mod latest;
pub(crate) mod part_headers;
pub(crate) mod partition;
pub(crate) mod plain_words;
mod property_words;
pub(crate) mod publish;
pub(crate) mod registry;
pub(crate) mod route;
