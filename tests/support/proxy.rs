//! A TCP proxy that makes outages: while it is closed nothing listens on its port, so that connecting fails as it
//! does when a server is gone, and what was connected is cut.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::RUNTIME;
use super::java::free_port;

pub(crate) struct Proxy {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// A proxy that is still closed.
    pub(crate) fn closed() -> Proxy {
        Proxy { address: SocketAddr::from(([127, 0, 0, 1], free_port())), accepting: Mutex::new(None) }
    }

    /// Passes connections on to `target` (`host:port`) from now on.
    pub(crate) fn open(&self, target: &str) {
        self.close();
        let target = target.to_owned();
        let listener = RUNTIME.block_on(async { listen(self.address) });
        let task = RUNTIME.spawn(async move {
            // Dropped with this task, and with it every connection.
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let target = target.clone();
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        *self.accepting.lock().expect("the proxy") = Some(task);
    }

    /// Closes the port and cuts every connection.
    pub(crate) fn close(&self) {
        if let Some(task) = self.accepting.lock().expect("the proxy").take() {
            task.abort();
            let _ = RUNTIME.block_on(task);
        }
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket");
    socket.bind(address).expect("the proxy's port is still free");
    socket.listen(64).expect("the proxy listens")
}

/// `host:port` and path of an `http://` address.
pub(crate) fn split_url(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").expect("an http:// address");
    match rest.split_once('/') {
        Some((host, path)) => (host.to_owned(), format!("/{path}")),
        None => (rest.to_owned(), String::new()),
    }
}
