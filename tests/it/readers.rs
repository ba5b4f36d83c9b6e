//! Readers that the documentation promises: Kafka's Java client, the examples in Go and Java, and the programs of
//! `docs/consuming.md`, word for word. All but Apicurio's deserializer read what `dev` has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::dev::Dev;
use crate::support::bridge::{Setup, words};
use crate::support::java::{KafkaProgram, available, run};
use crate::support::servers::servers;
use crate::support::{leave_out, python, skip};

const TOPIC: &str = "wegly.deal";
const DEAL: &str = "0a000000-0000-4000-8000-0000000000d1";

fn here(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// How many records each key has.
fn count<'a>(keys: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key.to_owned()).or_default() += 1);
    counts
}

fn lines(output: &Output) -> impl Iterator<Item = &str> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    str::from_utf8(&output.stdout).unwrap().lines()
}

/// A `dev` with deals in it, and how many records each of their keys has.
fn dev_with_deals() -> (Dev, BTreeMap<String, usize>) {
    let dev = Dev::start();
    assert!(dev.send(&["wegly", "--count", "200"]).status.success());
    let records = dev.tail(&[TOPIC]);
    let keys = count(records.iter().map(|record| record["key"].as_str().unwrap()));
    assert!(keys.len() > 10, "{keys:?}");
    (dev, keys)
}

#[test]
fn kafkas_java_client_reads_from_dev() {
    let program = match available(17).and_then(|()| KafkaProgram::get()) {
        Ok(program) => program,
        Err(missing) => return skip("Java reads from dev", &missing, "install a JDK of 17 or later, and Maven"),
    };
    let (dev, keys) = dev_with_deals();
    let records: usize = keys.values().sum();
    let output = Command::new("java")
        .args(["-cp", program.class_path(), &here("tests/it/Read.java"), &dev.kafka, TOPIC, &records.to_string()])
        .output()
        .unwrap();
    assert_eq!(count(lines(&output)), keys);
}

#[test]
fn the_go_example_reads_from_dev() {
    let dir = tempfile::tempdir().unwrap();
    let reader = dir.path().join("reader");
    let built = run(Command::new("go").arg("build").arg("-o").arg(&reader).current_dir(here("examples/go")));
    if let Err(missing) = built {
        return leave_out("examples/go", &missing, "install Go");
    }
    let (dev, keys) = dev_with_deals();
    let output = Command::new(&reader).args([&dev.kafka, &dev.registry, TOPIC, "go"]).output().unwrap();
    let records: Vec<Value> = lines(&output).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(count(records.iter().map(|record| record["key"].as_str().unwrap())), keys);
    for record in &records {
        assert_eq!(record["value"]["event"]["type"], record["type"].as_str().unwrap()["wegly.".len()..], "{record}");
        assert_eq!(record["value"]["deal"]["id"], record["key"], "{record}");
    }
}

/// A program of `docs/consuming.md`, by the first line of its block.
fn program(name: &str, dir: &Path) -> PathBuf {
    let page = fs::read_to_string(here("docs/consuming.md")).unwrap();
    let begin = page.find(&format!("```python\n# {name} ")).unwrap_or_else(|| panic!("no {name} in consuming.md")) + 10;
    let length = page[begin..].find("```").unwrap();
    let file = dir.join(name);
    // 15 seconds of quiet are for people.
    fs::write(&file, page[begin..begin + length].replace("poll(15)", "poll(8)")).unwrap();
    file
}

const PACKAGES: [&str; 5] = [
    "confluent-kafka[avro,schemaregistry]==2.16.0",
    "duckdb==2.0.1",
    "pandas==3.1.1",
    "polars==2.1.0",
    "pyarrow==26.0.1",
];

#[test]
fn the_programs_of_the_page_on_consuming_do_what_it_says() {
    let python = match python::python("venv-consuming", &PACKAGES) {
        Ok(python) => python,
        Err(missing) => return leave_out("the programs of consuming.md", &missing, python::ENABLE),
    };
    let (dev, keys) = dev_with_deals();
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| Command::new(&python).args(args).current_dir(dir.path()).output().unwrap();
    let read = |name: &str, topic: &[&str]| {
        let file = program(name, dir.path());
        run(&[&[file.to_str().unwrap(), &dev.kafka, &dev.registry], topic].concat())
    };

    // A tombstone for one of the deals.
    let gone = keys.keys().next().unwrap();
    let bury = "import sys; from confluent_kafka import Producer\n\
        p = Producer({'bootstrap.servers': sys.argv[1], 'partitioner': 'murmur2_random'})\n\
        p.produce('wegly.deal-latest', key=sys.argv[2], value=None); sys.exit(p.flush(30))";
    assert!(run(&["-c", bury, &dev.kafka, gone]).status.success());

    let latest = read("read.py", &["wegly.deal-latest"]);
    let heads: Vec<_> = lines(&latest).filter(|line| line.starts_with("wegly.deal-latest ")).collect();
    assert_eq!(count(heads.iter().map(|head| head.split(' ').nth(2).unwrap())).len(), keys.len());
    assert!(
        heads.iter().any(|head| head.ends_with(&format!(" {gone} {{}}"))) && lines(&latest).any(|line| line == "null")
    );
    let nowhere = read("read.py", &["wegly.nowhere"]);
    let said = words(&nowhere);
    assert!(!nowhere.status.success() && said.contains("wegly.nowhere") && !said.contains("Traceback"), "{said}");

    let frames = read("frames.py", &["wegly.deal-latest"]);
    assert_eq!(lines(&frames).last(), Some(&*format!("{} rows", keys.len() - 1)));
    let load = "import duckdb\nfor name in ['arrow', 'polars', 'pandas']:\n \
        id = 'deal_id' if name == 'pandas' else 'deal.id'\n \
        print(duckdb.sql(f\"select count(distinct {id}) from '{name}.parquet'\").fetchall()[0][0])";
    assert_eq!(lines(&run(&["-c", load])).collect::<Vec<_>>(), vec![(keys.len() - 1).to_string(); 3]);

    let wanted = ["deal.won", "deal.lost", "deal.stage_changed"];
    let due =
        dev.tail(&["wegly.deal"]).iter().filter(|r| wanted.iter().any(|ty| r["value"]["event"]["type"] == *ty)).count();
    let any = read("any_deal.py", &[]);
    let shaped: Vec<Value> = lines(&any).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(shaped.len(), due);
    assert!(shaped.iter().all(|record| keys.contains_key(record["deal"]["id"].as_str().unwrap())));

    let tail = dev.tail(&["wegly.deal-latest"]).into_iter().map(|line| line.to_string() + "\n").collect::<String>();
    fs::write(dir.path().join("deals.jsonl"), tail).unwrap();
    let query = "import duckdb; print(duckdb.sql(\"select count(distinct value.deal.id), \
        any_value(typeof(value.event.received_at)) from read_json('deals.jsonl')\").fetchall()[0])";
    let found = run(&["-c", query]);
    assert_eq!(lines(&found).collect::<String>(), format!("({}, 'TIMESTAMP WITH TIME ZONE')", keys.len()));
}

#[test]
fn apicurios_deserializer_reads_generic_records_and_generated_classes() {
    let registry = servers().registry.strip_suffix("/apis/ccompat/v7").filter(|_| !servers().is_mock());
    let Some(registry) = registry else {
        return leave_out("examples/java", "it needs a real Kafka, and Apicurio", "install Java 21 and Maven");
    };
    if let Err(missing) = available(17) {
        return skip("examples/java", &missing, "install a JDK of 17 or later, and Maven");
    }
    let mut setup = Setup::new("apicurio");
    setup.partitions = 3;
    let bridge = setup.start();
    let schemas = bridge.setup.dir.path().join("schemas").display().to_string();
    let exported = bridge.setup.run(&["schemas", "export", "--dir", &schemas]);
    assert!(exported.status.success(), "{}", words(&exported));
    let package = ["-q", "-B", "package", &format!("-Dschemas={schemas}")];
    run(Command::new("mvn").args(package).current_dir(here("examples/java"))).unwrap();

    for key in ["deal.won", "deal.lost", "deal.stage_changed"] {
        let body = json!({"event_key": key, "payload": {"deal": {"id": DEAL, "title": "T"}}});
        assert_eq!(bridge.deliver("wegly", body.to_string()).status, 200);
    }
    for form in ["generic", "specific"] {
        let output = Command::new("java")
            .args(["-jar", &here("examples/java/target/reader.jar"), &bridge.setup.bootstrap])
            .args([&format!("{registry}/apis/registry/v3"), &bridge.topic("wegly.deal"), form])
            .output()
            .unwrap();
        let read: Vec<_> = lines(&output).map(|line| line.split(' ').collect::<Vec<_>>()).collect();
        assert_eq!(
            read.iter().map(|words| words[1]).collect::<Vec<_>>(),
            ["wegly.deal.won", "wegly.deal.stage_changed"]
        );
        assert!(read.iter().all(|words| [words[0], words[2], words[4]] == [DEAL, form, DEAL]), "{read:?}");
    }
}
