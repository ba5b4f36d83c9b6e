//! What a trial found, for people and for programs.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::door::TurnedAway;
use super::kept::KeptValue;
use crate::outcome::{Accepted, Reason, Refusal};
use crate::source::Source;
use crate::source::handshake::HandshakeAnswer;
use crate::values::printable;

/// Whether the sender's proof is right.
pub(crate) enum TrialProof {
    Right(String),
    Wrong(String),
    /// The request says that it comes without.
    Unchecked,
    /// It is refused for another reason first.
    NotReached(String),
}

/// What the sender would be answered, if Kafka takes everything.
#[derive(Clone, Copy)]
pub(crate) enum TrialAnswer {
    Accepted(Accepted),
    Refused(Refusal),
    /// What a vendor asked is answered, and nothing is written.
    Handshake,
}

impl TrialAnswer {
    pub(crate) fn status(self) -> u16 {
        match self {
            TrialAnswer::Accepted(Accepted::Published | Accepted::Ignored) | TrialAnswer::Handshake => 200,
            TrialAnswer::Accepted(_) => 202,
            TrialAnswer::Refused(refusal) => refusal.status().as_u16(),
        }
    }

    /// The outcome, or the problem's code.
    pub(crate) fn word(self) -> &'static str {
        match self {
            TrialAnswer::Accepted(accepted) => accepted.name(),
            TrialAnswer::Refused(refusal) => refusal.code(),
            TrialAnswer::Handshake => "handshake",
        }
    }

    /// Why it is a dead letter.
    pub(crate) fn reason(self) -> Option<&'static str> {
        match self {
            TrialAnswer::Accepted(Accepted::DeadLettered(reason)) => Some(reason.code()),
            _ => None,
        }
    }
}

/// What would become of a request.
pub(crate) struct Trial {
    pub(crate) source: String,
    pub(crate) profile: String,
    pub(crate) proof: TrialProof,
    pub(crate) answer: TrialAnswer,
    /// The body of the answer to a handshake.
    pub(crate) handshake: Option<HandshakeAnswer>,
    /// Also of a request that is refused for its proof: as if it had been let in.
    pub(crate) events: Vec<TriedEvent>,
}

/// An event that a body holds, or the dead letter in its place.
#[derive(Serialize)]
pub(crate) struct TriedEvent {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) event_type: Option<String>,
    /// Which rule of the profile determines the type.
    pub(crate) rule: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) occurred_at: Option<String>,
    /// The profile wants none of its type: nothing is written.
    pub(crate) ignored: bool,
    pub(crate) rejection: Option<TriedRejection>,
    pub(crate) records: Vec<TriedRecord>,
    /// What went to `extra`.
    pub(crate) extra: Vec<KeptValue>,
    /// Where a large file would be kept.
    pub(crate) file: Option<String>,
}

/// Why an event would be a dead letter.
#[derive(Serialize)]
pub(crate) struct TriedRejection {
    /// Its code is `reason` of the JSON.
    #[serde(serialize_with = "code")]
    pub(crate) reason: Reason,
    pub(crate) error: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn code<S: Serializer>(reason: &Reason, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(reason.code())
}

/// A record that would be written.
#[derive(Serialize)]
pub(crate) struct TriedRecord {
    pub(crate) topic: String,
    /// If the topic has as many partitions as the configuration says.
    pub(crate) partition: u32,
    pub(crate) key: String,
    /// None of a dead letter.
    pub(crate) subject: Option<String>,
    pub(crate) timestamp: String,
    pub(crate) headers: serde_json::Map<String, Value>,
    pub(crate) value: Box<RawValue>,
}

impl Trial {
    pub(super) fn of(source: &Source) -> Trial {
        let (name, profile) = (source.name.clone(), source.profile.name.clone());
        let proof = TrialProof::Unchecked;
        let answer = TrialAnswer::Refused(Refusal::Missing);
        Trial { source: name, profile, proof, answer, handshake: None, events: Vec::new() }
    }

    /// That of a handshake, which is answered or not.
    pub(super) fn of_handshake(source: &Source, asked: Result<HandshakeAnswer, TurnedAway>) -> Trial {
        let (proof, answer, handshake) = match asked {
            Ok(answer) => {
                (TrialProof::Right("as the profile's [handshake] asks".into()), TrialAnswer::Handshake, Some(answer))
            }
            Err(TurnedAway { refusal, why, .. }) => (TrialProof::Wrong(why), TrialAnswer::Refused(refusal), None),
        };
        Trial { proof, answer, handshake, ..Trial::of(source) }
    }

    /// Whether records would be published, or a handshake answered.
    pub(crate) fn is_well(&self) -> bool {
        matches!(self.answer, TrialAnswer::Accepted(Accepted::Published) | TrialAnswer::Handshake)
    }

    /// All of it as one JSON object.
    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            source: &'a str,
            profile: &'a str,
            proof: Value,
            answer: Value,
            events: &'a [TriedEvent],
        }
        let (verdict, why) = self.proof.words();
        let mut answer = json!({"status": self.answer.status(), "outcome": self.answer.word()});
        if let Some(reason) = self.answer.reason() {
            answer["reason"] = reason.into();
        }
        if let Some(handshake) = &self.handshake {
            answer["content_type"] = handshake.content_type.into();
            answer["body"] = handshake.text.as_str().into();
        }
        let proof = json!({"verdict": verdict, "why": why});
        let whole = Whole { source: &self.source, profile: &self.profile, proof, answer, events: &self.events };
        // Nothing in it can fail to be written: all keys are text.
        let text = serde_json::to_string(&whole).unwrap_or_default();
        printable::json(&text).into_owned()
    }

    /// All of it for people.
    pub(crate) fn text(&self) -> String {
        let (verdict, why) = self.proof.words();
        let mut text = line("source", &format!("{} (profile {})", self.source, self.profile));
        text += &line("proof", &format!("{verdict}: {why}"));
        let reason = self.answer.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
        text += &line("answer", &format!("{} {}{reason}", self.answer.status(), self.answer.word()));
        if let Some(handshake) = &self.handshake {
            text += &line("body", &format!("{} ({})", handshake.text, handshake.content_type));
        }
        if matches!(self.proof, TrialProof::Wrong(_)) && !self.events.is_empty() {
            text += "\nIf its proof were right:\n";
        }
        for event in &self.events {
            text += "\n";
            text += &event.text();
        }
        text
    }
}

impl TrialProof {
    fn words(&self) -> (&'static str, &str) {
        match self {
            TrialProof::Right(why) => ("right", why),
            TrialProof::Wrong(why) => ("wrong", why),
            TrialProof::Unchecked => ("not checked", "taken for granted, as asked (unsigned)"),
            TrialProof::NotReached(why) => ("not reached", why),
        }
    }
}

impl TriedEvent {
    fn text(&self) -> String {
        let mut text = line("event", &self.id);
        let rule = self.rule.as_ref().map(|rule| format!(", by {rule}")).unwrap_or_default();
        let is_known = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".into());
        text += &line("type", &format!("{}{rule}", is_known(&self.event_type)));
        text += &line("key", &is_known(&self.key));
        text += &line("occurred", &is_known(&self.occurred_at));
        if self.ignored {
            text += &line("ignored", "the profile wants none of this type: nothing is written");
        }
        if let Some(why) = &self.rejection {
            text += &line("refused", &format!("{}: {}", why.reason.code(), why.error));
        }
        if let Some(file) = &self.file {
            text += &line("file", file);
        }
        for kept in &self.extra {
            text += &line("extra", &kept.sentence());
        }
        let mut shown: Vec<&str> = Vec::new();
        for record in &self.records {
            let is_shown = shown.contains(&record.value.get());
            text += &record.text(is_shown);
            shown.push(record.value.get());
        }
        text
    }
}

impl TriedRecord {
    fn text(&self, is_shown: bool) -> String {
        let subject = self.subject.as_ref().map(|subject| format!(", subject {subject}")).unwrap_or_default();
        let again = if is_shown { ": the same value" } else { "" };
        let mut text = line("record", &format!("{}/{} key {}{subject}{again}", self.topic, self.partition, self.key));
        if !is_shown {
            text += &pretty(self.value.get());
            text += "\n";
        }
        text
    }
}

/// JSON on several lines; a text as itself.
fn pretty(json: &str) -> String {
    match serde_json::from_str::<Value>(json) {
        Ok(Value::String(verbatim)) => printable::text(&verbatim).into_owned(),
        Ok(value) => printable::json(&format!("{value:#}")).into_owned(),
        Err(_) => printable::text(json).into_owned(),
    }
}

fn line(name: &str, text: &str) -> String {
    format!("{name:<9} {}\n", printable::line(text))
}
