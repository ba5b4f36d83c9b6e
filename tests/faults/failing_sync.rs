//! A disk whose syncs fail when told to: `failing_sync.c`.

use crate::switched::Switched;

pub(crate) struct FailingSync(Switched);

impl FailingSync {
    /// Compiles it, or says why it cannot be had.
    pub(crate) fn compile() -> Result<FailingSync, String> {
        Switched::compile("failing_sync").map(FailingSync)
    }

    /// What runs a program with it.
    pub(crate) fn runner(&self) -> Vec<String> {
        self.0.runner("FAULTS_SYNC_FAILS", &[])
    }

    /// From now on every sync fails.
    pub(crate) fn fail(&self) {
        self.0.on();
    }

    /// From now on syncs do what they should.
    pub(crate) fn succeed(&self) {
        self.0.off();
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> u64 {
        self.0.struck()
    }
}
