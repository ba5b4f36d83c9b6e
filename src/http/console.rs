//! The console's routes on the admin listener: the page, what it shows as it changes, and the catalog.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::respond::{answer, refusal};
use crate::console::{Console, Page};
use crate::values::time::now_millis;

/// From one state to the next. There is always something to send, so no heartbeat is needed beside it.
const BEAT: Duration = Duration::from_secs(2);
/// Streams at once: each gathers all metrics at every beat.
const MOST_VIEWERS: usize = 8;

/// What the console's routes need.
pub(crate) struct ConsoleRoutes {
    console: Arc<Console>,
    page: Page,
    policy: HeaderValue,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl ConsoleRoutes {
    /// Streams end at `stop`.
    pub(crate) fn new(console: Arc<Console>, stop: CancellationToken) -> Arc<ConsoleRoutes> {
        let page = Page::new();
        // It is made of hashes and plain words; without it nothing of the page would be allowed.
        let policy = HeaderValue::from_str(&page.policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Arc::new(ConsoleRoutes { console, page, policy, places: Arc::new(Semaphore::new(MOST_VIEWERS)), stop })
    }
}

pub(super) fn router(routes: Arc<ConsoleRoutes>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/console/events", get(events))
        .route("/console/state.json", get(state))
        .route("/console/catalog.json", get(catalog))
        .with_state(routes)
}

async fn page(State(routes): State<Arc<ConsoleRoutes>>) -> Response {
    let mut response = guarded(answer(StatusCode::OK, "text/html; charset=utf-8", routes.page.html.clone()));
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, routes.policy.clone());
    response
}

async fn catalog(State(routes): State<Arc<ConsoleRoutes>>) -> Response {
    guarded(answer(StatusCode::OK, "application/json", routes.console.catalog.clone()))
}

/// What the page shows at this moment, for who has no browser at hand.
async fn state(State(routes): State<Arc<ConsoleRoutes>>) -> Response {
    guarded(answer(StatusCode::OK, "application/json", format!("{:#}\n", routes.console.state(now_millis()))))
}

/// Server-sent events: `state` at once and at every beat, `history` when there is a new point.
async fn events(State(routes): State<Arc<ConsoleRoutes>>, headers: HeaderMap) -> Response {
    if is_for_another_site(&headers) {
        return refusal(StatusCode::FORBIDDEN, "other_origin", "only the console of this listener may use this stream");
    }
    let Ok(place) = Arc::clone(&routes.places).try_acquire_owned() else {
        return refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_viewers",
            "eight viewers are connected already; try again later",
        );
    };
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = routes.stop.clone();
    let viewer = Viewer { routes, beat, known: None, _place: place };
    let parts = stream::unfold(viewer, async |mut viewer| {
        viewer.beat.tick().await;
        let part = Ok::<_, Infallible>(Bytes::from(viewer.next()));
        Some((part, viewer))
    });
    let mut response = guarded(answer(StatusCode::OK, "text/event-stream", String::new()));
    *response.body_mut() = Body::from_stream(parts.take_until(stop.cancelled_owned()));
    // Else nginx would collect them.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Whether a page of another site opens the stream. It could read nothing, but take the places of those who may look.
fn is_for_another_site(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(&HeaderName::from_static("sec-fetch-site"));
    let authority = |origin: &str| origin.split_once("://").map(|(_, authority)| authority.to_ascii_lowercase());
    let own = text(&header::HOST).map(str::to_ascii_lowercase);
    site.is_some_and(|site| !["same-origin", "none"].contains(&site))
        || text(&header::ORIGIN).is_some_and(|origin| authority(origin) != own)
}

/// Someone who looks.
struct Viewer {
    routes: Arc<ConsoleRoutes>,
    beat: Interval,
    /// The last point that was sent.
    known: Option<i64>,
    _place: OwnedSemaphorePermit,
}

impl Viewer {
    fn next(&mut self) -> String {
        let console = &self.routes.console;
        let mut text = format!("event: state\ndata: {}\n\n", console.state(now_millis()));
        if let Some((at, points)) = console.points(self.known) {
            self.known = Some(at);
            text.push_str(&format!("event: history\ndata: {points}\n\n"));
        }
        text
    }
}

fn guarded(mut response: Response) -> Response {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
