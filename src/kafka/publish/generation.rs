//! Which producers are in use. Whenever one of them changes, a new generation begins.
//!
//! The spool sends a record behind another of its key without waiting for that one. Both have to go by the same producer, and
//! the second must not be handed to one that has just given the first one back. So a record is handed over only while the
//! generation is still the one of which the caller knows, and nothing is handed over while it changes.

use std::sync::{PoisonError, RwLock};

/// The number of the present generation.
#[derive(Debug, Default)]
pub(super) struct Generation(RwLock<u64>);

impl Generation {
    pub(super) fn now(&self) -> u64 {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` while no producer changes; nothing if there is another generation than the one that is `due`.
    pub(super) fn during<T>(&self, due: Option<u64>, work: impl FnOnce() -> T) -> Option<T> {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner);
        due.is_none_or(|due| due == *now).then(work)
    }

    /// Does `change`, with which a new generation begins.
    pub(super) fn next<T>(&self, change: impl FnOnce() -> T) -> T {
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *now += 1;
        change()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_in_one_generation_is_not_done_in_the_next() {
        let generation = Generation::default();
        let first = generation.now();
        assert_eq!(generation.during(Some(first), || 1), Some(1));
        assert_eq!(generation.next(|| 2), 2);
        assert_eq!(generation.during(Some(first), || 3), None);
        assert_eq!(generation.during(None, || 4), Some(4));
        assert_eq!(generation.during(Some(generation.now()), || 5), Some(5));
    }
}
