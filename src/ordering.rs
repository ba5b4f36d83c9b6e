//! Which deliveries have to keep their order (keys), and what has to work for each (gates).
//!
//! Deliveries that share a key keep their order, whatever becomes of one of them. Behind a gate that is shut wait only those
//! that need it, and what shares a key with them.

use std::fmt;
use std::sync::Arc;

/// In place of a partition: any of a topic.
pub(crate) const ANY_PARTITION: i32 = -1;

/// What a delivery goes through on its way to Kafka.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gate {
    /// A topic and its partition, [`ANY_PARTITION`] while the topic has not been seen.
    Partition(Arc<str>, i32),
    /// A subject whose schema's id is not known.
    Schema(Arc<str>),
    /// A latest topic whose newest states are not known.
    States(Arc<str>),
    /// The store of large files.
    Media,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::Partition(topic, ANY_PARTITION) => write!(f, "{topic}"),
            Gate::Partition(topic, partition) => write!(f, "{topic}, partition {partition}"),
            Gate::Schema(subject) => write!(f, "the schema of {subject}"),
            Gate::States(topic) => write!(f, "the newest states of {topic}"),
            Gate::Media => write!(f, "the media store"),
        }
    }
}

/// What one delivery needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Hashes of the ids whose order it is part of: of the entity it is about, and of those it is linked to. Each once.
    pub(crate) keys: Vec<u64>,
    /// No two alike.
    pub(crate) gates: Vec<Gate>,
}

impl Needs {
    /// Drops what is named twice.
    pub(crate) fn new(mut keys: Vec<u64>, mut gates: Vec<Gate>) -> Needs {
        keys.sort_unstable();
        keys.dedup();
        gates.sort_unstable();
        gates.dedup();
        Needs { keys, gates }
    }
}
