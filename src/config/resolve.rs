//! From what was written to what is meant: defaults filled in, contradictions refused, secrets wrapped. What is wrong is noted
//! and replaced by its default, so that the rest is looked at too.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::bounds::{MIB, body_limit, bytes, or, period, wait};
use super::fault::{ConfigFault, Faults};
use super::source::check_name;
use super::tls;
use super::units::{OneOrMany, Period, Text, WholeNumber};
use super::written::{WrittenHttp, WrittenSettings, WrittenSource};
use super::written_where::{FaultPlace, Written};
use super::{HttpSettings, Settings};
use crate::catalog::{Catalog, JoinTopics};
use crate::source::Source;
use crate::values::similar::closest;

/// No machine has more memory.
const MOST_IN_FLIGHT: usize = 1 << 40;

/// Every join topic that is named is one of the catalog's.
fn check_join_topics(wanted: &JoinTopics, catalog: &Catalog, faults: &mut Faults) {
    const KEY: &str = "kafka.join_topics";
    let JoinTopics::Only(names) = wanted else { return };
    let known = catalog.join_topics();
    for (index, unknown) in names.iter().enumerate().filter(|(_, name)| !known.contains(name.as_str())) {
        let is_list = faults.written().raw(KEY).is_some_and(toml::Value::is_array);
        let key = if is_list { format!("{KEY}[{index}]") } else { KEY.to_owned() };
        let words = known.iter().copied().chain(["true", "false", "all"]);
        let remedy = match closest(unknown, words) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("the topics are {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
        };
        let expected = "expected true, false, \"all\", or a list of join topics";
        let shown = faults.written().part(&key, unknown);
        faults.add_with(key, format!("{expected}, got {shown}"), remedy);
    }
}

/// An address to listen on.
fn address(key: &str, written: Option<Text<String>>, default: &'static str, faults: &mut Faults) -> SocketAddr {
    let text = or(written, default.to_owned());
    if let Some(found) = text.trim().to_socket_addrs().ok().and_then(|mut addresses| addresses.next()) {
        return found;
    }
    let expected = format!("an address such as {default:?}");
    let remedy = match text.trim().rsplit_once(':') {
        _ if text.contains("://") => "write HOST:PORT, without what stands before the host".to_owned(),
        _ if text.contains(['@', '/']) => "write HOST:PORT and nothing else".to_owned(),
        Some(("" | "*", port)) if port.parse::<u16>().is_ok() => format!("for all interfaces write \"0.0.0.0:{port}\""),
        Some((_, port)) if port.parse::<u16>().is_err() => "the port must be from 0 to 65535".to_owned(),
        Some((host, _)) => {
            let host = faults.written().part(key, host);
            format!("the host {host} cannot be resolved; an IP address always can")
        }
        None if text.trim().parse::<u16>().is_ok() => format!("for all interfaces write \"0.0.0.0:{}\"", text.trim()),
        None => "add a colon and the port".to_owned(),
    };
    let what = faults.written().unfit(key, &expected);
    faults.add_with(key, what, remedy);
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The two listeners must not ask for the same port of the same address.
fn check_listeners(http: SocketAddr, admin: SocketAddr, faults: &mut Faults) {
    let overlap = http.ip() == admin.ip() || http.ip().is_unspecified() || admin.ip().is_unspecified();
    if http.port() != 0 && http.port() == admin.port() && overlap {
        let what = format!("must differ from http.listen, which is {http}");
        faults.add_with("admin.listen", what, "give one of them another port");
    }
}

/// The console answers to names of hosts, whatever the port.
fn check_hosts(hosts: &[String], faults: &mut Faults) {
    const KEY: &str = "admin.hosts";
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b);
    for host in hosts.iter().filter(|host| !host.bytes().all(legal)) {
        let remedy = match host.split_once("://") {
            Some(_) => "remove the scheme and the path",
            None if host.contains('*') => "name each host: a star would let any web page read the console",
            None => "write the name alone",
        };
        let shown = faults.written().part(KEY, host);
        faults.add_with(KEY, format!("expected names such as \"bridge.example.com\", got {shown}"), remedy);
    }
}

impl WrittenSettings {
    /// `None` if there is no catalog to look things up in.
    pub(super) fn resolve(self, faults: &mut Faults) -> Option<Settings> {
        let catalog_dir = self.catalog.dir.as_ref().map(|dir| PathBuf::from(&dir.0));
        let catalog = self.catalog.load(&self.sources, faults);
        let kafka = self.kafka.resolve(faults);
        let http = self.http.resolve(faults);
        let admin_listen = address("admin.listen", self.admin.listen, "127.0.0.1:9464", faults);
        check_listeners(http.listen, admin_listen, faults);
        let shutdown_delay = period(self.shutdown_delay, Duration::ZERO);
        let shutdown_timeout = wait("shutdown_timeout", self.shutdown_timeout, Duration::from_secs(20), faults);
        if shutdown_delay >= shutdown_timeout && !faults.has("shutdown_timeout") {
            let what = format!("must be shorter than shutdown_timeout ({shutdown_timeout:?}), which includes it");
            faults.add("shutdown_delay", what);
        }
        let data_dir = PathBuf::from(or(self.data_dir, "data".to_owned()));
        if data_dir.as_os_str().is_empty() {
            faults.add_with("data_dir", "empty: expected a folder", "remove the key for the default, \"data\"");
        } else if data_dir.starts_with("~") {
            faults.add_with("data_dir", "`~` is not filled in", "write the whole path, or ${HOME}");
        } else if data_dir.to_str().is_some_and(|dir| dir.contains(":/")) {
            faults.unfit("data_dir", "the path of a folder, not an address");
        }
        let media = self.media.resolve(&data_dir, kafka.max_record_bytes, faults);
        let registry = self.registry.resolve(faults);
        let spool = self.spool.resolve(faults);
        let tracing = self.tracing.resolve(faults);
        let logging = self.log.resolve(faults);
        let admin_hosts = names(self.admin.hosts);
        check_hosts(&admin_hosts, faults);
        if self.sources.is_empty() {
            faults.add_with("sources", "no source", "add at least one [sources.NAME], such as [sources.wegly]");
        }
        let mut catalog = catalog?;
        let marked = |file: &String| ConfigFault {
            place: FaultPlace { file: Some(file.clone()), line: Some(1), ..FaultPlace::default() },
            what: "begins with a byte-order mark, which is ignored".to_owned(),
            remedy: Some("save it without one".to_owned()),
        };
        let warnings = catalog.marked.iter().map(marked).collect();
        check_join_topics(&kafka.further_topics.joins, &catalog, faults);
        catalog.keep(&kafka.further_topics);
        let sources = sources(self.sources, &catalog, &http, faults);
        Some(Settings {
            data_dir,
            catalog_dir,
            shutdown_delay,
            shutdown_timeout,
            kafka,
            registry,
            spool,
            media,
            tracing,
            http,
            admin_listen,
            admin_hosts,
            logging,
            sources,
            warnings,
            written: Written::default(),
        })
    }
}

/// Names in a list, or separated by commas.
fn names(written: Option<OneOrMany>) -> Vec<String> {
    let OneOrMany(written) = written.unwrap_or_default();
    let names = written.iter().flat_map(|text| text.expose().split(','));
    names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn sources(
    written: BTreeMap<String, WrittenSource>,
    catalog: &Catalog,
    http: &HttpSettings,
    faults: &mut Faults,
) -> BTreeMap<String, Arc<Source>> {
    let headers = catalog.profiles.values().map(|profile| profile.verification.header.clone());
    let credential_headers: Arc<[HeaderName]> = headers.collect();
    let mut sources = BTreeMap::new();
    for (name, source) in written {
        let source = source.resolve(&name, catalog, &credential_headers, http.max_body_bytes, faults);
        check_name(&name, faults);
        let Some(source) = source else { continue };
        let limit = "http.max_in_flight_bytes";
        if source.max_body_bytes > http.max_in_flight_bytes && !faults.has(limit) {
            faults.add(format!("sources.{name}.max_body_bytes"), format!("must not exceed {limit}"));
        }
        sources.insert(name, Arc::new(source));
    }
    sources
}

impl WrittenHttp {
    fn resolve(self, faults: &mut Faults) -> HttpSettings {
        let mut time = |key: &str, written: Option<Text<Period>>, default: u64| {
            wait(&format!("http.{key}"), written, Duration::from_secs(default), faults)
        };
        let ack_timeout = time("ack_timeout", self.ack_timeout, 5);
        let header_timeout = time("header_timeout", self.header_timeout, 10);
        let body_timeout = time("body_timeout", self.body_timeout, 10);
        // Above the 60 s after which balancers commonly drop an idle connection: they, not we, close it.
        let idle_timeout = time("idle_timeout", self.idle_timeout, 75);
        let max_body_bytes = body_limit("http.max_body_bytes", bytes(self.max_body_bytes, 16 * MIB), 16 * MIB, faults);
        let key = "http.max_in_flight_bytes";
        let max_in_flight_bytes = bytes(self.max_in_flight_bytes, 256 * MIB);
        if max_in_flight_bytes > MOST_IN_FLIGHT {
            faults.unfit(key, "from http.max_body_bytes to 1 TiB");
        } else if max_in_flight_bytes < max_body_bytes && !faults.has("http.max_body_bytes") {
            faults.add(key, format!("must be at least http.max_body_bytes ({max_body_bytes} bytes)"));
        }
        HttpSettings {
            listen: address("http.listen", self.listen, "0.0.0.0:8080", faults),
            ack_timeout,
            max_body_bytes,
            max_in_flight_bytes,
            max_connections: or(self.max_connections, WholeNumber(16_384)).0 as usize,
            header_timeout,
            body_timeout,
            idle_timeout,
            tls: self.tls.and_then(|tls| tls::resolve(tls, faults)),
        }
    }
}
