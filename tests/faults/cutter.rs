//! A proxy that cuts connections where it hurts: after so many bytes of a request, by chance, or when the answer comes.
//! Unlike `support/proxy.rs`, which cuts all at once, it stays open for the next try.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::RUNTIME;
use crate::support::payloads::Dice;

/// One connection in so many loses its answer instead of its request.
const ANSWER_LOST: u64 = 4;

pub(crate) struct Cutter {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    calm: AtomicBool,
    cuts: AtomicUsize,
}

/// Where a connection is cut.
#[derive(Clone, Copy)]
enum Cut {
    /// After so many bytes from the sender.
    Request(u64),
    /// When the first byte of an answer comes: the bridge has done its part, and nobody knows.
    Answer,
}

impl Cutter {
    /// Passes connections on to `target` and cuts each within the first `bytes` of what is sent.
    pub(crate) fn start(target: SocketAddr, bytes: u64) -> Cutter {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let task = RUNTIME.spawn(accept(listener, target, bytes, Arc::clone(&shared)));
        Cutter { address, shared, task }
    }

    /// Cuts nothing more.
    pub(crate) fn calm(&self) {
        self.shared.calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, bytes: u64, shared: Arc<Shared>) {
    for seed in 0.. {
        let Ok((near, _)) = listener.accept().await else { return };
        let mut dice = Dice::new(seed + 1);
        dice.roll(2);
        let cut = if dice.roll(ANSWER_LOST) == 0 { Cut::Answer } else { Cut::Request(dice.roll(bytes)) };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Ok(far) = TcpStream::connect(target).await {
                pass(near, far, cut, &shared).await;
            }
        });
    }
}

/// Passes bytes both ways until one side ends or the cut is due; both connections end with this.
async fn pass(mut near: TcpStream, mut far: TcpStream, cut: Cut, shared: &Shared) {
    let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut passed = 0;
    loop {
        let hurts = !shared.calm.load(Ordering::Relaxed);
        tokio::select! {
            read = near.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let left = match cut {
                    Cut::Request(after) if hurts => usize::try_from(after - passed).unwrap_or(usize::MAX),
                    _ => usize::MAX,
                };
                if far.write_all(&up[..count.min(left)]).await.is_err() {
                    return;
                }
                if count >= left {
                    shared.cuts.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                passed += count as u64;
            }
            read = far.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if hurts && matches!(cut, Cut::Answer) {
                    shared.cuts.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                if near.write_all(&down[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
