//! Members that are called like what the bridge writes itself.

use std::fs;
use std::sync::Arc;

use super::*;
use crate::catalog::{Catalog, CatalogError};

const JSON: &str = r#"["null",{"type":"string","connect.name":"io.debezium.data.Json"}]"#;

/// A vendor whose one record has `fields`, and whose profile begins with `first`.
fn vendor(first: &str, fields: &str) -> Result<Arc<Profile>, CatalogError> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("loja");
    fs::create_dir(&folder).unwrap();
    let profile = format!(
        "{first}\n[verify]\nmethod = \"token\"\nheader = \"x-token\"\n[[recognise]]\nfield = \"kind\"\n[types]\n\
        paid = {{ record = \"Paid\", topic = \"order\", key = \"id\", time = [] }}"
    );
    let record = format!(
        r#"{{"type":"record","namespace":"loja","name":"Paid","fields":[{{"name":"event","type":"hookbridge.Event"}},
        {{"name":"id","type":"long"}},{fields}{{"name":"extra","type":{JSON},"default":null}}]}}"#
    );
    fs::write(folder.join("profile.toml"), profile).unwrap();
    fs::write(folder.join("Paid.avsc"), record).unwrap();
    Catalog::load(Some(dir.path())).map(|catalog| Arc::clone(&catalog.profiles["loja"]))
}

const BODY: &str = r#"{"kind":"paid","id":7,"event":"on","extra":"more","x":1}"#;

#[test]
fn members_called_event_and_extra_have_fields_of_their_own() {
    let fields = r#"{"name":"event_name","json":"event","type":["null","string"],"default":null},
        {"name":"more","json":"extra","type":["null","string"],"default":null},"#;
    let JudgedRecord { record, .. } = through(&vendor("", fields).unwrap(), BODY).unwrap();
    let text = |name: &str| judge::plain(judge::field(&record, name));
    assert_eq!((text("event_name"), text("more")), ("on".into(), "more".into()));
    assert_eq!(judge::extra(&record).as_deref(), Some(r#"{"x":1}"#));
    assert_eq!(judge::plain(judge::field(&record, "event"))["type"], "paid");

    // Paths of JSON names lead to the members, not to what the bridge writes.
    let redacted = vendor("redact = [\"event\"]", fields).unwrap();
    let JudgedRecord { record, .. } = through(&redacted, BODY).unwrap();
    assert!(judge::plain(judge::field(&record, "event_name")).is_null());
}

#[test]
fn members_called_event_and_extra_without_fields_are_kept_like_any_other() {
    let JudgedRecord { record, .. } = through(&vendor("", "").unwrap(), BODY).unwrap();
    assert_eq!(judge::extra(&record).as_deref(), Some(r#"{"event":"on","extra":"more","x":1}"#));
}
