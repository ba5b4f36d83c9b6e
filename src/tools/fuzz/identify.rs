//! Scanning and identifying: JSON is what `serde_json` takes for it, and an event has a type, a key and a time, or a reason.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::catalog::Type;
use crate::convert::encode::judge::CATALOG;
use crate::convert::identify::identify as by_profile;
use crate::values::json::{Document, MAX_DEPTH};

/// The first instants of the years 1 and 10,000, in milliseconds since 1970.
const YEARS: std::ops::Range<i64> = -62_135_596_800_000..253_402_300_800_000;

/// The same body for each profile.
pub fn identify(data: &[u8]) {
    let scanned = Document::scan(data, MAX_DEPTH);
    let judged = serde_json::from_slice::<&RawValue>(data);
    assert!(scanned.is_err() || judged.is_ok(), "taken for JSON");
    let Ok(doc) = scanned else {
        // Only what is nested deeply is turned away besides what is no JSON.
        assert!(judged.is_err() || data.len() > MAX_DEPTH, "not taken for JSON");
        return;
    };
    for profile in CATALOG.profiles.values() {
        let identified = match by_profile(&doc, &http::HeaderMap::new(), profile) {
            Ok(identified) => identified,
            Err(unidentified) => {
                assert!(!unidentified.why.to_string().is_empty());
                assert!(unidentified.occurred_at.is_none_or(|at| YEARS.contains(&at)));
                continue;
            }
        };
        let key = &identified.key;
        assert!(!key.trim().is_empty());
        match identified.event_type.key.leaf {
            Type::Uuid => assert!(key.len() == 36 && *key == key.to_lowercase(), "{key}"),
            Type::Long => assert_eq!(key.parse::<i64>().unwrap().to_string(), *key),
            _ => {}
        }
        assert!([identified.occurred_at, identified.updated_at].iter().flatten().all(|at| YEARS.contains(at)));
        assert_eq!(identified.links.len(), identified.event_type.joins.len());
        for links in &identified.links {
            assert_eq!(links.iter().collect::<BTreeSet<_>>().len(), links.len(), "{links:?}");
            assert!(links.iter().all(|link| !link.trim().is_empty()), "{links:?}");
        }
    }
}
