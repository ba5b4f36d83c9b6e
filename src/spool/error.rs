//! Why the spool did not take or give a delivery, and what follows from that.

use std::io;
use std::path::Path;

use rusqlite::Error as Sqlite;
use rusqlite::ErrorCode as Code;
use rusqlite::ffi::{SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_SHORT_READ};

use super::store;
use crate::disk::access::{explain, is_of_the_disk};

/// Why the spool did not take or give a delivery.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// No room, by a limit or on the disk: it comes back as deliveries leave.
    #[error("{0}")]
    Full(String),
    /// Another time it may work: another process holds the file, or it was made by another version.
    #[error("{0}")]
    Failed(String),
    /// The disk does not do what it should, or cannot be written. What it holds of the last writes is not known: when it works
    /// again, all goes into a new file.
    #[error("{0}")]
    Disk(String),
    /// The file is not what was written. It is put aside, and what can be read of it goes into a new one.
    #[error("{0}")]
    Damaged(String),
    /// What is written to the file now is gone with this process.
    #[error("{0}")]
    Removed(String),
}

/// The source of a delivery in the spool, by its name, is not configured.
#[derive(Debug, thiserror::Error)]
#[error("{0}: no such source")]
pub(crate) struct UnknownSource(pub(crate) String);

impl SpoolError {
    pub(super) fn of(error: &Sqlite) -> SpoolError {
        let words = format!("{}: {error}", store::FILE);
        let cause = match error {
            Sqlite::SqliteFailure(cause, _) => cause,
            Sqlite::InvalidColumnType(..)
            | Sqlite::FromSqlConversionFailure(..)
            | Sqlite::Utf8Error(..)
            | Sqlite::IntegralValueOutOfRange(..) => {
                return SpoolError::Damaged(words);
            }
            _ => return SpoolError::Failed(words),
        };
        // The file is shorter than it says.
        if cause.extended_code == SQLITE_IOERR_SHORT_READ {
            return SpoolError::Damaged(words);
        }
        match (cause.code, cause.extended_code) {
            // The index of the log did not fit.
            (Code::DiskFull, _) | (_, SQLITE_IOERR_SHMSIZE | SQLITE_IOERR_SHMMAP) => SpoolError::Full(words),
            (Code::SystemIoFailure | Code::CannotOpen | Code::ReadOnly, _) => SpoolError::Disk(words),
            // The table is not as it was made: statements never change.
            (
                Code::DatabaseCorrupt
                | Code::NotADatabase
                | Code::Unknown
                | Code::ConstraintViolation
                | Code::TypeMismatch
                | Code::TooBig
                | Code::SchemaChanged,
                _,
            ) => SpoolError::Damaged(words),
            _ => SpoolError::Failed(words),
        }
    }

    pub(super) fn from_io(path: &Path, error: &io::Error) -> SpoolError {
        let words = format!("{}: {}", path.display(), explain(path, error));
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SpoolError::Full(words),
            _ if is_of_the_disk(error) => SpoolError::Disk(words),
            _ => SpoolError::Failed(words),
        }
    }

    /// Whether a start can go on without a spool until this is over.
    pub(super) fn is_of_the_disk(&self) -> bool {
        matches!(self, SpoolError::Full(_) | SpoolError::Disk(_))
    }

    /// The same with the file's path.
    pub(super) fn at(self, path: &Path) -> SpoolError {
        self.map(|words| match words.strip_prefix(store::FILE) {
            Some(rest) => format!("{}{rest}", path.display()),
            None => format!("{}: {words}", path.display()),
        })
    }

    /// The same with `hint` at the end.
    pub(super) fn with(self, hint: &str) -> SpoolError {
        self.map(|words| words + hint)
    }

    fn map(self, change: impl FnOnce(String) -> String) -> SpoolError {
        match self {
            SpoolError::Full(words) => SpoolError::Full(change(words)),
            SpoolError::Failed(words) => SpoolError::Failed(change(words)),
            SpoolError::Disk(words) => SpoolError::Disk(change(words)),
            SpoolError::Damaged(words) => SpoolError::Damaged(change(words)),
            SpoolError::Removed(words) => SpoolError::Removed(change(words)),
        }
    }
}
