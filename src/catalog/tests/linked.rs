//! Join and latest topics and derived fields of a third vendor, and what is said when they are wrong.

use std::fs;

use super::*;

const JSON: &str = r#"{"type":"string","connect.name":"io.debezium.data.Json"}"#;
const ORDER_LATEST: &str = r#"{"type":"record","namespace":"loja","name":"OrderLatest","fields":[
    {"name":"event","type":"hookbridge.Event"},
    {"name":"order","type":"loja.Order"},
    {"name":"phones","derive":{"from":"order.items.phone","phone":"BR"},"type":["null",{"type":"array","items":"string"}],"default":null},
    {"name":"extra","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null}]}"#;
const ITEM: &str = r#"{"type":"record","namespace":"loja","name":"Item","fields":[
    {"name":"sku","type":"string"},
    {"name":"phone","type":["null","string"],"default":null},
    {"name":"extra","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null}]}"#;
const TOPICS: &str = r#"
[join_topics]
"order-by-item" = { from = ["order"], keys = ["order.items.sku", "order.ref", "order.meta.sku"] }
[timeline_topics]
"item-timeline" = { from = ["order"], keys = ["order.id"] }
[latest_topics]
"order-latest" = { record = "OrderLatest", updated = "order.at" }
"#;

/// What loading that vendor says, once one of its files is changed.
fn loaded(file: &str, from: &str, to: &str) -> Result<Catalog, String> {
    changed(&[(file, from, to)])
}

/// The same with several changes.
pub(super) fn changed(changes: &[(&str, &str, &str)]) -> Result<Catalog, String> {
    let dir = vendor(&[]);
    let folder = dir.path().join("loja");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    fs::write(folder.join("OrderLatest.avsc"), ORDER_LATEST).unwrap();
    fs::write(folder.join("Item.avsc"), ITEM).unwrap();
    fs::write(folder.join("profile.toml"), read("profile.toml") + TOPICS).unwrap();
    let fields = format!(
        r#"{{"name":"items","type":["null",{{"type":"array","items":"loja.Item"}}],"default":null}},
           {{"name":"meta","type":["null",{JSON}],"default":null}},
           {{"name":"ref","derive":{{"from":"meta","reference":"sku"}},"type":["null","string"],"default":null}},
           {{"name":"at""#
    );
    fs::write(folder.join("Order.avsc"), read("Order.avsc").replacen(r#"{"name":"at""#, &fields, 1)).unwrap();
    for (file, from, to) in changes {
        let text = read(file);
        assert!(text.contains(from), "{file}: no {from}");
        fs::write(folder.join(file), text.replacen(from, to, 1)).unwrap();
    }
    let words = |error: CatalogError| error.to_string().replace(&format!("{}/", dir.path().display()), "");
    Catalog::load(Some(dir.path())).map_err(words)
}

#[test]
fn a_third_vendor_has_join_and_latest_topics_by_its_files_alone() {
    let mut catalog = loaded("profile.toml", "", "").unwrap();
    let paid = |catalog: &Catalog| {
        let paid = &catalog.profiles["loja"].types["order.paid"];
        let joins: Vec<_> = paid.joins.iter().map(|join| (join.topic.clone(), join.id.clone())).collect();
        (joins, paid.latest.as_ref().map(|latest| latest.topic.clone()))
    };
    let by_item = ("loja.order-by-item".to_owned(), Type::String);
    let timeline = ("loja.item-timeline".to_owned(), Type::Long);
    assert_eq!(paid(&catalog), (vec![by_item.clone(), timeline], Some("loja.order-latest".into())));
    catalog.keep(&FurtherTopics { latest: false, ..FurtherTopics::default() });
    assert_eq!(paid(&catalog), (vec![by_item], None));
}

#[test]
fn join_topics_are_written_by_default_by_name_or_all() {
    let off = [
        "contract-by-deal",
        "deal-by-phone",
        "delivery-by-deal",
        "lead-by-phone",
        "satisfaction-by-deal",
        "task-by-deal",
    ];
    let off = off.map(|name| format!("wegly.{name}")).into_iter();
    let off: Vec<_> =
        off.chain(["message-by-phone", "ticket-by-reference"].map(|name| format!("whazing.{name}"))).collect();
    let on = ["wegly.chat-by-deal", "wegly.chat-by-lead", "whazing.message-by-reference"].map(str::to_owned);
    let kept = |joins: JoinTopics| {
        let mut catalog = Catalog::load(None).unwrap();
        catalog.keep(&FurtherTopics { joins, ..FurtherTopics::default() });
        catalog.join_topics().into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(kept(JoinTopics::Default), on.clone().into());
    assert_eq!(kept(JoinTopics::None), BTreeSet::new());
    assert_eq!(kept(JoinTopics::All), on.into_iter().chain(off).collect());
    let named = BTreeSet::from(["wegly.task-by-deal".to_owned()]);
    assert_eq!(kept(JoinTopics::Only(named.iter().cloned().collect())), named);
}

#[test]
fn a_record_of_a_latest_topic_that_the_profile_leaves_away_does_no_harm() {
    let whole = "\"order-latest\" = { record = \"OrderLatest\", updated = \"order.at\" }";
    let catalog = loaded("profile.toml", whole, "").unwrap();
    assert!(catalog.profiles["loja"].types["order.paid"].latest.is_none());
}

#[test]
fn what_is_wrong_with_further_topics_is_named_by_file_and_place() {
    for (file, from, to, expected) in [
        (
            "profile.toml",
            "order-by-item",
            "Order",
            "profile.toml: join_topics.\"Order\": expected lower-case letters, digits and `-`",
        ),
        (
            "profile.toml",
            "\"order-by-item\"",
            "\"order\"",
            "join_topics.\"order\": events already go to a topic of this name",
        ),
        (
            "profile.toml",
            "from = [\"order\"]",
            "from = [\"cart\"]",
            "join_topics.\"order-by-item\".keys[0]: order.items.sku: no event type of `from` has it",
        ),
        (
            "profile.toml",
            "from = [\"order\"]",
            "from = [\"order\", \"cart\"]",
            "join_topics.\"order-by-item\".from[1]: cart: none of its events has one of `keys`",
        ),
        ("profile.toml", "items.sku", "items.code", ".keys[0]: order.items.code: loja.Item has no field `code`"),
        (
            "profile.toml",
            r#"["order.items.sku", "order.ref", "order.meta.sku"]"#,
            r#"["order.items"]"#,
            ".keys: got array, expected a uuid, an int, a long or a string",
        ),
        (
            "profile.toml",
            "order.meta.sku",
            "order.id",
            ".keys[2]: order.id: whole number, but all keys of a topic must have the same type",
        ),
        ("profile.toml", "order.ref", "order.ref.x", "`x`: what stands before it is not a record"),
        ("profile.toml", "order.ref", "event.id", "`event` is made by hookbridge, not sent by the source"),
        (
            "profile.toml",
            "\"OrderLatest\"",
            "\"Last\"",
            "latest_topics.\"order-latest\".record: no such type: loja.Last",
        ),
        (
            "OrderLatest.avsc",
            "\"event\"",
            "\"head\"",
            ".record: loja.OrderLatest: expected the fields `event`, a required snapshot",
        ),
        (
            "profile.toml",
            "updated = \"order.at\"",
            "updated = \"order.id\"",
            ".updated: order.id: expected a timestamp-millis",
        ),
        ("profile.toml", "updated = \"order.at\"", "updated = \"order.on\"", ".updated: loja.Order has no field `on`"),
        ("OrderLatest.avsc", "\"loja.Order\"", "\"loja.Item\"", ".updated: loja.Item has no field `at`"),
        ("OrderLatest.avsc", "order.items.phone", "order.items.fax", "loja.Item has no field `fax`"),
        (
            "OrderLatest.avsc",
            "\"items\":\"string\"",
            "\"items\":\"long\"",
            "`phones`: expected a list of strings with `derive`",
        ),
    ] {
        let words = loaded(file, from, to).err().unwrap_or_default();
        assert!(words.contains(expected), "{from} -> {to}: {words}");
    }
}

#[test]
fn what_is_wrong_with_derived_fields_is_named_by_file_and_place() {
    for (file, from, to, expected) in [
        (
            "OrderLatest.avsc",
            "\"BR\"",
            "\"Brasil\"",
            "OrderLatest.avsc: /fields/2/derive: \"Brasil\": expected the two letters",
        ),
        (
            "OrderLatest.avsc",
            "\"BR\"",
            "\"ZZ\"",
            "OrderLatest.avsc: /fields/2/derive: \"ZZ\": expected the two letters",
        ),
        ("OrderLatest.avsc", "order.items.phone", "order.items", "`phones`: order.items: expected text, got array"),
        (
            "profile.toml",
            "\"item-timeline\"",
            "\"order-by-item\"",
            "timeline_topics.\"order-by-item\": another join, timeline or latest topic",
        ),
        (
            "profile.toml",
            "\"order-latest\"",
            "\"item-timeline\"",
            "latest_topics.\"item-timeline\": another join, timeline or latest topic",
        ),
        (
            "profile.toml",
            "[latest_topics]",
            "[latest_topics]\n\"order-now\" = { record = \"OrderLatest\", updated = \"order.at\" }",
            "latest_topics.\"order-now\".record: loja.order-latest already holds the last state of `order`",
        ),
        (
            "profile.toml",
            "order.ref",
            "order.extra.sku",
            ".keys[1]: order.extra.sku: `extra` is made by hookbridge, not sent by the source",
        ),
        (
            "profile.toml",
            "keys = [\"order.items.sku\"",
            "id = \"long\", keys = [\"order.items.sku\"",
            ".keys[0]: order.items.sku: text, but all keys of a topic must have the same type",
        ),
        ("profile.toml", "keys = [\"order.items.sku\"", "id = \"json\", keys = [\"order.items.sku\"", "got \"json\""),
        ("profile.toml", "keys = [\"order.id\"]", "keys = []", "timeline_topics.\"item-timeline\".keys: empty"),
        (
            "profile.toml",
            "\n[verify]",
            "redact = [\"order.items.phone\"]\n[verify]",
            "latest_topics.\"order-latest\".record: a list of loja.OrderLatest is derived from a field that is redacted",
        ),
        (
            "profile.toml",
            "\n[verify]",
            "redact = [\"order.items\"]\n[verify]",
            "join_topics.\"order-by-item\".keys[0]: order.items.sku is redacted, but the record's key would show it",
        ),
        ("Order.avsc", "\"reference\":\"sku\"", "\"copy\":true", "Order.avsc: /fields/3/derive: unknown field `copy`"),
        (
            "Order.avsc",
            ",\"reference\":\"sku\"",
            "",
            "Order.avsc: /fields/3/derive: expected `from` and exactly one of `reference`, `member`, `phone`",
        ),
        (
            "Order.avsc",
            "\"from\":\"meta\"",
            "\"from\":\"data\"",
            "/fields/3: derive.from: loja.Order has no field `data`",
        ),
        (
            "Order.avsc",
            "\"from\":\"meta\"",
            "\"from\":\"id\"",
            "/fields/3: derive.from: `id`: expected JSON, got whole number",
        ),
        (
            "Order.avsc",
            r#""sku"},"type":["null","string"]"#,
            r#""sku"},"type":["null","long"]"#,
            "/fields/3: type: a derived field must be [\"null\", \"string\"]",
        ),
        (
            "profile.toml",
            "\n[verify]",
            "redact = [\"order.meta\"]\n[verify]",
            "redact[0]: order.meta: a field of loja.Order is derived from it and would still show it",
        ),
    ] {
        let words = loaded(file, from, to).err().unwrap_or_default();
        assert!(words.contains(expected), "{from} -> {to}: {words}");
    }
}
