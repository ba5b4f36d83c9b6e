//! SQLite in WAL mode. `synchronous=FULL` syncs the log at every commit; in WAL mode the default of many, NORMAL, does not.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{CACHE, Entry, Reader, Store};
use crate::Result;

const FILE: &str = "spool.db";

pub struct Sqlite(Connection);

impl Sqlite {
    pub fn open(dir: &Path) -> Result<Self> {
        let connection = Connection::open(dir.join(FILE))?;
        // Before the first table, or it has no effect. It lets `shrink` return pages without copying the whole file.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -i64::try_from(CACHE >> 10)?)?;
        connection.execute("CREATE TABLE IF NOT EXISTS spool (id INTEGER PRIMARY KEY, body BLOB NOT NULL)", [])?;
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let sync: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        if (mode.as_str(), sync) != ("wal", 2) {
            return Err(format!("SQLite is not durable: journal_mode {mode}, synchronous {sync}").into());
        }
        Ok(Self(connection))
    }
}

impl Store for Sqlite {
    fn commit(&mut self, entries: &[Entry], through: Option<u64>) -> Result<()> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO spool (id, body) VALUES (?1, ?2)")?;
            for entry in entries {
                insert.execute((entry.id, &entry.body))?;
            }
            if let Some(through) = through {
                transaction.prepare_cached("DELETE FROM spool WHERE id <= ?1")?.execute([through])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn reader(&self) -> Result<Box<dyn Reader>> {
        let path = self.0.path().ok_or("the database has no path")?;
        Ok(Box::new(SqliteReader(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)))
    }

    fn shrink(&mut self) -> Result<()> {
        // Each row that comes back is a page given back.
        let mut vacuum = self.0.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        drop(rows);
        Ok(self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

struct SqliteReader(Connection);

impl Reader for SqliteReader {
    fn after(&mut self, id: u64, limit: usize) -> Result<Vec<Entry>> {
        let mut select = self.0.prepare_cached("SELECT id, body FROM spool WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let rows = select.query_map((id, limit), |row| Ok(Entry { id: row.get(0)?, body: row.get(1)? }))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

pub fn count_from_outside(dir: &Path) -> Result<u64> {
    let connection = Connection::open_with_flags(dir.join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(connection.query_row("SELECT count(*) FROM spool", [], |row| row.get(0))?)
}
