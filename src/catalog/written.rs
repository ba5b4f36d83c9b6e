//! `profile.toml` as it is written: every key that exists, unknown ones refused.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use toml::{Table, Value};

use super::FlawAt;
use super::handshake::WrittenHandshakes;
use super::linked::{WrittenJoin, WrittenLatest};
use super::media::WrittenMediaField;
use super::recognise::WrittenRule;
use super::split::WrittenSplit;
use super::verification::WrittenVerification;
use crate::values::similar::closest;
use crate::values::toml_reading::{self, MisfitAt, TomlMisfit, value_at};
use crate::values::toml_schema::schema_of;

/// Where the payload stands, if the body is an envelope.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    /// The field of the body that holds the payload.
    pub(super) payload: String,
    /// The header that repeats the event type, unsigned.
    pub(super) type_header: Option<String>,
}

/// An event type.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenType {
    /// The name of its record, without the namespace: `OrderPaid` of `OrderPaid.avsc`.
    pub(super) record: String,
    /// Its topic, without the profile's name in front: `order`.
    pub(super) topic: String,
    /// The path of the entity's id, by Avro names, from the record on.
    pub(super) key: String,
    /// The paths of the times at which it may have occurred; the first that is there counts.
    pub(super) time: Vec<String>,
    /// The field that takes the payload as a whole, where the payload is a bare snapshot.
    pub(super) payload: Option<String>,
}

/// What a vendor's webhooks are: how to verify and recognise them, and each event type's record, topic, key and times.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "profile.toml")]
pub(super) struct WrittenProfile {
    /// Paths, by JSON names, of fields that become null in records and blank in dead letters.
    #[serde(default)]
    pub(super) redact: Vec<String>,
    /// JSON names of fields that are redacted wherever they stand.
    #[serde(default)]
    pub(super) redact_names: Vec<String>,
    /// Paths, by JSON names, of fields that are replaced by their keyed hash; needs `catalog.hash_key`.
    #[serde(default)]
    pub(super) hash: Vec<String>,
    /// The field that holds a file.
    pub(super) media: Option<WrittenMediaField>,
    /// How long senders retry a delivery, such as "6m".
    pub(super) patience: Option<String>,
    /// How senders prove who they are.
    pub(super) verify: WrittenVerification,
    /// What senders ask before they send, and how that is answered.
    #[serde(default)]
    pub(super) handshake: WrittenHandshakes,
    /// What senders may add to the path, such as "messages-*".
    #[serde(default)]
    pub(super) path_suffixes: Vec<String>,
    /// Where a delivery holds several events.
    #[serde(default)]
    pub(super) split: Vec<WrittenSplit>,
    /// The envelope of the payload, if there is one.
    pub(super) envelope: Option<Envelope>,
    /// How the event type is recognised: the first rule that applies decides.
    pub(super) recognise: Vec<WrittenRule>,
    /// The event types, by name.
    pub(super) types: BTreeMap<String, WrittenType>,
    /// Topics that get the same records again, by the key of another entity.
    #[serde(default)]
    pub(super) join_topics: BTreeMap<String, WrittenJoin>,
    /// Join topics for everything that concerns an entity.
    #[serde(default)]
    pub(super) timeline_topics: BTreeMap<String, WrittenJoin>,
    /// Compacted topics with the last state of each entity.
    #[serde(default)]
    pub(super) latest_topics: BTreeMap<String, WrittenLatest>,
}

/// Made once, since it is looked at for each profile.
static PROFILE: LazyLock<Schema> = LazyLock::new(profile_schema);

/// The JSON Schema of `profile.toml`.
pub(crate) fn profile_schema() -> Schema {
    schema_of::<WrittenProfile>()
}

/// Reads a profile, and says everything in it that does not fit.
pub(super) fn read(text: &str) -> Result<WrittenProfile, Vec<FlawAt>> {
    let in_line = |(line, what): (usize, String)| FlawAt::in_line(line, what);
    let mut table = toml_reading::parse(text).map_err(|errors| errors.into_iter().map(in_line).collect::<Vec<_>>())?;
    let lists = toml_reading::take_lists(&mut table, PROFILE.as_value());
    let (written, misfits) = toml_reading::read(table.clone());
    match written {
        Some(written) if misfits.is_empty() && lists.is_empty() => Ok(written),
        _ => Err(lists.into_iter().chain(misfits).map(|misfit| flaw(misfit, &table)).collect()),
    }
}

/// A profile holds no secrets, so what does not fit is shown.
fn flaw(MisfitAt { key, misfit }: MisfitAt, table: &Table) -> FlawAt {
    let what = match misfit {
        TomlMisfit::Missing => "missing".to_owned(),
        TomlMisfit::Unknown { name, known } => match closest(&name, known.iter().map(String::as_str)) {
            Some(meant) => format!("unknown key: did you mean `{meant}`?"),
            None => format!("unknown key: expected one of {}", known.join(", ")),
        },
        TomlMisfit::Value { expected, got } => {
            let text = value_at(table, &key).and_then(Value::as_str);
            let words = expected.split('"').skip(1).step_by(2);
            let meant = text.filter(|_| expected.starts_with('"')).and_then(|text| closest(text, words));
            let meant = meant.map(|meant| format!(": did you mean {meant:?}?")).unwrap_or_default();
            let got = text.map_or_else(|| got.to_owned(), |text| format!("{text:?}"));
            format!("expected {expected}, got {got}{meant}")
        }
    };
    FlawAt::new(key, what)
}
