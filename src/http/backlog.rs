//! What waits in the system's queue of a listener that is to end.
//!
//! Linux resets the connections that nobody has accepted when their listener is closed, though their senders have connected and may
//! have sent a request. So no new ones are let in first, then those that are there are accepted, and then it is closed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Without a new connection for so long, none is on its way: a connection that has begun is complete after a round trip.
const QUIET: Duration = Duration::from_millis(100);

/// Lets no further connection begin; those that have begun go on. Who tries sees what he would see of an address without a listener, or
/// is let in by the next listener there: a client tries again after a second. Where the system cannot do that, connections begin
/// until the listener is closed.
#[cfg(target_os = "linux")]
pub(super) fn let_nobody_in(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};

    // The codes of classic BPF, as linux/bpf_common.h puts them together; a packet begins with the header of TCP.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    let drop_first_packets = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    if let Err(error) = SockRef::from(listener).attach_filter(&drop_first_packets) {
        tracing::debug!(%error, "cannot keep new connections out before the listener is closed");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn let_nobody_in(_listener: &TcpListener) {}

/// The next connection that waits; `None` when there is none, or it is too late.
pub(super) async fn next(listener: &TcpListener, latest: Instant) -> Option<(TcpStream, SocketAddr)> {
    let due = latest.min(Instant::now() + QUIET);
    match timeout_at(due, listener.accept()).await {
        Ok(Ok(accepted)) => Some(accepted),
        // One that has gone meanwhile, or no file descriptor is left for it.
        Ok(Err(_)) => {
            sleep_until(due).await;
            timeout_at(latest, listener.accept()).await.ok()?.ok()
        }
        Err(_) => None,
    }
}
