//! The admin listener: is it alive, is it ready and if not why, what it has counted, and the console.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::console::{self, Desk};
use super::names::Names;
use super::reply;
use crate::kafka::publish::Publisher;
use crate::kafka::registry::Registry;
use crate::observe::metrics::Metrics;
use crate::observe::telemetry::dropped_lines;
use crate::spool::Spool;
use crate::values::time::now_millis;

/// How long a scrape waits for the spool's file.
const DISK_PATIENCE: Duration = Duration::from_secs(1);

/// What readiness rests on.
pub(crate) struct Health {
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) spool: Arc<Spool>,
    pub(crate) metrics: Arc<Metrics>,
    /// Set from SIGTERM on.
    pub(crate) ending: AtomicBool,
}

impl Health {
    /// Whether an event could be accepted now, and what stands against it.
    pub(super) fn report(&self) -> (bool, Value) {
        let kafka = self.publisher.trouble();
        let registry = self.registry.trouble();
        let (known, all) = self.registry.known();
        let refused = self.registry.refusals();
        let ending = self.ending.load(Ordering::Relaxed);
        // A refused type stands alone; the others go on.
        let ids_known = known > 0 && known + refused.len() >= all;
        let spool = self.spool.trouble();
        let ready = !ending && ((kafka.is_none() && ids_known) || spool.is_none());
        let part = |trouble: &Option<String>| match trouble {
            None => json!({ "ok": true }),
            Some(reason) => json!({ "ok": false, "reason": reason }),
        };
        let mut spool_part = part(&spool);
        spool_part["bytes"] = self.spool.bytes().into();
        if let Some(note) = self.spool.note() {
            spool_part["note"] = note.into();
        }
        let mut kafka_part = part(&kafka);
        // It does not count: what can be written is written, and the rest waits in the spool.
        if let Some(partitions) = self.publisher.watch().unwritable().filter(|_| kafka.is_none()) {
            kafka_part["note"] = format!("partitions that cannot be written: {partitions}").into();
        }
        let report = json!({
            "ready": ready,
            "ending": ending,
            "kafka": kafka_part,
            "registry": part(&registry),
            "spool": spool_part,
            "schemas": { "known": known, "all": all, "refused": refused },
        });
        (ready, report)
    }

    async fn gauge(&self) {
        self.metrics.ready.set(self.report().0.into());
        self.metrics.kafka.show(&self.publisher.statistics(), self.publisher.replaced());
        self.publisher.watch().for_each_topic(|topic| self.metrics.kafka.show_topic(&topic));
        self.metrics.patience.show();
        // A disk that does not answer must not keep the other figures from being read.
        if let Ok(oldest) = timeout(DISK_PATIENCE, self.spool.oldest()).await {
            self.metrics.show_oldest(&oldest, now_millis());
        }
        let room = self.spool.room();
        self.metrics.space.show(room.bytes, room.free);
        self.metrics.damage.files.set(i64::try_from(self.spool.damaged_files()).unwrap_or(i64::MAX));
        self.metrics.show_dropped_lines(dropped_lines());
        let (known, all) = self.registry.known();
        let refused = self.registry.refusals().len();
        self.metrics.kafka_up.set(self.publisher.trouble().is_none().into());
        self.metrics.registry_up.set(self.registry.trouble().is_none().into());
        for (state, count) in [("known", known), ("refused", refused), ("unknown", all.saturating_sub(known + refused))]
        {
            self.metrics.schemas.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// The routes of the admin listener, for those who ask it by its address or by one of its names.
pub(crate) fn admin_router(health: Arc<Health>, desk: Arc<Desk>, names: Names) -> Router {
    Router::new()
        .route("/livez", get(async || answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into())))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
        .merge(console::router(desk))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "not_found", "there are /, /livez, /readyz and /metrics"))
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "there is only something to GET")
        })
        .layer(from_fn_with_state(Arc::new(names), by_a_name_of_ours))
}

/// A browser that is led here by a name which its owner lets point at this machine (DNS rebinding) says that name.
async fn by_a_name_of_ours(State(names): State<Arc<Names>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    if request.uri().host().or(host).is_none_or(|host| names.include(host)) {
        return next.run(request).await;
    }
    let detail = "this listener has another name; set admin.hosts if this one is right";
    refusal(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail)
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let (ready, report) = health.report();
    if ready {
        return answer(StatusCode::OK, "application/json", format!("{report:#}\n"));
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut problem = reply::problem(status, "not_ready", "no event could be accepted now");
    if let (Some(problem), Value::Object(report)) = (problem.as_object_mut(), report) {
        problem.extend(report);
    }
    answer(status, reply::PROBLEM, format!("{problem:#}\n"))
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    health.gauge().await;
    answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", health.metrics.text())
}

pub(super) fn refusal(status: StatusCode, code: &str, detail: &str) -> Response {
    answer(status, reply::PROBLEM, reply::problem(status, code, detail).to_string())
}

pub(super) fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
