//! `hookbridge init` and what follows it: the secrets that it asks for, then `check --offline`; and what `check --json` says.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::bridge::words;

fn run(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookbridge"));
    command.env_clear().current_dir(dir).args(arguments).output().unwrap()
}

/// Runs, and expects an exit code.
fn expect(dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(dir, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", words(&output));
    words(&output)
}

/// What `check --offline --json` says.
fn checked(dir: &Path, code: i32) -> Value {
    let output = run(dir, &["check", "--offline", "--json"]);
    assert_eq!(output.status.code(), Some(code), "{}", words(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["exit_code"], code);
    document
}

#[test]
fn what_init_writes_can_be_used_once_its_secrets_exist() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let said = expect(dir, &["init", "--vendor", "wegly", "--vendor", "whazing,stripe"], 0);
    assert!(said.contains("hookbridge check --offline") && said.contains("/webhooks/stripe"), "{said}");

    let document = checked(dir, 78);
    assert_eq!(document["verdict"], "configuration");
    let findings = document["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 3, "{document:#}");
    for finding in findings {
        assert_eq!((finding["level"].as_str(), finding["part"].as_str()), (Some("fail"), Some("configuration")));
        assert_eq!(finding["where"]["file"], "hookbridge.toml");
        assert!(finding["where"]["line"].is_u64() && finding["where"]["variable"].is_null(), "{finding}");
        // It names the file, and the remedy says what to do with it.
        let (secret, what) = finding["message"].as_str().unwrap().split_once(": ").unwrap();
        assert!(
            what.starts_with("No such file") && finding["remedy"].as_str().unwrap().starts_with("create it, "),
            "{finding}"
        );
        fs::create_dir_all(dir.join("secrets")).unwrap();
        fs::write(dir.join(secret), "whsec_c2VjcmV0\n").unwrap();
    }

    let document = checked(dir, 0);
    assert_eq!(document["verdict"], "ok", "{document:#}");
    assert!(!dir.join("data").exists(), "nothing is created");
    fs::write(dir.join("data"), "").unwrap();
    let document = checked(dir, 1);
    let failed = document["findings"].as_array().unwrap().iter().find(|finding| finding["level"] == "fail").unwrap();
    assert_eq!((&document["verdict"], &failed["part"]), (&"findings".into(), &"data_dir".into()));
    assert_eq!(failed["where"]["key"], "data_dir");
}

#[test]
fn init_overwrites_nothing_unless_it_is_forced() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["init", "--vendor", "github"], 0);
    let (config, profile) = (dir.join("hookbridge.toml"), dir.join("catalog/github/profile.toml"));
    fs::write(&config, "mine").unwrap();
    fs::write(&profile, "mine").unwrap();
    assert!(expect(dir, &["init", "--vendor", "github"], 78).contains("--force"));
    assert_eq!(fs::read_to_string(&config).unwrap(), "mine");
    assert!(expect(dir, &["init", "--vendor", "github", "--force"], 0).contains("kept"));
    assert!(fs::read_to_string(&config).unwrap().contains("[sources.github]"));
    assert_eq!(fs::read_to_string(&profile).unwrap(), "mine", "a profile may have been edited");
    assert!(expect(dir, &["init", "--vendor", "gihub"], 64).contains("did you mean github?"));
    assert!(expect(dir, &["init"], 64).contains("--vendor"));
    // Elsewhere, paths are written in full.
    fs::create_dir(dir.join("etc")).unwrap();
    expect(dir, &["init", "--vendor", "wegly", "--config", "etc/bridge.toml"], 0);
    let text = fs::read_to_string(dir.join("etc/bridge.toml")).unwrap();
    assert!(text.contains("etc/secrets/wegly}") && text.contains("${file:/"), "{text}");
}

#[test]
fn all_that_is_wrong_with_a_profile_is_said_with_its_lines() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    expect(dir, &["init", "--vendor", "github,stripe"], 0);
    for (vendor, from, to) in [
        ("github", "method = ", "methd = "),
        ("github", "[[recognise]]", "recognize = 1\n[[recognise]]"),
        ("stripe", "record = ", "recrod = "),
        ("stripe", "encoding = \"hex\"", "encoding = \"hax\""),
    ] {
        let file = dir.join("catalog").join(vendor).join("profile.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{vendor}: {from}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
    }
    let said = expect(dir, &["check", "--offline"], 78);
    for expected in [
        "verify.methd: unknown key: did you mean `method`?",
        "unknown key: did you mean `record`?",
        "verify.encoding: expected \"any\", \"hex\", \"base64\", got \"hax\": did you mean \"hex\"?",
    ] {
        let line = said.lines().find(|line| line.contains(expected)).unwrap_or_else(|| panic!("{expected}: {said}"));
        assert!(line.contains("/profile.toml:"), "{line}");
    }
    assert!(said.contains("catalog/github/profile.toml:") && said.contains("catalog/stripe/profile.toml:"), "{said}");
}
