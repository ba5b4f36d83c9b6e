//! From a verified delivery to what is to be written: an Avro record, or why it is none. Pure work on the body.

use crate::catalog::EventType;
use crate::convert::encode::{self, Encoded, Fault, Head};
use crate::convert::identify::{self, Why};
use crate::convert::split;
use crate::media::{self, File, Store};
use crate::outcome::{Reason, Rejection, Unwritten};
use crate::source::verify::Verified;
use crate::values::json::{Document, MAX_DEPTH};

/// A delivery whose body was read, and what is known of the event, be it a record or not.
pub(crate) struct Prepared<'a> {
    pub(crate) delivery: &'a Verified,
    pub(crate) event_type: Option<&'a EventType>,
    pub(crate) key: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) occurred_at: Option<i64>,
    /// Apart, since it is moved from stage to stage, and each keeps its place while an event waits.
    pub(crate) made: Result<Box<ConvertedEvent>, Unwritten>,
}

/// What the records to be are made of, and the file that they only name: to be kept first.
pub(crate) struct ConvertedEvent {
    pub(crate) parts: Parts,
    pub(crate) file: Option<File>,
}

/// What the records of an event are made of.
pub(crate) struct Parts {
    pub(crate) records: encode::Records,
    /// For each join topic the ids of the entities the event is linked to.
    pub(crate) links: Vec<Vec<String>>,
    /// Milliseconds since 1970.
    pub(crate) updated_at: Option<i64>,
}

impl Parts {
    /// How many records they make, and about how many bytes these take together.
    pub(crate) fn extent(&self) -> (usize, usize) {
        let links: usize = self.links.iter().map(Vec::len).sum();
        let state = self.records.latest.as_ref();
        let bytes = (1 + links) * self.records.event.len() + state.map_or(0, Encoded::len);
        (1 + links + usize::from(state.is_some()), bytes)
    }
}

impl<'a> Prepared<'a> {
    pub(crate) fn type_name(&self) -> Option<&'a str> {
        self.event_type.map(|event_type| event_type.name.as_str())
    }

    /// Whether its profile says that nobody wants it.
    pub(crate) fn is_ignored(&self) -> bool {
        matches!(self.made, Err(Unwritten::Ignored))
    }

    /// The same without its delivery.
    pub(crate) fn detach(self) -> Detached {
        let Prepared { event_type, key, occurred_at, made, .. } = self;
        Detached { event_type: event_type.map(|event_type| event_type.name.clone()), key, occurred_at, made }
    }

    /// Everything whose order it is part of: the entity it is about, and those it is linked to. One without is alone.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let own = self.key.as_deref().unwrap_or_else(|| self.delivery.id());
        let links = self.made.iter().flat_map(|made| made.parts.links.iter().flatten());
        std::iter::once(own).chain(links.map(String::as_str))
    }
}

/// What was made of a delivery, apart from it.
pub(crate) struct Detached {
    event_type: Option<String>,
    key: Option<String>,
    occurred_at: Option<i64>,
    made: Result<Box<ConvertedEvent>, Unwritten>,
}

impl Detached {
    /// Back with the delivery that it was made of.
    pub(crate) fn attach(self, delivery: &Verified) -> Prepared<'_> {
        let Detached { event_type, key, occurred_at, made } = self;
        let event_type = event_type.and_then(|name| delivery.source().profile.types.get(&name));
        Prepared { delivery, event_type, key, occurred_at, made }
    }
}

/// Why a delivery with several events is a dead letter, as a whole: it came to be converted without having been taken apart.
fn whole(delivery: &Verified, doc: &Document<'_>, most_bytes: usize) -> Option<Rejection> {
    let profile = &delivery.source().profile;
    if profile.split.is_empty() || delivery.part().is_some() {
        return None;
    }
    match split::slices(doc, profile, most_bytes) {
        Ok(slices) => slices.map(|slices| Rejection {
            reason: Reason::SchemaViolation,
            error: format!("it holds {} events, and was not taken apart: replay it", slices.len()),
        }),
        Err(rejection) => Some(rejection),
    }
}

/// Scans, identifies, takes out a large file, which is to go to `store`, encodes to records of up to `most_bytes`.
pub(crate) fn prepare<'a>(delivery: &'a Verified, store: &Store, most_bytes: usize) -> Prepared<'a> {
    let profile = &delivery.source().profile;
    let not = |reason, error| Err(Unwritten::Rejected(Rejection { reason, error }));
    let unknown = |made| Prepared { delivery, event_type: None, key: None, occurred_at: None, made };
    let doc = match Document::scan(delivery.body(), MAX_DEPTH) {
        Ok(doc) => doc,
        Err(error) => return unknown(not(Reason::MalformedJson, error.to_string())),
    };
    if let Some(rejection) = whole(delivery, &doc, most_bytes) {
        return unknown(Err(rejection.into()));
    }
    let identified = match identify::identify(&doc, delivery.headers(), profile) {
        Ok(identified) => identified,
        Err(identify::Unidentified { event_type, occurred_at, why }) => {
            let reason = match &why {
                Why::Ignored => return unknown(Err(Unwritten::Ignored)),
                Why::UnknownType(_) => Reason::UnknownType,
                Why::MissingKey { .. } => Reason::MissingKey,
                Why::SchemaViolation { .. } => Reason::SchemaViolation,
            };
            return Prepared { event_type, occurred_at, ..unknown(not(reason, why.to_string())) };
        }
    };
    let identify::Identified { event_type, key, occurred_at, links, updated_at } = identified;
    let head = Head {
        id: delivery.id(),
        event_type: &event_type.name,
        source: &delivery.source().name,
        entity_id: &key,
        occurred_at,
        received_at: delivery.received_at(),
    };
    let (node, file) = media::take(&doc, profile, event_type, store.inline_max_bytes).unzip();
    let uri = file.as_ref().map(|file| store.uri(file)).unwrap_or_default();
    let moved = node.zip(file.as_ref()).map(|(node, file)| file.moved(node, &uri));
    let made = match encode::encode(&doc, profile, event_type, &head, moved.as_ref(), most_bytes) {
        Ok(records) => Ok(Box::new(ConvertedEvent { parts: Parts { records, links, updated_at }, file })),
        Err(fault @ Fault::Unfit { .. }) => not(Reason::SchemaViolation, fault.to_string()),
        Err(fault @ Fault::TooLarge { .. }) => not(Reason::RecordTooLarge, fault.to_string()),
    };
    Prepared { delivery, event_type: Some(event_type), key: Some(key), occurred_at, made }
}
