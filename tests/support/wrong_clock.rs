//! A clock that is wrong by as much as the test says: `wrong_clock.c`, compiled and preloaded into the bridge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::java;

pub(crate) struct WrongClock {
    library: PathBuf,
    file: PathBuf,
}

impl WrongClock {
    /// Compiles it into `dir`, or says why it cannot be had. It is right at first.
    pub(crate) fn compile(dir: &Path) -> Result<WrongClock, String> {
        let (library, file) = (dir.join("wrong_clock.so"), dir.join("wrong_clock"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/wrong_clock.c");
        let mut compiler = Command::new("cc");
        java::run(compiler.args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"]).arg(&library).arg(source))?;
        let clock = WrongClock { library, file };
        clock.set_ahead(Duration::ZERO);
        Ok(clock)
    }

    /// What runs a program with it.
    pub(crate) fn runner(&self) -> Vec<String> {
        let (library, file) = (self.library.display(), self.file.display());
        vec!["env".into(), format!("LD_PRELOAD={library}"), format!("WRONG_CLOCK={file}")]
    }

    pub(crate) fn set_ahead(&self, time: Duration) {
        self.set(i64::try_from(time.as_secs()).expect("seconds"));
    }

    /// Sets it ahead by so many seconds, or back by less than none.
    pub(crate) fn set(&self, seconds: i64) {
        // As a whole, since it is read all the while.
        let new = self.file.with_extension("new");
        fs::write(&new, seconds.to_string()).expect("a file");
        fs::rename(new, &self.file).expect("a file");
    }
}
