//! Why a file is not in the store.

use std::io;

use tokio::task::JoinError;

use crate::values::amount::size;

/// The store did not take a file; whoever has the event has to come again with it.
#[derive(Debug, thiserror::Error)]
#[error("the media store cannot store files: {0}")]
pub(crate) struct StoreUnavailable(pub(super) StoreError);

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The folder holds what it may.
    #[error(
        "no room for a file of {}: {} of media.max_bytes ({}) are used: delete files, or raise media.max_bytes",
        size(*.bytes), size(*.used), size(*.max_bytes)
    )]
    NoRoom { bytes: u64, used: u64, max_bytes: u64 },
    /// What the store said, without secrets.
    #[error("{0}")]
    Said(String),
    #[error("no answer in time")]
    TooSlow,
    /// The file is there, but may not outlast a loss of power.
    #[error(transparent)]
    NotSynchronised(#[from] io::Error),
    /// Where, and by what, is on the standard error.
    #[error("its client failed with a panic, which is a bug: please report it with the lines of the panic")]
    Panicked,
    /// The process ends.
    #[error(transparent)]
    Ended(#[from] JoinError),
}

/// What a probe found wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("cannot store files: {0}")]
    Write(StoreError),
    /// Needed by the probe only.
    #[error("a file was written, but could not be deleted: {0}")]
    Delete(StoreError),
}
