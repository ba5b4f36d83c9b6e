//! Values that cannot be written where they stand, and events that cannot be a record because of one.

use super::clip;

/// Why an authentic event cannot be a record, and where.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{path}: {what}")]
    Unfit { path: String, what: String },
    #[error("the record is larger than kafka.max_record_bytes ({most} bytes)")]
    TooLarge { most: usize },
}

/// What is wrong with a value, and where it stands.
pub(super) struct ValuePlace {
    pub(super) path: String,
    what: String,
}

/// A value that cannot be written where it stands. `Rises` looks for the nearest optional field; the others do not.
pub(super) enum Misfit {
    Rises(Box<ValuePlace>),
    Stands(Box<ValuePlace>),
    /// With it the record is larger than these bytes, wherever the value goes.
    TooLarge(usize),
}

impl Misfit {
    pub(super) fn rises(what: impl Into<String>) -> Self {
        Misfit::Rises(Box::new(ValuePlace { path: String::new(), what: what.into() }))
    }

    pub(super) fn duplicate(key: &str) -> Self {
        Misfit::Stands(Box::new(ValuePlace { path: clip(key), what: "duplicate key".into() }))
    }

    pub(super) fn place(&mut self) -> Option<&mut ValuePlace> {
        match self {
            Misfit::Rises(place) | Misfit::Stands(place) => Some(place),
            Misfit::TooLarge(_) => None,
        }
    }

    /// The same misfit seen from one level further out.
    pub(super) fn within(mut self, step: &str) -> Self {
        if let Some(ValuePlace { path, .. }) = self.place() {
            let joint = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            *path = format!("{step}{joint}{path}");
        }
        self
    }

    pub(super) fn into_fault(self) -> Fault {
        match self {
            Misfit::Rises(place) | Misfit::Stands(place) => Fault::Unfit { path: place.path, what: place.what },
            Misfit::TooLarge(most) => Fault::TooLarge { most },
        }
    }
}
