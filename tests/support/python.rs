//! Python for tests: virtual environments under `target/test-servers`, made once.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::java::{run, test_servers};
use super::say;

/// What enables a test that was skipped for want of it.
pub(crate) const ENABLE: &str = "install python3 with venv and pip";

/// One at a time: the first to come makes the environment.
static MAKING: Mutex<()> = Mutex::new(());

/// A Python that has these packages, fetched if need be, or what is missing.
pub(crate) fn python(environment: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let venv = test_servers().join(environment);
    let python = venv.join("bin/python");
    let complete = venv.join(".complete");
    let wanted = packages.join("\n");
    if fs::read_to_string(&complete).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    say(&format!("fetching {} to {}", packages.join(" and "), venv.display()));
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    run(Command::new(&python).args(["-m", "pip", "install", "-q", "--disable-pip-version-check"]).args(packages))?;
    fs::write(complete, wanted).map_err(|e| e.to_string())?;
    Ok(python)
}
