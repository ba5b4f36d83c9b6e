//! What the program is when it serves: everything wired up, behind listeners, and reloaded.

pub(crate) mod bridge;
pub(crate) mod preflight;
pub(crate) mod reload;
pub(crate) mod server;
