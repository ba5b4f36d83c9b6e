//! The JSON Schemas in the repository are up to date, and say the same as the program: files that it takes are valid, and files that
//! it refuses for their keys or types are not.

use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

use super::{profile_schema, schema_text, settings_schema};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn validator(schema: &schemars::Schema) -> Validator {
    jsonschema::validator_for(schema.as_value()).unwrap()
}

/// What is wrong with a text by a schema.
fn flaws(validator: &Validator, text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
    let value: Value = serde_json::to_value(&table).unwrap();
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schemas_in_the_repository_are_up_to_date() {
    for (file, kind, schema) in [
        ("schemas/hookbridge.schema.json", "config-schema", settings_schema()),
        ("schemas/profile.schema.json", "profile-schema", profile_schema()),
    ] {
        let kept = fs::read_to_string(root().join(file)).unwrap_or_default();
        assert!(kept == schema_text(&schema), "{file} is stale: cargo run -- docs {kind} --out {file}");
    }
}

#[test]
fn every_profile_of_the_repository_is_valid() {
    let validator = validator(&profile_schema());
    let mut checked = 0;
    for folder in ["avro", "examples/vendors", "tests/catalogs"] {
        for profile in fs::read_dir(root().join(folder)).unwrap() {
            let file: PathBuf = profile.unwrap().path().join("profile.toml");
            if let Ok(text) = fs::read_to_string(&file) {
                assert_eq!(flaws(&validator, &text), [""; 0], "{}", file.display());
                checked += 1;
            }
        }
    }
    assert!(checked >= 11, "{checked}");
}

#[test]
fn profiles_with_wrong_keys_or_types_are_not_valid() {
    let validator = validator(&profile_schema());
    let good = fs::read_to_string(root().join("avro/whazing/profile.toml")).unwrap();
    for (from, to) in [
        ("[verify]", "[verify]\nheaders = \"x\""),
        ("method = \"token\"", "method = \"tokens\""),
        ("[verify]", "hash = \"a\"\n[verify]"),
        ("[verify]", "branch = 1\n[verify]"),
        ("record = ", "records = "),
    ] {
        assert!(good.contains(from), "{from}");
        let bad = good.replacen(from, to, 1);
        assert!(!flaws(&validator, &bad).is_empty(), "{to}");
    }
}

#[test]
fn the_sample_configuration_is_valid_with_and_without_its_comments() {
    let validator = validator(&settings_schema());
    let sample = fs::read_to_string(root().join("hookbridge.toml")).unwrap();
    assert_eq!(flaws(&validator, &sample), [""; 0]);
    let is_key = |line: &str| !line.starts_with(' ') && line.contains(" = ") && line.parse::<toml::Table>().is_ok();
    let whole: Vec<&str> =
        sample.lines().map(|line| line.strip_prefix("# ").filter(|key| is_key(key)).unwrap_or(line)).collect();
    assert_eq!(flaws(&validator, &whole.join("\n")), [""; 0]);
    let vendors = fs::read_to_string(root().join("examples/vendors/vendors.toml")).unwrap();
    assert_eq!(flaws(&validator, &vendors), [""; 0]);
}

#[test]
fn configurations_with_wrong_keys_or_types_are_not_valid() {
    let validator = validator(&settings_schema());
    for bad in [
        "[kafka]\nbootstrap_server = \"a:1\"",
        "[kafak]\n",
        "[kafka]\npartitions = \"many\"",
        "[kafka]\npartitions = 1.5",
        "[kafka]\nbootstrap_servers = { a = 1 }",
        "[kafka]\nbootstrap_servers = 1",
        "[kafka]\ntopics = \"per_entity\"",
        "[kafka]\njoin_topics = 1",
        "[kafka]\ncreate_topics = \"maybe\"",
        "[http]\nmax_body_bytes = -1",
        "[http]\nmax_body_bytes = \"16 megabytes\"",
        "[http]\nack_timeout = \"-5s\"",
        "[log]\nformat = \"logfmt\"",
        "[registry]\nmode = 1",
        "[sources.Wegly]\nsecrets = [\"x\"]",
        "[sources.wegly]\nsecret = [\"x\"]",
        "[sources.wegly]\nsecrets = [1]",
        "[tracing]\nsample_ratio = 2",
        "sources = []",
    ] {
        assert!(!flaws(&validator, bad).is_empty(), "{bad}");
    }
    for good in [
        "[kafka]\npartitions = \"${PARTITIONS}\"\ntopics = \"${TOPICS}\"",
        "[http]\nack_timeout = 5\nmax_body_bytes = \"16MiB\"",
        "[kafka.properties]\nlinger.ms = 5\n\"sasl.username\" = \"a\"",
    ] {
        assert_eq!(flaws(&validator, good), [""; 0], "{good}");
    }
}
