//! What packages and operators take from the installed program: its version, completions and man pages.

use std::fs;
use std::process::Command;

use crate::support::bridge::{Setup, words};
use crate::support::{say, sender};

/// The names of the lines of `--version` after the first, and of the labels that have the same.
const PARTS: [(&str, &str); 4] =
    [("commit", "commit"), ("librdkafka", "librdkafka"), ("OpenSSL", "openssl"), ("SQLite", "sqlite")];

#[test]
fn the_version_names_the_commit_and_what_is_linked_in_as_the_metric_does() {
    let bridge = Setup::new("installed-version").start();
    let short = words(&bridge.setup.run(&["-V"]));
    assert_eq!(short, format!("hookbridge {}\n", env!("CARGO_PKG_VERSION")));
    let long = words(&bridge.setup.run(&["--version"]));
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(lines.len(), 1 + PARTS.len(), "{long}");
    assert_eq!(lines[0], short.trim_end());
    let metrics = sender::get(bridge.admin, "/metrics").body;
    let metric = metrics.lines().find(|line| line.starts_with("hookbridge_build_info{")).unwrap();
    assert!(
        metric.ends_with(" 1") && metric.contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"")),
        "{metric}"
    );
    for (line, (name, label)) in lines[1..].iter().zip(PARTS) {
        let value = line.strip_prefix(&format!("{name} ")).unwrap_or_else(|| panic!("{line}: expected {name}"));
        assert!(metric.contains(&format!("{label}=\"{value}\"")), "{metric}: expected {label} {value}");
        assert!(name == "commit" || value.starts_with(|first: char| first.is_ascii_digit()), "{line}");
    }
}

#[test]
fn bash_completes_commands_by_the_script() {
    let setup = Setup::new("installed-bash");
    let script = setup.data_dir().with_file_name("completions.bash");
    fs::write(&script, setup.run(&["completions", "bash"]).stdout).unwrap();
    let ask = r#"source "$0"; COMP_WORDS=(hookbridge se) COMP_CWORD=1; _hookbridge hookbridge se hookbridge; echo "${COMPREPLY[@]}""#;
    let Ok(output) = Command::new("bash").args(["-c", ask]).arg(&script).output() else {
        return say("skipped: install bash");
    };
    let completed = words(&output);
    for command in ["send", "serve"] {
        assert!(completed.split_whitespace().any(|word| word == command), "{command}: {completed}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let setup = Setup::new("installed-man");
    let folder = setup.data_dir().with_file_name("man");
    let output = setup.run(&["docs", "man", "--out", folder.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    for page in ["hookbridge.1", "hookbridge-serve.1", "hookbridge-dead-letters-replay.1"] {
        let text = fs::read_to_string(folder.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    let page = setup.run(&["docs", "man"]);
    assert!(page.stdout == fs::read(folder.join("hookbridge.1")).unwrap(), "{}", words(&page));
}
