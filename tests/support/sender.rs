//! A sender of webhooks: signs, posts, reads the answer. Written on plain sockets, so that a test can also send what
//! no HTTP library would.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Secret of the source `wegly`, and the one it had before.
pub(crate) const SECRET: &str = "wegly-secret-Zq3v8";
pub(crate) const OLD_SECRET: &str = "wegly-secret-before-Kx71b";
/// Token of the source `whazing`, and the one it had before.
pub(crate) const TOKEN: &str = "whazing-token-Pw92d";
pub(crate) const OLD_TOKEN: &str = "whazing-token-before-Jh44s";

pub(crate) const WEGLY_HEADER: &str = "x-wegly-signature";
pub(crate) const WHAZING_HEADER: &str = "X-N8N-API-KEY";
pub(crate) const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A member of the JSON body.
    pub(crate) fn get(&self, key: &str) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body[key].as_str().unwrap_or_default().to_owned()
    }

    /// `status` and `outcome` or `code`.
    pub(crate) fn sum(&self) -> (u16, String) {
        (self.status, if self.status < 300 { self.get("outcome") } else { self.get("code") })
    }
}

/// The MAC of `body`, 32 bytes.
pub(crate) fn mac(secret: &str, body: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length of key will do");
    mac.chain_update(body).finalize().into_bytes().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The id an event has to have: a `UUIDv8` of SHA-256(source, 0, body), worked out here a second time.
pub(crate) fn event_id(source: &str, body: &[u8]) -> String {
    let mut id = Sha256::digest([source.as_bytes(), &[0], body].concat());
    id[6] = 0x80 | (id[6] & 0x0F);
    id[8] = 0x80 | (id[8] & 0x3F);
    let text = hex(&id[..16]);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// The header that proves who sends to `source`, signature or token.
pub(crate) fn proof(source: &str, body: &[u8]) -> (&'static str, String) {
    if source.starts_with("whazing") { (WHAZING_HEADER, TOKEN.into()) } else { (WEGLY_HEADER, hex(&mac(SECRET, body))) }
}

/// Posts an authentic JSON body to `source`, which is `wegly...` or `whazing...`.
pub(crate) fn deliver(to: SocketAddr, source: &str, body: &[u8]) -> Answer {
    let (name, value) = proof(source, body);
    post(to, &format!("/webhooks/{source}"), &[(name, &value), ("content-type", "application/json")], body)
}

/// Posts with exactly these headers, besides `Host` and `Content-Length`.
pub(crate) fn post(to: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    request(to, "POST", path, headers, body)
}

pub(crate) fn get(to: SocketAddr, path: &str) -> Answer {
    request(to, "GET", path, &[], b"")
}

pub(crate) fn request(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut line = Line::open(to);
    let length = body.len().to_string();
    line.head(method, path, &[headers, &[("content-length", &length), ("connection", "close")]].concat());
    // An answer may come before the body is all out; it is read all the same.
    let _ = line.stream.write_all(body);
    line.answer().unwrap_or_else(|| panic!("no answer to {method} {path}"))
}

/// A connection, for what is sent in pieces.
pub(crate) struct Line {
    pub(crate) stream: TcpStream,
}

impl Line {
    pub(crate) fn open(to: SocketAddr) -> Line {
        let stream = TcpStream::connect(to).expect("the bridge listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        stream.set_write_timeout(Some(TIMEOUT)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Line { stream }
    }

    pub(crate) fn head(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: bridge\r\n{lines}\r\n");
        self.stream.write_all(head.as_bytes()).expect("the head goes out");
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The answer; `None` when the connection ends without one.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        read_answer(&self.stream)
    }
}

/// Reads an answer; `None` when the connection ends without one.
pub(crate) fn read_answer(stream: impl Read) -> Option<Answer> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: String::new() };
    let length = answer.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    answer.body = String::from_utf8(body).ok()?;
    Some(answer)
}
