//! The admin listener: is it alive, is it ready and if not why, what it has counted, and the console.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use http::{StatusCode, header};
use serde_json::Value;

use super::console::{self, ConsoleRoutes};
use super::names::HostNames;
use super::reply;
use super::respond::{answer, refusal};
use crate::health::Health;

/// The routes of the admin listener, for those who ask it by its address or by one of its names.
pub(crate) fn admin_router(health: Arc<Health>, routes: Arc<ConsoleRoutes>, names: HostNames) -> Router {
    Router::new()
        .route("/livez", get(async || answer(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into())))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
        .merge(console::router(routes))
        .fallback(async || {
            refusal(StatusCode::NOT_FOUND, "not_found", "no such page: try /, /livez, /readyz or /metrics")
        })
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "only GET is supported")
        })
        .layer(from_fn_with_state(Arc::new(names), by_a_name_of_ours))
}

/// A browser that is led here by a name which its owner lets point at this machine (DNS rebinding) says that name.
async fn by_a_name_of_ours(State(names): State<Arc<HostNames>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|value| value.to_str().unwrap_or_default());
    if request.uri().host().or(host).is_none_or(|host| names.include(host)) {
        return next.run(request).await;
    }
    let detail = "the Host header is not a name of this listener; add it to admin.hosts if it is correct";
    refusal(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail)
}

async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let report = health.report();
    let (ready, report) = (report.ready, report.json());
    if ready {
        return answer(StatusCode::OK, "application/json", format!("{report:#}\n"));
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut problem = reply::problem(status, "not_ready", "events cannot be accepted now");
    if let (Some(problem), Value::Object(report)) = (problem.as_object_mut(), report) {
        problem.extend(report);
    }
    answer(status, reply::PROBLEM, format!("{problem:#}\n"))
}

async fn metrics(State(health): State<Arc<Health>>) -> Response {
    health.gauge().await;
    answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", health.pipeline.metrics.text())
}
