//! Names: of fields, records, types and topics, made from those of the samples.

use std::collections::BTreeSet;

use heck::{ToSnakeCase as _, ToUpperCamelCase as _};

use crate::values::uuid_text::uuid;

/// The longest value that can be the name of a type.
const LONGEST_TYPE: usize = 80;

/// Words behind which a number may be a Unix time.
const TIMES: [&str; 19] = [
    "at",
    "time",
    "timestamp",
    "date",
    "datetime",
    "ts",
    "created",
    "updated",
    "modified",
    "changed",
    "expires",
    "expiry",
    "expiration",
    "since",
    "until",
    "start",
    "end",
    "sent",
    "received",
];

/// Words behind which a number is measured or paid, and so may have a fraction.
const MEASURES: [&str; 36] = [
    "amount",
    "price",
    "total",
    "subtotal",
    "cost",
    "fee",
    "tax",
    "discount",
    "rate",
    "balance",
    "lat",
    "latitude",
    "lon",
    "lng",
    "longitude",
    "altitude",
    "weight",
    "height",
    "width",
    "length",
    "depth",
    "score",
    "rating",
    "percent",
    "percentage",
    "ratio",
    "temperature",
    "humidity",
    "speed",
    "distance",
    "volume",
    "level",
    "quality",
    "value",
    "average",
    "km",
];

/// Names that say nothing of what is in them.
const HOLLOW: [&str; 12] = [
    "data",
    "object",
    "payload",
    "body",
    "attributes",
    "resource",
    "item",
    "record",
    "info",
    "detail",
    "value",
    "content",
];

/// Names of fields whose values nobody should read.
const SECRETS: [&str; 12] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "authorization",
    "qrcode",
    "qr_code",
    "pairing_code",
    "private_key",
    "cvv",
];

/// The field's name in Avro: `parcelNo` is `parcel_no`.
pub(super) fn field(json: &str) -> String {
    let name = plain(json).to_snake_case();
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { format!("n{name}") } else { name }
}

/// Without what no name in Avro has: letters lose their accents, all else is a space.
fn plain(text: &str) -> String {
    let without_accent = |c: char| match c {
        'á' | 'à' | 'â' | 'ã' | 'ä' | 'å' => 'a',
        'Á' | 'À' | 'Â' | 'Ã' | 'Ä' | 'Å' => 'A',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'É' | 'È' | 'Ê' | 'Ë' => 'E',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'Í' | 'Ì' | 'Î' | 'Ï' => 'I',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' | 'ø' => 'o',
        'Ó' | 'Ò' | 'Ô' | 'Õ' | 'Ö' | 'Ø' => 'O',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'Ú' | 'Ù' | 'Û' | 'Ü' => 'U',
        'ç' => 'c',
        'Ç' => 'C',
        'ñ' => 'n',
        'Ñ' => 'N',
        c if c.is_ascii_alphanumeric() => c,
        _ => ' ',
    };
    text.chars().map(without_accent).collect()
}

/// A record's name: `order_item` is `OrderItem`.
pub(super) fn record(words: &str) -> String {
    let name = plain(words).to_upper_camel_case();
    if name.starts_with(|c: char| c.is_ascii_uppercase()) { name } else { format!("N{name}") }
}

/// The name of the record for what stands in a field of this name, one of many where `in_list`.
pub(super) fn record_in(json: &str, in_list: bool) -> String {
    let name = field(json);
    record(&if in_list { singular(&name) } else { name })
}

/// `line_items` is `line_item`, `categories` is `category`; `status` and `address` are one already.
pub(super) fn singular(name: &str) -> String {
    let one = |ending: &str, instead: &str| Some(format!("{}{instead}", name.strip_suffix(ending)?));
    let is_one = ["ss", "us", "is", "news"].iter().any(|ending| name.ends_with(ending)) || name.len() < 3;
    let many = || one("ies", "y").or_else(|| one("sses", "ss")).or_else(|| one("xes", "x")).or_else(|| one("s", ""));
    if is_one { name.to_owned() } else { many().unwrap_or_else(|| name.to_owned()) }
}

/// Whether the name says nothing of what is in it.
pub(super) fn is_hollow(json: &str) -> bool {
    HOLLOW.contains(&singular(&field(json)).as_str())
}

/// Whether the name sounds like a secret's.
pub(super) fn is_secret(json: &str) -> bool {
    let name = field(json);
    SECRETS.iter().any(|secret| name == *secret || name.ends_with(&format!("_{secret}")))
}

/// Whether a number in a field of this name may be a Unix time.
pub(super) fn tells_time(json: &str) -> bool {
    let name = field(json);
    name.rsplit('_').next().is_some_and(|word| TIMES.contains(&word) || word.ends_with("timestamp"))
}

/// Whether a number in a field of this name may have a fraction, though those seen have none.
pub(super) fn is_measure(json: &str) -> bool {
    field(json).rsplit('_').next().is_some_and(|word| MEASURES.contains(&word))
}

/// Whether the name of a member is data rather than a name: an id, a date, an address, a sentence.
pub(super) fn is_data(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    name.is_empty()
        || name.len() > 64
        || digits >= 5
        || name.starts_with(|c: char| c.is_ascii_digit())
        || name.contains(['@', '/', ':', ' ', '+', '#'])
        || !name.chars().any(char::is_alphabetic)
}

/// The event type that the value of a telling field means: `orders/Create` is `orders.create`. `None` where it cannot be the
/// name of a type: a number, an id, a sentence.
pub(super) fn event_type(value: &str) -> Option<String> {
    let is_code = |c: char| c.is_alphanumeric() || "._-/: ".contains(c);
    let words = value.split(' ').count();
    if value.len() > LONGEST_TYPE || words > 4 || uuid(value).is_some() || !value.chars().all(is_code) {
        return None;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    if letters < 2 || digits > 4 || digits > letters {
        return None;
    }
    let parts: Vec<_> =
        value.split(['.', '/', ':']).map(|part| plain(part).to_snake_case()).filter(|part| !part.is_empty()).collect();
    Some(parts.join(".")).filter(|name| !name.is_empty())
}

/// What the events of a type are about, as words: all of its name but the last word, or the profile where that is all.
pub(super) fn entity(event_type: &str, profile: &str) -> String {
    let of = match event_type.rsplit_once('.') {
        Some((entity, _)) => entity.replace('.', "_"),
        None => event_type.rsplit_once('_').map_or(profile, |(entity, _)| entity).to_owned(),
    };
    of.trim_matches('_').to_owned()
}

/// The topic of what is about `entity`, without the profile's name.
pub(super) fn topic(entity: &str) -> String {
    entity.replace('_', "-")
}

/// `wanted`, or with a number behind it where that is taken; takes it.
pub(super) fn unique(wanted: &str, taken: &mut BTreeSet<String>, joint: &str) -> String {
    let mut name = wanted.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{wanted}{joint}{number}");
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_avro_and_the_catalog_take() {
        for (json, expected) in [
            ("parcelNo", "parcel_no"),
            ("orderID", "order_id"),
            ("HTMLBody", "html_body"),
            ("$id", "id"),
            ("utm-source", "utm_source"),
            ("descrição", "descricao"),
            ("2fa", "n2fa"),
            ("日本", "n"),
            ("", "n"),
        ] {
            assert_eq!(field(json), expected, "{json}");
        }
        for (name, expected) in [
            ("line_items", "line_item"),
            ("categories", "category"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("status", "status"),
            ("address", "address"),
            ("as", "as"),
        ] {
            assert_eq!(singular(name), expected);
        }
    }

    #[test]
    fn a_value_is_a_type_unless_it_is_data() {
        for (value, expected) in [
            ("order.created", Some("order.created")),
            ("orders/create", Some("orders.create")),
            ("OrderCreated", Some("order_created")),
            ("ORDER_CREATED", Some("order_created")),
            ("charge-succeeded", Some("charge_succeeded")),
            ("v2.order", Some("v2.order")),
            ("5511987654321", None),
            ("11111111-1111-4111-8111-111111111111", None),
            ("someone@example.com", None),
            ("The parcel was left with a neighbour", None),
            ("", None),
            ("...", None),
        ] {
            assert_eq!(event_type(value).as_deref(), expected, "{value}");
        }
        assert_eq!(entity("customer.subscription.updated", "acme"), "customer_subscription");
        assert_eq!(
            (entity("order_item_created", "acme"), entity("ping", "acme")),
            ("order_item".into(), "acme".into())
        );
    }
}
