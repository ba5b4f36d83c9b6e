//! What is sent: entities of both vendors, and the events of each, told apart by a number that counts up.

use crate::support::sender::{self, hex};

/// One event in so many has a type that nobody knows, and becomes a dead letter.
const DEAD_EVERY: usize = 23;

/// Something that events are about: one Kafka key.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    pub(crate) source: &'static str,
    /// Without prefix.
    pub(crate) topic: &'static str,
    pub(crate) key: String,
    number: usize,
}

/// One event, as it is sent again and again.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// As the bridge has to call it.
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    /// Stands in the body, and nowhere else.
    pub(crate) token: String,
    /// Where it has to land.
    pub(crate) topic: &'static str,
    pub(crate) key: String,
    pub(crate) entity: usize,
    pub(crate) number: u32,
    /// Kafka may refuse it for its size; then it becomes a dead letter.
    pub(crate) large: bool,
}

pub(crate) const DEAD_LETTERS: &str = "hookbridge.dead-letters";
/// Where every event of [`LINKED_FROM`] lands once more, under the same key: a ticket's reference is its id here.
pub(crate) const LINKED: &str = "whazing.message-by-reference";
pub(crate) const LINKED_FROM: &str = "whazing.message";

/// `count` entities: deals, leads and tickets in turn.
pub(crate) fn entities(count: usize) -> Vec<Entity> {
    let entity = |number: usize| {
        let uuid = format!("00000000-0000-4000-8000-{number:012}");
        let (source, topic, key) = match number % 3 {
            0 => ("wegly", "wegly.deal", uuid),
            1 => ("wegly", "wegly.lead", uuid),
            _ => ("whazing", "whazing.message", number.to_string()),
        };
        Entity { source, topic, key, number }
    };
    (0..count).map(entity).collect()
}

impl Entity {
    /// Its event `number`, with about `padding` bytes more than it needs.
    pub(crate) fn event(&self, number: u32, padding: usize) -> Event {
        let Entity { source, key, .. } = self;
        let token = format!("tok{:05}x{number:07}y", self.number);
        // Twice, at both ends: a page of a database may part the one or the other, not both.
        let tail = format!("\"padding\":\"{}\",\"again\":\"{token}\"", filler(&token, padding));
        let dead = (self.number + number as usize) % DEAD_EVERY == DEAD_EVERY - 1;
        let body = match (*source, self.topic, dead) {
            ("whazing", _, false) => format!(
                r#"{{"messageId":"{token}","fromMe":{},"body":"{number}","ticket":{{"id":{key},"apiConfig":"{key}"}},{tail}}}"#,
                number.is_multiple_of(2)
            ),
            ("whazing", _, true) => format!(r#"{{"Type":"Nobody","n":"{token}",{tail}}}"#),
            (_, _, true) => format!(r#"{{"event_key":"deal.nobody","payload":{{"id":"{key}","n":"{token}",{tail}}}}}"#),
            (_, "wegly.deal", _) => format!(
                r#"{{"event_key":"deal.updated","payload":{{"id":"{key}","code":{number},"title":"{token}",{tail}}}}}"#
            ),
            (_, _, _) => format!(
                r#"{{"event_key":"lead.stage_changed","payload":{{"lead":{{"id":"{key}","name":"{token}"}},{tail}}}}}"#
            ),
        };
        let body = body.into_bytes();
        let id = sender::event_id(source, &body);
        let (topic, key) = if dead { (DEAD_LETTERS, id.clone()) } else { (self.topic, key.clone()) };
        Event { id, body, token, topic, key, entity: self.number, number, large: false }
    }

    /// The headers that prove who sends `body`.
    pub(crate) fn proof(&self, body: &[u8]) -> (&'static str, String) {
        sender::proof(self.source, body)
    }
}

/// Text that no compression makes small: half of what it says is unlike anything before.
fn filler(token: &str, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for n in 0_u32.. {
        if text.len() >= bytes {
            break;
        }
        text += &hex(&sender::mac(token, &n.to_be_bytes()));
    }
    text.truncate(bytes);
    text
}
