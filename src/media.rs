//! Files in events. One that is too large for a record goes to an object store before its event is acknowledged, and the
//! record says where.
//!
//! ```text
//! body ─▶ take: the field that the profile names ─▶ base64 ─▶ File ─▶ Store::keep ─▶ publish
//!                                                               └─▶ encode: null, and `into` says where
//! ```
//!
//! What is lost on the way is how the base64 was written: its alphabet, padding, line breaks, and a data URL's scheme.
//! Its media type is kept, and so is every byte of the file. A text that is no base64 stays where it is, as it is.

mod base64;
mod bounded;
mod bucket;
mod error;
mod room;
mod signing;
mod store;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::catalog::{EventType, Path, Profile};
use crate::values::json::{Document, Node};

pub(crate) use error::{StoreUnavailable, Unfit};
pub(crate) use store::{Store, Stored};

/// How much of a file is looked at to tell its type, as much as `infer` reads of a file on disk.
const SNIFFED: usize = 8 << 10;

/// A file that was in an event.
#[derive(Debug)]
pub(crate) struct File {
    bytes: Bytes,
    /// 64 hex digits in lower case; also its name in the store.
    sha256: String,
    content_type: Option<String>,
}

/// A file of the payload that is kept elsewhere, and what the record says of it.
pub(crate) struct Moved<'a> {
    /// The value in the body that holds the file.
    pub(crate) file: Node,
    pub(crate) uri: &'a str,
    pub(crate) bytes: usize,
    /// 64 hex digits.
    pub(crate) sha256: &'a str,
    pub(crate) content_type: Option<&'a str>,
}

impl File {
    fn new(bytes: Vec<u8>, content_type: Option<String>) -> File {
        let sha256 = base16ct::lower::encode_string(&Sha256::digest(&bytes));
        let content_type = content_type.or_else(|| sniff(&bytes));
        File { bytes: bytes.into(), sha256, content_type }
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// What the record has in place of `file`, the value that held it, once it is at `uri`.
    pub(crate) fn moved<'a>(&'a self, file: Node, uri: &'a str) -> Moved<'a> {
        let content_type = self.content_type.as_deref();
        Moved { file, uri, bytes: self.size(), sha256: &self.sha256, content_type }
    }
}

/// The file of an event whose type is known, and the value that holds it, if it has more than `inline_max` bytes.
pub(crate) fn take(
    doc: &Document<'_>,
    profile: &Profile,
    event_type: &EventType,
    inline_max: usize,
) -> Option<(Node, File)> {
    let media = event_type.media.as_ref()?;
    let payload = match &profile.payload {
        None => Node::ROOT,
        Some(name) => doc.get(Node::ROOT, name)?,
    };
    let at = |path: &Path| path.steps.iter().try_fold(payload, |node, step| doc.get(node, step));
    let node = at(&media.file)?;
    // Four characters hold three bytes, so most texts need not be decoded to see that they are small.
    if doc.raw(node).len().div_ceil(4) * 3 <= inline_max {
        return None;
    }
    let base64::Decoded { bytes, media_type } = base64::decode(&doc.text(node)?.text)?;
    if bytes.len() <= inline_max {
        return None;
    }
    let said = || {
        let text = doc.text(at(media.content_type.as_ref()?)?)?.text;
        base64::is_media_type(text.trim()).then(|| text.trim().to_owned())
    };
    Some((node, File::new(bytes, media_type.or_else(said))))
}

/// The media type that a file's first bytes tell.
fn sniff(bytes: &[u8]) -> Option<String> {
    let kind = infer::get(&bytes[..bytes.len().min(SNIFFED)])?;
    // Every document of the old Office is Word to `infer`, unless it brings a reader of their file system.
    (kind.mime_type() != "application/msword").then(|| kind.mime_type().to_owned())
}

#[cfg(test)]
mod tests;
