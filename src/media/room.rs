//! How much a folder of files holds, and how much it may: files are counted as they are written, and from time to time all
//! anew, since others write to the folder, and delete in it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::error::StoreError;

/// How long after a count the next begins: a full folder is looked at more often, so that it takes files again soon after some
/// were deleted.
const COUNTED_EVERY: Duration = Duration::from_secs(300);
const FULL_COUNTED_EVERY: Duration = Duration::from_secs(5);
/// But no more than a tenth of the time is spent on counting.
const REST: u32 = 9;

/// The room for files.
#[derive(Debug)]
pub(crate) struct Room {
    folder: PathBuf,
    max_bytes: u64,
    count: Mutex<Count>,
    /// A file found no room.
    full: Notify,
}

#[derive(Debug, Default)]
struct Count {
    used: u64,
    /// Of these, what is on its way there.
    pending: u64,
    /// What got there since the process began: it tells what came while all was counted.
    added: u64,
    /// A file found no room since all was counted last.
    is_full: bool,
}

/// Room that is taken, until it is dropped or [kept](Taken::keep).
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    room: &'a Room,
    bytes: u64,
    is_kept: bool,
}

impl Room {
    pub(super) fn new(folder: &Path, max_bytes: u64) -> Room {
        Room { folder: folder.to_owned(), max_bytes, count: Mutex::default(), full: Notify::new() }
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that the folder holds, as far as it is known.
    pub(super) fn used(&self) -> u64 {
        self.count().used
    }

    /// Counts what is in the folder; gives that, and what may be.
    pub(super) fn fullness(&self) -> io::Result<(u64, u64)> {
        Ok((size_of(&self.folder)?, self.max_bytes))
    }

    /// Takes room for a file of `bytes`.
    ///
    /// # Errors
    /// When there is not so much.
    pub(super) fn take(&self, bytes: u64) -> Result<Taken<'_>, StoreError> {
        let (mut count, max_bytes) = (self.count(), self.max_bytes);
        let used = count.used;
        if used.saturating_add(bytes) > max_bytes {
            count.is_full = true;
            self.full.notify_one();
            return Err(StoreError::NoRoom { bytes, used, max_bytes });
        }
        count.used += bytes;
        count.pending += bytes;
        Ok(Taken { room: self, bytes, is_kept: false })
    }

    /// Counts again and again what is in the folder.
    pub(super) async fn keep_count(&self) {
        loop {
            let began = Instant::now();
            let (folder, before) = (self.folder.clone(), self.count().added);
            match tokio::task::spawn_blocking(move || size_of(&folder)).await {
                Ok(Ok(found)) => self.counted(found, before),
                Ok(Err(error)) => {
                    tracing::warn!(folder = %self.folder.display(), %error, "cannot count the files in the media folder");
                }
                Err(_) => return,
            }
            sleep(FULL_COUNTED_EVERY.max(began.elapsed() * REST)).await;
            let is_full = self.count().is_full;
            if !is_full {
                // Whichever comes first.
                let _ = timeout(COUNTED_EVERY, self.full.notified()).await;
            }
        }
    }

    /// So much was found in the folder by a count that began when `before` had been added.
    fn counted(&self, found: u64, before: u64) {
        let mut count = self.count();
        // What came meanwhile may be in it as well: rather too much than too little, until the next count.
        count.used = found.saturating_add(count.added - before).saturating_add(count.pending);
        count.is_full &= count.used >= self.max_bytes;
    }
}

impl Taken<'_> {
    /// The file is there.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut count = self.room.count();
        count.pending -= self.bytes;
        if self.is_kept {
            count.added += self.bytes;
        } else {
            count.used -= self.bytes;
        }
    }
}

/// Bytes of all files in a folder; of none when it is not there yet.
fn size_of(folder: &Path) -> io::Result<u64> {
    let (mut folders, mut bytes) = (vec![folder.to_owned()], 0_u64);
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes = bytes.saturating_add(found.len()),
                // Deleted or renamed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_bound_is_taken_and_what_is_given_back_is_free() {
        let room = Room::new(Path::new("nowhere"), 100);
        room.take(60).unwrap().keep();
        let taken = room.take(40).unwrap();
        let words = room.take(1).unwrap_err().to_string();
        assert!(words.contains("100 bytes of media.max_bytes (100 bytes) are used"), "{words}");
        drop(taken);
        assert_eq!(room.used(), 60);
        room.take(40).unwrap().keep();
        assert!(room.take(1).is_err());
    }

    #[test]
    fn a_count_sees_what_others_wrote_and_deleted_and_does_not_forget_what_came_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("media");
        assert_eq!(size_of(&folder).unwrap(), 0, "not made yet");
        fs::create_dir_all(folder.join("ab")).unwrap();
        fs::write(folder.join("ab/one"), [0; 70]).unwrap();
        fs::write(folder.join("two"), [0; 5]).unwrap();
        assert_eq!(size_of(&folder).unwrap(), 75);

        let room = Room::new(&folder, 110);
        room.take(30).unwrap().keep();
        let on_its_way = room.take(1).unwrap();
        room.counted(75, 0);
        assert_eq!(room.used(), 106);
        assert!(room.take(5).is_err());
        drop(on_its_way);
        room.counted(75, 30);
        assert_eq!(room.used(), 75);
        room.take(35).unwrap().keep();
    }
}
