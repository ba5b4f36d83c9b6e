//! A connection's stream that notes the bytes of requests' heads, and that is not closed under who is still sending.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::lingering::{Lingering, OnTcp};
use super::places::ConnectionPlaces;
use super::progress::{MOST_OF_A_HEAD, Progress};

/// A stream that notes the bytes of requests' heads.
pub(super) struct Watched<S> {
    pub(super) stream: S,
    pub(super) progress: Arc<Progress>,
    pub(super) places: Arc<ConnectionPlaces>,
    /// In HTTP/1.1, where every byte before a request is its head's.
    pub(super) is_http1: bool,
    /// Once nothing more is written.
    pub(super) lingering: Option<Lingering>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let bytes = buf.filled().len() - before;
        if bytes > 0 && self.progress.read(self.is_http1) {
            let room = MOST_OF_A_HEAD.saturating_sub(self.progress.arriving.load(Ordering::Relaxed));
            self.places.arriving(&self.progress, bytes.min(room));
        }
        polled
    }
}

impl<S: AsyncWrite + OnTcp + Unpin> AsyncWrite for Watched<S> {
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
        let Watched { stream, progress, lingering, .. } = &mut *self;
        if lingering.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            let Some(bytes) = progress.reads_on() else { return Poll::Ready(Ok(())) };
            *lingering = Some(Lingering::new(bytes));
        }
        let Some(lingering) = lingering else { return Poll::Ready(Ok(())) };
        lingering.poll(stream.tcp(), cx).map(Ok)
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
