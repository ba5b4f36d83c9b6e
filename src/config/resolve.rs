//! From what was written to what is meant: defaults filled in, contradictions refused, secrets wrapped.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tokio::sync::Semaphore;

use super::address::AddressRule;
use super::units::{OneOrMany, SwitchOrNames, Text};
use super::{
    ConfigError, HttpSettings, KafkaSettings, Producers, RegistryAuth, RegistryMode, RegistrySettings, Settings,
    Timestamps, Topics, WrittenHttp, WrittenKafka, WrittenRegistry, WrittenSettings, WrittenTls,
};
use crate::catalog::{Catalog, FurtherTopics, JoinTopics};
use crate::values::secret::Secret;

const MIB: usize = 1 << 20;
/// `kafka.producers` at the most, since each has threads and connections of its own.
const MAX_PRODUCERS: u32 = 64;
/// No wait of a request makes sense beyond a day.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

pub(super) fn or<T>(written: Option<Text<T>>, default: T) -> T {
    written.map_or(default, |text| text.0)
}

pub(super) fn choice<T: Copy>(
    key: &str,
    written: Option<Text<String>>,
    choices: &[(&str, T)],
) -> Result<T, ConfigError> {
    let Some(Text(word)) = written else { return Ok(choices[0].1) };
    let names = || choices.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
    let found = choices.iter().find(|(name, _)| *name == word).map(|&(_, choice)| choice);
    found.ok_or_else(|| ConfigError::key(key, format!("got {word:?}, expected {}", names())))
}

fn producers(text: &str) -> Result<Producers, ConfigError> {
    match text.parse() {
        Ok(count) if (1..=MAX_PRODUCERS).contains(&count) => Ok(Producers::Count(count)),
        _ if text == "auto" => Ok(Producers::Auto),
        _ => {
            let words = format!("got {text:?}, expected \"auto\" or a number from 1 to {MAX_PRODUCERS}");
            Err(ConfigError::key("kafka.producers", words))
        }
    }
}

fn join_topics(written: SwitchOrNames) -> JoinTopics {
    match written {
        SwitchOrNames::Word(word) => match word.as_str() {
            "true" => JoinTopics::Default,
            "false" => JoinTopics::None,
            "all" => JoinTopics::All,
            _ => JoinTopics::Only(vec![word]),
        },
        SwitchOrNames::Names(names) => JoinTopics::Only(names),
    }
}

/// Every join topic that is named is one of the catalog's.
fn check_join_topics(wanted: &JoinTopics, catalog: &Catalog) -> Result<(), ConfigError> {
    let JoinTopics::Only(names) = wanted else { return Ok(()) };
    let known = catalog.join_topics();
    let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    let words = format!("got {unknown:?}, expected true, false, \"all\", or a list of: {known}");
    Err(ConfigError::key("kafka.join_topics", words))
}

fn address(key: &str, written: Option<Text<String>>, default: &str) -> Result<SocketAddr, ConfigError> {
    let text = or(written, default.to_owned());
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| ConfigError::key(key, format!("got {text:?}, expected an address such as {default:?}")))
}

impl WrittenSettings {
    pub(super) fn resolve(self) -> Result<Settings, ConfigError> {
        let catalog_dir = self.catalog.dir.as_ref().map(|dir| PathBuf::from(&dir.0));
        let mut catalog = self.catalog.load(&self.sources)?;
        let kafka = self.kafka.resolve()?;
        check_join_topics(&kafka.further_topics.joins, &catalog)?;
        catalog.keep(&kafka.further_topics);
        let http = self.http.resolve()?;
        let headers = catalog.profiles.values().map(|profile| profile.verification.header.clone());
        let credential_headers: Arc<[HeaderName]> = headers.collect();
        let mut sources = BTreeMap::new();
        for (name, source) in self.sources {
            let source = source.resolve(&name, &catalog, &credential_headers, http.max_body_bytes)?;
            if source.max_body_bytes > http.max_in_flight_bytes {
                let key = format!("sources.{name}.max_body_bytes");
                return Err(ConfigError::key(key, "must not exceed http.max_in_flight_bytes"));
            }
            sources.insert(name, Arc::new(source));
        }
        if sources.is_empty() {
            return Err(ConfigError::key("sources", "no source: add at least one [sources.NAME]"));
        }
        let shutdown_delay = or(self.shutdown_delay, super::units::Period(Duration::ZERO)).0;
        let shutdown_timeout = or(self.shutdown_timeout, super::units::Period(Duration::from_secs(20))).0;
        if shutdown_delay >= shutdown_timeout {
            return Err(ConfigError::key("shutdown_delay", "must be shorter than shutdown_timeout, which includes it"));
        }
        let OneOrMany(hosts) = self.admin.hosts.unwrap_or(OneOrMany(Vec::new()));
        let admin_listen = address("admin.listen", self.admin.listen, "127.0.0.1:9464")?;
        if admin_listen == http.listen && admin_listen.port() != 0 {
            return Err(ConfigError::key("admin.listen", "must differ from http.listen"));
        }
        let data_dir = PathBuf::from(or(self.data_dir, "data".to_owned()));
        Ok(Settings {
            media: self.media.resolve(&data_dir, kafka.max_record_bytes)?,
            data_dir,
            catalog_dir,
            shutdown_delay,
            shutdown_timeout,
            kafka,
            registry: self.registry.resolve()?,
            spool: self.spool.resolve()?,
            tracing: self.tracing.resolve()?,
            http,
            admin_listen,
            admin_hosts: hosts
                .iter()
                .flat_map(|host| host.expose().split(','))
                .map(|host| host.trim().to_owned())
                .collect(),
            logging: self.log.resolve()?,
            sources,
        })
    }
}

impl WrittenHttp {
    fn resolve(self) -> Result<HttpSettings, ConfigError> {
        let period = |written: Option<Text<super::units::Period>>, default: u64| {
            written.map_or(Duration::from_secs(default), |text| text.0.0)
        };
        let bytes = |written: Option<Text<super::units::Bytes>>, default| written.map_or(default, |text| text.0.0);
        let settings = HttpSettings {
            listen: address("http.listen", self.listen, "0.0.0.0:8080")?,
            ack_timeout: period(self.ack_timeout, 5),
            max_body_bytes: bytes(self.max_body_bytes, 16 * MIB),
            max_in_flight_bytes: bytes(self.max_in_flight_bytes, 256 * MIB),
            max_connections: or(self.max_connections, 16_384),
            header_timeout: period(self.header_timeout, 10),
            body_timeout: period(self.body_timeout, 10),
            // Above the 60 s after which balancers commonly drop an idle connection: they, not we, close it.
            idle_timeout: period(self.idle_timeout, 75),
            tls: self.tls.map(WrittenTls::resolve).transpose()?.flatten(),
        };
        for (key, time) in [
            ("ack_timeout", settings.ack_timeout),
            ("header_timeout", settings.header_timeout),
            ("body_timeout", settings.body_timeout),
            ("idle_timeout", settings.idle_timeout),
        ] {
            if time.is_zero() || time > LONGEST {
                return Err(ConfigError::key(format!("http.{key}"), "must be from 1 ms to 1 day"));
            }
        }
        if !(1..=1_000_000).contains(&settings.max_connections) {
            return Err(ConfigError::key("http.max_connections", "must be from 1 to 1,000,000"));
        }
        if settings.max_in_flight_bytes > Semaphore::MAX_PERMITS {
            return Err(ConfigError::key("http.max_in_flight_bytes", "too large: no machine has so much memory"));
        }
        check_body_limit("http.max_body_bytes", settings.max_body_bytes)?;
        if settings.max_in_flight_bytes < settings.max_body_bytes {
            return Err(ConfigError::key("http.max_in_flight_bytes", "must be at least http.max_body_bytes"));
        }
        Ok(settings)
    }
}

/// librdkafka takes no `message.max.bytes` above 10^9, and a dead letter holds the whole body.
pub(super) fn check_body_limit(key: &str, bytes: usize) -> Result<(), ConfigError> {
    const MOST: usize = 900 * MIB;
    if (1..=MOST).contains(&bytes) { Ok(()) } else { Err(ConfigError::key(key, "must be between 1 and 900 MiB")) }
}

/// librdkafka properties that the promises rest on, and their aliases.
const FIXED_PROPERTIES: [&str; 19] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "transactional.id",
    "partitioner",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "request.timeout.ms",
    "transaction.timeout.ms",
    "retries",
    "message.send.max.retries",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "allow.auto.create.topics",
    "delivery.report.only.error",
    "bootstrap.servers",
    "metadata.broker.list",
];

impl WrittenKafka {
    fn resolve(self) -> Result<KafkaSettings, ConfigError> {
        let servers = self.bootstrap_servers.unwrap_or_default().0;
        let servers = servers.iter().map(|s| s.expose().trim()).filter(|s| !s.is_empty()).collect::<Vec<_>>().join(",");
        if servers.is_empty() {
            return Err(ConfigError::key("kafka.bootstrap_servers", "missing: set it, such as \"localhost:9092\""));
        }
        let mut properties = BTreeMap::new();
        flatten("kafka.properties", "", &self.properties, &mut properties)?;
        // librdkafka takes a topic's property with `topic.` in front as well.
        let bare = |name: &String| name.strip_prefix("topic.").unwrap_or(name).to_owned();
        if let Some(name) = properties.keys().find(|name| FIXED_PROPERTIES.contains(&bare(name).as_str())) {
            let what = "must not be set: hookbridge sets it, since its promises to senders depend on it";
            return Err(ConfigError::key(format!("kafka.properties.{name}"), what));
        }
        if properties.contains_key("statistics.interval.ms") {
            let what = "must not be set: hookbridge sets it, since its metrics depend on it";
            return Err(ConfigError::key("kafka.properties.statistics.interval.ms", what));
        }
        let partitions = or(self.partitions, 12);
        if partitions < 1 {
            return Err(ConfigError::key("kafka.partitions", "must be at least 1"));
        }
        let replication_factor = or(self.replication_factor, -1);
        if replication_factor != -1 && replication_factor < 1 {
            return Err(ConfigError::key(
                "kafka.replication_factor",
                "must be at least 1, or -1 for the broker's default",
            ));
        }
        let max_record_bytes = self.max_record_bytes.map_or(1_000_000, |text| text.0.0);
        if max_record_bytes == 0 {
            return Err(ConfigError::key(
                "kafka.max_record_bytes",
                "must be at least 1: with 0 every event would be a dead letter",
            ));
        }
        let further_topics = FurtherTopics {
            joins: self.join_topics.map_or(JoinTopics::Default, join_topics),
            timelines: or(self.timeline_topics, false),
            latest: or(self.latest_topics, true),
        };
        let latest_keys = or(self.latest_keys, 500_000);
        if !(1000..=100_000_000).contains(&latest_keys) {
            return Err(ConfigError::key("kafka.latest_keys", "must be from 1,000 to 100,000,000"));
        }
        let timestamps = [("received", Timestamps::Received), ("occurred", Timestamps::Occurred)];
        Ok(KafkaSettings {
            bootstrap_servers: servers,
            topics: choice(
                "kafka.topics",
                self.topics,
                &[("per-entity", Topics::PerEntity), ("per-event", Topics::PerEvent)],
            )?,
            topic_prefix: topic_prefix("kafka.topic_prefix", self.topic_prefix)?,
            create_topics: or(self.create_topics, true),
            partitions,
            replication_factor,
            timestamps: choice("kafka.timestamp", self.timestamp, &timestamps)?,
            producers: self.producers.map_or(Ok(Producers::Auto), |Text(text)| producers(&text))?,
            // A broker takes batches of 1,048,588 bytes unless told otherwise; the rest is for what wraps a record.
            max_record_bytes,
            latest_keys,
            further_topics,
            properties,
        })
    }
}

/// `"linger.ms" = 5` and `linger.ms = 5` are the same property, though not the same TOML.
pub(super) fn flatten(
    section: &str,
    prefix: &str,
    table: &toml::Table,
    into: &mut BTreeMap<String, Secret>,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(section, &name, inner, into)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(_) | toml::Value::Boolean(_) | toml::Value::Float(_) => value.to_string(),
            _ => return Err(ConfigError::key(format!("{section}.{name}"), "expected a single value")),
        };
        let Ok(secret) = text.parse();
        into.insert(name, secret);
    }
    Ok(())
}

pub(super) fn topic_prefix(key: &str, written: Option<Text<String>>) -> Result<String, ConfigError> {
    let prefix = or(written, String::new());
    let legal = prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) && prefix.len() <= 100;
    if legal {
        Ok(prefix)
    } else {
        Err(ConfigError::key(key, "expected at most 100 letters, digits, `.`, `_` and `-`"))
    }
}

const REGISTRY_URL: AddressRule = AddressRule {
    key: "registry.url",
    schemes: &["http", "https"],
    expected: "expected an http:// or https:// address",
    no_credentials: "must not hold credentials, since it is shown: use registry.username and registry.password",
    no_query: "must not have a `?` or `#`",
};

impl WrittenRegistry {
    fn resolve(self) -> Result<RegistrySettings, ConfigError> {
        let url = or(self.url, String::new()).trim_end_matches('/').to_owned();
        if url.is_empty() {
            return Err(ConfigError::key("registry.url", "missing: set it, such as \"http://localhost:8081\""));
        }
        REGISTRY_URL.parse(&url)?;
        let auth = match (self.username, self.password, self.token) {
            (None, None, None) => RegistryAuth::None,
            (Some(username), password, None) => {
                let Some(Text(password)) = password else {
                    return Err(ConfigError::key(
                        "registry.password",
                        "missing, but registry.username is set: set both or neither",
                    ));
                };
                RegistryAuth::Basic { username: username.0, password }
            }
            (None, None, Some(token)) if HeaderValue::try_from(token.0.expose()).is_err() => {
                return Err(ConfigError::key(
                    "registry.token",
                    "cannot be sent in a header: look for a line end or a control character",
                ));
            }
            (None, None, Some(token)) => RegistryAuth::Bearer(token.0),
            (None, Some(_), _) => {
                return Err(ConfigError::key(
                    "registry.username",
                    "missing, but registry.password is set: set both or neither",
                ));
            }
            (Some(_), _, Some(_)) => {
                return Err(ConfigError::key("registry.token", "set registry.token or registry.username, not both"));
            }
        };
        let modes = [("register", RegistryMode::Register), ("lookup", RegistryMode::Lookup)];
        let verify_interval = self.verify_interval.map_or(Duration::from_secs(30), |text| text.0.0);
        if verify_interval.is_zero() {
            return Err(ConfigError::key("registry.verify_interval", "must be longer than 0"));
        }
        Ok(RegistrySettings {
            url,
            mode: choice("registry.mode", self.mode, &modes)?,
            auth,
            ca_file: self.ca_file.map(|path| path.0.into()),
            timeout: self.timeout.map_or(Duration::from_secs(5), |text| text.0.0),
            verify_interval,
        })
    }
}
