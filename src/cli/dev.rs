//! `hookbridge dev`: arguments, greeting, and the run.

mod lines;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::task::JoinSet;

use super::shutdown::Shutdown;
use super::{Ending, connect, fail, fail_start, on_runtime};
use crate::config::Logging;
use crate::disk::private::keep_new_files_private;
use crate::observe::metrics::refusals;
use crate::observe::telemetry;
use crate::tools::dev::{Dev, DevError, DevSources, Options};

const HELP: &str = "\
Starts an embedded broker, an embedded registry and the bridge with two demo sources, and prints
where they are and what to type next. Any client of Kafka or of the registry can connect. What makes
topics (Kafka Streams) or uses the new group protocol (KIP-848) needs a real Kafka: --kafka.
For trying out: everything is in memory.

Each request has a line: the answer's status, source, event type, key, and topic/partition@offset of
its record; or what became of it instead, such as the reason why it was refused. Never a body.

With --catalog there is one source more for each profile of that folder. With --config the sources,
topics and limits are those of the file, and Kafka, the registry, addresses and folders are those of
`dev`: no server that the file names is used, and nothing of its `data_dir`.

Examples:
  hookbridge dev
  hookbridge dev --listen 127.0.0.1:0
  hookbridge dev --catalog catalog
  hookbridge dev --config hookbridge.toml
  hookbridge dev --kafka localhost:9092 --registry http://localhost:8081";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct DevArgs {
    /// Address for webhooks; another free port if this one is in use
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Address of the console, /readyz and /metrics
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464")]
    admin_listen: SocketAddr,
    /// Address of the embedded broker
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9092")]
    kafka_listen: SocketAddr,
    /// Address of the embedded registry
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    registry_listen: SocketAddr,
    /// Use this Kafka instead of the embedded broker
    #[arg(long, value_name = "SERVERS")]
    kafka: Option<String>,
    /// Use this registry instead of the embedded one
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
    /// A folder with further profiles (catalog.dir)
    #[arg(long, value_name = "DIR")]
    catalog: Option<PathBuf>,
}

pub(super) fn run(args: DevArgs, file: Option<&Path>) -> Ending {
    keep_new_files_private();
    let file = file.map(Path::to_owned);
    // Each refused request has a line of its own.
    let _logs = telemetry::init(Logging::info_without(refusals::LOGS_AS));
    let (watcher, _lines) = lines::watch();
    let ending = on_runtime(async {
        let shutdown = match Shutdown::listen() {
            Ok(shutdown) => shutdown,
            Err(error) => return fail(&error, Ending::Unavailable),
        };
        let options = Options {
            listen: args.listen,
            admin_listen: args.admin_listen,
            kafka_listen: args.kafka_listen,
            registry_listen: args.registry_listen,
            kafka: args.kafka,
            registry: args.registry,
            sources: DevSources { file, catalog: args.catalog },
            watcher,
        };
        let dev = match Dev::build(options) {
            Ok(dev) => dev,
            Err(DevError::Start(error)) => return fail_start(&error),
            Err(error) => return fail(&error, Ending::Unavailable),
        };
        let program = std::env::args().next().unwrap_or_else(|| "hookbridge".into());
        let (greeting, is_set_up) = (dev.greeting(&program, connect::assumed().as_ref()), dev.is_set_up());
        // Ends with this block.
        let mut greeting_when_set_up = JoinSet::new();
        greeting_when_set_up.spawn(async move {
            is_set_up.await;
            // Whoever closed the pipe does not want to know.
            let _ = writeln!(io::stdout(), "{greeting}");
        });
        dev.run(shutdown.wait()).await.map_or_else(|error| fail_start(&error), |()| Ending::Well)
    });
    ending.unwrap_or_else(|ending| ending)
}
