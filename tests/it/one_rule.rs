//! One rule of configuration: which servers a command talks to, and what it says of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::dev::Dev;

const KEY: &str = "11111111-1111-4111-8111-111111111111";

/// Every command that talks to servers, or to a bridge.
const COMMANDS: [&[&str]; 11] = [
    &["send", "wegly", "deal.won"],
    &["tail", "wegly.deal"],
    &["tail", "wegly.*", "--last", "1"],
    &["where", "wegly.deal", KEY],
    &["forget", "wegly.deal-latest", KEY, "--dry-run"],
    &["forget", "wegly.deal-latest", KEY, "--yes"],
    &["audit"],
    &["dead-letters", "list"],
    &["dead-letters", "replay", "--all"],
    &["schemas", "check"],
    &["schemas", "list"],
];

/// Runs a command in `folder`, where nothing of this process's environment chooses servers; it finds a `dev` by `home`.
fn run(folder: &Path, home: &Path, variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookbridge"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).env("TMPDIR", home);
    command.env_remove("HOOKBRIDGE_CONFIG").env_remove("HOOKBRIDGE_SECRET");
    command.envs(variables.iter().copied()).output().unwrap()
}

/// The first line on standard error, and that it ended well.
fn first_line(output: &Output, args: &[&str]) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {said}{}", String::from_utf8_lossy(&output.stdout));
    said.lines().next().unwrap_or_default().to_owned()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A configuration of a bridge at the servers of `dev`, with the demo's secrets.
fn configuration(dev: &Dev) -> String {
    format!(
        "[http]\nlisten = {:?}\n[kafka]\nbootstrap_servers = {:?}\n[registry]\nurl = {:?}\n\
         [sources.wegly]\nsecrets = [\"demo-wegly-secret\"]\n",
        dev.address().to_string(),
        dev.kafka,
        dev.registry
    )
}

#[test]
fn without_a_file_commands_use_the_dev_that_runs_and_say_so() {
    let (home, elsewhere) = (folder(), folder());
    let dev = Dev::start_in(home.path(), &[]);
    for args in COMMANDS {
        let first = first_line(&run(elsewhere.path(), home.path(), &[], args), args);
        assert!(first.starts_with("hookbridge: no hookbridge.toml in this folder: using "), "{args:?}: {first}");
        let server = match args[0] {
            "send" => &dev.url,
            "schemas" if args[1] == "check" => &dev.registry,
            "schemas" => "the sources",
            _ => &dev.kafka,
        };
        assert!(first.contains(server) && first.contains("of `hookbridge dev`, process "), "{args:?}: {first}");
    }
    // What it has written is a configuration for any command.
    let written = fs::read_dir(home.path()).unwrap().flatten().map(|entry| entry.path().join("hookbridge.toml"));
    let written = written.filter(|file| file.exists()).map(|file| file.display().to_string()).next().unwrap();
    let inspected = run(elsewhere.path(), elsewhere.path(), &[], &["spool", "inspect", "--config", &written]);
    assert_eq!(first_line(&inspected, &["spool"]), "");
    drop(dev);
    // It is killed, so its folder is left; nobody takes it for one that runs.
    let gone = run(elsewhere.path(), home.path(), &[], &["tail", "no.such.topic"]);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("no `hookbridge dev` runs"), "{gone:?}");
    assert_eq!(gone.status.code(), Some(69), "{gone:?}");
    // The next one removes it, and nobody else's.
    let folders = || fs::read_dir(home.path()).unwrap().flatten().filter(|entry| entry.path().is_dir()).count();
    fs::create_dir(home.path().join("hookbridge-dev-x")).unwrap();
    let _dev = Dev::start_in(home.path(), &[]);
    assert_eq!(folders(), 2);
}

#[test]
fn the_file_in_the_folder_or_the_one_that_is_named_is_read_without_a_word() {
    let (home, here, elsewhere) = (folder(), folder(), folder());
    let dev = Dev::start_in(home.path(), &[]);
    let file = here.path().join("hookbridge.toml");
    fs::write(&file, configuration(&dev)).unwrap();
    let named = file.display().to_string();
    for args in COMMANDS {
        assert_eq!(first_line(&run(here.path(), here.path(), &[], args), args), "", "{args:?}");
        let with_config = [args, &["--config", &named]].concat();
        assert_eq!(first_line(&run(elsewhere.path(), here.path(), &[], &with_config), args), "", "{args:?}");
        let by_variable = [("HOOKBRIDGE_CONFIG", &*named)];
        assert_eq!(first_line(&run(elsewhere.path(), here.path(), &by_variable, args), args), "", "{args:?}");
    }
    // A file in the folder goes before a `dev` that runs; a flag goes before both.
    fs::write(&file, configuration(&dev).replace(&dev.kafka, "127.0.0.1:1")).unwrap();
    let args = ["where", "wegly.deal", KEY];
    let other = run(here.path(), home.path(), &[], &args);
    assert_eq!(other.status.code(), Some(69), "{other:?}");
    assert!(String::from_utf8_lossy(&other.stderr).starts_with("hookbridge: kafka 127.0.0.1:1: "), "{other:?}");
    let typed = run(here.path(), home.path(), &[], &[&args[..], &["--kafka", &dev.kafka]].concat());
    assert_eq!(first_line(&typed, &args), "");
}

#[test]
fn the_environment_alone_is_a_configuration_and_is_named() {
    let (home, here) = (folder(), folder());
    let dev = Dev::start_in(home.path(), &[]);
    let listen = dev.address().to_string();
    let mut variables = vec![
        ("HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS", dev.kafka.as_str()),
        ("HOOKBRIDGE__REGISTRY__URL", &dev.registry),
        ("HOOKBRIDGE__HTTP__LISTEN", &listen),
    ];
    for args in COMMANDS {
        let first = first_line(&run(here.path(), here.path(), &variables, args), args);
        assert!(first.starts_with("hookbridge: no hookbridge.toml in this folder: using "), "{args:?}: {first}");
        let variable = match args[0] {
            "schemas" if args[1] == "check" => "HOOKBRIDGE__REGISTRY__URL",
            "send" => "HOOKBRIDGE__HTTP__LISTEN",
            "schemas" => "of `hookbridge dev`",
            _ => "HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS",
        };
        assert!(first.contains(variable), "{args:?}: {first}");
    }
    // `serve` and what looks after it want all of it.
    let checked = run(here.path(), here.path(), &variables, &["check"]);
    assert_eq!(checked.status.code(), Some(78), "{checked:?}");
    variables.push(("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "[\"demo-wegly-secret\"]"));
    let checked = run(here.path(), here.path(), &variables, &["check"]);
    assert!([Some(0), Some(1)].contains(&checked.status.code()), "{checked:?}");
    assert!(String::from_utf8_lossy(&checked.stdout).contains(&format!("ok     kafka {}", dev.kafka)), "{checked:?}");
    assert_eq!(run(here.path(), here.path(), &[], &["check"]).status.code(), Some(78));
    // Over a file it is said too, since what is in the file is not what is used.
    fs::write(here.path().join("hookbridge.toml"), configuration(&dev)).unwrap();
    let args = ["where", "wegly.deal", KEY];
    let first = first_line(&run(here.path(), here.path(), &variables[..1], &args), &args);
    let expected = format!("hookbridge: using Kafka {} (HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS)", dev.kafka);
    assert_eq!(first, expected);
}

#[test]
fn the_commands_that_dev_prints_work_in_a_folder_with_another_configuration() {
    let home = folder();
    let other = "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[registry]\nurl = \"http://127.0.0.1:1\"\n\
                 [sources.wegly]\nsecrets = [\"another\"]\n";
    fs::write(home.path().join("hookbridge.toml"), other).unwrap();
    let dev = Dev::start_in(home.path(), &[]);
    let send = ["send", "wegly", "deal.won", "--url", &dev.url];
    let first = first_line(&run(home.path(), home.path(), &[], &send), &send);
    assert!(first.contains("the secret of `hookbridge dev`"), "{first}");
    let tail = ["tail", "wegly.deal", "--kafka", &dev.kafka, "--registry", &dev.registry];
    assert_eq!(first_line(&run(home.path(), home.path(), &[], &tail), &tail), "");
}

#[test]
fn what_is_wrong_is_called_by_the_flag_or_the_variable_that_says_it() {
    const KAFKA: (&str, &str) = ("HOOKBRIDGE__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9");
    const SOURCE: (&str, &str) = ("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "s3cret");
    let (home, elsewhere) = (folder(), folder());
    let check = ["check", "--offline"];
    for (args, variables, place) in [
        (&["tail", "x", "--kafka", "no port"][..], &[KAFKA][..], "--kafka"),
        (&["tail", "x", "--registry", "localhost:8081"], &[], "--registry"),
        (&["schemas", "check", "--registry", "ftp://x"], &[], "--registry"),
        (&["check", "--offline", "--registry", "x"], &[KAFKA, SOURCE], "--registry"),
        (&check, &[KAFKA, SOURCE], "HOOKBRIDGE__REGISTRY__URL"),
        (&check, &[("HOOKBRIDGE__REGISTRY__URL", "x"), KAFKA, SOURCE], "HOOKBRIDGE__REGISTRY__URL"),
        (&check, &[KAFKA, ("HOOKBRIDGE__REGISTRY__URL", "http://x")], "HOOKBRIDGE__SOURCES"),
    ] {
        let output = run(elsewhere.path(), home.path(), variables, args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{args:?}: {said}");
        let named = format!("hookbridge: {place}: ");
        assert!(said.lines().any(|line| line.starts_with(&named)), "{args:?}: {said}");
        assert!(!said.contains("hookbridge.toml:"), "there is no such file: {said}");
    }
    // Flags go over what check looks at, too; and there is nothing at this port.
    let variables = [KAFKA, SOURCE, ("HOOKBRIDGE__REGISTRY__URL", "http://127.0.0.1:13")];
    let output = run(elsewhere.path(), home.path(), &variables, &["check", "--kafka", "127.0.0.1:7"]);
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(found.contains("configuration of the environment") && found.contains("127.0.0.1:7"), "{found}");
    assert!(!found.contains(KAFKA.1), "{found}");
}

#[test]
fn a_dev_goes_before_the_file_only_at_the_address_where_it_listens() {
    let (home, here) = (folder(), folder());
    let dev = Dev::start_in(home.path(), &[]);
    let file = configuration(&dev) + "[sources.acme]\nprofile = \"wegly\"\nsecrets = [\"another\"]\n";
    fs::write(here.path().join("hookbridge.toml"), file).unwrap();
    let acme = ["send", "acme", "deal.won", "--dry-run"];
    // The bridge of the file is elsewhere, and a variable says where: the file says the rest.
    let moved = run(here.path(), home.path(), &[("HOOKBRIDGE__HTTP__LISTEN", "127.0.0.1:1")], &acme);
    let first = first_line(&moved, &acme);
    assert!(first.contains("http://127.0.0.1:1 (HOOKBRIDGE__HTTP__LISTEN), the secret of sources.acme in "), "{first}");
    assert!(String::from_utf8_lossy(&moved.stdout).contains("http://127.0.0.1:1/webhooks/acme"), "{moved:?}");
    // The `dev` listens where the file's bridge would, and has no such source.
    let before = format!("the `hookbridge dev` at {} (process ", dev.address());
    let unknown = run(here.path(), home.path(), &[], &acme);
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert_eq!(unknown.status.code(), Some(64), "{said}");
    assert!(said.contains(&before) && said.contains(": --config hookbridge.toml"), "{said}");
    assert!(said.contains("unknown profile acme"), "{said}");
    let wegly = ["send", "wegly", "deal.won"];
    let first = first_line(&run(here.path(), home.path(), &[], &wegly), &wegly);
    assert!(first.contains(&before) && first.contains("the secret of `hookbridge dev`"), "{first}");
    let named = [&acme[..], &["--config", "hookbridge.toml"]].concat();
    assert_eq!(first_line(&run(here.path(), home.path(), &[], &named), &named), "");
    // A secret that a variable has is said to be that variable's.
    let variable = ("HOOKBRIDGE__SOURCES__WEGLY__SECRETS", "s3cret");
    let wegly = ["send", "wegly", "deal.won", "--dry-run"];
    let first = first_line(&run(here.path(), home.path(), &[variable], &wegly), &wegly);
    assert!(first.ends_with("the secret of HOOKBRIDGE__SOURCES__WEGLY__SECRETS"), "{first}");
}
