//! What a scenario is played against: one broker, or a cluster of three.

use crate::support::bridge::Setup;

/// A Kafka that the bridge writes to, and that scenarios break.
pub(crate) trait Setting: 'static {
    /// Points a bridge that is still to be started at it.
    fn configure(&self, setup: &mut Setup);

    /// Where the suite itself finds what is up of it, whatever stands between it and the bridge.
    fn address(&self) -> String;

    /// Makes all of it well again, whatever a scenario that failed left behind.
    fn mend(&self);
}
