//! What is known of one event type: its record, its key and times, and the further topics it goes to.

use super::Flaw;
use super::avsc::Type;
use super::media::MediaField;
use super::path::Path;
use super::plan::KeySlots;

/// A record's schema, ready to be registered.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Full name, such as `wegly.LeadWon`.
    pub(crate) name: String,
    /// Self-contained text with every attribute of the files.
    pub(crate) text: String,
}

/// An event type and all that follows from it.
#[derive(Debug)]
pub(crate) struct EventType {
    /// Such as `lead.won`.
    pub(crate) name: String,
    /// Without prefix, such as `wegly.lead`.
    pub(crate) topic: String,
    pub(crate) schema: Schema,
    /// The record's place in [`super::Profile::records`].
    pub(crate) record: usize,
    /// Slots of the body's members: the record's fields, then the fields that only tell the type.
    pub(crate) names: KeySlots,
    /// Where the key stands, from the payload on.
    pub(crate) key: Path,
    /// Where the time may stand, best first, from the payload on.
    pub(crate) times: Vec<Path>,
    /// Set when the payload as a whole is one field of the record: that field's slot.
    pub(crate) payload_slot: Option<usize>,
    /// Where a file may stand that is too large for the record.
    pub(crate) media: Option<MediaField>,
    pub(crate) joins: Vec<Join>,
    pub(crate) latest: Option<Latest>,
}

impl EventType {
    /// The schemas of all that is written of it.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &Schema> {
        [&self.schema].into_iter().chain(self.latest.as_ref().map(|latest| &latest.schema))
    }

    /// Whether `topic`, without the profile's name, is its main topic.
    pub(super) fn comes_from(&self, profile: &str, topic: &str) -> bool {
        self.topic.strip_prefix(profile).and_then(|rest| rest.strip_prefix('.')) == Some(topic)
    }

    /// A path starts at the record; where the payload as a whole is one field, the first step is behind us.
    pub(super) fn starting_at_payload(&self, mut path: Path) -> Path {
        if self.payload_slot.is_some() {
            path.steps.remove(0);
        }
        path
    }
}

/// What a topic is that has events' own records once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinKind {
    /// On by default or not, as its profile says.
    Join {
        by_default: bool,
    },
    Timeline,
}

/// Which join topics events go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JoinTopics {
    None,
    /// Those that their profiles have on by default.
    Default,
    All,
    /// These, such as `wegly.chat-by-deal`, and no others.
    Only(Vec<String>),
}

/// Which topics events go to besides their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FurtherTopics {
    pub(crate) joins: JoinTopics,
    pub(crate) timelines: bool,
    pub(crate) latest: bool,
}

impl Default for FurtherTopics {
    fn default() -> Self {
        FurtherTopics { joins: JoinTopics::Default, timelines: false, latest: true }
    }
}

impl FurtherTopics {
    pub(super) fn has(&self, join: &Join) -> bool {
        match (join.kind, &self.joins) {
            (JoinKind::Timeline, _) => self.timelines,
            (JoinKind::Join { .. }, JoinTopics::None) => false,
            (JoinKind::Join { by_default }, JoinTopics::Default) => by_default,
            (JoinKind::Join { .. }, JoinTopics::All) => true,
            (JoinKind::Join { .. }, JoinTopics::Only(topics)) => topics.contains(&join.topic),
        }
    }
}

/// The same record again, once for each distinct entity found at `keys`.
#[derive(Debug)]
pub(crate) struct Join {
    /// Without prefix, such as `wegly.chat-by-deal`.
    pub(crate) topic: String,
    pub(crate) kind: JoinKind,
    /// Where the entities' ids stand, from the payload on.
    pub(crate) keys: Vec<Path>,
    /// What an id is; one in JSON of open shape has to be one of these as well.
    pub(crate) id: Type,
}

/// The entity's state as the event tells it, in a record of its own.
#[derive(Debug)]
pub(crate) struct Latest {
    /// Without prefix, such as `wegly.deal-latest`.
    pub(crate) topic: String,
    pub(crate) schema: Schema,
    /// The snapshot's slot in the event's record.
    pub(crate) slot: usize,
    /// When the entity was last changed, from the payload on.
    pub(crate) updated: Path,
    /// Where the record has a list made of the snapshot: what of, from the payload on.
    pub(crate) list: Option<Path>,
    /// Whether that is hashed.
    pub(crate) hashed: bool,
}

/// What a profile calls a topic, which its own name and a dot precede in Kafka.
pub(super) fn check_topic_name(topic: &str) -> Result<(), Flaw> {
    if is_word(topic, b'-') { Ok(()) } else { Err(Flaw::TopicName) }
}

/// Small letters, digits and `also`, at least one.
pub(super) fn is_word(text: &str, also: u8) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == also)
}
