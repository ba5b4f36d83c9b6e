//! What the spool's writer is told to do, and what that changes in the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::lane::Lane;
use super::store::{self, NewRow};
use super::{ALTERED, SpoolError};

pub(super) enum WriterCommand {
    Append(Append),
    /// These are in Kafka.
    Remove {
        lane: Arc<Lane>,
        rows: Vec<Done>,
    },
    /// This one goes to the end of another lane, which has room reserved for it under these keys.
    Relocate {
        from: Arc<Lane>,
        to: Arc<Lane>,
        row: Done,
        keys: Vec<u64>,
        /// What is put before its headers.
        before: Vec<u8>,
        moved: oneshot::Sender<Result<(), SpoolError>>,
    },
    /// These were altered on disk.
    SetAside {
        from: Arc<Lane>,
        to: Arc<Lane>,
        rows: Vec<Done>,
        done: oneshot::Sender<Result<(), SpoolError>>,
    },
    /// A lane was read up to this number, and should be empty then.
    Compare {
        lane: Arc<Lane>,
        seq: i64,
    },
    /// The file could not be read, when so many had been opened.
    Mistrust {
        error: SpoolError,
        files: u64,
    },
    Close,
}

impl WriterCommand {
    /// Whether it shares a transaction with others.
    pub(super) fn writes(&self) -> bool {
        !matches!(self, WriterCommand::Compare { .. } | WriterCommand::Mistrust { .. } | WriterCommand::Close)
    }

    pub(super) fn is_append(&self) -> bool {
        matches!(self, WriterCommand::Append(_))
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        matches!(self, WriterCommand::Append(append) if append.settled.load(Ordering::Acquire))
    }
}

/// What a command has changed in the file.
pub(super) enum Applied {
    Appended(i64),
    /// Of the deliveries that it names, those that were there.
    Gone(Vec<Done>),
}

/// A delivery that is to be kept.
pub(super) struct Append {
    pub(super) lane: Arc<Lane>,
    pub(super) source: String,
    pub(super) event_type: Option<String>,
    pub(super) id: String,
    pub(super) received_at: i64,
    pub(super) bytes: u64,
    /// Under which room is reserved for it.
    pub(super) keys: Vec<u64>,
    pub(super) headers: Vec<u8>,
    pub(super) body: Bytes,
    /// Set by whoever comes first: the writer that has an answer, or the sender that does not wait for it any longer.
    pub(super) settled: Arc<AtomicBool>,
    pub(super) kept: oneshot::Sender<Result<(), SpoolError>>,
}

/// A delivery that is in the spool no longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) seq: i64,
    pub(crate) bytes: u64,
}

impl Applied {
    pub(super) fn gone(self) -> Vec<Done> {
        match self {
            Applied::Gone(rows) => rows,
            Applied::Appended(_) => Vec::new(),
        }
    }
}

/// Of these, the ones to which `each` finds something to do.
fn those(rows: &[Done], mut each: impl FnMut(&Done) -> rusqlite::Result<bool>) -> rusqlite::Result<Applied> {
    let mut gone = Vec::new();
    for row in rows {
        if each(row)? {
            gone.push(*row);
        }
    }
    Ok(Applied::Gone(gone))
}

/// Does in the file what a command says; `last` is the highest number in use.
pub(super) fn apply(connection: &Connection, command: &WriterCommand, last: &mut i64) -> rusqlite::Result<Applied> {
    match command {
        WriterCommand::Append(append) => {
            *last += 1;
            let row = NewRow {
                seq: *last,
                lane: &append.lane.name,
                source: &append.source,
                event_type: append.event_type.as_deref(),
                id: &append.id,
                received_at: append.received_at,
                bytes: append.bytes,
                headers: &append.headers,
                body: &append.body,
            };
            store::insert(connection, &row)?;
            Ok(Applied::Appended(*last))
        }
        WriterCommand::Remove { rows, .. } => those(rows, |row| store::delete(connection, row.seq)),
        WriterCommand::Relocate { to, row, before, .. } => {
            *last += 1;
            those(&[*row], |row| store::relocate(connection, row.seq, *last, &to.name, before))
        }
        WriterCommand::SetAside { rows, .. } => those(rows, |row| {
            *last += 1;
            store::relocate(connection, row.seq, *last, ALTERED, b"")
        }),
        WriterCommand::Compare { .. } | WriterCommand::Mistrust { .. } | WriterCommand::Close => {
            Ok(Applied::Gone(Vec::new()))
        }
    }
}
