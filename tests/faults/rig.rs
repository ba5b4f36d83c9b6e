//! What a scenario is played on: the bridge, on ports that stay its own through every restart, under a load; and the
//! end of every scenario, which is the same for all.

mod cluster;
mod end;
mod health;
mod one_broker;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::check::Order;
use crate::events::DEAD_LETTERS;
use crate::history::History;
use crate::load::{Load, Plan};
use crate::metrics;
use crate::record::Found;
use crate::setting::Setting;
use crate::support::bridge::{Bridge, Setup, with_this_process};
use crate::support::eventually;
use crate::support::java::free_port;
use crate::table::Row;
use crate::topics;
use health::Healing;

/// From the end of a fault to the first 200, on a machine that is busy with other things.
const RECOVERY: Duration = Duration::from_secs(120);
/// For the load to come to its end, and for the spool to drain, once all is well.
const DRAIN: Duration = Duration::from_secs(120);
/// Topics that are read at the end.
const READ: [&str; 4] = ["wegly.deal", "wegly.lead", "whazing.message", DEAD_LETTERS];

pub(crate) struct Rig<K: Setting = Broker> {
    name: &'static str,
    pub(crate) kafka: &'static K,
    pub(crate) setup: Setup,
    pub(crate) history: Arc<History>,
    bridge: Option<Bridge>,
    load: Option<Load>,
    /// Of the lives before the present one.
    logs: Vec<Vec<String>>,
    story: Vec<String>,
    /// What must not be in the log of a bridge.
    complaints: Vec<String>,
    /// Of topics, in the order in which they were used.
    prefixes: Vec<String>,
    deleted: Vec<Deleted>,
    /// Records that were read before their topic was deleted.
    before: Vec<Found>,
    recoveries: Vec<Duration>,
    healings: Vec<Healing>,
    /// Within what the order of a key is promised.
    pub(crate) order: Order,
}

/// A topic that was deleted, and when events that were accepted may be gone with it.
struct Deleted {
    topic: String,
    from: Duration,
    until: Duration,
}

/// What a scenario leaves: a line of the table, and all records, for checks of its own.
pub(crate) struct Outcome {
    pub(crate) row: Row,
    pub(crate) records: Vec<Found>,
    pub(crate) complaints: Vec<String>,
}

impl<K: Setting> Rig<K> {
    /// A rig whose bridge is still to be started.
    pub(crate) fn new(name: &'static str, kafka: &'static K, registry_url: &str) -> Rig<K> {
        kafka.mend();
        let mut setup = Setup::on(&kafka.address(), registry_url, name);
        setup.ports = [free_port(), free_port()];
        setup.log_level = "info".into();
        setup.http = "ack_timeout = \"2s\"\n".into();
        setup.runner = with_this_process();
        kafka.configure(&mut setup);
        let history = Arc::new(History::begin());
        let prefixes = vec![setup.prefix.clone()];
        Rig {
            name,
            kafka,
            setup,
            history,
            bridge: None,
            load: None,
            logs: Vec::new(),
            story: Vec::new(),
            complaints: Vec::new(),
            prefixes,
            deleted: Vec::new(),
            before: Vec::new(),
            recoveries: Vec::new(),
            healings: Vec::new(),
            order: Order::ByTopic,
        }
    }

    /// Starts the bridge, waits until it is ready, and begins to send.
    pub(crate) fn start(&mut self, plan: Plan) {
        self.start_bridge();
        self.bridge().wait_ready();
        self.send(plan);
    }

    /// Begins to send.
    pub(crate) fn send(&mut self, plan: Plan) {
        let to = self.bridge().http;
        self.send_to(to, plan);
    }

    /// Begins to send, by way of something else.
    pub(crate) fn send_to(&mut self, to: SocketAddr, plan: Plan) {
        self.load = Some(Load::start(to, plan, Arc::clone(&self.history)));
    }

    pub(crate) fn load(&self) -> &Load {
        self.load.as_ref().expect("a load")
    }

    /// Starts the bridge, waits until it listens; says when it was started.
    pub(crate) fn start_bridge(&mut self) -> Duration {
        let since = self.tell("the bridge is started");
        self.bridge = Some(self.setup.clone().start_unready());
        since
    }

    pub(crate) fn bridge(&mut self) -> &mut Bridge {
        self.bridge.as_mut().expect("a bridge that runs")
    }

    /// `kill -9`.
    pub(crate) fn kill_bridge(&mut self) {
        self.tell("kill -9 of the bridge");
        self.drop_bridge();
    }

    pub(crate) fn drop_bridge(&mut self) {
        if let Some(mut bridge) = self.bridge.take() {
            self.complaints.extend(bridge.end());
            self.logs.push(bridge.log());
        }
    }

    /// Puts a line into the story of this scenario; says when.
    pub(crate) fn tell(&mut self, words: &str) -> Duration {
        let now = self.history.now();
        self.story.push(format!("{:.3} s: {words}", now.as_secs_f64()));
        now
    }

    /// Waits for the first 200 with the outcome `published` after the end of a fault.
    pub(crate) fn recovered(&mut self, since: Duration) {
        self.recovered_in(None, since);
    }

    /// The same, for the events of one topic.
    pub(crate) fn recovered_in(&mut self, topic: Option<&str>, since: Duration) {
        let history = Arc::clone(&self.history);
        let at = eventually("events are published again", RECOVERY, || history.first_published(since, topic));
        self.recoveries.push(at.saturating_sub(since));
        self.tell(&format!("published again since {:.3} s", at.as_secs_f64()));
    }

    /// Goes on until `count` events are accepted.
    pub(crate) fn wait_accepted(&mut self, count: usize) {
        let accepted = || (self.load().accepted() >= count).then_some(());
        eventually(&format!("{count} events are accepted"), 2 * DRAIN, accepted);
    }

    /// Goes on until `count` more events are accepted.
    pub(crate) fn wait_more(&mut self, count: usize) {
        let so_far = self.load().accepted();
        self.wait_accepted(so_far + count);
    }

    /// The next life of the bridge has new topics, and will have to make them.
    pub(crate) fn take_new_topics(&mut self) {
        let count = self.prefixes.len();
        self.setup.prefix = format!("{}{count}.", self.prefixes[0]);
        self.prefixes.push(self.setup.prefix.clone());
    }

    /// Deletes a topic, having read what was in it. What was accepted meanwhile may be gone with it.
    pub(crate) fn delete_topic(&mut self, name: &str) {
        // A broker takes records for a moment after it said that the topic is deleted.
        const MARGIN: Duration = Duration::from_secs(2);
        let from = self.tell(&format!("{name} is to be deleted"));
        // What was spooled before that must be in the topic when it is read.
        let admin = self.bridge().admin;
        eventually("the spool is empty", DRAIN, || (metrics::spool_records(admin) == 0).then_some(()));
        let before = self.read_topic(name);
        self.before.extend(before);
        topics::delete(&self.kafka.address(), &[&self.setup.topic(name)]);
        let until = self.tell(&format!("{name} is deleted")) + MARGIN;
        self.deleted.push(Deleted { topic: name.to_owned(), from, until });
    }

    /// Writes down what there is to look at after a failure; says where.
    pub(crate) fn leave_evidence(&mut self) -> String {
        self.drop_bridge();
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults").join(self.name);
        let _ = fs::remove_dir_all(&dir);
        let write = |name: &str, text: &str| fs::create_dir_all(&dir).and_then(|()| fs::write(dir.join(name), text));
        for (life, log) in self.logs.iter().enumerate() {
            let _ = write(&format!("bridge-{life}.log"), &log.join("\n"));
        }
        let mut text = String::new();
        for sent in self.history.sent.lock().expect("the history").values() {
            let _ = writeln!(text, "{sent}");
        }
        let _ = write("sent.txt", &text);
        let _ = write("story.txt", &self.story.join("\n"));
        let log = self.logs.last().map(Vec::as_slice).unwrap_or_default();
        let end = log[log.len().saturating_sub(15)..].join("\n  ");
        format!(
            "what happened:\n  {}\nthe end of the bridge's log:\n  {end}\nmore in {}",
            self.story.join("\n  "),
            dir.display()
        )
    }
}

impl<K: Setting> Drop for Rig<K> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.leave_evidence());
        }
    }
}

/// A directory of this suite's own under `target`, which stays.
pub(crate) fn work_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults").join(name);
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// Waits for `limit` at the longest; says whether it came to pass.
pub(crate) fn within(limit: Duration, mut probe: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !probe() {
        if started.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}
