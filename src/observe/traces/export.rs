//! From spans that ended to the collector: OTLP over HTTP, in protobuf.
//!
//! ```text
//! span ends ─▶ queue (bounded; full: dropped) ─▶ batch ─▶ POST /v1/traces ─┬─▶ exported
//!                                                  ▲    not now: a pause ──┤
//!                                                  └───────────────────────┘─▶ refused
//! ```
//!
//! Whoever ends a span never waits. A task of its own sends them; while the collector is away it keeps one batch, and
//! the queue fills. The SDK's batch processor does not tell how many spans it dropped, and wants a thread; the exporter of
//! `opentelemetry-otlp` sends headers that `OTEL_EXPORTER_OTLP_HEADERS` names, whatever it is told. So both are done here
//! and in `collector.rs`, with the SDK's span and the messages of `opentelemetry-proto`.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    RandomIdGenerator, Sampler, SdkTracerProvider, Span, SpanData, SpanLimits, SpanProcessor,
};
use prometheus::{IntCounter, IntCounterVec};
use prost::Message as _;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Traces;
use super::collector::{Collector, NotCollected};
use crate::config::{ConfigError, TracingSettings};
use crate::observe::metrics::SPANS;

/// About a thousand deliveries; at 1 to 2 KiB a span up to 8 MiB.
pub(super) const QUEUE: usize = 4096;
/// The SDK's own measure.
const BATCH: usize = 512;
/// How long a batch waits to be full.
const GATHER: Duration = Duration::from_secs(1);
/// First pause after the collector took nothing; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What a shutdown may wait for spans, at the longest.
const LAST_BATCHES: Duration = Duration::from_secs(2);

/// Takes spans as they end.
#[derive(Debug)]
struct Queue {
    spans: Sender<SpanData>,
    dropped: IntCounter,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends what is in the queue.
pub(crate) struct Exporter {
    spans: Receiver<SpanData>,
    resource: ResourceAttributesWithSchema,
    collector: Collector,
    counted: [IntCounter; 3],
    /// Whether the collector took the last batch, as far as the log says.
    well: bool,
    stop: CancellationToken,
}

impl Exporter {
    /// Makes where spans are made, and what sends them.
    ///
    /// # Errors
    /// When `tracing.otlp_ca_file` cannot be used.
    pub(crate) fn new(settings: &TracingSettings, counters: &IntCounterVec) -> Result<(Traces, Exporter), ConfigError> {
        let resource = Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_service_name(settings.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let (sender, spans) = mpsc::channel(QUEUE);
        let counted = SPANS.map(|outcome| counters.with_label_values(&[outcome]));
        // Everything that the SDK would look up in the environment.
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio))))
            .with_id_generator(RandomIdGenerator::default())
            .with_span_limits(SpanLimits::default())
            .with_resource(resource.clone())
            .with_span_processor(Queue { spans: sender, dropped: counted[1].clone() })
            .build();
        let scope = InstrumentationScope::builder("hookbridge").with_version(env!("CARGO_PKG_VERSION")).build();
        let exporter = Exporter {
            spans,
            resource: (&resource).into(),
            collector: Collector::new(settings)?,
            counted,
            well: true,
            stop: CancellationToken::new(),
        };
        Ok((Traces(Some(provider.tracer_with_scope(scope))), exporter))
    }

    pub(crate) fn start(self) -> Exporting {
        Exporting { stop: self.stop.clone(), task: tokio::spawn(self.run()) }
    }

    /// Sends batch after batch, until told to stop; then what is left.
    async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                return;
            }
            self.deliver(batch).await;
        }
    }

    /// The next batch; empty when there is no more to come.
    async fn gather(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::new();
        tokio::select! {
            _ = self.spans.recv_many(&mut batch, BATCH) => {}
            () = self.stop.cancelled() => {}
        }
        let until = Instant::now() + GATHER;
        while batch.len() < BATCH && !self.stop.is_cancelled() {
            let left = BATCH - batch.len();
            tokio::select! {
                more = self.spans.recv_many(&mut batch, left) => if more == 0 { return batch },
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep_until(until) => return batch,
            }
        }
        while batch.len() < BATCH
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
        batch
    }

    /// Sends a batch until it is taken, refused, or there is no time left.
    async fn deliver(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        let resource_spans = group_spans_by_resource_and_scope(batch, &self.resource);
        let message = Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        let [exported, dropped, refused] = self.counted.clone();
        let mut pause = FIRST_PAUSE;
        loop {
            let ending = self.stop.is_cancelled();
            match self.collector.take(message.clone()).await {
                Ok(not_taken) => {
                    exported.inc_by(spans.saturating_sub(not_taken));
                    refused.inc_by(not_taken.min(spans));
                    if !std::mem::replace(&mut self.well, true) {
                        tracing::info!("the collector accepts spans again");
                    }
                    return;
                }
                Err(NotCollected::Ever(reason)) => {
                    refused.inc_by(spans);
                    self.warn(&reason);
                    return;
                }
                Err(NotCollected::Now(reason)) => {
                    self.warn(&reason);
                    if ending {
                        dropped.inc_by(spans);
                        return;
                    }
                }
            }
            let _ = self.stop.run_until_cancelled(sleep(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn warn(&mut self, reason: &str) {
        if std::mem::replace(&mut self.well, false) {
            tracing::warn!(reason, "the collector does not accept spans; they are dropped, and deliveries go on");
        }
    }
}

/// An exporter at work.
pub(crate) struct Exporting {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Sends what is in the queue, by `end`, and not for long.
    pub(crate) async fn end(mut self, end: Instant) {
        self.stop.cancel();
        if timeout_at(end.min(Instant::now() + LAST_BATCHES), &mut self.task).await.is_err() {
            self.task.abort();
            tracing::warn!("the collector did not accept the last spans in time");
        }
    }
}
