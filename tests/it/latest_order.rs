//! Latest topics never go backwards, whatever the order in which states come, and whatever becomes of the bridge meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use serde_json::{Value, json};

use crate::connect::Sink;
use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::reader::{self, Record};
use crate::support::sender::proof;
use crate::support::servers::servers;
use crate::support::{RUNTIME, eventually, skip, variable};

const LATEST: &str = "wegly.deal-latest";
/// For states that come to one instance after another one has written a newer one.
const SEEN: Duration = Duration::from_secs(10);

fn key(deal: usize) -> String {
    format!("00000000-0000-4000-8000-{deal:012x}")
}

/// A state of a deal: its last change in seconds, if it tells, and a mark that is found again.
fn body(deal: usize, updated_at: Option<i64>, mark: &str) -> String {
    json!({"event_key": "deal.updated", "payload": {"id": key(deal), "title": mark, "updated_at": updated_at}})
        .to_string()
}

fn title(record: &Record) -> String {
    record.decode()["deal"]["title"].as_str().unwrap().to_owned()
}

fn titles(bridge: &Bridge) -> Vec<String> {
    reader::read(&bridge.topic(LATEST)).iter().filter(|record| !record.value.is_empty()).map(title).collect()
}

fn publish(bridge: &Bridge, deal: usize, updated_at: Option<i64>, mark: &str) {
    assert_eq!(bridge.deliver("wegly", body(deal, updated_at, mark)).sum(), (200, "published".into()), "{mark}");
}

fn counted(bridge: &Bridge, name: &str) -> u64 {
    bridge.metric(&format!("hookbridge_latest_{name}_total{{topic=\"{}\"}}", bridge.topic(LATEST)))
}

#[test]
fn a_state_that_is_older_than_what_is_written_is_left_out_and_its_event_is_not() {
    let bridge = Setup::new("latest-older").start();
    let states = [(Some(5), "a"), (Some(4), "old"), (None, "untold"), (Some(5), "again"), (Some(6), "b")];
    for (updated_at, mark) in states {
        publish(&bridge, 1, updated_at, mark);
    }
    for mark in ["first", "second"] {
        publish(&bridge, 2, None, mark);
    }
    assert_eq!(titles(&bridge), ["a", "again", "b", "first", "second"]);
    assert_eq!(reader::read(&bridge.topic("wegly.deal")).len(), 7, "each event has its own record");
    assert_eq!(counted(&bridge, "skipped"), 2);
    assert_eq!(bridge.metric("hookbridge_latest_keys"), 2);
}

#[test]
fn what_is_written_is_known_after_a_kill_and_without_the_data_directory() {
    let bridge = Setup::new("latest-kill").start();
    publish(&bridge, 1, Some(5), "a");
    let setup = bridge.setup.clone();
    drop(bridge);
    let bridge = setup.start();
    publish(&bridge, 1, Some(4), "after a kill");
    publish(&bridge, 1, Some(6), "b");
    let setup = bridge.setup.clone();
    drop(bridge);
    std::fs::remove_dir_all(setup.data_dir()).unwrap();
    let bridge = setup.start();
    publish(&bridge, 1, Some(5), "without its data");
    publish(&bridge, 1, None, "untold");
    assert_eq!(titles(&bridge), ["a", "b"]);
}

#[test]
fn what_waits_in_the_spool_does_not_go_backwards_either() {
    let (kafka, setup) = Setup::on_its_own_kafka("latest-spool", &[]);
    let latest = setup.topic(LATEST);
    let bridge = setup.start_unready();
    bridge.wait_ready();
    bridge.wait_kafka(true);
    publish(&bridge, 1, Some(5), "a");
    (0..3).for_each(|partition| kafka.lead(&latest, partition, false));
    let states =
        [(Some(7), "b"), (Some(4), "old"), (Some(7), "again"), (None, "untold"), (Some(8), "c"), (Some(7), "late")];
    for (updated_at, mark) in states {
        assert_eq!(bridge.deliver("wegly", body(1, updated_at, mark)).sum(), (202, "spooled".into()), "{mark}");
    }
    (0..3).for_each(|partition| kafka.lead(&latest, partition, true));
    eventually("the rest is left out", SOON, || (counted(&bridge, "skipped") == 3).then_some(()));
    let written = || reader::read_from(&kafka.address, &latest).iter().map(title).collect::<Vec<_>>();
    // A record whose refusal is not final may be there twice.
    let each_once = || {
        let mut titles = written();
        titles.dedup();
        (titles == ["a", "b", "again", "c"]).then_some(())
    };
    eventually("each newer state is written, in order", SOON, each_once);
}

#[test]
fn a_forgotten_entity_comes_back_with_any_state() {
    let bridge = Setup::new("latest-forget").start();
    publish(&bridge, 1, Some(5), "a");
    let forgotten = bridge.setup.run(&["forget", &bridge.topic(LATEST), &key(1), "--yes"]);
    assert!(forgotten.status.success(), "{}", words(&forgotten));
    eventually("the tombstone is seen", SEEN, || (bridge.metric("hookbridge_latest_keys") == 0).then_some(()));
    publish(&bridge, 1, Some(4), "back");
    publish(&bridge, 1, Some(3), "older");
    assert_eq!(titles(&bridge), ["a", "back"]);
}

#[test]
fn two_instances_see_each_others_states_and_mend_what_they_saw_too_late() {
    let one = Setup::new("latest-two").start();
    let mut setup = Setup::new("latest-two-more");
    setup.prefix.clone_from(&one.setup.prefix);
    let other = setup.start();
    for deal in 0..20 {
        publish(&one, deal, Some(5), "newer");
        // At once: the other cannot know of it.
        publish(&other, deal, Some(4), "older");
    }
    let mended = || {
        let last: BTreeMap<_, _> = reader::read(&one.topic(LATEST)).into_iter().map(|r| (r.key.clone(), r)).collect();
        (last.len() == 20 && last.values().all(|record| title(record) == "newer")).then_some(())
    };
    eventually("the newest states are last", SEEN, mended);
    assert!(counted(&one, "rewritten") + counted(&other, "rewritten") >= 1);
    publish(&other, 1, Some(4), "older");
    assert!(counted(&other, "skipped") >= 1, "by now it knows");
}

/// One event of a history.
#[derive(Clone)]
struct Sent {
    deal: usize,
    updated_at: Option<i64>,
    mark: String,
}

/// Numbers as if at random, the same each time.
fn mixed(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// So many events in random order, about 17 of a deal, 5 % of them without `updated_at`, and 5 % twice.
fn history(events: usize) -> Vec<Sent> {
    let (deals, mut random) = (events.div_ceil(17), mixed(19));
    let one = |n: usize, random: &mut dyn FnMut(usize) -> usize| Sent {
        deal: n % deals,
        updated_at: (random(20) > 0).then_some(1_700_000_000 + (n / deals) as i64 * 60),
        mark: format!("state-{n:06}."),
    };
    let mut all: Vec<_> = (0..events * 19 / 20).map(|n| one(n, &mut random)).collect();
    all.extend((0..events / 20).map(|_| all[random(all.len())].clone()).collect::<Vec<_>>());
    for at in (1..all.len()).rev() {
        all.swap(at, random(at + 1));
    }
    all
}

/// Posts one; whether it was taken. Nobody may listen.
fn taken(to: SocketAddr, sent: &Sent) -> bool {
    let body = body(sent.deal, sent.updated_at, &sent.mark);
    let (name, value) = proof("wegly", body.as_bytes());
    let head = format!(
        "POST /webhooks/wegly HTTP/1.1\r\nHost: bridge\r\n{name}: {value}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let post = || {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    post().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 202"))
}

/// Sends a part of a history, eight at a time; gives what was not taken. After `kill_after` events the bridge is killed.
fn send(bridge: &mut Bridge, part: &[Sent], kill_after: Option<usize>) -> Vec<Sent> {
    let (to, next, left) = (bridge.http, AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(sent) = part.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !taken(to, sent) {
                        left.lock().unwrap().push(sent.clone());
                    }
                }
            });
        }
        if let Some(kill_after) = kill_after {
            while next.load(Ordering::Relaxed) < kill_after.min(part.len()) {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(bridge.end(), None);
        }
    });
    left.into_inner().unwrap()
}

/// Checks the last record of each key, and that no record is older than one before it; gives how many records there are.
fn judge(topic: &str, history: &[Sent]) -> usize {
    let by_mark: BTreeMap<_, _> = history.iter().map(|sent| (sent.mark.as_str(), sent)).collect();
    let mut newest = BTreeMap::new();
    for sent in history {
        let newest = newest.entry(key(sent.deal)).or_insert(sent.updated_at);
        *newest = (*newest).max(sent.updated_at);
    }
    let records = reader::read(topic);
    let mut last = BTreeMap::new();
    for record in &records {
        let text = String::from_utf8_lossy(&record.value);
        let at = text.find("state-").expect("a mark");
        let sent = by_mark[&text[at..at + "state-000000.".len()]];
        let before = last.insert(record.key.clone(), sent.updated_at);
        assert!(before.is_none_or(|before| before <= sent.updated_at), "{} goes backwards", record.key);
    }
    assert_eq!(last, newest, "the last record of each deal is its newest state");
    records.len()
}

/// The sink's table: of each deal its title, and when it last changed, in seconds.
const TABLE: &str = "select coalesce(json_object_agg(id::text, json_build_array(deal_title, \
    extract(epoch from deal_updated_at)::bigint)), '{}') from deals";

/// Waits until the sink's table has each deal's newest state, and nothing else. Of equal states any may be the last.
fn judge_table(sink: &Sink, history: &[Sent]) {
    let mut newest: BTreeMap<String, (Option<i64>, BTreeSet<&str>)> = BTreeMap::new();
    for sent in history {
        let (updated_at, marks) = newest.entry(key(sent.deal)).or_default();
        if sent.updated_at > *updated_at {
            (*updated_at, *marks) = (sent.updated_at, BTreeSet::new());
        }
        if sent.updated_at == *updated_at {
            marks.insert(&sent.mark);
        }
    }
    let is_newest = |key: &str, row: &Value| {
        let newest = newest.get(key);
        newest
            .is_some_and(|(at, marks)| row[1] == json!(at) && row[0].as_str().is_some_and(|mark| marks.contains(mark)))
    };
    sink.wait("the table has the newest state of each deal", TABLE, |table| {
        let rows = table.as_object().expect("rows by key");
        rows.len() == newest.len() && rows.iter().all(|(key, row)| is_newest(key, row))
    });
}

/// Has Kafka compact the topic now.
fn compact(topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers().kafka).create().unwrap();
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1"),
        ("min.compaction.lag.ms", "0"),
        ("min.cleanable.dirty.ratio", "0.001"),
    ];
    let change = settings
        .iter()
        .fold(AlterConfig::new(ResourceSpecifier::Topic(topic)), |change, (key, value)| change.set(key, value));
    let changed = RUNTIME.block_on(admin.alter_configs([&change], &AdminOptions::new())).unwrap();
    assert!(changed.iter().all(Result::is_ok), "{changed:?}");
}

/// `HOOKBRIDGE_TEST_LATEST_EVENTS` says how many events; 20000 is the full form.
#[test]
fn in_whatever_order_states_come_the_last_record_of_each_key_is_the_newest() {
    if servers().is_mock() {
        return skip("latest-order", "the mock cluster does not compact", "install Java and Maven");
    }
    let events = variable("HOOKBRIDGE_TEST_LATEST_EVENTS").map_or(1500, |events| events.parse().unwrap());
    let mut setup = Setup::new("latest-order");
    setup.partitions = 3;
    let (all, mut bridge) = (history(events), setup.start());
    let topic = bridge.topic(LATEST);
    let sink = Sink::start("the table of latest-order", &bridge.setup);
    let third = all.len() / 3;
    let mut left = Vec::new();
    for part in [&all[..third], &all[third..2 * third]] {
        let part = left.into_iter().chain(part.iter().cloned()).collect::<Vec<_>>();
        let kill_after = part.len() * 2 / 3;
        left = send(&mut bridge, &part, Some(kill_after));
        bridge = bridge.setup.clone().start();
    }
    let part: Vec<_> = left.into_iter().chain(all[2 * third..].iter().cloned()).collect();
    assert_eq!(send(&mut bridge, &part, None).len(), 0, "none is refused");
    let is_empty = || {
        let lane = format!("hookbridge_spool_records{{lane=\"{}\"}}", bridge.topic("wegly.deal"));
        (bridge.metric(&lane) == 0).then_some(())
    };
    eventually("the spool is empty", SOON * 2, is_empty);
    let records = judge(&topic, &all);
    if let Some(sink) = &sink {
        judge_table(sink, &all);
    }
    assert!(counted(&bridge, "skipped") > 0);

    compact(&topic);
    // A segment is closed by the next record.
    let fresh = all.iter().map(|sent| sent.deal).max().unwrap() + 1;
    let more: Vec<_> = (0..50)
        .map(|n| Sent { deal: fresh + n, updated_at: Some(2_000_000_000 + n as i64), mark: format!("state-9{n:05}.") })
        .collect();
    assert_eq!(send(&mut bridge, &more, None).len(), 0);
    let all: Vec<_> = all.into_iter().chain(more).collect();
    let compacted = || {
        let count = judge(&topic, &all);
        (count < records / 2).then_some(count)
    };
    let count = eventually("Kafka compacts the topic", SOON * 4, compacted);
    if let Some(sink) = &sink {
        judge_table(sink, &all);
    }
    eprintln!("{events} events: {records} records, {count} after compaction");
}
