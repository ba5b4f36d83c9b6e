//! A spool that the disk has damaged: every start serves, what was not hit arrives, nothing altered does, and all is said.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::eventually;
use crate::support::mock::Mock;
use crate::support::reader;

/// A ticket event of `ticket` that is told from the others by its marker.
fn ticket(n: u32) -> String {
    format!(r#"{{"Type":"NewTicket","ticket":{{"id":{n}}},"marker":"<{n}>"}}"#)
}

/// Events that wait in the spool of a bridge that was killed.
fn killed(test: &str, events: u32) -> (Mock, Setup, Vec<String>) {
    let (kafka, setup) = Setup::on_its_own_kafka(test, &[]);
    kafka.go_down();
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let spooled = |n| {
        let answer = bridge.deliver("whazing", ticket(n));
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.get("id")
    };
    let ids = (0..events).map(spooled).collect();
    let setup = bridge.setup.clone();
    drop(bridge);
    (kafka, setup, ids)
}

fn damage(file: &Path, part: &str) {
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<_> =
        (0..bytes.len() - part.len()).filter(|&at| &bytes[at..at + part.len()] == part.as_bytes()).collect();
    for at in places {
        bytes[at] = b'!';
    }
    fs::write(file, bytes).unwrap();
}

fn published(kafka: &Mock, bridge: &Bridge) -> Vec<String> {
    let records = reader::read_from(&kafka.address, &bridge.topic("whazing.ticket"));
    records.iter().map(|record| record.header("ce_id").unwrap().to_owned()).collect()
}

fn files(setup: &Setup, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(setup.data_dir()).unwrap().flatten().map(|entry| entry.path());
    let of = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("spool.damaged-") && name.ends_with(end)
    };
    entries.filter(of).collect()
}

#[test]
fn a_delivery_that_was_altered_on_disk_is_not_published_and_the_others_are() {
    let (kafka, setup, ids) = killed("damage-altered", 20);
    let output = setup.run(&["spool", "recover"]);
    assert!(words(&output).contains("no damaged file"), "{}", words(&output));
    damage(&setup.data_dir().join("spool.db"), "<7>");
    damage(&setup.data_dir().join("spool.db-wal"), "<7>");
    kafka.come_up();
    let bridge = setup.start_unready();
    eventually("all others are published", SOON, || (published(&kafka, &bridge).len() == 19).then_some(()));
    assert!(!published(&kafka, &bridge).contains(&ids[7]));
    let answer = eventually("events go straight to Kafka", SOON, || {
        let answer = bridge.deliver("whazing", ticket(100));
        (answer.status == 200).then_some(answer)
    });
    assert!(published(&kafka, &bridge).contains(&answer.get("id")));
}

#[test]
fn a_file_that_is_no_database_any_more_is_put_aside_and_the_bridge_serves() {
    let (kafka, setup, _) = killed("damage-garbage", 3);
    fs::write(setup.data_dir().join("spool.db"), vec![0x5a; 40_000]).unwrap();
    let _ = fs::remove_file(setup.data_dir().join("spool.db-wal"));
    kafka.come_up();
    let bridge = setup.start_unready();
    eventually("it serves", SOON, || (bridge.deliver("whazing", ticket(1)).status == 200).then_some(()));
    let (status, report) = bridge.readyz();
    let note = report["spool"]["note"].as_str().unwrap_or_default().to_owned();
    assert!(status == 200 && note.contains("was put aside: 0 deliveries recovered, 0 lost"), "{report}");
    assert_eq!(bridge.metric("hookbridge_spool_recoveries_total"), 1);
    eventually("it is counted", SOON, || (bridge.metric("hookbridge_spool_damaged_files") == 1).then_some(()));
    assert_eq!((files(&bridge.setup, ".db").len(), files(&bridge.setup, ".txt").len()), (1, 1));
    kafka.go_down();
    eventually("the new spool takes events", SOON, || {
        (bridge.deliver("whazing", ticket(2)).status == 202).then_some(())
    });
    let (_, report) = bridge.readyz();
    assert_eq!(report["spool"]["ok"], Value::Bool(true), "{report}");
}

#[test]
fn damage_that_happens_while_the_bridge_runs_costs_what_was_hit_and_no_restart() {
    let (kafka, setup) = Setup::on_its_own_kafka("damage-running", &[]);
    kafka.go_down();
    let bridge = setup.start_unready();
    bridge.wait_ready();
    for n in 0..300 {
        assert_eq!(bridge.deliver("whazing", ticket(n)).status, 202);
    }
    // All pages but the first, as a controller that has lost its cache leaves them.
    let file = bridge.setup.data_dir().join("spool.db");
    eventually("the log is copied into the file", SOON, || {
        let output = bridge.setup.run(&["spool", "inspect"]);
        (output.status.code() == Some(0)).then_some(())
    });
    let length = fs::metadata(&file).unwrap().len();
    fs::write(bridge.setup.data_dir().join("spool.db-wal"), []).unwrap();
    let garbage = vec![0xa5; usize::try_from(length.saturating_sub(4096)).unwrap().max(4096)];
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(4096);
    bytes.extend(garbage);
    fs::write(&file, bytes).unwrap();
    kafka.come_up();
    eventually("new events are published", SOON, || {
        (bridge.deliver("whazing", ticket(1000)).status == 200).then_some(())
    });
    eventually("the lane opens for the keys that are lost", SOON, || {
        (bridge.deliver("whazing", ticket(5)).status == 200).then_some(())
    });
    kafka.go_down();
    eventually("the spool takes events", SOON, || {
        (bridge.deliver("whazing", ticket(1001)).status == 202).then_some(())
    });
    kafka.come_up();
    eventually("and gives them", SOON, || {
        let series = format!("hookbridge_spool_records{{lane=\"{}\"}}", bridge.topic("whazing.ticket"));
        (bridge.metric(&series) == 0).then_some(())
    });
}
