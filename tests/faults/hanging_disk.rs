//! A disk that does not answer while told so: `hanging_disk.c`, compiled and preloaded into the bridge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rig::work_dir;
use crate::support::java;

pub(crate) struct HangingDisk {
    library: PathBuf,
    flag: PathBuf,
}

impl HangingDisk {
    /// Compiles it, or says why it cannot be had.
    pub(crate) fn compile() -> Result<HangingDisk, String> {
        let dir = work_dir("hanging_disk");
        let (library, flag) = (dir.join("hanging_disk.so"), dir.join("flag"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/hanging_disk.c");
        java::run(Command::new("cc").args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).arg(source))?;
        let disk = HangingDisk { library, flag };
        disk.answer();
        let _ = fs::remove_file(disk.seen());
        Ok(disk)
    }

    /// What runs a program with it; `at` is on that disk.
    pub(crate) fn runner(&self, at: &Path) -> Vec<String> {
        let (library, flag) = (self.library.display(), self.flag.display());
        let disk = format!("FAULTS_DISK={}", at.display());
        vec!["env".into(), format!("LD_PRELOAD={library}"), format!("FAULTS_DISK_HANGS={flag}"), disk]
    }

    /// From now on the disk does not answer.
    pub(crate) fn hang(&self) {
        fs::write(&self.flag, "").expect("the flag");
    }

    /// From now on it answers, also what it was asked meanwhile.
    pub(crate) fn answer(&self) {
        let _ = fs::remove_file(&self.flag);
    }

    /// How many calls had to wait.
    pub(crate) fn waited(&self) -> u64 {
        fs::metadata(self.seen()).map_or(0, |seen| seen.len())
    }

    fn seen(&self) -> PathBuf {
        self.flag.with_extension("seen")
    }
}

impl Drop for HangingDisk {
    fn drop(&mut self) {
        self.answer();
    }
}
