//! A proxy before a Kafka of one broker that reads what it passes on, and makes what a broker or a network does wrong once
//! in a while: an answer that knows no brokers, and one producer whose records are never answered.
//!
//! Frames, requests and answers are those of Kafka's protocol guide.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::RUNTIME;

const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const INIT_PRODUCER_ID: i16 = 22;
/// The first versions whose numbers and lengths are written in the compact way.
const COMPACT_METADATA: i16 = 9;
const COMPACT_INIT_PRODUCER_ID: i16 = 2;

pub(crate) struct Tampering {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    port: u16,
    hide_brokers: AtomicBool,
    mute_next: AtomicBool,
    /// The ids of the producers, as they stand in a batch of records; those that are muted.
    ids: Mutex<BTreeSet<[u8; 8]>>,
    muted: Mutex<BTreeSet<[u8; 8]>>,
}

/// Key and version of the requests of a connection that wait for their answer.
type Waiting = Arc<Mutex<BTreeMap<[u8; 4], (i16, i16)>>>;

impl Tampering {
    /// Passes everything on to the broker at `target`.
    pub(crate) fn before(target: &str) -> Tampering {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { port: address.port(), ..Shared::default() });
        let task = RUNTIME.spawn(accept(listener, target.to_owned(), Arc::clone(&shared)));
        Tampering { address, shared, task }
    }

    /// From now on the broker answers that there are no brokers, as one does that a fenced controller has told nothing yet; or
    /// as it is again.
    pub(crate) fn hide_brokers(&self, hide: bool) {
        self.shared.hide_brokers.store(hide, Ordering::Relaxed);
    }

    /// The producer that sends the next record gets no answer to this or any later one.
    pub(crate) fn mute_next_producer(&self) {
        self.shared.mute_next.store(true, Ordering::Relaxed);
    }
}

impl Drop for Tampering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: String, shared: Arc<Shared>) {
    while let Ok((near, _)) = listener.accept().await {
        let (target, shared) = (target.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(target).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
            let waiting = Waiting::default();
            // The end of either is the end of the connection.
            tokio::select! {
                _ = pass_requests(from_near, to_far, &shared, Arc::clone(&waiting)) => {}
                _ = pass_answers(from_far, to_near, &shared, waiting) => {}
            }
        });
    }
}

async fn frame(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut frame = vec![0; length as usize];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn pass_on(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    let length = u32::try_from(frame.len()).expect("a length").to_be_bytes();
    to.write_all(&[&length, frame].concat()).await
}

async fn pass_requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    waiting: Waiting,
) -> io::Result<()> {
    loop {
        let request = frame(&mut from).await?;
        let number = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
        let (key, version) = (number(0), number(2));
        if key == PRODUCE && shared.is_muted(&request) {
            continue;
        }
        let correlation = request[4..8].try_into().expect("four bytes");
        waiting.lock().expect("requests").insert(correlation, (key, version));
        pass_on(&mut to, &request).await?;
    }
}

async fn pass_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    waiting: Waiting,
) -> io::Result<()> {
    loop {
        let mut answer = frame(&mut from).await?;
        let request = waiting.lock().expect("requests").remove(&answer[..4]);
        match request {
            Some((METADATA, version)) => {
                answer = of_metadata(&answer, version, shared.port, shared.hide_brokers.load(Ordering::Relaxed));
            }
            Some((INIT_PRODUCER_ID, version)) => {
                // Correlation, tags, throttle time, error.
                let at = 4 + usize::from(version >= COMPACT_INIT_PRODUCER_ID) + 4 + 2;
                shared.ids.lock().expect("ids").insert(answer[at..at + 8].try_into().expect("an id"));
            }
            _ => {}
        }
        pass_on(&mut to, &answer).await?;
    }
}

impl Shared {
    /// Whether a request to write records is by a producer that is muted, or is to be.
    fn is_muted(&self, request: &[u8]) -> bool {
        let is_of = |id: &&[u8; 8]| request.windows(8).any(|bytes| bytes == **id);
        if self.mute_next.swap(false, Ordering::Relaxed) {
            let id = self.ids.lock().expect("ids").iter().find(is_of).copied().expect("a producer that is known");
            self.muted.lock().expect("ids").insert(id);
        }
        self.muted.lock().expect("ids").iter().any(|id| is_of(&id))
    }
}

/// Has the brokers of an answer found at `port`, or takes them out.
fn of_metadata(answer: &[u8], version: i16, port: u16, hide: bool) -> Vec<u8> {
    let compact = version >= COMPACT_METADATA;
    // Correlation, tags, throttle time.
    let mut at = 4 + usize::from(compact) + if version >= 3 { 4 } else { 0 };
    let mut changed = answer.to_vec();
    let list = at;
    let count = if compact {
        usize::from(answer[at]) - 1
    } else {
        u32::from_be_bytes(answer[at..at + 4].try_into().expect("a count")) as usize
    };
    at += if compact { 1 } else { 4 };
    let after_text = |at: usize| match (compact, answer[at]) {
        // Its length and one, or nothing.
        (true, length) => at + usize::from(length).max(1),
        (false, 0xff) => at + 2,
        (false, _) => at + 2 + usize::from(u16::from_be_bytes([answer[at], answer[at + 1]])),
    };
    for _ in 0..count {
        at = after_text(at + 4);
        changed[at..at + 4].copy_from_slice(&u32::from(port).to_be_bytes());
        at += 4;
        if version >= 1 {
            at = after_text(at);
        }
        at += usize::from(compact);
    }
    if hide {
        let none: &[u8] = if compact { &[1] } else { &[0; 4] };
        changed.splice(list..at, none.iter().copied());
    }
    changed
}
