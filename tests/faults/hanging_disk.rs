//! A disk that does not answer while told so: `hanging_disk.c`.

use std::path::Path;

use crate::switched::Switched;

pub(crate) struct HangingDisk(Switched);

impl HangingDisk {
    /// Compiles it, or says why it cannot be had.
    pub(crate) fn compile() -> Result<HangingDisk, String> {
        Switched::compile("hanging_disk").map(HangingDisk)
    }

    /// What runs a program with it; `at` is on that disk.
    pub(crate) fn runner(&self, at: &Path) -> Vec<String> {
        self.0.runner("FAULTS_DISK_HANGS", &[("FAULTS_DISK", at)])
    }

    /// From now on the disk does not answer.
    pub(crate) fn hang(&self) {
        self.0.on();
    }

    /// From now on it answers, also what it was asked meanwhile.
    pub(crate) fn answer(&self) {
        self.0.off();
    }

    /// How many calls had to wait.
    pub(crate) fn waited(&self) -> u64 {
        self.0.struck()
    }
}

impl Drop for HangingDisk {
    fn drop(&mut self) {
        self.answer();
    }
}
