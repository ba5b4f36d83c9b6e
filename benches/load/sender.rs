//! The load: requests that were made beforehand, on plain connections that stay open, one after the other on each.
//!
//! Closed loop: each connection sends the next when it has the answer to the last. Open loop: request `n` is due at
//! `start + n / rate`; the first connection that is free takes it. Latency counts from when it was due, so that a server
//! that stalls is charged for all that waited meanwhile.
//!
//! One thread does it all, and a second wakes it when a request is due, since tokio's clock goes by milliseconds.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Beyond all that a server may take for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each when the one before it on its connection is answered.
    Closed,
    /// So many a second, all connections together.
    Open(f64),
}

/// What came of a load.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) took: Duration,
    /// By status.
    pub(crate) answers: BTreeMap<u16, u64>,
    /// In microseconds, shortest first.
    latencies: Vec<u32>,
}

impl Sent {
    /// In milliseconds, what this share (0 to 1) of the requests did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let at = (share * self.latencies.len() as f64).ceil() as usize;
        f64::from(self.latencies[at.saturating_sub(1)]) / 1000.0
    }
}

struct Shared {
    requests: Arc<[Vec<u8>]>,
    events: u64,
    pace: Pace,
    start: Instant,
    next: AtomicU64,
    /// Requests of an open loop that are due and not taken yet.
    due: Semaphore,
}

/// Opens connections.
pub(crate) async fn connect(to: SocketAddr, connections: usize) -> Vec<Connection> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = TcpStream::connect(to).await.expect("a connection");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        open.push(Connection { stream, answer: Vec::with_capacity(1024) });
    }
    open
}

/// Sends `events` requests, from the first on and again from the first when all were sent.
pub(crate) async fn send(connections: Vec<Connection>, requests: &Arc<[Vec<u8>]>, events: u64, pace: Pace) -> Sent {
    let shared = Arc::new(Shared {
        requests: Arc::clone(requests),
        events,
        pace,
        start: Instant::now(),
        next: AtomicU64::new(0),
        due: Semaphore::new(0),
    });
    let ends = connections.len();
    let clock = thread::spawn({
        let shared = Arc::clone(&shared);
        move || shared.tick(ends)
    });
    let mut senders: JoinSet<Sent> = connections.into_iter().map(|c| Arc::clone(&shared).send_on(c)).collect();
    let mut all = Sent::default();
    while let Some(sent) = senders.join_next().await {
        let sent = sent.expect("a sender comes to its end");
        sent.answers.into_iter().for_each(|(status, count)| *all.answers.entry(status).or_default() += count);
        all.latencies.extend(sent.latencies);
    }
    all.took = shared.start.elapsed();
    all.latencies.sort_unstable();
    clock.join().expect("the clock comes to its end");
    all
}

impl Shared {
    async fn send_on(self: Arc<Self>, mut connection: Connection) -> Sent {
        let mut sent = Sent::default();
        loop {
            if matches!(self.pace, Pace::Open(_)) {
                self.due.acquire().await.expect("never closed").forget();
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.events {
                return sent;
            }
            let due = match self.pace {
                Pace::Closed => Instant::now(),
                Pace::Open(rate) => self.start + Duration::from_secs_f64(number as f64 / rate),
            };
            let request = &self.requests[number as usize % self.requests.len()];
            let answer = timeout(ANSWER_LIMIT, connection.exchange(request)).await.expect("an answer in time");
            *sent.answers.entry(answer.expect("an answer")).or_default() += 1;
            sent.latencies.push(due.elapsed().as_micros().try_into().unwrap_or(u32::MAX));
        }
    }

    /// Says of each request when it is due; at the end, to all connections, that there are no more.
    fn tick(&self, connections: usize) {
        let Pace::Open(rate) = self.pace else { return };
        let mut told = 0;
        while told < self.events {
            let due = ((self.start.elapsed().as_secs_f64() * rate) as u64 + 1).min(self.events);
            self.due.add_permits((due - told) as usize);
            told = due;
            let next = self.start + Duration::from_secs_f64(told as f64 / rate);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        self.due.add_permits(connections);
    }
}

/// A connection that stays open from request to request.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Sends a request, and gives the status of its answer.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, bytes)) = head(&self.answer)
                && self.answer.len() >= bytes
            {
                return Ok(status);
            }
        }
    }
}

/// The status and the length of an answer whose head is there.
fn head(answer: &[u8]) -> Option<(u16, usize)> {
    const END: &[u8] = b"\r\n\r\n";
    let end = answer.windows(END.len()).position(|bytes| bytes == END)? + END.len();
    let text = str::from_utf8(&answer[..end]).ok()?;
    let status = text.get("HTTP/1.1 ".len()..)?.get(..3)?.parse().ok()?;
    let mut headers = text.lines().filter_map(|line| line.split_once(": "));
    let (_, length) = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    Some((status, end + length.parse::<usize>().ok()?))
}
