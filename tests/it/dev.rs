//! `dev`, and the tools a data team reaches for: everything in one process, no other server needed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::foreign_client::read_back;
use crate::partitions::partition_of_12;
use crate::support::bridge::{EVENT_TOPICS, SOON, SUBJECTS};
use crate::support::eventually;
use crate::support::sender::{self, WEGLY_HEADER, WHAZING_HEADER, hex, mac};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hookbridge");

/// A running `dev` on free ports; killed when dropped.
pub(crate) struct Dev {
    child: Child,
    pub(crate) url: String,
    pub(crate) kafka: String,
    pub(crate) registry: String,
    /// What it printed after its greeting.
    said: Arc<Mutex<Vec<String>>>,
}

impl Dev {
    pub(crate) fn start() -> Dev {
        Dev::start_with(&[])
    }

    pub(crate) fn start_with(more: &[&str]) -> Dev {
        Dev::start_by(&mut Command::new(PROGRAM), more)
    }

    /// One that only commands find which have `home` for temporary files; it is started in that folder.
    pub(crate) fn start_in(home: &Path, more: &[&str]) -> Dev {
        Dev::start_by(Command::new(PROGRAM).current_dir(home).env("TMPDIR", home), more)
    }

    fn start_by(program: &mut Command, more: &[&str]) -> Dev {
        let free = ["--listen", "--admin-listen", "--kafka-listen", "--registry-listen"];
        let args = free.iter().flat_map(|flag| [*flag, "127.0.0.1:0"]).chain(more.iter().copied());
        let mut child = program.arg("dev").args(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in &mut lines {
            greeting += &(line.unwrap() + "\n");
            if greeting.contains("--rate") {
                break;
            }
        }
        let said = Arc::<Mutex<Vec<String>>>::default();
        let lines_said = Arc::clone(&said);
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| lines_said.lock().unwrap().push(line)));
        // The next commands to type name what is not where it usually is.
        let flag = |name: &str| {
            let at = greeting.find(name).unwrap_or_else(|| panic!("no {name} in {greeting}"));
            greeting[at..].split_whitespace().nth(1).unwrap().to_owned()
        };
        assert!(greeting.contains("not for production"), "{greeting}");
        Dev { child, url: flag("--url"), kafka: flag("--kafka"), registry: flag("--registry"), said }
    }

    /// The line with all of `words` in it.
    fn line(&self, words: &[&str]) -> String {
        eventually(&format!("a line with {words:?}"), SOON, || {
            let said = self.said.lock().unwrap();
            said.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned()
        })
    }

    /// Where webhooks go.
    pub(crate) fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    pub(crate) fn send(&self, args: &[&str]) -> Output {
        run(&[&["send"], args, &["--url", &self.url]].concat())
    }

    /// Lines of `tail`, as JSON.
    pub(crate) fn tail(&self, args: &[&str]) -> Vec<Value> {
        let output = run(&[&["tail"], args, &["--kafka", &self.kafka, "--registry", &self.registry]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_foreign_client_reads_from_dev_what_send_posted() {
    let dev = Dev::start();
    let sent = dev.send(&["wegly", "--count", "1000"]);
    assert!(sent.status.success() && text(&sent.stdout).contains("published                      1000"), "{sent:?}");
    assert!(dev.send(&["whazing", "--count", "80"]).status.success());

    let topics: Vec<_> = EVENT_TOPICS.iter().map(|&topic| topic.to_owned()).collect();
    let Some(found) = read_back(&dev.kafka, &dev.registry, &topics) else { return };
    assert_eq!(found.values().filter(|record| record["topic"].as_str().unwrap().starts_with("wegly.")).count(), 1000);
    for record in found.values() {
        let key = record["key"].as_str().unwrap();
        assert_eq!(record["partition"], partition_of_12(key), "{key}");
        assert_eq!(record["record"]["event"]["entity_id"], key);
    }
}

#[test]
fn each_request_has_a_line() {
    const JSON: (&str, &str) = ("content-type", "application/json");
    let dev = Dev::start();
    let post = |path: &str, headers: &[(&str, &str)], body: &str| {
        sender::post(dev.address(), path, &[headers, &[JSON]].concat(), body.as_bytes()).status
    };
    let id = "00000000-0000-4000-8000-0000000000ee";
    let won = format!(r#"{{"event_key":"deal.won","payload":{{"deal":{{"id":"{id}","title":"private"}}}}}}"#);
    let signature = hex(&mac("demo-wegly-secret", won.as_bytes()));
    let key = (WHAZING_HEADER, "demo-whazing-token");
    assert_eq!(post("/webhooks/wegly", &[(WEGLY_HEADER, &signature)], &won), 200);
    let line = dev.line(&["200", "deal.won"]);
    let place = format!("wegly.deal/{}@0", partition_of_12(id));
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["200", "wegly", "deal.won", id, &place], "{line}");
    assert_eq!(post("/webhooks/wegly", &[(WEGLY_HEADER, &signature)], "{}"), 401);
    let line = dev.line(&["401"]);
    assert!(line.starts_with("401  wegly    refused (wrong): "), "{line}");
    assert_eq!(post("/webhooks/whazing", &[key], r#"{"private":1}"#), 202);
    let line = dev.line(&["202", "whazing"]);
    assert!(
        line.contains("dead letter (unknown_type): hookbridge.dead-letters/")
            && line.contains("@0; see: hookbridge dead-letters show "),
        "{line}"
    );
    assert_eq!(post("/webhooks/whazing", &[key], r#"{"event":"test"}"#), 200);
    dev.line(&["200", "whazing", "ignored"]);
    assert_eq!(post("/webhooks/secret-of-nobody", &[], "{}"), 404);
    assert!(dev.line(&["404"]).contains("refused (unknown_source)"));
    let said = dev.said.lock().unwrap().join("\n");
    assert_eq!(said.lines().filter(|line| !line.is_empty()).count(), 5, "{said}");
    for hidden in ["private", "demo-", "of-nobody", &signature, "\u{1b}"] {
        assert!(!said.contains(hidden), "{hidden} in {said}");
    }
}

#[test]
fn a_load_adds_up() {
    let dev = Dev::start();
    let sent = text(&dev.send(&["wegly", "deal.won", "--rate", "200", "--for", "2s"]).stdout);
    assert!(sent.starts_with("sent 400 in ") && sent.contains("published                       400"), "{sent}");
    assert_eq!(dev.tail(&["wegly.deal"]).len(), 400);
}

#[test]
fn tail_finds_by_place_key_and_type() {
    let dev = Dev::start();
    assert!(dev.send(&["wegly", "--count", "66", "--seed", "5"]).status.success());
    let with_links = dev.tail(&["wegly.*", "--headers"]);
    let all: Vec<_> =
        with_links.iter().filter(|r| EVENT_TOPICS.contains(&r["topic"].as_str().unwrap_or_default())).collect();
    assert_eq!(all.len(), 66);
    let won: Vec<_> = all.iter().filter(|r| r["headers"]["ce_type"] == "wegly.deal.won").collect();
    assert_eq!(won.len(), 2);
    assert_eq!(won[0]["value"]["event"]["type"], "deal.won");
    assert!(won[0]["value"]["deal"]["created_at"].as_str().is_none_or(|t| t.ends_with('Z')));
    let key = won[0]["key"].as_str().unwrap();

    assert_eq!(dev.tail(&["wegly.deal", "--type", "deal.won"]).len(), 2);
    let of_key = dev.tail(&["wegly.deal", "--key", key]);
    assert_eq!(of_key.iter().map(|r| r["key"].as_str().unwrap()).collect::<BTreeSet<_>>(), BTreeSet::from([key]));
    assert_eq!(dev.tail(&["wegly.*", "--count", "3"]).len(), 3);
    assert_eq!(dev.tail(&["wegly.*", "--from", "2100-01-01T00:00:00Z"]).len(), 0);
    assert!(dev.tail(&["wegly.*", "--from", "1"]).len() < with_links.len());
    assert_eq!(run(&["tail", "nowhere", "--kafka", &dev.kafka]).status.code(), Some(69));
}

#[test]
fn tail_ends_quietly_when_its_pipe_is_closed() {
    let dev = Dev::start();
    assert!(dev.send(&["wegly", "--count", "300"]).status.success());
    let mut tail = Command::new(PROGRAM)
        .args(["tail", "wegly.*", "--follow", "--kafka", &dev.kafka, "--registry", &dev.registry])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(tail.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"topic\":"), "{first}");
    // The reader is gone; what `tail` writes next tells it.
    assert!(dev.send(&["wegly", "--count", "300"]).status.success());
    let output = tail.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn dead_letters_are_shown_as_the_text_they_were() {
    let dev = Dev::start();
    let signed = text(&dev.send(&["whazing", "ticket.closed", "--dry-run"]).stdout);
    let command = signed.replace("\"Type\":\"ClosedTicket\"", "\"Type\":\"Other\"");
    let posted = Command::new("sh").arg("-c").arg(&command).output().unwrap();
    assert!(text(&posted.stdout).contains("unknown_type"), "{posted:?}\n{command}");
    let letters = dev.tail(&["hookbridge.dead-letters", "--headers"]);
    assert!(letters[0]["value"].as_str().unwrap().contains("\"Type\":\"Other\""), "{letters:?}");
    assert_eq!(letters[0]["headers"]["hookbridge_reason"], "unknown_type");
}

#[test]
fn schemas_are_shown_exported_registered_and_checked() {
    let dev = Dev::start();
    let registry = ["--registry", dev.registry.as_str()];
    let schemas = |args: &[&str]| run(&[&["schemas"], args, &registry].concat());

    assert_eq!(text(&schemas(&["list"]).stdout).lines().count(), 77);
    let tree = text(&schemas(&["show", "wegly.LeadStageChanged"]).stdout);
    assert!(tree.contains("previous_stage: wegly.StageSummary?") && tree.contains("1 = open, 2 = won, 3 = lost."));
    assert_eq!(schemas(&["show", "wegly.Nothing"]).status.code(), Some(64));

    let same = schemas(&["check"]);
    assert_eq!(text(&same.stdout).matches("same  ").count(), SUBJECTS);
    assert!(same.status.success());
    assert!(schemas(&["register"]).status.success());

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert!(schemas(&["export", "--dir", path]).status.success());
    // One after the other, each file parses with those before it and nothing else.
    let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let texts: Vec<_> = files.iter().map(|f| std::fs::read_to_string(f).unwrap()).collect();
    for count in 1..=texts.len() {
        apache_avro::Schema::parse_list(&texts[..count]).unwrap_or_else(|e| panic!("{:?}: {e}", files[count - 1]));
    }
    let bundle = tempfile::tempdir().unwrap();
    assert!(schemas(&["export", "--bundle", "--dir", bundle.path().to_str().unwrap()]).status.success());
    assert_eq!(std::fs::read_dir(bundle.path()).unwrap().count(), 45);
}

#[test]
fn a_schema_that_the_registry_refuses_fails_the_check() {
    let dev = Dev::start();
    let dir = tempfile::tempdir().unwrap();
    let catalog = dir.path().join("catalog/wegly");
    std::fs::create_dir_all(&catalog).unwrap();
    let lead = std::fs::read_to_string("avro/wegly/LeadSnapshot.avsc").unwrap();
    // A new field without a default: what old records do not have, a new reader cannot make up.
    let weight = r#"{"name": "weight", "type": "double", "doc": "Weight."}, {"name": "extra""#;
    let incompatible = lead.replace(r#"{"name": "extra""#, weight);
    assert_ne!(lead, incompatible);
    std::fs::write(catalog.join("LeadSnapshot.avsc"), incompatible).unwrap();
    let file = dir.path().join("hookbridge.toml");
    let mut config = std::fs::File::create(&file).unwrap();
    write!(
        config,
        "[kafka]\nbootstrap_servers = {:?}\n[registry]\nurl = {:?}\n[catalog]\ndir = {:?}\n[sources.wegly]\nsecrets = [\"x\"]\n",
        dev.kafka,
        dev.registry,
        dir.path().join("catalog"),
    )
    .unwrap();
    let checked = run(&["schemas", "check", "--config", file.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(text(&checked.stdout).contains("REFUSED"), "{checked:?}");
    assert!(text(&checked.stdout).lines().any(|l| l.starts_with("wegly.task-value ") && l.contains("same")));
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in ["serve", "check", "dev", "send", "tail", "schemas", "docs"] {
        let help = text(&run(&[command, "--help"]).stdout);
        assert!(help.contains("Example") && help.contains(&format!("hookbridge {command}")), "{help}");
    }
    assert_eq!(run(&["send"]).status.code(), Some(64));
    assert_eq!(run(&["send", "wegly", "no.such.type"]).status.code(), Some(64));
}
