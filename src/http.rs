//! The front door: from a request to a verified delivery, and from its outcome to an answer.
//!
//! A request is checked in this order: path, method, load, token or presence of a signature, content type, size,
//! signature, rate. What is refused leaves no trace but what an operator sees of it (`observe/metrics/refusals.rs`), and a stranger's
//! body is read by nobody (see `leftover` for where it goes). What a vendor asks before it sends is answered here and goes no further: by its
//! head where it has no body, else once it is verified.

mod admin;
mod backlog;
mod body;
mod budget;
mod connection;
mod console;
mod leftover;
mod limits;
mod lingering;
mod media_type;
mod names;
mod places;
mod progress;
mod reply;
mod respond;
mod tls;
mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::any;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version, header};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::blocking::off_the_hot_path;
use crate::catalog::HandshakeMethod;
use crate::config::HttpSettings;
use crate::flow::intake::Intake;
use crate::observe::metrics::Stage;
use crate::outcome::{AcceptedWhole, Refusal, RequestWatcher, SettledRequest};
use crate::source::Source;
use crate::source::handshake::{self, HandshakeAnswer};
use crate::source::verify::{Admission, RequestHead, Unverified, Verified};
use crate::values::time::now_millis;

pub(crate) use admin::admin_router;
pub(crate) use budget::Budget;
use budget::{NoRoom, Share};
use connection::Caller;
pub(crate) use connection::{listen, serve};
pub(crate) use console::ConsoleRoutes;
pub(crate) use limits::{ConnectionCounts, ConnectionLimits};
pub(crate) use media_type::check_content_type;
pub(crate) use names::HostNames;
use progress::Progress;
pub(crate) use reply::ANSWER_CODES;
use reply::{Answer, Granted, Receipt};
pub(crate) use tls::{Identity, Tls, host_names};

/// How long the disk may take for a commit, beyond what Kafka and the media store may.
const SPOOL_PATIENCE: Duration = Duration::from_secs(10);

/// What the webhook handler needs.
pub(crate) struct Door {
    pub(crate) sources: std::collections::BTreeMap<String, Arc<Source>>,
    pub(crate) settings: HttpSettings,
    pub(crate) intake: Arc<Intake>,
    /// Is told of each request, if somebody watches.
    pub(crate) watcher: Option<RequestWatcher>,
    /// Set when new requests are to be turned away.
    pub(crate) closing: AtomicBool,
    /// Counts the requests that are under way.
    pub(crate) under_way: TaskTracker,
}

/// Of a request that is let in: what it holds, and the connection it came by.
struct Admitted {
    share: Share,
    connection: Arc<Progress>,
}

/// The routes of the webhook listener.
pub(crate) fn webhook_router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/webhooks/{source}", any(without_token))
        .route("/webhooks/{source}/{token}", any(with_token))
        .route("/webhooks/{source}/{token}/{suffix}", any(with_suffix))
        .fallback(async |State(door): State<Arc<Door>>| door.refuse(None, Refusal::NotFound))
        .with_state(door)
}

/// What follows the source's name in a path.
#[derive(Clone, Copy)]
enum PathRest<'a> {
    Nothing,
    /// A token, or what the vendor adds to the path.
    One(&'a str),
    /// A token, and what the vendor adds to the path.
    Two(&'a str, &'a str),
}

impl<'a> PathRest<'a> {
    /// The token that may be in it, if there may be such a path to the source.
    fn token(self, source: &Source, takes_token: bool) -> Result<Option<&'a str>, Refusal> {
        match self {
            PathRest::Nothing => Ok(None),
            // One that is not right there may still be in a header.
            PathRest::One(token) if takes_token => Ok(Some(token)),
            PathRest::One(suffix) if source.profile.takes_suffix(suffix) => Ok(None),
            PathRest::Two(token, suffix) if takes_token && source.profile.takes_suffix(suffix) => Ok(Some(token)),
            PathRest::One(_) | PathRest::Two(..) => Err(Refusal::NotFound),
        }
    }
}

async fn without_token(
    State(door): State<Arc<Door>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    match path {
        Ok(Path(source)) => door.receive(&source, PathRest::Nothing, request).await,
        Err(_) => door.refuse(None, Refusal::NotFound),
    }
}

async fn with_token(
    State(door): State<Arc<Door>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    match path {
        Ok(Path((source, token))) => door.receive(&source, PathRest::One(&token), request).await,
        Err(_) => door.refuse(None, Refusal::NotFound),
    }
}

async fn with_suffix(
    State(door): State<Arc<Door>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    request: Request,
) -> Response {
    match path {
        Ok(Path((source, token, suffix))) => door.receive(&source, PathRest::Two(&token, &suffix), request).await,
        Err(_) => door.refuse(None, Refusal::NotFound),
    }
}

impl Door {
    /// Counts an answer to a request for `source`, if it was for one, and makes the response.
    fn answer(&self, source: Option<&str>, answer: &Answer) -> Response {
        let metrics = &self.intake.pipeline.metrics;
        metrics.requests.with_label_values(&[reply::code(answer)]).inc();
        if let Err(refusal) = answer {
            metrics.refusals.note(source, *refusal, refusal.status().as_u16(), now_millis());
        }
        if let Some(watcher) = &self.watcher {
            let (source, status) = (source.map(str::to_owned), reply::status(answer).as_u16());
            watcher(SettledRequest { source, status, end: reply::end(answer) });
        }
        reply::response(answer, self.closing.load(Ordering::Relaxed))
    }

    fn refuse(&self, source: Option<&str>, refusal: Refusal) -> Response {
        self.answer(source, &Err(refusal))
    }

    /// Says what a source takes. A stranger may know: it is on the vendor's pages, and a GET would show it.
    fn method_not_allowed(&self, source: &Source) -> Response {
        let mut response = self.refuse(Some(&source.name), Refusal::MethodNotAllowed);
        if takes_get(source) {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }

    async fn receive(&self, source: &str, rest: PathRest<'_>, mut request: Request) -> Response {
        let (_under_way, arrived) = (self.under_way.token(), SystemTime::now());
        let caller = request.extensions_mut().remove::<Caller>();
        let Some(source) = self.sources.get(source) else {
            return self.refuse(None, Refusal::UnknownSource);
        };
        let name = Some(source.name.as_str());
        if let Some(answer) = self.answer_handshake(source, rest, &request, caller.as_ref()) {
            return self.answer(name, &answer.map(Granted::Handshake));
        }
        match self.admit(source, rest, &request, caller) {
            Ok((admission, caller)) => {
                let (Parts { version, headers, .. }, body) = request.into_parts();
                let answer = self.take(Arc::clone(source), admission, (version, headers), body, caller, arrived).await;
                self.answer(name, &answer)
            }
            Err(Refusal::MethodNotAllowed) => self.method_not_allowed(source),
            Err(refusal) => self.refuse(name, refusal),
        }
    }

    /// The answer to a request that is a handshake by its head; `None` where it is none, and may be a delivery.
    fn answer_handshake(
        &self,
        source: &Source,
        rest: PathRest<'_>,
        request: &Request,
        caller: Option<&Caller>,
    ) -> Option<Result<HandshakeAnswer, Refusal>> {
        if source.profile.handshakes.is_empty() {
            return None;
        }
        let verifier = source.verifier.load();
        let token = rest.token(source, verifier.takes_token_in_path()).ok()?;
        let head = RequestHead::of(request);
        let answer = handshake::answer_to_head(&source.profile.handshakes, &verifier, head, token)?;
        if self.closing.load(Ordering::Relaxed) {
            return Some(Err(Refusal::ShuttingDown));
        }
        if caller.is_none_or(|caller| caller.share.is_none()) {
            return Some(Err(Refusal::Overloaded));
        }
        if answer.is_ok() {
            self.count_handshake(source);
        }
        Some(answer.map_err(Refusal::from))
    }

    fn count_handshake(&self, source: &Source) {
        self.intake.pipeline.metrics.handshakes.with_label_values(&[source.name.as_str()]).inc();
    }

    /// What can be said before the body is read.
    fn admit(
        &self,
        source: &Source,
        rest: PathRest<'_>,
        request: &Request,
        caller: Option<Caller>,
    ) -> Result<(Admission, Admitted), Refusal> {
        let verifier = source.verifier.load();
        let token = rest.token(source, verifier.takes_token_in_path())?;
        if request.method() != Method::POST {
            return Err(Refusal::MethodNotAllowed);
        }
        if self.closing.load(Ordering::Relaxed) {
            return Err(Refusal::ShuttingDown);
        }
        let Some(Caller { share: Some(share), connection }) = caller else { return Err(Refusal::Overloaded) };
        if share.is_none_left() {
            return Err(Refusal::Overloaded);
        }
        let admission = verifier.admit(RequestHead::of(request), token)?;
        if verifier.proves_by_head() {
            share.prove().map_err(|NoRoom| Refusal::Overloaded)?;
            connection.trust();
        }
        check_content_type(request.headers())?;
        Ok((admission, Admitted { share, connection }))
    }

    /// Holds a whole delivery against its proof.
    fn verify(&self, delivery: Unverified) -> Result<Verified, Refusal> {
        let _verifying = self.intake.pipeline.metrics.stage(Stage::Verify);
        Ok(off_the_hot_path(delivery.body.len(), || delivery.verify())?)
    }

    async fn take(
        &self,
        source: Arc<Source>,
        admission: Admission,
        (version, headers): (Version, HeaderMap),
        body: Body,
        Admitted { share, connection }: Admitted,
        arrived: SystemTime,
    ) -> Answer {
        let limits = body::BodyLimits { max_bytes: source.max_body_bytes, timeout: self.settings.body_timeout };
        let metrics = &self.intake.pipeline.metrics;
        let body = body::read(version, &headers, body, limits, &share).await?;
        let (started, received_at) = (Instant::now(), now_millis());

        let delivery = Unverified { source, admission, headers, body, received_at };
        let verify_began = SystemTime::now();
        let mut delivery = self.verify(delivery)?;
        connection.trust();
        let verify = verify_began..SystemTime::now();
        if delivery.source().rate_limit.as_ref().is_some_and(|limit| limit.check().is_err()) {
            return Err(Refusal::RateLimited);
        }
        if let Some(answer) = handshake::answer_to_body(&delivery) {
            self.count_handshake(delivery.source());
            return Ok(Granted::Handshake(answer));
        }
        let mut trace = self.intake.pipeline.traces.begin(&mut delivery, arrived, verify);
        let (intake, deadline) = (Arc::clone(&self.intake), started + self.settings.ack_timeout);
        let under_way = self.under_way.token();
        // A task of its own: a sender that hangs up takes nothing back of a delivery that is on its way.
        let processed = tokio::spawn(async move {
            let accepted = intake.process(&delivery, deadline, &mut trace).await;
            let answer = match accepted {
                Ok(AcceptedWhole { accepted, each, events }) => {
                    Ok(Granted::Delivery(Receipt { id: delivery.id().to_owned(), accepted, each, events }))
                }
                Err(declined) => Err(Refusal::from(declined)),
            };
            trace.answered(reply::code(&answer), reply::status(&answer).as_u16());
            drop((share, under_way));
            answer
        });
        // On a disk that does not answer the delivery waits on, and is charged for; its sender shall try again.
        let answer = match timeout(3 * self.settings.ack_timeout + SPOOL_PATIENCE, processed).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(Refusal::Unavailable),
        };
        metrics.answer_seconds.observe(started.elapsed().as_secs_f64());
        answer
    }
}

fn takes_get(source: &Source) -> bool {
    source.profile.handshakes.iter().any(|handshake| handshake.method == HandshakeMethod::Get)
}
