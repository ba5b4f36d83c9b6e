//! The further topics of an event: the same record again for each entity it is linked to, and an entity's last state.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::eventually;
use crate::support::reader::{self, Record};

const DEAL: &str = "00000000-0000-4000-8000-0000000000d1";
const OTHER: &str = "00000000-0000-4000-8000-0000000000d2";
const LEAD: &str = "00000000-0000-4000-8000-0000000000f1";

fn chat(id: u32, deals: &[&str], leads: &[&str]) -> String {
    let linked = |ids: &[&str]| ids.iter().map(|id| json!({"id": id, "title": "T"})).collect::<Vec<_>>();
    let payload = json!({
        "id": format!("00000000-0000-4000-8000-{id:012x}"), "body_text": "olá",
        "associated_deals": linked(deals), "associated_leads": linked(leads),
    });
    json!({"event_key": "chat.message_received", "payload": payload}).to_string()
}

fn published(bridge: &Bridge, source: &str, body: &str) {
    let answer = bridge.deliver(source, body);
    assert_eq!(answer.sum(), (200, "published".into()), "{answer:?}");
}

/// What a join leaves alone: everything but the key and the subject.
fn same_event(a: &Record, b: &Record) -> bool {
    let rest = |record: &Record| {
        let headers: BTreeSet<_> = record.headers.iter().filter(|(name, _)| name != "ce_subject").cloned().collect();
        (record.decode(), headers, record.timestamp)
    };
    rest(a) == rest(b)
}

#[test]
fn an_event_is_written_once_more_for_each_entity_it_is_linked_to() {
    let bridge = Setup::new("join").start();
    published(&bridge, "wegly", &chat(1, &[DEAL, OTHER, &DEAL.to_uppercase()], &[LEAD]));
    published(&bridge, "wegly", &chat(2, &[], &[]));
    let main = reader::read(&bridge.topic("wegly.chat"));
    assert_eq!(main.len(), 2);
    let event = main.iter().find(|record| record.key.ends_with('1')).unwrap();
    let by_deal = reader::read(&bridge.topic("wegly.chat-by-deal"));
    let keys: BTreeSet<_> = by_deal.iter().map(|record| record.key.as_str()).collect();
    assert_eq!((by_deal.len(), keys), (2, BTreeSet::from([DEAL, OTHER])));
    let by_lead = reader::read(&bridge.topic("wegly.chat-by-lead"));
    assert_eq!(by_lead.iter().map(|record| record.key.as_str()).collect::<Vec<_>>(), [LEAD]);
    for record in by_deal.iter().chain(&by_lead) {
        assert_eq!(record.header("ce_subject"), Some(record.key.as_str()));
        assert!(same_event(record, event), "{record:?}");
    }
}

#[test]
fn messages_are_joined_by_the_reference_of_their_ticket_however_it_is_spelled() {
    let bridge = Setup::new("reference").start();
    for (n, (api_config, expected)) in [
        (json!("deal-1"), Some("deal-1")),
        (json!({"externalKey": "deal-2", "other": 1}), Some("deal-2")),
        (json!("{\"externalKey\": \"deal-3\"}"), Some("deal-3")),
        (json!({"externalKey": 42}), Some("42")),
        (json!("{\"other\": 1}"), None),
        (json!({"externalKey": "  "}), None),
        (json!(""), None),
        (json!(null), None),
        (json!(["deal-4"]), None),
        (json!("[not json"), Some("[not json")),
    ]
    .into_iter()
    .enumerate()
    {
        let body =
            json!({"messageId": n.to_string(), "fromMe": false, "ticket": {"id": n + 1, "apiConfig": api_config}});
        published(&bridge, "whazing", &body.to_string());
        let found = reader::read(&bridge.topic("whazing.message-by-reference"));
        let found = found.iter().find(|record| record.decode()["message_id"] == n.to_string().as_str());
        assert_eq!(found.map(|record| record.key.as_str()), expected, "{api_config}");
    }
}

#[test]
fn the_last_state_of_an_entity_is_a_record_of_its_own_from_every_event_that_carries_it() {
    let bridge = Setup::new("latest").start();
    let chats: Vec<_> = ["5511987654321", "+55 11 8765-4321", "(11) 3333-4444", "no number", ""]
        .iter()
        .map(|number| json!({"id": OTHER, "raw_number": number}))
        .collect();
    // A deal each: what a key had before its last state may be gone soon, since the topic is compacted.
    let deal = |n: u32, updated: &str| {
        let id = format!("00000000-0000-4000-8000-{n:012x}");
        json!({"id": id, "title": "T", "updated_at": updated, "new": 1, "whatsapp_chats": chats})
    };
    let events = [
        json!({"event_key": "deal.created", "payload": {"deal": deal(1, "2026-06-02T12:00:00Z")}}),
        json!({"event_key": "deal.updated", "payload": deal(2, "2026-06-02T13:00:00Z")}),
        json!({"event_key": "deal.won", "payload": {"deal": deal(3, "2999-01-01T00:00:00Z"), "won_by": {"type": "x"}}}),
    ];
    for event in &events {
        published(&bridge, "wegly", &event.to_string());
    }
    let main = reader::read(&bridge.topic("wegly.deal"));
    let latest = reader::read(&bridge.topic("wegly.deal-latest"));
    assert_eq!(latest.len(), 3);
    for (state, event) in latest.iter().zip(&main) {
        let (state_json, event_json) = (state.decode(), event.decode());
        assert_eq!((&state.key, state.header("ce_id")), (&event.key, event.header("ce_id")));
        assert_eq!(state_json["event"], event_json["event"]);
        assert_eq!(state_json["deal"], event_json["deal"]);
        assert_eq!(state_json["extra"], Value::Null);
        assert_eq!(state_json["phones"], json!(["5511987654321", "551133334444"]));
        assert_eq!(state_json.as_object().unwrap().keys().collect::<Vec<_>>(), ["event", "deal", "phones", "extra"]);
    }
    let received: Vec<_> = main.iter().map(|record| record.timestamp).collect();
    assert_eq!(latest[0].timestamp, 1_780_401_600_000);
    assert_eq!(latest[1].timestamp, 1_780_405_200_000);
    assert_eq!(latest[2].timestamp, received[2], "never later than received");
    // A bare snapshot within another event is not that event's entity.
    published(&bridge, "wegly", &chat(7, &[DEAL], &[]));
    assert_eq!(reader::read(&bridge.topic("wegly.deal-latest")).len(), 3);
}

#[test]
fn further_topics_can_be_switched_off() {
    let mut setup = Setup::new("join-off");
    setup.kafka = "join_topics = false\nlatest_topics = false\n".into();
    let bridge = setup.start();
    published(&bridge, "wegly", &chat(1, &[DEAL], &[LEAD]));
    assert_eq!(bridge.metric("hookbridge_schemas{state=\"known\"}"), 41);
    let said = words(&bridge.setup.run(&["check"]));
    assert!(said.contains("topics: 12 of 12 exist"), "{said}");
}

#[test]
fn whatever_touches_a_deal_is_in_its_timeline_if_asked_for() {
    let mut setup = Setup::new("timeline");
    setup.kafka = "timeline_topics = true\n".into();
    setup.prepare(&["wegly.deal-timeline"]);
    let bridge = setup.start();
    let event = |event_type: &str, payload: Value| json!({"event_key": event_type, "payload": payload}).to_string();
    let upper = DEAL.to_uppercase();
    let touching = [
        chat(1, &[DEAL, OTHER], &[LEAD]),
        event("deal.updated", json!({"id": DEAL})),
        event("deal.won", json!({"deal": {"id": upper}})),
        event("lead.won", json!({"lead": {"id": LEAD}, "deal": {"id": upper, "title": "T"}})),
        event("delivery.updated", json!({"id": LEAD, "deal_id": DEAL, "deal": {"id": upper}})),
        event("delivery.created", json!({"delivery": {"id": LEAD, "deal": {"id": DEAL}}})),
        event("task.completed", json!({"task": {"id": LEAD, "crm_deal_id": DEAL}})),
        event("contract.updated", json!({"id": LEAD, "deal": {"id": DEAL}, "deals": [{"id": OTHER}, {"id": DEAL}, 1]})),
        event(
            "satisfaction.public_submission_created",
            json!({"submission": {"id": LEAD, "crm_deal_id": DEAL}, "link": {"id": LEAD, "crm_deal_id": OTHER}}),
        ),
    ];
    let others = [
        event("task.completed", json!({"task": {"id": LEAD, "crm_deal_id": null, "crm_deal": {"id": "no id"}}})),
        event("lead.updated", json!({"id": LEAD, "deal": {"id": DEAL}})),
        event("contract.updated", json!({"id": LEAD, "deal": "gone"})),
    ];
    for body in touching.iter().chain(&others) {
        published(&bridge, "wegly", body);
    }
    let records = reader::read(&bridge.topic("wegly.deal-timeline"));
    let of = |key: &str| records.iter().filter(|record| record.key == key).count();
    assert_eq!((records.len(), of(DEAL), of(OTHER)), (12, 9, 3));
}

#[test]
fn whatever_has_a_deal_a_reference_or_a_number_is_keyed_by_it_if_asked_for() {
    let mut setup = Setup::new("all-joins");
    setup.kafka = "join_topics = \"all\"\n".into();
    let by_deal = ["delivery", "task", "contract", "satisfaction"].map(|entity| format!("wegly.{entity}-by-deal"));
    let others =
        ["wegly.deal-by-phone", "wegly.lead-by-phone", "whazing.message-by-phone", "whazing.ticket-by-reference"];
    let all: Vec<_> = by_deal.iter().map(String::as_str).chain(others).collect();
    setup.prepare(&all);
    let bridge = setup.start();
    let event = |event_type: &str, payload: Value| json!({"event_key": event_type, "payload": payload}).to_string();
    let upper = DEAL.to_uppercase();
    let chats = json!([{"id": LEAD, "raw_number": "551187654321"}, {"id": OTHER, "raw_number": "+55 11 98765-4321"},
        {"id": DEAL, "raw_number": "551133334444"}, {"id": DEAL, "raw_number": "no number"}]);
    let stage = json!({"id": upper, "name": " Proposta "});
    for body in [
        event(
            "delivery.created",
            json!({"delivery": {"id": LEAD, "deal_id": DEAL, "deal": {"id": upper}, "stage": stage}}),
        ),
        event("task.completed", json!({"task": {"id": LEAD, "crm_deal": {"id": upper}}})),
        event(
            "contract.updated",
            json!({"id": LEAD, "deal": {"id": upper}, "deals": [{"id": OTHER}, {"id": DEAL}, {"id": "x"}]}),
        ),
        event(
            "satisfaction.public_submission_created",
            json!({"submission": {"id": LEAD, "crm_deal_id": upper}, "link": {"id": LEAD, "crm_deal_id": OTHER}}),
        ),
        event("deal.updated", json!({"id": DEAL, "whatsapp_chats": chats, "stage": stage})),
        event(
            "lead.won",
            json!({"lead": {"id": LEAD, "whatsapp_chats": chats, "stage": "Proposta", "stage_id": "sent"}}),
        ),
    ] {
        published(&bridge, "wegly", &body);
    }
    let contact = json!({"id": 1, "phoneNumber": "551187654321@s.whatsapp.net"});
    let ticket = json!({"id": 1, "apiConfig": upper});
    for body in [
        json!({"messageId": "1", "fromMe": "true", "ticket": ticket, "contact": contact}),
        json!({"Type": "NewTicket", "ticket": ticket, "contact": contact}),
    ] {
        published(&bridge, "whazing", &body.to_string());
    }
    let keys = |topic: &str| {
        let records = reader::read(&bridge.topic(topic));
        assert!(records.iter().all(|record| record.header("ce_subject") == Some(&record.key)), "{topic}");
        records.into_iter().map(|record| record.key).collect::<BTreeSet<_>>()
    };
    let set = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<BTreeSet<_>>();
    for (topic, expected) in [
        ("wegly.delivery-by-deal", set(&[DEAL])),
        ("wegly.task-by-deal", set(&[DEAL])),
        ("wegly.contract-by-deal", set(&[DEAL, OTHER])),
        ("wegly.satisfaction-by-deal", set(&[DEAL, OTHER])),
        ("wegly.deal-by-phone", set(&["5511987654321", "551133334444"])),
        ("wegly.lead-by-phone", set(&["5511987654321", "551133334444"])),
        ("whazing.message-by-phone", set(&["5511987654321"])),
        ("whazing.message-by-reference", set(&[DEAL])),
        ("whazing.ticket-by-reference", set(&[DEAL])),
    ] {
        assert_eq!(keys(topic), expected, "{topic}");
    }
    let deal = &reader::read(&bridge.topic("wegly.deal-latest"))[0].decode()["deal"];
    assert_eq!((&deal["stage_id"], &deal["stage_name"]), (&json!(DEAL), &json!("Proposta")));
    let delivery = &reader::read(&bridge.topic("wegly.delivery-latest"))[0].decode()["delivery"];
    assert_eq!((&delivery["stage_id"], &delivery["stage_name"]), (&Value::Null, &json!("Proposta")));
    let lead = &reader::read(&bridge.topic("wegly.lead-latest"))[0].decode()["lead"];
    assert_eq!((&lead["stage_id"], &lead["stage_name"]), (&Value::Null, &Value::Null));
    assert_eq!(lead["extra"], r#"{"stage_id":"sent"}"#);
}

#[test]
fn a_number_is_told_in_one_form_beside_the_number_as_sent() {
    let bridge = Setup::new("phones").start();
    let contact = json!({"id": 1, "phoneNumber": "551187654321"});
    let ticket = json!({"id": 1, "apiConfig": {"externalKey": "deal-1"}, "reference": "sent", "phone_e164": "sent"});
    let bodies = [
        json!({"messageId": "1", "fromMe": false, "ticket": ticket, "contact": contact, "contactmessage": contact}),
        json!({"newTenantTest": true, "email": "a@b.c", "phone": "(11) 98765-4321", "phone_e164": "sent"}),
        json!({"event": "channel.status.changed", "channel": {"id": 1, "number": "+55 11 8765-4321"},
               "company": {"id": 1, "phone": "none"}}),
    ];
    for body in &bodies {
        published(&bridge, "whazing", &body.to_string());
    }
    let decoded = |topic: &str| reader::read(&bridge.topic(topic))[0].decode();
    let message = decoded("whazing.message");
    for contact in [&message["contact"], &message["contact_message"]] {
        assert_eq!(
            (&contact["phone_number"], &contact["phone_e164"]),
            (&json!("551187654321"), &json!("5511987654321"))
        );
    }
    assert_eq!(message["ticket"]["reference"], "deal-1");
    // What is sent under the name of a field that is made here is not lost, and does not pass for it.
    let extra: Value = serde_json::from_str(message["ticket"]["extra"].as_str().unwrap()).unwrap();
    assert_eq!(extra, json!({"reference": "sent", "phone_e164": "sent"}));
    let tenant = decoded("whazing.tenant");
    assert_eq!((&tenant["phone"], &tenant["phone_e164"]), (&json!("(11) 98765-4321"), &json!("5511987654321")));
    assert_eq!(tenant["extra"], r#"{"phone_e164":"sent"}"#);
    let channel = decoded("whazing.channel");
    assert_eq!(channel["channel"]["phone_e164"], "5511987654321");
    assert_eq!((&channel["company"]["phone"], &channel["company"]["phone_e164"]), (&json!("none"), &Value::Null));
}

#[test]
fn what_waited_keeps_its_order_for_every_entity_it_is_linked_to() {
    let (kafka, setup) = Setup::on_its_own_kafka("join-spooled", &[]);
    kafka.go_down();
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let accepted: Vec<_> = (0..60)
        .map(|n| {
            let answer = bridge.deliver("wegly", chat(n, &[[DEAL, OTHER][n as usize % 2]], &[LEAD]));
            assert_eq!(answer.sum(), (202, "spooled".into()), "{answer:?}");
            answer.get("id")
        })
        .collect();
    kafka.come_up();
    let series = format!("hookbridge_spool_records{{lane=\"{}\"}}", bridge.topic("wegly.chat"));
    eventually("the lane is drained", SOON, || (bridge.metric(&series) == 0).then_some(()));
    for (topic, key, due) in [
        ("wegly.chat-by-deal", DEAL, accepted.iter().step_by(2).cloned().collect::<Vec<_>>()),
        ("wegly.chat-by-deal", OTHER, accepted.iter().skip(1).step_by(2).cloned().collect()),
        ("wegly.chat-by-lead", LEAD, accepted.clone()),
    ] {
        let mut seen = BTreeSet::new();
        let records = reader::read_from(&kafka.address, &bridge.topic(topic));
        let ids = records.iter().filter(|record| record.key == key).map(|r| r.header("ce_id").unwrap().to_owned());
        assert_eq!(ids.filter(|id| seen.insert(id.clone())).collect::<Vec<_>>(), due, "{topic} {key}");
    }
}

#[test]
fn a_replayed_event_leaves_the_latest_topics_alone_unless_asked() {
    let mut setup = Setup::new("join-replay");
    setup.kafka = "max_record_bytes = 2000\n".into();
    let bridge = setup.start();
    let deal = |n: u32| {
        let payload = json!({"id": format!("00000000-0000-4000-8000-{n:012x}"), "title": "x".repeat(2000)});
        json!({"event_key": "deal.updated", "payload": payload}).to_string()
    };
    let ids = [1, 2].map(|n| {
        let answer = bridge.deliver("wegly", deal(n));
        assert_eq!(answer.sum(), (202, "dead_lettered".into()), "{answer:?}");
        answer.get("id")
    });
    let mut by_now = bridge.setup.clone();
    by_now.kafka = String::new();
    for (id, more) in ids.iter().zip([None, Some("--latest")]) {
        let args: Vec<_> = ["dead-letters", "replay", "--id", id].into_iter().chain(more).collect();
        let output = by_now.run(&args);
        assert!(output.status.success(), "{}", words(&output));
    }
    let of = |topic: &str| {
        let records = reader::read(&bridge.topic(topic));
        records.iter().map(|record| record.header("ce_id").unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(of("wegly.deal"), ids.iter().cloned().collect());
    assert_eq!(of("wegly.deal-latest"), BTreeSet::from([ids[1].clone()]));
}

#[test]
fn a_200_is_for_all_records_of_an_event() {
    let (kafka, setup) = Setup::on_its_own_kafka("join-partly", &[]);
    let [own, latest] = ["wegly.deal", "wegly.deal-latest"].map(|name| setup.topic(name));
    kafka.refuse(&latest, true);
    let bridge = setup.start_unready();
    bridge.wait_ready();
    let body = json!({"event_key": "deal.updated", "payload": {"id": DEAL, "title": "T"}}).to_string();
    let answer = bridge.deliver("wegly", &body);
    assert_eq!(answer.sum(), (202, "spooled".into()), "{answer:?}");
    let times = |topic: &str| {
        let records = reader::read_from(&kafka.address, topic);
        records.iter().filter(|record| record.header("ce_id") == Some(&answer.get("id"))).count()
    };
    // It is tried again and again: what was acknowledged is not sent with it.
    std::thread::sleep(std::time::Duration::from_secs(5));
    kafka.refuse(&latest, false);
    eventually("it is in its latest topic", SOON, || (times(&latest) == 1).then_some(()));
    assert!((1..=2).contains(&times(&own)), "by the way of the request, and once from the spool: {}", times(&own));
}

#[test]
fn what_an_event_is_multiplied_by_is_bounded() {
    let mut setup = Setup::new("join-many");
    setup.kafka = "max_record_bytes = 100000\n".into();
    let bridge = setup.start();
    let linked_to = |id: u32, count: u32| {
        let ids: Vec<_> = (0..count).map(|n| format!("00000000-0000-4000-8000-{n:012x}")).collect();
        bridge.deliver("wegly", chat(id, &ids.iter().map(String::as_str).collect::<Vec<_>>(), &[]))
    };
    assert_eq!(linked_to(1, 50).sum(), (200, "published".into()));
    assert_eq!(reader::read(&bridge.topic("wegly.chat-by-deal")).len(), 50);
    let answer = linked_to(2, 300);
    assert_eq!((answer.sum(), answer.get("reason")), ((202, "dead_lettered".into()), "record_too_large".into()));
    let letters = reader::read(&bridge.topic("hookbridge.dead-letters"));
    let error = letters[0].header("hookbridge_error").unwrap();
    assert!(error.starts_with("its 301 records have "), "{error}");
}
