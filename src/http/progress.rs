//! What a connection is at, and how long it may be.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::Limits;

/// What a connection is at.
enum Phase {
    /// Nothing since then.
    Idle(Instant),
    /// A request's head began to arrive then.
    Head(Instant),
    /// So many requests are being served; their own limits hold.
    Serving(usize),
}

/// A connection's phase, and word of when it changes.
pub(super) struct Progress {
    phase: Mutex<Phase>,
    pub(super) changed: Notify,
}

/// A request that is being served, until this is dropped.
pub(super) struct Serving(Arc<Progress>);

impl Drop for Serving {
    fn drop(&mut self) {
        if let Ok(mut phase) = self.0.phase.lock() {
            *phase = match *phase {
                Phase::Serving(requests) if requests > 1 => Phase::Serving(requests - 1),
                _ => Phase::Idle(Instant::now()),
            };
        }
    }
}

impl Progress {
    pub(super) fn new() -> Self {
        Progress { phase: Mutex::new(Phase::Idle(Instant::now())), changed: Notify::new() }
    }

    /// A request's head is there.
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        if let Ok(mut phase) = self.phase.lock() {
            *phase = match *phase {
                Phase::Serving(requests) => Phase::Serving(requests + 1),
                _ => Phase::Serving(1),
            };
        }
        Serving(Arc::clone(self))
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

    pub(super) fn is_head(&self) -> bool {
        self.phase.lock().is_ok_and(|phase| matches!(*phase, Phase::Head(_)))
    }

    /// When the present phase has lasted too long.
    pub(super) fn deadline(&self, limits: &Limits) -> Instant {
        match self.phase.lock().as_deref() {
            Ok(Phase::Idle(since)) => *since + limits.idle,
            Ok(Phase::Head(since)) => *since + limits.head,
            // Looked at again after a while.
            _ => Instant::now() + limits.head.min(limits.idle),
        }
    }

    /// When it has had `patience` without a request, counted from `since` at the earliest.
    pub(super) fn end_of_patience(&self, since: Instant, patience: Duration) -> Instant {
        match self.phase.lock().as_deref() {
            Ok(Phase::Idle(idle)) => since.max(*idle) + patience,
            Ok(Phase::Head(_)) => since + patience,
            // Looked at again after a while.
            _ => Instant::now() + patience,
        }
    }
}

/// A stream of HTTP/1.1 that notes when the first bytes of a request arrive.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) progress: Arc<Progress>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.progress.read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if polled.is_ready() {
            self.progress.wrote();
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
            self.progress.wrote();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
