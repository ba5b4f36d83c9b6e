//! `hookbridge serve`

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use super::shutdown::Shutdown;
use super::{Ending, fail, fail_config, fail_start, on_runtime};
use crate::app::App;
use crate::config::{self, Settings};
use crate::http::listen;
use crate::telemetry;

pub(super) fn run(file: &Path) -> Ending {
    let mut settings = match config::load(file) {
        Ok(settings) => settings,
        Err(error) => return fail_config(&error),
    };
    telemetry::init(std::mem::take(&mut settings.logging));
    on_runtime(serve(settings)).unwrap_or_else(|ending| ending)
}

async fn serve(settings: Settings) -> Ending {
    let (webhooks, admin) = (settings.http.listen, settings.admin_listen);
    let shutdown = match Shutdown::listen() {
        Ok(shutdown) => shutdown,
        Err(error) => return fail(&error, Ending::Unavailable),
    };
    let app = tokio::select! {
        app = App::build(settings) => app,
        // Nothing was taken yet.
        () = shutdown.wait() => return Ending::Well,
    };
    let app = match app {
        Ok(app) => app,
        Err(error) => return fail_start(&error),
    };
    let (webhooks, admin) = match (bind("http.listen", webhooks), bind("admin.listen", admin)) {
        (Ok(webhooks), Ok(admin)) => (webhooks, admin),
        (Err(error), _) | (_, Err(error)) => return fail(&error, Ending::Unavailable),
    };
    app.run(webhooks, admin, shutdown.wait()).await;
    Ending::Well
}

fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, String> {
    let listener = listen(address).map_err(|e| format!("{key}: {address}: {e}"))?;
    let address = listener.local_addr().map_err(|e| format!("{key}: {e}"))?;
    tracing::info!(%address, "{key}");
    Ok(listener)
}
