//! The bridge is started on a disk that it cannot write to.

use std::time::Duration;

use crate::events::{DEAD_LETTERS, Event, entities};
use crate::follower::Follower;
use crate::metrics;
use crate::rig::{Outcome, Rig, within};
use crate::setting::Setting;
use crate::small_disk::SmallDisk;
use crate::table::Row;

/// The bridge leaves 64 MiB to others and 16 to its log.
const BYTES: u64 = 128 << 20;
const LEFT: u64 = 64 << 20;
const LIMIT: Duration = Duration::from_secs(60);
const EACH: usize = 20;
const TOPICS: [&str; 4] = ["wegly.deal", "wegly.lead", "whazing.message", DEAD_LETTERS];

/// Takes a disk away, and gives it back.
type Fault = (fn(&SmallDisk), fn(&SmallDisk));

pub(super) fn disk_full(rig: &mut Rig) -> Outcome {
    play(rig, (|disk| disk.take_all_but(0), SmallDisk::give_back))
}

pub(super) fn disk_read_only(rig: &mut Rig) -> Outcome {
    play(rig, (|disk| disk.set_read_only(true), |disk| disk.set_read_only(false)))
}

/// What was answered 2xx, and what stands against the bridge.
struct Story<'a> {
    rig: &'a mut Rig,
    accepted: Vec<(Event, u16)>,
    complaints: Vec<String>,
    /// Of the events to come: each has an entity of its own, since those of one entity wait for each other.
    next: usize,
}

/// Once with nothing in the spool and no file of it, once with events that wait in it.
fn play(rig: &mut Rig, fault: Fault) -> Outcome {
    rig.setup.sources += &format!("[spool]\nmin_free_bytes = {LEFT}\n");
    rig.put_proxy_before_kafka();
    let disk = SmallDisk::mount(&rig.setup.data_dir(), BYTES).expect("a mount");
    let mut story = Story { rig, accepted: Vec::new(), complaints: Vec::new(), next: 0 };
    story.start_without(&disk, fault);
    story.rig.cut_kafka_off();
    story.expect("events are spooled", 202);
    story.send(EACH, 202);
    story.rig.kill_bridge();
    story.rig.tell("again, with events in the spool");
    story.rig.kafka.open_front();
    story.start_without(&disk, fault);
    let outcome = story.end();
    drop(disk);
    outcome
}

impl Story<'_> {
    /// Starts on a disk that does not let it write: it serves. Then the disk does.
    fn start_without(&mut self, disk: &SmallDisk, (take, give_back): Fault) {
        take(disk);
        self.rig.tell("the disk cannot be written");
        self.rig.start_bridge();
        self.expect("it serves without a spool", 200);
        self.send(EACH, 200);
        self.says(200, false);
        let mut log = || self.rig.bridge().log();
        if !within(LIMIT, || log().iter().any(|line| line.contains("\"ERROR\"") && line.contains("spool"))) {
            self.complaints.push(format!("the log does not say that there is no spool: {:#?}", log()));
        }
        self.rig.cut_kafka_off();
        self.expect("without Kafka it refuses", 503);
        self.says(503, false);
        give_back(disk);
        self.rig.tell("the disk can be written");
        self.expect("events are spooled", 202);
        self.says(200, true);
        self.send(EACH, 202);
        self.rig.kafka.open_front();
        self.rig.tell("Kafka can be reached");
        let admin = self.rig.bridge().admin;
        if !within(LIMIT, || metrics::spool_records(admin) == 0) {
            self.complaints.push(format!("{} are still in the spool", metrics::spool_records(admin)));
        }
        self.expect("events go straight to Kafka", 200);
    }

    /// What `/readyz` says of the whole, and of the spool.
    fn says(&mut self, status: u16, spool: bool) {
        let bridge = self.rig.bridge();
        let mut said = (0, serde_json::Value::Null);
        let is_said = within(LIMIT, || {
            said = bridge.readyz();
            let reason = said.1["spool"]["reason"].as_str().unwrap_or_default();
            said.0 == status && said.1["spool"]["ok"] == spool && reason.is_empty() == spool
        });
        let words = format!("/readyz: {} {}", said.0, said.1["spool"]);
        self.rig.tell(&words);
        if !is_said {
            self.complaints.push(format!("{words}; expected {status}, and spool.ok {spool}"));
        }
    }

    fn post(&mut self) -> u16 {
        let entity = entities(self.next + 1).pop().expect("one");
        // None that becomes a dead letter.
        let event = entity.event((23 - self.next % 23) as u32, 100);
        self.next += 1;
        let answer = self.rig.bridge().deliver(entity.source, &event.body);
        if answer.status < 300 {
            self.accepted.push((event, answer.status));
        }
        answer.status
    }

    /// Events come to this answer.
    fn expect(&mut self, what: &str, status: u16) {
        let mut last = 0;
        if !within(LIMIT, || {
            last = self.post();
            last == status
        }) {
            self.complaints.push(format!("{what}: expected {status}, got {last}"));
        }
    }

    /// Sends events; each has this answer.
    fn send(&mut self, count: usize, status: u16) {
        let odd: Vec<_> = (0..count).map(|_| self.post()).filter(|&got| got != status).collect();
        if !odd.is_empty() {
            self.complaints.push(format!("expected {status} for {count} events, got {odd:?} for some"));
        }
    }

    /// All that was accepted is in Kafka.
    fn end(self) -> Outcome {
        let Story { rig, accepted, mut complaints, next } = self;
        rig.kill_bridge();
        let topics = TOPICS.map(|name| rig.setup.topic(name));
        let records = Follower::of(&rig.kafka.address(), topics.into_iter()).more();
        let has = |event: &Event| records.iter().filter(|r| r.header("ce_id") == Some(&event.id)).count();
        let lost: Vec<_> = accepted.iter().filter(|(event, _)| has(event) == 0).collect();
        complaints.extend(lost.iter().take(3).map(|(event, status)| format!("{} had {status}, and is lost", event.id)));
        let with = |status| accepted.iter().filter(|(_, got)| *got == status).count();
        let row = Row {
            attempts: next,
            published: with(200),
            spooled: with(202),
            present: accepted.len() - lost.len(),
            lost: lost.len(),
            duplicates: accepted.iter().map(|(event, _)| has(event).saturating_sub(1)).sum(),
            ..rig.empty_row()
        };
        Outcome { row, records: Vec::new(), complaints }
    }
}
