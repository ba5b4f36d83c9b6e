//! Nobody takes the log: a disk that is full, a pipe that is closed, a reader that sleeps. Nothing else may come of it.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Stdio};

use crate::support::bridge::{SOON, Setup, serve_with, signal};
use crate::support::eventually;
use crate::support::java::free_port;
use crate::support::sender::{self, Answer};

const TICKET: &str = r#"{"Type":"NewTicket","ticket":{"id":5}}"#;
const DROPPED: &str = "hookbridge_log_lines_dropped_total ";

/// A bridge whose log is not ours to read.
struct Deaf {
    child: Child,
    http: SocketAddr,
    admin: SocketAddr,
    /// Its files are there for as long as this.
    _setup: Setup,
}

impl Deaf {
    fn start(test: &str, stderr: impl Into<Stdio>) -> Deaf {
        let mut setup = Setup::new(test);
        setup.ports = [free_port(), free_port()];
        setup.prepare(&[]);
        let [http, admin] = setup.ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let child = serve_with(&setup, stderr.into());
        let deaf = Deaf { child, http, admin, _setup: setup };
        eventually("an event is published", SOON, || {
            std::net::TcpStream::connect(deaf.http).ok()?;
            (deaf.deliver(TICKET).status == 200).then_some(())
        });
        deaf
    }

    fn deliver(&self, body: &str) -> Answer {
        sender::deliver(self.http, "whazing", body.as_bytes())
    }

    fn dropped(&self) -> u64 {
        let text = sender::get(self.admin, "/metrics").body;
        text.lines().find_map(|line| line.strip_prefix(DROPPED)?.parse().ok()).expect("the metric")
    }

    /// Whether all goes on: what senders get, a reload, and the end.
    fn assert_well(mut self, stderr: Option<ChildStderr>) {
        // Each is a line in the log.
        for _ in 0..50 {
            assert_eq!(self.deliver("[]").sum(), (202, "dead_lettered".into()));
        }
        signal(self.child.id(), "HUP");
        let reloads = "hookbridge_reloads_total{outcome=\"taken_over\"} 1";
        eventually("configuration reloaded", SOON, || {
            sender::get(self.admin, "/metrics").body.contains(reloads).then_some(())
        });
        assert_eq!(self.deliver(TICKET).status, 200);
        assert_eq!(sender::get(self.admin, "/readyz").status, 200);
        signal(self.child.id(), "TERM");
        let ended = eventually("it ends", SOON, || self.child.try_wait().expect("a child"));
        assert!(ended.success(), "{ended}");
        drop(stderr);
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_log_on_a_full_disk_is_counted_and_stops_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let deaf = Deaf::start("log-full", full);
    eventually("dropped lines are counted", SOON, || (deaf.dropped() > 0).then_some(()));
    deaf.assert_well(None);
}

#[test]
fn a_log_whose_reader_is_gone_is_counted_and_stops_nothing() {
    let mut deaf = Deaf::start("log-closed", Stdio::piped());
    drop(deaf.child.stderr.take());
    assert_eq!(deaf.deliver("[]").status, 202);
    eventually("dropped lines are counted", SOON, || (deaf.dropped() > 0).then_some(()));
    deaf.assert_well(None);
}

#[test]
fn a_log_whose_reader_sleeps_stops_nothing() {
    let mut deaf = Deaf::start("log-asleep", Stdio::piped());
    let mut stderr = deaf.child.stderr.take().unwrap();
    // Once it reads again, it finds what was said.
    let mut first = [0; 1];
    stderr.read_exact(&mut first).unwrap();
    assert_eq!(first, *b"{");
    // Far more than a pipe holds (64 KiB): at level debug each delivery says something.
    for _ in 0..2000 {
        assert_eq!(deaf.deliver("[]").status, 202);
    }
    deaf.assert_well(Some(stderr));
}
