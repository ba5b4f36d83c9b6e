//! What several sections share: values with a default, and within bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fault::Faults;
use super::units::{Bytes, Period, Scalar, Text};
use crate::values::secret::Secret;

pub(super) const MIB: usize = 1 << 20;
/// No disk has more room.
pub(super) const PIB: usize = 1 << 50;

pub(super) fn or<T>(written: Option<Text<T>>, default: T) -> T {
    written.map_or(default, |text| text.0)
}

pub(super) fn period(written: Option<Text<Period>>, default: Duration) -> Duration {
    written.map_or(default, |text| text.0.0)
}

pub(super) fn bytes(written: Option<Text<Bytes>>, default: usize) -> usize {
    written.map_or(default, |text| text.0.0)
}

/// Timers do not know less.
const SHORTEST: Duration = Duration::from_millis(1);
/// No wait of a request, of a server or of an end makes sense beyond a day.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A wait of 1 ms to 1 day.
pub(super) fn wait(key: &str, written: Option<Text<Period>>, default: Duration, faults: &mut Faults) -> Duration {
    let fits = |time: &Period| (SHORTEST..=LONGEST).contains(&time.0);
    bounded(key, Period(period(written, default)), Period(default), fits, "from 1 ms to 1 day", faults).0
}

/// `value`, if `fits`; else `default`, and a fault that names what is `expected`.
pub(super) fn bounded<T: Scalar>(
    key: &str,
    value: T,
    default: T,
    fits: impl FnOnce(&T) -> bool,
    expected: &str,
    faults: &mut Faults,
) -> T {
    if fits(&value) {
        return value;
    }
    faults.unfit(key, expected);
    default
}

/// librdkafka takes no `message.max.bytes` above 10^9, and a dead letter holds the whole body.
pub(super) const MOST_OF_MESSAGE: usize = 900 * MIB;

pub(super) fn body_limit(key: &str, limit: usize, default: usize, faults: &mut Faults) -> usize {
    let fits = |limit: &Bytes| (1..=MOST_OF_MESSAGE).contains(&limit.0);
    bounded(key, Bytes(limit), Bytes(default), fits, "1 byte to 900 MiB", faults).0
}

/// `"linger.ms" = 5` and `linger.ms = 5` are the same property, though not the same TOML.
pub(super) fn flatten(
    section: &str,
    prefix: &str,
    table: &toml::Table,
    into: &mut BTreeMap<String, Secret>,
    faults: &mut Faults,
) {
    for (key, value) in table {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(section, &name, inner, into, faults);
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Float(_) => value.to_string(),
            _ => {
                faults.add(format!("{section}.{name}"), "expected a single value");
                continue;
            }
        };
        let Ok(secret) = text.parse();
        into.insert(name, secret);
    }
}

pub(super) fn topic_prefix(key: &str, written: Option<Text<String>>, faults: &mut Faults) -> String {
    let legal = |prefix: &String| {
        prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && prefix.len() <= 100
    };
    let expected = "at most 100 letters, digits, `.`, `_` and `-`";
    bounded(key, or(written, String::new()), String::new(), legal, expected, faults)
}
