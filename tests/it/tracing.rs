//! Spans: what a collector is told of a delivery, what it is not told, and that nobody waits for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message as _;
use tokio::net::TcpListener;

use crate::support::bridge::{Bridge, SOON, Setup, words};
use crate::support::proxy::Proxy;
use crate::support::sender::{self, Answer, TOKEN, TRACEPARENT, WEGLY_HEADER, hex, mac, proof};
use crate::support::{RUNTIME, assert_in_time, eventually, reader};

const BODY: &str = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-00000000000b"}}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDERS_SPAN: &str = "00f067aa0ba902b7";

/// A receiver of OTLP over HTTP.
struct Collector {
    address: SocketAddr,
    heard: Heard,
}

/// Each request, as it came.
type Heard = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

impl Collector {
    fn start() -> Collector {
        let heard = Heard::default();
        let hear = async |State(heard): State<Heard>, headers: HeaderMap, body: Bytes| {
            heard.lock().unwrap().push((headers, body));
        };
        let router = Router::new().route("/v1/traces", post(hear)).with_state(Arc::clone(&heard));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        #[allow(clippy::disallowed_methods, reason = "a stand-in that needs no time limits")]
        RUNTIME.spawn(async move { axum::serve(listener, router).await });
        Collector { address, heard }
    }

    fn requests(&self) -> Vec<(HeaderMap, ExportTraceServiceRequest)> {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .map(|(headers, body)| (headers.clone(), ExportTraceServiceRequest::decode(&**body).expect("OTLP")))
            .collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|(_, request)| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The spans by name, when those of `names` have come.
    fn wait(&self, names: &[&str]) -> BTreeMap<String, Span> {
        eventually(&format!("the spans {names:?}"), SOON, || {
            let spans: BTreeMap<_, _> = self.spans().into_iter().map(|span| (span.name.clone(), span)).collect();
            names.iter().all(|name| spans.contains_key(*name)).then_some(spans)
        })
    }
}

/// Attributes as text.
fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |attribute: &KeyValue| match attribute.value.clone().and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

fn traced(mut setup: Setup, collector: SocketAddr, more: &str) -> Setup {
    setup.top += &format!("[tracing]\notlp_endpoint = \"http://{collector}\"\n{more}\n");
    setup
}

/// Delivers to the source `wegly` with these headers too.
fn deliver(bridge: &Bridge, body: &str, more: &[(&str, &str)]) -> Answer {
    let (name, value) = proof("wegly", body.as_bytes());
    let headers = [&[(name, value.as_str()), ("content-type", "application/json")], more].concat();
    sender::post(bridge.http, "/webhooks/wegly", &headers, body.as_bytes())
}

/// The header `traceparent` of the only record of `topic`.
fn traceparent(bridge: &Bridge, topic: &str) -> String {
    let records = reader::read_from(&bridge.setup.bootstrap, &bridge.topic(topic));
    assert_eq!(records.len(), 1);
    records[0].header("traceparent").unwrap().to_owned()
}

#[test]
fn a_delivery_is_told_in_its_senders_trace_and_its_record_goes_on_with_it() {
    let collector = Collector::start();
    let headers = "service_name = \"crm\"\n[tracing.otlp_headers]\nx-api-key = \"key of the collector\"";
    let mut setup = traced(Setup::new("traces"), collector.address, headers);
    // What OpenTelemetry's SDK reads from the environment has to come to nothing.
    setup.runner = [
        "env",
        "OTEL_SERVICE_NAME=of-the-environment",
        "OTEL_RESOURCE_ATTRIBUTES=of=environment",
        "OTEL_TRACES_SAMPLER=always_off",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=1",
        "OTEL_EXPORTER_OTLP_HEADERS=of=environment",
        "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
        "OTEL_SDK_DISABLED=true",
        "HTTP_PROXY=http://127.0.0.1:1",
        "http_proxy=http://127.0.0.1:1",
    ]
    .map(str::to_owned)
    .into();
    let bridge = setup.start();
    let answer = deliver(&bridge, BODY, &[("traceparent", TRACEPARENT), ("tracestate", "vendor=1")]);
    assert_eq!(answer.sum(), (200, "published".into()), "{answer:?}");

    let spans = collector.wait(&["receive", "verify", "prepare", "publish"]);
    assert_eq!(spans.len(), 4, "{spans:?}");
    let receive = &spans["receive"];
    assert_eq!((hex(&receive.parent_span_id), receive.kind()), (SENDERS_SPAN.into(), SpanKind::Server));
    for (name, span) in &spans {
        assert_eq!((hex(&span.trace_id), span.trace_state.as_str()), (TRACE.into(), "vendor=1"), "{name}");
        assert!(span.start_time_unix_nano >= receive.start_time_unix_nano, "{name}");
        assert!(span.end_time_unix_nano <= receive.end_time_unix_nano, "{name}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{name}");
        if name != "receive" {
            assert_eq!(span.parent_span_id, receive.span_id, "{name}");
        }
    }
    let said = texts(&receive.attributes);
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/webhooks/{source}"),
        ("http.response.status_code", "200"),
        ("http.request.body.size", &BODY.len().to_string()),
        ("cloudevents.event_id", &answer.get("id")),
        ("cloudevents.event_source", "/webhooks/wegly"),
        ("cloudevents.event_type", "wegly.lead.updated"),
        ("hookbridge.outcome", "published"),
    ] {
        assert_eq!(said.get(key).map(String::as_str), Some(value), "{key}");
    }
    let said = texts(&spans["publish"].attributes);
    assert_eq!(spans["publish"].kind(), SpanKind::Producer);
    for (key, value) in [
        ("messaging.system", "kafka"),
        ("messaging.destination.name", bridge.topic("wegly.lead").as_str()),
        ("messaging.destination.partition.id", "0"),
    ] {
        assert_eq!(said.get(key).map(String::as_str), Some(value), "{key}");
    }
    // A consumer's span is a child of ours.
    assert_eq!(traceparent(&bridge, "wegly.lead"), format!("00-{TRACE}-{}-01", hex(&receive.span_id)));

    let (headers, request) = collector.requests().remove(0);
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-api-key"], "key of the collector");
    assert!(!headers.contains_key("of") && !headers.contains_key("content-encoding"), "{headers:?}");
    let resource = request.resource_spans[0].resource.clone().unwrap().attributes;
    let resource = texts(&resource);
    assert_eq!((resource["service.name"].as_str(), resource.get("of")), ("crm", None), "{resource:?}");
    let exported = "hookbridge_spans_total{outcome=\"exported\"}";
    eventually("they are counted", SOON, || (bridge.metric(exported) == 4).then_some(()));
    assert!(bridge.log().iter().all(|line| !line.contains(TRACE)), "a log line is as it was");
}

#[test]
fn what_is_not_verified_leaves_no_span_whatever_its_traceparent_says() {
    let collector = Collector::start();
    let bridge = traced(Setup::new("traces-stranger"), collector.address, "").start();
    let post = |headers: &[_]| sender::post(bridge.http, "/webhooks/wegly", headers, BODY.as_bytes()).status;
    let json = ("content-type", "application/json");
    assert_eq!(post(&[("traceparent", TRACEPARENT), json]), 401);
    let wrong = hex(&mac("wrong", BODY.as_bytes()));
    assert_eq!(post(&[("traceparent", TRACEPARENT), json, (WEGLY_HEADER, &wrong)]), 401);
    assert_eq!(sender::post(bridge.http, "/webhooks/nobody", &[json], b"{}").status, 404);
    // In the path, and with what cannot be a record.
    let path = format!("/webhooks/whazing/{TOKEN}");
    let malformed = format!("{TRACEPARENT}-");
    let answer = sender::post(bridge.http, &path, &[json, ("traceparent", &malformed)], b"not for spans");
    assert_eq!(answer.sum(), (202, "dead_lettered".into()), "{answer:?}");

    let spans = collector.wait(&["receive", "publish"]);
    let said = texts(&spans["receive"].attributes);
    assert_eq!(said["hookbridge.outcome"], "dead_lettered");
    let said = texts(&spans["publish"].attributes);
    assert_eq!(said["messaging.destination.name"], bridge.topic("hookbridge.dead-letters"));
    assert_eq!(said["hookbridge.reason"], "malformed_json");
    let all = collector.spans();
    assert_eq!(all.len(), 4, "{all:?}");
    // What is malformed is not continued.
    assert!(all.iter().all(|span| hex(&span.trace_id) != TRACE && span.trace_id == all[0].trace_id), "{all:?}");
    assert!(spans["receive"].parent_span_id.is_empty());
    for (_, body) in &*collector.heard.lock().unwrap() {
        for secret in [TOKEN, "not for spans"] {
            assert!(!body.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret}");
        }
    }
}

#[test]
fn a_verified_sender_decides_whether_its_delivery_is_sampled_and_the_ratio_where_it_does_not() {
    let collector = Collector::start();
    let bridge = traced(Setup::new("traces-sampling"), collector.address, "sample_ratio = 0").start();
    let unsampled = TRACEPARENT.replace("-01", "-00");
    assert_eq!(deliver(&bridge, BODY, &[("traceparent", &unsampled)]).status, 200);
    let header = traceparent(&bridge, "wegly.lead");
    assert!(header.starts_with(&format!("00-{TRACE}-")) && header.ends_with("-00"), "{header}");
    assert!(!header.contains(SENDERS_SPAN), "{header}");
    assert_eq!(deliver(&bridge, &BODY.replace("0b", "0c"), &[]).status, 200);
    assert_eq!(deliver(&bridge, &BODY.replace("0b", "0d"), &[("traceparent", TRACEPARENT)]).status, 200);
    collector.wait(&["receive"]);
    assert_eq!(collector.spans().len(), 4, "of the last one only");
}

#[test]
fn without_a_collector_deliveries_are_answered_and_the_log_says_it_once_and_once_that_it_is_back() {
    let (collector, proxy) = (Collector::start(), Proxy::closed());
    let bridge = traced(Setup::new("traces-away"), proxy.address, "").start();
    let check = bridge.setup.run(&["check"]);
    assert_eq!(check.status.code(), Some(69));
    assert!(words(&check).contains(&format!("DOWN   collector http://{}/v1/traces", proxy.address)), "{check:?}");
    let told = |what: &str| bridge.log().iter().filter(|line| line.contains(what)).count();
    assert_eq!(deliver(&bridge, BODY, &[]).status, 200);
    eventually("the log says it", SOON, || (told("does not accept spans") == 1).then_some(()));
    for n in 0..20 {
        let started = Instant::now();
        assert_eq!(deliver(&bridge, &BODY.replace("000b", &format!("{n:04}")), &[]).status, 200);
        assert_in_time(started, Duration::ZERO);
    }
    // Longer than the first pauses.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!((told("does not accept spans"), told("accepts spans again")), (1, 0));

    proxy.open(&collector.address.to_string());
    eventually("nothing was lost", SOON, || (collector.spans().len() == 21 * 4).then_some(()));
    eventually("the log says it", SOON, || (told("accepts spans again") == 1).then_some(()));
    assert_eq!(told("does not accept spans"), 1);
    assert!(words(&bridge.setup.run(&["check"])).contains("ok     collector http://"));
    assert_eq!(bridge.metric("hookbridge_spans_total{outcome=\"dropped\"}"), 0);
}

#[test]
fn a_delivery_that_went_through_the_spool_stays_in_its_trace() {
    let collector = Collector::start();
    let (kafka, setup) = Setup::on_its_own_kafka("traces-spool", &[]);
    kafka.go_down();
    let bridge = traced(setup, collector.address, "").start_unready();
    bridge.wait_ready();
    let answer = deliver(&bridge, BODY, &[("traceparent", TRACEPARENT)]);
    assert_eq!(answer.sum(), (202, "spooled".into()), "{answer:?}");
    let before = collector.wait(&["receive", "spool"]);
    assert!(!before.contains_key("drain"), "{before:?}");
    assert_eq!(texts(&before["receive"].attributes)["hookbridge.outcome"], "spooled");
    assert_eq!(texts(&before["spool"].attributes)["hookbridge.lane"], bridge.topic("wegly.lead"));
    if let Some(publish) = before.get("publish") {
        assert_eq!(publish.status.as_ref().unwrap().code(), StatusCode::Error);
    }

    kafka.come_up();
    let drain = collector.wait(&["drain"]).remove("drain").unwrap();
    assert_eq!(hex(&drain.trace_id), TRACE);
    assert_eq!(drain.parent_span_id, before["receive"].span_id);
    let said = texts(&drain.attributes);
    assert_eq!(said["cloudevents.event_id"], answer.get("id"));
    assert_eq!(said["cloudevents.event_type"], "wegly.lead.updated");
    assert_eq!(said["messaging.destination.name"], bridge.topic("wegly.lead"));
    assert_eq!(traceparent(&bridge, "wegly.lead"), format!("00-{TRACE}-{}-01", hex(&before["receive"].span_id)));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(collector.spans().iter().filter(|span| span.name == "drain").count(), 1, "tries are no spans");
}

#[test]
fn a_shutdown_sends_the_last_spans_and_does_not_wait_long_for_a_collector_that_hangs() {
    let collector = Collector::start();
    let mut bridge = traced(Setup::new("traces-end"), collector.address, "").start();
    assert_eq!(deliver(&bridge, BODY, &[]).status, 200);
    bridge.terminate();
    assert!(bridge.wait_end().success());
    assert_eq!(collector.spans().len(), 4);

    // It takes connections and never answers.
    let hung = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bridge = traced(Setup::new("traces-hang"), hung.local_addr().unwrap(), "otlp_timeout = \"1m\"").start();
    assert_eq!(deliver(&bridge, BODY, &[]).status, 200);
    bridge.terminate();
    let started = Instant::now();
    assert!(bridge.wait_end().success());
    assert_in_time(started, Duration::from_secs(2));
}

#[test]
fn without_tracing_a_traceparent_goes_on_as_it_is_and_a_malformed_one_does_not() {
    let bridge = Setup::new("traces-none").start();
    assert_eq!(deliver(&bridge, BODY, &[("traceparent", TRACEPARENT)]).status, 200);
    assert_eq!(traceparent(&bridge, "wegly.lead"), TRACEPARENT);
    let malformed = format!("{TRACEPARENT}-");
    assert_eq!(deliver(&bridge, &BODY.replace("00b", "00c"), &[("traceparent", &malformed)]).status, 200);
    let records = reader::read(&bridge.topic("wegly.lead"));
    let told: Vec<_> = records.iter().map(|record| record.header("traceparent")).collect();
    assert_eq!(told.iter().flatten().collect::<Vec<_>>(), [&TRACEPARENT], "{told:?}");
    assert_eq!(told.len(), 2);
}
