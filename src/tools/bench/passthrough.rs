//! The yardstick that the bridge is held against: the same HTTP server and the same producer, and nothing between them.
//!
//! ```text
//! request ─▶ http::serve ─▶ body read ─▶ its number looked up ─▶ Publisher ─▶ 200
//! ```
//!
//! It publishes what the bridge would publish for each body: the bridge's own stages made the records before it listens.
//! What it does not do then is verify, hash, parse, convert, route, count, or keep order with a spool.
//!
//! It stands here and not among the commands because it needs the stages, which nobody outside may have, and because no
//! operator has a use for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::workload::{Request, Workload};
use crate::app::bridge;
use crate::config::{self, ConfigError, Settings};
use crate::convert::prepare::{ConvertedEvent, prepare};
use crate::flow::pipeline::Pipeline;
use crate::http::{ConnectionLimits, listen, serve};
use crate::kafka::publish::{Patience, Publisher};
use crate::kafka::registry::Registry;
use crate::kafka::route::{Event, Record, Subject};
use crate::observe::telemetry::{self, Logs};
use crate::source::verify::{RequestHead, Unverified};
use crate::values::time::now_millis;

/// The header with a body's number: its place in the workload.
pub const NUMBER: &str = "x-body-number";

/// Why there is no passthrough.
#[derive(Debug, thiserror::Error)]
pub enum PassthroughError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The registry did not tell the ids of the schemas.
    #[error("the registry does not know all schemas")]
    Schemas,
    /// The bridge would not publish this body.
    #[error("body {0} makes no record")]
    NoRecord(usize),
    /// There is no listener.
    #[error(transparent)]
    Listen(#[from] std::io::Error),
}

impl From<ConfigError> for PassthroughError {
    fn from(error: ConfigError) -> Self {
        PassthroughError::Config(error.to_string())
    }
}

/// A passthrough that listens, and knows all records.
pub struct Passthrough {
    listener: TcpListener,
    limits: ConnectionLimits,
    table: Arc<Table>,
    _logs: Logs,
}

struct Table {
    publisher: Arc<Publisher>,
    max_body_bytes: usize,
    /// By number.
    rows: Vec<PassthroughCase>,
}

/// What there is to do for one body.
struct PassthroughCase {
    body_bytes: usize,
    records: Vec<Record>,
    /// The bridge's.
    answer: Bytes,
}

impl Passthrough {
    /// Makes the records of `workload` as a bridge with the configuration in `file` would, and listens.
    ///
    /// # Errors
    /// When the configuration cannot be used, the registry not be asked, or a body makes no record.
    pub async fn build(file: &Path, workload: Workload) -> Result<Passthrough, PassthroughError> {
        let mut settings = config::load(file)?;
        let logs = telemetry::init(std::mem::take(&mut settings.logging));
        let pipeline = bridge::pipeline(&settings)?;
        let registry = Registry::without_cache(&settings.registry, pipeline.routes.subjects.clone())?;
        let (ids, ()) = tokio::join!(registry.start(), pipeline.publisher.start());
        if ids.is_err() || registry.known().0 != registry.known().1 {
            return Err(PassthroughError::Schemas);
        }
        let requests = workload.requests().into_iter().enumerate();
        let rows = requests
            .map(|(number, request)| row(&settings, &pipeline, request).ok_or(PassthroughError::NoRecord(number)));
        let table = Table {
            rows: rows.collect::<Result<_, _>>()?,
            max_body_bytes: settings.http.max_body_bytes,
            publisher: Arc::clone(&pipeline.publisher),
        };
        let limits = ConnectionLimits::of(&settings.http, None);
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Passthrough { listener, limits, table: Arc::new(table), _logs: logs })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process ends.
    pub async fn run(self) {
        // The topics are looked after as in the bridge; aborted when it is dropped.
        let mut watching = JoinSet::new();
        watching.spawn(Arc::clone(&self.table.publisher).keep_watch());
        let router = Router::new().route("/webhooks/{source}", any(pass)).with_state(self.table);
        serve(self.listener, router, self.limits, None, CancellationToken::new()).await;
    }
}

/// Takes a body through the bridge's stages.
fn row(settings: &Settings, pipeline: &Pipeline, request: Request) -> Option<PassthroughCase> {
    let source = Arc::clone(settings.sources.get(request.path.strip_prefix("/webhooks/")?)?);
    let named = |(name, value): &(String, String)| Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?));
    let headers: HeaderMap<HeaderValue> = request.headers.iter().filter_map(named).collect();
    let (method, uri) = (Method::POST, request.path.parse().ok()?);
    let head = RequestHead { method: &method, uri: &uri, headers: &headers };
    let admission = source.verifier.load().admit(head, None).ok()?;
    let body_bytes = request.body.len();
    let body = Bytes::from(request.body);
    let delivery = Unverified { source, admission, headers, body, received_at: now_millis() }.verify().ok()?;
    let (event, made) = Event::of(prepare(&delivery, &pipeline.media, pipeline.max_record_bytes));
    let ConvertedEvent { parts, file: None } = *made.ok()? else { return None };
    let route = pipeline.routes.get(&delivery.source().name, &event.event_type?.name)?;
    let mut records = pipeline.routes.records(&event, route, parts, Subject::id)?;
    for record in &mut records {
        // It stays: without the room that the encoder guessed too much.
        record.value = record.value.as_deref().map(Bytes::copy_from_slice);
    }
    let answer = json!({ "id": delivery.id(), "outcome": "published" }).to_string();
    Some(PassthroughCase { body_bytes, records, answer: answer.into() })
}

async fn pass(State(table): State<Arc<Table>>, request: HttpRequest) -> Response {
    let number = request.headers().get(NUMBER).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let Some(row) = number.and_then(|number| table.rows.get(number)) else {
        return answer(StatusCode::NOT_FOUND, Bytes::new());
    };
    // That the body has the length of the one that it is said to be is all that is looked at.
    let body = to_bytes(request.into_body(), table.max_body_bytes).await;
    if !body.is_ok_and(|body| body.len() == row.body_bytes) {
        return answer(StatusCode::BAD_REQUEST, Bytes::new());
    }
    let sent = row.records.iter().map(|record| table.publisher.publish(record.clone(), Patience::Sender).report);
    if join_all(sent).await.iter().all(Result::is_ok) {
        answer(StatusCode::OK, row.answer.clone())
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, Bytes::new())
    }
}

fn answer(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
