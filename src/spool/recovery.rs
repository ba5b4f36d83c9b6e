//! A damaged file is put aside, and what can be read of it goes into a new one.
//!
//! ```text
//! spool.recovering.db             the new file while it is made                 an unfinished one is thrown away
//! spool.recovered.db              the same, complete                            an end of the process here: the next start goes on
//! spool.damaged-<time>.db, -wal   the old one, kept
//! spool.damaged-<time>.txt        what was recovered of it, and what is lost
//! spool.db                        the new one
//! ```
//!
//! Deliveries keep their numbers, and so their order.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rusqlite::{Connection, params};

use super::SpoolError;
use super::pages::Pages;
use super::rows::{FoundRow, find, find_later};
use super::store::{FILE, NewRow, Row, SpoolStore, insert};
use crate::values::time::{now_millis, to_rfc3339};

const RECOVERING: &str = "spool.recovering.db";
const RECOVERED: &str = "spool.recovered.db";
/// Begins the names of what was put aside.
const DAMAGED: &str = "spool.damaged-";
/// Deliveries that share a transaction, and bytes after which no more join.
const GROUP_ROWS: usize = 1000;
const GROUP_BYTES: usize = 16 << 20;
/// Numbers so far above all others are none of ours.
const FAR: i64 = 1 << 32;
/// Lost deliveries that are named one by one.
const NAMED: usize = 1000;

/// A delivery that is lost, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) seq: i64,
    /// Lane, source, type, and when it was received, where the index has it.
    pub(crate) known: Option<(String, String, Option<String>, i64)>,
}

/// What became of a damaged file.
#[derive(Clone, Debug)]
pub(crate) struct Recovered {
    /// Why it was put aside.
    pub(crate) why: String,
    /// Its name now.
    pub(crate) file: PathBuf,
    pub(crate) records: u64,
    /// Their numbers: first and last of each row of them without a gap.
    ranges: Vec<(i64, i64)>,
    /// How many are lost, and the first of them.
    pub(crate) lost: u64,
    pub(crate) named: Vec<Lost>,
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> SpoolError {
        SpoolError::Disk(format!("{FILE}: {error}"))
    }
}

/// The log beside a file.
fn log_of(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// The pages of the spool in `dir`, none when there is no file.
pub(super) fn pages(dir: &Path) -> Result<Option<Pages>, SpoolError> {
    let path = dir.join(FILE);
    match Pages::open(&path, &log_of(&path)) {
        Ok(pages) => Ok(Some(pages)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SpoolError::from_io(&path, &error)),
    }
}

/// Deliveries of the last write, the end of which did not get to the disk whole. Nobody was told that they are there; or the disk
/// has altered the end.
pub(super) fn late_rows(pages: &Pages) -> Result<Vec<Row>, SpoolError> {
    let mut rows = Vec::new();
    find_later(pages, |found| {
        if let FoundRow::Whole(row) = found {
            rows.push(row);
        }
        Ok::<_, SpoolError>(())
    })?;
    rows.sort_by_key(|row| row.seq);
    Ok(rows)
}

/// Goes on with a recovery that an end of the process has interrupted.
pub(super) fn go_on(dir: &Path) -> Result<(), SpoolError> {
    if dir.join(RECOVERED).exists() {
        let aside = free_name(dir);
        put_in_place(dir, &aside)?;
        tracing::warn!(file = %aside.display(), "the spool's interrupted recovery is now complete");
    }
    Ok(())
}

/// Puts the file aside and what can be read of it into a new one. `close` closes whatever is open of the old one: who closes a
/// file last removes the log that is beside its name.
pub(super) fn recover(dir: &Path, why: &str, close: impl FnOnce()) -> Result<Recovered, SpoolError> {
    tracing::error!(reason = why, "the spool's file is damaged; recovering what can be read into a new file");
    let fresh = dir.join(RECOVERING);
    for left in [fresh.clone(), log_of(&fresh), beside(&fresh, "-shm")] {
        remove(&left)?;
    }
    let (mut lost, mut named) = (0, Vec::new());
    let mut store = SpoolStore::make(&fresh)?;
    if let Some(pages) = pages(dir)? {
        copy(&pages, &mut store)?;
        (lost, named) = what_is_lost(&mut store)?;
    }
    let (records, ranges) = (store.records()?, store.ranges()?);
    store.checkpoint().map_err(|e| SpoolError::of(&e))?;
    drop(store);
    let aside = free_name(dir);
    let recovered = Recovered { why: why.to_owned(), file: aside.clone(), records, ranges, lost, named };
    // Not what the recovery is for: it shall not fail by that.
    if let Err(error) = fs::write(aside.with_extension("txt"), recovered.report()) {
        tracing::warn!(%error, "cannot write the report of the recovery");
    }
    close();
    rename(&fresh, &dir.join(RECOVERED))?;
    put_in_place(dir, &aside)?;
    recovered.log();
    Ok(recovered)
}

/// Renames both: the log first, since a file must never be beside the log of another.
fn put_in_place(dir: &Path, aside: &Path) -> Result<(), SpoolError> {
    let file = dir.join(FILE);
    for (from, to) in [(log_of(&file), log_of(aside)), (file.clone(), aside.to_owned())] {
        if from.exists() {
            rename(&from, &to)?;
        }
    }
    remove(&beside(&file, "-shm"))?;
    rename(&dir.join(RECOVERED), &file)
}

/// Renames, so that it outlasts a loss of power.
fn rename(from: &Path, to: &Path) -> Result<(), SpoolError> {
    let renamed = fs::rename(from, to).and_then(|()| match to.parent() {
        Some(dir) => fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    });
    renamed.map_err(|e| SpoolError::from_io(from, &e))
}

fn remove(path: &Path) -> Result<(), SpoolError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SpoolError::from_io(path, &error)),
        _ => Ok(()),
    }
}

/// Where the old file goes: no file has this name.
fn free_name(dir: &Path) -> PathBuf {
    let time: String = to_rfc3339(now_millis()).chars().take(19).filter(|c| !"-:".contains(*c)).collect();
    let names = (1..).map(|n| if n == 1 { format!("{DAMAGED}{time}Z.db") } else { format!("{DAMAGED}{time}Z-{n}.db") });
    let mut free = names.map(|name| dir.join(name)).filter(|path| !path.exists());
    free.next().unwrap_or_else(|| dir.join(DAMAGED))
}

/// Begins the line of a report with the numbers of what was recovered.
const NUMBERS: &str = "Recovered:";

fn told(ranges: &[(i64, i64)]) -> String {
    let ranges: String = ranges.iter().map(|(first, last)| format!(" {first}-{last}")).collect();
    format!("{NUMBERS}{ranges}\n")
}

/// The numbers that the report beside `file` tells of.
fn known(file: &Path) -> Vec<(i64, i64)> {
    let report = fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
    let ranges = report.lines().filter_map(|line| line.strip_prefix(NUMBERS)).flat_map(str::split_whitespace);
    ranges
        .filter_map(|range| range.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?))))
        .collect()
}

/// What another look at a file that was put aside has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Again {
    /// Whole, and in the spool now, at its end.
    pub(crate) added: u64,
    /// Recovered before.
    pub(crate) known: u64,
    pub(crate) damaged: u64,
}

/// Adds what can be read of a file that was put aside, and was not before, to the spool in `dir`, which nobody else uses.
pub(crate) fn recover_again(dir: &Path, file: &Path) -> Result<Again, SpoolError> {
    let pages = Pages::open(file, &log_of(file)).map_err(|e| SpoolError::from_io(file, &e))?;
    let mut store = SpoolStore::create(dir)?;
    let (base, known_ones, mut again) = (store.last_seq()?, known(file), Again::default());
    let mut added = Vec::new();
    find(&pages, |found| match found {
        FoundRow::Whole(row) if known_ones.iter().any(|(first, last)| (*first..=*last).contains(&row.seq)) => {
            again.known += 1;
            Ok(())
        }
        FoundRow::Whole(row) => {
            added.push((row.seq, row.seq));
            let seq = base.saturating_add(row.seq);
            let done = store.commit(|connection| insert(connection, &NewRow::of(&row, seq)));
            done.map_err(|e| SpoolError::of(&e))
        }
        FoundRow::Damaged(_) => {
            again.damaged += 1;
            Ok(())
        }
        FoundRow::Listed(_) => Ok(()),
    })?;
    again.added = added.len() as u64;
    let report = fs::OpenOptions::new().create(true).append(true).open(file.with_extension("txt"));
    report
        .and_then(|mut report| report.write_all(told(&added).as_bytes()))
        .map_err(|e| SpoolError::from_io(file, &e))?;
    Ok(again)
}

/// The files that were put aside in `dir`, the oldest first.
pub(crate) fn put_aside(dir: &Path) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(DAMAGED) && name.ends_with(".db")
    };
    let mut found: Vec<_> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).filter(is_one).collect();
    found.sort();
    found
}

/// Tables for the time being. They are on disk, since there may be millions of deliveries: SQLite would sort them in memory, or in a
/// folder that a container may not have.
const TABLES: &str = "
    CREATE TABLE listed (seq INTEGER PRIMARY KEY, lane TEXT, source TEXT, type TEXT, received_at INTEGER);
    CREATE TABLE recovered (received_at INTEGER, id TEXT, seq INTEGER, PRIMARY KEY (received_at, id, seq)) WITHOUT ROWID;
";

/// Copies each delivery that is whole, and for the time being what the index lists.
fn copy(pages: &Pages, store: &mut SpoolStore) -> Result<(), SpoolError> {
    let failed = |e: rusqlite::Error| SpoolError::of(&e);
    store.commit(|connection| connection.execute_batch(TABLES)).map_err(failed)?;
    let (mut group, mut bytes) = (Vec::new(), 0);
    let mut write = |group: &mut Vec<FoundRow>, bytes: &mut usize| {
        *bytes = 0;
        let found = std::mem::take(group);
        store.commit(|connection| found.iter().try_for_each(|found| keep(connection, found))).map_err(failed)
    };
    find(pages, |found| {
        bytes += if let FoundRow::Whole(row) = &found { row.body.len() } else { 0 };
        group.push(found);
        if group.len() < GROUP_ROWS && bytes < GROUP_BYTES { Ok(()) } else { write(&mut group, &mut bytes) }
    })?;
    write(&mut group, &mut bytes)?;
    drop_copies(store).map_err(failed)?;
    place(store).map_err(failed)
}

fn keep(connection: &Connection, found: &FoundRow) -> rusqlite::Result<()> {
    match found {
        FoundRow::Whole(row) => {
            // It may be in the log twice; and a number that is another's already was altered.
            let same = "SELECT id FROM deliveries WHERE seq = ?1";
            let same: Option<String> =
                optional(connection.prepare_cached(same)?.query_row([row.seq], |row| row.get(0)))?;
            match same {
                Some(id) if id == row.id => Ok(()),
                Some(_) => add(connection, row, highest(connection)? + FAR + 1),
                None => add(connection, row, row.seq),
            }
        }
        FoundRow::Listed(row) => {
            let Row { seq, lane, source, event_type, received_at, .. } = row;
            let list = "INSERT OR REPLACE INTO listed VALUES (?1, ?2, ?3, ?4, ?5)";
            let mut list = connection.prepare_cached(list)?;
            list.execute(params![seq, lane, source, event_type, received_at]).map(drop)
        }
        FoundRow::Damaged(seq) => {
            let mut list = connection.prepare_cached("INSERT OR IGNORE INTO listed (seq) VALUES (?1)")?;
            list.execute([seq]).map(drop)
        }
    }
}

fn add(connection: &Connection, row: &Row, seq: i64) -> rusqlite::Result<()> {
    let mut note = connection.prepare_cached("INSERT INTO recovered VALUES (?1, ?2, ?3)")?;
    note.execute(params![row.received_at, row.id, seq])?;
    insert(connection, &NewRow::of(row, seq))
}

fn optional<T>(found: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match found {
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
        found => found.map(Some),
    }
}

fn highest(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(seq), 0) FROM deliveries WHERE seq < 1 << 60", [], |row| row.get(0))
}

/// Drops what is there twice. No seal covers a number: one that was altered in a page of the log makes a second delivery of the one
/// in an earlier copy of that page. What was moved to another lane may be found in its old place, too. Two that the index lists
/// are two.
fn drop_copies(store: &mut SpoolStore) -> rusqlite::Result<()> {
    let copies = "DELETE FROM deliveries WHERE seq IN (
                      SELECT seq FROM recovered AS copy
                      WHERE NOT EXISTS (SELECT 1 FROM listed WHERE seq = copy.seq AND lane IS NOT NULL)
                      AND EXISTS (SELECT 1 FROM recovered AS other
                          WHERE received_at = copy.received_at AND id = copy.id AND seq <> copy.seq AND (seq < copy.seq
                              OR EXISTS (SELECT 1 FROM listed WHERE seq = other.seq AND lane IS NOT NULL))))";
    store.commit(|connection| {
        connection.execute(copies, [])?;
        connection.execute_batch("DROP TABLE recovered")
    })
}

/// Gives deliveries whose numbers were altered back the ones that the index lists for them, or a place at the end.
fn place(store: &mut SpoolStore) -> rusqlite::Result<()> {
    store.commit(|connection| {
        let misplaced = "SELECT seq, lane, source, type, received_at FROM deliveries
                         WHERE seq NOT IN (SELECT seq FROM listed) AND (SELECT count(*) FROM listed WHERE lane IS NOT NULL) > 0";
        let mut misplaced = connection.prepare(misplaced)?;
        let free = "SELECT min(seq) FROM listed WHERE lane = ?1 AND source = ?2 AND type IS ?3 AND received_at = ?4
                    AND seq NOT IN (SELECT seq FROM deliveries)";
        let mut free = connection.prepare(free)?;
        let mut moves = Vec::new();
        let mut rows = misplaced.query([])?;
        while let Some(row) = rows.next()? {
            let [lane, source]: [String; 2] = [row.get(1)?, row.get(2)?];
            let (event_type, received_at): (Option<String>, i64) = (row.get(3)?, row.get(4)?);
            let free: Option<i64> = free.query_row(params![lane, source, event_type, received_at], |row| row.get(0))?;
            moves.push((row.get::<_, i64>(0)?, free));
        }
        let highest: i64 =
            connection.query_row("SELECT coalesce(max(seq), 0) FROM listed WHERE lane IS NOT NULL", [], |row| row.get(0))?;
        let mut end = highest;
        for (seq, free) in moves {
            // Close to the others it may be right: a page of the index is gone then.
            let to = match free {
                Some(free) => free,
                None if (1..highest + FAR).contains(&seq) => continue,
                None => {
                    end += 1;
                    end
                }
            };
            connection.execute("UPDATE OR IGNORE deliveries SET seq = ?2 WHERE seq = ?1", params![seq, to])?;
        }
        Ok(())
    })
}

/// Of the deliveries that the index lists, or whose cells are there, those that were not whole.
fn what_is_lost(store: &mut SpoolStore) -> Result<(u64, Vec<Lost>), SpoolError> {
    let failed = |e: rusqlite::Error| SpoolError::of(&e);
    store
        .commit(|connection| {
            let lost = "FROM listed WHERE seq NOT IN (SELECT seq FROM deliveries)";
            let count: i64 = connection.query_row(&format!("SELECT count(*) {lost}"), [], |row| row.get(0))?;
            let first = format!("SELECT seq, lane, source, type, received_at {lost} ORDER BY seq LIMIT {NAMED}");
            let mut first = connection.prepare(&first)?;
            let named = first.query_map([], |row| {
                let known = match row.get::<_, Option<String>>(1)? {
                    Some(lane) => Some((lane, row.get(2)?, row.get(3)?, row.get(4)?)),
                    None => None,
                };
                Ok(Lost { seq: row.get(0)?, known })
            })?;
            let named = named.collect::<rusqlite::Result<Vec<_>>>()?;
            drop(first);
            connection.execute_batch("DROP TABLE listed")?;
            Ok((count.unsigned_abs(), named))
        })
        .map_err(failed)
}

impl Lost {
    fn words(&self) -> String {
        match &self.known {
            Some((lane, source, event_type, received_at)) => {
                let event_type = event_type.as_deref().unwrap_or("unknown");
                format!("{} {} {lane} {source} {event_type}", self.seq, to_rfc3339(*received_at))
            }
            None => format!("{} (nothing else is known of it)", self.seq),
        }
    }
}

impl Recovered {
    /// In a line.
    pub(crate) fn words(&self) -> String {
        let (records, lost, name) =
            (self.records, self.lost, self.file.file_name().unwrap_or_default().to_string_lossy());
        format!("{name} was put aside: {records} deliveries recovered, {lost} lost")
    }

    fn report(&self) -> String {
        let mut text = format!("{}\nReason: {}\n{}", self.words(), self.why, told(&self.ranges));
        if self.lost > 0 {
            text += "\nLost (number, time of arrival, lane, source, type):\n";
        }
        for lost in &self.named {
            let _ = writeln!(text, "{}", lost.words());
        }
        if self.lost > self.named.len() as u64 {
            let _ = writeln!(text, "and {} more", self.lost - self.named.len() as u64);
        }
        text
    }

    fn log(&self) {
        let Recovered { records, lost, .. } = self;
        let file = self.file.display();
        if *lost == 0 {
            tracing::warn!(%file, records, lost, "the spool is recovered completely; the damaged file is put aside");
        } else {
            tracing::error!(%file, records, lost, "the spool is recovered, but deliveries are lost; the damaged file is put aside, and the .txt file beside it lists them");
        }
        for lost in self.named.iter().take(20) {
            tracing::error!(delivery = lost.words(), "lost");
        }
    }
}

#[cfg(test)]
mod tests;
