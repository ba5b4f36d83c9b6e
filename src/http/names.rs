//! The names that the admin listener answers to.

use std::net::IpAddr;

/// Ends of names that nobody can register, so that no stranger's name has them.
const PRIVATE: [&str; 6] = ["localhost", "local", "internal", "svc", "lan", "home.arpa"];

/// The names that were configured, beside those that nobody else can have.
pub(crate) struct HostNames(Vec<String>);

impl HostNames {
    /// With the names in `admin.hosts`.
    pub(crate) fn new(configured: Vec<String>) -> HostNames {
        HostNames(configured)
    }

    /// Whether `host` (with or without a port) is an address, a name without a dot, or one of ours.
    pub(super) fn include(&self, host: &str) -> bool {
        let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        let ends = |end: &&str| name.strip_suffix(*end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        address.parse::<IpAddr>().is_ok()
            || (!name.is_empty() && !name.contains('.'))
            || PRIVATE.iter().any(ends)
            || self.0.iter().any(|own| without_port(own).eq_ignore_ascii_case(&name))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_that_no_stranger_can_have_are_ours() {
        let names = HostNames::new(vec!["bridge.example.com".into()]);
        for ours in [
            "127.0.0.1",
            "10.1.2.3:9464",
            "[::1]:9464",
            "[::1]",
            "localhost:9464",
            "LOCALHOST",
            "localhost.",
            "hookbridge:9464",
            "hookbridge-0.hookbridge.default.svc.cluster.local:9464",
            "hookbridge.default.svc",
            "Bridge.Example.COM:9464",
        ] {
            assert!(names.include(ours), "{ours}");
        }
        for other in
            ["evil.example", "evil.example:9464", "127.0.0.1.nip.io", "localhost.evil.example", "notlocal.x", "", ":80"]
        {
            assert!(!names.include(other), "{other}");
        }
    }
}
