//! Names of the metrics that the console shows, too: as they are counted, so they are read.

/// In front of every name, with an underscore.
pub(crate) const PREFIX: &str = "hookbridge";

pub(crate) const ACCEPTED: &str = "accepted_total";
pub(crate) const ANSWER_SECONDS: &str = "answer_seconds";
pub(crate) const DEAD_LETTERS: &str = "dead_letters_total";
pub(crate) const DRIFT: &str = "drift_total";
pub(crate) const EVENTS: &str = "events_total";
pub(crate) const REFUSALS: &str = "refused_total";
pub(crate) const REQUESTS: &str = "http_requests_total";
pub(crate) const SPOOL_BYTES: &str = "spool_bytes";
pub(crate) const SPOOL_RECORDS: &str = "spool_records";

/// In place of an outcome of an event, what was answered with neither 2xx nor 401.
pub(crate) const REFUSED: &str = "refused";
