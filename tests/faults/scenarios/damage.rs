//! The bridge is started on a spool that its disk has damaged, again and again, each time in another way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::damage::{Dice, Files, Hit, Part, Way};
use crate::events::{DEAD_LETTERS, Event, entities};
use crate::follower::Follower;
use crate::metrics;
use crate::rig::{Outcome, Rig, within, work_dir};
use crate::setting::Setting;
use crate::size::pick;
use crate::support::reader::Record;
use crate::support::{eventually, sender, variable};
use crate::table::{self, Row};

const TOPICS: [&str; 5] = ["wegly.deal", "wegly.lead", "whazing.message", "whazing.message-by-reference", DEAD_LETTERS];
/// Nobody listens there.
const NOWHERE: &str = "127.0.0.1:1";
/// What deliveries have besides what they need: most have one page for many, some have many pages for one.
const PADDINGS: [usize; 9] = [0, 30, 0, 300, 0, 3000, 0, 20_000, 100_000];
/// Entities whose events wait in the spool, and events of each.
const ENTITIES: usize = 30;
const EVENTS: u32 = 3;
/// Until what is readable is in Kafka.
const LIMIT: Duration = Duration::from_secs(60);
/// Rows that a damage may make up: their numbers are none that there ever were.
const MADE_UP: u64 = 2;

/// A spool as a `kill -9` has left it.
struct Killed {
    files: Files,
    parts: &'static [Part],
    /// In it, by their ids.
    events: BTreeMap<String, Event>,
    /// Was in it before.
    left: BTreeSet<String>,
    /// What Kafka has to get of each, but for those that are in it once more.
    records: BTreeMap<(String, String), Record>,
}

/// What is summed up over all starts.
#[derive(Default)]
struct Sums {
    starts: usize,
    recoveries: u64,
    deliveries: usize,
    arrived: usize,
    /// Not in Kafka: what was hit.
    missing: usize,
    /// Of these, the ones that the bridge tells of.
    told: usize,
    again: usize,
    slowest: Duration,
}

pub(super) fn spool_damaged(rig: &mut Rig) -> Outcome {
    let begin = seed();
    let (mut dice, mut sums, mut complaints) = (Dice(begin), BTreeMap::<Way, Sums>::new(), Vec::new());
    table::note(format!("Damages of seed {begin}: HOOKBRIDGE_TEST_SEED={begin} makes the same ones"));
    let mut follower = None;
    let mut spools = [false, true].map(|in_log| fill(rig, in_log, &mut follower));
    let mut follower = follower.expect("two spools");
    for killed in &mut spools {
        let (control, found) = start(rig, killed, killed.files.clone(), &mut follower, u32::MAX);
        killed.records = found.into_iter().filter(|((_, id), _)| killed.events.contains_key(id)).collect();
        let ids: BTreeSet<_> = killed.records.keys().map(|(_, id)| id).collect();
        if ids.len() != killed.events.len() || control.recoveries + control.lost != 0 {
            complaints.push(format!("undamaged: {} of {} arrived, {control:?}", ids.len(), killed.events.len()));
        }
    }
    for round in 0..pick(14, 200) {
        let (way, killed) = (Way::ALL[round % Way::ALL.len()], &spools[round / Way::ALL.len() % 2]);
        let part = killed.parts[dice.throw(killed.parts.len())];
        let mut files = killed.files.clone();
        way.spoil(if part == Part::File { &mut files.file } else { &mut files.log }, &mut dice);
        rig.tell(&format!("start {round}: {way:?} in the {part:?}"));
        let (seen, found) = start(rig, killed, files.clone(), &mut follower, round as u32);
        let verdict = judge(killed, &Hit::of(&killed.files, &files), part, &seen, &found);
        for words in &verdict.complaints {
            let kept = keep(round, &killed.files, &files);
            complaints.push(format!("start {round}, {way:?} in the {part:?}: {words}; its files are in {kept}"));
        }
        let sum = sums.entry(way).or_default();
        sum.add(killed, &seen, &verdict);
        if complaints.len() > 20 {
            break;
        }
    }
    outcome(rig.empty_row(), &sums, complaints)
}

/// What the damages follow from. The spools differ a little from run to run, so a start that fails leaves its files, too.
fn seed() -> u64 {
    variable("HOOKBRIDGE_TEST_SEED").map_or(16, |seed| seed.parse().expect("HOOKBRIDGE_TEST_SEED: a number"))
}

/// Keeps the files of a start, before and after they were damaged; gives the directory.
fn keep(round: usize, before: &Files, after: &Files) -> String {
    let dir = work_dir(&format!("spool_damaged_start_{round}"));
    for (name, files) in [("before", before), ("spool", after)] {
        fs::write(dir.join(format!("{name}.db")), &files.file).expect("a file");
        fs::write(dir.join(format!("{name}.db-wal")), &files.log).expect("a file");
    }
    dir.display().to_string()
}

/// Makes a spool, the later half of it in the log or all in the file. What is in it came after others had left.
fn fill(rig: &mut Rig, in_log: bool, follower: &mut Option<Follower>) -> Killed {
    let kafka = rig.kafka.address();
    let _ = fs::remove_dir_all(rig.setup.data_dir());
    NOWHERE.clone_into(&mut rig.setup.bootstrap);
    rig.start_bridge();
    let first = if in_log { 100 } else { 200 };
    let left = entities(ENTITIES).iter().map(|entity| entity.event(first, 50)).collect::<Vec<_>>();
    spool(rig, &left);
    rig.kill_bridge();
    rig.setup.bootstrap.clone_from(&kafka);
    rig.start_bridge();
    let admin = rig.bridge().admin;
    eventually("the spool is empty", LIMIT, || (metrics::spool_records(admin) == 0).then_some(()));
    // Killed now, it could leave some in the file that are in Kafka.
    rig.bridge().terminate();
    rig.bridge().wait_end();
    rig.kill_bridge();
    NOWHERE.clone_into(&mut rig.setup.bootstrap);
    rig.start_bridge();
    let events: Vec<_> =
        (1..=EVENTS).flat_map(|n| entities(ENTITIES).into_iter().map(move |e| (e, first + n))).collect();
    let padded = |(at, (entity, number)): (usize, &(_, u32))| padded(entity, *number, PADDINGS[at % PADDINGS.len()]);
    let events: Vec<_> = events.iter().enumerate().map(padded).collect();
    let (early, late) = events.split_at(if in_log { events.len() / 2 } else { events.len() });
    spool(rig, early);
    // Who closes the file copies the log into it.
    rig.bridge().terminate();
    rig.bridge().wait_end();
    rig.kill_bridge();
    if in_log {
        rig.start_bridge();
        spool(rig, late);
        rig.kill_bridge();
    }
    rig.setup.bootstrap = kafka;
    let topics = TOPICS.map(|name| rig.setup.topic(name));
    follower.get_or_insert_with(|| Follower::of(&rig.setup.bootstrap, topics.into_iter())).more();
    let read = |name| fs::read(rig.setup.data_dir().join(name)).unwrap_or_default();
    let files = Files { file: read("spool.db"), log: read("spool.db-wal") };
    table::note(format!("A spool: {} bytes in the file, {} in the log", files.file.len(), files.log.len()));
    Killed {
        files,
        parts: if in_log { &[Part::Log, Part::Log, Part::File] } else { &[Part::File] },
        events: events.into_iter().map(|event| (event.id.clone(), event)).collect(),
        left: left.into_iter().map(|event| event.id).collect(),
        records: BTreeMap::new(),
    }
}

/// An event with its token all over it, so that a page of it can be told for one.
fn padded(entity: &crate::events::Entity, number: u32, padding: usize) -> Event {
    let plain = entity.event(number, 0);
    let filler = plain.token.repeat(padding / plain.token.len());
    let body =
        String::from_utf8(plain.body).expect("JSON").replace(r#""padding":"""#, &format!(r#""padding":"{filler}""#));
    let id = sender::event_id(entity.source, body.as_bytes());
    let key = if plain.topic == DEAD_LETTERS { id.clone() } else { plain.key };
    Event { body: body.into_bytes(), id, key, ..plain }
}

fn source(event: &Event) -> &'static str {
    ["wegly", "whazing"][usize::from(event.entity % 3 == 2)]
}

/// Sends events while Kafka is away.
fn spool(rig: &mut Rig, events: &[Event]) {
    let bridge = rig.bridge();
    bridge.wait_ready();
    bridge.wait_kafka(false);
    for event in events {
        let answer = bridge.deliver(source(event), &event.body);
        assert_eq!((answer.status, answer.get("id")), (202, event.id.clone()), "{answer:?}");
    }
}

/// What a start is seen to do, and to say.
#[derive(Debug, Default)]
struct Seen {
    complaints: Vec<String>,
    /// From the start of the process to the first answer 2xx.
    served: Duration,
    recoveries: u64,
    recovered: u64,
    lost: u64,
    altered: u64,
    /// How often the event that was sent after the start went to the spool.
    probes: u64,
    /// Records that came beside the first of their event.
    twice: usize,
}

/// By topic and id, the first record of each. The others of it are the same.
type Arrived = BTreeMap<(String, String), Record>;

/// Starts the bridge on these files, with Kafka up, until all that it can publish of them is.
fn start(rig: &mut Rig, killed: &Killed, files: Files, follower: &mut Follower, round: u32) -> (Seen, Arrived) {
    let dir = rig.setup.data_dir();
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join("spool.db"), files.file).expect("a file");
    fs::write(dir.join("spool.db-wal"), files.log).expect("a file");
    let (mut seen, began) = (Seen::default(), Instant::now());
    rig.start_bridge();
    let bridge = rig.bridge();
    let (mut readiness, mut answer, mut probes) = ((0, serde_json::Value::Null), 0, 0);
    let probe = entities(1001)[1000 - round as usize % 3].event(round, 0);
    let serves = within(LIMIT, || {
        readiness = bridge.readyz();
        answer = bridge.deliver(source(&probe), &probe.body).status;
        probes += u64::from(answer == 202);
        readiness.0 == 200 && (answer == 200 || answer == 202)
    });
    (seen.served, seen.probes) = (began.elapsed(), probes);
    if !serves {
        seen.complaints.push(format!("it does not serve: {answer}, {readiness:?}"));
    }
    let admin = bridge.admin;
    let altered = || metrics::of(admin, "hookbridge_spool_records", "altered on disk");
    if !within(LIMIT, || metrics::spool_records(admin) == altered()) {
        seen.complaints.push(format!("{} are still in the spool", metrics::spool_records(admin) - altered()));
    }
    seen.altered = altered();
    let count = |name: &str| metrics::of(admin, &format!("hookbridge_spool_{name}_total"), "");
    (seen.recoveries, seen.recovered, seen.lost) = (count("recoveries"), count("recovered"), count("lost"));
    let readiness = rig.bridge().readyz().1;
    let log = rig.bridge().log();
    rig.kill_bridge();
    seen.complaints.extend(untold(&seen, &dir, &readiness["spool"]["note"], &log));
    let mut arrived = Arrived::new();
    for record in follower.more() {
        let id = record.header("ce_id").unwrap_or_default().to_owned();
        let topic = record.topic.strip_prefix(&rig.setup.prefix).unwrap_or_default().to_owned();
        if id != probe.id && !killed.events.contains_key(&id) && !killed.left.contains(&id) {
            seen.complaints.push(format!("{id} in {topic}, which nobody sent"));
        }
        let known = arrived.insert((topic.clone(), id.clone()), record.clone());
        if id == probe.id {
            // It was sent until the bridge was ready, and so arrived at several times.
            continue;
        }
        seen.twice += usize::from(known.is_some());
        if known.is_some_and(|known| (known.key, known.value) != (record.key, record.value)) {
            seen.complaints.push(format!("{id} is twice in {topic}, and not the same"));
        }
    }
    if !arrived.keys().any(|(_, id)| *id == probe.id) {
        seen.complaints.push("the event that was sent after the start is not in Kafka".into());
    }
    arrived.retain(|(_, id), _| *id != probe.id);
    (seen, arrived)
}

/// What is not told of a damage where it should be: beside the file, in the log, in readiness.
fn untold(seen: &Seen, dir: &Path, note: &serde_json::Value, log: &[String]) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory").flatten().map(|entry| entry.path());
    let (reports, files): (Vec<_>, Vec<_>) = entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("spool.damaged-")))
        .filter(|path| !path.to_string_lossy().ends_with("-wal"))
        .partition(|path| path.extension().is_some_and(|end| end == "txt"));
    let mut untold = Vec::new();
    if (reports.len() as u64, files.len() as u64) != (seen.recoveries, seen.recoveries) {
        untold.push(format!("{} recoveries; in data_dir are {files:?} and {reports:?}", seen.recoveries));
    }
    let said = reports.iter().filter_map(|report| {
        let text = fs::read_to_string(report).ok()?;
        let (_, said) = text.lines().next()?.split_once("was put aside: ")?;
        let (recovered, lost) = said.split_once(" deliveries recovered, ")?;
        Some((recovered.parse::<u64>().ok()?, lost.strip_suffix(" lost")?.parse::<u64>().ok()?))
    });
    let said = said.fold((0, 0), |(recovered, lost), (r, l)| (recovered + r, lost + l));
    if said != (seen.recovered, seen.lost) {
        untold.push(format!("the reports say {said:?}, the metrics {seen:?}"));
    }
    let is_said = |words: &str| log.iter().any(|line| line.contains("\"ERROR\"") && line.contains(words));
    if seen.recoveries > 0 && (!is_said("the spool's file is damaged") || note.is_null()) {
        untold.push(format!("a recovery, and the log or /readyz ({note}) does not say so"));
    }
    if seen.altered > 0 && !is_said("was altered on disk") {
        untold.push("deliveries that were altered, and the log does not say so".into());
    }
    untold
}

#[derive(Default)]
struct Verdict {
    complaints: Vec<String>,
    missing: usize,
    again: usize,
}

/// Holds what arrived against what had to.
fn judge(killed: &Killed, hit: &Hit, part: Part, seen: &Seen, arrived: &Arrived) -> Verdict {
    let mut verdict = Verdict { complaints: seen.complaints.clone(), ..Verdict::default() };
    let mut complain = |words: String| verdict.complaints.push(words);
    for ((topic, id), record) in arrived.iter().filter(|((_, id), _)| killed.events.contains_key(id)) {
        match killed.records.get(&(topic.clone(), id.clone())) {
            Some(due) if (&due.key, &due.value) == (&record.key, &record.value) && due.headers == record.headers => {}
            due => complain(format!("{id} in {topic} was altered: {record:?}, expected {due:?}")),
        }
    }
    let ids: BTreeSet<_> = arrived.keys().map(|(_, id)| id.as_str()).collect();
    let missing: Vec<_> = killed.events.values().filter(|event| !ids.contains(event.id.as_str())).collect();
    for event in missing.iter().filter(|event| !hit.has(event)).take(3) {
        complain(format!("{} was not hit, and is not in Kafka ({seen:?})", event.id));
    }
    verdict.again = killed.left.iter().filter(|id| ids.contains(id.as_str())).count();
    if verdict.again > 0 && part == Part::File {
        complain(format!("{} are in Kafka that had left the spool", verdict.again));
    }
    let (lost, told) = (missing.len() as u64, seen.lost + seen.altered);
    if lost > told && !hit.end && !hit.index {
        complain(format!("{lost} are missing, and {told} are told of: {seen:?}"));
    }
    if told > lost + MADE_UP {
        complain(format!("{lost} are missing, and {told} are said to be: {seen:?}"));
    }
    // A file that turns out to be damaged when it is read has the event that was sent after the start, too.
    let there = ids.len() as u64 + seen.altered + seen.probes;
    if seen.recovered > there {
        complain(format!("{there} were there, and more are said to be recovered: {seen:?}"));
    }
    verdict.missing = missing.len();
    verdict
}

impl Sums {
    fn add(&mut self, killed: &Killed, seen: &Seen, verdict: &Verdict) {
        self.starts += 1;
        self.recoveries += seen.recoveries;
        self.deliveries += killed.events.len();
        self.missing += verdict.missing;
        self.arrived += killed.events.len() - verdict.missing;
        self.told += verdict.missing.min((seen.lost + seen.altered) as usize);
        self.again += verdict.again;
        self.slowest = self.slowest.max(seen.served);
    }
}

fn outcome(mut row: Row, sums: &BTreeMap<Way, Sums>, complaints: Vec<String>) -> Outcome {
    row.faults = complaints.len();
    table::note(
        "Starts on a spool that was damaged: deliveries in it, in Kafka, missing, told of, there again; slowest start"
            .into(),
    );
    for (way, sum) in sums {
        table::note(format!(
            "{way:?}: {} starts, {} recoveries; {} deliveries, {} in Kafka, {} missing, {} of these told of, {} again; {:.1} s",
            sum.starts,
            sum.recoveries,
            sum.deliveries,
            sum.arrived,
            sum.missing,
            sum.told,
            sum.again,
            sum.slowest.as_secs_f64()
        ));
        row.attempts += sum.starts;
        row.spooled += sum.deliveries;
        row.present += sum.arrived;
        row.duplicates += sum.again;
        row.recovery = row.recovery.max(Some(sum.slowest));
    }
    Outcome { row, records: Vec::new(), complaints }
}
