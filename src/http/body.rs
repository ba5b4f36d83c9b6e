//! Reads a body within its limits: bytes, time, and what all bodies together may take of memory.

use std::time::Duration;

use axum::body::Body;
use axum::body::HttpBody;
use bytes::Bytes;
use http::{HeaderMap, Version, header};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::budget::{NoRoom, Share};
use crate::outcome::Refusal;

/// A second more for each of these that arrived: slow lines may send large bodies, but not crawl.
const BYTES_PER_EXTRA_SECOND: usize = 256 << 10;
/// Each `http.body_timeout` has to bring so much of a body that goes on.
const LEAST_IN_TIME: usize = 16 << 10;

#[derive(Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
}

/// Reads `body` to its end, into what `share` holds.
pub(super) async fn read(
    version: Version,
    headers: &HeaderMap,
    mut body: Body,
    limits: BodyLimits,
    share: &Share,
) -> Result<Bytes, Refusal> {
    let started = Instant::now();
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > limits.max_bytes) {
        return Err(Refusal::BodyTooLarge);
    }
    let mut pace = BodyPace::new(started, limits.timeout);
    loop {
        let so_far = share.received();
        let due = deadline(started, limits.timeout, so_far);
        let due = if share.is_proven() { due } else { due.min(pace.deadline(so_far)) };
        let piece = tokio::select! {
            biased;
            () = share.evicted() => return Err(Refusal::Overloaded),
            piece = next(&mut body, due) => piece?,
        };
        let Some(piece) = piece else {
            // A stream of HTTP/2 that was reset "without an error" ends like one that is complete.
            let cut_off = version == Version::HTTP_2 && !body.is_end_stream();
            if cut_off || announced.is_some_and(|bytes| bytes != so_far) {
                return Err(Refusal::BadRequest);
            }
            return share.whole().map_err(|NoRoom| Refusal::Overloaded);
        };
        if so_far + piece.len() > limits.max_bytes {
            share.give_up();
            return Err(Refusal::BodyTooLarge);
        }
        share.append(piece).map_err(|NoRoom| Refusal::Overloaded)?;
    }
}

/// The slowest pace at which a body may arrive that nobody has vouched for, whatever has arrived of it before.
pub(super) struct BodyPace {
    timeout: Duration,
    since: Instant,
    received: usize,
}

impl BodyPace {
    pub(super) fn new(since: Instant, timeout: Duration) -> BodyPace {
        BodyPace { timeout, since, received: 0 }
    }

    /// When the next bytes have to be there.
    pub(super) fn deadline(&mut self, received: usize) -> Instant {
        // One that was evicted has nothing any more.
        if received.saturating_sub(self.received) >= LEAST_IN_TIME {
            (self.received, self.since) = (received, Instant::now());
        }
        self.since + self.timeout
    }
}

/// When a body has to have ended of which so much has arrived.
pub(super) fn deadline(started: Instant, timeout: Duration, received: usize) -> Instant {
    started + timeout + Duration::from_secs((received / BYTES_PER_EXTRA_SECOND) as u64)
}

/// The next piece; `None` at the end.
pub(super) async fn next<B>(body: &mut B, deadline: Instant) -> Result<Option<Bytes>, Refusal>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    loop {
        match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Refusal::ReadTimeout),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(Refusal::BadRequest),
            // Trailers have nothing to say here.
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(chunk) if chunk.is_empty() => {}
                Ok(chunk) => return Ok(Some(chunk)),
                Err(_) => {}
            },
        }
    }
}
