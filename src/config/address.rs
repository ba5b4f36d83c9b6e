//! Which addresses of servers and folders the configuration takes: one rule for every key that has one.

use reqwest::Url;

use super::{ConfigError, Written};

/// What one key takes, and what is said of the rest.
pub(super) struct AddressRule<'a> {
    pub(super) key: &'a str,
    pub(super) schemes: &'a [&'a str],
    /// What is expected, said of what is no address of these schemes.
    pub(super) expected: &'a str,
    /// Said of credentials, as an address is shown; `None` where they may be.
    pub(super) no_credentials: Option<&'a str>,
    /// Said of what would follow the path; `None` where it may be.
    pub(super) no_query: Option<&'a str>,
}

impl AddressRule<'_> {
    /// # Errors
    /// When `text` is no such address.
    pub(super) fn parse(&self, text: &str, written: &Written) -> Result<Url, ConfigError> {
        let fail = |what: &str| Err(ConfigError::key(self.key, what));
        let flaw = self.flaw(text);
        let parsed = Url::parse(text).ok().filter(|url| self.schemes.contains(&url.scheme()) && flaw.is_none());
        let Some(url) = parsed else {
            let error = ConfigError::key(self.key, written.unfit(self.key, self.expected));
            return Err(match flaw {
                Some(remedy) => error.or_remedy(remedy),
                None => error,
            });
        };
        match self.no_credentials {
            Some(what) if !url.username().is_empty() || url.password().is_some() => return fail(what),
            _ => {}
        }
        match self.no_query {
            Some(what) if url.query().is_some() || url.fragment().is_some() => fail(what),
            _ => Ok(url),
        }
    }

    /// What is wrong with a server's address, where it is more than its scheme. Of a folder nothing is said.
    fn flaw(&self, text: &str) -> Option<&'static str> {
        if !self.schemes.contains(&"http") || text.is_empty() {
            return None;
        }
        if text.matches("://").count() > 1 {
            return Some("one address only");
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let is_bare = Url::parse(&format!("http://{text}")).is_ok_and(|url| url.has_host());
            return is_bare.then_some("put http:// or https:// in front of it");
        };
        if !self.schemes.contains(&scheme.to_ascii_lowercase().as_str()) {
            return None;
        }
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains(',') {
            return Some("one address only");
        }
        let server = host.rsplit_once('@').map_or(host, |(_, server)| server);
        let (name, port) = match server.rsplit_once(':') {
            // `[::1]` without a port.
            _ if server.ends_with(']') => (server, None),
            Some((name, port)) => (name, Some(port)),
            None => (server, None),
        };
        // The parser would skip slashes until it finds a host.
        if name.is_empty() {
            return Some("the host is missing");
        }
        if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Some("the port must be from 1 to 65535");
        }
        Url::parse(text).is_err().then_some("the host is not a valid name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: AddressRule<'_> = AddressRule {
        key: "a.url",
        schemes: &["http", "https"],
        expected: "scheme",
        no_credentials: Some("credentials"),
        no_query: Some("query"),
    };

    fn found(rule: &AddressRule<'_>, text: &str) -> String {
        rule.parse(text, &Written::default()).map_or_else(|error| error.to_string(), |url| url.to_string())
    }

    #[test]
    fn an_address_has_a_known_scheme_and_nothing_that_must_not_be_shown() {
        for (text, expected) in [
            ("http://a:1/b", "http://a:1/b"),
            ("HTTP://A", "http://a/"),
            ("http://[::1]:80/", "http://[::1]/"),
            ("", "a.url: expected scheme"),
            ("ftp://a", "a.url: expected scheme"),
            ("http://u@a", "a.url: credentials"),
            ("http://:p@a", "a.url: credentials"),
            ("http://a?b", "a.url: query"),
            ("http://a#b", "a.url: query"),
        ] {
            assert_eq!(found(&RULE, text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        const BARE: &str = "put http:// or https:// in front of it";
        const PORT: &str = "the port must be from 1 to 65535";
        const ONE: &str = "one address only";
        const HOST: &str = "the host is missing";
        for (text, remedy) in [
            ("a:1", BARE),
            ("localhost", BARE),
            ("http://a:99999", PORT),
            ("http://a:0", PORT),
            ("http://a:x", PORT),
            ("http://a:1,http://b:1", ONE),
            ("http://a:1,b:1", ONE),
            ("http://a:1 http://b:1", ONE),
            ("http://", HOST),
            ("http:///a", HOST),
            ("http://:80", HOST),
            ("http://a b:1", "the host is not a valid name"),
        ] {
            assert_eq!(found(&RULE, text), format!("a.url: expected scheme: {remedy}"), "{text}");
        }
    }

    #[test]
    fn a_folder_has_no_host() {
        let rule = AddressRule { schemes: &["s3", "file"], no_credentials: None, no_query: None, ..RULE };
        assert_eq!(found(&rule, "file:///b"), "file:///b");
        assert_eq!(found(&rule, "s3://u:p@a?b"), "s3://u:p@a?b");
        assert_eq!(found(&rule, "/b"), "a.url: expected scheme");
    }
}
