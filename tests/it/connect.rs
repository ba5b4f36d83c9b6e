//! The sink of `examples/connect`, run as its README says. Its table is held against the bodies that were sent: upserts,
//! a delete, nested records, JSON and lists.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::examples::build;
use crate::support::bridge::{Bridge, Setup, words};
use crate::support::java::{Server, free_port, run};
use crate::support::servers::servers;
use crate::support::{eventually, leave_out, say};

/// A JVM's cold start, and a consumer group's, on a small machine.
const LIMIT: Duration = Duration::from_secs(180);
const TABLE: &str = "select coalesce(json_object_agg(id::text, json_build_object('title', deal_title, 'value', deal_value, \
    'responsible', deal_responsible_name, 'stage', deal_stage::json->>'name', 'fields', to_json(deal_custom_fields), \
    'updated_at', to_char(deal_updated_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))), '{}') from deals";

/// A database server of this test's own.
struct Postgres {
    server: Server,
    psql: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts one, or says what is missing. It refuses to run as root, so then it runs as `nobody`.
    fn start(name: &str) -> Result<Postgres, String> {
        let bin = programs().ok_or("no initdb on the PATH or in /usr/lib/postgresql")?;
        let dir =
            std::env::temp_dir().join(format!("hookbridge-postgres-{}-{}", name.replace('/', "-"), std::process::id()));
        fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        let data = dir.join("data").display().to_string();
        let mut as_whom = Vec::new();
        if run(Command::new("sh").args(["-c", "test $(id -u) = 0"])).is_ok() {
            run(Command::new("chown").arg("nobody").arg(&dir))?;
            as_whom = vec!["--reuid=nobody", "--clear-groups", "--"];
        }
        let program = |name: &str| bin.join(name).display().to_string();
        let (initdb, serve) = (program("initdb"), program("postgres"));
        let command = |words: &[&str]| [&as_whom[..], words].concat().into_iter().map(String::from).collect::<Vec<_>>();
        let init = command(&[&initdb, "-D", &data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"]);
        let port = free_port();
        let listen = port.to_string();
        let serve = command(&[
            &serve,
            "-D",
            &data,
            "-p",
            &listen,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ]);
        let runner = if as_whom.is_empty() { "env" } else { "setpriv" };
        run(Command::new(runner).args(init).current_dir(&dir))?;
        let args: Vec<_> = serve.iter().map(String::as_str).collect();
        let server = Server::new(dir, Command::new("sh"), Path::new(runner), &args);
        server.order("start");
        let postgres = Postgres { server, psql: bin.join("psql"), port };
        eventually("PostgreSQL answers", LIMIT, || postgres.ask("select 1"));
        Ok(postgres)
    }

    /// What it answers; nothing where it has an error instead.
    fn ask(&self, query: &str) -> Option<String> {
        let port = self.port.to_string();
        let args = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-At", "-c", query];
        let output = Command::new(&self.psql).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Postgres {
    /// Killed, it would leave shared memory behind.
    fn drop(&mut self) {
        self.server.order("TERM");
    }
}

/// Where the programs of that server are.
fn programs() -> Option<PathBuf> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let path = Command::new("sh").args(["-c", "dirname $(command -v initdb)"]).output().ok()?;
    let on_path = PathBuf::from(String::from_utf8_lossy(&path.stdout).trim());
    installed.chain([on_path]).find(|bin| bin.join("initdb").exists() && bin.join("psql").exists())
}

/// A worker, ended with the test; a test that fails says what the worker said.
struct Worker {
    child: Child,
    log: PathBuf,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let last: Vec<_> = log.lines().filter(|line| !line.contains(" INFO ")).take(40).collect();
            say(&format!("the Connect worker said: {}", last.join("\n")));
        }
    }
}

/// Starts a worker with the example's files, in which only the addresses and the topic are other ones.
fn start_worker(libraries: &Path, setup: &Setup, registry: &str, postgres: &Postgres) -> Worker {
    let dir = setup.dir.path();
    let write = |name: &str, changes: &[(&str, String)]| {
        let mut text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/connect").join(name)).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from} is not in {name}");
            text = text.replace(from, to);
        }
        fs::write(dir.join(name), text).unwrap();
        dir.join(name)
    };
    let worker = write(
        "worker.properties",
        &[
            ("=localhost:9092", format!("={}", setup.bootstrap)),
            ("http://localhost:8081/apis/registry/v2", format!("{registry}/apis/registry/v2")),
            ("localhost:8083", format!("127.0.0.1:{}", free_port())),
            ("connect.offsets", dir.join("connect.offsets").display().to_string()),
        ],
    );
    let sink = write(
        "deals.properties",
        &[
            ("name=deals\nconnector", format!("name={}deals\nconnector", setup.prefix)),
            ("topics=wegly.deal-latest", format!("topics={}", setup.topic("wegly.deal-latest"))),
            ("localhost:5432", format!("127.0.0.1:{}", postgres.port)),
        ],
    );
    let log = dir.join("connect.log");
    let output = File::create(&log).unwrap();
    let child = Command::new("java")
        // Far from UTC: instants in the table must not follow the worker's time zone.
        .args([
            "-Xmx384m",
            "-Duser.timezone=America/Sao_Paulo",
            "-cp",
            &format!("{}/*", libraries.display()),
            "org.apache.kafka.connect.cli.ConnectStandalone",
        ])
        .args([worker, sink])
        .stderr(output.try_clone().unwrap())
        .stdout(output)
        .spawn()
        .unwrap();
    Worker { child, log }
}

/// The example's table of deals, kept for as long as this lives.
pub(crate) struct Sink {
    // Ended first.
    _worker: Worker,
    postgres: Postgres,
}

impl Sink {
    /// Of the topics of `setup`, which have to be there; says what is missing where that cannot be.
    pub(crate) fn start(test: &str, setup: &Setup) -> Option<Sink> {
        let libraries = build("connect", "lib")?;
        let Some(registry) = servers().registry.strip_suffix("/apis/ccompat/v7") else {
            leave_out(test, "the registry is not Apicurio", "unset HOOKBRIDGE_TEST_REGISTRY");
            return None;
        };
        let postgres = match Postgres::start(test) {
            Ok(postgres) => postgres,
            Err(missing) => {
                leave_out(test, &missing, "install PostgreSQL");
                return None;
            }
        };
        Some(Sink { _worker: start_worker(&libraries, setup, registry, &postgres), postgres })
    }

    /// Waits until `query` gives what `is_right` wants.
    pub(crate) fn wait(&self, what: &str, query: &str, is_right: impl Fn(Value) -> bool) {
        let answer = || serde_json::from_str(&self.postgres.ask(query)?).ok();
        eventually(what, LIMIT, || answer().is_some_and(&is_right).then_some(()));
    }
}

/// The rows that are due, by the key of each.
type Rows = BTreeMap<String, Value>;

/// Sends a state of a deal, and notes its row.
fn send(bridge: &Bridge, rows: &mut Rows, deal: usize, state: usize) {
    let id = format!("0a000000-0000-4000-8000-{deal:012x}");
    let updated_at = format!("2026-01-{:02}T12:00:{deal:02}Z", state + 1);
    let field = json!({"name": "cor", "value": "ção"});
    let payload = json!({
        "id": id, "title": format!("deal {deal} state {state} 😀"), "value": deal as f64 + 0.5, "updated_at": updated_at,
        "responsible": {"id": id, "name": format!("Ana {state}")}, "stage": {"id": id, "name": format!("S{state}")},
        "tags": [{"id": id, "name": "hot"}], "custom_fields": [field],
    });
    let row = json!({
        "title": payload["title"], "value": payload["value"], "responsible": payload["responsible"]["name"],
        "stage": payload["stage"]["name"], "fields": [field], "updated_at": updated_at,
    });
    let answer = bridge.deliver("wegly", json!({"event_key": "deal.updated", "payload": payload}).to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    rows.insert(id, row);
}

#[test]
fn a_connect_sink_keeps_a_table_of_deals_as_they_are() {
    let mut setup = Setup::new("connect");
    setup.partitions = 3;
    let bridge = setup.start();
    let mut rows = Rows::new();
    (0..20).for_each(|n| send(&bridge, &mut rows, n % 10, n / 10));
    let Some(sink) = Sink::start("examples/connect", &bridge.setup) else { return };
    let table_is = |rows: &Rows| sink.wait(&format!("the table is {rows:?}"), TABLE, |table| table == json!(rows));
    table_is(&rows);

    (5..12).for_each(|deal| send(&bridge, &mut rows, deal, 2));
    let forgotten = rows.pop_first().unwrap().0;
    let forget = bridge.setup.run(&["forget", &bridge.topic("wegly.deal-latest"), &forgotten, "--yes"]);
    assert!(forget.status.success(), "{}", words(&forget));
    table_is(&rows);
}
