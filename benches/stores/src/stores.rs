//! What a spool needs of a store, and the candidates behind it. Each is set up so that a commit which returned survives
//! a power cut, and with the same cache, so that memory is compared at like settings.

mod fjall;
mod redb;
mod sqlite;

use std::path::Path;

use crate::Result;

/// The cache each store is given, in bytes: a spool is written once and read once, so it needs little.
const CACHE: usize = 32 << 20;

/// A delivery. To a store, its headers and body are one string of bytes.
#[derive(Clone)]
pub struct Entry {
    pub id: u64,
    pub body: Vec<u8>,
}

impl Entry {
    /// An entry whose bytes follow from its id, so that whoever reads it can tell whether they are the ones written. They
    /// are noise (xorshift), so that nothing on the way can compress them.
    pub fn new(id: u64, len: usize) -> Self {
        let mut state = (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut body = Vec::with_capacity(len + 8);
        while body.len() < len {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            body.extend_from_slice(&state.to_le_bytes());
        }
        body.truncate(len);
        Self { id, body }
    }
}

/// The writing side, of which there is one.
pub trait Store {
    /// Adds `entries` and removes all up to and with `through`, in one commit that is on disk when this returns.
    fn commit(&mut self, entries: &[Entry], through: Option<u64>) -> Result<()>;

    /// A reading side, for another thread.
    fn reader(&self) -> Result<Box<dyn Reader>>;

    /// Gives space that removed entries held back to the file system, as far as the store can.
    fn shrink(&mut self) -> Result<()>;
}

pub trait Reader: Send {
    /// The first entries after `id`, in order, `limit` at most.
    fn after(&mut self, id: u64, limit: usize) -> Result<Vec<Entry>>;
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Sqlite,
    Redb,
    RedbQuick,
    Fjall,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Sqlite, Self::Redb, Self::RedbQuick, Self::Fjall];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Redb => "redb",
            Self::RedbQuick => "redb-quick",
            Self::Fjall => "fjall",
        }
    }

    pub fn from_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| format!("no store is called {name}").into())
    }

    /// Opens the store in the folder `dir`, which exists, or makes it there.
    pub fn open(self, dir: &Path) -> Result<Box<dyn Store>> {
        Ok(match self {
            Self::Sqlite => Box::new(sqlite::Sqlite::open(dir)?),
            Self::Redb => Box::new(redb::Redb::open(dir, false)?),
            Self::RedbQuick => Box::new(redb::Redb::open(dir, true)?),
            Self::Fjall => Box::new(fjall::Fjall::open(dir)?),
        })
    }

    /// Counts the entries as another process would, which has not opened the store for writing.
    pub fn count_from_outside(self, dir: &Path) -> Result<u64> {
        match self {
            Self::Sqlite => sqlite::count_from_outside(dir),
            Self::Redb => redb::count_from_outside(dir, false),
            Self::RedbQuick => redb::count_from_outside(dir, true),
            Self::Fjall => fjall::count_from_outside(dir),
        }
    }

    pub fn tool(self) -> &'static str {
        match self {
            Self::Sqlite => "`sqlite3`, everywhere",
            Self::Redb | Self::RedbQuick => "`redbcli`, by others",
            Self::Fjall => "`fjall-cli`, by others, once the writer ended",
        }
    }
}
