//! Spans: what a verified delivery went through, told to a collector when `tracing.otlp_endpoint` says where one is. With
//! its folder the only place that knows OpenTelemetry.
//!
//! ```text
//! receive (the request)  ◀─ parent ─ the sender's span, if the request had a traceparent
//!    ├─ verify  prepare  publish or spool       the stages, as the metrics name them
//!    ├─ drain                                   later, for what went through the spool
//!    └─ consumers                               by the header traceparent of the Kafka record
//! ```
//!
//! A trace begins when a delivery is verified, so a stranger can neither fill the collector nor decide what is sampled.
//! The context of `receive` then stands in the delivery's header `traceparent`: the spool, dead letters and Kafka carry it.
//!
//! The API and the SDK are used as they are, without the crate `tracing` in between: there are few spans, each has a
//! fixed place, and log lines stay as they were. Not used is what the SDK would read from the environment: every
//! setting that has an `OTEL_` variable is set here. A span never has a body, a path, a header or a key.

mod collector;
mod context;
mod export;

use std::ops::Range;
use std::time::SystemTime;

use http::HeaderValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use crate::observe::metrics::Stage;
use crate::source::verify::Verified;
pub(crate) use collector::{Collector, NotCollected};
pub(crate) use export::{Exporter, Exporting};

/// Where spans are made; without a collector nowhere, at the cost of a look at an `Option`.
pub(crate) struct Traces(Option<SdkTracer>);

/// A delivery's place in its trace; nothing if that is not told.
pub(crate) struct Trace {
    receive: Span,
    /// What makes further spans, and the context they are made in.
    within: Option<(SdkTracer, Context)>,
}

/// A span under way, or nothing, which then takes no room in what waits. It ends when it is dropped.
pub(crate) struct Span(Option<Box<opentelemetry_sdk::trace::Span>>);

impl Traces {
    /// Without a collector.
    pub(crate) fn off() -> Traces {
        Traces(None)
    }

    /// Begins the trace of a delivery that arrived at `arrived`, or goes on with its sender's.
    pub(crate) fn begin(&self, delivery: &mut Verified, arrived: SystemTime, verify: Range<SystemTime>) -> Trace {
        let Some(tracer) = &self.0 else { return Trace { receive: Span(None), within: None } };
        let parent = context::of(delivery.headers()).map_or_else(Context::new, remote);
        let receive = SpanBuilder::from_name("receive").with_kind(SpanKind::Server).with_start_time(arrived);
        let receive = receive.start_with_context(tracer, &parent);
        let context = receive.span_context().clone();
        if let Ok(header) = HeaderValue::try_from(context::header(&context)) {
            delivery.set_traceparent(header);
        }
        if !receive.is_recording() {
            return Trace { receive: Span(None), within: None };
        }
        let mut trace =
            Trace { receive: Span(Some(Box::new(receive))), within: Some((tracer.clone(), remote(context))) };
        trace.set("http.request.method", "POST");
        // The route, not the path: that may hold a token.
        trace.set("http.route", "/webhooks/{source}");
        trace.set("http.request.body.size", i64::try_from(delivery.body().len()).unwrap_or(i64::MAX));
        trace.receive.describe(delivery);
        let mut verified = trace.span(SpanBuilder::from_name("verify").with_start_time(verify.start));
        if let Some(span) = &mut verified.0 {
            span.end_with_timestamp(verify.end);
        }
        trace
    }

    /// The span of what left the spool just now: on its way since `began`, in the trace that it was received in.
    pub(crate) fn drained(&self, delivery: &Verified, began: SystemTime) -> Span {
        let Some(tracer) = &self.0 else { return Span(None) };
        // What was spooled before there was a collector may have none.
        let Some(received) = context::of(delivery.headers()) else { return Span(None) };
        let span = SpanBuilder::from_name("drain").with_kind(SpanKind::Producer).with_start_time(began);
        let mut span = Span(Some(Box::new(span.start_with_context(tracer, &remote(received)))));
        span.describe(delivery);
        span
    }
}

/// What spans that are made in it are children of.
fn remote(parent: SpanContext) -> Context {
    Context::new().with_remote_span_context(parent)
}

impl Trace {
    /// That of one of the delivery's events: its stages are in the same trace.
    pub(crate) fn of_part(&self) -> Trace {
        Trace { receive: Span(None), within: self.within.clone() }
    }

    /// Begins the span of a stage.
    pub(crate) fn stage(&self, stage: Stage) -> Span {
        let kind = if matches!(stage, Stage::Publish) { SpanKind::Producer } else { SpanKind::Internal };
        self.span(SpanBuilder::from_name(stage.label()).with_kind(kind))
    }

    fn span(&self, span: SpanBuilder) -> Span {
        Span(self.within.as_ref().map(|(tracer, context)| Box::new(span.start_with_context(tracer, context))))
    }

    /// Says something of the delivery as a whole.
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.receive.set(key, value);
    }

    /// The type of the event, as Kafka's header `ce_type` has it.
    pub(crate) fn set_type(&mut self, profile: &str, event_type: Option<&str>) {
        self.receive.set_type(profile, event_type);
    }

    /// Ends it with the answer.
    pub(crate) fn answered(mut self, code: &'static str, status: u16) {
        self.set("hookbridge.outcome", code);
        self.set("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.receive.fail(code);
        }
    }
}

impl Span {
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// `kind` is a fixed word: what a server said may quote anything.
    pub(crate) fn fail(&mut self, kind: &'static str) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(""));
        }
    }

    /// Which event of whom.
    fn describe(&mut self, delivery: &Verified) {
        if self.0.is_some() {
            self.set("cloudevents.event_id", delivery.id().to_owned());
            self.set("cloudevents.event_source", format!("/webhooks/{}", delivery.source().name));
        }
    }

    pub(crate) fn set_type(&mut self, profile: &str, event_type: Option<&str>) {
        if let (Some(_), Some(event_type)) = (&self.0, event_type) {
            self.set("cloudevents.event_type", format!("{profile}.{event_type}"));
        }
    }

    /// Where in Kafka its record went, as far as that is known.
    pub(crate) fn set_destination(&mut self, topic: Option<&str>, partition: Option<i32>) {
        if self.0.is_none() {
            return;
        }
        self.set("messaging.system", "kafka");
        self.set("messaging.operation.name", "send");
        self.set("messaging.operation.type", "send");
        if let Some(topic) = topic {
            self.set("messaging.destination.name", topic.to_owned());
        }
        if let Some(partition) = partition {
            self.set("messaging.destination.partition.id", partition.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
