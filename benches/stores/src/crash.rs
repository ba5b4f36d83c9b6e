//! What is left after `kill -9`, how long the next open takes, and whether others may look inside.
//!
//! A kill shows that a store finds its way back from any half of a commit. It does not show that the disk has what was
//! committed, since the kernel lives on and writes it: for that, look at the syncs with `strace`, as `main.rs` says.

use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::report::Spread;
use crate::stores::{Entry, Kind};
use crate::{Result, SMALL, child};

const BATCH: u64 = 16;

#[derive(Default)]
pub struct Survived {
    /// In milliseconds, until the first entry is read.
    pub opens: Spread,
    pub entries: u64,
    /// Entries whose commit had returned and which are not there.
    pub lost: u64,
}

/// The child's part: appends until it is killed, and prints the last entry of each commit that returned.
pub fn append_until_killed(kind: Kind, dir: &Path) -> Result<()> {
    let mut store = kind.open(dir)?;
    let mut last = last(kind, store.reader()?.as_mut())?;
    loop {
        let entries: Vec<Entry> = (1..=BATCH).map(|n| Entry::new(last + n, SMALL)).collect();
        store.commit(&entries, None)?;
        last += BATCH;
        writeln!(stdout(), "{last}")?;
    }
}

/// Fills a store, then `kills` times: has a child append to it, kills that, opens the store and looks at every entry.
pub fn kill_and_open(kind: Kind, dir: &Path, count: u64, kills: usize) -> Result<Survived> {
    let mut survived = Survived::default();
    let mut present = crate::fill(kind.open(dir)?.as_mut(), count)?;
    for _ in 0..kills {
        let mut appender = child("append", kind, dir)?.stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(appender.stdout.take().ok_or("no pipe")?).lines();
        let first = lines.next().ok_or("the child wrote nothing")??;
        let rest = thread::spawn(move || lines.map_while(std::io::Result::ok).last());
        let chance = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.subsec_micros() % 1000;
        thread::sleep(Duration::from_millis(200 + u64::from(chance)));
        appender.kill()?;
        appender.wait()?;
        let committed: u64 = rest.join().map_err(|_| "the reader panicked")?.unwrap_or(first).parse()?;

        let start = Instant::now();
        let store = kind.open(dir)?;
        let mut reader = store.reader()?;
        reader.after(0, 1)?;
        survived.opens.add(start.elapsed().as_secs_f64() * 1e3);
        present = last(kind, reader.as_mut())?;
        survived.lost += committed.saturating_sub(present);
        if present > committed + BATCH {
            return Err(format!("{}: {present} entries, of which {committed} were committed", kind.name()).into());
        }
    }
    survived.entries = present;
    Ok(survived)
}

/// The last entry, after a look at all: there is no gap before it, and each has the bytes that were written.
fn last(kind: Kind, reader: &mut dyn crate::stores::Reader) -> Result<u64> {
    let mut last = 0;
    loop {
        let entries = reader.after(last, 1000)?;
        if entries.is_empty() {
            return Ok(last);
        }
        for entry in entries {
            if entry.id != last + 1 || entry.body != Entry::new(entry.id, SMALL).body {
                return Err(format!("{}: {} after {last}, or its bytes, are wrong", kind.name(), entry.id).into());
            }
            last = entry.id;
        }
    }
}

/// What another process finds while this one has the store open, and has written to it.
pub fn look_from_outside(kind: Kind, dir: &Path) -> Result<String> {
    let mut store = kind.open(dir)?;
    let last = crate::fill(store.as_mut(), 1000)?;
    let look = || -> Result<String> {
        let output = child("count", kind, dir)?.output()?;
        let said = if output.status.success() { output.stdout } else { output.stderr };
        Ok(String::from_utf8(said)?.trim().to_owned())
    };
    let before = look()?;
    store.commit(&[Entry::new(last + 1, SMALL)], None)?;
    let after = look()?;
    Ok(if (before.as_str(), after.as_str()) == ("1000", "1001") {
        "yes, sees each commit".to_owned()
    } else {
        format!("no: {after}")
    })
}
