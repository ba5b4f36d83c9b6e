//! Reads a body within its limits: bytes, time, and what all bodies together may take of memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::body::HttpBody as _;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version, header};
use http_body_util::BodyExt as _;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::reply::Refusal;

/// A second more for each of these that arrived: slow lines may send large bodies, but not crawl.
const BYTES_PER_EXTRA_SECOND: usize = 256 << 10;
/// A piece up to this size is copied: it is part of what the connection reads into, 8 KiB at least, which would be kept as long as
/// the piece is, and charged to nobody.
const COPIED: usize = 8 << 10;
/// How far a body over the limit is read on, so that a sender that writes before it reads gets to see the 413.
const READ_ON: usize = 4 << 20;

#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
}

/// A body, and its share of the memory for bodies.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    pub(super) charge: Charge,
}

/// Bytes taken from the budget until this is dropped.
pub(super) struct Charge {
    permit: Option<OwnedSemaphorePermit>,
    gauge: IntGauge,
    bytes: i64,
}

impl Charge {
    fn add(&mut self, budget: &Arc<Semaphore>, bytes: usize) -> Result<(), Refusal> {
        let permits = u32::try_from(bytes).map_err(|_| Refusal::Overloaded)?;
        let more = Arc::clone(budget).try_acquire_many_owned(permits).map_err(|_| Refusal::Overloaded)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        self.bytes += i64::from(permits);
        self.gauge.add(i64::from(permits));
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.gauge.sub(self.bytes);
    }
}

/// Reads `body` to its end.
pub(super) async fn read(
    version: Version,
    headers: &HeaderMap,
    mut body: Body,
    limits: Limits,
    budget: &Arc<Semaphore>,
    gauge: &IntGauge,
) -> Result<Received, Refusal> {
    let started = Instant::now();
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > limits.max_bytes) {
        // A sender that asks first (`Expect: 100-continue`) sees the answer before it sends anything.
        if !headers.contains_key(header::EXPECT) {
            read_on(&mut body, started, limits).await;
        }
        return Err(Refusal::BodyTooLarge);
    }
    let mut charge = Charge { permit: None, gauge: gauge.clone(), bytes: 0 };
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let so_far = first.len() + rest.len();
        let Some(chunk) = next(&mut body, deadline(started, limits, so_far)).await? else {
            // A stream of HTTP/2 that was reset "without an error" ends like one that is complete.
            let cut_off = version == Version::HTTP_2 && !body.is_end_stream();
            if cut_off || announced.is_some_and(|bytes| bytes != so_far) {
                return Err(Refusal::BadRequest);
            }
            break;
        };
        if so_far + chunk.len() > limits.max_bytes {
            drop((first, rest, charge));
            read_on(&mut body, started, limits).await;
            return Err(Refusal::BodyTooLarge);
        }
        charge.add(budget, chunk.len())?;
        // Most bodies come in one piece.
        if so_far == 0 {
            first = if chunk.len() <= COPIED { Bytes::copy_from_slice(&chunk) } else { chunk };
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&chunk);
        }
    }
    let bytes = if rest.is_empty() { first } else { rest.freeze() };
    Ok(Received { bytes, charge })
}

fn deadline(started: Instant, limits: Limits, received: usize) -> Instant {
    started + limits.timeout + Duration::from_secs((received / BYTES_PER_EXTRA_SECOND) as u64)
}

/// The next piece; `None` at the end.
async fn next(body: &mut Body, deadline: Instant) -> Result<Option<Bytes>, Refusal> {
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

/// Takes a body in and keeps nothing of it, for a sender that sees no answer otherwise.
pub(super) async fn pass_by(mut body: Body, timeout: Duration) {
    read_on(&mut body, Instant::now(), Limits { max_bytes: 0, timeout }).await;
}

async fn read_on(body: &mut Body, started: Instant, limits: Limits) {
    let mut read = 0;
    while read < READ_ON {
        match next(body, deadline(started, limits, read)).await {
            Ok(Some(chunk)) => read += chunk.len(),
            _ => return,
        }
    }
}
