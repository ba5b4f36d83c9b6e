//! How much: disk and memory, measured in a process of its own, so that the peak is the store's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use crate::stores::{Entry, Kind};
use crate::{LARGEST, Result};

/// In bytes: what the files in `dir` take on disk, and how long they are; a hole is length alone.
fn size(dir: &Path) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let (taken, len) =
            if metadata.is_dir() { size(&entry.path())? } else { (metadata.blocks() * 512, metadata.len()) };
        sum = (sum.0 + taken, sum.1 + len);
    }
    Ok(sum)
}

/// The most memory that this process ever had, in bytes.
fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM: not a Linux")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// Adds `count` entries, removes them, and shrinks. Gives the sizes on the way, then the peak while adding.
pub fn fill_and_empty(kind: Kind, dir: &Path, count: u64) -> Result<[u64; 7]> {
    let mut store = kind.open(dir)?;
    crate::fill(store.as_mut(), count)?;
    let peak = peak()?;
    let full = size(dir)?;
    for through in (256..count).step_by(256).chain([count]) {
        store.commit(&[], Some(through))?;
    }
    let emptied = size(dir)?;
    store.shrink()?;
    let shrunk = size(dir)?;
    Ok([full.0, full.1, emptied.0, emptied.1, shrunk.0, shrunk.1, peak])
}

/// Adds one entry of the largest size there is. Gives the microseconds that took, and the peak.
pub fn largest(kind: Kind, dir: &Path) -> Result<[u64; 2]> {
    let mut store = kind.open(dir)?;
    let entry = [Entry::new(1, LARGEST)];
    let start = Instant::now();
    store.commit(&entry, None)?;
    let micros = start.elapsed().as_micros() as u64;
    let peak = peak()?;
    let read = store.reader()?.after(0, 1)?.pop().ok_or("the entry is not there")?;
    if read.body != entry[0].body {
        return Err("the entry is not what was written".into());
    }
    Ok([micros, peak])
}
