//! What the samples of all vendors and runs share, so that they can be joined: deals, leads, and the numbers of the people they
//! are made with. Deal `n` and lead `n` are of the person with number `n`.

use serde_json::{Map, Value, json};

use crate::tools::random::Random;

/// How many there are. Few, so that short runs meet.
pub(super) const SHARED: usize = 50;

/// Whether entities of this kind are shared.
pub(super) fn is_shared(entity: &str) -> bool {
    ["deal", "lead"].contains(&entity)
}

/// Identifier of the `n`-th entity of a kind, the same in every run.
pub(super) fn id(entity: &str, n: usize) -> String {
    let kind: u64 = entity.bytes().fold(0, |sum, byte| sum * 256 + u64::from(byte));
    super::uuid(&mut Random::new(kind.wrapping_add(n as u64)))
}

/// A mobile number of São Paulo as digits of E.164.
fn number(n: usize) -> String {
    format!("55119{:08}", 80_000_000 + (n % SHARED) * 379_721)
}

/// As WhatsApp has it: without the ninth digit for older accounts, here every other.
fn as_whatsapp(n: usize) -> String {
    let number = number(n);
    if n.is_multiple_of(2) { number } else { number.replacen("55119", "5511", 1) }
}

/// As people read it.
fn as_shown(n: usize) -> String {
    let number = number(n);
    format!("+{} {} {}-{}", &number[..2], &number[2..4], &number[4..9], &number[9..])
}

/// Makes a payload that is about deal `about` agree with what is shared, and with itself.
pub(super) fn agree(payload: &mut Map<String, Value>, about: usize) {
    let own =
        payload.get("whatsapp_chats").zip(payload.get("id")).and_then(|(_, id)| index(id.as_str()?)).unwrap_or(about);
    for (n, chat) in payload.get_mut("whatsapp_chats").and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
        set(chat, "raw_number", json!(number(own + n)));
        set(chat, "display_number", json!(as_shown(own + n)));
    }
    // Of people, not of groups.
    if let Some(contact) = payload.get_mut("contact") {
        set(contact, "phoneNumber", json!(as_whatsapp(about)));
        set(contact, "isGroup", json!(false));
    }
    if let Some(ticket) = payload.get_mut("ticket") {
        set(ticket, "apiConfig", json!({ "externalKey": id("deal", about) }));
        set(ticket, "isGroup", json!(false));
    }
    if let Some(writer) = payload.get_mut("contactmessage") {
        *writer = Value::Null;
    }
    payload.values_mut().filter_map(Value::as_object_mut).for_each(|inner| agree(inner, about));
}

/// Which of the shared entities has this id.
fn index(text: &str) -> Option<usize> {
    (0..SHARED).find(|&n| ["deal", "lead"].iter().any(|entity| id(entity, n) == text))
}

/// Sets a member that is there and not null.
fn set(object: &mut Value, name: &str, to: Value) {
    if let Some(value) = object.get_mut(name).filter(|value| !value.is_null()) {
        *value = to;
    }
}
