//! What became of damaged files of the spool.

use prometheus::{Error, IntCounter, IntGauge};

use super::make::Make;

pub(crate) struct Damage {
    pub(super) recoveries: IntCounter,
    pub(super) recovered: IntCounter,
    pub(super) lost: IntCounter,
    /// How many files are still there that were put aside.
    pub(crate) files: IntGauge,
}

impl Damage {
    pub(super) fn new(make: &Make<'_>) -> Result<Damage, Error> {
        Ok(Damage {
            recoveries: make
                .single("spool_recoveries_total", "Damaged spool files that were put aside since the start.")?,
            recovered: make.single("spool_recovered_total", "Deliveries recovered from damaged spool files.")?,
            lost: make.single("spool_lost_total", "Deliveries lost in damaged spool files.")?,
            files: make.gauge("spool_damaged_files", "Damaged spool files that are put aside in data_dir now.")?,
        })
    }
}
