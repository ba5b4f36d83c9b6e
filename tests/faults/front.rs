//! What stands between the bridge and one broker: a proxy that can hold back what goes one way or the other, or be slow.
//! Held bytes wait, as they do where a network loses packets and TCP sends them again; nothing is refused or cut. And as
//! with TCP, what was sent before an end was closed still arrives, however late.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::support::RUNTIME;
use crate::support::java::local_address;

/// What happens to bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Nothing passes.
    Held,
    /// Everything comes so much later.
    Slow(Duration),
}

/// Chunks that are on their way at once; beyond them the sender has to wait, as for a full window.
const ON_THE_WAY: usize = 256;
const CHUNK: usize = 64 << 10;

pub(crate) struct Front {
    /// Where the bridge finds the broker.
    pub(crate) address: SocketAddr,
    requests: watch::Sender<Way>,
    answers: watch::Sender<Way>,
}

impl Front {
    /// One that is open on both ways, though nothing listens there yet.
    pub(crate) fn new() -> Front {
        Front {
            address: local_address(),
            requests: watch::Sender::new(Way::Open),
            answers: watch::Sender::new(Way::Open),
        }
    }

    /// Listens, for as long as the process lives, and passes connections on to `target`.
    pub(crate) fn listen(&self, target: &str) {
        let listener = RUNTIME.block_on(TcpListener::bind(self.address)).expect("the proxy's port is still free");
        let (target, requests, answers) = (target.to_owned(), self.requests.subscribe(), self.answers.subscribe());
        RUNTIME.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (target, requests, answers) = (target.clone(), requests.clone(), answers.clone());
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect(target).await {
                        pass(near, far, requests, answers).await;
                    }
                });
            }
        });
    }

    /// From now on requests and answers go these ways.
    pub(crate) fn set(&self, requests: Way, answers: Way) {
        self.requests.send_replace(requests);
        self.answers.send_replace(answers);
    }
}

/// Passes bytes both ways; each ends when its sender has, and with it, before long, the other.
async fn pass(near: TcpStream, far: TcpStream, requests: watch::Receiver<Way>, answers: watch::Receiver<Way>) {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::join!(carry(near_read, far_write, requests), carry(far_read, near_write, answers));
}

/// One direction: what is read has the time when it came, and goes when its way lets it.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let (queue, mut queued) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if queue.send((Instant::now(), buffer[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let mut write = pin!(async move {
        while let Some((came, bytes)) = queued.recv().await {
            if let_through(came, &mut way).await.is_none() || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    tokio::select! {
        () = read => write.await,
        () = &mut write => {}
    }
}

/// Waits until what `came` then may go on; `None` when the proxy is gone.
async fn let_through(came: Instant, way: &mut watch::Receiver<Way>) -> Option<()> {
    loop {
        let now = *way.borrow_and_update();
        match now {
            Way::Open => return Some(()),
            Way::Held => way.changed().await.ok()?,
            Way::Slow(time) => {
                sleep_until(came + time).await;
                return Some(());
            }
        }
    }
}
