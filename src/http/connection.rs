//! Accepts connections and serves HTTP/1.1 on them, each within its limits.
//!
//! hyper has one timer for a request's head and for an idle connection, but the two need different limits: a head
//! comes at once or not at all, while an idle connection has to outlive a balancer's 60 s. So each connection has a
//! [`Phase`], moved on by the bytes it reads and by the requests it serves, and is closed when a phase lasts too long.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus::IntGauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

/// Bytes that are buffered of a connection: about what a request's line and headers may take. hyper takes what it has
/// read at once, so a head that comes in one piece may be somewhat larger.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Wait after an accept that failed for want of file descriptors, say.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What a listener's connections may take.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    /// For a request's line and headers, from the first byte on.
    pub(crate) head: Duration,
    /// Without any request.
    pub(crate) idle: Duration,
    /// Shows how many connections are open.
    pub(crate) gauge: Option<IntGauge>,
}

impl Limits {
    /// For listeners whose clients are known: few connections, the usual times.
    pub(crate) fn for_few() -> Limits {
        Limits { connections: 256, head: Duration::from_secs(10), idle: Duration::from_secs(75), gauge: None }
    }
}

/// Listens at `address`, with room for a burst of connections that are not accepted yet: the usual 128 places are
/// gone in a moment when many senders come back at once.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` on `listener` until `stop`, then lets the open connections finish what they are at.
pub(crate) async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = TaskTracker::new();
    loop {
        // A place first: whoever finds none waits in the kernel's queue, at no cost of ours.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve_connection(stream, router.clone(), limits.clone(), stop.clone());
                open.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

async fn serve_connection(stream: TcpStream, router: Router, limits: Limits, stop: CancellationToken) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    limits.gauge.iter().for_each(IntGauge::inc);
    let phase = Arc::new(Progress::new());
    let service = service_fn({
        let phase = Arc::clone(&phase);
        move |request: Request<Incoming>| {
            let (phase, mut router) = (Arc::clone(&phase), router.clone());
            async move {
                phase.enter(Phase::Serving);
                let response: Result<Response, Infallible> = router.call(request).await;
                phase.enter(Phase::Idle(Instant::now()));
                response
            }
        }
    });
    let io = TokioIo::new(Watched { stream, phase: Arc::clone(&phase) });
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD_BYTES).header_read_timeout(None);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut stopping = false;
    loop {
        let deadline = phase.deadline(&limits);
        tokio::select! {
            // How a connection ends is the client's affair.
            _ = connection.as_mut() => break,
            () = stop.cancelled(), if !stopping => {
                // A head that is still arriving has been promised nothing.
                if phase.is_head() {
                    break;
                }
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(deadline) => {
                if Instant::now() >= phase.deadline(&limits) {
                    break;
                }
            }
            // A new phase has a deadline of its own.
            () = phase.changed.notified() => {}
        }
    }
    limits.gauge.iter().for_each(IntGauge::dec);
}

/// What a connection is at.
enum Phase {
    /// Nothing since then.
    Idle(Instant),
    /// A request's head began to arrive then.
    Head(Instant),
    /// A request is being served; its own limits hold.
    Serving,
}

/// A connection's phase, and word of when it changes.
struct Progress {
    phase: Mutex<Phase>,
    changed: Notify,
}

impl Progress {
    fn new() -> Self {
        Progress { phase: Mutex::new(Phase::Idle(Instant::now())), changed: Notify::new() }
    }

    fn enter(&self, next: Phase) {
        if let Ok(mut phase) = self.phase.lock() {
            *phase = next;
        }
    }

    /// Bytes arrived: if nothing was going on, they begin a request's head.
    fn read(&self) {
        if let Ok(mut phase) = self.phase.lock()
            && matches!(*phase, Phase::Idle(_))
        {
            *phase = Phase::Head(Instant::now());
            self.changed.notify_one();
        }
    }

    /// Bytes were sent: an answer that goes on does not leave its connection idle.
    fn wrote(&self) {
        if let Ok(mut phase) = self.phase.lock()
            && let Phase::Idle(since) = &mut *phase
        {
            *since = Instant::now();
        }
    }

    fn is_head(&self) -> bool {
        self.phase.lock().is_ok_and(|phase| matches!(*phase, Phase::Head(_)))
    }

    /// When the present phase has lasted too long.
    fn deadline(&self, limits: &Limits) -> Instant {
        match self.phase.lock().as_deref() {
            Ok(Phase::Idle(since)) => *since + limits.idle,
            Ok(Phase::Head(since)) => *since + limits.head,
            // Looked at again after a while.
            _ => Instant::now() + limits.head.min(limits.idle),
        }
    }
}

/// A stream that notes when the first bytes of a request arrive.
struct Watched {
    stream: TcpStream,
    phase: Arc<Progress>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.phase.read();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if polled.is_ready() {
            self.phase.wrote();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if polled.is_ready() {
            self.phase.wrote();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
