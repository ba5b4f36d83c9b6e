//! What `send` prints: a line for each of a few events, a sum for all, and what to do about those that were not accepted.

use std::time::Duration;

use reqwest::StatusCode;

use super::target::{Destination, SourceTopics};
use crate::outbound::NoAnswer;
use crate::tools::send::{SendAnswer, SendLabel, Tally};
use crate::values::printable;

/// Of fewer events percentiles say nothing.
const FEW: u64 = 10;
/// The share of the rate that counts as reached.
const NEARLY: f64 = 0.95;
/// In less time a rate is not seen.
const SHORT: Duration = Duration::from_millis(500);

/// `71a70497-d88a-8bc7-96be-c6d240058775 deal.won wegly.deal published`; with `-` for what is not known, and for the topic of what was
/// not accepted.
pub(super) fn line(label: &SendLabel, answer: &SendAnswer, topics: &SourceTopics) -> String {
    let name = answer.name();
    let (id, reason) = match answer {
        SendAnswer::Said { id, reason, .. } => (id.as_ref(), reason.as_deref()),
        SendAnswer::Nothing(_) => (None, None),
    };
    let event_type = label.event_type.as_deref();
    let topic = match &*name {
        "published" | "spooled" => event_type.and_then(|event_type| topics.of(event_type)),
        "dead_lettered" => topics.dead_letters(),
        _ => None,
    };
    let (id, topic) = (id.unwrap_or(&label.id), topic.unwrap_or_else(|| "-".to_owned()));
    let line = format!("{id} {} {topic} {name} {}", event_type.unwrap_or("-"), reason.unwrap_or_default());
    printable::line(line.trim_end()).into_owned()
}

/// The sum.
pub(super) fn sum(tally: &Tally, rate: Option<f64>) -> String {
    let seconds = tally.took.as_secs_f64();
    let mut text = format!("sent {} in {seconds:.1} s ({:.1}/s)\n", tally.sent, tally.sent as f64 / seconds.max(1e-9));
    for (outcome, count) in &tally.answers {
        text += &format!("  {:<24} {count:>10}\n", printable::line(outcome));
    }
    if let Some(rate) = rate {
        let reached = tally.sent as f64 / tally.sending.as_secs_f64().max(1e-9);
        if reached < rate * NEARLY && tally.sending > SHORT {
            text += &format!("{rate}/s asked, {reached:.0}/s reached\n");
        }
    }
    let ms = |share| tally.percentile(share).as_secs_f64() * 1000.0;
    let (p50, p90, p99, max) = (ms(0.5), ms(0.9), ms(0.99), ms(1.0));
    let percentiles =
        if tally.sent < FEW { String::new() } else { format!("p50 {p50:.1} ms, p90 {p90:.1} ms, p99 {p99:.1} ms, ") };
    text += &format!("latency from scheduled time: {percentiles}max {max:.1} ms\n");
    text
}

/// Where to look for what became a dead letter.
pub(super) fn dead_letter(answer: &SendAnswer) -> Option<String> {
    let SendAnswer::Said { id: Some(id), reason, .. } = answer else { return None };
    let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    Some(format!("dead letter{reason}: see: hookbridge dead-letters show {id}"))
}

/// What an answer that is no acceptance means, and what to do.
pub(super) fn remedy(answer: &SendAnswer, to: &Destination, source: &str, is_timed: bool) -> String {
    let url = &to.url;
    match answer {
        SendAnswer::Nothing(why) => match why {
            NoAnswer::Refused => format!(
                "{url}: connection refused: nothing listens there. Start `hookbridge serve` or `hookbridge dev`, or name another address with --url"
            ),
            NoAnswer::NoHost(words) => format!("{url}: {words}: check the host name"),
            NoAnswer::Tls(words) if words.contains("wrong version number") => {
                format!("{url}: it does not speak TLS: write http://")
            }
            NoAnswer::Tls(words) => format!("{url}: {words}: name the authority of its certificate with --ca-file"),
            NoAnswer::TooSlow => format!("{url}: no answer within {} s", super::ANSWER_TIMEOUT.as_secs()),
            NoAnswer::Broken(words) => {
                format!(
                    "{url}: the connection ended without an answer: {words}. If the bridge speaks TLS, write https://"
                )
            }
        },
        SendAnswer::Said { status, word, location, .. } => {
            let word = word.as_deref().unwrap_or_default();
            let said = format!("{url}/webhooks/{source}: {}", format!("{} {word}", status.as_u16()).trim_end());
            let what = advice(*status, word, location.as_deref(), to, source, is_timed);
            format!("{said}{}{what}", if what.is_empty() { "" } else { ": " })
        }
    }
}

fn advice(
    status: StatusCode,
    word: &str,
    location: Option<&str>,
    to: &Destination,
    source: &str,
    is_timed: bool,
) -> String {
    match (status.as_u16(), word) {
        (401, _) => {
            let clock = if is_timed { ", or the two clocks differ" } else { "" };
            format!(
                "{} is not one that the bridge has for this source{clock}. Give the right one with --secret, or the bridge's configuration with --config",
                to.secret_from
            )
        }
        (404, "unknown_source") => {
            format!("the bridge there has no source {source}: see [sources] in its configuration")
        }
        (404 | 405, _) => {
            "nothing there accepts webhooks: check the address, which is a bridge's, without /webhooks".into()
        }
        (413, _) => format!("larger than http.max_body_bytes or sources.{source}.max_body_bytes of the bridge"),
        (429, _) => format!("more than sources.{source}.rate_limit of the bridge: send fewer with --rate"),
        (503, "shutting_down") => "the bridge is ending: send again later".into(),
        (503, _) => "the bridge cannot accept events now: its /readyz and its log say why".into(),
        (300..=399, _) => format!("it redirects to {}: write that address with --url", location.unwrap_or("elsewhere")),
        _ => String::new(),
    }
}
