//! SIGTERM and Ctrl-C.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The first signal asks for an orderly end; a second one ends the process at once, whatever it is at.
pub(super) struct Shutdown {
    asked: CancellationToken,
}

impl Shutdown {
    /// From here on, signals are ours.
    pub(super) fn listen() -> io::Result<Shutdown> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let asked = CancellationToken::new();
        let told = asked.clone();
        tokio::spawn(async move {
            next(&mut term, &mut int).await;
            told.cancel();
            next(&mut term, &mut int).await;
            tracing::warn!("second signal: exiting now");
            std::process::exit(1);
        });
        Ok(Shutdown { asked })
    }

    /// Whether the first signal came.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Cancelled by the first signal, or by whoever has it.
    pub(super) fn token(&self) -> CancellationToken {
        self.asked.child_token()
    }

    /// Waits for the first signal.
    pub(super) async fn wait(&self) {
        self.asked.cancelled().await;
    }
}

async fn next(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
