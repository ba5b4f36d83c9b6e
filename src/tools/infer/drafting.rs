//! Puts it together: samples in, files out.

use std::collections::{BTreeMap, BTreeSet};

use super::avsc_text::{self, RecordUse};
use super::extras::{SeenExtras, SeenSpan};
use super::keys::{self, Steps};
use super::known::{self, KnownRecords};
use super::layout::{self, Layout, NewField, Top};
use super::naming;
use super::notes::Notes;
use super::profile_file::{self, KnownProfile, NewType, ToldBy, ToldPlace};
use super::reading::{self, Base, Groups, InferError, Inputs, Sample, TypeGroup};
use super::schemas::{self, SchemaError};
use super::walk::{Walked, Walker};

/// The file of a profile that is no schema.
const PROFILE_FILE: &str = "profile.toml";

/// Files to be written, and what there is to say of them.
pub(crate) struct Draft {
    /// Those that are new or other than before.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) types: Vec<DraftedType>,
    /// Fields that records which are there get.
    pub(crate) added: Vec<DraftedField>,
    pub(crate) notes: Vec<String>,
    /// What does not go into the fields that are there: it stays in `extra`, or makes a dead letter.
    pub(crate) misfits: Vec<String>,
    /// Samples and types that nothing was made of.
    pub(crate) left_out: Vec<String>,
}

/// A field that a record which is there gets.
pub(crate) struct DraftedField {
    pub(crate) record: String,
    /// Its name in the JSON.
    pub(crate) json: String,
    pub(crate) name: String,
    /// The word for its type.
    pub(crate) ty: String,
}

/// A type of the samples.
pub(crate) struct DraftedType {
    pub(crate) name: String,
    pub(crate) seen: SeenSpan,
    /// What was written of it, if it is new.
    pub(crate) new: Option<NewType>,
}

/// A type that is new, with what was decided for it.
struct Planned<'a> {
    group: &'a TypeGroup,
    record: String,
    entity: String,
    key: Steps,
    times: Vec<Steps>,
    told_by: ToldBy,
}

/// Drafts a profile, or what is to be added to the one that is there.
///
/// # Errors
/// When a sample is none, or nothing tells which type it is of.
pub(crate) fn draft(
    inputs: &Inputs,
    samples: &[Sample],
    base: Option<&Base<'_>>,
    extras: &SeenExtras,
) -> Result<Draft, InferError> {
    let known_profile = base.map(read_profile).transpose()?;
    let described = schemas::events(&inputs.schemas, inputs.type_field.as_deref())?;
    if described.events.is_empty() && samples.is_empty() && !inputs.schemas.is_empty() {
        return Err(SchemaError::Nothing([described.left_out, described.parts].concat()).into());
    }
    let evidence = reading::scan(inputs, samples, &described.events)?;
    let Groups { mut groups, doubts, mut left_out } =
        reading::group(inputs, &evidence, base.zip(known_profile.as_ref()))?;
    let known = base.map(|base| known::read(base.files)).unwrap_or_default();
    let mut notes = Notes::default();
    for line in described.left_out {
        notes.say(format!("left out: {line}"));
    }
    for doubt in doubts {
        notes.say(doubt);
    }
    take_out_telling(&mut groups, base, known_profile.as_ref());
    settle_keys(inputs, &mut groups, &mut notes);
    say_of_given_keys(inputs, &groups, base, &mut notes);
    let planned = plan(inputs, &groups, &known, &mut notes, &mut left_out);
    let walked = walk_all(&known, &groups, known_profile.as_ref(), extras, &planned);
    let tops: Vec<_> =
        planned.iter().map(|new| Top { record: new.record.clone(), shape: &new.group.shape, key: &new.key }).collect();
    let layout = layout::lay_out(&tops, &walked, &known, &mut notes);
    let types: Vec<NewType> = planned.iter().filter_map(|new| new_type(new, &layout, &known)).collect();
    say_of_guarded(base, &layout, &mut notes);
    say_of_keys(&planned, &types, &mut notes);
    let files = write(inputs, base, known_profile, &layout, &types)?;
    let added = layout.added.iter().flat_map(|(record, fields)| fields.iter().map(|field| added_field(record, field)));
    Ok(Draft {
        files,
        added: added.collect(),
        notes: notes.lines,
        misfits: misfits(&walked),
        left_out,
        types: groups.iter().map(|group| drafted(group, &types)).collect(),
    })
}

fn read_profile(base: &Base<'_>) -> Result<KnownProfile, InferError> {
    let text = base.files.get(PROFILE_FILE);
    text.and_then(|text| KnownProfile::read(text)).ok_or(InferError::Unwritable(PROFILE_FILE))
}

fn added_field(record: &str, field: &NewField) -> DraftedField {
    let NewField { json, name, ty, .. } = field;
    DraftedField { record: record.to_owned(), json: json.clone(), name: name.clone(), ty: ty.word() }
}

fn drafted(group: &TypeGroup, types: &[NewType]) -> DraftedType {
    let new = types.iter().find(|ty| ty.name == group.name).cloned();
    DraftedType { name: group.name.clone(), seen: group.seen, new }
}

/// What tells the type is told by `event.type`, and gets no field.
fn take_out_telling(groups: &mut [TypeGroup], base: Option<&Base<'_>>, known: Option<&KnownProfile>) {
    if known.is_some_and(|known| known.payload.is_some()) {
        return;
    }
    for group in groups {
        let member = match group.told_by.as_ref().map(|told_by| &told_by.place) {
            Some(ToldPlace::Member(name)) => Some(name.as_str()),
            Some(ToldPlace::Rule(at)) => base.and_then(|base| base.profile.recognise.get(*at)?.field()),
            Some(ToldPlace::Header(_)) | None => None,
        };
        if let Some(member) = member {
            group.shape.members.shift_remove(member);
        }
    }
}

/// Holds all that was seen against the records that are there.
fn walk_all(
    known: &KnownRecords,
    groups: &[TypeGroup],
    profile: Option<&KnownProfile>,
    extras: &SeenExtras,
    planned: &[Planned<'_>],
) -> Walked {
    let tops = known.iter().filter(|(_, record)| record.is_top).map(|(name, _)| name.clone()).collect();
    let mut walker = Walker { known, tops: &tops, walked: Walked::default() };
    for group in groups.iter().filter(|group| group.told_by.is_none()) {
        walk_known(&mut walker, group, profile);
    }
    for (record, shape) in &extras.records {
        walker.extra(record, shape);
    }
    for new in planned {
        walker.new_object(&new.record, &new.group.shape, &new.key);
    }
    walker.walked
}

fn walk_known(walker: &mut Walker<'_>, group: &TypeGroup, profile: Option<&KnownProfile>) {
    let Some((ty, profile)) = profile.and_then(|profile| Some((profile.types.get(&group.name)?, profile))) else {
        return;
    };
    let known = walker.known;
    let whole = ty.payload.as_ref().and_then(|field| {
        let record = known.get(&ty.record)?;
        record.fields.values().find(|known| known.name == *field)?.ty.record()
    });
    let telling = if profile.payload.is_some() { Vec::new() } else { profile.telling(&group.name) };
    match whole {
        Some(snapshot) => walker.record(snapshot, &group.shape, &[]),
        None => walker.record(&ty.record, &group.shape, &telling),
    }
}

/// Takes a key that its schema calls a number for a whole one.
fn settle_keys(inputs: &Inputs, groups: &mut [TypeGroup], notes: &mut Notes) {
    for group in groups.iter_mut().filter(|group| group.told_by.is_some()) {
        let wanted = wanted_key(inputs, group);
        let candidates = keys::keys(&group.shape, &naming::entity(&group.name, &inputs.profile), wanted.as_ref());
        let key = wanted.as_ref().or(candidates.first()).filter(|key| candidates.contains(key));
        let Some(key) = key else { continue };
        if let Some(member) = layout::at_mut(&mut group.shape, key).filter(|member| member.scalars.may_be_whole()) {
            member.scalars.as_key = 1;
            let path = key.join(".");
            notes.say(format!(
                "{}: its schema calls `{path}` a number; it is the key, so it is taken for a whole one",
                group.name
            ));
        }
    }
}

/// What to say of keys that a person named, and that lead to nothing.
fn say_of_given_keys(inputs: &Inputs, groups: &[TypeGroup], base: Option<&Base<'_>>, notes: &mut Notes) {
    for (of, path) in &inputs.keys {
        let option = of.as_ref().map_or_else(|| format!("--key {path}"), |of| format!("--key {of}={path}"));
        let steps = keys::steps(path);
        let is_meant = |group: &&TypeGroup| match of {
            Some(of) => *of == group.name,
            None => layout::at(&group.shape, &steps).is_some(),
        };
        let meant: Vec<_> = groups.iter().filter(is_meant).collect();
        match of {
            _ if !meant.is_empty() => {}
            Some(of) => {
                let names: Vec<_> = groups.iter().map(|group| &*group.name).collect();
                notes.say(format!("{option} was not used: no event type `{of}` was given, only {}", names.join(", ")));
            }
            None => notes.say(format!("{option} was not used: no event type that was given has such a member")),
        }
        for name in meant.into_iter().filter(|group| group.told_by.is_none()).map(|group| &group.name) {
            let key = base.and_then(|base| base.profile.types.get(name.as_str())).map(|ty| &ty.key);
            if let Some(key) =
                key.filter(|key| key.steps.iter().map(|step| &**step).ne(steps.iter().map(String::as_str)))
            {
                notes.say(format!(
                    "{option} was not used: {name} has the key `{}` already, which stays as it is",
                    key.text
                ));
            }
        }
    }
}

/// Decides on record, key and times of each new type.
fn plan<'a>(
    inputs: &Inputs,
    groups: &'a [TypeGroup],
    known: &KnownRecords,
    notes: &mut Notes,
    left_out: &mut Vec<String>,
) -> Vec<Planned<'a>> {
    let mut taken: BTreeSet<String> = known.keys().cloned().collect();
    let mut planned = Vec::new();
    for group in groups {
        let Some(told_by) = group.told_by.clone() else { continue };
        let entity = naming::entity(&group.name, &inputs.profile);
        let wanted = wanted_key(inputs, group);
        let candidates = keys::keys(&group.shape, &entity, wanted.as_ref());
        let key = wanted.clone().or_else(|| candidates.first().cloned());
        let Some(key) = key.filter(|key| candidates.contains(key)) else {
            let what = match wanted {
                Some(key) => format!("{} is no id that is there in every sample", key.join(".")),
                None => "no member is there in every sample and could be its key".to_owned(),
            };
            left_out.push(format!("{}: {what}, so it was left out: see --key", group.name));
            continue;
        };
        if wanted.is_none() {
            doubt_key(&group.name, &entity, &candidates, notes);
        }
        if keys::is_assumed(&group.shape, &key) {
            notes.say(format!(
                "{}: no `required` in its schema, so `{}` is taken for always present: it is the key",
                group.name,
                key.join(".")
            ));
        }
        let times = keys::times(&group.shape, &group.name);
        if times.is_empty() {
            notes.say(format!("{}: no member shows when it happened, so `event.occurred_at` is null", group.name));
        }
        let record = naming::unique(&naming::record(&group.name), &mut taken, "");
        planned.push(Planned { group, record, entity, key, times, told_by });
    }
    planned
}

fn wanted_key(inputs: &Inputs, group: &TypeGroup) -> Option<Steps> {
    let of_type = inputs
        .keys
        .iter()
        .find(|(of, _)| of.as_deref() == Some(group.name.as_str()))
        .map(|(_, path)| keys::steps(path));
    let of_all = || inputs.keys.iter().filter(|(of, _)| of.is_none()).map(|(_, path)| keys::steps(path));
    of_type.or_else(|| of_all().find(|steps| layout::at(&group.shape, steps).is_some()))
}

fn doubt_key(event_type: &str, entity: &str, candidates: &[Steps], notes: &mut Notes) {
    let Some((best, others)) = candidates.split_first() else { return };
    let others: Vec<_> =
        others.iter().filter(|steps| keys::is_close(best, steps, entity)).map(|steps| steps.join(".")).collect();
    let best_path = best.join(".");
    if !keys::is_likely(best, entity) {
        notes.say(format!("{event_type}: no member looks like an id; `{best_path}` is its key: see --key"));
    } else if !others.is_empty() {
        notes.say(format!("{event_type}: the key is `{best_path}`; it could be {}: see --key", others.join(", ")));
    }
}

fn new_type(new: &Planned<'_>, layout: &Layout, known: &KnownRecords) -> Option<NewType> {
    let path = |steps: &Steps| layout::avro_path(layout, known, &new.record, steps);
    Some(NewType {
        name: new.group.name.clone(),
        record: new.record.clone(),
        topic: naming::topic(&new.entity),
        key: path(&new.key)?,
        time: new.times.iter().filter_map(path).collect(),
        told_by: new.told_by.clone(),
    })
}

/// What readers are not to see is blank in dead letters, and another path may lead to it in a new type.
fn say_of_guarded(base: Option<&Base<'_>>, layout: &Layout, notes: &mut Notes) {
    let Some(base) = base else { return };
    for (record, fields) in layout.records.iter().chain(&layout.added) {
        for field in fields.iter().filter(|field| base.profile.guarded.has(&field.json)) {
            let name = &field.name;
            notes.say(format!(
                "{record}.{name}: elsewhere redacted or hashed: see whether `redact` or `hash` lead here too"
            ));
        }
    }
}

/// Events of one topic keep their order only by keys that mean the same.
fn say_of_keys(planned: &[Planned<'_>], types: &[NewType], notes: &mut Notes) {
    let mut of_topics: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (ty, new) in types.iter().zip(planned) {
        of_topics.entry(&ty.topic).or_default().insert(new.key.join("."));
    }
    for (topic, keys) in of_topics.iter().filter(|(_, keys)| keys.len() > 1) {
        let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        notes.say(format!(
            "topic {topic}: its types have the keys {}: do they mean the same entity?",
            keys.join(" and ")
        ));
    }
}

fn write(
    inputs: &Inputs,
    base: Option<&Base<'_>>,
    known: Option<KnownProfile>,
    layout: &Layout,
    types: &[NewType],
) -> Result<BTreeMap<String, String>, InferError> {
    let mut files = BTreeMap::new();
    for (name, fields) in &layout.records {
        let event = types.iter().find(|ty| ty.record == *name).map(|ty| RecordUse::Event(&ty.name));
        let doc = layout.docs.get(name).map(String::as_str);
        let text = avsc_text::new_file(&inputs.profile, name, &event.unwrap_or(RecordUse::Part), doc, fields);
        files.insert(format!("{name}.avsc"), text);
    }
    for (name, fields) in &layout.added {
        let file = format!("{name}.avsc");
        let text = base.and_then(|base| base.files.get(&file));
        let text = text.and_then(|text| avsc_text::with_fields(&inputs.profile, text, fields));
        files.insert(file, text.ok_or(InferError::Unwritable("an .avsc file"))?);
    }
    match known {
        Some(known) if !types.is_empty() => {
            let text = known.with_types(types).ok_or(InferError::Unwritable(PROFILE_FILE))?;
            files.insert(PROFILE_FILE.to_owned(), text);
        }
        None if !types.is_empty() => {
            files.insert(PROFILE_FILE.to_owned(), profile_file::new_file(&inputs.profile, &inputs.verify, types));
        }
        _ => {}
    }
    Ok(files)
}

/// What does not go together with the fields that are there, and what can be done.
fn misfits(walked: &Walked) -> Vec<String> {
    let sentence = |(record, json, is): &(String, String, String)| {
        if is.starts_with("required") {
            format!(
                "{record}: `{json}` is {is}, and absent or null in a sample, or may be so by its schema: such an event is a dead letter. Way out: another key, \
                 or a type of its own"
            )
        } else {
            format!(
                "{record}: `{json}` is {is}, which does not take all values: those go to `extra`, whole. A published field keeps \
                 its type. Way out: if nothing was published yet, delete the field's line and run this again; else read such \
                 values from `extra`"
            )
        }
    };
    walked.misfits.iter().map(sentence).collect()
}
