//! Where a bridge with a given configuration is to be found on its own machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::Settings;
use crate::http::host_names;

/// Where a listener is to be found on its own machine.
pub(super) fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The address for webhooks; `None` where the port is not known before the bridge starts.
pub(super) fn url_of(settings: &Settings) -> Option<String> {
    let listen = here(settings.http.listen);
    let address = match behind_tls(settings) {
        Some(BehindTls { name, .. }) => format!("https://{name}:{}", listen.port()),
        None => format!("http://{listen}"),
    };
    (listen.port() != 0).then_some(address)
}

/// What a bridge that speaks TLS shows.
pub(super) struct BehindTls {
    /// The name that its certificate is for, or its address.
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) certificate: PathBuf,
}

/// `None` for a bridge that speaks plain HTTP.
pub(super) fn behind_tls(settings: &Settings) -> Option<BehindTls> {
    let certificate = settings.http.tls.as_ref()?.certificate_file.clone();
    let address = here(settings.http.listen);
    let names = std::fs::read(&certificate).map(|pem| host_names(&pem)).unwrap_or_default();
    let ip = match address.ip() {
        IpAddr::V6(ip) => format!("[{ip}]"),
        IpAddr::V4(ip) => ip.to_string(),
    };
    Some(BehindTls { name: names.into_iter().next().unwrap_or(ip), address, certificate })
}
