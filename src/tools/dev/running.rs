//! A `dev` that runs, as other commands find it: its configuration, in a file of its data directory.
//!
//! The file is complete, so any command takes it with `--config` too. It is as private as the directory, goes with it, and holds
//! no variable's value: what the configuration of `--config` has as `${NAME}` stays so.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};
use toml::Table;

use super::sources::set;

/// What the folders of all of them begin with, before the process.
const FOLDER: &str = "hookbridge-dev-";
const FILE: &str = "hookbridge.toml";
const LOCK: &str = "lock";

/// The data directory of this process.
pub(super) fn data_dir() -> PathBuf {
    std::env::temp_dir().join(format!("{FOLDER}{}", std::process::id()))
}

/// Where a `dev` whose data directory this is has its configuration.
pub(super) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

/// Writes the configuration for other commands, with the addresses that are listened on.
pub(super) fn write(mut table: Table, data_dir: &Path, webhooks: SocketAddr, admin: SocketAddr) -> io::Result<()> {
    set(&mut table, "http", "listen", webhooks.to_string());
    set(&mut table, "admin", "listen", admin.to_string());
    if let Some(dir) = table.get("catalog").and_then(|catalog| catalog.get("dir")).and_then(toml::Value::as_str) {
        let absolute = std::path::absolute(dir)?.display().to_string();
        set(&mut table, "catalog", "dir", absolute);
    }
    // Whole or not at all: others look for it meanwhile.
    let new = data_dir.join(format!("{FILE}.new"));
    fs::write(&new, table.to_string())?;
    fs::rename(new, file(data_dir))
}

/// Removes the data directories that a `dev` of this user's left behind, since it was killed.
pub(super) fn remove_left() {
    for folder in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if is_left(&folder.path()) {
            // What cannot be removed does no harm.
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

/// Whether this is the data directory of a `dev` of this user's that has ended. The lock alone would not do: one that starts has its
/// directory before it. The process alone would not either: another container's may have this folder.
fn is_left(folder: &Path) -> bool {
    let process = process_of(folder).and_then(|process| Pid::from_raw(i32::try_from(process).ok()?));
    let is_gone = process.is_some_and(|process| test_kill_process(process) == Err(Errno::SRCH));
    let is_ours = fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && is_private(&found));
    is_gone && is_ours && File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock_shared().is_ok())
}

/// The process whose data directory has this name.
fn process_of(folder: &Path) -> Option<u32> {
    folder.file_name()?.to_str()?.strip_prefix(FOLDER)?.parse().ok()
}

/// Anybody may make a folder of this name: nobody else's counts.
fn is_private(found: &fs::Metadata) -> bool {
    found.uid() == geteuid().as_raw() && found.mode() & 0o022 == 0
}

/// A `dev` that runs on this machine, started by this user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunningDev {
    pub(crate) process: u32,
    /// Its configuration.
    pub(crate) file: PathBuf,
}

impl RunningDev {
    /// Where it accepts webhooks: what its file says, whatever variables the process that asks has.
    pub(crate) fn listens_at(&self) -> Option<SocketAddr> {
        let table: Table = fs::read_to_string(&self.file).ok()?.parse().ok()?;
        table.get("http")?.get("listen")?.as_str()?.parse().ok()
    }

    /// All there are, the one that was started last first.
    pub(crate) fn all() -> Vec<RunningDev> {
        let folders = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
        let mut found: Vec<(SystemTime, RunningDev)> = folders.filter_map(|folder| look(&folder.path())).collect();
        found.sort_by_key(|(started, dev)| std::cmp::Reverse((*started, dev.process)));
        found.into_iter().map(|(_, dev)| dev).collect()
    }
}

/// The `dev` whose data directory this is, and since when it runs.
fn look(folder: &Path) -> Option<(SystemTime, RunningDev)> {
    let process = process_of(folder)?;
    let (of_folder, file) = (fs::symlink_metadata(folder).ok()?, file(folder));
    let of_file = fs::symlink_metadata(&file).ok()?;
    if !(of_folder.is_dir() && of_file.is_file() && is_private(&of_folder) && is_private(&of_file)) {
        return None;
    }
    // The lock ends with the process, however that ends.
    let runs = matches!(File::open(folder.join(LOCK)).ok()?.try_lock_shared(), Err(TryLockError::WouldBlock));
    runs.then_some((of_file.modified().ok()?, RunningDev { process, file }))
}
