//! What `send` posts: bodies made from the catalog, or one that is given.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;
use http::HeaderMap;

use crate::catalog::Profile;
use crate::convert::identify::identify;
use crate::convert::split::slices;
use crate::values::json::{Document, MAX_DEPTH};

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> io::Result<Bytes> {
    if path != Path::new("-") {
        return fs::read(path).map(Bytes::from);
    }
    let mut body = Vec::new();
    io::stdin().read_to_end(&mut body)?;
    Ok(body.into())
}

/// The event type that the profile's rules find in `body`; of several events that of the first.
pub(super) fn event_type_of(body: &[u8], profile: &Profile) -> Option<String> {
    let doc = Document::scan(body, MAX_DEPTH).ok()?;
    let found = |doc: &Document<'_>| match identify(doc, &HeaderMap::new(), profile) {
        Ok(identified) => Some(identified.event_type.name.clone()),
        Err(unidentified) => unidentified.event_type.map(|event_type| event_type.name.clone()),
    };
    match slices(&doc, profile, usize::MAX) {
        Ok(Some(slices)) => {
            let first = slices.first()?.text(body);
            found(&Document::scan(&first, MAX_DEPTH).ok()?)
        }
        _ => found(&doc),
    }
}
