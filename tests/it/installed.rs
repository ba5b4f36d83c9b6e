//! What packages and operators take from the installed program: its version.

use crate::support::bridge::{Setup, words};
use crate::support::sender;

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
