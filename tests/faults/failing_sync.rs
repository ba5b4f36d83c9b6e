//! A disk whose syncs fail when told to: `failing_sync.c`, compiled and preloaded into the bridge.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::rig::work_dir;
use crate::support::java;

pub(crate) struct FailingSync {
    library: PathBuf,
    flag: PathBuf,
}

impl FailingSync {
    /// Compiles it, or says why it cannot be had.
    pub(crate) fn compile() -> Result<FailingSync, String> {
        let dir = work_dir("failing_sync");
        let (library, flag) = (dir.join("failing_sync.so"), dir.join("flag"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/failing_sync.c");
        java::run(Command::new("cc").args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).arg(source))?;
        let sync = FailingSync { library, flag };
        sync.succeed();
        let _ = fs::remove_file(sync.seen());
        Ok(sync)
    }

    /// What runs a program with it.
    pub(crate) fn runner(&self) -> Vec<String> {
        let (library, flag) = (self.library.display(), self.flag.display());
        vec!["env".into(), format!("LD_PRELOAD={library}"), format!("FAULTS_SYNC_FAILS={flag}")]
    }

    /// From now on every sync fails.
    pub(crate) fn fail(&self) {
        fs::write(&self.flag, "").expect("the flag");
    }

    /// From now on syncs do what they should.
    pub(crate) fn succeed(&self) {
        let _ = fs::remove_file(&self.flag);
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> u64 {
        fs::metadata(self.seen()).map_or(0, |seen| seen.len())
    }

    fn seen(&self) -> PathBuf {
        self.flag.with_extension("seen")
    }
}
