//! What a sender was promised, where a delivery ended, and why it is a dead letter: words that the flow, the records, the spool and the
//! metrics share.

/// How a delivery was accepted: what a 2xx promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// Kafka has acknowledged its records.
    Published,
    /// It is synced to our own disk.
    Spooled,
    /// A dead letter: in its topic, or in the spool on its way there.
    DeadLettered(Reason),
}

impl Accepted {
    pub(crate) const PUBLISHED: &str = "published";
    pub(crate) const SPOOLED: &str = "spooled";
    pub(crate) const DEAD_LETTERED: &str = "dead_lettered";

    /// As answers, labels of metrics and spans spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Accepted::Published => Self::PUBLISHED,
            Accepted::Spooled => Self::SPOOLED,
            Accepted::DeadLettered(_) => Self::DEAD_LETTERED,
        }
    }

    /// Whether `name` is what one of these is called.
    pub(crate) fn is_name(name: &str) -> bool {
        [Self::PUBLISHED, Self::SPOOLED, Self::DEAD_LETTERED].contains(&name)
    }
}

/// Why a delivery was not accepted; its sender has to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Declined {
    /// Neither Kafka nor the spool takes it.
    Unavailable,
    /// It could not be converted within its time: too many others are.
    Overloaded,
}

/// What Kafka has of a delivery that ended: its records, or its dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Published,
    DeadLettered(Reason),
}

impl From<End> for Accepted {
    fn from(end: End) -> Accepted {
        match end {
            End::Published => Accepted::Published,
            End::DeadLettered(reason) => Accepted::DeadLettered(reason),
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
}

impl Reason {
    pub(crate) const ALL: [Reason; 6] = [
        Reason::MalformedJson,
        Reason::UnknownType,
        Reason::MissingKey,
        Reason::SchemaViolation,
        Reason::RecordTooLarge,
        Reason::KafkaRejected,
    ];

    pub(crate) fn code(self) -> &'static str {
        match self {
            Reason::MalformedJson => "malformed_json",
            Reason::UnknownType => "unknown_type",
            Reason::MissingKey => "missing_key",
            Reason::SchemaViolation => "schema_violation",
            Reason::RecordTooLarge => "record_too_large",
            Reason::KafkaRejected => "kafka_rejected",
        }
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
        let reason = Reason::ALL.into_iter().find(|reason| reason.code() == code)?;
        Some(Rejection { reason, error: error.to_owned() })
    }
}
