//! Senders that are files only, each with the proof that its vendor's pages describe; and what vendors ask before they send.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::support::bridge::{Bridge, Setup, words};
use crate::support::reader;
use crate::support::sender::{self, Answer, hex, mac};

const JSON: (&str, &str) = ("content-type", "application/json");
const BODY: &str = r#"{"kind":"moved","id":"7"}"#;
const KEY: &str = "a-vendors-secret";
/// `KEY`, as Svix writes secrets.
const WHSEC: &str = "whsec_YS12ZW5kb3JzLXNlY3JldA==";

const HMAC_OF_BODY: &str =
    "method = \"hmac-sha256\"\nheader = \"X-Hub-Signature-256\"\nprefix = \"sha256=\"\nencoding = \"hex\"";

/// What stands under `[verify]` of each profile.
const PROFILES: &[(&str, &str)] = &[
    ("github", HMAC_OF_BODY),
    (
        "stripe",
        r#"
method = "hmac-sha256"
header = "Stripe-Signature"
separator = ","
prefix = "v1="
encoding = "hex"
signed = "{timestamp}.{body}"
timestamp = { prefix = "t=" }
tolerance = "5m"
"#,
    ),
    ("shopify", "method = \"hmac-sha256\"\nheader = \"X-Shopify-Hmac-Sha256\"\nencoding = \"base64\""),
    (
        "slack",
        r#"
method = "hmac-sha256"
header = "X-Slack-Signature"
prefix = "v0="
encoding = "hex"
signed = "v0:{header:x-slack-request-timestamp}:{body}"
timestamp = { header = "X-Slack-Request-Timestamp" }
tolerance = "5m"

[[handshake]]
method = "POST"
body = { type = "url_verification" }
answer = "{body:challenge}"
"#,
    ),
    (
        "whatsapp",
        r#"
method = "hmac-sha256"
header = "X-Hub-Signature-256"
prefix = "sha256="
encoding = "hex"

[[handshake]]
method = "GET"
query = { "hub.mode" = "subscribe" }
token = "hub.verify_token"
answer = "{query:hub.challenge}"
"#,
    ),
    (
        "svix",
        r#"
method = "hmac-sha256"
header = "webhook-signature"
separator = " "
prefix = "v1,"
encoding = "base64"
secret = { encoding = "base64", prefix = "whsec_" }
signed = "{header:webhook-id}.{header:webhook-timestamp}.{body}"
timestamp = { header = "webhook-timestamp" }
tolerance = "5m"
"#,
    ),
    ("pipedrive", "method = \"basic\""),
    (
        "chatwoot",
        r#"
method = "hmac-sha256"
header = "X-Chatwoot-Signature"
prefix = "sha256="
encoding = "hex"
signed = "{timestamp}.{body}"
timestamp = { header = "X-Chatwoot-Timestamp" }
tolerance = "5m"
"#,
    ),
    (
        "evolution",
        "method = \"token\"\nheader = \"apikey\"\n\n[handshake]\nmethod = \"GET\"\nanswer = \"{query:echo}\"",
    ),
    ("legacy", "method = \"hmac-sha1\"\nheader = \"X-Hub-Signature\"\nprefix = \"sha1=\""),
];

const RECORD: &str = r#"{"type": "record", "namespace": "NAMESPACE", "name": "ThingMoved", "doc": "moved.", "fields": [
    {"name": "event", "type": "hookbridge.Event", "doc": "Head."},
    {"name": "id", "type": "string", "doc": "Its id."},
    {"name": "extra", "type": ["null", {"type": "string", "connect.name": "io.debezium.data.Json", "connect.version": 1}], "default": null, "doc": "The rest."}
]}"#;

/// A folder for each profile, each with one type of events.
fn setup(test: &str) -> Setup {
    let mut setup = Setup::new(test);
    let catalog = setup.dir.path().join("catalog");
    for (name, lines) in PROFILES {
        let folder = catalog.join(name);
        fs::create_dir_all(&folder).unwrap();
        let types = "\n[[recognise]]\nfield = \"kind\"\nvalues = { moved = \"thing.moved\" }\n[types]\n\
                     \"thing.moved\" = { record = \"ThingMoved\", topic = \"thing\", key = \"id\", time = [] }\n";
        fs::write(folder.join("profile.toml"), format!("[verify]\n{lines}{types}")).unwrap();
        fs::write(folder.join("ThingMoved.avsc"), RECORD.replace("NAMESPACE", name)).unwrap();
        let secrets = match *name {
            "svix" => format!("secrets = [\"whsec_b2xk\", {WHSEC:?}]"),
            "pipedrive" => "secrets = [\"old:password\", \"user:pass\"]".into(),
            "evolution" => format!("tokens = [\"old\", {KEY:?}]"),
            "whatsapp" => format!("secrets = [\"old\", {KEY:?}]\nhandshake_tokens = [\"before\", \"verify-me\"]"),
            _ => format!("secrets = [\"old\", {KEY:?}]"),
        };
        setup.sources += &format!("[sources.{name}]\n{secrets}\n");
    }
    setup.sources += &format!("[catalog]\ndir = \"{}\"\n", catalog.display());
    let topics: Vec<_> = PROFILES.iter().map(|(name, _)| format!("{name}.thing")).collect();
    setup.prepare(&topics.iter().map(String::as_str).collect::<Vec<_>>());
    setup
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The headers that `vendor` proves itself by for `body`, signed at `time`.
fn signed(vendor: &str, body: &str, time: u64) -> Vec<(&'static str, String)> {
    let over = |text: String| mac(KEY, text.as_bytes());
    let of_body = || over(body.to_owned());
    match vendor {
        "github" | "whatsapp" => vec![("X-Hub-Signature-256", format!("sha256={}", hex(&of_body())))],
        "stripe" => {
            let (right, other) = (hex(&over(format!("{time}.{body}"))), hex(&mac("expired", body.as_bytes())));
            vec![("Stripe-Signature", format!("t={time},v1={other},v1={right},v0={other}"))]
        }
        "shopify" => vec![("X-Shopify-Hmac-Sha256", STANDARD.encode(of_body()))],
        "slack" => vec![
            ("X-Slack-Request-Timestamp", time.to_string()),
            ("X-Slack-Signature", format!("v0={}", hex(&over(format!("v0:{time}:{body}"))))),
        ],
        "svix" => {
            let right = STANDARD.encode(over(format!("msg_1.{time}.{body}")));
            let other = STANDARD.encode(mac("expired", body.as_bytes()));
            vec![
                ("webhook-id", "msg_1".into()),
                ("webhook-timestamp", time.to_string()),
                ("webhook-signature", format!("v1,{other} v1,{right} v1a,{other}")),
            ]
        }
        "pipedrive" => vec![("Authorization", format!("Basic {}", STANDARD.encode("user:pass")))],
        "chatwoot" => vec![
            ("X-Chatwoot-Timestamp", time.to_string()),
            ("X-Chatwoot-Signature", format!("sha256={}", hex(&over(format!("{time}.{body}"))))),
        ],
        "evolution" => vec![("apikey", KEY.into())],
        "legacy" => {
            let mac = Hmac::<Sha1>::new_from_slice(KEY.as_bytes()).unwrap().chain_update(body);
            vec![("X-Hub-Signature", format!("sha1={}", hex(&mac.finalize().into_bytes())))]
        }
        other => panic!("{other}"),
    }
}

fn post(bridge: &Bridge, vendor: &str, headers: &[(&'static str, String)], body: &str) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).chain([JSON]).collect();
    sender::post(bridge.http, &format!("/webhooks/{vendor}"), &headers, body.as_bytes())
}

/// How many requests of `vendor` were refused for this reason.
fn refused(bridge: &Bridge, vendor: &str, reason: &str) -> u64 {
    let [refused, unauthorized] = ["refused", "unauthorized"]
        .map(|name| bridge.metric(&format!("hookbridge_{name}_total{{reason=\"{reason}\",source=\"{vendor}\"}}")));
    assert_eq!(refused, unauthorized, "{vendor} {reason}");
    refused
}

/// How many handshakes of `vendor` were answered.
fn answered(bridge: &Bridge, vendor: &str) -> u64 {
    bridge.metric(&format!("hookbridge_handshakes_total{{source=\"{vendor}\"}}"))
}

fn has_signed_time(vendor: &str) -> bool {
    ["stripe", "slack", "svix", "chatwoot"].contains(&vendor)
}

#[test]
fn every_vendors_proof_is_taken_and_nothing_else_is() {
    let bridge = setup("vendor-doors").start();
    let unauthorized = post(&bridge, "github", &[], BODY);
    assert_eq!(unauthorized.sum(), (401, "unauthorized".into()));
    for (vendor, _) in PROFILES {
        let right = signed(vendor, BODY, now());
        assert_eq!(post(&bridge, vendor, &right, BODY).sum(), (200, "published".into()), "{vendor}: {right:?}");
        let records = reader::read(&bridge.topic(&format!("{vendor}.thing")));
        assert_eq!(records.len(), 1, "{vendor}");
        assert_eq!(records[0].decode()["event"]["type"], "thing.moved");

        // All are answered alike, and told apart for the operator.
        let reasons = ["missing", "malformed", "wrong", "stale"];
        let before = reasons.map(|reason| refused(&bridge, vendor, reason));
        let other_body = BODY.replace('7', "8");
        let mut due = [1, 0, 0, 0];
        let mut answers = vec![post(&bridge, vendor, &[], BODY)];
        let by_token = ["pipedrive", "evolution"].contains(vendor);
        if !by_token {
            answers.push(post(&bridge, vendor, &right, &other_body));
            due[2] += 1;
        }
        let garbage: Vec<_> = right.iter().map(|(name, _)| (*name, "garbage".to_owned())).collect();
        answers.push(post(&bridge, vendor, &garbage, BODY));
        due[if *vendor == "evolution" { 2 } else { usize::from(*vendor != "stripe") }] += 1;
        if has_signed_time(vendor) {
            answers.push(post(&bridge, vendor, &signed(vendor, BODY, now() - 400), BODY));
            answers.push(post(&bridge, vendor, &signed(vendor, BODY, now() + 400), BODY));
            due[3] += 2;
        }
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (401, &unauthorized.body), "{vendor}");
        }
        let after = reasons.map(|reason| refused(&bridge, vendor, reason));
        assert_eq!([0, 1, 2, 3].map(|at| after[at] - before[at]), due, "{vendor}: {reasons:?}");
        assert_eq!(reader::read(&bridge.topic(&format!("{vendor}.thing"))).len(), 1, "{vendor}");
    }
    // What a sender proves itself by is no part of what is kept.
    let unknown = r#"{"kind":"lost"}"#;
    assert_eq!(post(&bridge, "svix", &signed("svix", unknown, now()), unknown).get("outcome"), "dead_lettered");
    let letters = reader::read(&bridge.topic("hookbridge.dead-letters"));
    assert!(letters[0].header("http_webhook-id").is_some() && letters[0].header("http_webhook-signature").is_none());
}

#[test]
fn handshakes_are_answered_and_leave_nothing_in_kafka() {
    let mut bridge = setup("handshakes").start();
    let http = bridge.http;
    let ask = |query: &str| sender::get(http, &format!("/webhooks/whatsapp?hub.mode=subscribe&{query}"));
    for token in ["before", "verify-me"] {
        let answer = ask(&format!("hub.challenge=1158201444&hub.verify_token={token}"));
        assert_eq!((answer.status, &*answer.body), (200, "1158201444"), "{token}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    for query in ["hub.challenge=1&hub.verify_token=guess", "hub.challenge=1"] {
        let answer = ask(query);
        assert_eq!(answer.sum(), (401, "unauthorized".into()), "{query}");
        assert!(!answer.body.contains("guess"));
    }
    assert_eq!(sender::get(bridge.http, "/webhooks/whatsapp").sum(), (405, "method_not_allowed".into()));
    assert_eq!(sender::get(bridge.http, "/webhooks/github?hub.mode=subscribe").status, 405);
    for (method, source, allow) in [
        ("PUT", "whatsapp", "GET, POST"),
        ("GET", "whatsapp", "GET, POST"),
        ("DELETE", "evolution", "GET, POST"),
        ("PUT", "slack", "POST"),
        ("GET", "github", "POST"),
    ] {
        let answer = sender::request(bridge.http, method, &format!("/webhooks/{source}"), &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {source}");
    }
    assert_eq!((answered(&bridge, "whatsapp"), refused(&bridge, "whatsapp", "wrong")), (2, 1));

    let question =
        r#"{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595","type":"url_verification"}"#;
    let answer = post(&bridge, "slack", &signed("slack", question, now()), question);
    assert_eq!((answer.status, &*answer.body), (200, "3eZbrw1aBm2rZgRNFdxV2595"));
    // The signature comes first.
    assert_eq!(post(&bridge, "slack", &[], question).status, 401);
    assert_eq!(post(&bridge, "slack", &signed("slack", BODY, now()), question).status, 401);
    assert_eq!(post(&bridge, "slack", &signed("slack", question, now() - 400), question).status, 401);
    assert_eq!(post(&bridge, "slack", &signed("slack", BODY, now()), BODY).sum(), (200, "published".into()));
    assert_eq!(answered(&bridge, "slack"), 1);

    let echo = |token: &str| {
        sender::request(bridge.http, "GET", "/webhooks/evolution?echo=%3Cb%3E", &[("apikey", token)], b"")
    };
    assert_eq!((echo(KEY).status, &*echo(KEY).body), (200, "<b>"));
    assert_eq!(echo("guess").sum(), (401, "unauthorized".into()));
    let in_path = sender::get(bridge.http, &format!("/webhooks/evolution/{KEY}?echo=1"));
    assert_eq!((in_path.status, &*in_path.body), (200, "1"));

    assert_eq!(bridge.metric("hookbridge_http_requests_total{code=\"handshake\"}"), 2 + 1 + 3);
    for (vendor, records) in [("whatsapp", 0), ("slack", 1), ("evolution", 0)] {
        assert_eq!(reader::read(&bridge.topic(&format!("{vendor}.thing"))).len(), records, "{vendor}");
    }
    assert_eq!(reader::read(&bridge.topic("hookbridge.dead-letters")).len(), 0);

    // A verify token is replaced like any other secret.
    bridge.setup.sources = bridge.setup.sources.replace("\"before\", \"verify-me\"", "\"verify-me\", \"after\"");
    bridge.reload("taken_over");
    let status = |token: &str| ask(&format!("hub.challenge=1&hub.verify_token={token}")).status;
    assert_eq!(["before", "verify-me", "after"].map(status), [401, 200, 200]);
    assert!(!bridge.log().iter().any(|line| line.contains("verify-me") || line.contains(KEY)));
}

#[test]
fn a_profile_that_would_let_somebody_in_stops_the_start() {
    for (vendor, from, to, place) in [
        ("stripe", "{timestamp}.{body}", "{timestamp}.", "verify.signed: has no {body}"),
        ("stripe", "timestamp = { prefix = \"t=\" }\n", "", "verify.signed: {timestamp}"),
        ("slack", "v0:{header:x-slack-request-timestamp}:", "", "verify.timestamp: is not signed"),
        ("whatsapp", "token = \"hub.verify_token\"\n", "", "handshake[0].method: a GET has"),
        ("svix", "tolerance = \"5m\"", "tolerance = \"0s\"", "verify.tolerance: must be longer"),
    ] {
        let setup = setup("vendor-doors-wrong");
        let file = setup.dir.path().join("catalog").join(vendor).join("profile.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replace(from, to)).unwrap();
        let output = setup.run(&["serve"]);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(78), "{said}");
        let in_file = format!("{vendor}/profile.toml:");
        assert!(said.contains(place) && said.contains(&in_file), "{in_file} {place}: {said}");
    }
    for (from, to, place) in [
        (WHSEC, "whsec_", "sources.svix.secrets[1]: blank"),
        (WHSEC, "whsec_?", "sources.svix.secrets[1]: expected base64"),
        ("user:pass", "user", "sources.pipedrive.secrets[1]: expected \"user:password\""),
        ("handshake_tokens = [\"before\", \"verify-me\"]", "", "sources.whatsapp.handshake_tokens: missing"),
        ("\"before\"", "\" \"", "sources.whatsapp.handshake_tokens[0]: blank"),
        (
            "[sources.github]",
            "[sources.github]\nhandshake_tokens = [\"x\"]",
            "sources.github.handshake_tokens: not for",
        ),
    ] {
        let mut setup = setup("vendor-doors-wrong");
        setup.sources = setup.sources.replace(from, to);
        let output = setup.run(&["serve"]);
        let said = words(&output);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains(place), "{place}: {said}");
    }
}
