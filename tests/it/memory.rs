//! The worst that a sender with a valid secret can send, eight bodies at once, against the memory that the deployments
//! allow: `mem_limit` in docker-compose.yml, `limits.memory` in deploy/kubernetes/statefulset.yaml.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::bridge::{Bridge, SOON, Setup};
use crate::support::sender::{Answer, Line, TOKEN, WHAZING_HEADER};
use crate::support::{eventually, say};

/// What docker-compose.yml and the example for Kubernetes allow.
pub(crate) const LIMIT_MIB: u64 = 768;
/// As deploy/compose/hookbridge/hookbridge.toml has them.
pub(crate) const IN_FLIGHT: &str = "96 MiB";
pub(crate) const MAX_BODY: usize = 32 << 20;

const AT_ONCE: usize = 8;

/// A group of processes that the kernel kills one of when they take more memory than the group may.
pub(crate) struct Group(PathBuf);

impl Group {
    /// None where this is not root, or the kernel's memory controller is not to be had.
    pub(crate) fn new(limit: u64) -> Option<Group> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hookbridge-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (v1, v2) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
        let v2_controls = fs::read_to_string(v2.join("cgroup.subtree_control")).unwrap_or_default();
        let (folder, file) = if v2_controls.contains("memory") {
            (v2.join(name), "memory.max")
        } else {
            (v1.join(name), "memory.limit_in_bytes")
        };
        fs::create_dir(&folder).ok()?;
        let group = Group(folder);
        fs::write(group.0.join(file), limit.to_string()).ok()?;
        Some(group)
    }

    pub(crate) fn add(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("the process joins the group");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Not empty while the process ends: then the next run of this process id finds another name.
        let _ = fs::remove_dir(&self.0);
    }
}

/// Puts the bridge where the kernel ends it when it takes more than this.
pub(crate) fn confine(bridge: &Bridge, mib: u64) -> Option<Group> {
    let group = Group::new(mib << 20);
    match &group {
        Some(group) => group.add(bridge.pid()),
        None => {
            say("no memory controller, or not root: only peaks are looked at, and nothing is killed for its memory");
        }
    }
    group
}

/// The most memory that the process has had, in MiB.
pub(crate) fn peak_mib(bridge: &Bridge) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", bridge.pid())).expect("the bridge lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kB") >> 10
}

/// A body of Whazing's: a ticket with `rest` behind it, up to the largest that is taken.
fn ticket(rest: &str) -> String {
    let spaces = MAX_BODY - 64 - rest.len();
    format!(r#"{{"Type":"NewTicket","ticket":{{"id":5}}{rest}{}}}"#, " ".repeat(spaces))
}

fn unknown_keys() -> String {
    let keys: String = (0..1_900_000).map(|n| format!(",\"k{n:07}\":0")).collect();
    ticket(&keys)
}

fn unknown_values() -> String {
    ticket(&format!(",\"list\":[0{}]", ",0".repeat(4_194_000)))
}

/// JSON text in a string of JSON text, five deep, with something to blank in the innermost.
fn text_in_text() -> String {
    let mut text = format!(r#"{{"qrcode":"S","pad":"{}"}}"#, "x".repeat(MAX_BODY - (64 << 10)));
    for _ in 0..4 {
        text = format!(r#"{{"a":{}}}"#, serde_json::Value::from(text));
    }
    ticket(&format!(",\"dataJson\":{text}"))
}

fn one_long_string() -> String {
    ticket(&format!(",\"apiConfig\":\"{}\"", "\\n".repeat((MAX_BODY - 4096) / 2)))
}

fn cut_off() -> String {
    let mut body = unknown_values();
    body.pop();
    body
}

fn file_in_base64() -> String {
    let file = "QUJD".repeat((MAX_BODY - 4096) / 4);
    format!(r#"{{"messageId":"m1","fromMe":false,"ticket":{{"id":5}},"mediaType":"image/png","mediaBase64":"{file}"}}"#)
}

/// What makes the most of its bytes, in memory or in time.
pub(crate) const WORST_BODIES: [fn() -> String; 6] =
    [unknown_keys, unknown_values, text_in_text, one_long_string, cut_off, file_in_base64];

/// Posts, and waits for as long as a build without optimisation may take.
fn deliver(bridge: &Bridge, body: &str) -> Answer {
    let mut line = Line::open(bridge.http);
    line.stream.set_read_timeout(Some(Duration::from_secs(300))).expect("a timeout");
    let length = body.len().to_string();
    let headers = [(WHAZING_HEADER, TOKEN), ("content-type", "application/json"), ("content-length", &length)];
    line.head("POST", "/webhooks/whazing", &headers);
    // An answer may come before the body is all out.
    let _ = line.send(body.as_bytes());
    line.answer().expect("an answer")
}

#[test]
fn the_worst_bodies_eight_at_once_stay_within_the_memory_that_the_deployments_allow() {
    let mut setup = Setup::new("worst-bodies");
    setup.http = format!("ack_timeout = \"4m\"\nmax_in_flight_bytes = \"{IN_FLIGHT}\"\n");
    setup.sources += &format!("max_body_bytes = {MAX_BODY}\n");
    let bridge = setup.start();
    let _group = confine(&bridge, LIMIT_MIB);
    for (number, body) in WORST_BODIES.iter().enumerate() {
        let body = body();
        let answers: Vec<_> = thread::scope(|scope| {
            let senders: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| deliver(&bridge, &body))).collect();
            senders.into_iter().map(|sender| sender.join().expect("an answer")).collect()
        });
        let sums: Vec<_> = answers.iter().map(|answer| answer.sum().0).collect();
        assert!(sums.iter().any(|status| *status < 300), "body {number}: {sums:?}");
        assert!(sums.iter().all(|status| [200, 202, 503].contains(status)), "body {number}: {sums:?}");
        let peak = peak_mib(&bridge);
        eprintln!("body {number}: {sums:?}, peak so far {peak} MiB");
        assert!(peak < LIMIT_MIB, "body {number}: the bridge had {peak} MiB");
    }
    drop(bridge);
}

/// A chat that is written once more for each of so many deals.
pub(crate) fn chat_of_many_deals(number: usize) -> String {
    let deals: Vec<_> = (0..500).map(|deal| format!(r#"{{"id":"00000000-0000-4000-8000-{deal:012}"}}"#)).collect();
    format!(
        r#"{{"event_key":"chat.message_received","payload":{{"id":"00000000-0000-4000-8001-{number:012}","associated_deals":[{}]}}}}"#,
        deals.join(",")
    )
}

#[test]
fn what_events_are_multiplied_by_stays_within_the_memory_while_kafka_does_not_answer() {
    const EVENTS: usize = 200;
    let (kafka, mut setup) = Setup::on_its_own_kafka("multiplied", &[]);
    setup.http = format!("ack_timeout = \"4s\"\nmax_in_flight_bytes = \"{IN_FLIGHT}\"\n");
    let bridge = setup.start_unready();
    bridge.wait_ready();
    assert_eq!(bridge.deliver("wegly", chat_of_many_deals(0)).status, 200);
    let _group = confine(&bridge, LIMIT_MIB);
    kafka.acknowledge_after(Duration::from_secs(60));
    let answers: Vec<_> = thread::scope(|scope| {
        let bridge = &bridge;
        let send = |number| move || bridge.deliver("wegly", chat_of_many_deals(number)).sum().0;
        let senders: Vec<_> = (1..=EVENTS).map(|number| scope.spawn(send(number))).collect();
        senders.into_iter().map(|sender| sender.join().expect("an answer")).collect()
    });
    assert!(answers.iter().all(|status| *status == 202), "{answers:?}");
    let peak = peak_mib(&bridge);
    eprintln!("{EVENTS} events of 501 records each: peak {peak} MiB");
    assert!(peak < LIMIT_MIB, "the bridge had {peak} MiB");

    kafka.acknowledge_after(Duration::ZERO);
    let waiting = format!("hookbridge_spool_records{{lane=\"{}\"}}", bridge.topic("wegly.chat"));
    eventually("all leave the spool", 4 * SOON, || (bridge.metric(&waiting) == 0).then_some(()));
    let peak = peak_mib(&bridge);
    eprintln!("when all have left: peak {peak} MiB");
    assert!(peak < LIMIT_MIB, "the bridge had {peak} MiB");
}
