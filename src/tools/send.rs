//! Signs and posts events to a bridge: a few, or a steady load. What became of each is an [`SendAnswer`].
//!
//! The load is open loop: event `n` is due at `start + n / rate`, whether the ones before it are answered or not, and
//! its latency counts from then on. A bridge that stalls so shows in the figures, as it would to real senders.

mod answer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::catalog::Profile;
use crate::outcome::Accepted;
use crate::source::verify::{Signer, event_id};
use crate::tools::sample;
use crate::values::time::now_millis;
pub(crate) use answer::SendAnswer;
use answer::{NO_ANSWER, post};

/// How many answers are waited for at once; past it the load is late, which the latency shows.
const UNANSWERED: usize = 1024;

/// Where events go, and how they are signed.
pub(crate) struct SendTarget {
    /// The bridge, without a trailing slash.
    pub(crate) url: String,
    pub(crate) source: String,
    /// `None` for a source that accepts events from anybody.
    pub(crate) signer: Option<Signer>,
    /// Headers that go with each request, over those that are made.
    pub(crate) headers: Vec<(String, String)>,
}

/// A signed request.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) label: SendLabel,
}

/// What is known of an event before it is sent.
#[derive(Clone, Debug)]
pub(crate) struct SendLabel {
    /// `None` where no rule of the profile tells it.
    pub(crate) event_type: Option<String>,
    pub(crate) id: String,
}

impl SendTarget {
    /// Signs `body` as the profile's vendor does.
    pub(crate) fn sign(&self, profile: &Profile, event_type: Option<&str>, body: Bytes) -> Signed {
        let path = format!("/webhooks/{}", self.source);
        let id = event_id(&self.source, &body);
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if let Some(event_type) = event_type {
            headers.extend(profile.type_header.iter().map(|name| (name.clone(), event_type.to_owned())));
            for (name, value) in &sample::telling_headers(profile, event_type) {
                headers.push((name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
            }
        }
        if let Some(signer) = &self.signer {
            headers.extend(signer.headers(&path, &body, &id, now_millis()));
        }
        headers.retain(|(made, _)| !self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(made)));
        headers.extend(self.headers.iter().cloned());
        let label = SendLabel { event_type: event_type.map(str::to_owned), id };
        Signed { url: format!("{}{path}", self.url), headers, body, label }
    }
}

impl Signed {
    /// The same request as a command for the shell; the body as the text that it is, or from `file`.
    pub(crate) fn curl(&self, file: Option<&str>) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let headers = self.headers.iter().map(|(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))));
        let body = match file {
            Some(file) => format!("--data-binary {}", quoted(&format!("@{file}"))),
            None => format!("--data-raw {}", quoted(&String::from_utf8_lossy(&self.body))),
        };
        format!("curl -sS{} {body} {}", headers.collect::<String>(), quoted(&self.url))
    }
}

/// What came back.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    /// Answers by outcome or problem code; `no answer` where there was none.
    pub(crate) answers: BTreeMap<String, u64>,
    /// The first of each kind that is no acceptance.
    pub(crate) faults: BTreeMap<String, SendAnswer>,
    /// From the scheduled time of each, shortest first once [`Tally::finish`] was called.
    latencies: Vec<Duration>,
    /// Until the last was sent.
    pub(crate) sending: Duration,
    /// Until the last was answered.
    pub(crate) took: Duration,
    /// The first of those that became dead letters.
    pub(crate) dead_letter: Option<SendAnswer>,
}

impl Tally {
    fn add(&mut self, answer: SendAnswer, latency: Duration) {
        let name = answer.name();
        self.sent += 1;
        *self.answers.entry(name.clone()).or_default() += 1;
        if !answer.is_acceptance() {
            self.faults.entry(name).or_insert(answer);
        } else if name == Accepted::DEAD_LETTERED && self.dead_letter.is_none() {
            self.dead_letter = Some(answer);
        }
        self.latencies.push(latency);
    }

    fn finish(mut self, took: Duration) -> Self {
        self.latencies.sort_unstable();
        self.took = took;
        self
    }

    /// Whether every event got a 2xx.
    pub(crate) fn all_accepted(&self) -> bool {
        self.answers.keys().all(|outcome| Accepted::is_name(outcome))
    }

    /// Whether nobody answered any of them.
    pub(crate) fn none_answered(&self) -> bool {
        self.sent > 0 && self.answers.keys().all(|name| name == NO_ANSWER)
    }

    /// The latency that this share (0 to 1) of the events did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let at = (share * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(at.saturating_sub(1).min(last)).copied().unwrap_or_default()
    }
}

/// When events are scheduled.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Each when the one before it is answered.
    OneByOne,
    /// So many a second.
    Rate(f64),
}

/// Posts what `next` gives until it gives nothing more, or until `stop`; tells `progress` of each answer.
pub(crate) async fn run(
    client: &reqwest::Client,
    pace: Pace,
    stop: &CancellationToken,
    mut next: impl FnMut() -> Option<Signed>,
    mut progress: impl FnMut(&SendLabel, &SendAnswer),
) -> Tally {
    let unanswered = Arc::new(Semaphore::new(UNANSWERED));
    let mut tally = Tally::default();
    let mut answers = JoinSet::new();
    let start = Instant::now();
    let mut made = 0_u64;
    while !stop.is_cancelled()
        && let Some(request) = next()
    {
        let due = match pace {
            Pace::OneByOne => Instant::now(),
            Pace::Rate(rate) => start + Duration::from_secs_f64(made as f64 / rate),
        };
        let turn = async {
            sleep_until(due).await;
            Arc::clone(&unanswered).acquire_owned().await
        };
        let Some(Ok(turn)) = stop.run_until_cancelled(turn).await else { break };
        made += 1;
        let client = client.clone();
        answers.spawn(async move {
            let label = request.label.clone();
            let answer = post(&client, request).await;
            drop(turn);
            (label, answer, due.elapsed())
        });
        while let Some(Ok((label, answer, latency))) = match pace {
            Pace::OneByOne => answers.join_next().await,
            Pace::Rate(_) => answers.try_join_next(),
        } {
            progress(&label, &answer);
            tally.add(answer, latency);
        }
    }
    tally.sending = start.elapsed();
    while let Some(ended) = answers.join_next().await {
        if let Ok((label, answer, latency)) = ended {
            progress(&label, &answer);
            tally.add(answer, latency);
        }
    }
    tally.finish(start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_events_themselves() {
        let mut tally = Tally::default();
        for ms in (1..=100).rev() {
            tally.add(SendAnswer::said(200, r#"{"outcome": "published"}"#), Duration::from_millis(ms));
        }
        let tally = tally.finish(Duration::from_secs(1));
        assert_eq!(tally.percentile(0.5), Duration::from_millis(50));
        assert_eq!(tally.percentile(0.99), Duration::from_millis(99));
        assert_eq!(tally.percentile(1.0), Duration::from_millis(100));
        assert_eq!(Tally::default().percentile(0.5), Duration::ZERO);
        assert!(tally.all_accepted());
    }

    #[test]
    fn the_curl_command_survives_the_shell() {
        let signed = Signed {
            url: "http://x/webhooks/wegly".into(),
            headers: vec![("a".into(), "b".into())],
            body: "{\"a\":\"d'água\"}".into(),
            label: SendLabel { event_type: None, id: String::new() },
        };
        assert_eq!(
            signed.curl(Some("a b.json")),
            "curl -sS -H 'a: b' --data-binary '@a b.json' 'http://x/webhooks/wegly'"
        );
        assert_eq!(signed.curl(None), r#"curl -sS -H 'a: b' --data-raw '{"a":"d'\''água"}' 'http://x/webhooks/wegly'"#);
    }
}
