//! What is wrong now: since when, at which server, and what to do about it; and the one verdict made of it. Never asks for the time.
//!
//! The words are for whoever is woken: what happens to senders comes first, then the cause, then what to type.

mod events;
mod process;
mod servers;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::commands::ToolFlags;
use super::growth::Growth;
use super::spooled::SpoolFigures;
use crate::health::HealthReport;
use crate::observe::recent::RecentDeadLetter;
use crate::outcome::Refusal;
pub(super) use events::may_replay;
pub(super) use process::ProcessFigures;

/// So long, in milliseconds, what happened once goes on; senders that are refused come again within seconds.
const JUST_NOW: i64 = 10_000;
/// Of `spool.max_bytes`. Less room is worth a look; as the alert has it.
const LITTLE_ROOM: f64 = 0.2;

/// How much it matters, as the alerts have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// To be looked at today.
    #[default]
    Warning,
    /// Events are being lost, or soon will be.
    Critical,
}

/// Something that is wrong. What is left out by default makes it a warning that was not there before, with nothing to type.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct OpenTrouble {
    /// Names it, from one moment to the next.
    pub(super) code: String,
    pub(super) severity: Severity,
    pub(super) title: String,
    pub(super) detail: String,
    /// The server, folder, topic or source that it is about.
    pub(super) server: String,
    /// In milliseconds since 1970; where it is not known otherwise, when it was first seen.
    pub(super) since: Option<i64>,
    /// When it was seen last, in milliseconds since 1970, if it is made of single events.
    pub(super) last: Option<i64>,
    pub(super) todo: String,
    pub(super) commands: Vec<String>,
    /// A section of docs/operations.md.
    pub(super) runbook: &'static str,
}

/// Requests of a source that were refused for one reason.
#[derive(Clone, Debug)]
pub(super) struct RefusalGrowth {
    pub(super) source: String,
    pub(super) refusal: Refusal,
    pub(super) growth: Growth,
}

/// Dead letters of a source with one reason.
#[derive(Clone, Debug)]
pub(super) struct DeadLetterGrowth {
    pub(super) source: String,
    pub(super) reason: String,
    pub(super) growth: Growth,
}

/// A sender that is being refused with 503, and the seconds until it may give up.
#[derive(Clone, Debug)]
pub(super) struct ImpatientSender {
    pub(super) source: String,
    pub(super) left: u64,
}

/// What the bridge depends on, as an operator knows it.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) kafka: String,
    pub(super) registry: String,
    pub(super) data_dir: String,
    pub(super) dead_letters: String,
    pub(super) inspect_spool: String,
    pub(super) flags: ToolFlags,
}

/// All that is known at one moment.
pub(super) struct Situation<'a> {
    pub(super) now: i64,
    pub(super) around: &'a Surroundings,
    pub(super) health: &'a HealthReport,
    pub(super) spool: &'a SpoolFigures,
    pub(super) refusals: &'a [RefusalGrowth],
    pub(super) dead_letters: &'a [DeadLetterGrowth],
    pub(super) newest: &'a [RecentDeadLetter],
    pub(super) impatient: &'a [ImpatientSender],
    pub(super) process: ProcessFigures,
}

impl Situation<'_> {
    /// Whether senders get 503 now, or got it just now.
    fn is_refusing(&self) -> bool {
        !self.health.ready || self.refusals.iter().any(|refusal| events::is_loss(refusal) && self.is_fresh(refusal))
    }

    /// Whether it happened just now.
    fn is_fresh(&self, refusal: &RefusalGrowth) -> bool {
        self.now - refusal.growth.last < JUST_NOW
    }

    fn waits(&self) -> bool {
        self.spool.records > 0 || self.health.kafka.is_some()
    }

    /// Whether events wait and larger ones may not find room any more.
    fn is_nearly_full(&self) -> bool {
        self.waits() && self.spool.room_share() < LITTLE_ROOM
    }

    /// What senders get.
    fn effect(&self) -> &'static str {
        if self.health.ending {
            "This instance is shutting down."
        } else if self.is_refusing() {
            "Senders get 503 and try again. Events are lost if that lasts longer than they try."
        } else if self.is_nearly_full() {
            "Senders get 202 while the spool has room. Then they get 503, and events are lost if that lasts longer than they try."
        } else if self.waits() {
            "Senders get 202. Events wait on disk, and none is lost."
        } else {
            "Verified events are accepted and go directly to Kafka."
        }
    }
}

/// Since when each trouble has been there.
#[derive(Debug, Default)]
pub(super) struct TroubleLog(BTreeMap<String, i64>);

impl TroubleLog {
    /// What is wrong, the worst first; of equals in the order in which they are judged, see [`events::of`].
    pub(super) fn look(&mut self, situation: &Situation<'_>) -> Vec<OpenTrouble> {
        let causes = servers::of(situation).into_iter().chain(process::of(situation));
        let mut open: Vec<_> = causes.chain(events::of(situation)).collect();
        self.0.retain(|code, _| open.iter().any(|trouble| trouble.code == *code));
        for trouble in &mut open {
            let seen = *self.0.entry(trouble.code.clone()).or_insert(situation.now);
            trouble.since = Some(trouble.since.map_or(seen, |since| since.min(situation.now)));
        }
        // Stable: causes stand before what follows of them.
        open.sort_by_key(|trouble| std::cmp::Reverse(trouble.severity));
        open
    }
}

/// One sentence for the head of the page, how bad it is, and since when.
pub(super) fn verdict(situation: &Situation<'_>, troubles: &[OpenTrouble]) -> Value {
    let Some(worst) = troubles.first() else {
        return json!({ "level": "ok", "text": "No trouble", "effect": situation.effect(), "since": null });
    };
    let text = match troubles.len() - 1 {
        0 => worst.title.clone(),
        more => format!("{}, and {more} more", worst.title),
    };
    json!({ "level": worst.severity, "text": text, "effect": situation.effect(), "since": worst.since })
}

#[cfg(test)]
mod tests;
