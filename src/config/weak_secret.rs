//! Secrets that anybody can guess: what examples have in a secret's place, and keys of an HMAC that are short. They are warned of,
//! and never shown.

use super::schema::FOREIGN;
use super::written_where::is_secret;

/// A key of an HMAC with fewer bytes can be found by trying, with one delivery to try on: 128 bits cannot.
pub(super) const SHORTEST_HMAC: usize = 16;

/// What placeholders are made of, with anything between them.
const FILLERS: [&str; 58] = [
    "abc",
    "admin",
    "api",
    "bar",
    "baz",
    "bearer",
    "change",
    "changed",
    "changeit",
    "changeme",
    "demo",
    "default",
    "dummy",
    "enter",
    "example",
    "fake",
    "fixme",
    "foo",
    "from",
    "goes",
    "here",
    "insert",
    "it",
    "key",
    "me",
    "my",
    "none",
    "null",
    "of",
    "pass",
    "passwd",
    "password",
    "paste",
    "placeholder",
    "put",
    "real",
    "replace",
    "s3cr3t",
    "s3cret",
    "sample",
    "secret",
    "secrets",
    "set",
    "signing",
    "some",
    "supersecret",
    "tbd",
    "test",
    "testing",
    "the",
    "this",
    "to",
    "todo",
    "token",
    "value",
    "webhook",
    "whsec",
    "your",
];

/// In sections of others' keys: parts of the names of those that are secrets.
const SECRET_NAMES: [&str; 6] = ["password", "secret", "token", "authorization", "api-key", "api_key"];

/// What stands in an example, where a secret belongs; longer than any of these is no placeholder.
const LONGEST_PLACEHOLDER: usize = 64;

/// Whether the value of `key` proves something, so that it has to be hard to guess.
pub(super) fn proves(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    match FOREIGN.iter().find_map(|section| lower.strip_prefix(section)?.strip_prefix('.')) {
        Some(name) => SECRET_NAMES.iter().any(|part| name.contains(part)),
        None => is_secret(key),
    }
}

/// Whether `text` is one that examples have in a secret's place: `changeme`, `your-secret-here`, `<secret>`, `xxx`.
pub(super) fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    // `user:password`, and what stands in a header.
    let behind = text.rsplit_once([':', ' ']).map(|(_, behind)| behind);
    is_filler(text) || behind.is_some_and(|behind| behind.len() >= 3 && is_filler(behind))
}

fn is_filler(text: &str) -> bool {
    if text.is_empty() || text.len() > LONGEST_PLACEHOLDER || !text.is_ascii() {
        return false;
    }
    let wrapped = [('<', '>'), ('[', ']'), ('{', '}')];
    if text.len() > 2 && wrapped.iter().any(|(open, close)| text.starts_with(*open) && text.ends_with(*close)) {
        return true;
    }
    let same = |text: &str| text.bytes().all(|b| text.as_bytes().first() == Some(&b));
    let plain: String = text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    // `********`, `xxx`, `xxxx-xxxx`
    if same(text) || !plain.is_empty() && same(&plain) {
        return true;
    }
    let rows = ["12345678901234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "0123456789abcdef0123456789abcdef"];
    let is_row = |text: &str| text.len() > 2 && rows.iter().any(|row| row.starts_with(text));
    // `secret1`, `changeme123`
    let word = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    let few_digits = plain.len() - word.len() <= 4;
    is_row(&plain) || !word.is_empty() && few_digits && is_made_of_fillers(word)
}

fn is_made_of_fillers(text: &str) -> bool {
    // Whether what begins at each place is made of them, from the last on.
    let mut made = vec![false; text.len() + 1];
    made[text.len()] = true;
    for at in (0..text.len()).rev() {
        let fits = |filler: &&str| text[at..].starts_with(*filler) && made[at + filler.len()];
        // `your-xxx-secret`
        let xs = text[at..].bytes().take_while(|b| *b == b'x').count();
        made[at] = FILLERS.iter().any(fits) || xs > 1 && made[at + xs];
    }
    made[0]
}

/// What to say of the secret at `key`, which is `raw` as written, and what to do.
pub(super) fn explain(key: &str, raw: &str, what: &str) -> (String, String) {
    let inner = raw.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let subject = match inner.map(|inner| inner.strip_prefix("file:").ok_or(inner)) {
        Some(Ok(path)) => format!("the content of {path}"),
        Some(Err(name)) if !name.contains('$') => format!("the variable {name}"),
        _ => "the value".to_owned(),
    };
    let remedy = match key.strip_prefix("sources.") {
        Some(rest) if rest.contains(".secrets") => {
            "use the secret that the vendor shows, or set one at the vendor that `openssl rand -hex 32` makes"
        }
        Some(_) => "make one with `openssl rand -hex 32`, and set it at the vendor, too",
        None if key == "catalog.hash_key" => "make one with `openssl rand -hex 32`",
        None => "put the real one there",
    };
    (format!("{subject} {what}"), remedy.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_examples_have_in_a_secret_s_place_is_found() {
        for text in [
            "changeme",
            "change-me",
            "CHANGE_ME",
            "ChangeMe123",
            "change me",
            "secret",
            "your-secret-here",
            "YOUR_TOKEN",
            "xxx",
            "XXXXXXXXXXXXXXXX",
            "xxxx-xxxx",
            "<secret>",
            "<your secret>",
            "[token]",
            "{{ secret }}",
            "test",
            "test1",
            "password",
            "Password",
            "admin:changeme",
            "Bearer your-token",
            "********",
            "0000000000000000",
            "123456",
            "abc123",
            "todo",
            "TODO: replace this",
            "my-secret-key",
            "whsec_test",
            "supersecret",
            "replace-me",
            "your-xxx-secret",
            "whsec_xxxxxxxx",
            "12345678",
            "abc",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "demo-wegly-secret",
            "demo-whazing-token",
            "hunter2",
            "8f1fd9d7a3be4c0295a17f0eabcdef12",
            "s3cr3t-of-wegly",
            "",
            "correct horse battery staple",
            "whsec_C2FVsBQIhrscChlQIMV",
            "token-8273648273648276",
            "my-wegly",
            "tok-1f",
            "user:8f1fd9d7a3be",
            "test-9f2c",
            "ä",
            "changeme-8f1fd9d7",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn only_what_proves_something_is_looked_at() {
        for key in [
            "sources.wegly.secrets[0]",
            "sources.a.tokens",
            "sources.a.handshake_tokens[1]",
            "registry.password",
            "registry.token",
            "catalog.hash_key",
            "kafka.properties.sasl.password",
            "kafka.properties.ssl.key.password",
            "media.options.secret_access_key",
            "tracing.otlp_headers.Authorization",
            "tracing.otlp_headers.x-api-key",
        ] {
            assert!(proves(key), "{key}");
        }
        for key in [
            "kafka.properties.client.id",
            "kafka.topic_prefix",
            "media.options.region",
            "sources.a.profile",
            "registry.username",
            "tracing.otlp_headers.x-tenant",
        ] {
            assert!(!proves(key), "{key}");
        }
    }

    #[test]
    fn what_is_said_names_where_the_secret_comes_from() {
        let of = |key: &str, raw: &str| explain(key, raw, "is a placeholder");
        assert_eq!(of("sources.a.secrets", "${file:/run/a}").0, "the content of /run/a is a placeholder");
        assert_eq!(of("sources.a.secrets", "${WEGLY}").0, "the variable WEGLY is a placeholder");
        assert_eq!(
            of("registry.password", "changeme"),
            ("the value is a placeholder".into(), "put the real one there".into())
        );
        assert!(of("sources.a.tokens[0]", "x").1.contains("set it at the vendor"));
    }
}
