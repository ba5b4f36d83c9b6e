//! `[spool]`: how much may wait on disk.

use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::PIB;
use super::fault::Faults;
use super::units::{Bytes, Text};

const GIB: usize = 1 << 30;
/// A small event: with less room nothing could wait.
const LEAST: u64 = 3000;
/// A group of 32 MiB that has just begun, the log of 16 MiB that it goes through, and as much again for removing.
const LEAST_FREE: u64 = 64 << 20;

/// As written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenSpool {
    /// All events on disk together, from 3 kB to 1 PiB; 0 disables the spool. Default: "10 GiB".
    max_bytes: Option<Text<Bytes>>,
    /// The same for the events of one topic. Default: half of `max_bytes`.
    max_lane_bytes: Option<Text<Bytes>>,
    /// Free space below which the spool rejects events, from 64 MiB to 1 PiB. Default: "1 GiB".
    min_free_bytes: Option<Text<Bytes>>,
}

/// Bounds of the spool, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpoolSettings {
    /// All deliveries together.
    pub(crate) max_bytes: u64,
    /// Those that wait for one topic.
    pub(crate) max_lane_bytes: u64,
    /// What the file system keeps for others.
    pub(crate) min_free_bytes: u64,
}

impl WrittenSpool {
    pub(super) fn resolve(self, faults: &mut Faults) -> SpoolSettings {
        let bytes = |written: Option<Text<Bytes>>| written.map(|text| text.0.0 as u64);
        let mut max_bytes = bytes(self.max_bytes).unwrap_or(10 * GIB as u64);
        if max_bytes != 0 && !(LEAST..=PIB as u64).contains(&max_bytes) {
            faults.unfit("spool.max_bytes", "from 3 kB to 1 PiB, or 0 for no spool");
            max_bytes = 10 * GIB as u64;
        }
        let max_lane_bytes = bytes(self.max_lane_bytes).unwrap_or(max_bytes / 2);
        if max_lane_bytes > max_bytes && !faults.has("spool.max_bytes") {
            let what = format!("must not exceed spool.max_bytes ({max_bytes} bytes)");
            faults.add("spool.max_lane_bytes", what);
        } else if self.max_lane_bytes.is_some() && max_bytes != 0 && max_lane_bytes < LEAST {
            faults.unfit("spool.max_lane_bytes", "from 3 kB to spool.max_bytes (with less no event would fit)");
        }
        let min_free_bytes = bytes(self.min_free_bytes).unwrap_or(GIB as u64);
        if !(LEAST_FREE..=PIB as u64).contains(&min_free_bytes) {
            let expected = "from 64 MiB to 1 PiB (removing from the spool needs free space, too)";
            faults.unfit("spool.min_free_bytes", expected);
        }
        SpoolSettings { max_bytes, max_lane_bytes, min_free_bytes }
    }
}
