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
            recoveries: make.single("spool_recoveries_total", "Damaged files of the spool that were put aside.")?,
            recovered: make
                .single("spool_recovered_total", "Deliveries that were read from damaged files of the spool.")?,
            lost: make
                .single("spool_lost_total", "Deliveries that could not be read from damaged files of the spool.")?,
            files: make.gauge("spool_damaged_files", "Damaged files of the spool that are in data_dir, put aside.")?,
        })
    }
}
