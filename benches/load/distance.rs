//! Kafka at a distance: a TCP proxy that hands every byte on some time later, each way, in order. A request and its answer take
//! twice that time longer, however many are under way.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What one read takes at the most.
const PIECE: usize = 64 << 10;

/// Bytes, and when they are to be handed on.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

/// A port that is `delay` away from wherever it is told to lead.
pub(crate) struct Distance {
    listener: TcpListener,
    delay: Duration,
}

impl Distance {
    pub(crate) fn new(delay: Duration) -> Distance {
        Distance { listener: TcpListener::bind(("127.0.0.1", 0)).expect("a free port"), delay }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// Leads to `target` from now on, until this process ends.
    pub(crate) fn lead_to(self, target: String) {
        thread::spawn(move || {
            for near in self.listener.incoming() {
                let near = near.expect("a connection");
                let Ok(far) = TcpStream::connect(&target) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    to.set_nodelay(true).expect("TCP_NODELAY");
                    let [from, to] = [from, to].map(|stream| stream.try_clone().expect("a further handle"));
                    pass_on(from, to, self.delay);
                }
            }
        });
    }
}

/// Hands on what `from` sends to `to`, `delay` later; two threads, which end with the connection.
fn pass_on(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (pieces, due) = mpsc::channel::<Piece>();
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let piece = Piece { due: Instant::now() + delay, bytes: buffer[..count].to_vec() };
            if pieces.send(piece).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for piece in due {
            thread::sleep(piece.due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece.bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
