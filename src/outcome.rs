//! What a sender was promised, where a delivery ended, and why it is a dead letter: words that the flow, the records, the spool and the
//! metrics share.

mod refusal;
mod settled;

pub(crate) use refusal::Refusal;
pub(crate) use settled::{RequestEnd, RequestWatcher, SettledEvent, SettledRequest, WrittenAt};

/// How a delivery was accepted: what a 2xx promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Kafka has acknowledged its records.
    Published,
    /// It is synced to our own disk.
    Spooled,
    /// A dead letter: in its topic, or in the spool on its way there.
    DeadLettered(Reason),
    /// Its profile says that nobody wants it: it is written nowhere.
    Ignored,
}

impl Accepted {
    pub(crate) const PUBLISHED: &str = "published";
    pub(crate) const SPOOLED: &str = "spooled";
    pub(crate) const DEAD_LETTERED: &str = "dead_lettered";
    pub(crate) const IGNORED: &str = "ignored";

    /// As answers, labels of metrics and spans spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Accepted::Published => Self::PUBLISHED,
            Accepted::Spooled => Self::SPOOLED,
            Accepted::DeadLettered(_) => Self::DEAD_LETTERED,
            Accepted::Ignored => Self::IGNORED,
        }
    }

    /// What a sender is told of two events together: the one that someone may have to look at.
    pub(crate) fn and(self, other: Accepted) -> Accepted {
        let weight = |accepted: Accepted| match accepted {
            Accepted::Ignored => 0,
            Accepted::Published => 1,
            Accepted::Spooled => 2,
            Accepted::DeadLettered(_) => 3,
        };
        if weight(other) > weight(self) { other } else { self }
    }

    /// Whether `name` is what one of these is called.
    pub(crate) fn is_name(name: &str) -> bool {
        [Self::PUBLISHED, Self::SPOOLED, Self::DEAD_LETTERED, Self::IGNORED].contains(&name)
    }
}

/// How many of a delivery's events were accepted how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EachAccepted {
    pub(crate) published: u32,
    pub(crate) spooled: u32,
    pub(crate) dead_lettered: u32,
    pub(crate) ignored: u32,
}

impl EachAccepted {
    pub(crate) fn add(&mut self, accepted: Accepted) {
        let count = match accepted {
            Accepted::Published => &mut self.published,
            Accepted::Spooled => &mut self.spooled,
            Accepted::DeadLettered(_) => &mut self.dead_lettered,
            Accepted::Ignored => &mut self.ignored,
        };
        *count += 1;
    }

    /// Those that there are, by their names.
    pub(crate) fn named(self) -> impl Iterator<Item = (&'static str, u32)> {
        let EachAccepted { published, spooled, dead_lettered, ignored } = self;
        let all = [
            (Accepted::PUBLISHED, published),
            (Accepted::SPOOLED, spooled),
            (Accepted::DEAD_LETTERED, dead_lettered),
            (Accepted::IGNORED, ignored),
        ];
        all.into_iter().filter(|(_, count)| *count > 0)
    }
}

/// How a delivery was accepted as a whole, and each of its events, where it has several.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AcceptedWhole {
    pub(crate) accepted: Accepted,
    pub(crate) each: Option<EachAccepted>,
    /// Its events, if somebody watches; in their order, without those that its profile ignores.
    pub(crate) events: Vec<SettledEvent>,
}

/// Why a delivery was not accepted; its sender has to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declined {
    /// Neither Kafka nor the spool takes it.
    Unavailable,
    /// It could not be converted within its time: too many others are.
    Overloaded,
}

/// What Kafka has of a delivery that ended: its records, its dead letter, or nothing, since nobody wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Published,
    DeadLettered(Reason),
    Ignored,
}

impl From<End> for Accepted {
    fn from(end: End) -> Accepted {
        match end {
            End::Published => Accepted::Published,
            End::DeadLettered(reason) => Accepted::DeadLettered(reason),
            End::Ignored => Accepted::Ignored,
        }
    }
}

/// Why an event became a dead letter. The names are fixed: tools and alerts are built on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    MalformedJson,
    UnknownType,
    MissingKey,
    SchemaViolation,
    RecordTooLarge,
    KafkaRejected,
    TooManyEvents,
}

impl Reason {
    pub(crate) const ALL: [Reason; 7] = [
        Reason::MalformedJson,
        Reason::UnknownType,
        Reason::MissingKey,
        Reason::SchemaViolation,
        Reason::RecordTooLarge,
        Reason::KafkaRejected,
        Reason::TooManyEvents,
    ];

    pub(crate) fn code(self) -> &'static str {
        match self {
            Reason::MalformedJson => "malformed_json",
            Reason::UnknownType => "unknown_type",
            Reason::MissingKey => "missing_key",
            Reason::SchemaViolation => "schema_violation",
            Reason::RecordTooLarge => "record_too_large",
            Reason::KafkaRejected => "kafka_rejected",
            Reason::TooManyEvents => "too_many_events",
        }
    }

    /// The one with this code.
    pub(crate) fn of(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

/// Why there is no record of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// Its profile says that nobody wants it.
    Ignored,
    /// It is a dead letter.
    Rejected(Rejection),
}

impl Unwritten {
    /// Why it is a dead letter, if it is one.
    pub(crate) fn rejection(self) -> Option<Rejection> {
        match self {
            Unwritten::Ignored => None,
            Unwritten::Rejected(rejection) => Some(rejection),
        }
    }
}

impl From<Rejection> for Unwritten {
    fn from(rejection: Rejection) -> Unwritten {
        Unwritten::Rejected(rejection)
    }
}

/// A reason and a sentence: where in the body, or what Kafka said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) reason: Reason,
    pub(crate) error: String,
}

/// Begins the line that a dead letter in the spool has before its headers. No header has such a name: a version that does not
/// know it skips the line.
pub(crate) const DEAD_LETTER_LINE: &str = ":dead_letter ";

impl Rejection {
    /// The line that keeps it in the spool.
    pub(crate) fn line(&self) -> Vec<u8> {
        format!("{DEAD_LETTER_LINE}{} {}\n", self.reason.code(), self.error.replace('\n', " ")).into_bytes()
    }

    /// What the line at the beginning of `headers` keeps, if there is one.
    pub(crate) fn kept(headers: &[u8]) -> Option<Rejection> {
        let line = headers.strip_prefix(DEAD_LETTER_LINE.as_bytes())?.split(|&byte| byte == b'\n').next()?;
        let line = String::from_utf8_lossy(line);
        let (code, error) = line.split_once(' ')?;
        let reason = Reason::of(code)?;
        Some(Rejection { reason, error: error.to_owned() })
    }
}
