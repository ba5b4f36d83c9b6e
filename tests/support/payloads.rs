//! Odd but valid payloads of every event type, and what has to come of them.
//!
//! A payload is made by walking the `.avsc` files, field by field with a die: absent, null, in one of its spellings, or
//! of a wrong type; with unknown keys at every level, keys in any order and escaped, white space anywhere. The record
//! due is worked out on the way by the contract's rules, in code that shares nothing with the encoder.

mod spellings;

use std::fs;

use serde_json::{Map, Value, json};

pub(crate) use spellings::Dice;
use spellings::{instant, key_text, misfit, pick, scalar, some_json, space};

/// Every event type there is.
pub(crate) const EVENT_TYPES: [&str; 41] = [
    "lead.created",
    "lead.updated",
    "lead.stage_changed",
    "lead.won",
    "lead.lost",
    "lead.tag_added",
    "lead.tag_removed",
    "lead.custom_field_updated",
    "lead.custom_field_removed",
    "lead.quality_updated",
    "deal.created",
    "deal.updated",
    "deal.stage_changed",
    "deal.won",
    "deal.lost",
    "deal.tag_added",
    "deal.tag_removed",
    "deal.custom_field_updated",
    "deal.custom_field_removed",
    "deal.quality_updated",
    "chat.message_sent",
    "chat.message_received",
    "delivery.created",
    "delivery.updated",
    "delivery.stage_changed",
    "delivery.completed",
    "task.completed",
    "contract.created",
    "contract.updated",
    "contract.canceled",
    "contract.renewed",
    "contract.completed",
    "satisfaction.public_submission_created",
    "message.received",
    "message.sent",
    "ticket.opened",
    "ticket.opened_by_user",
    "ticket.transferred",
    "ticket.closed",
    "tenant.trial_started",
    "channel.status_changed",
];

/// What the contract says of an event type.
pub(crate) struct EventType {
    pub(crate) name: &'static str,
    pub(crate) profile: &'static str,
    /// Full name of its record.
    pub(crate) record: String,
    /// Without prefix.
    pub(crate) topic: String,
    /// Where the payload is a bare snapshot: the field it stands under.
    bare: Option<&'static str>,
    /// JSON path of the entity's id, from the payload on.
    key: Vec<&'static str>,
    /// JSON paths of the time it happened, best first.
    times: Vec<Vec<&'static str>>,
}

impl EventType {
    pub(crate) fn of(name: &'static str) -> EventType {
        let (entity, what) = name.split_once('.').expect("entity.what");
        let profile = if ["message", "ticket", "tenant", "channel"].contains(&entity) { "whazing" } else { "wegly" };
        let record: String = name.split(['.', '_']).map(|w| w[..1].to_uppercase() + &w[1..]).collect();
        let bare = match (entity, what) {
            ("chat", _) => Some("message"),
            ("lead" | "deal" | "delivery" | "contract", "updated") => Some(entity),
            _ => None,
        };
        let snapshot = if entity == "satisfaction" { "submission" } else { entity };
        let within = |field| if bare.is_some() { vec![field] } else { vec![snapshot, field] };
        let key = match entity {
            "message" | "ticket" => vec!["ticket", "id"],
            "tenant" => vec!["email"],
            _ => within("id"),
        };
        let times = match (entity, what) {
            ("message" | "channel", _) => vec![vec!["timestamp"]],
            ("ticket" | "tenant", _) => vec![],
            ("chat", _) => vec![within("meta_timestamp"), within("created_at")],
            ("satisfaction", _) | (_, "created") | ("contract", "renewed") => vec![within("created_at")],
            (_, "won") => vec![vec!["won_date"], within("won_date"), within("updated_at")],
            (_, "lost") => vec![vec!["lost_date"], within("lost_date"), within("updated_at")],
            ("delivery", "completed") => vec![vec!["completed_at"], within("delivered_at"), within("updated_at")],
            (_, "completed") => vec![vec!["completed_at"], within("completed_at"), within("updated_at")],
            (_, "canceled") => vec![vec!["canceled_at"], within("cancelled_at"), within("updated_at")],
            _ => vec![within("updated_at")],
        };
        let (record, topic) = (format!("{profile}.{record}"), format!("{profile}.{entity}"));
        EventType { name, profile, record, topic, bare, key, times }
    }

    /// The members of the body that only tell the type, and the one that must have one value.
    fn telling(&self) -> (&'static [(&'static str, &'static str)], Option<bool>) {
        match self.name {
            "message.received" => (&[], Some(false)),
            "message.sent" => (&[], Some(true)),
            "ticket.opened" => (&[("Type", "\"NewTicket\"")], None),
            "ticket.opened_by_user" => (&[("Type", "\"NewTicketUserCreate\"")], None),
            "ticket.transferred" => (&[("Type", "\"TransferTicket\"")], None),
            "ticket.closed" => (&[("Type", "\"Closed\\u0054icket\"")], None),
            "tenant.trial_started" => (&[("newTenantTest", "true")], None),
            "channel.status_changed" => (&[("event", "\"channel.status.changed\"")], None),
            _ => (&[], None),
        }
    }
}

/// A body, and the record due, but for its `event`.
pub(crate) struct Odd {
    pub(crate) body: String,
    /// An `extra` is `{"$extra": {key: text of its value}}`.
    pub(crate) record: Map<String, Value>,
    /// The entity's id.
    pub(crate) key: String,
    pub(crate) occurred_at: Option<i64>,
}

/// An odd payload of `event_type`.
pub(crate) fn odd(event_type: &EventType, dice: &mut Dice) -> Odd {
    let mut around = Members::default();
    let wrap = event_type.profile == "wegly";
    if wrap {
        around.unknown(dice);
    }
    let (mut members, mut record) = match event_type.bare {
        Some(field) => {
            let snapshot = schema(&event_type.record)["fields"][1]["type"].as_str().expect("a name").to_owned();
            let (members, snapshot) = fill(&snapshot, dice, None);
            (members, Map::from_iter([(field.to_owned(), Value::Object(snapshot)), ("extra".to_owned(), Value::Null)]))
        }
        None => fill(&event_type.record, dice, event_type.telling().1),
    };
    if !around.extra.is_empty() {
        let extra = record.get_mut("extra").expect("extra");
        if extra.is_null() {
            *extra = json!({"$extra": {}});
        }
        extra["$extra"]["$envelope"] = json!({"$extra": around.extra});
    }
    if wrap {
        around.texts.push((key_text("event_key", dice), format!("{:?}", event_type.name)));
        around.texts.push((key_text("payload", dice), members.text(dice)));
        members = around;
    }
    for (name, value) in event_type.telling().0 {
        members.texts.push((key_text(name, dice), (*value).to_owned()));
    }
    let (before, after) = (space(dice), space(dice));
    let body = format!("{before}{}{after}", members.text(dice));
    let payload =
        if wrap { raw_members(&body, "body")["payload"].as_str().expect("text").to_owned() } else { body.clone() };
    let occurred_at = event_type.times.iter().find_map(|path| instant(&at(&payload, path)?));
    // Where the record has it: the snapshot is always a field there.
    let field = match event_type.bare {
        Some(field) => &record[field][event_type.key[0]],
        None => event_type.key[1..].iter().fold(&record[event_type.key[0]], |value, step| &value[step]),
    };
    let key = field.as_str().map_or_else(|| field.to_string(), str::to_owned);
    Odd { body, record, key, occurred_at }
}

/// The JSON text of what stands at `path`.
fn at(text: &str, path: &[&str]) -> Option<String> {
    path.iter().try_fold(text.to_owned(), |text, step| {
        let members = text.trim_start().starts_with('{').then(|| raw_members(&text, step))?;
        Some(members.get(*step)?.as_str()?.to_owned())
    })
}

/// The members of an object to be.
#[derive(Default)]
struct Members {
    /// (key in quotes, value)
    texts: Vec<(String, String)>,
    extra: Map<String, Value>,
}

impl Members {
    fn unknown(&mut self, dice: &mut Dice) {
        for n in 0..dice.roll(4) {
            let name = format!("{} {n}", pick(dice, &["novo", "ünknown", "😀", "a\"b\\c", "$x", "Extra"]));
            let value = some_json(dice, 3);
            self.texts.push((key_text(&name, dice), value.clone()));
            self.extra.insert(name, value.into());
        }
    }

    /// The object's text, its members in any order.
    fn text(mut self, dice: &mut Dice) -> String {
        for at in (1..self.texts.len()).rev() {
            self.texts.swap(at, dice.roll(at as u64 + 1) as usize);
        }
        let mut member = |(key, value): (String, String)| {
            format!("{}{key}{}:{}{value}{}", space(dice), space(dice), space(dice), space(dice))
        };
        format!("{{{}}}", self.texts.into_iter().map(&mut member).collect::<Vec<_>>().join(","))
    }
}

/// The `.avsc` of a record, by full name.
fn schema(name: &str) -> Value {
    let path = format!("{}/avro/{}.avsc", env!("CARGO_MANIFEST_DIR"), name.replace('.', "/"));
    serde_json::from_str(&fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// The members of an odd object, and the record due.
fn fill(name: &str, dice: &mut Dice, from_me: Option<bool>) -> (Members, Map<String, Value>) {
    let (mut members, mut record) = (Members::default(), Map::new());
    members.unknown(dice);
    for field in schema(name)["fields"].as_array().expect("fields") {
        let avro_name = field["name"].as_str().expect("a name").to_owned();
        let json_name = field["json"].as_str().unwrap_or(&avro_name).to_owned();
        if avro_name == "event" || avro_name == "extra" {
            continue;
        }
        // Made by the bridge, never sent.
        if avro_name == "media_object" {
            record.insert(avro_name, Value::Null);
            continue;
        }
        if !field["derive"].is_null() {
            record.insert(avro_name, json!({"$derived": true}));
            continue;
        }
        let (ty, optional) = field["type"].as_array().map_or((&field["type"], false), |union| (&union[1], true));
        let redacted = ["qrcode", "pairingCode"].contains(&json_name.as_str());
        let (text, due) = match (dice.roll(10), from_me) {
            (_, Some(from_me)) if avro_name == "from_me" => (Some(from_me.to_string()), from_me.into()),
            (0, _) if optional => (None, Value::Null),
            (1, _) if optional => (Some("null".into()), Value::Null),
            (2, _) if optional && !is_json(ty) && !redacted => {
                let (text, due) = misfit(ty, dice);
                members.extra.insert(json_name.clone(), text.clone().into());
                (Some(text), due)
            }
            // A blank key is none.
            _ if avro_name == "email" && !optional => {
                let text = pick(dice, &["\"Ana.\\u00c7@Exemplo.com.br\"", "\" \\u00e3 \""]);
                (Some(text.to_owned()), serde_json::from_str(text).expect("JSON"))
            }
            _ => {
                let (text, due) = value(ty, dice);
                (Some(text), if redacted { Value::Null } else { due })
            }
        };
        if let Some(text) = text {
            members.texts.push((key_text(&json_name, dice), text));
        }
        record.insert(avro_name, due);
    }
    let extra = if members.extra.is_empty() { Value::Null } else { json!({"$extra": members.extra}) };
    record.insert("extra".into(), extra);
    (members, record)
}

fn is_json(ty: &Value) -> bool {
    ty["connect.name"] == spellings::JSON_NAME
}

/// A value of type `ty`, and what is due in the record.
fn value(ty: &Value, dice: &mut Dice) -> (String, Value) {
    if ty["type"] == "array" {
        let items: Vec<_> = (0..dice.roll(4)).map(|_| value(&ty["items"], dice)).collect();
        let (texts, due): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        return (format!("[{}{}]", space(dice), texts.join(&format!("{},", space(dice)))), due.into());
    }
    match ty.as_str().filter(|name| name.contains('.')) {
        Some(record) => {
            let (members, due) = fill(record, dice, None);
            (members.text(dice), due.into())
        }
        None => scalar(ty, dice),
    }
}

/// Whether `actual`, a decoded record or a part of it, is what was due.
pub(crate) fn assert_same(due: &Value, actual: &Value, place: &str) {
    match (due, actual) {
        (Value::Object(due), _) if due.contains_key("$extra") => {
            let text = actual.as_str().unwrap_or_else(|| panic!("{place}: {actual} instead of {due:?}"));
            let kept: Map<String, Value> = raw_members(text, place);
            let Value::Object(due) = &due["$extra"] else { panic!("{place}") };
            assert_eq!(kept.keys().collect::<Vec<_>>().len(), due.len(), "{place}: {text} instead of {due:?}");
            for (key, value) in due {
                let kept = kept.get(key).unwrap_or_else(|| panic!("{place}: no {key:?} in {text}"));
                assert_same(value, kept, &format!("{place}[{key:?}]"));
            }
        }
        // Of random values: what it is of others has a test of its own.
        (Value::Object(due), Value::Null | Value::String(_)) if due.contains_key("$derived") => {}
        (Value::Object(due), Value::Object(actual)) => {
            assert_eq!(due.len(), actual.len(), "{place}: {actual:?} instead of {due:?}");
            for (key, value) in due {
                let actual = actual.get(key).unwrap_or_else(|| panic!("{place}: no {key}"));
                assert_same(value, actual, &format!("{place}.{key}"));
            }
        }
        (Value::Array(due), Value::Array(actual)) => {
            assert_eq!(due.len(), actual.len(), "{place}: {actual:?} instead of {due:?}");
            for (at, (due, actual)) in due.iter().zip(actual).enumerate() {
                assert_same(due, actual, &format!("{place}[{at}]"));
            }
        }
        // 1.0 is written as 1 by some.
        (Value::Number(due), Value::Number(actual)) if due.is_f64() => {
            assert_eq!(due.as_f64(), actual.as_f64(), "{place}");
        }
        _ => assert_eq!(due, actual, "{place}"),
    }
}

/// The members of a JSON object text, each value as it is written.
fn raw_members(text: &str, place: &str) -> Map<String, Value> {
    let members: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{place}: {e}: {text}"));
    members.into_iter().map(|(key, value)| (key, value.get().into())).collect()
}
