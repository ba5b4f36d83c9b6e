//! redb, twice: as it comes (one sync at a commit, a full check of the file after a crash, no reader in another process),
//! and with quick repair (two syncs, no check) in the mode that lets other processes read.

use std::path::Path;
use std::sync::Arc;

use redb::{
    Builder, ConcurrencyMode, Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    TableDefinition,
};

use super::{CACHE, Entry, Reader, Store};
use crate::Result;

const FILE: &str = "spool.redb";
const SPOOL: TableDefinition<u64, &[u8]> = TableDefinition::new("spool");

pub struct Redb {
    database: Arc<Database>,
    quick: bool,
}

impl Redb {
    pub fn open(dir: &Path, quick: bool) -> Result<Self> {
        let mut store = Self { database: Arc::new(builder(quick).create(dir.join(FILE))?), quick };
        // Makes the table, which a reader expects to be there.
        store.commit(&[], None)?;
        Ok(store)
    }
}

fn builder(quick: bool) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    if quick {
        builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    }
    builder
}

impl Store for Redb {
    fn commit(&mut self, entries: &[Entry], through: Option<u64>) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(self.quick);
        {
            let mut table = transaction.open_table(SPOOL)?;
            for entry in entries {
                table.insert(entry.id, entry.body.as_slice())?;
            }
            if let Some(through) = through {
                table.retain_in(..=through, |_, _| false)?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn reader(&self) -> Result<Box<dyn Reader>> {
        Ok(Box::new(RedbReader(Arc::clone(&self.database))))
    }

    fn shrink(&mut self) -> Result<()> {
        let database = Arc::get_mut(&mut self.database).ok_or("a reader is left")?;
        database.compact()?;
        Ok(())
    }
}

struct RedbReader(Arc<Database>);

impl Reader for RedbReader {
    fn after(&mut self, id: u64, limit: usize) -> Result<Vec<Entry>> {
        let table = self.0.begin_read()?.open_table(SPOOL)?;
        let mut entries = Vec::with_capacity(limit);
        for row in ReadableTable::range(&table, id + 1..)?.take(limit) {
            let (id, body) = row?;
            entries.push(Entry { id: id.value(), body: body.value().to_vec() });
        }
        Ok(entries)
    }
}

pub fn count_from_outside(dir: &Path, quick: bool) -> Result<u64> {
    let database = builder(quick).open_read_only(dir.join(FILE))?;
    Ok(database.begin_read()?.open_table(SPOOL)?.len()?)
}
