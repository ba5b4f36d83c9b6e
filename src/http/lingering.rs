//! The end of a connection, in the steps of RFC 9112, 9.6: nothing more is written, what still comes is read and dropped, then it is
//! closed. Would it be closed with bytes unread, the system would break it, and a last answer would be lost on its way.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// How long the other side has to see that the connection has ended. It gives way to others meanwhile, as an idle one does.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one that has sent more than is read has to see it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection's stream, or what it is made of.
pub(super) trait OnTcp {
    /// Past TLS: bytes that nobody wants need not be decrypted.
    fn tcp(&mut self) -> &mut TcpStream;
}

impl OnTcp for TcpStream {
    fn tcp(&mut self) -> &mut TcpStream {
        self
    }
}

/// A connection on which nothing more is written.
pub(super) struct Lingering {
    /// Bytes that may still be read.
    left: usize,
    end: Pin<Box<Sleep>>,
}

impl Lingering {
    pub(super) fn new(left: usize) -> Lingering {
        let patience = if left == 0 { LAST_WORDS } else { PATIENCE };
        Lingering { left, end: Box::pin(sleep(patience)) }
    }

    /// Ready when it may be closed.
    pub(super) fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; 4096];
        while self.left > 0 && self.end.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut room);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            let bytes = buffer.filled().len();
            if read.is_err() || bytes == 0 {
                return Poll::Ready(());
            }
            self.left = self.left.saturating_sub(bytes);
            if self.left == 0 {
                let end = self.end.deadline().min(Instant::now() + LAST_WORDS);
                self.end.as_mut().reset(end);
            }
        }
        self.end.as_mut().poll(cx)
    }
}
