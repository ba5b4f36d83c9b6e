//! Senders as the vendors are: each entity's events one after the other, each sent again, with the same bytes, until a
//! 2xx. So the order in which the events of an entity are accepted is that of their numbers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::events::{DEAD_LETTERS, Entity, Event, entities};
use crate::history::{Answer, Attempt, History};
use crate::support::RUNTIME;
use crate::support::payloads::Dice;

/// How it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) entities: usize,
    /// Requests at once, and so connections.
    pub(crate) connections: usize,
    /// Attempts a second, all together; without one, each connection sends the next when it has the answer to the last.
    pub(crate) rate: Option<u32>,
    /// Bytes of a body beyond what it needs.
    pub(crate) padding: usize,
    /// Of some events; none are large without it.
    pub(crate) large: Option<Large>,
    /// Without an answer for so long, a sender gives up this attempt.
    pub(crate) patience: Duration,
}

/// One event of each entity in so many has so many bytes of padding instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Large {
    pub(crate) every: u32,
    pub(crate) padding: usize,
}

/// Waits between attempts: doubling from the first to the last, each with jitter.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LAST_WAIT: Duration = Duration::from_millis(800);

struct Shared {
    plan: Plan,
    to: SocketAddr,
    client: Client,
    connections: Semaphore,
    history: Arc<History>,
    accepted: AtomicUsize,
    ending: AtomicBool,
    /// As in the plan, until it is told otherwise; 0 is none.
    rate: AtomicU32,
    /// When the next attempt may begin, in microseconds from the beginning of the history.
    next: AtomicU64,
}

/// A running load; its senders end with it.
pub(crate) struct Load {
    shared: Arc<Shared>,
    senders: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(to: SocketAddr, plan: Plan, history: Arc<History>) -> Load {
        let client = Client::builder().no_proxy().pool_max_idle_per_host(plan.connections).timeout(plan.patience);
        let shared = Arc::new(Shared {
            to,
            client: client.build().expect("a client"),
            connections: Semaphore::new(plan.connections),
            history,
            accepted: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
            rate: AtomicU32::new(plan.rate.unwrap_or(0)),
            next: AtomicU64::new(0),
            plan,
        });
        let _runtime = RUNTIME.enter();
        let mut senders = JoinSet::new();
        for entity in entities(shared.plan.entities) {
            senders.spawn(send_all(Arc::clone(&shared), entity));
        }
        Load { shared, senders }
    }

    /// Events that got their 2xx.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Entities whose events are sent.
    pub(crate) fn entities(&self) -> usize {
        self.shared.plan.entities
    }

    /// From now on so many attempts a second.
    pub(crate) fn at_rate(&self, rate: u32) {
        self.shared.rate.store(rate, Ordering::Relaxed);
    }

    /// Sends nothing new, and goes on until what was begun is accepted, for `limit` at the longest.
    pub(crate) fn finish(&mut self, limit: Duration) {
        self.shared.ending.store(true, Ordering::Relaxed);
        let ended = async { while self.senders.join_next().await.is_some() {} };
        // What then has no 2xx shows in the history.
        let _ = RUNTIME.block_on(async { timeout(limit, ended).await });
        RUNTIME.block_on(self.senders.shutdown());
    }
}

impl Plan {
    fn event(&self, entity: &Entity, number: u32) -> Event {
        match self.large {
            Some(Large { every, padding }) if number % every == every - 1 => {
                // What is a dead letter anyway is none for its size.
                let event = entity.event(number, padding);
                Event { large: event.topic != DEAD_LETTERS, ..event }
            }
            _ => entity.event(number, self.padding),
        }
    }
}

async fn send_all(shared: Arc<Shared>, entity: Entity) {
    for number in 0.. {
        if shared.ending.load(Ordering::Relaxed) {
            return;
        }
        let event = shared.plan.event(&entity, number);
        send_until_accepted(&shared, &entity, &event).await;
        shared.accepted.fetch_add(1, Ordering::Relaxed);
    }
}

async fn send_until_accepted(shared: &Shared, entity: &Entity, event: &Event) {
    let mut wait = FIRST_WAIT;
    let mut dice = Dice::new(u64::from(event.number) << 20 | event.entity as u64);
    loop {
        shared.turn().await;
        let answer = {
            let Ok(_connection) = shared.connections.acquire().await else { return };
            let began = shared.history.now();
            let answer = shared.attempt(entity, event).await;
            shared.history.note(event, Attempt { began, ended: shared.history.now(), answer: answer.clone() });
            answer
        };
        if matches!(answer, Answer::Accepted(_)) {
            return;
        }
        sleep(wait / 2 + wait.mul_f64(dice.roll(1000) as f64 / 1000.0)).await;
        wait = LAST_WAIT.min(wait * 2);
    }
}

impl Shared {
    /// Waits for this attempt's place in the rate.
    async fn turn(&self) {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        let step = 1_000_000 / u64::from(rate);
        let now = self.history.now().as_micros() as u64;
        let take = |next: u64| Some(next.max(now) + step);
        let mine = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or(now).max(now);
        sleep(Duration::from_micros(mine - now)).await;
    }

    async fn attempt(&self, entity: &Entity, event: &Event) -> Answer {
        let began = Instant::now();
        let (name, proof) = entity.proof(&event.body);
        let request = self.client.post(format!("http://{}/webhooks/{}", self.to, entity.source));
        let request = request.header(name, proof).header("content-type", "application/json").body(event.body.clone());
        let answer = match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                let retry_after = response.headers().contains_key("retry-after");
                response.text().await.map(|body| (status, retry_after, body))
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok((status, retry_after, body)) => read(status, retry_after, &body, event),
            Err(error) if error.is_timeout() && began.elapsed() >= self.plan.patience => Answer::Silence,
            Err(error) => Answer::Broken(chain(&error)),
        }
    }
}

/// What an answer says, if it may say that of `event`.
fn read(status: u16, retry_after: bool, body: &str, event: &Event) -> Answer {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let word = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
    match status {
        200 | 202 if word("id") == event.id => match (status, word("outcome").as_str()) {
            (200, "published") | (202, "spooled" | "dead_lettered") => Answer::Accepted(word("outcome")),
            _ => Answer::Odd(format!("{status} {body}")),
        },
        503 | 429 => Answer::Refused { code: word("code"), retry_after },
        _ => Answer::Odd(format!("{status} {body}")),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words += &format!(": {error}");
        source = error.source();
    }
    words
}
