//! What the console shows: what is wrong and since when, where each event type goes, what became of its events, and the last hour.
//!
//! ```text
//! metrics ─▶ Reading ──┬─ every 2 s ──▶ what grows ─▶ troubles ─▶ verdict
//! health, spool ───────┤
//!                      ├─ every 10 s ─▶ MetricHistory: points of one hour, when each type was last seen
//!                      └─ while someone looks ─▶ state, with the routes
//! catalog ─▶ its JSON, once
//! ```
//!
//! It is looked also while nobody looks at the page: whoever is woken wants to know since when. Names, numbers and sentences that name
//! a place only: no header, body or secret is within its reach.

mod catalog;
mod commands;
mod growth;
mod history;
mod page;
mod reading;
mod spooled;
mod troubles;

use std::collections::BTreeMap;
use std::path::absolute;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::flow::pipeline::Pipeline;
use crate::health::{Health, HealthReport};
use crate::kafka::route::{Route, Target};
use crate::observe::metrics::{NewestRefusal, Usage};
use crate::observe::recent::RecentDeadLetter;
use crate::outcome::Refusal;
use crate::source::Source;
use crate::values::time::now_millis;
pub(crate) use commands::ToolFlags;
use growth::GrowthLog;
use history::MetricHistory;
pub(crate) use page::Page;
use reading::{Reading, TypeCounts};
use spooled::{SpoolFigures, SpoolLog};
use troubles::{
    DeadLetterGrowth, ImpatientSender, OpenTrouble, ProcessFigures, RefusalGrowth, Situation, Surroundings, TroubleLog,
};

/// From one look at what is wrong to the next.
const LOOK: Duration = Duration::from_secs(2);
/// From one point of the plots to the next, in looks: 10 s.
const LOOKS_PER_POINT: u32 = 5;
/// How long the spool's file is waited for.
const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// So long after the last one refusals are no trouble any more, in milliseconds: senders try again within minutes.
const REFUSALS_PAUSE: i64 = 15 * 60_000;
/// And dead letters; as the alert has it.
const DEAD_LETTERS_PAUSE: i64 = 15 * 60_000;

/// What the console knows.
pub(crate) struct Console {
    health: Arc<Health>,
    sources: BTreeMap<String, Arc<Source>>,
    around: Surroundings,
    /// The name of the machine or container, and the webhooks' port.
    instance: String,
    ack_timeout: Duration,
    log: Mutex<ConsoleLog>,
    /// Milliseconds since 1970.
    started_at: i64,
    /// The catalog as JSON text; it does not change.
    pub(crate) catalog: String,
}

/// What has been seen since the start.
#[derive(Default)]
struct ConsoleLog {
    history: MetricHistory,
    refusals: GrowthLog,
    dead_letters: GrowthLog,
    spool: SpoolLog,
    /// Memory, and open files, of the process.
    usage: (Usage, Usage),
    troubles: TroubleLog,
}

/// One look.
struct ConsoleLook {
    reading: Reading,
    report: HealthReport,
    spool: SpoolFigures,
    newest: Vec<RecentDeadLetter>,
    troubles: Vec<OpenTrouble>,
    verdict: Value,
}

impl Console {
    /// `flags` lead a tool to the servers of this bridge.
    pub(crate) fn new(settings: &Settings, health: Arc<Health>, flags: ToolFlags) -> Console {
        let routes = &health.pipeline.routes;
        let data_dir = absolute(&settings.data_dir).unwrap_or_else(|_| settings.data_dir.clone());
        Console {
            catalog: catalog::of(&settings.sources, routes).to_string(),
            sources: settings.sources.clone(),
            around: Surroundings {
                kafka: settings.kafka.bootstrap_servers.clone(),
                registry: settings.registry.url.clone(),
                data_dir: data_dir.display().to_string(),
                dead_letters: routes.dead_letters.to_string(),
                inspect_spool: ToolFlags::inspect_spool(&data_dir),
                flags,
            },
            instance: instance(settings.http.listen.port()),
            ack_timeout: settings.http.ack_timeout,
            log: Mutex::default(),
            started_at: now_millis(),
            health,
        }
    }

    /// Looks every now and then, until `stop`.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut beat = interval(LOOK);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut looks) = (Instant::now(), 0);
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = stop.cancelled() => return,
            }
            self.ask_for_the_oldest().await;
            let (now, makes_a_point) = (now_millis(), looks % LOOKS_PER_POINT == 0);
            // Each open file has to be counted for it, so not at every look.
            if makes_a_point {
                let usage = self.pipeline().metrics.space.process();
                self.log().usage = usage;
            }
            let ConsoleLook { reading, .. } = self.look(now);
            if makes_a_point {
                let at = Instant::now();
                self.log().history.sample(now, at - last, reading);
                last = at;
            }
            looks = looks.wrapping_add(1);
        }
    }

    /// Has the disk say when what waits was received. One that does not answer holds up nothing else.
    async fn ask_for_the_oldest(&self) {
        let spool = &self.health.spool;
        let oldest = if spool.records() == 0 { Ok(Vec::new()) } else { timeout(DISK_PATIENCE, spool.oldest()).await };
        if let Ok(oldest) = oldest {
            self.log().spool.note_oldest(oldest);
        }
    }

    fn pipeline(&self) -> &Pipeline {
        &self.health.pipeline
    }

    fn log(&self) -> MutexGuard<'_, ConsoleLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the last point was taken, and all points as JSON text, if there are newer ones than at `known`.
    pub(crate) fn points(&self, known: Option<i64>) -> Option<(i64, String)> {
        let log = self.log();
        let at = log.history.latest().unwrap_or(self.started_at);
        (known != Some(at)).then(|| (at, json!({ "points": log.history.points() }).to_string()))
    }

    /// How it stands at `now`.
    fn look(&self, now: i64) -> ConsoleLook {
        let reading = Reading::of(self.pipeline().metrics.tallies());
        let (report, newest) = (self.health.report(), self.pipeline().dead_letters.newest_first());
        let mut log = self.log();
        let log = &mut *log;
        log.history.see(now, &reading);
        for (key, count) in &reading.refusals {
            log.refusals.note(now, REFUSALS_PAUSE, key, *count);
        }
        for (key, count) in &reading.dead_letters {
            log.dead_letters.note(now, DEAD_LETTERS_PAUSE, key, *count);
        }
        log.spool.note_bytes(now, report.spool_bytes);
        let spool = log.spool.state(&self.health.spool, report.kafka.is_some());
        let situation = Situation {
            now,
            around: &self.around,
            health: &report,
            spool: &spool,
            refusals: &refusals(&log.refusals),
            dead_letters: &dead_letters(&log.dead_letters),
            newest: &newest,
            impatient: &self.impatient(),
            process: self.process(log.usage),
        };
        let troubles = log.troubles.look(&situation);
        let verdict = troubles::verdict(&situation, &troubles);
        ConsoleLook { reading, report, spool, newest, troubles, verdict }
    }

    /// The senders that are being refused.
    fn impatient(&self) -> Vec<ImpatientSender> {
        let left = self.pipeline().metrics.patience.left().filter(|sender| sender.is_refused);
        left.map(|sender| ImpatientSender { source: sender.source.to_owned(), left: sender.left.as_secs() }).collect()
    }

    /// How the process itself stands.
    fn process(&self, (memory, files): (Usage, Usage)) -> ProcessFigures {
        let metrics = &self.pipeline().metrics;
        let ends_at = metrics.listener.certificate_ends_at.get();
        ProcessFigures {
            certificate_ends_at: (ends_at > 0).then_some(ends_at.saturating_mul(1000)),
            reload_refused: metrics.reloads.is_refused(),
            media: metrics.space.media(),
            memory,
            files,
        }
    }

    /// How long senders wait for an answer, and how long they try again.
    fn senders(&self, log: &ConsoleLog, now: i64) -> Value {
        let (p50, p99) = log.history.answer_times(now).unzip();
        let patience = self.pipeline().metrics.patience.left().map(|sender| {
            let (whole, left) = (sender.whole.as_secs(), sender.left.as_secs());
            json!({ "source": sender.source, "whole": whole, "left": left, "refused": sender.is_refused })
        });
        json!({
            "ack_timeout": self.ack_timeout.as_secs_f64(),
            "p50": p50,
            "p99": p99,
            "patience": patience.collect::<Vec<_>>(),
        })
    }

    fn letter(&self, letter: &RecentDeadLetter) -> Value {
        let mut json = json!(letter);
        let replay = || self.around.flags.tool(&format!("dead-letters replay --id {}", letter.id));
        json["replay"] = troubles::may_replay(letter.reason).then(replay).into();
        json
    }

    /// All that the page shows as it changes, at `now`.
    pub(crate) fn state(&self, now: i64) -> Value {
        let ConsoleLook { reading, report, spool, newest, troubles, verdict } = self.look(now);
        let log = self.log();
        let sources: Vec<_> = self.sources.values().map(|source| self.source(source, &reading, &log.history)).collect();
        let senders = self.senders(&log, now);
        drop(log);
        let written = reading.dead_letters.iter().filter(|(_, count)| **count > 0);
        let written =
            written.map(|((source, reason), count)| json!({ "source": source, "reason": reason, "count": count }));
        json!({
            "now": now,
            "started_at": self.started_at,
            "version": env!("CARGO_PKG_VERSION"),
            "instance": self.instance,
            "verdict": verdict,
            "troubles": troubles,
            "health": report.json(),
            "servers": { "kafka": self.around.kafka, "registry": self.around.registry, "data_dir": self.around.data_dir },
            "answers": reading.answers,
            "sources": sources,
            "senders": senders,
            "lanes": spool.lanes,
            "spool": spool,
            "dead_letters_topic": self.around.dead_letters,
            "dead_letters": written.collect::<Vec<_>>(),
            "dead_letters_list": self.around.flags.tool("dead-letters list"),
            "newest_dead_letters": newest.iter().map(|letter| self.letter(letter)).collect::<Vec<_>>(),
            "drift": reading.drift,
            "newest_refusals": self.newest_refusals(&reading),
        })
    }

    /// The newest request of each source that was refused, and how many were for which reason.
    fn newest_refusals(&self, reading: &Reading) -> Vec<Value> {
        let newest = self.pipeline().metrics.refusals.newest();
        let newest = newest.map(|(source, NewestRefusal { at, status, refusal })| {
            let counts = reading.refusals.iter().filter(|((of, _), count)| *of == source && **count > 0);
            let counts = counts.map(|((_, reason), count)| json!({ "reason": reason, "count": count }));
            json!({
                "source": source,
                "at": at,
                "status": status,
                "reason": refusal.reason(),
                "advice": refusal.advice(),
                "counts": counts.collect::<Vec<_>>(),
            })
        });
        newest.collect()
    }

    fn source(&self, source: &Source, reading: &Reading, history: &MetricHistory) -> Value {
        let planned = source.profile.types.keys().map(String::as_str);
        // The type of what is not recognised, once there is such a thing.
        let others = reading.counts.iter().filter(|((of, name), counts)| {
            *of == source.name && !source.profile.types.contains_key(name) && counts.seen() > 0
        });
        let types: Vec<_> = planned
            .chain(others.map(|((_, name), _)| name.as_str()))
            .map(|name| {
                let route = self.pipeline().routes.get(&source.name, name);
                event_type(&source.name, name, route, reading, history)
            })
            .collect();
        json!({ "name": source.name, "profile": source.profile.name, "types": types })
    }
}

/// Several bridges may run on a machine. A port of 0 is not known yet.
fn instance(port: u16) -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if port == 0 { machine } else { format!("{machine}:{port}") }
}

fn event_type(source: &str, name: &str, route: Option<&Route>, reading: &Reading, history: &MetricHistory) -> Value {
    let key = (source.to_owned(), name.to_owned());
    let TypeCounts { accepted, published, dead_lettered, refused } =
        reading.counts.get(&key).copied().unwrap_or_default();
    json!({
        "type": name,
        "main": route.map(|route| target(&route.main)),
        "joins": route.map(|route| route.joins.iter().map(target).collect::<Vec<_>>()).unwrap_or_default(),
        "latest": route.and_then(|route| route.latest.as_ref()).map(target),
        "accepted": accepted,
        "published": published,
        "dead_lettered": dead_lettered,
        "refused": refused,
        "last_seen": history.last_seen(&key),
    })
}

fn target(target: &Target) -> Value {
    let subject = &target.subject;
    json!({
        "topic": &*target.topic,
        "subject": subject.name,
        "id": subject.id(),
        "refused": subject.is_refused(),
    })
}

fn refusals(log: &GrowthLog) -> Vec<RefusalGrowth> {
    let growing = log.growing().filter_map(|((source, reason), growth)| {
        let refusal = *Refusal::ALL.iter().find(|refusal| refusal.reason() == reason)?;
        Some(RefusalGrowth { source: source.clone(), refusal, growth })
    });
    growing.collect()
}

fn dead_letters(log: &GrowthLog) -> Vec<DeadLetterGrowth> {
    let growing = log.growing();
    growing
        .map(|((source, reason), growth)| DeadLetterGrowth { source: source.clone(), reason: reason.clone(), growth })
        .collect()
}

#[cfg(test)]
mod tests;
