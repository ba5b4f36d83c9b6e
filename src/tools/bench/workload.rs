//! The bodies of the load: of every event type, made from the catalog, signed, and the same in every process that asks
//! for the same.

use std::collections::{BTreeSet, HashSet};

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::catalog::{Catalog, EventType, FieldKind, Method, Profile};
use crate::convert::identify::identify;
use crate::source::verify::Signer;
use crate::tools::random::Random;
use crate::tools::sample::Sampler;
use crate::tools::send::SendTarget;
use crate::values::json::{Document, MAX_DEPTH};

/// Secret of the source `wegly` that signs the bodies.
pub const SECRET: &str = "secret-of-the-load";
/// Token of the source `whazing`.
pub const TOKEN: &str = "token-of-the-load";

/// Entities that the bodies are about, at the most.
const ENTITIES: usize = 1000;

/// Words of long texts, some with letters beyond ASCII, as Brazilian texts have them.
const WORDS: [&str; 12] =
    ["cliente", "proposta", "reunião", "amanhã", "contrato", "de", "a", "negociação", "valor", "com", "equipe", "não"];

/// Which bodies.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// How many, each unlike all others.
    pub bodies: usize,
    /// What a text in each is longer than its sample, in bytes.
    pub longer_by: usize,
    /// The time of all, in milliseconds since 1970.
    pub now: i64,
    /// The event type of all; without it any.
    pub only: Option<&'static str>,
}

/// A body and what it is sent with.
pub struct Request {
    /// Such as `/webhooks/wegly`.
    pub path: String,
    /// What proves who sends it is among them.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: String,
}

impl Workload {
    /// Makes and signs the bodies: event types at random, of about as many entities as there may be.
    ///
    /// # Panics
    /// When the catalog compiled in does not load, which tests rule out.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a benchmark has nobody to report to")]
    pub fn requests(&self) -> Vec<Request> {
        let catalog = Catalog::load(None).expect("the catalog");
        let mut random = Random::new(1);
        let mut samplers: Vec<_> =
            catalog.profiles.values().map(|profile| (profile, Sampler::new(profile, 1, self.now))).collect();
        let types: Vec<_> = (0..samplers.len())
            .flat_map(|at| samplers[at].0.types.values().map(move |event_type| (at, event_type)))
            .filter(|(_, event_type)| self.only.is_none_or(|only| *event_type.name == *only))
            .collect();
        let (mut entities, mut seen, mut requests) = (BTreeSet::new(), HashSet::new(), Vec::new());
        for _ in 0..self.bodies {
            let (at, event_type) = types[random.below(types.len())];
            let (profile, sampler) = &mut samplers[at];
            // Until it is of an entity that may be; another type instead would make some types rare.
            let body = loop {
                let short = sampler.body(event_type);
                let Some(body) = longer(short, profile, event_type, self.longer_by, &mut random) else { continue };
                let Some(key) = key(profile, &body) else { continue };
                let entity = (event_type.topic.clone(), key);
                if (entities.len() < ENTITIES || entities.contains(&entity)) && seen.insert(body.clone()) {
                    entities.insert(entity);
                    break body;
                }
            };
            requests.push(request(profile, event_type, body));
        }
        requests
    }
}

#[expect(clippy::expect_used, reason = "a benchmark has nobody to report to")]
fn request(profile: &Profile, event_type: &EventType, body: String) -> Request {
    let secret = match profile.verification.method {
        Method::Token => TOKEN,
        _ => SECRET,
    };
    let Ok(secret) = secret.parse();
    let signer = Signer::new(&profile.verification, &secret).expect("a secret of the catalog's methods");
    let (source, headers) = (profile.name.clone(), Vec::new());
    let target = SendTarget { url: String::new(), source, signer: Some(signer), headers };
    let made = target.sign(profile, Some(&event_type.name), body.clone().into());
    Request { path: made.url, headers: made.headers, body }
}

fn key(profile: &Profile, body: &str) -> Option<String> {
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).ok()?;
    identify(&doc, &HeaderMap::new(), profile).ok().map(|identified| identified.key)
}

/// The body with a text in it so many bytes longer; `None` when it has no text that may be.
fn longer(
    body: String,
    profile: &Profile,
    event_type: &EventType,
    bytes: usize,
    random: &mut Random,
) -> Option<String> {
    if bytes == 0 {
        return Some(body);
    }
    let mut json: Value = serde_json::from_str(&body).ok()?;
    let payload = match &profile.payload {
        Some(name) => json.get_mut(name)?,
        None => &mut json,
    };
    let record = match event_type.payload_slot.map(|slot| &profile.records[event_type.record].fields[slot].kind) {
        Some(FieldKind::Record(inner)) => *inner,
        _ => event_type.record,
    };
    let key = event_type.key.steps.last().map(|step| &**step);
    let text = text(profile, record, payload.as_object_mut()?, key)?;
    let so_far = text.len();
    while text.len() < so_far + bytes {
        text.push(' ');
        text.push_str(random.word(&WORDS));
    }
    // A letter may have been cut in two.
    text.truncate((0..=so_far + bytes).rev().find(|&at| text.is_char_boundary(at))?);
    text.extend(std::iter::repeat_n('.', so_far + bytes - text.len()));
    Some(json.to_string())
}

/// The first text in `object`, or in the records within it, that is neither the key nor what something is derived from.
fn text<'a>(
    profile: &Profile,
    record: usize,
    object: &'a mut Map<String, Value>,
    key: Option<&str>,
) -> Option<&'a mut String> {
    let fields = &profile.records[record].fields;
    let special: Vec<usize> = fields
        .iter()
        .filter_map(|field| match field.kind {
            FieldKind::Derived { from, .. } => Some(from),
            FieldKind::MediaObject { file } => Some(file),
            _ => None,
        })
        .collect();
    let free = fields.iter().enumerate().filter(|(slot, field)| !special.contains(slot) && Some(&*field.json) != key);
    for (_, field) in free {
        // Found first and borrowed then: what is not a text is asked for again further on.
        match &field.kind {
            FieldKind::String if object.get(&*field.json).is_some_and(Value::is_string) => {
                let Some(Value::String(text)) = object.get_mut(&*field.json) else { return None };
                return Some(text);
            }
            FieldKind::Record(inner) => {
                let has = |object: &mut Map<String, Value>| text(profile, *inner, object, key).is_some();
                if object.get_mut(&*field.json).and_then(Value::as_object_mut).is_some_and(has) {
                    return text(profile, *inner, object.get_mut(&*field.json)?.as_object_mut()?, key);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_780_401_600_000;

    #[test]
    fn two_processes_make_the_same_bodies() {
        let workload = Workload { bodies: 100, longer_by: 0, now: NOW, only: None };
        let bodies = || workload.requests().into_iter().map(|request| (request.path, request.headers, request.body));
        assert!(bodies().eq(bodies()));
    }

    #[test]
    fn ten_thousand_bodies_are_of_a_thousand_entities_and_take_1500_bytes_each() {
        let requests = Workload { bodies: 10_000, longer_by: 0, now: NOW, only: None }.requests();
        let bodies: HashSet<_> = requests.iter().map(|request| &request.body).collect();
        assert_eq!(bodies.len(), 10_000);
        let mean = requests.iter().map(|request| request.body.len()).sum::<usize>() / requests.len();
        assert!((1450..1550).contains(&mean), "{mean}");
        let catalog = Catalog::load(None).unwrap();
        let of = |request: &Request| {
            let profile = &catalog.profiles[request.path.strip_prefix("/webhooks/").unwrap()];
            let doc = Document::scan(request.body.as_bytes(), MAX_DEPTH).unwrap();
            let identified = identify(&doc, &HeaderMap::new(), profile).ok().unwrap();
            (identified.event_type.topic.clone(), identified.key)
        };
        assert_eq!(requests.iter().map(of).collect::<HashSet<_>>().len(), ENTITIES);
    }

    #[test]
    fn a_longer_body_is_longer_by_just_so_many_bytes() {
        let sampled = Workload { bodies: 1, longer_by: 0, now: NOW, only: None }.requests();
        // Enough for every event type.
        let longer = Workload { bodies: 500, longer_by: 65_537, now: NOW, only: None }.requests();
        assert_eq!(longer[0].body.len(), sampled[0].body.len() + 65_537);
        assert!(longer.iter().all(|request| request.body.len() > 65_537));
    }
}
