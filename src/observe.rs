//! What operators see of it: metrics, logs, traces.

pub(crate) mod metrics;
pub(crate) mod recent;
pub(crate) mod telemetry;
pub(crate) mod traces;
