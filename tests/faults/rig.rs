//! What a scenario is played on: the bridge, on ports that stay its own through every restart, under a load; and the
//! end of every scenario, which is the same for all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::check::{self, Verdict};
use crate::events::{DEAD_LETTERS, LINKED, LINKED_FROM};
use crate::history::{Answer, History, Sent};
use crate::load::{Load, Plan};
use crate::metrics;
use crate::record::Found;
use crate::support::bridge::{Bridge, Setup, TOPICS, with_this_process};
use crate::support::eventually;
use crate::support::java::free_port;
use crate::table::Row;

/// From the end of a fault to the first 200, on a machine that is busy with other things.
const RECOVERY: Duration = Duration::from_secs(120);
/// For the load to come to its end, and for the spool to drain, once all is well.
const DRAIN: Duration = Duration::from_secs(120);
/// Topics that are read at the end.
const READ: [&str; 4] = ["wegly.deal", "wegly.lead", "whazing.message", DEAD_LETTERS];

pub(crate) struct Rig {
    name: &'static str,
    pub(crate) broker: &'static Broker,
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

impl Rig {
    /// A rig whose bridge is still to be started.
    pub(crate) fn new(name: &'static str, broker: &'static Broker, registry_url: &str) -> Rig {
        broker.mend();
        let mut setup = Setup::on(broker.address(), registry_url, name);
        setup.ports = [free_port(), free_port()];
        setup.log_level = "info".into();
        setup.http = "ack_timeout = \"2s\"\n".into();
        setup.runner = with_this_process();
        let history = Arc::new(History::begin());
        let prefixes = vec![setup.prefix.clone()];
        Rig {
            name,
            broker,
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

    /// `kill -9` of Kafka; says when.
    pub(crate) fn kill_kafka(&mut self) -> Duration {
        let since = self.tell("kill -9 of Kafka");
        self.broker.kill();
        since
    }

    /// Starts Kafka after a kill, and waits until events are published again.
    pub(crate) fn start_kafka(&mut self) {
        self.tell("Kafka is started");
        self.broker.start();
        let since = self.tell("Kafka listens");
        self.recovered(since);
    }

    /// For scenarios in which it matters that Kafka is away, not how: the bridge reaches it by way of a proxy, which spares
    /// Kafka's start.
    pub(crate) fn put_proxy_before_kafka(&mut self) {
        self.setup.bootstrap = self.broker.front();
        self.broker.open_front();
    }

    /// Closes that proxy: connections are cut, and new ones refused. Says when.
    pub(crate) fn cut_kafka_off(&mut self) -> Duration {
        let since = self.tell("Kafka is cut off");
        self.broker.close_front();
        since
    }

    /// Opens that proxy, and waits until events are published again.
    pub(crate) fn give_kafka_back(&mut self) {
        self.broker.open_front();
        let since = self.tell("Kafka can be reached");
        self.recovered(since);
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

    /// Lets the load come to its end and the spool drain, reads everything, and holds it against the history.
    pub(crate) fn finish(&mut self) -> Outcome {
        self.tell("the load ends");
        let mut load = self.load.take().expect("a load");
        load.finish(DRAIN);
        let admin = self.bridge().admin;
        eventually("the spool is empty", DRAIN, || (metrics::spool_records(admin) == 0).then_some(()));
        self.tell("the spool is empty");
        let identity = metrics::identity(admin);
        self.drop_bridge();
        let mut complaints = std::mem::take(&mut self.complaints);
        complaints.extend(identity);

        let records = self.read();
        let mut sent = self.history.sent.lock().expect("the history");
        for sent in sent.values_mut() {
            let gone = |at: Duration| {
                let of = |d: &&Deleted| d.topic == sent.event.topic;
                self.deleted.iter().filter(of).any(|d| (d.from..d.until).contains(&at))
            };
            sent.may_be_gone = sent.accepted().is_some_and(|(at, _)| gone(at));
        }
        let verdict = check::check(&sent, &records);
        complaints.extend(verdict.complaints());
        complaints.extend(self.complaints_of_links(&sent));
        for event in sent.values().filter(|sent| sent.accepted().is_none()).take(3) {
            complaints.push(format!("never accepted: {event}"));
        }
        drop(sent);
        complaints.extend(self.bad_answers());
        let row = self.row(&verdict);
        // Kafka takes the longer to come up the more topics it has.
        let of = |prefix: &String| TOPICS.map(|name| format!("{prefix}{name}"));
        let topics: Vec<_> = self.prefixes.iter().flat_map(of).collect();
        self.broker.delete_topics(&topics.iter().map(String::as_str).collect::<Vec<_>>());
        Outcome { row, records, complaints }
    }

    /// The same for the records that events have besides their own: a promise is one of all of them.
    fn complaints_of_links(&self, sent: &BTreeMap<String, Sent>) -> Vec<String> {
        let mut linked = sent.clone();
        linked.retain(|_, sent| sent.event.topic == LINKED_FROM);
        for sent in linked.values_mut() {
            sent.event.topic = LINKED;
        }
        let verdict = check::check(&linked, &self.read_topic(LINKED));
        verdict.complaints().into_iter().map(|words| format!("{LINKED}: {words}")).collect()
    }

    /// What Kafka has of the topics that events were sent to.
    fn read(&mut self) -> Vec<Found> {
        let mut records = std::mem::take(&mut self.before);
        for name in READ {
            records.extend(self.read_topic(name));
        }
        records
    }

    /// One topic, under each prefix that it had.
    fn read_topic(&self, name: &str) -> Vec<Found> {
        let mut found = Vec::new();
        for prefix in &self.prefixes {
            let records = self.broker.read(&format!("{prefix}{name}"));
            found.extend(records.iter().enumerate().map(|(place, record)| Found::of(place, prefix, record)));
        }
        found
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
        self.broker.delete_topics(&[&self.setup.topic(name)]);
        let until = self.tell(&format!("{name} is deleted")) + MARGIN;
        self.deleted.push(Deleted { topic: name.to_owned(), from, until });
    }

    fn bad_answers(&self) -> Vec<String> {
        let sent = self.history.sent.lock().expect("the history");
        let bad = |answer: &Answer| match answer {
            Answer::Odd(_) | Answer::Silence => true,
            Answer::Refused { retry_after, .. } => !retry_after,
            Answer::Accepted(_) | Answer::Broken(_) => false,
        };
        let bad = sent.values().filter(|sent| sent.attempts.iter().any(|attempt| bad(&attempt.answer)));
        let bad: Vec<_> = bad.map(|sent| format!("an answer that should not be: {sent}")).collect();
        let count = bad.len();
        bad.into_iter().take(3).chain((count > 3).then(|| format!("{count} events with such answers"))).collect()
    }

    fn row(&self, verdict: &Verdict) -> Row {
        let outcome = |wanted: &str| {
            self.history.count(|attempt| matches!(&attempt.answer, Answer::Accepted(outcome) if outcome == wanted))
        };
        Row {
            name: self.name.replace('_', " "),
            attempts: self.history.count(|_| true),
            published: outcome("published"),
            spooled: outcome("spooled"),
            dead_lettered: outcome("dead_lettered"),
            present: verdict.present,
            lost: verdict.lost.len(),
            disorder: verdict.disorder.len(),
            duplicates: verdict.duplicates,
            faults: verdict.differing.len() + verdict.strangers.len(),
            recovery: self.recoveries.iter().max().copied(),
        }
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

impl Drop for Rig {
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
