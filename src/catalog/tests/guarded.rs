//! What a profile may redact and hash, and what is said when it may not.

use super::linked::changed;
use super::*;
use crate::catalog::Guard;

/// A line at the top of the profile.
fn with(line: &str, changes: &[(&str, &str, &str)]) -> Result<Catalog, String> {
    let line = format!("{line}\n[verify]");
    changed(&[&[("profile.toml", "[verify]", line.as_str())], changes].concat())
}

#[test]
fn what_is_hashed_is_text_that_may_be_null_and_stands_in_no_key() {
    // A second way to an item, and a text in the event's own record.
    let gift = (
        "OrderPaid.avsc",
        "{\"name\":\"order\"",
        r#"{"name":"gift","type":["null","loja.Item"],"default":null},
           {"name":"kind","type":["null","string"],"default":null},{"name":"order""#,
    );
    let by = |key: &'static str| ("profile.toml", "\"order.items.sku\"", key);
    for (line, change, expected) in [
        (
            r#"hash = ["order.id"]"#,
            gift,
            "hash[0]: order.id of loja.Order: got whole number, but only strings can be hashed",
        ),
        (r#"hash = ["order.meta"]"#, gift, "hash[0]: order.meta of loja.Order: got JSON"),
        (r#"hash = ["order.items"]"#, gift, "hash[0]: order.items of loja.Order: got array"),
        (r#"hash = ["order.at"]"#, gift, "hash[0]: order.at of loja.Order: got instant"),
        (
            r#"hash = ["gift.phone", "order.items.sku"]"#,
            gift,
            "hash[1]: order.items.sku is required in loja.Item, and a value that is not text becomes null: make it nullable",
        ),
        // A key is required, so it is never hashed.
        (
            r#"hash = ["order.id"]"#,
            ("Order.avsc", r#""type":"long"}"#, r#""type":"string"}"#),
            "hash[0]: order.id is required in loja.Order",
        ),
        (r#"redact = ["order..at"]"#, gift, "redact[0]: \"order..at\" is not a path"),
        (r#"redact = ["order.at"]"#, gift, "order.at is redacted, but `event.occurred_at`"),
        (r#"hash = ["order.fax"]"#, gift, "hash[0]: no event has a field order.fax"),
        (r#"hash = ["order.ref"]"#, gift, "hash[0]: no event has a field order.ref"),
        (r#"hash = ["order.extra"]"#, gift, "hash[0]: no event has a field order.extra"),
        (r#"hash = ["event.source"]"#, gift, "hash[0]: no event has a field event.source"),
        (
            r#"hash = ["kind"]"#,
            gift,
            "hash[0]: kind determines the event type, which `event.type` shows: it cannot be redacted or hashed",
        ),
        (
            r#"hash = ["order.meta.sku"]"#,
            gift,
            "hash[0]: order.meta.sku: a field of loja.Order is derived from it and would still show it",
        ),
        (
            "redact = [\"gift.phone\"]\nhash = [\"order.items.phone\"]",
            gift,
            "hash[0]: order.items.phone is in `redact` and in `hash`: keep one of them",
        ),
        (r#"redact_names = ["fax", "-_"]"#, gift, "redact_names[1]: \"-_\" is not a field name"),
        (
            r#"redact_names = ["KIND"]"#,
            gift,
            "redact_names[0]: kind determines the event type, which `event.type` shows: it cannot be redacted or hashed",
        ),
        (
            r#"redact_names = ["s_k_u"]"#,
            gift,
            "redact_names[0]: sku is required in loja.Item, and a redacted field becomes null: make it nullable",
        ),
        (
            "redact_names = [\"PHONE\"]\nhash = [\"gift.phone\"]",
            gift,
            "hash[0]: gift.phone is in `redact` and in `hash`: keep one of them",
        ),
        (
            r#"redact_names = ["Phone"]"#,
            by("\"order.items.phone\""),
            "order.items.phone is redacted, but the record's key would show it",
        ),
        (r#"hash = "order.items.phone""#, gift, "profile.toml: hash: expected a list, got \"order.items.phone\""),
    ] {
        let words = with(line, &[change]).err().unwrap_or_default();
        assert!(words.contains(expected), "{line}: {words}\nexpected {expected}");
    }
    // The same field by another way.
    let words = with("redact = [\"gift.phone\"]", &[gift, by("\"order.items.phone\"")]).err().unwrap_or_default();
    assert!(words.contains("order.items.phone is redacted, but the record's key would show it"), "{words}");
    // The key of a hashed one is the hash.
    for line in ["hash = [\"gift.phone\"]", "hash = [\"order.items.phone\"]"] {
        let catalog = with(line, &[gift, by("\"order.items.phone\"")]).unwrap();
        let joins = &catalog.profiles["loja"].types["order.paid"].joins;
        assert!(joins.iter().any(|join| join.keys.iter().any(|key| key.hashed)), "{line}");
    }
    let latest = with("redact = [\"gift.phone\"]", &[gift]).err().unwrap_or_default();
    assert!(latest.contains("a list of loja.OrderLatest is derived from a field that is redacted"), "{latest}");
}

#[test]
fn a_hashed_field_is_one_in_every_place_of_its_record_and_takes_along_what_is_derived_of_it() {
    let phone = r#"{"name":"phone","type":["null","string"],"default":null}"#;
    let made = r#"{"name":"phone","type":["null","string"],"default":null,"doc":"As sent."},
        {"name":"e164","derive":{"from":"phone","phone":"BR"},"type":["null","string"],"default":null}"#;
    let catalog = with("hash = [\"order.items.phone\"]", &[("Item.avsc", phone, made)]).unwrap();
    let profile = &catalog.profiles["loja"];
    let item = profile.records.iter().find(|record| &*record.name == "Item").unwrap();
    let guards: Vec<_> = item.fields.iter().map(|field| (&*field.json, field.guard)).collect();
    assert_eq!(guards, [("sku", Guard::None), ("phone", Guard::Hashed), ("e164", Guard::Hashed)]);
    let paid = &profile.types["order.paid"];
    assert!(paid.latest.as_ref().unwrap().hashed);
    assert!(profile.guarded.has("phone") && !profile.guarded.has("Phone") && profile.redacted_anywhere.is_empty());
    assert_eq!(profile.hashed, ["order.items.phone"]);

    // And its schemas say so.
    let note = "Hashed: HMAC-SHA256 by the operator's key, 64 hex digits.\"";
    assert!(paid.schema.text.contains(&format!("As sent. {note}")), "{}", paid.schema.text);
    let counts: Vec<_> = paid.schemas().map(|schema| schema.text.matches(note).count()).collect();
    assert_eq!(counts, [2, 3], "of the order's record, and with the list of the latest topic");
}
