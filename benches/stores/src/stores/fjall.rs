//! fjall: an LSM tree whose journal is synced at every commit. Its compression is left out of the build.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{CACHE, Entry, Reader, Store};
use crate::Result;

pub struct Fjall {
    database: Database,
    spool: Keyspace,
    /// The first entry that is there, or will be. A removal names every key.
    first: u64,
}

impl Fjall {
    pub fn open(dir: &Path) -> Result<Self> {
        let database = Database::builder(dir.join("spool")).cache_size(CACHE as u64).open()?;
        let spool = database.keyspace("spool", KeyspaceCreateOptions::default)?;
        let first = spool.first_key_value().map(fjall::Guard::key).transpose()?;
        let first = first.map(|key| id(&key)).transpose()?.unwrap_or(0);
        Ok(Self { database, spool, first })
    }
}

impl Store for Fjall {
    fn commit(&mut self, entries: &[Entry], through: Option<u64>) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for entry in entries {
            batch.insert(&self.spool, entry.id.to_be_bytes(), entry.body.as_slice());
        }
        if let Some(through) = through {
            for id in self.first..=through {
                batch.remove(&self.spool, id.to_be_bytes());
            }
            self.first = through + 1;
        }
        Ok(batch.commit()?)
    }

    fn reader(&self) -> Result<Box<dyn Reader>> {
        Ok(Box::new(FjallReader(self.spool.clone())))
    }

    fn shrink(&mut self) -> Result<()> {
        self.spool.rotate_memtable_and_wait()?;
        Ok(self.spool.major_compact()?)
    }
}

struct FjallReader(Keyspace);

impl Reader for FjallReader {
    fn after(&mut self, id: u64, limit: usize) -> Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(limit);
        for row in self.0.range((id + 1).to_be_bytes()..).take(limit) {
            let (key, body) = row.into_inner()?;
            entries.push(Entry { id: self::id(&key)?, body: body.to_vec() });
        }
        Ok(entries)
    }
}

fn id(key: &[u8]) -> Result<u64> {
    Ok(u64::from_be_bytes(key.try_into()?))
}

/// fjall has no way to open for reading only, so another process can only try to open it as its owner does.
pub fn count_from_outside(dir: &Path) -> Result<u64> {
    Ok(Fjall::open(dir)?.spool.len()? as u64)
}
