//! Files and folders of ours: who may read them, and why one cannot be used.

pub(crate) mod access;
pub(crate) mod private;
