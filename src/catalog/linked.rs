//! Further topics of an event, as its profile has them: the same record once more for each entity it is linked to, for
//! joins; and an entity's last state, for tables.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::avsc::{self, EVENT, EXTRA, RecordSchema, RecordSchemas, Type};
use super::event_type::{EventType, Join, JoinKind, Latest, Schema, check_topic_name};
use super::guard::Guards;
use super::plan::{Guard, RecordPlan};
use super::{Flaw, FlawAt, Path};

/// `[join_topics]` and `[timeline_topics]`, by topic.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenJoin {
    /// Main topics.
    from: Vec<String>,
    /// Paths by Avro names, through lists and into JSON.
    keys: Vec<String>,
    /// What an id is, where all `keys` lead into JSON.
    id: Option<WrittenId>,
    /// Whether it is written without being asked for.
    #[serde(default = "yes")]
    default: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum WrittenId {
    Uuid,
    Long,
    String,
}

fn yes() -> bool {
    true
}

impl WrittenJoin {
    fn id(&self) -> Option<Type> {
        self.id.map(|id| match id {
            WrittenId::Uuid => Type::Uuid,
            WrittenId::Long => Type::Long,
            WrittenId::String => Type::String,
        })
    }
}

/// The section of a profile that join topics stand in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Joins,
    Timelines,
}

/// `[latest_topics]`, by topic.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLatest {
    /// The name of its record.
    record: String,
    /// The path of the time by which states are ordered.
    updated: String,
}

/// Adds to `types` the topics of `written`.
pub(super) fn add_joins(
    profile: &str,
    section: Section,
    written: &BTreeMap<String, WrittenJoin>,
    records: &RecordSchemas,
    guards: &Guards,
    types: &mut BTreeMap<String, EventType>,
) -> Result<(), FlawAt> {
    let name = if section == Section::Timelines { "timeline_topics" } else { "join_topics" };
    for (topic, join) in written {
        let fail = |key: &str, what: String| FlawAt::new(format!("{name}.{topic:?}{key}"), what);
        let kind = match section {
            Section::Joins => JoinKind::Join { by_default: join.default },
            Section::Timelines => JoinKind::Timeline,
        };
        check_topic(profile, topic, types).map_err(|what| fail("", what.to_string()))?;
        for (key, list) in [(".from", &join.from), (".keys", &join.keys)] {
            if list.is_empty() {
                return Err(fail(key, "empty: expected at least one".into()));
            }
        }
        // What a key is not of in one type it may be of in another; in one at least.
        let mut found: BTreeMap<&str, Vec<Path>> = BTreeMap::new();
        let mut id = join.id();
        for (at, key) in join.keys.iter().enumerate() {
            let mut not_found = String::from("no event type of `from` has it");
            let mut used = false;
            for (name, event_type) in
                types.iter().filter(|(_, ty)| join.from.iter().any(|from| ty.comes_from(profile, from)))
            {
                match Path::reach(records, &event_type.schema.name, key) {
                    Ok(mut path) => {
                        match guards.of(&path) {
                            None => {}
                            // The key is the hash, which says as much as the record does.
                            Some(Guard::Hashed) if is_text(&path) => path.hashed = true,
                            Some(guard) => {
                                let what = format!("{key} is {}, but the record's key would show it", guard.word());
                                return Err(fail(&format!(".keys[{at}]"), what));
                            }
                        }
                        let leaf = if path.derived.is_some() { &Type::String } else { &path.leaf };
                        if *leaf != Type::Json && *id.get_or_insert_with(|| leaf.clone()) != *leaf {
                            return Err(fail(
                                &format!(".keys[{at}]"),
                                format!("{key}: {}, but all keys of a topic must have the same type", leaf.word()),
                            ));
                        }
                        found.entry(name).or_default().push(event_type.starting_at_payload(path));
                        used = true;
                    }
                    Err(what) => not_found = what.to_string(),
                }
            }
            if !used {
                return Err(fail(&format!(".keys[{at}]"), format!("{key}: {not_found}")));
            }
        }
        let id = id.unwrap_or(Type::String);
        if !matches!(id, Type::Uuid | Type::Int | Type::Long | Type::String) {
            return Err(fail(".keys", format!("got {}, expected a uuid, an int, a long or a string", id.word())));
        }
        let unused = join.from.iter().position(|from| !found.keys().any(|name| types[*name].comes_from(profile, from)));
        if let Some(at) = unused {
            return Err(fail(
                &format!(".from[{at}]"),
                format!("{}: none of its events has one of `keys`", join.from[at]),
            ));
        }
        let found: Vec<_> = found.into_iter().map(|(name, keys)| (name.to_owned(), keys)).collect();
        for (name, keys) in found {
            let join = Join { topic: format!("{profile}.{topic}"), kind, keys, id: id.clone() };
            types.entry(name).and_modify(|event_type| event_type.joins.push(join));
        }
    }
    Ok(())
}

/// Whether what is there is a text, sent or derived of one, and no JSON.
fn is_text(path: &Path) -> bool {
    path.leaf == Type::String
}

/// The full names of the records of latest topics.
pub(super) fn latest_records(
    profile: &str,
    written: &BTreeMap<String, WrittenLatest>,
    records: &RecordSchemas,
) -> Result<Vec<String>, FlawAt> {
    let name = |(topic, latest): (&String, &WrittenLatest)| {
        let name = format!("{profile}.{}", latest.record);
        let place = || format!("latest_topics.{topic:?}.record");
        if records.contains_key(&name) { Ok(name) } else { Err(FlawAt::new(place(), Flaw::NoType(name))) }
    };
    written.iter().map(name).collect()
}

/// Adds to every type that carries a snapshot what `[latest_topics]` says of it.
pub(super) fn add_latest(
    profile: &str,
    written: &BTreeMap<String, WrittenLatest>,
    records: &RecordSchemas,
    plans: &[RecordPlan],
    guards: &Guards,
    types: &mut BTreeMap<String, EventType>,
) -> Result<(), FlawAt> {
    for (topic, latest) in written {
        let fail = |key: &str, what: String| FlawAt::new(format!("latest_topics.{topic:?}{key}"), what);
        check_topic(profile, topic, types).map_err(|what| fail("", what.to_string()))?;
        let name = format!("{profile}.{}", latest.record);
        let Some(schema) = records.get(&name) else { continue };
        let (snapshot, list) = parts(schema).ok_or_else(|| {
            let what =
                format!("{name}: expected the fields `{EVENT}`, a required snapshot, optionally a list derived from it, and `{EXTRA}`");
            fail(".record", what)
        })?;
        let text = avsc::self_contained(records, &name).map_err(|e| fail(".record", e.to_string()))?;
        let path =
            |key: &str, text: &str| Path::reach(records, &name, text).map_err(|what| fail(key, what.to_string()));
        let updated = path(".updated", &latest.updated)?;
        if !updated.is_time() {
            return Err(fail(
                ".updated",
                format!("{}: expected a timestamp-millis or a timestamp-micros", latest.updated),
            ));
        }
        if let Some(guard) = guards.of(&updated) {
            let what = format!("{} is {}, but it would become the record's timestamp", latest.updated, guard.word());
            return Err(fail(".updated", what));
        }
        let list = list
            .map(|field| list_path(records, &name, field).map_err(|what| fail(".record", what.to_string())))
            .transpose()?;
        let hashed = match list.as_ref().and_then(|path| guards.of(path).zip(Some(&path.leaf))) {
            None => false,
            Some((Guard::Hashed, Type::String)) => true,
            Some((guard, _)) => {
                return Err(fail(
                    ".record",
                    format!("a list of {name} is derived from a field that is {}", guard.word()),
                ));
            }
        };
        let mut carried = false;
        for event_type in types.values_mut() {
            let fields = records.get(&event_type.schema.name).map(|r| r.fields.as_slice()).unwrap_or_default();
            let same = |f: &&avsc::FieldSchema| f.name == snapshot.name && f.ty == snapshot.ty && !f.optional;
            let Some(field) = fields.iter().find(same) else { continue };
            // Keyed like the event, so the snapshot has to be the event's own entity.
            if !event_type.key.text.starts_with(&format!("{}.", field.name)) {
                continue;
            }
            let Some(slot) = plans[event_type.record].names.slot(&field.json, 0) else { continue };
            if let Some(other) = &event_type.latest {
                return Err(fail(
                    ".record",
                    format!("{} already holds the last state of `{}`", other.topic, snapshot.name),
                ));
            }
            event_type.latest = Some(Latest {
                topic: format!("{profile}.{topic}"),
                schema: Schema { name: name.clone(), text: text.clone() },
                slot,
                updated: event_type.starting_at_payload(updated.clone()),
                list: list.clone().map(|path| event_type.starting_at_payload(path)),
                hashed,
            });
            carried = true;
        }
        if !carried {
            return Err(fail(".record", format!("no event carries `{}` as its entity", snapshot.name)));
        }
    }
    Ok(())
}

/// The snapshot of a latest topic's record, and the list made of it, if that is what the record is.
fn parts(schema: &RecordSchema) -> Option<(&avsc::FieldSchema, Option<&avsc::FieldSchema>)> {
    let [event, snapshot, list @ .., extra] = schema.fields.as_slice() else { return None };
    let is_one = event.name == EVENT && schema.has_head() && extra.name == EXTRA && !snapshot.optional;
    match list {
        [] if is_one => Some((snapshot, None)),
        [list] if is_one && list.optional && list.derive.is_some() => Some((snapshot, Some(list))),
        _ => None,
    }
}

/// What a list of strings is made of.
fn list_path(records: &RecordSchemas, record: &str, field: &avsc::FieldSchema) -> Result<Path, Flaw> {
    let derive = field.derive.as_ref().filter(|_| field.ty == Type::Array(Box::new(Type::String)));
    let derive = derive.ok_or_else(|| Flaw::NoDerivedList(field.name.clone()))?;
    let mut path = Path::reach(records, record, &derive.from)?;
    let expected = derive.takes();
    if path.leaf != expected {
        let (field, from) = (field.name.clone(), derive.from.clone());
        return Err(Flaw::DerivedFrom { field, from, expected: expected.word(), got: path.leaf.word() });
    }
    path.derived = Some(derive.how.clone());
    Ok(path)
}

fn check_topic(profile: &str, topic: &str, types: &BTreeMap<String, EventType>) -> Result<(), Flaw> {
    check_topic_name(topic)?;
    let whole = format!("{profile}.{topic}");
    let is_further = |ty: &EventType| {
        ty.joins.iter().map(|join| &join.topic).chain(ty.latest.iter().map(|latest| &latest.topic)).any(|t| *t == whole)
    };
    if types.values().any(|ty| ty.topic == whole) {
        Err(Flaw::TopicOfEvents)
    } else if types.values().any(is_further) {
        Err(Flaw::TopicTaken)
    } else {
        Ok(())
    }
}
