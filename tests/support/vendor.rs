//! Vendors made up for a test: a catalog folder with a profile and its records.

use std::fs;

use super::bridge::Setup;
use super::sender::SECRET;

/// JSON text, as the end of every record has it.
pub(crate) const EXTRA: &str = r#"{"name": "extra", "type": ["null", {"type": "string", "connect.name": "io.debezium.data.Json", "connect.version": 1}], "default": null, "doc": "The rest."}"#;
/// The head of an event's record, as its first field.
pub(crate) const HEAD: &str = r#"{"name": "event", "type": "hookbridge.Event", "doc": "Head."}, "#;

/// Adds the source and profile `name`, signed by HMAC in `x-signature`: `rules` is what its profile says but for that, `records`
/// its records' names and fields.
pub(crate) fn add(setup: &mut Setup, name: &str, rules: &str, records: &[(&str, &str)]) {
    let catalog = setup.dir.path().join("catalog");
    let folder = catalog.join(name);
    fs::create_dir_all(&folder).unwrap();
    let verify = "[verify]\nmethod = \"hmac-sha256\"\nheader = \"x-signature\"\n";
    // Keys of the profile itself come before its tables.
    let (top, tables) = rules.split_at(rules.find("\n[").map_or(0, |at| at + 1));
    fs::write(folder.join("profile.toml"), format!("{top}{verify}{tables}")).unwrap();
    for (record, fields) in records {
        let text = format!(
            r#"{{"type": "record", "namespace": "{name}", "name": "{record}", "doc": "{record}.", "fields": [{fields}, {EXTRA}]}}"#
        );
        fs::write(folder.join(format!("{record}.avsc")), text).unwrap();
    }
    let sources = format!("[catalog]\ndir = \"{}\"\n[sources.{name}]\nsecrets = [{SECRET:?}]\n", catalog.display());
    setup.sources.push_str(&sources);
}
