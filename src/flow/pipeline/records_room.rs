//! The room for what is made of senders' events until Kafka has it.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes that may be in use at once.
pub(crate) struct RecordsRoom {
    most: u32,
    left: Semaphore,
}

impl RecordsRoom {
    pub(crate) fn of(bytes: usize) -> RecordsRoom {
        let most = u32::try_from(bytes).unwrap_or(u32::MAX);
        RecordsRoom { most, left: Semaphore::new(most as usize) }
    }

    /// Takes `bytes` until what this gives is dropped, or all there are, if those are fewer.
    pub(super) fn take(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        self.left.try_acquire_many(u32::try_from(bytes).unwrap_or(u32::MAX).min(self.most)).ok()
    }
}
