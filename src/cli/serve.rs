//! `hookbridge serve`

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::shutdown::Shutdown;
use super::{Ending, fail, fail_config, fail_start, on_runtime};
use crate::app::bridge::StartError;
use crate::app::preflight::unusable;
use crate::app::reload::log_warnings;
use crate::app::server::App;
use crate::build_info::BUILD;
use crate::config;
use crate::console::ToolFlags;
use crate::disk::private::keep_new_files_private;
use crate::http::listen;
use crate::observe::telemetry;

pub(super) fn run(file: &Path) -> Ending {
    on_runtime(serve(file)).unwrap_or_else(|ending| ending)
}

async fn serve(file: &Path) -> Ending {
    keep_new_files_private();
    // Before all else: a hangup that comes early is a reload too.
    let signals = Shutdown::listen().and_then(|shutdown| Ok((shutdown, signal(SignalKind::hangup())?)));
    let (shutdown, hangup) = match signals {
        Ok(signals) => signals,
        Err(error) => return fail(&error, Ending::Unavailable),
    };
    let (mut settings, in_force) = match config::load_in_force(file, unusable) {
        Ok(loaded) => loaded,
        Err(error) => return fail_config(&error),
    };
    let _logs = telemetry::init(std::mem::take(&mut settings.logging));
    tracing::info!(
        version = BUILD.version,
        commit = BUILD.commit,
        librdkafka = BUILD.librdkafka,
        openssl = BUILD.openssl,
        sqlite = BUILD.sqlite,
        "hookbridge starts"
    );
    log_warnings(&settings);
    let (webhooks, admin, written) = (settings.http.listen, settings.admin_listen, settings.written.clone());
    settings.http.max_connections = allow_connections(settings.http.max_connections);
    // Without a file, the environment is the configuration.
    let flags = if file.exists() { ToolFlags::of_file(file) } else { ToolFlags::default() };
    let flags = if settings.has_relative_paths() { flags.in_this_folder() } else { flags };
    let app = match App::build(settings, flags, None) {
        Ok(app) => app,
        Err(StartError::Config(error)) => return fail_config(&error.placed(&written)),
        Err(error) => return fail_start(&error),
    };
    let (webhooks, admin) = match (bind("http.listen", webhooks), bind("admin.listen", admin)) {
        (Ok(webhooks), Ok(admin)) => (webhooks, admin),
        (Err(error), _) | (_, Err(error)) => return fail(&error, Ending::Unavailable),
    };
    // Ends with this function.
    let mut reloading = JoinSet::new();
    reloading.spawn(app.reload().keep(hangup, file.to_owned(), in_force));
    app.run(webhooks, admin, shutdown.wait()).await.map_or_else(|error| fail_start(&error), |()| Ending::Well)
}

/// Files besides connections: Kafka's and the registry's, the spool, the admin listener's.
const OTHER_FILES: u64 = 512;

/// How many connections there may be, so that the others keep their files. A connection is an open file, and shells and
/// service managers begin with room for about a thousand, though they allow more to who asks.
fn allow_connections(connections: usize) -> usize {
    let wanted = connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|files| files >= wanted) {
        return connections;
    }
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    // What it is then is asked below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), ..limit });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    let room = room_for_connections(files).min(connections);
    if room < connections {
        tracing::warn!(
            files,
            connections = room,
            "http.max_connections is lowered to fit the limit of open files; raise that limit (ulimit -n)"
        );
    }
    room
}

/// Of `files` that may be open, those for connections: all but the reserve, and half where there are few.
fn room_for_connections(files: u64) -> usize {
    usize::try_from(files.saturating_sub(OTHER_FILES).max(files / 2)).unwrap_or(usize::MAX)
}

/// The address that a key names cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {address}: {error}")]
struct BindError {
    key: &'static str,
    address: SocketAddr,
    error: io::Error,
}

fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    let fail = |error| BindError { key, address, error };
    let listener = listen(address).map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    tracing::info!(%address, "{key}");
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_keep_their_files() {
        for (files, connections) in [(20_000, 19_488), (1024, 512), (600, 300), (4, 2)] {
            assert_eq!(room_for_connections(files), connections, "{files}");
        }
    }
}
