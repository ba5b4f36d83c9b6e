//! Arrays and maps, and what may be null in them.

use std::collections::HashSet;

use super::value::Fit;
use super::{Encoder, Misfit};
use crate::catalog::FieldKind;
use crate::values::json::{self, Node};
use crate::values::printable::clip;

impl Encoder<'_> {
    pub(super) fn array(&mut self, kind: &FieldKind, node: Node) -> Result<Fit, Misfit> {
        let doc = self.doc;
        if doc.kind(node) != json::Kind::Array {
            return Err(Misfit::rises(format!("got {}, expected an array", doc.kind(node).word())));
        }
        let count = doc.items(node).count();
        if count > 0 {
            self.long(count as i64);
            for (index, item) in doc.items(node).enumerate() {
                self.inner(kind, item).map_err(|m| m.within(&format!("[{index}]")))?;
            }
        }
        self.long(0);
        Ok(Fit::Whole)
    }

    /// Writes the object at `node` as a map. A second member of the same name is one that a reader would drop.
    pub(super) fn map(&mut self, kind: &FieldKind, node: Node) -> Result<Fit, Misfit> {
        let doc = self.doc;
        if doc.kind(node) != json::Kind::Object {
            return Err(Misfit::rises(format!("got {}, expected an object", doc.kind(node).word())));
        }
        let count = doc.members(node).count();
        let mut seen = HashSet::with_capacity(count);
        if count > 0 {
            self.long(count as i64);
        }
        for (key, value) in doc.members(node) {
            let Some(key) = doc.text(key) else { continue };
            if key.lone_surrogate {
                return Err(Misfit::rises("half a surrogate pair (half an emoji) in a key").within(&clip(&key.text)));
            }
            self.string(&key.text);
            self.inner(kind, value).map_err(|m| m.within(&clip(&key.text)))?;
            if !seen.insert(key.text.clone()) {
                return Err(Misfit::duplicate(&key.text));
            }
        }
        self.long(0);
        Ok(Fit::Whole)
    }

    /// Writes a value in a container. It has no original beside it, so one that does not fit as a whole makes the container a misfit.
    fn inner(&mut self, kind: &FieldKind, node: Node) -> Result<(), Misfit> {
        match self.value(kind, node)? {
            Fit::Whole => Ok(()),
            Fit::Mended => Err(Misfit::rises("half a surrogate pair")),
            Fit::Defaulted => Err(Misfit::rises("not a symbol of the enum")),
        }
    }

    pub(super) fn nullable(&mut self, kind: &FieldKind, node: Node) -> Result<Fit, Misfit> {
        let is_there = self.doc.kind(node) != json::Kind::Null;
        self.branch(is_there);
        if is_there { self.value(kind, node) } else { Ok(Fit::Whole) }
    }
}
