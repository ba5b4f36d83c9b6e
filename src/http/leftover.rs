//! What is left of a request's body when its answer is there, as it is of most that are refused.
//!
//! A sender that is still writing takes a connection that is closed under it for a broken one, and does not see the answer. So what it
//! still writes is read and dropped, within bounds. As long as it comes, it is waited for with the answer: not every proxy can do
//! with one that is early. Then the connection serves the next request. Where the body does not end so, the answer goes out first, and
//! the connection is closed in steps: see [`Lingering`](super::lingering::Lingering).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use super::body::{BodyPace, deadline, next};
use super::limits::ConnectionLimits;
use super::progress::{Progress, READ_ON};

/// How long one is read on that has had its time.
const MOMENT: Duration = Duration::from_secs(2);

/// A sender that has sent nothing for so long may be waiting for the answer.
const PAUSE: Duration = Duration::from_millis(500);

/// A body that goes back when its reader leaves it.
pub(super) struct LentBody {
    /// Nothing once it has broken off.
    body: Option<Incoming>,
    begun: bool,
    /// Bytes that were read of it.
    read: usize,
    place: Arc<Mutex<Option<Leftover>>>,
}

/// Where a body turns up that its reader has left before its end, and what else has to be known of its request then.
pub(super) struct Lender {
    place: Arc<Mutex<Option<Leftover>>>,
    is_http1: bool,
    /// The sender waits for a word before it sends the body.
    asks_first: bool,
}

/// What a reader left of a body.
struct Leftover {
    /// Nothing of one that broke off.
    body: Option<Incoming>,
    /// None of it was asked for.
    untouched: bool,
    /// Bytes that the reader took.
    read: usize,
}

/// Lends the body of a request to who answers it.
pub(super) fn lend(request: Request<Incoming>) -> (Request<LentBody>, Lender) {
    let place = Arc::default();
    let is_http1 = request.version() <= Version::HTTP_11;
    let asks_first = is_http1 && request.headers().contains_key(header::EXPECT);
    let lender = Lender { place: Arc::clone(&place), is_http1, asks_first };
    (request.map(|body| LentBody { body: Some(body), begun: false, read: 0, place }), lender)
}

fn leave(place: &Mutex<Option<Leftover>>, leftover: Leftover) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(leftover);
}

impl Body for LentBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.begun = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.read += frame.data_ref().map_or(0, Bytes::len),
            Poll::Ready(Some(Err(_))) => {
                self.body = None;
                leave(&self.place, Leftover { body: None, untouched: false, read: self.read });
            }
            _ => {}
        }
        polled
    }

    /// In HTTP/2, a body that was cut off ends without this.
    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for LentBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            leave(&self.place, Leftover { body: Some(body), untouched: !self.begun, read: self.read });
        }
    }
}

/// What is to be read and dropped of a body.
pub(super) struct Discard {
    body: Incoming,
    started: Instant,
    timeout: Duration,
    pace: BodyPace,
    read: usize,
    most: usize,
    /// Its sender gets the answer at once.
    is_last: bool,
}

impl Lender {
    /// What to read of the body for this answer, which says so where it is the last one on its connection.
    pub(super) fn settle<B>(&self, response: &mut Response<B>, limits: &ConnectionLimits) -> Option<Discard> {
        let Leftover { body, untouched, read } = self.place.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let is_late = response.status() == StatusCode::REQUEST_TIMEOUT;
        // The same for each refusal: one bound on what is read of a body, whether it was kept or dropped.
        let most = (limits.largest_body + READ_ON).saturating_sub(read);
        // Who has asked, and is told no, does not send; whether it sends all the same, nobody can know.
        let body = body.filter(|_| !(self.asks_first && untouched));
        let is_last = is_late || body.as_ref().is_none_or(|body| body.size_hint().lower() > most as u64);
        if is_last && self.is_http1 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let timeout = if is_late { limits.body.min(MOMENT) } else { limits.body };
        let started = Instant::now();
        Some(Discard { body: body?, started, timeout, pace: BodyPace::new(started, timeout), read: 0, most, is_last })
    }
}

impl Discard {
    /// Reads before the answer what comes without a pause. Tells whether there may be more.
    pub(super) async fn before_answer(&mut self, connection: &Progress) -> bool {
        self.is_last || self.run(PAUSE, connection).await
    }

    /// Reads on after the answer.
    pub(super) async fn after_answer(mut self, connection: &Progress) {
        self.run(self.timeout, connection).await;
    }

    /// Reads until the body ends, a bound is reached, or nothing comes for so long. Tells whether there may be more.
    async fn run(&mut self, pause: Duration, connection: &Progress) -> bool {
        while self.read < self.most {
            let due = deadline(self.started, self.timeout, self.read).min(self.pace.deadline(self.read));
            match next(&mut self.body, due.min(Instant::now() + pause)).await {
                Ok(Some(piece)) => self.read += piece.len(),
                Ok(None) => return false,
                Err(_) => break,
            }
        }
        connection.read_on_at_most(self.most.saturating_sub(self.read));
        true
    }
}
