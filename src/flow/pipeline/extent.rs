//! How large the records of an event may be, each and together.

use crate::convert::prepare::Parts;
use crate::kafka::route::Record;
use crate::outcome::{Reason, Rejection};

/// The records of one event take at most so many times what one may: bodies are bounded, and so has to be what they are
/// multiplied by.
const EVENT_RECORDS: usize = 16;

/// Refuses an event whose records are too large together: each entity that it is linked to is a record more.
pub(crate) fn check_extent(parts: &Parts, max_record_bytes: usize) -> Result<(), Rejection> {
    let ((count, bytes), most) = (parts.extent(), max_record_bytes.saturating_mul(EVENT_RECORDS));
    if bytes <= most {
        return Ok(());
    }
    let error = format!(
        "its {count} records have {bytes} bytes together, more than {EVENT_RECORDS} times kafka.max_record_bytes ({most})"
    );
    Err(Rejection { reason: Reason::RecordTooLarge, error })
}

/// Refuses an event of which a record is larger than we may write.
pub(crate) fn check_size(records: &[Record], most: usize) -> Result<(), Rejection> {
    let Some(record) = records.iter().find(|record| record.bytes() > most) else { return Ok(()) };
    let (topic, bytes) = (&record.topic, record.bytes());
    let error = format!("{topic}: the record has {bytes} bytes, more than kafka.max_record_bytes ({most})");
    Err(Rejection { reason: Reason::RecordTooLarge, error })
}
