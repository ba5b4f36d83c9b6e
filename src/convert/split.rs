//! Takes a delivery apart that holds several events.
//!
//! ```text
//! body:    {"account": 7, "entry": [{"id": 1, "changes": [A, B]}, {"id": 2, "changes": [C]}]}      split at entry.changes
//! events:  {"account": 7, "entry": {"id": 1, "changes": A}}     the body again, with one element
//!          {"account": 7, "entry": {"id": 1, "changes": B}}     in the place of each array on the way,
//!          {"account": 7, "entry": {"id": 2, "changes": C}}     everything else as it is spelled
//! ```
//!
//! Each is a delivery of its own from then on, with an id of its own. Where the path leads to no array, the delivery is one event. So one
//! that was taken apart is not taken apart again, and an array that is empty takes nothing away.

use std::ops::Range;

use bytes::Bytes;

use crate::catalog::{Profile, Split};
use crate::convert::identify::{Why, recognise};
use crate::outcome::{Reason, Rejection};
use crate::source::verify::{Part, Verified};
use crate::values::json::{Document, MAX_DEPTH, Node};

/// The events that a delivery holds, in their order.
pub(crate) struct Several {
    /// Those that somebody wants.
    slices: Vec<Slice>,
    /// How many nobody wants.
    pub(crate) ignored: u32,
}

/// One event of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// Its place among all of them.
    place: u32,
    /// The parts of the body that it is put together of.
    pieces: Vec<Range<usize>>,
}

impl Slice {
    fn len(&self) -> usize {
        self.pieces.iter().map(Range::len).sum()
    }

    /// The body that it is, of that of the delivery.
    pub(crate) fn text(&self, body: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len());
        self.pieces.iter().for_each(|piece| text.extend_from_slice(&body[piece.clone()]));
        text
    }
}

impl Several {
    /// Each wanted event as a delivery, made when it is asked for.
    pub(crate) fn deliveries<'a>(&'a self, delivery: &'a Verified) -> impl Iterator<Item = Verified> + 'a {
        let of = self.slices.len() as u32;
        self.slices.iter().map(move |slice| {
            let part = Part { delivery: delivery.id().to_owned(), place: slice.place, of };
            delivery.part_of(part, Bytes::from(slice.text(delivery.body())))
        })
    }
}

/// All events of a delivery together have no more bytes than so many of the largest records, or twice what the delivery has: what
/// stands around them is in each.
const MOST_RECORDS: usize = 16;

/// Takes `delivery` apart; `None` where it is one event. A record may have `most_bytes`.
pub(crate) fn split(delivery: &Verified, most_bytes: usize) -> Result<Option<Several>, Rejection> {
    let profile = &delivery.source().profile;
    if profile.split.is_empty() || delivery.part().is_some() {
        return Ok(None);
    }
    // What is no JSON is found to be none when it is converted.
    let Ok(doc) = Document::scan(delivery.body(), MAX_DEPTH) else { return Ok(None) };
    let Some(slices) = slices(&doc, profile, most_bytes)? else { return Ok(None) };
    let all = slices.len();
    let wanted: Vec<_> = slices.into_iter().filter(|slice| !is_ignored(delivery, slice)).collect();
    let ignored = (all - wanted.len()) as u32;
    Ok(Some(Several { slices: wanted, ignored }))
}

/// Whether the profile ignores the event.
fn is_ignored(delivery: &Verified, slice: &Slice) -> bool {
    let profile = &delivery.source().profile;
    if !profile.may_ignore() {
        return false;
    }
    let text = slice.text(delivery.body());
    let Ok(doc) = Document::scan(&text, MAX_DEPTH) else { return false };
    // Its key and times are read once it is known to be wanted.
    matches!(recognise(&doc, delivery.headers(), profile), Err(Why::Ignored))
}

/// The events of a body by the first split of the profile that leads to an array with elements; `None` where none does.
pub(crate) fn slices(
    doc: &Document<'_>,
    profile: &Profile,
    most_bytes: usize,
) -> Result<Option<Vec<Slice>>, Rejection> {
    for split in &profile.split {
        let mut found = FoundSlices { doc, split, applies: false, way: Vec::new(), slices: Vec::new() };
        if split.steps.is_empty() {
            found.value(Node::ROOT, &[])?;
        } else {
            found.element(Node::ROOT, &split.steps)?;
        }
        if found.applies {
            check_bytes(doc, &found.slices, most_bytes)?;
            return Ok(Some(found.slices));
        }
    }
    Ok(None)
}

fn check_bytes(doc: &Document<'_>, slices: &[Slice], most_bytes: usize) -> Result<(), Rejection> {
    let bytes: usize = slices.iter().map(Slice::len).sum();
    let most = most_bytes.saturating_mul(MOST_RECORDS).max(2 * doc.raw(Node::ROOT).len());
    if bytes <= most {
        return Ok(());
    }
    let count = slices.len();
    let error =
        format!("its {count} events have {bytes} bytes together, with what stands around each; the most are {most}");
    Err(Rejection { reason: Reason::RecordTooLarge, error })
}

/// What a walk through a body has found.
struct FoundSlices<'a> {
    doc: &'a Document<'a>,
    split: &'a Split,
    /// Whether an array with elements was at the end of the path.
    applies: bool,
    /// The arrays on the way here, and which element of each.
    way: Vec<(Node, Node)>,
    slices: Vec<Slice>,
}

impl FoundSlices<'_> {
    /// What stands at the end of a step: each element of an array is on a way of its own.
    fn value(&mut self, node: Node, steps: &[Box<str>]) -> Result<(), Rejection> {
        let doc = self.doc;
        let mut items = doc.items(node).peekable();
        if items.peek().is_none() {
            return self.element(node, steps);
        }
        self.applies |= steps.is_empty();
        for item in items {
            self.way.push((node, item));
            self.element(item, steps)?;
            self.way.pop();
        }
        Ok(())
    }

    fn element(&mut self, node: Node, steps: &[Box<str>]) -> Result<(), Rejection> {
        if let Some((step, rest)) = steps.split_first() {
            let mut members = self.doc.all(node, step);
            if let Some(member) = members.next() {
                if members.next().is_some() {
                    let error = format!("{}: `{step}` occurs twice", self.split.text);
                    return Err(Rejection { reason: Reason::SchemaViolation, error });
                }
                return self.value(member, rest);
            }
        }
        self.end()
    }

    /// Here is one event.
    fn end(&mut self) -> Result<(), Rejection> {
        let Split { text, most, .. } = self.split;
        if self.slices.len() == *most {
            let error = format!("{text}: more than {most} events in one delivery: raise `split.most` and replay it");
            return Err(Rejection { reason: Reason::TooManyEvents, error });
        }
        let mut pieces = Vec::with_capacity(2 * self.way.len() + 1);
        let mut outer = self.doc.span(Node::ROOT);
        let mut behind = Vec::new();
        for &(array, element) in &self.way {
            let (array, element) = (self.doc.span(array), self.doc.span(element));
            pieces.push(outer.start..array.start);
            behind.push(array.end..outer.end);
            outer = element;
        }
        pieces.push(outer);
        pieces.extend(behind.into_iter().rev());
        let place = self.slices.len() as u32;
        self.slices.push(Slice { place, pieces });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
