//! The page itself: one document with its style and its script, and the policy that lets a browser run these two only.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// One script: its parts share what they say at the top.
const SCRIPT: &str =
    concat!(include_str!("words.js"), include_str!("plots.js"), include_str!("troubles.js"), include_str!("page.js"),);

/// What is served at `/`.
pub(crate) struct Page {
    pub(crate) html: String,
    /// The value of `Content-Security-Policy`.
    pub(crate) policy: String,
}

impl Page {
    pub(crate) fn new() -> Page {
        let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
        Page {
            html: FRAME.replace("{style}", STYLE).replace("{script}", SCRIPT),
            // Names of fields come from senders: were one ever taken for markup, nothing of it would run or load.
            policy: format!(
                "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                hash(STYLE),
                hash(SCRIPT)
            ),
        }
    }
}
