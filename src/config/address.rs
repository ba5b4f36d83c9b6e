//! Which addresses of servers and folders the configuration takes: one rule for every key that has one.

use reqwest::Url;

use super::ConfigError;

/// What one key takes, and what is said of the rest.
pub(super) struct AddressRule {
    pub(super) key: &'static str,
    pub(super) schemes: &'static [&'static str],
    /// Said of what is no address of these schemes.
    pub(super) expected: &'static str,
    /// Said of credentials: an address is shown.
    pub(super) no_credentials: &'static str,
    /// Said of what would follow the path.
    pub(super) no_query: &'static str,
}

impl AddressRule {
    /// # Errors
    /// When `text` is no such address.
    pub(super) fn parse(&self, text: &str) -> Result<Url, ConfigError> {
        let fail = |what: &str| Err(ConfigError::key(self.key, what));
        // A folder has no host.
        let is_whole = |url: &Url| url.has_host() || !matches!(url.scheme(), "http" | "https");
        let parsed = Url::parse(text).ok().filter(|url| self.schemes.contains(&url.scheme()) && is_whole(url));
        let Some(url) = parsed else { return fail(self.expected) };
        if !url.username().is_empty() || url.password().is_some() {
            return fail(self.no_credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return fail(self.no_query);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_known_scheme_and_nothing_that_must_not_be_shown() {
        let rule = AddressRule {
            key: "a.url",
            schemes: &["http", "file"],
            expected: "scheme",
            no_credentials: "credentials",
            no_query: "query",
        };
        for (text, expected) in [
            ("http://a:1/b", "http://a:1/b"),
            ("HTTP://A", "http://a/"),
            ("file:///b", "file:///b"),
            ("https://a", "a.url: scheme"),
            ("http:", "a.url: scheme"),
            ("a:1", "a.url: scheme"),
            ("", "a.url: scheme"),
            ("http://u@a", "a.url: credentials"),
            ("http://:p@a", "a.url: credentials"),
            ("http://a?b", "a.url: query"),
            ("http://a#b", "a.url: query"),
        ] {
            let found = rule.parse(text).map_or_else(|error| error.to_string(), |url| url.to_string());
            assert_eq!(found, expected, "{text}");
        }
    }
}
