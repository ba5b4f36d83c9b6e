//! What the bridge says of itself, as far as it bears on what it promised.

use std::fs;
use std::net::SocketAddr;

use crate::support::sender;

/// Records that wait in the spool.
pub(crate) fn spool_records(admin: SocketAddr) -> u64 {
    sum(&sender::get(admin, "/metrics").body, "hookbridge_spool_records", "")
}

/// Bytes of its memory that are in use.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// What was accepted must be published, a dead letter, or in the spool; words when it does not add up. In the life of
/// one process.
pub(crate) fn identity(admin: SocketAddr) -> Option<String> {
    let text = sender::get(admin, "/metrics").body;
    let of = |name: &str, label: &str| sum(&text, name, label);
    let accepted = of("hookbridge_accepted_total", "");
    let recovered = of("hookbridge_recovered_total", "");
    let published = of("hookbridge_events_total", "outcome=\"published\"");
    let dead_lettered = of("hookbridge_events_total", "outcome=\"dead_lettered\"");
    let spooled = of("hookbridge_spool_records", "");
    (accepted + recovered != published + dead_lettered + spooled).then(|| {
        format!(
            "the metrics do not add up: accepted {accepted} + recovered {recovered} is not \
             published {published} + dead-lettered {dead_lettered} + in the spool {spooled}"
        )
    })
}

/// The sum of all series of a metric that have a label; 0 when there are none.
pub(crate) fn of(admin: SocketAddr, name: &str, label: &str) -> u64 {
    let text = sender::get(admin, "/metrics").body;
    if text.lines().any(|line| line.starts_with(name) && line.contains(label)) { sum(&text, name, label) } else { 0 }
}

/// The sum of all series of a metric that have a label.
fn sum(text: &str, name: &str, label: &str) -> u64 {
    let series = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let is_name = labels.is_empty() || labels.starts_with('{');
        (is_name && labels.contains(label)).then(|| value.parse::<f64>().ok())?
    });
    let values: Vec<_> = series.map(|value| value as u64).collect();
    assert!(!values.is_empty(), "no {name} with {label:?} in\n{text}");
    values.into_iter().sum()
}
