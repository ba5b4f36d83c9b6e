//! How much of everything: the short form runs with every merge, the full one (`HOOKBRIDGE_FAULTS=full`) at leisure.

use std::sync::LazyLock;
use std::time::Duration;

use crate::load::Plan;
use crate::support::is_full_form;

/// Whether this is the full form.
pub(crate) fn full() -> bool {
    static FULL: LazyLock<bool> = LazyLock::new(is_full_form);
    *FULL
}

/// One of two, by the form.
pub(crate) fn pick<T>(short: T, full_form: T) -> T {
    if full() { full_form } else { short }
}

/// The load of most scenarios.
pub(crate) fn plan() -> Plan {
    Plan {
        entities: pick(200, 600),
        connections: 64,
        rate: Some(pick(250, 1500)),
        padding: 200,
        large: None,
        // Above anything an answer may take: `http.ack_timeout`, and what a busy machine adds.
        patience: Duration::from_secs(20),
    }
}

/// Accepted events that a scenario goes on for, at least. Eleven scenarios of the full form make 200,000.
pub(crate) fn accepted() -> usize {
    pick(600, 19_000)
}

/// The load on a cluster: three brokers share the machine with the bridge.
pub(crate) fn cluster_plan() -> Plan {
    Plan { entities: pick(150, 300), rate: Some(pick(120, 300)), ..plan() }
}

/// Accepted events that a scenario on the cluster goes on for, at least. Fifteen of the full form make more than 100,000.
pub(crate) fn cluster_accepted() -> usize {
    pick(1000, 7500)
}
