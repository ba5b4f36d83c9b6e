//! `hookbridge check` and the exit codes: what a person who sets the bridge up is told.

use std::fs;

use crate::support::bridge::{SOON, SUBJECTS, Setup, run, words};
use crate::support::java::free_port;
use crate::support::registry;
use crate::support::servers::servers;
use crate::support::{eventually, say};

/// Runs `check` and expects its exit code and words.
fn check(setup: &Setup, code: i32, expected: &[&str]) -> String {
    let output = setup.run(&["check"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for words in expected {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    said
}

#[test]
fn before_the_first_start_all_is_well_and_nothing_is_changed() {
    let setup = Setup::new("check-new");
    check(&setup, 0, &["all well", "does not exist yet", &format!("0 registered, {SUBJECTS} new")]);
    assert!(!setup.data_dir().exists());
    let subject = format!("/subjects/{}/versions", setup.topic("wegly.task-value"));
    let found = registry::fetch(&format!("{}{subject}", servers().registry));
    assert!(found["error_code"].is_number(), "check registered a schema: {found}");
}

#[test]
fn after_a_start_it_finds_topics_and_schemas() {
    let bridge = Setup::new("check-there").start();
    check(&bridge.setup, 0, &["topics: 19 of 19 exist", &format!("{SUBJECTS} registered, 0 new"), "all well"]);
}

#[test]
fn topics_that_are_missing_and_may_not_be_made_are_a_finding() {
    let mut setup = Setup::new("check-missing");
    setup.kafka = "create_topics = false\n".into();
    let topic = setup.topic("wegly.lead");
    check(&setup, 1, &["FAIL", &topic, "create_topics", "19 findings"]);
}

#[test]
fn topics_that_cannot_be_joined_are_found_and_named_with_how_to_mend_them() {
    let mut setup = Setup::new("check-uneven");
    if servers().is_mock() {
        return say(
            "skipped, since the stand-in makes no topics: install Java and Maven, or set HOOKBRIDGE_TEST_KAFKA",
        );
    }
    setup.partitions = 3;
    setup.kafka = "join_topics = false\n".into();
    let mut setup = setup.start().setup.clone();
    check(&setup, 0, &["all well"]);
    let uneven = setup.topic("wegly.chat-by-deal");
    servers().create_topic(&uneven, 2);
    // What is made later fits what is there, whatever the configuration says by then.
    setup.partitions = 2;
    setup.kafka = String::new();
    let expected = format!(
        "partition counts differ: {uneven} has 2, the others have 3; topics that are joined by key need the same count: \
         delete the differing ones and let hookbridge create them again"
    );
    check(&setup, 1, &[&expected, "1 finding"]);
    let bridge = setup.start();
    let told = || bridge.log().iter().any(|line| line.contains("partition counts differ")).then_some(());
    eventually("serve says so", SOON, told);
    check(&bridge.setup, 1, &["19 of 19", &expected]);
}

#[test]
fn one_broker_is_warned_of_once_for_all_topics_and_is_no_finding() {
    let setup = Setup::new("check-replicas");
    if servers().is_mock() {
        return say("skipped, since the stand-in has no configuration of topics: install Java and Maven");
    }
    let bridge = setup.start();
    let said = check(
        &bridge.setup,
        0,
        &["warn   a 200 may mean that only one replica has the event", "has 1 broker", "all well"],
    );
    let lines: Vec<_> = said.lines().filter(|line| line.contains("one replica")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(lines[0].contains(&bridge.topic("wegly.deal")) && lines[0].contains("min.insync.replicas=2"), "{said}");
    let told = || bridge.log().iter().any(|line| line.contains("one replica")).then_some(());
    eventually("serve says so", SOON, told);
}

#[test]
fn what_is_down_is_unavailable() {
    let mut setup = Setup::new("check-kafka-down");
    setup.bootstrap = format!("127.0.0.1:{}", free_port());
    check(&setup, 69, &["DOWN   kafka", "ok     registry", "1 not available"]);
    let mut setup = Setup::new("check-registry-down");
    setup.registry_url = format!("http://127.0.0.1:{}", free_port());
    check(&setup, 69, &["ok     kafka", "DOWN   registry", "1 not available"]);
}

#[test]
fn serial_numbers_of_two_sources_in_one_topic_are_warned_of() {
    let mut setup = Setup::new("check-shared");
    setup.sources =
        "[sources.a]\nprofile = \"whazing\"\ntokens = [\"a\"]\n[sources.b]\nprofile = \"whazing\"\ntokens = [\"b\"]\n"
            .into();
    check(&setup, 0, &["warn", "whazing.ticket", "serial numbers"]);
    setup.sources += "topic_prefix = \"b.\"\n";
    let said = check(&setup, 0, &["all well"]);
    assert!(!said.contains("serial numbers"), "{said}");
}

#[test]
fn an_error_in_the_configuration_names_the_key_and_never_a_secret() {
    let minimal = "[kafka]\nbootstrap_servers = \"localhost:1\"\n[registry]\nurl = \"http://localhost:1\"\n";
    let source = "[sources.wegly]\nsecrets = [\"hunter2\"]\n";
    let cases: Vec<(String, &str)> = vec![
        (format!("colour = 1\n{minimal}{source}"), "colour"),
        (format!("{minimal}{source}secret = \"hunter2\"\n"), "sources.wegly"),
        (format!("{minimal}{source}rate_limit = \"hunter2\"\n"), "sources.wegly.rate_limit"),
        (format!("[http]\nack_timeout = \"soon\"\n{minimal}{source}"), "http.ack_timeout"),
        (format!("{minimal}[sources.wegly]\n"), "sources.wegly.secrets"),
        (format!("{minimal}[sources.wegly]\nsecrets = [\"  \"]\n"), "sources.wegly.secrets"),
        (format!("{minimal}[sources.wegly]\nsecrets = [\"${{NOT_SET_ANYWHERE}}\"]\n"), "sources.wegly.secrets"),
        (format!("{minimal}[sources.wegly]\nsecrets = [\"${{file:/no/such/file}}\"]\n"), "sources.wegly.secrets"),
        (format!("{minimal}[sources.wegly]\ntokens = [\"hunter2\"]\n"), "sources.wegly.tokens"),
        (format!("{minimal}[sources.acme]\nsecrets = [\"hunter2\"]\n"), "sources.acme.profile"),
        (format!("{minimal}{source}allow_unauthenticated = true\n"), "sources.wegly.allow_unauthenticated"),
        (format!("{minimal}{source}[kafka.properties]\nacks = 1\n"), "kafka.properties.acks"),
        (format!("{minimal}{source}[kafka.properties]\n\"no.such\" = 1\n"), "kafka.properties.no.such"),
        (
            format!("{minimal}{source}[kafka.properties]\nsecurity.protocol = \"hunter2\"\n"),
            "kafka.properties.security",
        ),
        (minimal.to_owned(), "sources"),
        (source.to_owned(), "kafka.bootstrap_servers"),
        (format!("[kafka]\nbootstrap_servers = \"localhost:1\"\n{source}"), "registry.url"),
        (format!("{minimal}username = \"u\"\npassword = \"hunter2\"\ntoken = \"hunter2\"\n{source}"), "registry.token"),
        ("[sources.wegly]\nsecrets = [\"hunter2\"\n".to_owned(), "hookbridge.toml:3: unclosed"),
    ];
    for (text, key) in cases {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hookbridge.toml");
        fs::write(&file, format!("data_dir = {:?}\n{text}", dir.path().join("data"))).unwrap();
        for command in ["check", "serve"] {
            let output = run(&[command], &file);
            let said = words(&output);
            assert_eq!(output.status.code(), Some(78), "{text}{said}");
            assert!(said.contains(key), "{key} is not in {said:?} of\n{text}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

#[test]
fn wrong_usage_is_64_and_help_is_no_error() {
    let setup = Setup::new("usage");
    assert_eq!(setup.run(&["chekc"]).status.code(), Some(64));
    assert_eq!(setup.run(&["check", "--colour"]).status.code(), Some(64));
    for args in [&["--help"][..], &["check", "--help"], &["serve", "--help"], &["--version"]] {
        let output = setup.run(args);
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn a_kafka_that_does_not_say_how_topics_are_set_is_said_in_words() {
    let (_kafka, setup) = Setup::on_its_own_kafka("check-configs", &[]);
    let said = words(&setup.run(&["check"]));
    assert!(said.contains("this Kafka does not offer DescribeConfigs"), "{said}");
    assert!(!said.contains("TimedOut"), "{said}");
}
