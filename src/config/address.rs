//! Which addresses of servers and folders the configuration takes: one rule for every key that has one.

use reqwest::Url;

use super::{ConfigError, Written};

/// What one key takes, and what is said of the rest.
pub(super) struct AddressRule {
    pub(super) key: &'static str,
    pub(super) schemes: &'static [&'static str],
    /// What is expected, said of what is no address of these schemes.
    pub(super) expected: &'static str,
    /// Said of credentials: an address is shown.
    pub(super) no_credentials: &'static str,
    /// Said of what would follow the path.
    pub(super) no_query: &'static str,
}

impl AddressRule {
    /// # Errors
    /// When `text` is no such address.
    pub(super) fn parse(&self, text: &str, written: &Written) -> Result<Url, ConfigError> {
        let fail = |what: &str| Err(ConfigError::key(self.key, what));
        // A folder has no host.
        let is_whole = |url: &Url| url.has_host() || !matches!(url.scheme(), "http" | "https");
        let parsed = Url::parse(text).ok().filter(|url| self.schemes.contains(&url.scheme()) && is_whole(url));
        let Some(url) = parsed else {
            // Credentials or a query, which may be secrets, are not repeated.
            let is_plain = !text.contains(['@', '?', '#']);
            let what =
                if is_plain { written.unfit(self.key, self.expected) } else { format!("expected {}", self.expected) };
            let bare = Url::parse(&format!("http://{text}")).is_ok_and(|url| url.has_host());
            let error = ConfigError::key(self.key, what);
            let lacks_scheme = bare && is_plain && !text.contains("//") && self.schemes.contains(&"http");
            return Err(if lacks_scheme { error.or_remedy("put http:// or https:// in front of it") } else { error });
        };
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
            ("https://a", "a.url: expected scheme"),
            ("http:", "a.url: expected scheme: put http:// or https:// in front of it"),
            ("a:1", "a.url: expected scheme: put http:// or https:// in front of it"),
            ("", "a.url: expected scheme"),
            ("http://u@a", "a.url: credentials"),
            ("http://:p@a", "a.url: credentials"),
            ("http://a?b", "a.url: query"),
            ("http://a#b", "a.url: query"),
        ] {
            let found =
                rule.parse(text, &Written::default()).map_or_else(|error| error.to_string(), |url| url.to_string());
            assert_eq!(found, expected, "{text}");
        }
    }
}
