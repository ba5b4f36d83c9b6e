//! Where files are kept: a folder, or a bucket of S3. An object is named by its SHA-256, so writing it again changes
//! nothing, and it is there as a whole or not at all.
//!
//! ```text
//! <media.url>/ab/ab34…     the first two digits as a folder: file systems slow down with a million files in one
//! <media.url>/ab/ab34…#1   a folder's file that is being written, or was when the process died; never looked at
//! ```
//!
//! Both kinds of store have the same layout, so that a folder can be copied into a bucket.

use std::panic::AssertUnwindSafe;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io};

use futures_util::FutureExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use reqwest::Url;
use tokio::time::{Instant, timeout, timeout_at};

use super::File;
use super::bucket;
use super::error::{StoreError, StoreUnavailable, Unfit};
use super::room::Room;
use crate::config::{ConfigError, MediaPlace, MediaSettings};
use crate::disk::access::{explain, is_of_the_disk};
use crate::disk::private;
use crate::values::secret::Secret;
use crate::values::showable;
use crate::values::time::now_millis;

/// An object that has been there for longer is written again: a bucket's rule that deletes by age then counts from
/// the last event that needs it.
const REWRITTEN_AFTER_MILLIS: i64 = 24 * 3600 * 1000;
/// For each of the two steps of [`Store::probe`].
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// How a file came to be in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Written,
    /// It was there already.
    There,
}

/// The media store.
pub(crate) struct Store {
    pub(crate) inline_max_bytes: usize,
    /// As records name it, without a slash at the end.
    url: String,
    objects: Box<dyn ObjectStore>,
    /// In front of each object's name.
    prefix: Path,
    /// Where it is a folder.
    folder: Option<Arc<FilePath>>,
    /// How much that may hold.
    room: Option<Room>,
    /// Whether others are to read it.
    shared: bool,
    /// Never shown, though S3 repeats some.
    secrets: Vec<Secret>,
    /// Whether it took the last file: each outage is logged once.
    up: AtomicBool,
}

impl Store {
    /// Takes note of where files go; nothing is made or connected to.
    ///
    /// # Errors
    /// When options do not exist, do not fit their keys, or do not fit each other.
    pub(crate) fn new(settings: &MediaSettings) -> Result<Store, ConfigError> {
        let inline_max_bytes = settings.inline_max_bytes;
        let (shared, up) = (settings.shared, AtomicBool::new(true));
        match &settings.place {
            MediaPlace::Folder(folder) => {
                let unusable = || ConfigError::key("media", format!("{}: not a usable path", showable::path(folder)));
                let url = Url::from_file_path(folder).map_err(|()| unusable())?;
                Ok(Store {
                    inline_max_bytes,
                    url: url.as_str().trim_end_matches('/').to_owned(),
                    // Synchronised before it is renamed, so that no name leads to half a file.
                    objects: Box::new(LocalFileSystem::new().with_fsync(true)),
                    prefix: Path::from_absolute_path(folder).map_err(|_| unusable())?,
                    folder: Some(folder.as_path().into()),
                    room: Some(Room::new(folder, settings.max_bytes)),
                    shared,
                    secrets: Vec::new(),
                    up,
                })
            }
            MediaPlace::S3 { bucket, prefix, options } => {
                let objects = bucket::client(bucket, options)?;
                let is_secret = |name: &str| ["key", "token", "proxy"].iter().any(|part| name.contains(part));
                let secrets = options.iter().filter(|(name, _)| is_secret(&name.to_ascii_lowercase()));
                let secrets = secrets.map(|(_, value)| value.clone()).collect();
                let prefix = Path::from(prefix.as_str());
                let url = format!("s3://{bucket}/{prefix}").trim_end_matches('/').to_owned();
                Ok(Store {
                    inline_max_bytes,
                    url,
                    objects: Box::new(objects),
                    prefix,
                    folder: None,
                    room: None,
                    shared,
                    secrets,
                    up,
                })
            }
        }
    }

    /// Where files go, as records begin to say it.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The folder, where it is one.
    pub(crate) fn folder(&self) -> Option<&FilePath> {
        self.folder.as_deref()
    }

    /// Bytes that the folder holds, where it is one.
    pub(crate) fn used(&self) -> Option<u64> {
        self.room.as_ref().map(Room::used)
    }

    /// Counts what the folder holds, where it is one, and says what it may hold; `None` where it cannot be counted.
    pub(crate) fn fullness(&self) -> Option<(u64, u64)> {
        self.room.as_ref()?.fullness().ok()
    }

    /// Counts what the folder holds from time to time. A bucket is bounded where it is.
    pub(crate) async fn keep_count(&self) {
        if let Some(room) = &self.room {
            room.keep_count().await;
        }
    }

    /// Makes the folder, so that a path that cannot be is known at start.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn prepare(&self) -> Result<(), ConfigError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let unusable =
            |e: io::Error| ConfigError::key("media", format!("{}: {}", showable::path(folder), explain(folder, &e)));
        let made: Vec<_> = folder.ancestors().take_while(|dir| !dir.exists()).collect();
        match fs::create_dir_all(folder) {
            Err(error) if is_of_the_disk(&error) => {
                // It may be over by itself, and the folder is made with the first file then.
                tracing::error!("media: {}: {}", folder.display(), explain(folder, &error));
                return Ok(());
            }
            made => made.map_err(unusable)?,
        }
        if self.shared {
            made.iter().try_for_each(|dir| private::share(dir)).map_err(unusable)?;
        }
        made.into_iter().filter_map(FilePath::parent).try_for_each(sync).map_err(unusable)
    }

    /// Where a file is once it is kept.
    pub(crate) fn uri(&self, file: &File) -> String {
        format!("{}/{}/{}", self.url, &file.sha256[..2], file.sha256)
    }

    /// Sees to it that `file` is in the store and stays there, by `deadline` at the latest.
    ///
    /// # Errors
    /// When the store is away, or too slow.
    pub(crate) async fn keep(&self, file: &File, deadline: Instant) -> Result<Stored, StoreUnavailable> {
        let error = match timeout_at(deadline, guarded(self.put(file))).await {
            Ok(Ok(kept)) => {
                if !self.up.swap(true, Ordering::Relaxed) {
                    tracing::info!(url = self.url, "the media store accepts files again");
                }
                return Ok(kept);
            }
            Ok(Err(error)) => StoreUnavailable(error),
            Err(_) => StoreUnavailable(StoreError::TooSlow),
        };
        // One line per event that is turned away would bury it.
        if self.up.swap(false, Ordering::Relaxed) {
            tracing::error!(url = self.url, %error, "the media store is failing; events with large files wait in the spool");
        }
        Err(error)
    }

    async fn put(&self, file: &File) -> Result<Stored, StoreError> {
        let name = self.prefix.clone().join(&file.sha256[..2]).join(file.sha256.as_str());
        // An error here says little: S3 hides from those who may not list whether an object is there.
        let size = file.size() as u64;
        let found = self.objects.head(&name).await.ok().filter(|found| found.size == size);
        let there = found.as_ref().is_some_and(|found| {
            let age = now_millis() - found.last_modified.timestamp_millis();
            age < REWRITTEN_AFTER_MILLIS
        });
        if !there {
            // One that is written again takes no more than before.
            let room = self.room.as_ref().filter(|_| found.is_none());
            let taken = room.map(|room| room.take(size)).transpose()?;
            let payload = PutPayload::from_bytes(file.bytes.clone());
            self.objects.put(&name, payload).await.map_err(|e| self.said(&e))?;
            if let Some(taken) = taken {
                taken.keep();
            }
        }
        if let Some(folder) = &self.folder {
            let (folder, path) = (Arc::clone(folder), PathBuf::from(&file.sha256[..2]).join(&file.sha256));
            let shared = self.shared;
            let settled = tokio::task::spawn_blocking(move || {
                if shared {
                    share(&folder, &path);
                }
                settle(&folder, &path)
            });
            settled.await??;
        }
        Ok(if there { Stored::There } else { Stored::Written })
    }

    /// Writes a small object and deletes it again.
    pub(crate) async fn probe(&self) -> Result<(), Unfit> {
        let name = self.prefix.clone().join(format!("hookbridge-check-{}", std::process::id()));
        let text = "a test file of `hookbridge check`, which deletes it again";
        self.probe_step(self.objects.put(&name, text.into())).await.map_err(Unfit::Write)?;
        self.probe_step(self.objects.delete(&name)).await.map_err(Unfit::Delete)
    }

    async fn probe_step<T>(&self, step: impl Future<Output = object_store::Result<T>>) -> Result<(), StoreError> {
        let step = async { step.await.map(drop).map_err(|e| self.said(&e)) };
        match timeout(PROBE_LIMIT, guarded(step)).await {
            Ok(done) => done,
            Err(_) => Err(StoreError::TooSlow),
        }
    }

    fn said(&self, error: &object_store::Error) -> StoreError {
        StoreError::Said(bucket::words(error, &self.secrets))
    }
}

/// Lets others read the file, and the folder of its own that it is in. One that another instance has written has its owner's
/// rights.
fn share(folder: &FilePath, path: &FilePath) {
    for step in path.ancestors().filter(|step| *step != FilePath::new("")) {
        if let Err(error) = private::share(&folder.join(step)) {
            tracing::debug!(path = %folder.join(step).display(), %error, "cannot change the permissions of a file");
        }
    }
}

/// Makes what the file's name leads through outlast a loss of power. The file itself was synchronised by whoever wrote
/// it, but that may have been another request, which has not got so far with the folders, or a process that died.
fn settle(folder: &FilePath, path: &FilePath) -> io::Result<()> {
    for step in path.ancestors() {
        sync(&folder.join(step))?;
    }
    Ok(())
}

fn sync(path: &FilePath) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// A panic of the store's client is an outage of the store like any other: the event waits in the spool.
async fn guarded<T>(step: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    AssertUnwindSafe(step).catch_unwind().await.unwrap_or(Err(StoreError::Panicked))
}
