//! Accepts connections and serves HTTP/1.1 on them, or, behind TLS, what both sides agree on: HTTP/2 or HTTP/1.1; each
//! within its limits.
//!
//! hyper has one timer for a request's head and for an idle connection, but the two need different limits: a head
//! comes at once or not at all, while an idle connection has to outlive a balancer's 60 s. So each connection has a
//! [`Progress`], moved on by the bytes it reads and by the requests it serves, and is closed when a phase lasts too long.
//! (In HTTP/2, where bytes need not be a head, a head has the time of an idle connection.)

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use super::backlog;
use super::budget::{Origin, Share, head_bytes};
use super::leftover::{Discard, lend};
use super::limits::ConnectionLimits;
use super::lingering::OnTcp;
use super::places::ConnectionPlaces;
use super::progress::{Progress, Serving};
use super::tls::{Tls, speaks_h2};
use super::watched::Watched;

/// Bytes that are buffered of a connection: about what a request's line and headers may take. hyper takes what it has
/// read at once, so a head that comes in one piece may be somewhat larger.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Bytes of bodies that an HTTP/2 connection takes before they are read, all its requests together, at the most. A
/// round trip of 50 ms then lets 5 MB/s through.
const H2_WINDOW: u32 = 256 << 10;
/// Requests at once on one HTTP/2 connection.
const H2_STREAMS: u32 = 100;
/// Bytes of a head in HTTP/2, unpacked, each header counted with 32 more.
const H2_HEAD_BYTES: u32 = 32 << 10;
/// Headers of a request, as hyper has it for HTTP/1.1.
const MOST_FIELDS: usize = 100;
/// What the heads of a connection's requests may take at once: more than as many usual ones as there are streams.
const MOST_HEADS: usize = 1 << 20;
/// Bytes of heads in arrival, in all, for listeners without a budget.
const ARRIVING_HEADS: usize = 4 << 20;
/// How long a connection that is to end may take to do so, once no request is served on it: a peer that is gone does not answer.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the first request of a new connection, or the next of one that has just served one, is waited for at the end: longer than a
/// sender takes from connecting to writing on a machine with much to do.
const LAST_CALL: Duration = Duration::from_secs(2);
/// Wait after an accept that failed for want of file descriptors, say.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Between two lines of the log about the same trouble.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Listens at `address`, with room for a burst of connections that are not accepted yet: the usual 128 places are
/// gone in a moment when many senders come back at once.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` on `listener`, behind `tls` if there is one, until `stop`; then lets the open connections finish what
/// they are at.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
    let most_arriving = limits.budget.as_ref().map_or(ARRIVING_HEADS, |budget| budget.most_of_arriving_heads());
    let places = ConnectionPlaces::new(limits.connections, most_arriving);
    let open = TaskTracker::new();
    let server = Arc::new(Server { router, limits, tls, places, open: open.clone(), stop: stop.clone() });
    let mut failures = AcceptFailures::default();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                failures.end();
                server.admit(stream, peer).await;
            }
            Err(error) => {
                failures.note(&error);
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
    backlog::let_nobody_in(&listener);
    let latest = Instant::now() + LAST_CALL;
    while let Some((stream, peer)) = backlog::next(&listener, latest).await {
        server.admit(stream, peer).await;
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// Accepts that fail: one line when they begin, one a minute while they go on, one when they end.
#[derive(Default)]
struct AcceptFailures {
    since: Option<Instant>,
    said: Option<Instant>,
    count: u64,
}

impl AcceptFailures {
    fn note(&mut self, error: &io::Error) {
        let now = Instant::now();
        self.count += 1;
        let since = *self.since.get_or_insert(now);
        if self.said.is_none_or(|said| now - said >= SAY_AGAIN) {
            self.said = Some(now);
            let (failed, seconds) = (self.count, (now - since).as_secs());
            tracing::warn!(%error, failed, seconds, "cannot accept connections");
        }
    }

    fn end(&mut self) {
        if let AcceptFailures { since: Some(since), count, .. } = std::mem::take(self) {
            tracing::info!(failed = count, seconds = since.elapsed().as_secs(), "accepting connections again");
        }
    }
}

/// How far the end of a connection is.
#[derive(Clone, Copy)]
enum DriveStage {
    Open,
    /// The listener ends since then; a request that is on its way is waited for.
    LastCall(Instant),
    /// It ends since then, behind what is being served.
    Closing(Instant),
}

impl DriveStage {
    fn deadline(self, progress: &Progress, limits: &ConnectionLimits) -> Instant {
        match self {
            DriveStage::Open => progress.deadline(limits),
            DriveStage::LastCall(since) => progress.last_call(since, LAST_CALL),
            DriveStage::Closing(since) => progress.end_of_patience(since, LAST_WORDS),
        }
    }
}

/// What all connections of a listener share.
struct Server {
    router: Router,
    limits: ConnectionLimits,
    tls: Option<Arc<Tls>>,
    places: Arc<ConnectionPlaces>,
    /// Owns every task there is of a connection.
    open: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    /// Serves a connection as soon as there is a place for it.
    async fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Others wait in the kernel's queue meanwhile, at no cost of ours.
        let place = tokio::select! {
            place = self.places.take() => place,
            () = self.stopped_for(LAST_CALL) => None,
        };
        let (Some(place), server) = (place, Arc::clone(self)) else { return };
        self.open.spawn(async move {
            server.serve(stream, peer.ip().into(), &place.progress).await;
            drop(place);
        });
    }

    /// Returns when the listener has been told so long ago to end, or so long after it is asked, whichever is later.
    async fn stopped_for(&self, patience: Duration) {
        self.stop.cancelled().await;
        sleep(patience).await;
    }

    /// One connection, from its first byte to its last.
    async fn serve(self: &Arc<Self>, stream: TcpStream, origin: Origin, progress: &Arc<Progress>) {
        // Answers are small and waited for.
        let _ = stream.set_nodelay(true);
        self.limits.counts.iter().for_each(|counts| counts.open.inc());
        match &self.tls {
            None => self.http1(stream, origin, progress).await,
            // Apart, so that a connection in clear has no room for it.
            Some(tls) => Box::pin(self.https(tls, stream, origin, progress)).await,
        }
        self.limits.counts.iter().for_each(|counts| counts.open.dec());
    }

    /// The handshake has the time that a request's head has.
    async fn https(self: &Arc<Self>, tls: &Tls, stream: TcpStream, origin: Origin, progress: &Arc<Progress>) {
        let accepted = tokio::select! {
            accepted = timeout(self.limits.head, tls.accept(stream)) => accepted,
            () = progress.evicted.notified() => return,
            () = self.stopped_for(LAST_CALL) => return,
        };
        progress.begin();
        let why = match accepted {
            Ok(Ok(stream)) if speaks_h2(&stream) => return self.http2(stream, origin, progress).await,
            Ok(Ok(stream)) => return self.http1(stream, origin, progress).await,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "not completed in time".to_owned(),
        };
        tracing::debug!(reason = why, "TLS handshake failed");
        self.limits.counts.iter().for_each(|counts| counts.failed_handshakes.inc());
    }

    async fn http1(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + OnTcp + Unpin + 'static,
        origin: Origin,
        progress: &Arc<Progress>,
    ) {
        let io = TokioIo::new(self.watched(stream, progress, true));
        let service = service_fn(|request| self.answer(origin, progress, request));
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEAD_BYTES).max_headers(MOST_FIELDS).header_read_timeout(None).half_close(true);
        self.drive(builder.serve_connection(io, service), progress, true).await;
    }

    async fn http2(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + OnTcp + Unpin + 'static,
        origin: Origin,
        progress: &Arc<Progress>,
    ) {
        let io = TokioIo::new(self.watched(stream, progress, false));
        let service = service_fn(|request| self.answer(origin, progress, request));
        let mut builder = http2::Builder::new(Tasks(self.open.clone()));
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(H2_HEAD_BYTES)
            .max_concurrent_streams(H2_STREAMS)
            .initial_stream_window_size(H2_WINDOW)
            .initial_connection_window_size(H2_WINDOW);
        self.drive(builder.serve_connection(io, service), progress, false).await;
    }

    fn watched<S>(&self, stream: S, progress: &Arc<Progress>, is_http1: bool) -> Watched<S> {
        Watched { stream, progress: Arc::clone(progress), places: Arc::clone(&self.places), is_http1, lingering: None }
    }

    /// Lets a connection go on until it ends, a phase of it has lasted too long, or all are to end. One on which a request may be on its
    /// way is not ended before that is answered. In HTTP/2 both sides see to that.
    async fn drive(&self, connection: impl GracefulConnection, progress: &Progress, is_http1: bool) {
        let mut connection = pin!(connection);
        let mut stage = DriveStage::Open;
        loop {
            let due = stage.deadline(progress, &self.limits);
            tokio::select! {
                // What has arrived is read before anything else is decided.
                biased;
                // How a connection ends is the client's affair.
                _ = connection.as_mut() => break,
                () = progress.evicted.notified() => break,
                () = self.stop.cancelled(), if matches!(stage, DriveStage::Open) => {
                    stage = DriveStage::LastCall(Instant::now());
                    if !is_http1 {
                        stage = DriveStage::Closing(Instant::now());
                        connection.as_mut().graceful_shutdown();
                    }
                }
                () = sleep_until(due) => {
                    if Instant::now() < stage.deadline(progress, &self.limits) {
                        continue;
                    }
                    // A head that takes so long has been promised nothing.
                    if !matches!(stage, DriveStage::LastCall(_)) || progress.is_head() {
                        break;
                    }
                    if progress.is_waiting() {
                        progress.end_at_once();
                    }
                    stage = DriveStage::Closing(Instant::now());
                    connection.as_mut().graceful_shutdown();
                }
                // A new phase has a deadline of its own.
                () = progress.changed.notified() => {}
            }
        }
    }

    /// Charges a request at once, not when its turn comes: until then it is the memory of nobody.
    fn answer(
        self: &Arc<Self>,
        origin: Origin,
        progress: &Arc<Progress>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let head = head_bytes(request.uri(), request.headers());
        let serving = progress.serve(head);
        self.places.arrived(progress);
        let fields = request.headers().len();
        let fits = serving.heads() <= MOST_HEADS;
        let budget = self.limits.budget.as_ref();
        let share = budget.filter(|_| fits && fields <= MOST_FIELDS).and_then(|budget| budget.enter(origin, head).ok());
        let is_refused = fields > MOST_FIELDS || (share.is_none() && budget.is_some());
        let (mut request, lender) = lend(request);
        if is_refused {
            // It takes nothing until then.
            *request.headers_mut() = HeaderMap::new();
        }
        request.extensions_mut().insert(Caller { share, connection: Arc::clone(progress) });
        let (server, progress) = (Arc::clone(self), Arc::clone(progress));
        async move {
            let mut response = if fields > MOST_FIELDS {
                drop(request);
                let mut response = Response::default();
                *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                response
            } else {
                server.router.clone().call(request).await?
            };
            if let Some(discard) = lender.settle(&mut response, &server.limits) {
                server.discard(discard, progress, serving).await;
            }
            Ok(response)
        }
    }

    /// Reads what is left of a request's body, which is being served until then: what comes at once before its answer.
    async fn discard(self: &Arc<Self>, mut discard: Discard, progress: Arc<Progress>, mut serving: Serving) {
        serving.drop_head();
        let goes_on = tokio::select! {
            goes_on = discard.before_answer(&progress) => goes_on,
            () = self.stopped_for(LAST_WORDS) => true,
        };
        if goes_on {
            let server = Arc::clone(self);
            self.open.spawn(async move {
                tokio::select! {
                    () = discard.after_answer(&progress) => {}
                    () = server.stopped_for(LAST_WORDS) => {}
                }
                drop(serving);
            });
        }
    }
}

/// Who asks, for the handler of a request.
#[derive(Clone)]
pub(super) struct Caller {
    /// What the request holds; nothing if there was no room for it.
    pub(super) share: Option<Share>,
    pub(super) connection: Arc<Progress>,
}

/// Runs what hyper wants to run apart, as one of the connection's tasks.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
