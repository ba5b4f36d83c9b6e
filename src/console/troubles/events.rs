//! Troubles of single requests and events: refusals and dead letters, while they grow.

use std::cmp::Reverse;

use super::{DeadLetterGrowth, OpenTrouble, RefusalGrowth, Severity, Situation};
use crate::observe::metrics::NO_SOURCE;
use crate::outcome::{Reason, Refusal};
use crate::values::amount::counted;

/// So many strangers who knock at a path of no source are worth a look: a sender may have the wrong address. As the alerts have it.
const MANY_STRANGERS: u64 = 20;

/// What senders may lose events by comes first, then dead letters, then refusals, strangers last; of each kind the most.
pub(super) fn of(situation: &Situation<'_>) -> Vec<OpenTrouble> {
    let mut refusals: Vec<_> = situation.refusals.iter().filter(|refusal| is_trouble(refusal)).collect();
    refusals.sort_by_key(|refusal| (refusal.refusal == Refusal::UnknownSource, Reverse(refusal.growth.count)));
    let mut letters: Vec<_> = situation.dead_letters.iter().collect();
    letters.sort_by_key(|letters| Reverse(letters.growth.count));
    let (losses, others): (Vec<_>, Vec<_>) = refusals.into_iter().partition(|refusal| is_loss(refusal));
    let losses = losses.into_iter().map(|refusal| refused(situation, refusal));
    let letters = letters.into_iter().map(|letters| dead_letters(situation, letters));
    losses.chain(letters).chain(others.into_iter().map(|refusal| refused(situation, refusal))).collect()
}

/// Whether a sender may lose an event by it: it was not at fault.
pub(super) fn is_loss(refusal: &RefusalGrowth) -> bool {
    matches!(refusal.refusal, Refusal::Unavailable | Refusal::Overloaded)
}

/// A stranger who knocks at no path of ours is none, nor is an end in order.
fn is_trouble(refusal: &RefusalGrowth) -> bool {
    match refusal.refusal {
        Refusal::NotFound | Refusal::MethodNotAllowed | Refusal::ShuttingDown => false,
        Refusal::UnknownSource => refusal.growth.count >= MANY_STRANGERS,
        _ => true,
    }
}

fn refused(situation: &Situation<'_>, refusal: &RefusalGrowth) -> OpenTrouble {
    let (RefusalGrowth { source, growth, .. }, reason) = (refusal, refusal.refusal.reason());
    let runbook = match refusal.refusal {
        Refusal::Unavailable | Refusal::Overloaded => "HookbridgeRefusing",
        Refusal::RateLimited => "HookbridgeRateLimited",
        other if other.is_unauthorized() => "HookbridgeUnauthorized",
        Refusal::ContentType | Refusal::ContentEncoding | Refusal::BodyTooLarge => "HookbridgeUnacceptable",
        _ => "Refused requests",
    };
    let (of, server) = if source == NO_SOURCE {
        (String::new(), "the webhook listener".to_owned())
    } else {
        (format!(" of {source}"), format!("source {source}"))
    };
    OpenTrouble {
        code: format!("refused {source} {reason}"),
        severity: if is_loss(refusal) && situation.is_fresh(refusal) { Severity::Critical } else { Severity::Warning },
        title: format!("{}{of} refused: {reason}", counted(growth.count, "request")),
        detail: what_became_of_them(situation, refusal),
        server,
        since: Some(growth.since),
        last: Some(growth.last),
        todo: sentence(refusal.refusal.advice()),
        commands: Vec::new(),
        runbook,
    }
}

/// Whether it goes on, and whether the sender still tries. It is known of a sender when it has not had an event accepted since.
fn what_became_of_them(situation: &Situation<'_>, refusal: &RefusalGrowth) -> String {
    let is_over = is_loss(refusal) && !situation.is_refusing() && !situation.is_nearly_full();
    let sender = situation.impatient.iter().find(|sender| sender.source == refusal.source && is_loss(refusal));
    let now = if is_over { "It is over: what is sent again gets a 2xx." } else { "No event of them was accepted." };
    let sender = match sender.map(|sender| sender.left) {
        None => String::new(),
        Some(0) if is_over => {
            " Its sender has sent nothing since, and may have stopped trying: ask it for what was refused.".into()
        }
        Some(0) => " Its sender may have stopped trying with the first of them.".into(),
        Some(left) if is_over => format!(" Its sender has sent nothing since, and may stop trying in {left} s."),
        Some(left) => format!(" Its sender may stop trying in {left} s."),
    };
    format!("{now}{sender}")
}

fn dead_letters(situation: &Situation<'_>, letters: &DeadLetterGrowth) -> OpenTrouble {
    let DeadLetterGrowth { source, reason, growth } = letters;
    let newest = situation.newest.iter().find(|letter| letter.source == *source && letter.reason == *reason);
    let newest = newest.map(|letter| format!(" The newest: {}.", letter.error)).unwrap_or_default();
    let which = format!("--source {source} --reason {reason}");
    let flags = &situation.around.flags;
    let mut commands = vec![flags.tool(&format!("dead-letters list {which}"))];
    if may_replay(reason) {
        commands.push(flags.tool(&format!("dead-letters replay {which} --dry-run")));
    }
    OpenTrouble {
        code: format!("dead_letters {source} {reason}"),
        severity: Severity::Warning,
        title: format!("{} of {source}: {reason}", counted(growth.count, "dead letter")),
        detail: format!(
            "They are kept unchanged; their senders got a 2xx.{newest} Those replayed since are counted here, too: the list has what is left."
        ),
        server: format!("source {source}; topic {}", situation.around.dead_letters),
        since: Some(growth.since),
        last: Some(growth.last),
        todo: remedy(reason).into(),
        commands,
        runbook: match Reason::of(reason) {
            Some(Reason::RecordTooLarge | Reason::KafkaRejected) => "HookbridgeRecordsRefusedByKafka",
            _ => "HookbridgeDeadLetters",
        },
    }
}

/// With a capital letter and a full stop.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(chars).chain(['.']).collect()
}

/// Whether a replay may help: not where the body is no JSON, whatever the catalog.
pub(in crate::console) fn may_replay(reason: &str) -> bool {
    Reason::of(reason) != Some(Reason::MalformedJson)
}

/// What to do about the dead letters of a reason.
fn remedy(reason: &str) -> &'static str {
    match Reason::of(reason) {
        Some(Reason::UnknownType) => {
            "Add the type to the catalog (`hookbridge profile learn` makes it from samples), or have the profile ignore it; restart, then replay."
        }
        Some(Reason::SchemaViolation | Reason::MissingKey) => {
            "The sender has changed: correct the catalog, restart, then replay. Or ask the sender to correct it."
        }
        Some(Reason::MalformedJson) => "Tell the sender: the body is not JSON. A replay does not help.",
        Some(Reason::RecordTooLarge) => {
            "Lower media.inline_max_bytes if it holds files, or raise kafka.max_record_bytes and the topic's max.message.bytes; then replay."
        }
        Some(Reason::KafkaRejected) => "Correct the topic or the broker as Kafka's words say, then replay.",
        Some(Reason::TooManyEvents) => "Raise the profile's split.most, restart, then replay.",
        None => "See what the list says of each.",
    }
}
