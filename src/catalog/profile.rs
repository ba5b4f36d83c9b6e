//! A vendor's profile: `profile.toml` as written, then resolved against its records and checked.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderName;

use super::avsc::{self, EVENT, EXTRA, RecordSchemas, Type};
use super::derived;
use super::event_type::{EventType, Schema, check_topic_name, is_word};
use super::files::{Folder, HEAD_FOLDER, PROFILE_FILE};
use super::guard;
use super::handshake::{Handshake, HandshakeProof};
use super::linked::{self, Section};
use super::media;
use super::pattern::Pattern;
use super::plan::{self, KeySlots, RecordPlan};
use super::recognise::{self, Otherwise, Rule};
use super::split::{self, Split};
use super::verification::Verification;
use super::written::{self, WrittenProfile, WrittenType};
use super::{CatalogError, Flaw, FlawAt, Path};
use crate::values::hash::Hasher;
use crate::values::redact;

/// All that is known about a vendor.
#[derive(Debug)]
pub(crate) struct Profile {
    /// Also the Avro namespace and the first part of its topics.
    pub(crate) name: String,
    /// How its senders prove who they are.
    pub(crate) verification: Verification,
    /// What its senders ask, and how that is answered.
    pub(crate) handshakes: Vec<Handshake>,
    /// What its senders may add to the path.
    pub(crate) path_suffixes: Vec<Pattern>,
    /// Where a delivery holds several events; the first that leads to some counts.
    pub(crate) split: Vec<Split>,
    /// The header that repeats the event's type, unsigned, if there is one.
    pub(crate) type_header: Option<String>,
    /// The field of the body that holds the payload, where there is an envelope.
    pub(crate) payload: Option<String>,
    /// Slots of the envelope: the payload first, then the fields that tell the type.
    pub(crate) envelope: KeySlots,
    pub(crate) recognise: Vec<Rule>,
    pub(crate) types: BTreeMap<String, EventType>,
    pub(crate) records: Vec<RecordPlan>,
    /// JSON names of the fields that never leave as sent, redacted or hashed: blanked in dead letters at any depth.
    pub(crate) guarded: redact::GuardedNames,
    /// Those of them that never leave wherever they stand: blanked in records too, where no path leads.
    pub(crate) redacted_anywhere: redact::GuardedNames,
    /// Paths of those that are hashed.
    pub(crate) hashed: Vec<String>,
    /// Without the operator's key until it is given one.
    pub(crate) hasher: Hasher,
    /// How long its senders try again before they give a delivery up, where that is known.
    pub(crate) patience: Option<Duration>,
}

impl Profile {
    /// Whether a handshake of its senders brings a token.
    pub(crate) fn asks_for_handshake_token(&self) -> bool {
        self.handshakes.iter().any(|handshake| matches!(handshake.proof, HandshakeProof::Token(_)))
    }

    /// Whether any of its events may hold a file that is too large for a record.
    #[must_use]
    pub(crate) fn has_media(&self) -> bool {
        self.types.values().any(|t| t.media.is_some())
    }

    /// Whether the header tells an event's type, or repeats it.
    #[must_use]
    pub(crate) fn tells_type(&self, header: &HeaderName) -> bool {
        let repeats = self.type_header.as_ref().is_some_and(|of| header.as_str().eq_ignore_ascii_case(of));
        repeats || self.recognise.iter().any(|rule| rule.looks_at(header))
    }

    /// Whether there are events that it ignores.
    #[must_use]
    pub(crate) fn may_ignore(&self) -> bool {
        self.recognise.iter().any(|rule| !rule.ignore.is_empty() || rule.otherwise == Otherwise::Ignore)
    }

    /// Whether senders may add `segment` to the path.
    #[must_use]
    pub(crate) fn takes_suffix(&self, segment: &str) -> bool {
        self.path_suffixes.iter().any(|suffix| suffix.matches(segment))
    }

    /// Whether entities are numbered one by one, so that two sources' ids collide in one topic.
    #[must_use]
    pub(crate) fn has_serial_ids(&self) -> bool {
        self.types.values().any(|t| matches!(t.key.leaf, Type::Int | Type::Long))
    }
}

/// What a profile says of requests, before an event is recognised in them.
struct ProfileDoor {
    verification: Verification,
    handshakes: Vec<Handshake>,
    path_suffixes: Vec<Pattern>,
    split: Vec<Split>,
    patience: Option<Duration>,
}

/// Reads and checks the profile in `folder`.
pub(super) fn resolve(name: &str, folder: &Folder, records: RecordSchemas) -> Result<Profile, CatalogError> {
    let Some(file) = folder.get(PROFILE_FILE) else {
        return Err(CatalogError::new(&format!("avro/{name}"), "", format!("{PROFILE_FILE} is missing")));
    };
    let written = written::read(&file.text).map_err(|flaws| CatalogError::all_of(&file.label, flaws))?;
    let door = resolve_door(&written).map_err(|flaws| CatalogError::all_of(&file.label, flaws));
    let header = door.as_ref().map_or("", |door| door.verification.header.as_str());
    let events = resolve_events(name, &file.label, &written, records, header);
    let (door, events) = match (door, events) {
        (Ok(door), Ok(events)) => (door, events),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
        (Err(one), Err(other)) => return Err(one.and(other)),
    };
    let payload = written.envelope.as_ref().map(|e| e.payload.clone());
    let rules = events.rules;
    let told = rules.iter().filter(|rule| rule.is_told_by_all()).filter_map(Rule::field).map(str::to_owned);
    Ok(Profile {
        name: name.to_owned(),
        verification: door.verification,
        handshakes: door.handshakes,
        path_suffixes: door.path_suffixes,
        split: door.split,
        type_header: written.envelope.as_ref().and_then(|e| e.type_header.clone()),
        envelope: KeySlots::new(payload.iter().cloned().chain(told)),
        payload,
        recognise: rules,
        types: events.types,
        records: events.plans,
        guarded: events.guards.names,
        redacted_anywhere: events.guards.anywhere,
        hashed: events.guards.hashed,
        hasher: Hasher::default(),
        patience: door.patience,
    })
}

/// Everything that is wrong with it.
fn resolve_door(written: &WrittenProfile) -> Result<ProfileDoor, Vec<FlawAt>> {
    let mut flaws = Vec::new();
    let verification = noted(written.verify.clone().resolve().map_err(|flaw| flaw.within("verify.")), &mut flaws);
    let method = verification.as_ref().map(|verification| verification.method);
    let handshakes = method.map(|method| noted(written.handshake.clone().resolve(method), &mut flaws));
    let patience = written.patience.as_deref().map(humantime::parse_duration).transpose();
    let patience = patience.map_err(|e| FlawAt::new("patience", format!("{e}; expected a duration such as \"6m\"")));
    let patience = noted(patience, &mut flaws);
    let path_suffixes = noted(resolve_suffixes(&written.path_suffixes), &mut flaws);
    let split = noted(split::resolve(&written.split), &mut flaws);
    match (verification, handshakes.flatten(), patience, path_suffixes, split) {
        (Some(verification), Some(handshakes), Some(patience), Some(path_suffixes), Some(split)) => {
            Ok(ProfileDoor { verification, handshakes, path_suffixes, split, patience })
        }
        _ => Err(flaws),
    }
}

/// What was resolved; else its flaw is put to the others.
fn noted<T>(resolved: Result<T, FlawAt>, flaws: &mut Vec<FlawAt>) -> Option<T> {
    resolved.map_err(|flaw| flaws.push(flaw)).ok()
}

/// What a profile says of events.
struct Events {
    rules: Vec<Rule>,
    types: BTreeMap<String, EventType>,
    plans: Vec<RecordPlan>,
    guards: guard::Guards,
}

/// `header` holds the proof of a delivery.
fn resolve_events(
    name: &str,
    label: &str,
    written: &WrittenProfile,
    mut records: RecordSchemas,
    header: &str,
) -> Result<Events, CatalogError> {
    let events: Vec<String> = written.types.values().map(|ty| format!("{name}.{}", ty.record)).collect();
    let rules = recognise::resolve(&written.recognise).map_err(|flaw| flaw.of(label))?;
    let telling = recognise::telling(&rules, written.envelope.as_ref().map(|envelope| envelope.payload.as_str()));
    let guards = guard::resolve(&written.redact, &written.redact_names, &written.hash, &telling, &records, &events);
    let guards = guards.map_err(|flaw| flaw.of(label))?;
    guards.note(&mut records);
    let records = &records;
    let media = written.media.as_ref().map(|media| media::resolve(media, &guards, records, &events));
    let media = media.transpose().map_err(|flaw| flaw.within("media.").of(label))?.unwrap_or_default();
    media.check_other_fields(records)?;
    check_records(name, records, &media)?;
    let (mut plans, indexes) = plan::compile(records)?;
    media.plan(&mut plans, &indexes);
    let latest = linked::latest_records(name, &written.latest_topics, records).map_err(|flaw| flaw.of(label))?;
    derived::plan(records, &events, &latest, &mut plans, &indexes)?;
    guards.plan(&mut plans, &indexes, |record| media.makes(record)).map_err(|flaw| flaw.of(label))?;
    let parts = TypeParts { profile: name, rules: &rules, records, plans: &plans, indexes: &indexes };
    let types = parts.resolve_all(written, &guards, &media);
    let mut types = types.map_err(|flaws| CatalogError::all_of(label, flaws))?;
    let linked = linked::add_joins(name, Section::Joins, &written.join_topics, records, &guards, &mut types)
        .and_then(|()| {
            linked::add_joins(name, Section::Timelines, &written.timeline_topics, records, &guards, &mut types)
        })
        .and_then(|()| linked::add_latest(name, &written.latest_topics, records, &plans, &guards, &mut types));
    linked.map_err(|flaw| flaw.of(label))?;
    check_heads(records, &[events, latest].concat())?;
    recognise::check(&rules, &types.keys().map(String::as_str).collect(), header).map_err(|flaw| flaw.of(label))?;
    Ok(Events { rules, types, plans, guards })
}

/// What the event types of a profile are resolved against.
struct TypeParts<'a> {
    profile: &'a str,
    rules: &'a [Rule],
    records: &'a RecordSchemas,
    plans: &'a [RecordPlan],
    indexes: &'a BTreeMap<String, usize>,
}

impl TypeParts<'_> {
    /// All types, or all their flaws.
    fn resolve_all(
        &self,
        written: &WrittenProfile,
        guards: &guard::Guards,
        media: &media::Resolved,
    ) -> Result<BTreeMap<String, EventType>, Vec<FlawAt>> {
        let (mut types, mut flaws) = (BTreeMap::new(), Vec::new());
        let rules = if written.envelope.is_some() { &[][..] } else { self.rules };
        for (type_name, ty) in &written.types {
            let resolved = resolve_type(self.profile, type_name, ty, rules, self.records, self.plans, self.indexes)
                .and_then(|resolved| {
                    check_times(&resolved, ty, guards)?;
                    Ok(resolved)
                })
                .map_err(|flaw| flaw.within(&format!("types.{type_name:?}.")));
            if let Some(mut resolved) = noted(resolved, &mut flaws) {
                resolved.media = media.field(&resolved.schema.name, resolved.payload_slot.is_some());
                types.insert(type_name.clone(), resolved);
            }
        }
        if flaws.is_empty() { Ok(types) } else { Err(flaws) }
    }
}

/// None of an event's times is one that never leaves as sent.
fn check_times(resolved: &EventType, written: &WrittenType, guards: &guard::Guards) -> Result<(), FlawAt> {
    for (time, text) in resolved.times.iter().zip(&written.time) {
        if let Some(guard) = guards.of(time) {
            let what = format!("{text} is {}, but `event.occurred_at` would show it", guard.word());
            return Err(FlawAt::new("time", what));
        }
    }
    Ok(())
}

/// What senders may add to the path: one segment of it.
fn resolve_suffixes(written: &[String]) -> Result<Vec<Pattern>, FlawAt> {
    for (index, suffix) in written.iter().enumerate() {
        if suffix.is_empty() || suffix.contains('/') {
            let what = format!("{suffix:?}: expected one segment of a path, such as \"messages-*\"");
            return Err(FlawAt::new(format!("path_suffixes[{index}]"), what));
        }
    }
    Ok(written.iter().map(|suffix| Pattern::new(suffix)).collect())
}

/// An event's head stands first in the record of an event, and neither it nor such a record stands anywhere else.
fn check_heads(records: &RecordSchemas, events: &[String]) -> Result<(), CatalogError> {
    let is_event = |name: &str| events.iter().any(|event| event == name);
    // A record of a topic that a profile leaves away does no harm.
    let is_used = |name: &str| records.values().flat_map(|r| &r.fields).any(|field| field.ty.named() == Some(name));
    for (name, record) in records.iter().filter(|(name, _)| !name.starts_with(&format!("{HEAD_FOLDER}."))) {
        for (index, field) in record.fields.iter().enumerate() {
            let its_head = index == 0 && record.has_head() && (is_event(name) || !is_used(name));
            let what = match field.ty.named() {
                Some(inner) if is_event(inner) => {
                    format!("{inner} is the record of an event: no field may have this type")
                }
                _ if field.ty.is_head() && !its_head => {
                    format!(
                        "only the first field of an event's record, `{EVENT}`, may have the type {HEAD_FOLDER}.Event"
                    )
                }
                _ => continue,
            };
            return Err(record.error(&format!("/fields/{index}/type"), what));
        }
    }
    Ok(())
}

/// Every record of the profile that is sent ends in `extra`, and every one is valid Avro by `apache-avro`'s judgement.
fn check_records(namespace: &str, records: &RecordSchemas, media: &media::Resolved) -> Result<(), CatalogError> {
    for (name, record) in records.iter().filter(|(name, _)| !name.starts_with(&format!("{HEAD_FOLDER}."))) {
        let last = record.fields.last();
        let ends_in_extra = last.is_some_and(|f| f.name == EXTRA && f.optional && f.ty == Type::Json);
        if !ends_in_extra && !media.makes(name) {
            let what = format!("the last field of every record of {namespace} must be `{EXTRA}`, null or JSON text");
            return Err(record.error("/fields", what));
        }
        let text = avsc::self_contained(records, name)?;
        if let Err(error) = apache_avro::Schema::parse_str(&text) {
            return Err(record.error("", error.to_string()));
        }
    }
    Ok(())
}

fn resolve_type(
    profile: &str,
    name: &str,
    written: &WrittenType,
    rules: &[Rule],
    records: &RecordSchemas,
    plans: &[RecordPlan],
    indexes: &BTreeMap<String, usize>,
) -> Result<EventType, FlawAt> {
    let full_name = format!("{profile}.{}", written.record);
    let (Some(schema), Some(&record)) = (records.get(&full_name), indexes.get(&full_name)) else {
        return Err(FlawAt::new("record", Flaw::NoType(full_name)));
    };
    if !schema.has_head() {
        return Err(FlawAt::new(
            "record",
            format!("the first field of {full_name} must be `{EVENT}` of type {HEAD_FOLDER}.Event"),
        ));
    }
    check_topic_name(&written.topic).map_err(|what| FlawAt::new("topic", format!("{:?}: {what}", written.topic)))?;
    if !name.split('.').all(|part| is_word(part, b'_')) {
        return Err(FlawAt::new(
            "record",
            format!("{name:?}: expected words of lower-case letters, digits and `_`, separated by dots"),
        ));
    }
    let payload_slot = match &written.payload {
        Some(field) => Some(payload_slot(schema, &plans[record], field).ok_or_else(|| {
            FlawAt::new(
                "payload",
                format!("expected `{field}` to be a record and the only required field of {full_name} beside `event`"),
            )
        })?),
        None => None,
    };
    // A path starts at the record; where the payload as a whole is one field, the first step is behind us.
    let path = |text: &str| {
        let mut path = Path::resolve(records, &full_name, text, |f| &f.name)?;
        if payload_slot.is_some() {
            path.steps.remove(0);
        }
        Ok::<_, Flaw>(path)
    };
    let key = path(&written.key).map_err(|what| FlawAt::new("key", what))?;
    if !key.is_key() {
        let what = "expected a uuid, an int, a long or a string, and no nullable field in its path";
        return Err(FlawAt::new("key", format!("{}: {what}", written.key)));
    }
    let mut times = Vec::new();
    for text in &written.time {
        let time = path(text).map_err(|what| FlawAt::new("time", what))?;
        if !time.is_time() {
            return Err(FlawAt::new("time", format!("{text}: expected a timestamp-millis or a timestamp-micros")));
        }
        times.push(time);
    }
    let rule_only = recognise::told_fields(rules, name, &plans[record].names);
    Ok(EventType {
        name: name.to_owned(),
        topic: format!("{profile}.{}", written.topic),
        schema: Schema {
            text: avsc::self_contained(records, &full_name).map_err(|e| FlawAt::new("record", e.to_string()))?,
            name: full_name,
        },
        record,
        names: plans[record].names.clone().with(rule_only),
        key,
        times,
        payload_slot,
        media: None,
        joins: Vec::new(),
        latest: None,
    })
}

fn payload_slot(schema: &avsc::RecordSchema, plan: &RecordPlan, name: &str) -> Option<usize> {
    let field = schema.fields.iter().find(|f| f.name == name)?;
    let slot = plan.names.slot(&field.json, 0)?;
    let others_may_be_null = plan.fields.iter().enumerate().all(|(at, f)| at == slot || f.optional);
    (others_may_be_null && !field.optional && matches!(field.ty, Type::Record(_))).then_some(slot)
}
