//! The gallery, `examples/vendors/`: every case of every vendor comes out as its file says, and what `send` makes for a
//! vendor is published.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use toml::Table;

use crate::support::bridge::{Bridge, Setup, words};
use crate::support::reader;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hookbridge");
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const GALLERY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/vendors");

const VENDORS: [&str; 9] = [
    "chatwoot",
    "evolution",
    "github",
    "pipedrive",
    "shopify",
    "slack",
    "standard_webhooks",
    "stripe",
    "whatsapp_cloud",
];

/// The text of a file of the gallery.
fn text(path: &str) -> String {
    fs::read_to_string(format!("{GALLERY}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn table(path: &str) -> Table {
    toml::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names in a folder of the gallery.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("{GALLERY}/{folder}")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The event types of `vendor`, each with its topic, both with the profile's name in front.
fn types(vendor: &str) -> Vec<(String, String)> {
    let profile = table(&format!("{vendor}/profile.toml"));
    let types = profile["types"].as_table().unwrap();
    let topic = |line: &toml::Value| format!("{vendor}.{}", line["topic"].as_str().unwrap());
    types.iter().map(|(name, line)| (format!("{vendor}.{name}"), topic(line))).collect()
}

fn topics(vendor: &str) -> BTreeSet<String> {
    types(vendor).into_iter().map(|(_, topic)| topic).collect()
}

/// The secret or token of `vendor` in `vendors.toml`.
fn credential(vendor: &str) -> String {
    let settings = table("vendors.toml");
    let source = settings["sources"][vendor].as_table().unwrap();
    let credentials = source.get("secrets").or_else(|| source.get("tokens")).unwrap();
    credentials[0].as_str().unwrap().to_owned()
}

fn hookbridge(args: &[&str]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(args).current_dir(REPOSITORY).env_remove("HOOKBRIDGE_CONFIG").env_remove("HOOKBRIDGE_SECRET");
    command.output().unwrap()
}

/// A bridge with all vendors of the gallery, as `vendors.toml` has them, and no other source.
fn bridge(test: &str) -> Bridge {
    let mut setup = Setup::new(test);
    let settings = text("vendors.toml");
    let sources = &settings[settings.find("[sources.").unwrap()..];
    setup.sources = format!("[catalog]\ndir = {GALLERY:?}\n{sources}");
    let topics: BTreeSet<_> = VENDORS.iter().flat_map(|vendor| topics(vendor)).collect();
    setup.prepare(&topics.iter().map(String::as_str).collect::<Vec<_>>());
    setup.start()
}

#[test]
fn every_case_of_the_gallery_comes_out_as_expected() {
    let folders: BTreeSet<_> = names("").into_iter().filter(|name| !name.contains('.')).collect();
    assert_eq!(folders, BTreeSet::from(VENDORS.map(str::to_owned)));
    for vendor in VENDORS {
        let cases = text(&format!("{vendor}/cases.toml"));
        let unused: Vec<_> = names(&format!("{vendor}/samples"))
            .into_iter()
            .filter(|sample| !cases.contains(&format!("body = \"samples/{sample}\"")))
            .collect();
        assert!(unused.is_empty(), "{vendor}: no case has {unused:?}");

        let file = format!("examples/vendors/{vendor}/cases.toml");
        let output = hookbridge(&["try", "--cases", &file, "--config", "examples/vendors/vendors.toml"]);
        assert_eq!(output.status.code(), Some(0), "{vendor}: {}", words(&output));
    }
}

#[test]
fn what_send_makes_for_every_vendor_of_the_gallery_is_published() {
    let bridge = bridge("gallery");
    let url = format!("http://{}", bridge.http);
    for vendor in VENDORS {
        let types = types(vendor);
        let (secret, count) = (credential(vendor), types.len().to_string());
        // As many as there are types: each comes once.
        let output =
            hookbridge(&["send", vendor, "--catalog", GALLERY, "--secret", &secret, "--url", &url, "--count", &count]);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(0), "{vendor}: {said}");
        let published = said.lines().find_map(|line| line.trim_start().strip_prefix("published"));
        assert_eq!(published.map(str::trim), Some(count.as_str()), "{vendor}: {said}");

        let mut found = BTreeSet::new();
        for topic in topics(vendor) {
            for record in reader::read(&bridge.topic(&topic)) {
                found.insert((record.header("ce_type").unwrap().to_owned(), topic.clone()));
            }
        }
        let expected: BTreeSet<_> = types.into_iter().collect();
        assert_eq!(found, expected, "{vendor}");
    }
    assert_eq!(reader::read(&bridge.topic("hookbridge.dead-letters")).len(), 0);
}
