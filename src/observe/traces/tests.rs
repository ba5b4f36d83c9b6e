//! The queue and the exporter, against a collector that does as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use opentelemetry::trace::Tracer as _;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prometheus::{IntCounterVec, Opts};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::TracingSettings;
use crate::http::{ConnectionLimits, serve};
use crate::observe::metrics::SPANS;

type Answers = Arc<Mutex<VecDeque<(StatusCode, Vec<u8>)>>>;

fn exporter(url: &str) -> (SdkTracer, Exporter, impl Fn() -> [u64; 3]) {
    let settings = TracingSettings {
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        ca_file: None,
        timeout: Duration::from_secs(5),
        sample_ratio: 1.0,
        service_name: "test".into(),
    };
    let counters = IntCounterVec::new(Opts::new("spans", "By outcome."), &["outcome"]).unwrap();
    let (Traces(tracer), exporter) = Exporter::new(&settings, &counters).unwrap();
    (tracer.unwrap(), exporter, move || SPANS.map(|outcome| counters.with_label_values(&[outcome]).get()))
}

fn end_one(tracer: &SdkTracer) {
    drop(tracer.build_with_context(SpanBuilder::from_name("one"), &Context::new()));
}

#[test]
fn what_does_not_fit_into_the_queue_is_dropped_and_counted_and_nobody_waits() {
    let (tracer, _exporter, counts) = exporter("http://127.0.0.1:1/v1/traces");
    for _ in 0..export::QUEUE + 7 {
        end_one(&tracer);
    }
    assert_eq!(counts(), [0, 7, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sent_again_when_it_may_be_taken_later_and_counted_as_refused_when_it_never_is() {
    let partly = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess { rejected_spans: 1, error_message: String::new() }),
    };
    let answers = Answers::new(Mutex::new(VecDeque::from([
        (StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
        (StatusCode::OK, partly.encode_to_vec()),
        (StatusCode::BAD_REQUEST, Vec::new()),
    ])));
    let answer = async |State(answers): State<Answers>| answers.lock().unwrap().pop_front().unwrap();
    let router = Router::new().route("/v1/traces", post(answer)).with_state(Arc::clone(&answers));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, router, ConnectionLimits::for_few(), None, stop.clone()));

    let (tracer, exporter, counts) = exporter(&url);
    (0..3).for_each(|_| end_one(&tracer));
    let exporting = exporter.start();
    let until = Instant::now() + Duration::from_secs(30);
    while counts() != [2, 0, 1] {
        assert!(Instant::now() < until, "{:?}", counts());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    end_one(&tracer);
    exporting.end(until).await;
    assert_eq!(counts(), [2, 0, 2]);
    assert!(answers.lock().unwrap().is_empty());
    // After the end nobody takes spans any more.
    end_one(&tracer);
    assert_eq!(counts(), [2, 1, 2]);
    stop.cancel();
}
