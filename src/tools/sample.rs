//! Plausible bodies of every event type, made from the catalog, so that a new type has one without further work.
//!
//! The same seed and time give the same bodies. Values follow the field's kind and, where that helps a reader, its
//! name. Entities live on from body to body, so that one deal has several events, and chat messages are linked to
//! deals that exist. [Some](shared) are the same in every run, so that samples of several vendors meet.

mod by_name;
mod shared;
mod words;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::catalog::{DecimalSize, EventType, FieldKind, FieldPlan, Guard, Profile, Rule, RulePlace};
use crate::convert::encode::{Head, Records, encode};
use crate::convert::identify::{Identified, identify};
use crate::tools::random::Random;
use crate::values::json::{Document, MAX_DEPTH};
use crate::values::time::to_rfc3339;

use shared::SHARED;

/// A `UUIDv4`, but for its randomness.
fn uuid(random: &mut Random) -> String {
    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}

/// What a sample's body becomes, as the pipeline makes it but for the head, whose id is always the same.
pub(crate) fn converted<'a>(
    profile: &'a Profile,
    headers: &HeaderMap,
    body: &str,
    received_at: i64,
) -> Option<(Identified<'a>, Records)> {
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).ok()?;
    let identified = identify(&doc, headers, profile).ok()?;
    let head = Head {
        id: "9a67c00d-b2c5-8677-8489-2cf44ff60965",
        event_type: &identified.event_type.name,
        source: &profile.name,
        entity_id: &identified.key,
        occurred_at: identified.occurred_at,
        received_at,
    };
    let records = encode(&doc, profile, identified.event_type, &head, None, usize::MAX).ok()?;
    Some((identified, records))
}

/// The first rule that has a value for the type, and that value.
fn telling<'a>(profile: &'a Profile, event_type: &str) -> Option<(&'a Rule, String)> {
    profile.recognise.iter().find_map(|rule| Some((rule, rule.sample_value(event_type)?)))
}

/// The headers that tell the type.
pub(crate) fn telling_headers(profile: &Profile, event_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some((rule, value)) = telling(profile, event_type) else { return headers };
    for (place, part) in rule.parts_of(&value) {
        if let (RulePlace::Header(name), Ok(value)) = (place, part.parse()) {
            headers.insert(name, value);
        }
    }
    headers
}

/// Puts what `part` spells, or anything, at the end of `steps`; without a part, only where nothing is.
fn put(object: &mut Map<String, Value>, steps: &[Box<str>], part: Option<&str>) {
    let Some((step, rest)) = steps.split_first() else { return };
    if !rest.is_empty() {
        let inner = object.entry(&**step).or_insert_with(|| Value::Object(Map::new()));
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        return inner.as_object_mut().map_or((), |inner| put(inner, rest, part));
    }
    let told = match part {
        Some("true") => json!(true),
        Some("false") => json!(false),
        other => json!(other.unwrap_or("sample")),
    };
    if part.is_some() || object.get(&**step).is_none_or(Value::is_null) {
        object.insert(step.to_string(), told);
    }
}

/// Puts what stands at the end of `steps` into an array of its own, and what has an id on the way there: there may be several of
/// that. Whether anything stands there.
fn wrap(value: &mut Value, steps: &[Box<str>]) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        if value.is_null() {
            return false;
        }
        *value = json!([value.take()]);
        return true;
    };
    let Some(inner) = value.get_mut(&**step) else { return false };
    if !wrap(inner, rest) {
        return false;
    }
    if !rest.is_empty() && inner.get("id").is_some() {
        *inner = json!([inner.take()]);
    }
    true
}

/// Bodies of one profile's events, one after the other.
pub(crate) struct Sampler<'a> {
    profile: &'a Profile,
    random: Random,
    /// Now, in milliseconds since 1970: samples are of the hour before.
    now: i64,
    /// Ids of the entities so far, by what they are (`deal`, `lead`, `ticket`).
    entities: BTreeMap<String, Vec<Value>>,
    /// Which of the shared deals the body is about, unless it is that of a deal.
    about: usize,
}

/// How many entities of a kind live at a time.
const ENTITIES: usize = 200;

impl<'a> Sampler<'a> {
    pub(crate) fn new(profile: &'a Profile, seed: u64, now: i64) -> Self {
        Sampler { profile, random: Random::new(seed), now, entities: BTreeMap::new(), about: 0 }
    }

    /// A body of `event_type`, as its sender would write it.
    pub(crate) fn body(&mut self, event_type: &EventType) -> String {
        let fields = &self.profile.records[event_type.record].fields;
        // The first ones more often: these have been sent before.
        let (pick, sent) = (self.random.below(SHARED).min(self.random.below(SHARED)), self.living("deal"));
        self.about = if sent == 0 { pick } else { pick % sent };
        let mut payload = match event_type.payload_slot.map(|slot| &fields[slot]) {
            Some(field) => match &field.kind {
                FieldKind::Record(inner) => self.record(&field.json, *inner),
                _ => Map::new(),
            },
            None => self.record("", event_type.record),
        };
        // The entity is what holds the key.
        let mut entity = Some(&mut payload);
        for step in event_type.key.steps.split_last().map_or(&[][..], |(_, parents)| parents) {
            entity = entity.and_then(|object| object.get_mut(&**step)).and_then(Value::as_object_mut);
        }
        if let Some(entity) = entity {
            settle(entity, &event_type.name);
        }
        shared::agree(&mut payload, self.about);
        let mut around = Map::new();
        self.tell(&event_type.name, &mut payload, &mut around);
        match &self.profile.payload {
            None => Value::Object(payload).to_string(),
            Some(name) => {
                around.insert(name.clone(), Value::Object(payload));
                Value::Object(around).to_string()
            }
        }
    }

    /// The same as a delivery: where the profile splits, in the arrays that a vendor sends.
    pub(crate) fn delivery(&mut self, event_type: &EventType) -> String {
        let body = self.body(event_type);
        let Ok(mut value) = serde_json::from_str(&body) else { return body };
        for split in &self.profile.split {
            if wrap(&mut value, &split.steps) {
                return value.to_string();
            }
        }
        body
    }

    /// Puts what tells the type where the profile looks for it, but for headers.
    fn tell(&self, event_type: &str, payload: &mut Map<String, Value>, around: &mut Map<String, Value>) {
        let Some((rule, value)) = telling(self.profile, event_type) else { return };
        let given = rule.given.iter().map(|given| (vec![given.as_str().into()], None));
        let parts = rule.parts_of(&value).into_iter().filter_map(|(place, part)| match place {
            RulePlace::Body(steps) => Some((steps.clone(), Some(part))),
            RulePlace::Header(_) => None,
        });
        for (steps, part) in parts.chain(given) {
            let (into, steps) = match (&self.profile.payload, &steps[..]) {
                (Some(name), [first, rest @ ..]) if **first == **name && !rest.is_empty() => (&mut *payload, rest),
                (Some(_), steps) => (&mut *around, steps),
                (None, steps) => (&mut *payload, steps),
            };
            put(into, steps, part);
        }
    }

    /// An object of `record`, which stands under the name `place`.
    fn record(&mut self, place: &str, record: usize) -> Map<String, Value> {
        let mut members = Map::new();
        let sent = |field: &&FieldPlan| !field.kind.is_made();
        for field in self.profile.records[record].fields.iter().filter(sent) {
            // What never leaves has no place in a sample either. Senders leave out or null what they do not have.
            let value = match self.random.below(10) {
                _ if field.guard == Guard::Redacted => continue,
                0 if field.optional => continue,
                1 if field.optional => Value::Null,
                _ if &*field.json == "id" => self.id(place, &field.kind),
                _ => self.value(place, &field.json, &field.kind),
            };
            members.insert(field.json.to_string(), value);
        }
        members
    }

    /// An id for what stands under `place`: of an entity that lives already, or of a new one.
    fn id(&mut self, place: &str, kind: &FieldKind) -> Value {
        let entity = place.strip_prefix("associated_").unwrap_or(place).trim_end_matches('s').to_owned();
        let living = self.living(&entity);
        let most = if shared::is_shared(&entity) { SHARED } else { ENTITIES };
        if living >= most || (living > 0 && (entity != place || self.random.below(2) == 0)) {
            let at = self.random.below(living);
            return self.entities[&entity][at].clone();
        }
        let id = match kind {
            FieldKind::Uuid if shared::is_shared(&entity) => json!(shared::id(&entity, living)),
            _ => self.value(place, "id", kind),
        };
        self.entities.entry(entity).or_default().push(id.clone());
        id
    }

    /// How many entities of a kind there have been.
    fn living(&self, entity: &str) -> usize {
        self.entities.get(entity).map_or(0, Vec::len)
    }

    fn value(&mut self, place: &str, name: &str, kind: &FieldKind) -> Value {
        match kind {
            FieldKind::Boolean => json!(self.random.below(2) == 0),
            FieldKind::Long | FieldKind::Int if name == "code" || name.ends_with("id") || name.ends_with("Id") => {
                json!(1 + self.random.below(9000))
            }
            FieldKind::Long | FieldKind::Int => json!(1 + self.random.below(3)),
            // Halves and quarters are what every float holds.
            FieldKind::Float => json!(self.random.below(1000) as f64 / 4.0),
            FieldKind::Decimal(size) => decimal(&mut self.random, *size),
            FieldKind::Bytes => json!(STANDARD.encode(self.random.next().to_be_bytes())),
            FieldKind::Enum(symbols) => {
                let spellings: Vec<&str> = symbols.spellings().collect();
                json!(spellings[self.random.below(spellings.len())])
            }
            FieldKind::Double if name.contains("quality") || name.contains("score") => {
                json!(self.random.below(50) as f64 / 10.0)
            }
            FieldKind::Double => json!(self.random.below(1_000_000) as f64 / 100.0),
            FieldKind::Uuid if name.ends_with("deal_id") => json!(shared::id("deal", self.about)),
            FieldKind::Uuid => json!(uuid(&mut self.random)),
            // Without an envelope's ISO dates, the one timestamp there is comes in Unix time.
            FieldKind::Timestamp(_, Some(formats))
            | FieldKind::TimeOfDay(_, Some(formats))
            | FieldKind::Date(Some(formats)) => {
                json!(formats.spell(self.instant()))
            }
            FieldKind::TimeOfDay(..) => json!(to_rfc3339(self.instant())[11..19]),
            FieldKind::Timestamp(..) if self.profile.payload.is_none() => json!(self.instant() / 1000),
            FieldKind::Timestamp(..) => json!(to_rfc3339(self.instant())),
            FieldKind::Date(_) => json!(to_rfc3339(self.instant())[..10]),
            FieldKind::String => json!(words::text(&mut self.random, place, name)),
            FieldKind::Json { .. } => {
                let id = match name {
                    "deal" | "deals" | "crm_deal" => shared::id("deal", self.about),
                    _ => uuid(&mut self.random),
                };
                words::open(&mut self.random, name, &id)
            }
            FieldKind::Record(record) => Value::Object(self.record(name, *record)),
            FieldKind::MediaObject { .. } | FieldKind::Derived { .. } => Value::Null,
            FieldKind::Array(items) => {
                let count = self.random.below(3);
                (0..count).map(|_| self.value(place, name, items)).collect()
            }
            FieldKind::Map(values) => {
                let count = self.random.below(3);
                (0..count).map(|n| (format!("key{n}"), self.value(place, name, values))).collect::<Map<_, _>>().into()
            }
            FieldKind::Nullable(inner) => self.value(place, name, inner),
        }
    }

    fn instant(&mut self) -> i64 {
        self.now - self.random.below(3600 * 1000) as i64
    }
}

/// A decimal of at most eight digits, in a string as those send it who mean it to be exact.
fn decimal(random: &mut Random, size: DecimalSize) -> Value {
    let (scale, most) = (size.scale as usize, 10_usize.pow(size.precision.min(8)));
    let digits = format!("{:0width$}", random.below(most), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    json!(if scale == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") })
}

/// Makes what stands in an entity agree: it changed after it was made, is won or lost if the event says so, and was sent by whom the
/// event says.
fn settle(entity: &mut Map<String, Value>, event_type: &str) {
    let sent = event_type.ends_with("_sent");
    if let Some(from_me) = entity.get_mut("from_me").filter(|from_me| !from_me.is_null()) {
        *from_me = json!(sent);
    }
    if let Some(sent_via) = entity.get_mut("sent_via").filter(|via| !via.is_null() && sent == (**via == "CONTACT")) {
        *sent_via = json!(if sent { "API" } else { "CONTACT" });
    }
    if let (Some(created), Some(updated)) = (entity.get("created_at").cloned(), entity.get("updated_at").cloned())
        && created.as_str() > updated.as_str()
    {
        entity.insert("created_at".into(), updated);
        entity.insert("updated_at".into(), created);
    }
    if !entity.contains_key("status") {
        return;
    }
    let is = |word: &str| event_type.ends_with(&format!(".{word}"));
    let mut status = 1;
    for (field, word, number) in
        [("won_date", "won", 2), ("lost_date", "lost", 3), ("lost_reason_description", "lost", 3)]
    {
        let Some(value) = entity.get_mut(field) else { continue };
        if is(word) {
            status = number;
        } else {
            *value = Value::Null;
        }
    }
    if entity.contains_key("won_date") || entity.contains_key("lost_date") {
        entity.insert("status".into(), json!(status));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn every_event_type_has_samples_that_are_recognised_as_such() {
        let catalog = Catalog::load(None).unwrap();
        for profile in catalog.profiles.values() {
            let mut sampler = Sampler::new(profile, 7, 1_780_401_600_000);
            for event_type in profile.types.values().cycle().take(profile.types.len() * 5) {
                let body = sampler.body(event_type);
                let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
                let headers = telling_headers(profile, &event_type.name);
                let identified = identify(&doc, &headers, profile).unwrap_or_else(|e| panic!("{}: {body}", e.why));
                assert_eq!(identified.event_type.name, event_type.name);
            }
        }
    }

    #[test]
    fn chat_messages_are_linked_to_deals_that_exist() {
        let catalog = Catalog::load(None).unwrap();
        let profile = &catalog.profiles["wegly"];
        let mut sampler = Sampler::new(profile, 1, 1_780_401_600_000);
        let mut deals = Vec::new();
        let mut linked = 0;
        for _ in 0..50 {
            let deal: Value = serde_json::from_str(&sampler.body(&profile.types["deal.updated"])).unwrap();
            deals.push(deal["payload"]["id"].clone());
            let chat: Value = serde_json::from_str(&sampler.body(&profile.types["chat.message_sent"])).unwrap();
            for link in chat["payload"]["associated_deals"].as_array().into_iter().flatten() {
                assert!(deals.contains(&link["id"]));
                linked += 1;
            }
        }
        assert!(linked > 10, "{linked}");
    }

    /// The body of an event of `profile`, without its envelope.
    fn payloads(profile: &Profile, seed: u64, event_types: &[&str]) -> Vec<Value> {
        let mut sampler = Sampler::new(profile, seed, 1_780_401_600_000);
        let bodies = (0..100).flat_map(|_| event_types).map(|name| sampler.body(&profile.types[*name]));
        let payload = |body: Value| if profile.payload.is_some() { body["payload"].clone() } else { body };
        bodies.map(|body| payload(serde_json::from_str(&body).unwrap())).collect()
    }

    #[test]
    fn samples_of_both_vendors_meet_by_reference_and_by_number_whatever_the_seed() {
        let catalog = Catalog::load(None).unwrap();
        let derived = |profile: &str, body: &str| {
            let (identified, _) = converted(&catalog.profiles[profile], &HeaderMap::new(), body, 0).unwrap();
            let topics = identified.event_type.joins.iter().map(|join| join.topic.clone());
            topics.zip(identified.links).collect::<BTreeMap<_, _>>()
        };
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (profile, seed) in [("wegly", 1), ("whazing", 2)] {
            let profile = &catalog.profiles[profile];
            let mut sampler = Sampler::new(profile, seed, 1_780_401_600_000);
            for event_type in profile.types.values().cycle().take(profile.types.len() * 10) {
                let body = sampler.body(event_type);
                let (identified, _) = converted(profile, &HeaderMap::new(), &body, 0).unwrap();
                if event_type.name.starts_with("deal.") {
                    keys.entry("deal".into()).or_default().push(identified.key);
                }
                for (topic, links) in derived(&profile.name, &body) {
                    keys.entry(topic).or_default().extend(links);
                }
            }
        }
        let met = |topic: &str, of: &str| {
            let all = &keys[topic];
            (all.iter().filter(|key| keys[of].contains(key)).count(), all.len())
        };
        for (topic, of) in [
            ("whazing.message-by-reference", "deal"),
            ("whazing.ticket-by-reference", "deal"),
            ("whazing.message-by-phone", "wegly.deal-by-phone"),
            ("wegly.task-by-deal", "deal"),
            ("wegly.delivery-by-deal", "deal"),
            ("wegly.contract-by-deal", "deal"),
            ("wegly.satisfaction-by-deal", "deal"),
        ] {
            let (met, all) = met(topic, of);
            assert!(all > 3 && met * 2 >= all, "{topic}: {met} of {all} meet");
        }
    }

    #[test]
    fn what_a_profile_splits_is_sent_in_arrays() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/vendors");
        let catalog = Catalog::load(Some(&dir)).unwrap();
        let profile = &catalog.profiles["whatsapp_cloud"];
        let mut sampler = Sampler::new(profile, 5, 1_780_401_600_000);
        for event_type in profile.types.values() {
            let delivery: Value = serde_json::from_str(&sampler.delivery(event_type)).unwrap();
            assert!(delivery["entry"][0]["changes"][0].is_object(), "{delivery}");
        }
    }

    #[test]
    fn a_sample_agrees_with_itself() {
        let catalog = Catalog::load(None).unwrap();
        let wegly = &catalog.profiles["wegly"];
        for (name, from_me) in [("chat.message_received", false), ("chat.message_sent", true)] {
            for message in payloads(wegly, 3, &[name]) {
                let told = message["from_me"].as_bool().unwrap_or(from_me);
                let by_contact = message["sent_via"].as_str().map_or(!from_me, |via| via == "CONTACT");
                assert_eq!((told, by_contact), (from_me, !from_me), "{message}");
            }
        }
        let digits = |text: &Value| text.as_str().map(|text| text.replace(|c: char| !c.is_ascii_digit(), ""));
        let mut both = 0;
        for deal in payloads(wegly, 4, &["deal.updated"]) {
            for chat in deal["whatsapp_chats"].as_array().into_iter().flatten() {
                let Some((raw, shown)) = digits(&chat["raw_number"]).zip(digits(&chat["display_number"])) else {
                    continue;
                };
                both += 1;
                assert_eq!(raw, shown, "{chat}");
            }
        }
        assert!(both > 20, "{both}");
    }
}
