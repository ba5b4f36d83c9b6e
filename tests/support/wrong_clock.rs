//! A clock that is wrong by as much as the test says: `wrong_clock.c`, compiled and preloaded into the bridge.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::preloaded;

pub(crate) struct WrongClock {
    library: PathBuf,
    file: PathBuf,
}

impl WrongClock {
    /// Compiles it into `dir`, or says why it cannot be had. It is right at first.
    pub(crate) fn compile(dir: &Path) -> Result<WrongClock, String> {
        let (library, file) = (preloaded::compile("support/wrong_clock.c", dir)?, dir.join("wrong_clock"));
        let clock = WrongClock { library, file };
        clock.set_ahead(Duration::ZERO);
        Ok(clock)
    }

    /// What runs a program with it.
    pub(crate) fn runner(&self) -> Vec<String> {
        preloaded::runner(&self.library, &[("WRONG_CLOCK", &self.file)])
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
