//! Who may send, and the proof that they did.

pub(crate) mod verify;
