//! What HTTP clients have in common that talk to the operator's servers: the registry, the collector of spans, a bridge.

use std::error::Error;
use std::io;
use std::path::Path;

use reqwest::{Certificate, Client, ClientBuilder, Response, Url};

use crate::config::ConfigError;
use crate::values::showable;

/// A client that trusts the system's authorities and those in `ca_file`, which is what `key` says.
///
/// # Errors
/// When there is no certificate in the file.
pub(crate) fn client(ca_file: Option<&Path>, key: &str) -> Result<ClientBuilder, ConfigError> {
    // No proxy from the environment: the one place that reads it is the configuration.
    let builder = Client::builder().no_proxy();
    let Some(path) = ca_file else { return Ok(builder) };
    Ok(certificates(path, key)?.into_iter().fold(builder, ClientBuilder::add_root_certificate))
}

/// The certificates in a file of PEM, which is what `key` says.
///
/// # Errors
/// When there is none in it.
pub(crate) fn certificates(path: &Path, key: &str) -> Result<Vec<Certificate>, ConfigError> {
    let fail = |what: String| ConfigError::key(key, format!("{}: {what}", showable::path(path)));
    let pem = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| fail(e.to_string()))?;
    if certificates.is_empty() {
        return Err(fail("holds no certificate".into()));
    }
    Ok(certificates)
}

/// Whether what is sent to `url` goes in clear.
pub(crate) fn is_in_clear(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "http")
}

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("{}", why(.0))]
    Broken(reqwest::Error),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// The body of an answer, unless it has more than `most` bytes: then no more of it is read.
pub(crate) async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + part.len() > most {
            return Err(Unread::TooLarge(most));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// Why a server did not answer, by the causes of reqwest's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Nothing listens there.
    Refused,
    /// There is no such host.
    NoHost(String),
    /// The certificate, or what TLS is made of.
    Tls(String),
    TooSlow,
    Broken(String),
}

impl NoAnswer {
    pub(crate) fn of(error: &reqwest::Error) -> NoAnswer {
        let mut causes = Vec::new();
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            causes.push(error);
            cause = error.source();
        }
        let words = causes.last().map(ToString::to_string).unwrap_or_default();
        let is_refused = |error: &&(dyn Error + 'static)| {
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        };
        let speaks_of = |word: &str| causes.iter().any(|error| error.to_string().to_ascii_lowercase().contains(word));
        if error.is_timeout() {
            NoAnswer::TooSlow
        } else if causes.iter().any(is_refused) {
            NoAnswer::Refused
        } else if speaks_of("dns error") {
            NoAnswer::NoHost(words)
        } else if speaks_of("certificate") || speaks_of("ssl") {
            NoAnswer::Tls(words)
        } else {
            NoAnswer::Broken(words)
        }
    }
}

/// The same in words, without the address.
pub(crate) fn why(error: &reqwest::Error) -> String {
    match NoAnswer::of(error) {
        NoAnswer::Refused => "connection refused".to_owned(),
        NoAnswer::NoHost(words) => format!("cannot resolve the host name: {words}"),
        NoAnswer::Tls(words) => format!("TLS: {words}"),
        NoAnswer::TooSlow => "no answer in time".to_owned(),
        NoAnswer::Broken(words) => words,
    }
}

/// reqwest says what it did; its causes say why it failed.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// For tests: answers with `status` and a body that begins with `begin` and does not end, until the other side has enough. Gives
/// its URL, and how much of all bodies was sent.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
pub(crate) fn endless(
    status: &'static str,
    begin: &'static str,
) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let answer = move |mut stream: std::net::TcpStream| {
        let _ = stream.read(&mut [0; 8192])?;
        write!(stream, "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\n\r\n{begin}")?;
        loop {
            stream.write_all(&[b' '; 8192])?;
            counted.fetch_add(8192, Ordering::Relaxed);
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _: std::io::Result<()> = answer(stream.unwrap());
        }
    });
    (url, sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_clear_is_known_however_its_scheme_is_written() {
        for (url, expected) in
            [("http://a:1", true), ("HTTP://a", true), ("https://a", false), ("a:80", false), ("", false)]
        {
            assert_eq!(is_in_clear(url), expected, "{url}");
        }
    }
}
