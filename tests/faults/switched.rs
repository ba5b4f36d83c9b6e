//! A preloaded library whose fault is on while its flag, a file, is there. It writes a byte into another file for each call that it struck.

use std::fs;
use std::path::{Path, PathBuf};

use crate::rig::work_dir;
use crate::support::preloaded;

pub(crate) struct Switched {
    library: PathBuf,
    flag: PathBuf,
}

impl Switched {
    /// Compiles `NAME.c`, or says why it cannot be. The fault is off at first.
    pub(crate) fn compile(name: &str) -> Result<Switched, String> {
        let dir = work_dir(name);
        let library = preloaded::compile(&format!("faults/{name}.c"), &dir)?;
        let switched = Switched { library, flag: dir.join("flag") };
        switched.off();
        let _ = fs::remove_file(switched.struck_file());
        Ok(switched)
    }

    /// What runs a program with it: `variable` names the flag.
    pub(crate) fn runner(&self, variable: &str, more: &[(&str, &Path)]) -> Vec<String> {
        preloaded::runner(&self.library, &[&[(variable, self.flag.as_path())], more].concat())
    }

    pub(crate) fn on(&self) {
        fs::write(&self.flag, "").expect("the flag");
    }

    pub(crate) fn off(&self) {
        let _ = fs::remove_file(&self.flag);
    }

    /// How many calls it struck.
    pub(crate) fn struck(&self) -> u64 {
        fs::metadata(self.struck_file()).map_or(0, |file| file.len())
    }

    fn struck_file(&self) -> PathBuf {
        self.flag.with_extension("seen")
    }
}
