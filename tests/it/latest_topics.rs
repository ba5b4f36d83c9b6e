//! What latest topics are made with.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::support::bridge::{SOON, Setup, words};
use crate::support::servers::servers;
use crate::support::{eventually, skip};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn states_of_many_years_do_not_take_a_segment_each() {
    let Some(data) = &servers().kafka_data else {
        return skip("latest-segments", "there are no files of Kafka's here", "install Java and Maven");
    };
    let bridge = Setup::new("latest-segments").start();
    // Oldest first, eight days apart.
    for n in 0..300 {
        let at = SystemTime::UNIX_EPOCH + DAY * (15_340 + 8 * n);
        let (id, at) = (format!("00000000-0000-4000-8000-00000000000{}", n % 3), humantime::format_rfc3339_millis(at));
        let body =
            json!({"event_key": "lead.updated", "payload": {"id": id, "updated_at": at.to_string()}}).to_string();
        assert_eq!(bridge.deliver("wegly", body).sum(), (200, "published".into()));
    }
    let partition = data.join(format!("{}-0", bridge.topic("wegly.lead-latest")));
    let files = fs::read_dir(&partition).unwrap().flatten().map(|file| file.file_name());
    let segments = files.filter(|name| name.to_string_lossy().ends_with(".log")).count();
    // A year each, and the one that Kafka begins with.
    assert!(segments <= 8, "{segments} segments");
}

#[test]
fn a_latest_topic_that_was_made_otherwise_is_a_finding() {
    if servers().is_mock() {
        return skip("latest-configs", "the mock cluster has no settings of topics", "install Java and Maven");
    }
    let setup = Setup::new("latest-configs");
    let topic = setup.topic("wegly.deal-latest");
    servers().create_topic(&topic, 1);
    let bridge = setup.start();
    let output = bridge.setup.run(&["check"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for (key, is, expected) in [
        ("cleanup.policy", "delete", "compact"),
        ("segment.ms", "604800000", "31536000000"),
        ("min.compaction.lag.ms", "0", "604800000"),
        ("delete.retention.ms", "86400000", "604800000"),
    ] {
        let finding = format!("FAIL   topic {topic}: {key} is {is}, expected {expected}");
        assert!(said.contains(&finding), "{finding} is not in\n{said}");
    }
    // The others were made by the program.
    assert!(said.contains("4 findings"), "{said}");
    let told = || bridge.log().iter().any(|line| line.contains("segment.ms") && line.contains(&topic)).then_some(());
    eventually("serve says so", SOON, told);
}
