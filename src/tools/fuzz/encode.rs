//! Encoding: `apache-avro` reads what was written, and nothing that was sent is lost.

use crate::convert::encode::judge::{CATALOG, SHOP, SentJson, nothing_lost, through};
use crate::values::json::{Document, MAX_DEPTH, Node};

/// The same body for each profile, once its white space is as the judge writes it.
pub fn encode(data: &[u8]) {
    let Ok(doc) = Document::scan(data, MAX_DEPTH) else { return };
    // Where two members share a name, the judge cannot tell which of them is meant.
    let sent = SentJson::of(&doc, Node::ROOT);
    let text = sent.as_ref().map_or_else(|| doc.raw(Node::ROOT).to_owned(), SentJson::text);
    for profile in CATALOG.profiles.values().chain(SHOP.profiles.get("shop")) {
        match (through(profile, &text), &sent) {
            (Ok(decoded), Some(sent)) => {
                if let Err(lost) = nothing_lost(decoded.schema, &decoded.record, profile, sent) {
                    panic!("{lost}\nbody: {text}");
                }
            }
            (Err(words), _) => assert!(!words.is_empty()),
            (Ok(_), None) => {}
        }
    }
}
