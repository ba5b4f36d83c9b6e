//! JSON straight to Avro, by the plan that was compiled from the schema.
//!
//! ```text
//! body:    {"event_key": …, "payload": {"lead": {"code": 7, "id": …, "new": 1}}}
//!             │ told the type            │ fill: each member to its field's slot, the rest to `extra`
//! record:  event ▸ lead ▸ (id, code, …, extra = {"new": 1}) ▸ … ▸ extra     in the schema's order
//! ```
//!
//! No value tree is built on the way: a value is copied or converted from where it stands in the body. Nothing is
//! lost: an unknown member goes to its record's `extra`; a value that does not fit rises to the nearest field around
//! it that may be null, and goes to `extra` whole. Where there is none, the event is a [`Fault`], and so is a
//! duplicate key wherever a record is read, since JSON readers do not agree on which one counts. A record that gets
//! larger than what may be written is given up on the spot, so that no body takes more memory than its places do.

mod containers;
mod extra;
#[cfg(any(test, fuzzing))]
pub(crate) mod judge;
mod misfit;
mod value;

use std::borrow::Cow;
use std::ops::Range;

use crate::catalog::{EventType, FieldKind, FieldPlan, Guard, KeySlots, Latest, Path, Profile};
use crate::convert::distinct::distinct;
use crate::media::Moved;
use crate::values::derive::{How, derive};
use crate::values::json::{self, Document, Node};
use crate::values::printable::clip;
use crate::values::redact;

use extra::{Duplicate, Extra};
pub(crate) use misfit::Fault;
use misfit::Misfit;

/// Bytes before the record in a Kafka value: a zero and the schema's id, four bytes, big-endian (Confluent).
const FRAME: usize = 5;

/// More keys than these are not told of one event.
const MOST_DRIFT: usize = 32;

/// What an event's `event` field says.
pub(crate) struct Head<'a> {
    /// A UUID in its 36-character form.
    pub(crate) id: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) source: &'a str,
    pub(crate) entity_id: &'a str,
    /// Milliseconds since 1970.
    pub(crate) occurred_at: Option<i64>,
    /// Milliseconds since 1970.
    pub(crate) received_at: i64,
}

/// The records of an event.
pub(crate) struct Records {
    pub(crate) event: Encoded,
    /// The entity's last state, where the event tells it.
    pub(crate) latest: Option<Encoded>,
    /// Where the payload was other than the schema: a record's name and the key, such as `DealSnapshot.novo`.
    pub(crate) drift: Vec<String>,
}

/// An Avro record, with room in front for the frame.
#[derive(Clone, Debug)]
pub(crate) struct Encoded(Vec<u8>);

impl Encoded {
    /// Bytes of the Kafka value.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The same record under another schema's id as well.
    pub(crate) fn framed_too(&self, schema_id: u32) -> Vec<u8> {
        Encoded(self.0.clone()).framed(schema_id)
    }

    /// The Kafka value: Confluent's wire format with the schema's id in the registry.
    pub(crate) fn framed(mut self, schema_id: u32) -> Vec<u8> {
        self.0[1..FRAME].copy_from_slice(&schema_id.to_be_bytes());
        self.0
    }
}

/// Writes the record of an event whose type is known, with `moved` in the place of its file; one of more than
/// `most_bytes` bytes is given up.
pub(crate) fn encode(
    doc: &Document<'_>,
    profile: &Profile,
    event_type: &EventType,
    head: &Head<'_>,
    moved: Option<&Moved<'_>>,
    most_bytes: usize,
) -> Result<Records, Fault> {
    let elsewhere = moved.map_or(0, |moved| doc.raw(moved.file).len());
    let mut encoder = Encoder {
        doc,
        profile,
        moved,
        // Avro is smaller than the JSON it came from, the head aside.
        out: Vec::with_capacity((doc.raw(Node::ROOT).len() - elsewhere).min(most_bytes) + 512),
        most_bytes,
        slots: Vec::with_capacity(128),
        snapshot_slot: event_type.latest.as_ref().map(|latest| latest.slot),
        snapshot: None,
        drift: Vec::new(),
    };
    encoder.out.resize(FRAME, 0);
    encoder.head(head);
    let head_end = encoder.out.len();
    encoder.event(event_type).map_err(Misfit::into_fault)?;
    let event = Encoded(std::mem::take(&mut encoder.out));
    let latest = event_type.latest.as_ref().zip(encoder.snapshot.take());
    let latest = latest.map(|(latest, snapshot)| encoder.latest(&event.0[..head_end], &event.0[snapshot], latest));
    Ok(Records { event, latest, drift: encoder.drift })
}

struct Encoder<'a> {
    doc: &'a Document<'a>,
    profile: &'a Profile,
    moved: Option<&'a Moved<'a>>,
    out: Vec<u8>,
    most_bytes: usize,
    /// The slots of the records being written, the innermost last.
    slots: Vec<Option<Node>>,
    /// Of an entity's last state: the slot in the event's record, and where it was written.
    snapshot_slot: Option<usize>,
    snapshot: Option<Range<usize>>,
    drift: Vec<String>,
}

impl<'a> Encoder<'a> {
    fn head(&mut self, head: &Head<'_>) {
        for text in [head.id, head.event_type, head.source, head.entity_id] {
            self.string(text);
        }
        match head.occurred_at {
            Some(millis) => {
                self.branch(true);
                self.long(millis);
            }
            None => self.branch(false),
        }
        self.long(head.received_at);
    }

    /// Writes the record of an entity's last state from parts of the event's: its head and its snapshot.
    fn latest(&mut self, head: &[u8], snapshot: &[u8], latest: &Latest) -> Encoded {
        self.out.reserve(head.len() + snapshot.len() + 64);
        self.out.extend_from_slice(head);
        self.out.extend_from_slice(snapshot);
        if let Some(path) = &latest.list {
            self.list(path, latest.hashed);
        }
        // Its own `extra`: the snapshot has one, and the rest is in the event's record.
        self.branch(false);
        Encoded(std::mem::take(&mut self.out))
    }

    /// Writes what is derived of the values at `path`, each once, or null when that is nothing.
    fn list(&mut self, path: &Path, hashed: bool) {
        let doc = self.doc;
        let payload = self.profile.payload.as_deref().map_or(Some(Node::ROOT), |name| doc.get(Node::ROOT, name));
        let mut made = Vec::new();
        if let Some(payload) = payload {
            doc.reach(payload, &path.steps, &mut |node| {
                let new = path.derived.as_ref().and_then(|how| derive(doc, node, how));
                made.extend(if hashed { self.hash(new) } else { new });
            });
        }
        let made = distinct(made);
        self.branch(!made.is_empty());
        if !made.is_empty() {
            self.long(made.len() as i64);
            for text in &made {
                self.string(text);
            }
            self.long(0);
        }
    }

    fn event(&mut self, event_type: &'a EventType) -> Result<(), Misfit> {
        let profile = self.profile;
        let fields = profile.records[event_type.record].fields.len();
        let Some(payload_name) = &profile.payload else {
            return self.record(event_type.record, &event_type.names, Node::ROOT, Extra::default());
        };
        let mut around = Extra::default();
        let envelope = self.fill(&profile.envelope, Node::ROOT, &mut around)?;
        let payload = self.slots[envelope];
        self.slots.truncate(envelope);
        let payload = payload.ok_or_else(|| Misfit::rises("absent").within(payload_name))?;
        let mut extra = Extra::default();
        extra.wrap("$envelope", &around);
        let written = match event_type.payload_slot {
            Some(slot) => {
                let base = self.slots.len();
                self.slots.resize(base + fields, None);
                self.slots[base + slot] = Some(payload);
                self.fields(event_type.record, base, extra)
                    .map_err(|m| Self::hide_step(m, &profile.records[event_type.record].fields[slot].json))
            }
            None => self.record(event_type.record, &event_type.names, payload, extra),
        };
        written.map_err(|m| m.within(payload_name))
    }

    /// Takes off a first step that is in the record but not in the body.
    fn hide_step(mut misfit: Misfit, step: &str) -> Misfit {
        if let Some(place) = misfit.place()
            && let Some(rest) = place.path.strip_prefix(step)
        {
            place.path = rest.trim_start_matches('.').into();
        }
        misfit
    }

    /// Writes the record at `node`, an object whose members `names` gives slots; slots beyond the record's fields
    /// are for members that only told the type.
    fn record(&mut self, record: usize, names: &KeySlots, node: Node, mut extra: Extra<'a>) -> Result<(), Misfit> {
        let kind = self.doc.kind(node);
        if kind != json::Kind::Object {
            return Err(Misfit::rises(format!("got {}, expected an object", kind.word())));
        }
        let base = self.fill(names, node, &mut extra)?;
        self.fields(record, base, extra)
    }

    /// Puts each member of `object` into its slot, unknown ones into `extra`; gives the first slot's index.
    fn fill(&mut self, names: &KeySlots, object: Node, extra: &mut Extra<'a>) -> Result<usize, Misfit> {
        let base = self.slots.len();
        self.slots.resize(base + names.len(), None);
        let doc = self.doc;
        let mut expected = 0;
        for (key, value) in doc.members(object) {
            let slot = match doc.kind(key) {
                json::Kind::Escaped => {
                    let key = json::unescape(doc.inner(key));
                    if key.lone_surrogate { None } else { names.slot(&key.text, expected) }
                }
                _ => names.slot(doc.inner(key), expected),
            };
            match slot {
                Some(slot) => {
                    if self.slots[base + slot].replace(value).is_some() {
                        return Err(Misfit::duplicate(&json::unescape(doc.inner(key)).text));
                    }
                    expected = slot + 1;
                }
                None => {
                    extra
                        .unknown(doc.raw(key), doc.raw(value))
                        .map_err(|Duplicate| Misfit::duplicate(&json::unescape(doc.inner(key)).text))?;
                    self.check_size(extra.bytes())?;
                }
            }
        }
        Ok(base)
    }

    /// Writes the fields of `record` from the slots at `base` on, then its `extra`; frees the slots.
    fn fields(&mut self, record: usize, base: usize, mut extra: Extra<'a>) -> Result<(), Misfit> {
        let profile = self.profile;
        for (index, field) in profile.records[record].fields.iter().enumerate() {
            match &field.kind {
                FieldKind::MediaObject { file } => {
                    self.media_object(self.slots[base + file]);
                    continue;
                }
                FieldKind::Derived { from, how } => {
                    self.derived(self.slots[base + from], how, field.guard);
                    continue;
                }
                _ => {}
            }
            let value = self.slots[base + index].filter(|&node| self.doc.kind(node) != json::Kind::Null);
            let Some(node) = value else {
                if field.optional {
                    self.branch(false);
                    continue;
                }
                let what = if self.slots[base + index].is_some() { "null" } else { "absent" };
                return Err(Misfit::rises(format!("{what}, but it is required")).within(&field.json));
            };
            if field.guard == Guard::Hashed {
                self.hashed(node);
                continue;
            }
            if field.guard == Guard::Redacted || self.moved.is_some_and(|moved| moved.file == node) {
                self.branch(false);
                continue;
            }
            let (mark, depth) = (self.out.len(), self.slots.len());
            if field.optional {
                self.branch(true);
            }
            match self.value(&field.kind, node) {
                Ok(value::Fit::Whole) => {
                    // The event's own record is the outermost: its slots are the first.
                    if base == 0 && self.snapshot_slot == Some(index) {
                        self.snapshot = Some(mark..self.out.len());
                    }
                }
                Ok(value::Fit::Mended) if field.optional => self.keep(&mut extra, field, node),
                Ok(value::Fit::Defaulted) => self.keep(&mut extra, field, node),
                Ok(value::Fit::Mended) => {
                    return Err(
                        Misfit::rises("half a surrogate pair (half an emoji) in a required string").within(&field.json)
                    );
                }
                Err(Misfit::Rises(_)) if field.optional => {
                    self.out.truncate(mark);
                    self.slots.truncate(depth);
                    self.branch(false);
                    self.keep(&mut extra, field, node);
                }
                Err(misfit) => return Err(misfit.within(&field.json)),
            }
        }
        self.slots.truncate(base);
        self.note_drift(record, &extra);
        extra.blank(&profile.records[record].guarded, &profile.guarded, &profile.redacted_anywhere);
        self.check_size(extra.bytes())?;
        match extra.text() {
            Some(text) => {
                self.branch(true);
                self.string(&text);
            }
            None => self.branch(false),
        }
        Ok(())
    }

    /// Whether what is written, and `more` bytes, may still become a record.
    fn check_size(&self, more: usize) -> Result<(), Misfit> {
        if self.out.len().saturating_add(more) <= self.most_bytes {
            Ok(())
        } else {
            Err(Misfit::TooLarge(self.most_bytes))
        }
    }

    fn note_drift(&mut self, record: usize, extra: &Extra<'_>) {
        let name = &self.profile.records[record].name;
        let room = MOST_DRIFT.saturating_sub(self.drift.len());
        self.drift.extend(extra.keys().take(room).map(|key| format!("{name}.{}", clip(&key))));
    }

    /// Writes where the file at `file` is kept, or null when it is not kept elsewhere.
    fn media_object(&mut self, file: Option<Node>) {
        let Some(moved) = self.moved.filter(|moved| file == Some(moved.file)) else { return self.branch(false) };
        self.branch(true);
        self.string(moved.uri);
        self.long(moved.bytes as i64);
        self.string(moved.sha256);
        self.perhaps(moved.content_type);
    }

    /// Writes what is derived of the value at `from`, or null when that is nothing.
    fn derived(&mut self, from: Option<Node>, how: &How, guard: Guard) {
        let made = from.and_then(|node| derive(self.doc, node, how));
        let made = if guard == Guard::Hashed { self.hash(made) } else { made };
        self.perhaps(made.as_deref());
    }

    fn hash<'b>(&self, text: Option<Cow<'_, str>>) -> Option<Cow<'b, str>> {
        text.and_then(|text| self.profile.hasher.hash(&text)).map(Cow::Owned)
    }

    /// Writes the hash of the text at `node`, or null when there is none, without keeping the original: half a surrogate
    /// pair is hashed as it would have been mended.
    fn hashed(&mut self, node: Node) {
        let doc = self.doc;
        let text = match doc.kind(node) {
            json::Kind::Number => Some(doc.raw(node).into()),
            _ => doc.text(node).map(|text| text.text),
        };
        self.perhaps(self.hash(text).as_deref());
    }

    /// Keeps the original of a known field in `extra`, without what must never leave.
    fn keep(&self, extra: &mut Extra<'a>, field: &FieldPlan, node: Node) {
        extra.known(&field.json, redact::blank(self.doc.raw(node), &self.profile.guarded));
    }

    fn value(&mut self, kind: &FieldKind, node: Node) -> Result<value::Fit, Misfit> {
        match kind {
            FieldKind::Record(record) => {
                let profile = self.profile;
                self.record(*record, &profile.records[*record].names, node, Extra::default())?;
                Ok(value::Fit::Whole)
            }
            FieldKind::Array(items) => self.array(items, node),
            FieldKind::Map(values) => self.map(values, node),
            FieldKind::Nullable(inner) => self.nullable(inner, node),
            scalar => value::write(self, scalar, node),
        }
    }

    /// The branch of a union of null and something: its index as a long.
    fn branch(&mut self, there: bool) {
        self.out.push(if there { 2 } else { 0 });
    }

    /// Zigzag, then seven bits a byte, the lowest first (Avro specification, "Binary encoding").
    fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.out.push(rest as u8);
    }

    fn perhaps(&mut self, text: Option<&str>) {
        self.branch(text.is_some());
        if let Some(text) = text {
            self.string(text);
        }
    }

    fn string(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.out.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests;
