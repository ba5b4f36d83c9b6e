//! Makes, signs and posts sample events to a bridge: a few, or a steady load.
//!
//! The load is open loop: event `n` is due at `start + n / rate`, whether the ones before it are answered or not, and
//! its latency counts from then on. A bridge that stalls so shows in the figures, as it would to real senders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::catalog::Profile;
use crate::outbound;
use crate::outcome::Accepted;
use crate::source::verify::{Signer, event_id};
use crate::tools::sample;
use crate::values::time::now_millis;

/// How many answers are waited for at once; past it the load is late, which the latency shows.
const UNANSWERED: usize = 1024;

/// An answer says what became of an event.
const MAX_ANSWER: usize = 64 << 10;

/// Where events go, and how they are signed.
pub(crate) struct SendTarget {
    /// The bridge, without a trailing slash.
    pub(crate) url: String,
    pub(crate) source: String,
    pub(crate) signer: Signer,
}

/// A signed request.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl SendTarget {
    /// Signs `body` as the profile's vendor does.
    pub(crate) fn sign(&self, profile: &Profile, event_type: &str, body: String) -> Signed {
        let path = format!("/webhooks/{}", self.source);
        let id = event_id(&self.source, body.as_bytes());
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(profile.type_header.iter().map(|name| (name.clone(), event_type.to_owned())));
        for (name, value) in &sample::telling_headers(profile, event_type) {
            headers.push((name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        }
        headers.extend(self.signer.headers(&path, body.as_bytes(), &id, now_millis()));
        Signed { url: format!("{}{path}", self.url), headers, body }
    }
}

impl Signed {
    /// The same request as a command for the shell.
    pub(crate) fn curl(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let headers = self.headers.iter().map(|(name, value)| format!(" -H {}", quoted(&format!("{name}: {value}"))));
        format!("curl -sS{} --data-raw {} {}", headers.collect::<String>(), quoted(&self.body), quoted(&self.url))
    }
}

/// What came back.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    /// Answers by outcome or problem code; `no answer` where there was none.
    pub(crate) answers: BTreeMap<String, u64>,
    /// From the scheduled time of each, shortest first once [`Tally::finish`] was called.
    latencies: Vec<Duration>,
    pub(crate) took: Duration,
}

impl Tally {
    fn add(&mut self, outcome: String, latency: Duration) {
        self.sent += 1;
        *self.answers.entry(outcome).or_default() += 1;
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

/// Posts what `next` gives until it gives nothing more; tells `progress` of each answer.
pub(crate) async fn run(
    client: &reqwest::Client,
    pace: Pace,
    mut next: impl FnMut() -> Option<Signed>,
    mut progress: impl FnMut(&str),
) -> Tally {
    let unanswered = Arc::new(Semaphore::new(UNANSWERED));
    let mut tally = Tally::default();
    let mut answers = JoinSet::new();
    let start = Instant::now();
    let mut made = 0_u64;
    while let Some(request) = next() {
        let due = match pace {
            Pace::OneByOne => Instant::now(),
            Pace::Rate(rate) => start + Duration::from_secs_f64(made as f64 / rate),
        };
        sleep_until(due).await;
        made += 1;
        let Ok(turn) = Arc::clone(&unanswered).acquire_owned().await else { break };
        let client = client.clone();
        answers.spawn(async move {
            let outcome = post(&client, request).await;
            drop(turn);
            (outcome, due.elapsed())
        });
        while let Some(Ok((outcome, latency))) = match pace {
            Pace::OneByOne => answers.join_next().await,
            Pace::Rate(_) => answers.try_join_next(),
        } {
            progress(&outcome);
            tally.add(outcome, latency);
        }
    }
    while let Some(answer) = answers.join_next().await {
        if let Ok((outcome, latency)) = answer {
            progress(&outcome);
            tally.add(outcome, latency);
        }
    }
    tally.finish(start.elapsed())
}

/// The answer's outcome or problem code.
async fn post(client: &reqwest::Client, request: Signed) -> String {
    let post = request.headers.iter().fold(client.post(&request.url), |post, (name, value)| post.header(name, value));
    let Ok(answer) = post.body(request.body).send().await else { return "no answer".into() };
    let status = answer.status();
    let body = outbound::body(answer, MAX_ANSWER).await.unwrap_or_default();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let word = body["outcome"].as_str().or(body["code"].as_str());
    word.map_or_else(|| status.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_events_themselves() {
        let mut tally = Tally::default();
        for ms in (1..=100).rev() {
            tally.add("published".into(), Duration::from_millis(ms));
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
        };
        assert_eq!(signed.curl(), r#"curl -sS -H 'a: b' --data-raw '{"a":"d'\''água"}' 'http://x/webhooks/wegly'"#);
    }
}
