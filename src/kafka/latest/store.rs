//! What is known of the latest topics, on disk: `latest.db` in the data directory.
//!
//! ```text
//! topics      id, name
//! partitions  topic, partition, next        all before this offset is in `states`
//! states      key, topic, version, partition, place, last, generation
//! ```
//!
//! States and offsets are saved together, so the file is right about some moment in the past, and what came later is read from the
//! topic. Nothing is lost with it: a file that cannot be used is thrown away, and made anew from the topics.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::known::{Changes, KeyHash, KnownState, StatePlace};
use super::{StateVersion, Unsaved};

/// Its name; SQLite puts `-wal` and `-shm` beside it.
const FILE: &str = "latest.db";
/// The layout above. A file of another one is thrown away.
const VERSION: i32 = 1;
/// "hklt"
const APPLICATION_ID: i32 = 0x686b_6c74;
/// How long to wait for somebody who looks at the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

const LAYOUT: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE partitions (
        topic INTEGER NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE states (
        key BLOB PRIMARY KEY, topic INTEGER NOT NULL, version INTEGER NOT NULL, partition INTEGER NOT NULL,
        place INTEGER NOT NULL, last INTEGER NOT NULL, generation INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LatestStoreError {
    #[error("{FILE}: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{FILE}: {0}")]
    File(#[from] io::Error),
    /// Another version's, or damaged.
    #[error("{FILE}: expected layout {VERSION}, got {0}")]
    Layout(i32),
}

/// What the file holds.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub(super) generation: u64,
    pub(super) states: Vec<(KeyHash, KnownState, u64)>,
    pub(super) next: Vec<(u16, i32, i64)>,
}

/// The open file.
pub(crate) struct LatestStore {
    connection: Connection,
    /// Of each topic by its number: its id in the file.
    ids: Vec<i64>,
    path: PathBuf,
}

impl LatestStore {
    /// Opens the file in `dir`, or makes a new one of what cannot be used, and reads what it has of `topics`.
    ///
    /// # Errors
    /// When no file can be made.
    pub(crate) fn open(dir: &Path, topics: &[Arc<str>]) -> Result<(LatestStore, Saved), LatestStoreError> {
        let path = dir.join(FILE);
        match LatestStore::open_as_is(&path, topics) {
            Ok(opened) => Ok(opened),
            Err(error) => {
                tracing::warn!(%error, "what is known of the latest topics cannot be used; it is read from the topics again");
                for end in ["", "-wal", "-shm"] {
                    let name = dir.join(format!("{FILE}{end}"));
                    fs::remove_file(name)
                        .or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
                }
                LatestStore::open_as_is(&path, topics)
            }
        }
    }

    fn open_as_is(path: &Path, topics: &[Arc<str>]) -> Result<(LatestStore, Saved), LatestStoreError> {
        File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // After a crash of the machine it may be older, never wrong.
        connection.pragma_update(None, "synchronous", "normal")?;
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        match (pragma("application_id")?, pragma("user_version")?) {
            (0, 0) => {
                connection.execute_batch(LAYOUT)?;
                connection.pragma_update(None, "application_id", APPLICATION_ID)?;
                connection.pragma_update(None, "user_version", VERSION)?;
            }
            (APPLICATION_ID, VERSION) => {}
            (_, version) => return Err(LatestStoreError::Layout(version)),
        }
        let ids = ids(&mut connection, topics)?;
        let saved = read(&connection, &ids)?;
        Ok((LatestStore { connection, ids, path: path.to_owned() }, saved))
    }

    /// The cluster whose topics it knows.
    pub(crate) fn cluster(&self) -> Result<Option<String>, LatestStoreError> {
        Ok(meta(&self.connection, "cluster")?)
    }

    /// Forgets all: from here on it knows the topics of `cluster`.
    pub(crate) fn begin(&mut self, cluster: &str) -> Result<(), LatestStoreError> {
        let transaction = self.connection.transaction()?;
        transaction.execute_batch("DELETE FROM states; DELETE FROM partitions")?;
        set_meta(&transaction, "cluster", cluster)?;
        Ok(transaction.commit()?)
    }

    /// Saves what is new.
    pub(crate) fn save(&mut self, unsaved: &Unsaved) -> Result<(), LatestStoreError> {
        let Unsaved { changes, next } = unsaved;
        let (ids, transaction) = (&self.ids, self.connection.transaction()?);
        let id = |topic: u16| ids.get(usize::from(topic)).copied().unwrap_or_default();
        for topic in &changes.cleared {
            transaction.execute("DELETE FROM states WHERE topic = ?1", [id(*topic)])?;
            transaction.execute("DELETE FROM partitions WHERE topic = ?1", [id(*topic)])?;
        }
        save_states(&transaction, changes, id)?;
        let mut place = transaction.prepare_cached("INSERT OR REPLACE INTO partitions VALUES (?1, ?2, ?3)")?;
        for (topic, partition, next) in next {
            place.execute(params![id(*topic), partition, next])?;
        }
        drop(place);
        let generation = changes.generation;
        let before = meta(&transaction, "generation")?.and_then(|text| text.parse::<u64>().ok());
        if before != Some(generation) {
            set_meta(&transaction, "generation", &generation.to_string())?;
            // The present one and the one before are in memory.
            let kept = i64::try_from(generation.saturating_sub(1)).unwrap_or(i64::MAX);
            transaction.execute("DELETE FROM states WHERE generation < ?1", [kept])?;
        }
        Ok(transaction.commit()?)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn save_states(transaction: &Transaction<'_>, changes: &Changes, id: impl Fn(u16) -> i64) -> rusqlite::Result<()> {
    let mut set = transaction.prepare_cached("INSERT OR REPLACE INTO states VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    let mut forget = transaction.prepare_cached("DELETE FROM states WHERE key = ?1")?;
    let generation = i64::try_from(changes.generation).unwrap_or(i64::MAX);
    for (key, state) in &changes.states {
        match state {
            Some(KnownState { version, place: StatePlace { topic, partition, offset }, last }) => {
                set.execute(params![key, id(*topic), version.0, partition, offset, last, generation])?
            }
            None => forget.execute(params![key])?,
        };
    }
    Ok(())
}

/// The ids of `topics`; those that are not wanted any more go with all that is known of them.
fn ids(connection: &mut Connection, topics: &[Arc<str>]) -> rusqlite::Result<Vec<i64>> {
    let transaction = connection.transaction()?;
    for topic in topics {
        transaction.execute("INSERT OR IGNORE INTO topics (name) VALUES (?1)", [&**topic])?;
    }
    let there: HashMap<String, i64> = transaction
        .prepare("SELECT name, id FROM topics")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (_, id) in there.iter().filter(|(name, _)| !topics.iter().any(|topic| **topic == **name)) {
        for table in ["states WHERE topic", "partitions WHERE topic", "topics WHERE id"] {
            transaction.execute(&format!("DELETE FROM {table} = ?1"), [id])?;
        }
    }
    transaction.commit()?;
    Ok(topics.iter().map(|topic| there.get(&**topic).copied().unwrap_or_default()).collect())
}

fn read(connection: &Connection, ids: &[i64]) -> rusqlite::Result<Saved> {
    let numbers: HashMap<i64, u16> = ids.iter().copied().zip(0..).collect();
    let number = |id: i64| numbers.get(&id).copied().unwrap_or_default();
    let state = |row: &rusqlite::Row<'_>| {
        let place = StatePlace { topic: number(row.get(1)?), partition: row.get(3)?, offset: row.get(4)? };
        let state = KnownState { version: StateVersion(row.get(2)?), place, last: row.get(5)? };
        Ok((row.get(0)?, state, row.get::<_, i64>(6)?.unsigned_abs()))
    };
    let states = "SELECT key, topic, version, partition, place, last, generation FROM states";
    let next = "SELECT topic, partition, next FROM partitions";
    let generation = meta(connection, "generation")?.and_then(|text| text.parse().ok()).unwrap_or_default();
    Ok(Saved {
        generation,
        states: connection.prepare(states)?.query_map([], state)?.collect::<Result<_, _>>()?,
        next: connection
            .prepare(next)?
            .query_map([], |row| Ok((number(row.get(0)?), row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?,
    })
}

fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

fn set_meta(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [name, value]).map(drop)
}

#[cfg(test)]
mod tests;
