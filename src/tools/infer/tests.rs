//! Profiles made of samples: each sample converts by what was made of it.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::catalog::{Catalog, Profile};
use crate::convert::encode::judge::{SentJson, nothing_lost, through};
use crate::values::json::{Document, MAX_DEPTH, Node};

mod described;

type Files = BTreeMap<String, String>;

fn inputs() -> Inputs {
    let verify = VerifyChoice { method: "token".into(), header: "x-acme".into(), given: false };
    Inputs {
        profile: "acme".into(),
        schemas: Vec::new(),
        type_field: None,
        type_header: None,
        keys: Vec::new(),
        verify,
    }
}

fn sample(label: &str, text: impl Into<String>) -> Sample {
    Sample { label: label.into(), text: text.into(), headers: HeaderMap::new(), at: None }
}

fn samples(bodies: &[Value]) -> Vec<Sample> {
    bodies.iter().enumerate().map(|(at, body)| sample(&at.to_string(), body.to_string())).collect()
}

fn profile(files: &Files) -> std::sync::Arc<Profile> {
    let catalog = Catalog::alone("acme", files);
    catalog.unwrap_or_else(|error| panic!("{error}\n{files:#?}")).profiles.remove("acme").unwrap()
}

fn first(samples: &[Sample]) -> Draft {
    draft(&inputs(), samples, None, &SeenExtras::default()).unwrap()
}

/// What is drafted on top of `files`, and all files then.
fn again(files: &Files, samples: &[Sample]) -> (Draft, Files) {
    let profile = profile(files);
    let base = Base { files, profile: &profile };
    let made = draft(&inputs(), samples, Some(&base), &SeenExtras::default()).unwrap();
    let mut all = files.clone();
    all.extend(made.files.clone());
    (made, all)
}

fn field(files: &Files, record: &str, name: &str) -> Value {
    let text = files.get(&format!("{record}.avsc")).unwrap_or_else(|| panic!("no {record} in {:?}", files.keys()));
    let json: Value = serde_json::from_str(text).unwrap();
    let fields = json["fields"].as_array().unwrap();
    fields.iter().find(|field| field["name"] == name).unwrap_or_else(|| panic!("no {name} in {text}")).clone()
}

#[allow(clippy::needless_pass_by_value, reason = "calls read better")]
fn order(event_type: &str, more: Value) -> Value {
    let mut body = json!({
        "eventId": "0b9f3d6e-6f4a-4c6e-9d53-0f6a4f1f6a11",
        "type": event_type,
        "occurredAt": "2026-06-02T12:00:00Z",
        "order": {
            "id": 7,
            "total": 12.5,
            "billingAddress": {"street": "Rua A", "city": "Recife", "zip": "50000-000"},
            "shippingAddress": {"street": "Rua B", "city": "Natal", "zip": "59000-000"},
            "customer": {"id": 9, "name": "Ana", "email": null},
            "lineItems": [{"sku": "X1", "qty": 2, "price": 3}, {"sku": "X2", "qty": 1, "price": 6.5}],
        },
    });
    for (name, value) in more.as_object().unwrap() {
        body["order"][name] = value.clone();
    }
    body
}

#[test]
fn a_profile_is_made_of_a_few_bodies() {
    let bodies = samples(&[
        order("order.created", json!({})),
        order("order.paid", json!({"paidAt": "2026-06-02 13:00:00", "total": 13})),
    ]);
    let made = first(&bodies);
    let profile = profile(&made.files);
    let tried = try_out(&profile, &bodies);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);
    let files: Vec<_> = made.files.keys().map(String::as_str).collect();
    // One address, and one order, though a field is only in one of them.
    assert_eq!(
        files,
        [
            "Address.avsc",
            "Customer.avsc",
            "LineItem.avsc",
            "Order.avsc",
            "OrderCreated.avsc",
            "OrderPaid.avsc",
            "profile.toml"
        ]
    );
    let types: Vec<_> = made.types.iter().map(|ty| ty.new.clone().unwrap()).collect();
    assert_eq!((types[0].topic.as_str(), types[0].key.as_str()), ("order", "order.id"));
    assert_eq!(types[0].time, ["occurred_at"]);
    assert_eq!(types[1].time, ["occurred_at", "order.paid_at"]);
    assert_eq!(field(&made.files, "Order", "id")["type"], "long");
    assert_eq!(field(&made.files, "Order", "total")["type"], json!(["null", "double"]));
    assert_eq!(field(&made.files, "Order", "line_items")["type"][1]["items"], "acme.LineItem");
    assert_eq!(field(&made.files, "Order", "shipping_address")["type"], json!(["null", "acme.Address"]));
    assert_eq!(field(&made.files, "OrderPaid", "order")["type"], "acme.Order");
    assert_eq!(field(&made.files, "OrderPaid", "event_id")["type"][1]["logicalType"], "uuid");
    assert!(made.notes.iter().any(|note| note.starts_with("Customer.email: null in every sample")), "{:?}", made.notes);
}

#[test]
fn more_samples_add_and_what_a_person_wrote_stays() {
    let before = first(&samples(&[order("order.created", json!({}))]));
    let mut files = before.files.clone();
    let edited = files["Order.avsc"].replace("TODO: what `total` is.", "Total in BRL.");
    files.insert("Order.avsc".into(), edited);
    let toml = files["profile.toml"].replace("topic = \"order\"", "topic = \"orders\"   ");
    files.insert("profile.toml".into(), format!("{toml}# my remark\n"));
    let more = samples(&[
        order("order.created", json!({"coupon": {"code": "X", "percent": 5}})),
        order("order.cancelled", json!({"reason": "late"})),
    ]);
    let (made, all) = again(&files, &more);
    assert_eq!(changes_that_break(&profile(&files), &profile(&all)), [""; 0]);
    assert_eq!(made.misfits, [""; 0]);
    let changed: Vec<_> = made.files.keys().map(String::as_str).collect();
    assert_eq!(changed, ["Coupon.avsc", "Order.avsc", "OrderCancelled.avsc", "profile.toml"]);
    assert_eq!(field(&all, "Order", "total")["doc"], "Total in BRL.");
    assert_eq!(field(&all, "Order", "coupon")["type"], json!(["null", "acme.Coupon"]));
    assert_eq!(field(&all, "OrderCancelled", "order")["type"], "acme.Order");
    for kept in ["topic = \"orders\"   ", "# my remark"] {
        assert!(all["profile.toml"].contains(kept), "{}", all["profile.toml"]);
    }
    let tried = try_out(&profile(&all), &more);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);
    assert!(again(&all, &more).0.files.is_empty(), "a third time adds nothing");
}

#[test]
fn what_does_not_go_together_with_a_field_is_said_and_changes_nothing() {
    let files = first(&samples(&[order("order.created", json!({"count": 3}))])).files;
    let more = samples(&[order("order.created", json!({"count": "many"}))]);
    let (made, all) = again(&files, &more);
    assert!(made.files.is_empty());
    assert!(
        made.misfits[0].starts_with("Order: `count` is long, which does not take all values"),
        "{:?}",
        made.misfits
    );
    let tried = try_out(&profile(&all), &more);
    assert_eq!(tried.extra.keys().collect::<Vec<_>>(), ["Order.count"]);
}

#[test]
fn an_id_that_is_not_always_there_is_no_key_of_a_shared_record() {
    let bodies = samples(&[
        json!({"type": "order.created", "order": {"id": 1, "a": 1, "b": 2}, "parts": [{"order": {"a": 1, "b": 3}}]}),
    ]);
    let made = first(&bodies);
    let tried = try_out(&profile(&made.files), &bodies);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);
}

#[test]
fn a_type_without_anything_to_be_its_key_is_left_out_and_named() {
    let made = first(&samples(&[json!({"type": "ping", "ok": true}), json!({"type": "order.created", "id": 1})]));
    assert!(made.left_out[0].starts_with("ping: no member"), "{:?}", made.left_out);
    assert_eq!(profile(&made.files).types.keys().collect::<Vec<_>>(), ["order.created"]);
}

#[test]
fn no_value_of_a_sample_is_written_but_those_that_tell_types() {
    let body =
        order("order.created", json!({"note": "tell nobody", "phone": "+5511987654321", "map": {"5511987654321": 1}}));
    let made = first(&samples(&[body]));
    let written = format!("{:?}{:?}{:?}", made.files, made.notes, made.left_out);
    for value in ["tell nobody", "5511987654321", "Rua A", "Recife", "Ana", "X1", "0b9f3d6e"] {
        assert!(!written.contains(value), "{value}");
    }
}

#[test]
fn what_stands_in_extra_becomes_fields() {
    let files = first(&samples(&[order("order.created", json!({}))])).files;
    let now = profile(&files);
    let mut extras = SeenExtras::default();
    for at in [30, 10, 20] {
        extras.add(
            "Order",
            r#"{"gift":true,"total":"a lot","agent":{"id":3,"name":"Bia"},"none":null}"#,
            Some(at),
            &now.guarded,
        );
    }
    let made = draft(&inputs(), &[], Some(&Base { files: &files, profile: &now }), &extras).unwrap();
    let mut all = files.clone();
    all.extend(made.files.clone());
    assert_eq!(changes_that_break(&now, &profile(&all)), [""; 0]);
    assert_eq!(field(&all, "Order", "gift")["type"], json!(["null", "boolean"]));
    assert_eq!(field(&all, "Order", "agent")["type"], json!(["null", "acme.Agent"]));
    let added: Vec<_> = made.added.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(added, ["gift", "agent"]);
    assert!(made.misfits[0].contains("`total` is double"), "{:?}", made.misfits);
    let seen = extras.members[&("Order".to_owned(), "gift".to_owned())];
    assert_eq!(seen, SeenSpan { count: 3, first: Some(10), last: Some(30) });
}

/// A sample with its type in a header.
fn sent(topic: &str, body: &Value) -> Sample {
    let headers = [(HeaderName::from_static("x-topic"), topic.parse().unwrap())].into_iter().collect();
    Sample { label: topic.into(), text: body.to_string(), headers, at: None }
}

#[test]
fn a_header_may_determine_the_type() {
    let by_header = Inputs { type_header: Some(HeaderName::from_static("x-topic")), ..inputs() };
    let bodies = [
        sent("orders/create", &json!({"id": 7, "type": "retail", "created_at": "2026-06-02T12:00:00Z"})),
        sent("customers/update", &json!({"id": 9, "email": "a@example.com"})),
    ];
    let made = draft(&by_header, &bodies, None, &SeenExtras::default()).unwrap();
    let now = profile(&made.files);
    assert_eq!(now.types.keys().collect::<Vec<_>>(), ["customers.update", "orders.create"]);
    // What only looks as if it determined the type stays in the record.
    assert_eq!(field(&made.files, "OrdersCreate", "type")["type"], json!(["null", "string"]));
    let tried = try_out(&now, &bodies);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);

    // More of them are added to its rule, whether they come from files or are dead letters.
    let more = [sent("orders/paid", &json!({"id": 7})), sent("orders/create", &json!({"id": 8, "total": 3.5}))];
    let base = Base { files: &made.files, profile: &now };
    let added = draft(&inputs(), &more, Some(&base), &SeenExtras::default()).unwrap();
    let mut all = made.files.clone();
    all.extend(added.files.clone());
    let new = profile(&all);
    assert_eq!(changes_that_break(&now, &new), [""; 0]);
    assert_eq!(new.types.keys().collect::<Vec<_>>(), ["customers.update", "orders.create", "orders.paid"]);
    let tried = try_out(&new, &more);
    assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);

    let Err(error) = draft(&by_header, &samples(&[json!({"id": 7})]), None, &SeenExtras::default()) else { panic!() };
    assert!(error.to_string().starts_with("0: no type for the header x-topic: expected"), "{error}");
}

#[test]
fn a_value_is_added_to_the_rule_that_does_not_know_it_though_it_has_several_parts() {
    let first = first(&samples(&[json!({"type": "push", "id": 1})]));
    let mut files = first.files;
    let rules = "[[recognise]]\nheader = \"x-topic\"\nvalues = { push = \"push\" }\nignore = [\"ping\"]\notherwise = \"next\"\n\n\
                 [[recognise]]\ntemplate = \"{header:x-topic}.{action}\"\nvalues = { \"issues.opened\" = \"push\" }\n\n[types]";
    let toml = &files["profile.toml"];
    let types = toml.split("[types]").nth(1).unwrap();
    let verify = &toml[toml.find("[verify]").unwrap()..];
    let verify = verify.split("\n\n").next().unwrap();
    let text = format!("{verify}\n\n{rules}{types}");
    files.insert("profile.toml".into(), text);
    let now = profile(&files);
    let more = [
        sent("issues", &json!({"id": 2, "action": "closed"})),
        sent("fork", &json!({"id": 3})),
        sent("ping", &json!({"id": 4})),
    ];
    let base = Base { files: &files, profile: &now };
    let added = draft(&inputs(), &more, Some(&base), &SeenExtras::default()).unwrap();
    assert_eq!(added.left_out.len(), 1, "{:?}", added.left_out);
    files.extend(added.files);
    let new = profile(&files);
    assert_eq!(new.types.keys().collect::<Vec<_>>(), ["fork", "issues.closed", "push"]);
    let tried = try_out(&new, &more[..2]);
    assert!(tried.failed.is_empty(), "{:?}", tried.failed);
}

#[test]
fn types_are_added_to_the_built_in_profiles_too() {
    let files = crate::catalog::profile_files(None, "wegly").unwrap();
    let catalog = Catalog::load(None).unwrap();
    let now = &catalog.profiles["wegly"];
    let id = "11111111-1111-4111-8111-111111111111";
    let body = json!({"event_key": "deal.archived", "payload": {"deal": {"id": id, "code": 7}, "archived_by": {"id": id, "name": "Ana"}}});
    let body = sample("0", body.to_string());
    let inputs = Inputs { profile: "wegly".into(), ..inputs() };
    let base = Base { files: &files, profile: now };
    let made = draft(&inputs, std::slice::from_ref(&body), Some(&base), &SeenExtras::default()).unwrap();
    let new = Catalog::load_with(None, "wegly", &made.files).unwrap();
    let new = &new.profiles["wegly"];
    assert_eq!(changes_that_break(now, new), [""; 0]);
    let ty = &new.types["deal.archived"];
    assert_eq!((ty.topic.as_str(), ty.key.text.as_str()), ("wegly.deal", "deal.id"));
    let tried = try_out(new, &[body]);
    assert!(tried.failed.is_empty(), "{:?}", tried.failed);
}

/// Values as senders spell them, under names that meet.
fn value() -> impl Strategy<Value = String> {
    let time = prop_oneof![
        Just("\"2026-06-02T12:00:00Z\"".to_owned()),
        Just("\"2026-06-02 12:00:00.5\"".to_owned()),
        Just("\"2026-06-02\"".to_owned()),
        Just("\"02/06/2026 13:00\"".to_owned()),
        Just("1780401600".to_owned()),
        Just("1780401600123".to_owned()),
    ];
    let number = prop_oneof![
        any::<i32>().prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        (0..1000u32, 0..100u32).prop_map(|(a, b)| format!("{a}.{b:02}")),
        Just("1e3".to_owned()),
        Just("9223372036854775808".to_owned()),
        Just("0.12345678901234567890".to_owned()),
    ];
    let text = prop_oneof![
        "[a-z ]{0,8}".prop_map(|text| format!("\"{text}\"")),
        Just("\"11111111-1111-4111-8111-111111111111\"".to_owned()),
        Just("\"007\"".to_owned()),
        Just("\"12.50\"".to_owned()),
        Just("\"a\\u00e7\\n\"".to_owned()),
    ];
    let scalar =
        prop_oneof![Just("null".to_owned()), Just("true".to_owned()), Just("false".to_owned()), time, number, text];
    scalar.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            members(inner, 0).prop_map(|members| format!("{{{members}}}")),
        ]
    })
}

fn members(value: impl Strategy<Value = String>, least: usize) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("id".to_owned()),
        Just("createdAt".to_owned()),
        Just("created_at".to_owned()),
        Just("items".to_owned()),
        Just("customer".to_owned()),
        Just("billing_address".to_owned()),
        Just("address".to_owned()),
        Just("data".to_owned()),
        Just("event".to_owned()),
        Just("123".to_owned()),
        "[a-d][A-Z_.]?[a-d]",
    ];
    proptest::collection::btree_map(name, value, least..6).prop_map(|members| {
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")
    })
}

fn body() -> impl Strategy<Value = String> {
    let event_type = prop_oneof![Just("order.created"), Just("order.paid"), Just("customer.created")];
    (event_type, 0..9u32, members(value(), 1)).prop_map(|(event_type, number, members)| {
        // At the top `event` can have no field, and what would tell the type must not be there twice.
        let members = members.replacen("\"event\":", "\"event2\":", usize::MAX);
        format!("{{\"type\":\"{event_type}\",\"number\":{number},{members}}}")
    })
}

/// Converts, with nothing in `extra`, and reads back as it was sent.
fn is_whole(profile: &Profile, body: &str) -> Result<(), TestCaseError> {
    let doc = Document::scan(body.as_bytes(), MAX_DEPTH).unwrap();
    let sent = SentJson::of(&doc, Node::ROOT).unwrap();
    // The judge knows JSON text in its own spelling.
    let read = through(profile, &sent.text()).map_err(|why| TestCaseError::fail(format!("{body}: {why}")))?;
    prop_assert_eq!(nothing_lost(read.schema, &read.record, profile, &sent), Ok(()), "{}", body);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_sample_is_a_record_that_reads_back_with_nothing_in_extra(bodies in proptest::collection::vec(body(), 1..6)) {
        let bodies: Vec<_> = bodies.into_iter().map(|body| sample("s", body)).collect();
        let made = first(&bodies);
        prop_assert_eq!(&made.left_out, &[""; 0]);
        let profile = profile(&made.files);
        let tried = try_out(&profile, &bodies);
        prop_assert!(tried.failed.is_empty() && tried.extra.is_empty(), "{:?} {:?}", tried.failed, tried.extra);
        for body in &bodies {
            is_whole(&profile, &body.text)?;
        }
    }

    #[test]
    fn what_was_written_is_only_ever_added_to(
        bodies in proptest::collection::vec(body(), 1..4),
        more in proptest::collection::vec(body(), 1..4),
    ) {
        let bodies: Vec<_> = bodies.into_iter().map(|body| sample("s", body)).collect();
        let more: Vec<_> = more.into_iter().map(|body| sample("m", body)).collect();
        let files = first(&bodies).files;
        let (made, all) = again(&files, &more);
        prop_assert_eq!(changes_that_break(&profile(&files), &profile(&all)), [""; 0]);
        for (name, text) in files.iter().filter(|(name, _)| *name != "profile.toml") {
            for line in text.lines() {
                prop_assert!(all[name].contains(line), "{}: {}", name, line);
            }
        }
        // What was a record before is one now, and each new sample is one, or it is said why not.
        let profile = profile(&all);
        prop_assert!(try_out(&profile, &bodies).extra.is_empty());
        let tried = try_out(&profile, &more);
        let is_told = !made.misfits.is_empty() || !made.left_out.is_empty();
        prop_assert!((tried.failed.is_empty() && tried.extra.is_empty()) || is_told, "{:?} {:?}", tried.failed, tried.extra);
        prop_assert!(again(&all, &more).0.files.is_empty());
    }
}
