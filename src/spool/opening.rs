//! Opens the spool's file, at the start or as soon as the disk lets us; one that is damaged is recovered first.

use std::path::PathBuf;

use super::SpoolError;
use super::recovery::{self, Recovered};
use super::store::{NewRow, Row, SpoolStore, Waiting, insert};

/// A file that is open, with what is in it.
pub(super) struct Opened {
    pub(super) store: SpoolStore,
    pub(super) reader: SpoolStore,
    /// The highest number in use.
    pub(super) last: i64,
    pub(super) waiting: Vec<Waiting>,
    /// What became of the file that was there before, if it was damaged.
    pub(super) recovered: Option<Recovered>,
}

/// How to open it.
pub(super) struct Opening {
    pub(super) dir: PathBuf,
    /// The lane of what an earlier run left.
    pub(super) lane_of: Box<dyn Fn(&Waiting) -> String + Send>,
}

impl Opening {
    /// Opens the file, or the one that is made of it.
    pub(super) fn open(&self) -> Result<Opened, SpoolError> {
        recovery::go_on(&self.dir)?;
        // SQLite takes the damage of a log for its end, and removes what comes behind it. So we look first.
        let (mut late, mut log_is_damaged) = (Vec::new(), false);
        if let Some(pages) = recovery::pages(&self.dir)? {
            log_is_damaged = pages.log_is_damaged();
            late = recovery::late_rows(&pages)?;
        }
        if log_is_damaged {
            return self.recover("its log (spool.db-wal) was altered on disk", || ());
        }
        match self.open_sound(late) {
            Err(SpoolError::Damaged(why)) => self.recover(&why, || ()),
            opened => opened,
        }
    }

    /// Makes a new file of what can be read of the old one, and opens it. `close` closes what is open of the old one.
    pub(super) fn recover(&self, why: &str, close: impl FnOnce()) -> Result<Opened, SpoolError> {
        let recovered = recovery::recover(&self.dir, why, close)?;
        Ok(Opened { recovered: Some(recovered), ..self.open_sound(Vec::new())? })
    }

    fn open_sound(&self, late: Vec<Row>) -> Result<Opened, SpoolError> {
        let mut store = SpoolStore::create(&self.dir)?;
        store.check_pages()?;
        take_in(&mut store, late)?;
        store.reroute(&self.lane_of)?;
        let (last, waiting) = (store.last_seq()?, store.waiting()?);
        let reader = SpoolStore::look(&self.dir)?
            .ok_or_else(|| SpoolError::Failed("it was removed while it was being opened".into()))?;
        Ok(Opened { store, reader, last, waiting, recovered: None })
    }
}

/// Adds the deliveries of a write whose end did not get to the disk.
fn take_in(store: &mut SpoolStore, late: Vec<Row>) -> Result<(), SpoolError> {
    let last = store.last_seq()?;
    let late: Vec<_> = late.into_iter().filter(|row| row.seq > last).collect();
    if late.is_empty() {
        return Ok(());
    }
    tracing::info!(records = late.len(), "recovered deliveries whose write was interrupted when the process ended");
    let insert_all = |connection: &rusqlite::Connection| {
        late.iter().try_for_each(|row| insert(connection, &NewRow::of(row, row.seq)))
    };
    store.commit(insert_all).map_err(|e| SpoolError::of(&e))
}
