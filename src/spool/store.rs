//! The spool's table in SQLite: written by one connection, read by others, in this process or another.
//!
//! ```text
//! deliveries  seq         order of arrival; grows, and is never used again while the process lives
//!             lane        the topic it waits for
//!             source      name of the source
//!             type        event type, null where it is not known
//!             id          event id
//!             received_at milliseconds since 1970
//!             headers     `name: value` lines, without credentials; before them, why it is a dead letter, if it is one
//!             body        as it arrived
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

use super::{SpoolError, UnknownSource, scarce};
use crate::source::Source;
use crate::source::verify::Verified;

/// Name of the file in the data directory; SQLite puts `-wal` and `-shm` beside it.
pub(super) const FILE: &str = "spool.db";
/// The layout above. A file of another version is refused.
const VERSION: i32 = 1;
/// Layouts that a later version may have; any other number is a damage.
const NEWER: RangeInclusive<i32> = 2..=999;
/// "hkbr": tells `file` and other tools whose database this is.
const APPLICATION_ID: i32 = 0x686b_6272;
/// The log is copied into the database from this many pages on.
const CHECKPOINT_PAGES: u64 = 4096;
/// So much the database grows at once then.
pub(super) const LOG_BYTES: u64 = CHECKPOINT_PAGES * 4096;
/// Up to 64 MiB, all is looked at when it is opened.
const CHECKED_PAGES: i64 = 1 << 14;
/// How long to wait for an operator's tool that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS deliveries (
        seq INTEGER PRIMARY KEY, lane TEXT NOT NULL, source TEXT NOT NULL, type TEXT, id TEXT NOT NULL,
        received_at INTEGER NOT NULL, bytes INTEGER NOT NULL, headers BLOB NOT NULL, body BLOB NOT NULL
    ) STRICT;
    -- Holds all that sums and the oldest need, so that a start does not read the bodies.
    CREATE INDEX IF NOT EXISTS by_lane ON deliveries (lane, seq, source, type, received_at, bytes);
";

/// What waits, in the order of the index: SQLite has nothing to sort, for which it would need as much room in a temporary file.
const ALL_WAITING: &str = "SELECT lane, source, type, bytes, received_at FROM deliveries ORDER BY lane, seq";

/// A delivery on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) lane: String,
    pub(crate) source: String,
    pub(crate) event_type: Option<String>,
    pub(crate) id: String,
    /// Milliseconds since 1970.
    pub(crate) received_at: i64,
    /// What it counts for against `spool.max_bytes`.
    pub(crate) bytes: u64,
    pub(crate) headers: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Row {
    /// The delivery as it was taken in.
    ///
    /// # Errors
    /// When its source is not configured.
    pub(crate) fn restore(self, sources: &BTreeMap<String, Arc<Source>>) -> Result<Verified, UnknownSource> {
        let Some(source) = sources.get(&self.source) else { return Err(UnknownSource(self.source)) };
        Ok(Verified::kept(self.id, Arc::clone(source), &self.headers, self.body.into(), self.received_at))
    }
}

/// What waits of one source and type in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) lane: String,
    pub(crate) source: String,
    pub(crate) event_type: Option<String>,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Milliseconds since 1970.
    pub(crate) oldest: i64,
}

type LaneSourceType = (String, String, Option<String>);

/// A connection to the file.
pub(crate) struct SpoolStore {
    connection: Connection,
}

impl SpoolStore {
    /// Opens the file for writing, makes it if need be, and sees to it that a commit is on disk when it returns.
    pub(super) fn create(dir: &Path) -> Result<SpoolStore, SpoolError> {
        SpoolStore::make(&dir.join(FILE)).map_err(|error| {
            let hint = scarce(dir, 0).map(|words| format!("; {words}: free space there, or move data_dir"));
            error.with(&hint.unwrap_or_default())
        })
    }

    /// The same of a file by another name.
    pub(super) fn make(path: &Path) -> Result<SpoolStore, SpoolError> {
        // SQLite gives what it puts beside the file the same permissions: bodies are nobody else's business.
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path);
        file.map_err(|e| SpoolError::from_io(path, &e))?;
        let fail = |e: rusqlite::Error| SpoolError::of(&e).at(path);
        let store = SpoolStore { connection: Connection::open(path).map_err(fail)? };
        store.check_owner(path)?;
        store.prepare().map_err(fail)?;
        store.check(path)?;
        Ok(store)
    }

    /// Whether the file is a spool, or still empty: another's database is left alone.
    fn check_owner(&self, path: &Path) -> Result<(), SpoolError> {
        let fail = |e: rusqlite::Error| SpoolError::of(&e).at(path);
        let number = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(fail);
        let (owner, version) = (number("application_id")?, number("user_version")?);
        let names = "SELECT name FROM sqlite_schema";
        let names = self.rows(names, [], |row| row.get::<_, String>(0)).map_err(|e| e.at(path))?;
        let is_ours = names.iter().any(|name| name == "deliveries");
        let words = match (owner, version) {
            (0, 0) if names.is_empty() => return Ok(()),
            (APPLICATION_ID, VERSION) if is_ours => return Ok(()),
            (APPLICATION_ID, version) if NEWER.contains(&version) => {
                format!(
                    "its layout is {version}, and this version of hookbridge supports {VERSION}: a newer version wrote it"
                )
            }
            // The mark is a few bytes of the file, the table another.
            (APPLICATION_ID, _) => return Err(SpoolError::Damaged(format!("layout {version}")).at(path)),
            _ if is_ours => return Err(SpoolError::Damaged(format!("application_id {owner:#x}")).at(path)),
            _ => "an SQLite database that is not a spool".into(),
        };
        Err(SpoolError::Failed(words).at(path))
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        let connection = &self.connection;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // The order matters: the first takes effect only while the file is empty.
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // In WAL mode, NORMAL would leave the last commits to the operating system.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES as i64)?;
        connection.pragma_update(None, "cache_size", -4096)?;
        // A container has perhaps no folder for temporary files that can be written. What is kept in them is small.
        connection.pragma_update(None, "temp_store", "memory")?;
        let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            connection.execute_batch(LAYOUT)?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", VERSION)?;
        }
        Ok(())
    }

    /// Whether the file is what it has to be: some file systems know no shared memory, and refuse the log in silence.
    fn check(&self, path: &Path) -> Result<(), SpoolError> {
        let fail = |words: String| SpoolError::Failed(words).at(path);
        let journal: String = self.pragma("journal_mode").map_err(|e| fail(e.to_string()))?;
        let synchronous: i32 = self.pragma("synchronous").map_err(|e| fail(e.to_string()))?;
        // 2 is FULL.
        if (journal.as_str(), synchronous) != ("wal", 2) {
            return Err(fail(format!(
                "this file system cannot hold the spool: expected journal_mode wal and synchronous 2, got {journal} and {synchronous}"
            )));
        }
        Ok(())
    }

    fn pragma<T: rusqlite::types::FromSql>(&self, name: &str) -> rusqlite::Result<T> {
        self.connection.pragma_query_value(None, name, |row| row.get(0))
    }

    /// Opens the file to look at it, while a bridge writes it or not; `None` when there is none.
    pub(crate) fn look(dir: &Path) -> Result<Option<SpoolStore>, SpoolError> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let connection =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .and_then(|connection| connection.busy_timeout(BUSY_TIMEOUT).map(|()| connection));
        let store = SpoolStore { connection: connection.map_err(|e| SpoolError::of(&e).at(&path))? };
        store.check_owner(&path)?;
        Ok(Some(store))
    }

    /// Carries out `work` as one transaction; when this returns `Ok`, it is on disk.
    pub(super) fn commit<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// How many deliveries there are.
    pub(super) fn records(&self) -> Result<u64, SpoolError> {
        let count = self.rows("SELECT count(*) FROM deliveries", [], |row| row.get::<_, i64>(0))?;
        Ok(count.first().map_or(0, |count| count.unsigned_abs()))
    }

    /// The numbers in use: first and last of each row of them without a gap.
    pub(super) fn ranges(&self) -> Result<Vec<(i64, i64)>, SpoolError> {
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        let mut found = || {
            let mut statement = self.connection.prepare("SELECT seq FROM deliveries ORDER BY seq")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let seq: i64 = row.get(0)?;
                match ranges.last_mut() {
                    Some((_, last)) if last.checked_add(1) == Some(seq) => *last = seq,
                    _ => ranges.push((seq, seq)),
                }
            }
            Ok(())
        };
        found().map_err(|e: rusqlite::Error| SpoolError::of(&e))?;
        Ok(ranges)
    }

    /// Looks for damage in all pages of a file that is small; one that is large is looked at as it is read.
    pub(super) fn check_pages(&self) -> Result<(), SpoolError> {
        let pages: i64 =
            self.connection.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(|e| SpoolError::of(&e))?;
        if pages > CHECKED_PAGES {
            return Ok(());
        }
        match self.rows("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?.pop() {
            Some(words) if words != "ok" => Err(SpoolError::Damaged(format!("{FILE}: {}", words.replace('\n', " ")))),
            _ => Ok(()),
        }
    }

    /// The highest number in use.
    pub(super) fn last_seq(&self) -> Result<i64, SpoolError> {
        let last = self.connection.query_row("SELECT coalesce(max(seq), 0) FROM deliveries", [], |row| row.get(0));
        last.map_err(|e| SpoolError::of(&e))
    }

    /// When the oldest of a lane was received, in milliseconds since 1970.
    pub(super) fn oldest(&self, lane: &str) -> Result<Option<i64>, SpoolError> {
        let sql = "SELECT received_at FROM deliveries WHERE lane = ?1 ORDER BY seq LIMIT 1";
        Ok(self.rows(sql, [lane], |row| row.get(0))?.pop())
    }

    /// What waits, by lane, source and type, in the order of the oldest.
    pub(crate) fn waiting(&self) -> Result<Vec<Waiting>, SpoolError> {
        let mut sums: BTreeMap<LaneSourceType, Waiting> = BTreeMap::new();
        self.rows(ALL_WAITING, [], |row| {
            let (lane, source, event_type): LaneSourceType = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (bytes, received_at) = (row.get::<_, i64>(3)?.unsigned_abs(), row.get(4)?);
            let sum = sums.entry((lane, source, event_type)).or_insert_with_key(|(lane, source, event_type)| Waiting {
                lane: lane.clone(),
                source: source.clone(),
                event_type: event_type.clone(),
                records: 0,
                bytes: 0,
                oldest: received_at,
            });
            (sum.records, sum.bytes, sum.oldest) = (sum.records + 1, sum.bytes + bytes, sum.oldest.min(received_at));
            Ok(())
        })?;
        let mut waiting: Vec<_> = sums.into_values().collect();
        waiting.sort_by_key(|waiting| waiting.oldest);
        Ok(waiting)
    }

    /// How many deliveries of a lane there are after number `after`, and the numbers of those up to `seq`.
    pub(super) fn count(&self, lane: &str, after: i64, seq: i64) -> Result<(u64, Vec<i64>), SpoolError> {
        let all = "SELECT count(*) FROM deliveries WHERE lane = ?1 AND seq > ?2";
        let all = self.rows(all, params![lane, after], |row| row.get::<_, i64>(0))?;
        let up_to = "SELECT seq FROM deliveries WHERE lane = ?1 AND seq > ?2 AND seq <= ?3 LIMIT 10000";
        let up_to = self.rows(up_to, params![lane, after, seq], |row| row.get(0))?;
        Ok((all.first().map_or(0, |all| all.unsigned_abs()), up_to))
    }

    /// The next deliveries of `lane` in order, with numbers above `after` up to `last`: at most `records` of them and,
    /// but for the first, `bytes` bytes.
    pub(super) fn read(
        &self,
        lane: &str,
        (after, last): (i64, i64),
        records: usize,
        bytes: usize,
    ) -> Result<Vec<Row>, SpoolError> {
        let read = || {
            let sql = "SELECT seq, lane, source, type, id, received_at, bytes, headers, body FROM deliveries
                       WHERE lane = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut found = statement.query(params![lane, after, last])?;
            let (mut rows, mut taken) = (Vec::new(), 0);
            while rows.len() < records {
                let row = match found.next() {
                    Ok(Some(row)) => full(row),
                    Ok(None) => break,
                    Err(error) => Err(error),
                };
                let row = match row {
                    Ok(row) => row,
                    // What comes before a damaged page can be delivered.
                    Err(_) if !rows.is_empty() => break,
                    Err(error) => return Err(error),
                };
                taken += row.bytes as usize;
                if taken > bytes && !rows.is_empty() {
                    break;
                }
                rows.push(row);
            }
            Ok(rows)
        };
        read().map_err(|e: rusqlite::Error| SpoolError::of(&e))
    }

    /// Hands each delivery to `each`, in order of arrival, without its body and headers, until that gives `false`.
    pub(crate) fn each(&self, mut each: impl FnMut(Row) -> bool) -> Result<(), SpoolError> {
        // A few at a time: a reading that goes on for long keeps the writer from starting its log anew.
        let sql = "SELECT seq, lane, source, type, id, received_at, bytes, x'', x'' FROM deliveries WHERE seq > ?1
                   ORDER BY seq LIMIT 1000";
        let mut after = 0;
        loop {
            let rows = self.rows(sql, [after], full)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.seq;
            if !rows.into_iter().all(&mut each) {
                return Ok(());
            }
        }
    }

    /// Puts what waits into the lanes that `lane_of` names by source and type: a topic may have another name now.
    pub(super) fn reroute(&mut self, lane_of: impl Fn(&Waiting) -> String) -> Result<(), SpoolError> {
        let routed = self.waiting()?.into_iter().map(|waiting| (lane_of(&waiting), waiting));
        let moves: Vec<_> = routed.filter(|(lane, waiting)| *lane != waiting.lane).collect();
        let done = self.commit(|connection| {
            for (to, Waiting { lane, source, event_type, .. }) in &moves {
                let sql = "UPDATE deliveries SET lane = ?1 WHERE lane = ?2 AND source = ?3 AND type IS ?4";
                connection.execute(sql, params![to, lane, source, event_type])?;
            }
            Ok(())
        });
        done.map_err(|e| SpoolError::of(&e))
    }

    /// Gives a few unused pages back to the file system; says whether there may be more.
    pub(super) fn shrink(&self, pages: u32) -> rusqlite::Result<bool> {
        let free: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        if free > 0 {
            let mut statement = self.connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
            let mut steps = statement.query([])?;
            // A page a step.
            while steps.next()?.is_some() {}
        }
        Ok(free > i64::from(pages))
    }

    /// Copies the log into the database and cuts it.
    pub(super) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        each: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, SpoolError> {
        let found = || self.connection.prepare(sql)?.query_map(params, each)?.collect::<rusqlite::Result<Vec<T>>>();
        found().map_err(|e| SpoolError::of(&e))
    }
}

fn full(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        seq: row.get(0)?,
        lane: row.get(1)?,
        source: row.get(2)?,
        event_type: row.get(3)?,
        id: row.get(4)?,
        received_at: row.get(5)?,
        bytes: row.get::<_, i64>(6)?.unsigned_abs(),
        headers: row.get(7)?,
        body: row.get(8)?,
    })
}

/// Adds a delivery.
pub(super) fn insert(connection: &Connection, row: &NewRow<'_>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO deliveries (seq, lane, source, type, id, received_at, bytes, headers, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let mut statement = connection.prepare_cached(sql)?;
    let bytes = row.bytes as i64;
    statement.execute(params![
        row.seq,
        row.lane,
        row.source,
        row.event_type,
        row.id,
        row.received_at,
        bytes,
        row.headers,
        row.body
    ])?;
    Ok(())
}

/// Takes a delivery out; says whether it was there.
pub(super) fn delete(connection: &Connection, seq: i64) -> rusqlite::Result<bool> {
    Ok(connection.prepare_cached("DELETE FROM deliveries WHERE seq = ?1")?.execute([seq])? > 0)
}

/// Puts a delivery at the end of another lane; says whether it was there.
pub(super) fn relocate(
    connection: &Connection,
    seq: i64,
    to: i64,
    lane: &str,
    before: &[u8],
) -> rusqlite::Result<bool> {
    let sql = "UPDATE deliveries SET seq = ?2, lane = ?3, headers = CAST(?4 || headers AS BLOB) WHERE seq = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.execute(params![seq, to, lane, before])? > 0)
}

/// A delivery on its way to disk.
pub(super) struct NewRow<'a> {
    pub(super) seq: i64,
    pub(super) lane: &'a str,
    pub(super) source: &'a str,
    pub(super) event_type: Option<&'a str>,
    pub(super) id: &'a str,
    pub(super) received_at: i64,
    pub(super) bytes: u64,
    pub(super) headers: &'a [u8],
    pub(super) body: &'a [u8],
}

impl<'a> NewRow<'a> {
    /// A delivery that was read, under the number `seq`.
    pub(super) fn of(row: &'a Row, seq: i64) -> NewRow<'a> {
        let Row { lane, source, event_type, id, received_at, bytes, headers, body, .. } = row;
        let (event_type, received_at, bytes) = (event_type.as_deref(), *received_at, *bytes);
        NewRow { seq, lane, source, event_type, id, received_at, bytes, headers, body }
    }
}

#[cfg(test)]
mod tests;
