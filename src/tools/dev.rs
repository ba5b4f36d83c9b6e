//! Everything in one process, for trying out: a broker, a registry, and the bridge with demo sources.
//!
//! ```text
//! send ─▶ bridge ─▶ broker (librdkafka's mock cluster, with its answers mended) ─▶ tail, any client
//!            └────▶ registry (in memory) ◀──────────────────────────────────────────────────────┘
//! ```

mod broker;
mod demo;
mod registry;
mod running;
mod sources;
mod translate;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::bridge::StartError;
use crate::app::server::App;
use crate::console::ToolFlags;
use crate::http::{ConnectionLimits, listen, serve};
use crate::kafka::route::Routes;
use crate::outcome::RequestWatcher;
use broker::{BYTES_PER_PARTITION, BrokerError, EmbeddedBroker};
pub(crate) use demo::{configuration, demo_credential, demo_settings, sender_credential};
pub(crate) use running::RunningDev;
pub(crate) use sources::DevSources;
use sources::{Listed, Servers};

/// Where `dev` listens, and which outside servers it uses instead of its own.
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) admin_listen: SocketAddr,
    pub(crate) kafka_listen: SocketAddr,
    pub(crate) registry_listen: SocketAddr,
    pub(crate) kafka: Option<String>,
    pub(crate) registry: Option<String>,
    pub(crate) sources: DevSources,
    /// Is told of each request.
    pub(crate) watcher: RequestWatcher,
}

/// What commands assume that are typed where `dev` was.
pub(crate) struct Assumed {
    /// `None` where no address of a bridge follows from the configuration there.
    pub(crate) url: Option<String>,
    pub(crate) kafka: String,
    pub(crate) registry: String,
}

/// A port that was wanted, or a free one.
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Bound {
    /// Takes `wanted`, or a free port of the same address when that one is taken.
    fn to(wanted: SocketAddr) -> io::Result<Bound> {
        let listener = match listen(wanted) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => listen(SocketAddr::new(wanted.ip(), 0))?,
            bound => bound?,
        };
        Ok(Bound { address: listener.local_addr()?, listener })
    }
}

/// Why `dev` does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot listen: {0}")]
    Listen(io::Error),
    #[error("the embedded broker: {0}")]
    Broker(BrokerError),
}

impl From<io::Error> for DevError {
    fn from(error: io::Error) -> DevError {
        DevError::Listen(error)
    }
}

/// All of it, ready to run.
pub(crate) struct Dev {
    app: App,
    webhooks: Bound,
    admin: Bound,
    /// The embedded servers; dropped, and so aborted, at the end.
    servers: JoinSet<()>,
    kafka: String,
    registry: String,
    embedded: (bool, bool),
    sources: Listed,
    /// Holds the cached ids while the process lives.
    data_dir: PathBuf,
}

impl Dev {
    /// Starts the embedded servers and builds the bridge.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the outside servers do not suit.
    pub(crate) fn build(options: Options) -> Result<Dev, DevError> {
        running::remove_left();
        let mut servers = JoinSet::new();
        let (webhooks, admin) = (Bound::to(options.listen)?, Bound::to(options.admin_listen)?);
        let embedded = (options.kafka.is_none(), options.registry.is_none());
        let registry = match options.registry {
            Some(url) => url,
            None => {
                let Bound { listener, address } = Bound::to(options.registry_listen)?;
                let limits = ConnectionLimits::for_few();
                servers.spawn(serve(listener, registry::router(), limits, None, CancellationToken::new()));
                format!("http://{address}")
            }
        };
        let (kafka, own_broker) = match options.kafka {
            Some(servers) => (servers, None),
            None => {
                let bound = Bound::to(options.kafka_listen)?;
                (bound.address.to_string(), Some(bound))
            }
        };
        let data_dir = running::data_dir();
        let servers_of = Servers { kafka: &kafka, registry: &registry, embedded, data_dir: &data_dir };
        let flags = ToolFlags::of_file(&running::file(&data_dir));
        let mut settings = options.sources.settings(&servers_of).map_err(StartError::Config)?;
        settings.http.listen = webhooks.address;
        let flags = if settings.has_relative_paths() { flags.in_this_folder() } else { flags };
        let sources = options.sources.listed(&settings);
        let written = options.sources.table(&servers_of);
        if let Some(Bound { listener, .. }) = own_broker {
            let topics = Routes::plan(&settings).topics.into_iter().map(|topic| topic.name.to_string()).collect();
            let broker = EmbeddedBroker::start(topics, settings.kafka.partitions).map_err(DevError::Broker)?;
            servers.spawn(async move { broker.forward(listener).await });
        }
        let app = App::build(settings, flags, Some(options.watcher))?;
        // Without it, commands have to be told where it is.
        if let Some(Err(error)) = written.map(|table| running::write(table, &data_dir, webhooks.address, admin.address))
        {
            tracing::warn!("{}: {error}: commands will not find this `dev` by themselves", data_dir.display());
        }
        Ok(Dev { app, webhooks, admin, servers, kafka, registry, embedded, sources, data_dir })
    }

    /// Returns once the schemas are registered, or cannot be.
    pub(crate) fn is_set_up(&self) -> impl Future<Output = ()> + use<> {
        self.app.registry_asked()
    }

    /// What it is, every address, and what to type next, where commands take `assumed` for granted; `None`: where they cannot read the
    /// configuration there.
    pub(crate) fn greeting(&self, program: &str, assumed: Option<&Assumed>) -> String {
        let (webhooks, admin) = (self.webhooks.address, self.admin.address);
        let (sources, example) = (self.sources.addresses(&format!("http://{webhooks}")), &self.sources.example);
        let url = assumed.and_then(|assumed| assumed.url.as_deref()).filter(|_| !example.names_file);
        let url = flag("--url", &format!("http://{webhooks}"), url);
        let kafka = flag("--kafka", &self.kafka, assumed.map(|assumed| &*assumed.kafka));
        let registry = flag("--registry", &self.registry, assumed.map(|assumed| &*assumed.registry));
        let own = running::file(&self.data_dir);
        let config = if assumed.is_some() { String::new() } else { format!(" --config {}", own.display()) };
        let to_send = if example.names_file { String::new() } else { config.clone() };
        let mib = BYTES_PER_PARTITION >> 20;
        let kafka_note = if self.embedded.0 {
            format!(
                "  embedded, in memory: the newest {mib} MiB of each partition; the first read of a new consumer group takes 3 s"
            )
        } else {
            String::new()
        };
        let registry_note = if self.embedded.1 { "  embedded, in memory" } else { "" };
        let (send, topic) = (example.send(), &example.topic);
        format!(
            "hookbridge dev: for trying out, not for production. Ctrl-C ends it{}.\n\
             \n  webhooks  {sources}\
             \n  Kafka     {}{kafka_note}\
             \n  registry  {}{registry_note}\
             \n  console   http://{admin}/  beside it /readyz and /metrics\n\
             \nNext, in another terminal:\n\
             \n  {program} send {send} {}{to_send}{url}\
             \n  {program} tail {topic}{config}{kafka}{registry}\
             \n  {program} send {send} --rate 100 --for 10s{to_send}{url}\n",
            if self.embedded.0 { " and drops what was published" } else { "" },
            self.kafka,
            self.registry,
            example.event_type,
        )
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When the outside registry refuses a schema.
    pub(crate) async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let Dev { app, webhooks, admin, servers, data_dir, .. } = self;
        let ran = app.run(webhooks.listener, admin.listener, shutdown).await;
        drop(servers);
        // Nothing of worth is in it, and it may be gone already.
        let _ = std::fs::remove_dir_all(data_dir);
        ran
    }
}

/// A flag that only needs typing when the value is not the one that is assumed.
fn flag(name: &str, value: &str, assumed: Option<&str>) -> String {
    let spelled = |address: &str| address.replace("localhost", "127.0.0.1");
    if assumed.is_some_and(|assumed| spelled(assumed) == spelled(value)) {
        String::new()
    } else {
        format!(" {name} {value}")
    }
}
