//! Senders that mean no good: they take connections and give nothing, or send what costs more than it says. The bridge goes on
//! answering others, and its memory stays.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::bridge::{Bridge, SOON, Setup};
use crate::support::sender::Line;
use crate::support::{eventually, skip};
use crate::tls::{section, tools};

const DEAL: &str = r#"{"event_key":"deal.updated","payload":{"id":"00000000-0000-4000-8000-0000000000d1"}}"#;

/// Resident memory in KiB.
pub(crate) fn memory(bridge: &Bridge) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn ten_thousand_idle_connections_hold_nobody_up() {
    const CONNECTIONS: usize = 10_000;
    // Of this process, which other tests share; the bridge sees to its own.
    let limit = getrlimit(Resource::Nofile);
    let Ok(()) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) else { unreachable!() };
    if limit.maximum.is_some_and(|files| files < 13_000) {
        return skip("10,000 idle connections", "too few open files are allowed", "raise the limit: ulimit -Hn 20000");
    }
    let mut setup = Setup::new("idle-many");
    // A busy machine takes a while to open them.
    setup.http += "header_timeout = \"60s\"\n";
    // As a shell starts it: with room for a thousand files, until it asks for more.
    setup.runner = ["sh", "-c", "ulimit -Sn 1024; exec \"$@\"", "sh"].map(str::to_owned).to_vec();
    let bridge = setup.start();
    assert_eq!(bridge.deliver("wegly", DEAL).status, 200);
    let before = memory(&bridge);
    let mut idle = Vec::with_capacity(CONNECTIONS);
    while idle.len() < CONNECTIONS {
        match TcpStream::connect(bridge.http) {
            Ok(stream) => idle.push(stream),
            Err(error) => panic!("after {}: {error}", idle.len()),
        }
    }
    let open = || bridge.metric("hookbridge_http_connections") >= CONNECTIONS as u64;
    eventually("all are open", SOON, || open().then_some(()));
    for _ in 0..10 {
        assert_eq!(bridge.deliver("wegly", DEAL).status, 200);
    }
    let each = (memory(&bridge).saturating_sub(before)) * 1024 / CONNECTIONS as u64;
    assert!(each < 16 << 10, "{each} bytes each");
    // A byte each, of a request that never comes.
    for stream in &mut idle {
        stream.write_all(b"P").unwrap();
    }
    assert_eq!(bridge.deliver("wegly", DEAL).status, 200);
    let each = (memory(&bridge).saturating_sub(before)) * 1024 / CONNECTIONS as u64;
    assert!(each < 32 << 10, "{each} bytes each");
    drop(idle);
    eventually("all are closed", SOON, || (bridge.metric("hookbridge_http_connections") < 10).then_some(()));
}

#[test]
fn a_compressed_body_is_not_unpacked_and_an_endless_one_not_kept() {
    let mut setup = Setup::new("bomb");
    setup.http += "max_body_bytes = \"1 MiB\"\n";
    let bridge = setup.start();
    let before = memory(&bridge);
    let token = ("x-n8n-api-key", crate::support::sender::TOKEN);
    for encoding in ["gzip", "deflate", "br", "zstd", "identity, gzip"] {
        let headers = [token, ("content-type", "application/json"), ("content-encoding", encoding)];
        let answer = crate::support::sender::post(bridge.http, "/webhooks/whazing", &headers, &[0x1f, 0x8b, 8, 0]);
        assert_eq!(answer.sum(), (415, "unsupported_media_type".into()), "{encoding}");
    }
    for _ in 0..8 {
        let mut line = Line::open(bridge.http);
        let headers = [token, ("content-type", "application/json"), ("transfer-encoding", "chunked")];
        line.head("POST", "/webhooks/whazing", &headers);
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000)).into_bytes();
        let sent = (0..1024).take_while(|_| line.send(&chunk).is_ok()).count();
        assert!(sent < 200, "{sent} chunks of 64 KiB were taken");
    }
    let grown = memory(&bridge).saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB");
    assert_eq!(bridge.deliver("wegly", DEAL).status, 200);
}

/// A connection with TLS that takes any certificate, and asks for the protocol `alpn` as TLS spells it; None when it is refused.
pub(crate) fn connect(to: SocketAddr, alpn: &[u8]) -> Option<SslStream<TcpStream>> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_alpn_protos(alpn).unwrap();
    let stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream.set_nodelay(true).unwrap();
    builder.build().connect("localhost", stream).ok()
}

/// A connection that speaks HTTP/2 by hand.
pub(crate) struct H2(SslStream<TcpStream>);

impl H2 {
    pub(crate) fn open(to: SocketAddr) -> H2 {
        H2::try_open(to).expect("a connection of HTTP/2")
    }

    /// None when it is closed before it begins.
    pub(crate) fn try_open(to: SocketAddr) -> Option<H2> {
        let mut stream = connect(to, b"\x02h2")?;
        assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").ok()?;
        let mut h2 = H2(stream);
        h2.send(&frame(4, 0, 0, &[])).ok()?;
        Some(h2)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Waits until everything that was sent has been dealt with, or the connection is closed, or stays silent for a while.
    pub(crate) fn settle(&mut self) {
        const MARK: &[u8; 8] = b"settled?";
        if self.send(&frame(6, 0, 0, MARK)).is_err() {
            return;
        }
        let _ = self.0.get_ref().set_read_timeout(Some(Duration::from_millis(200)));
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = self.0.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            if bytes.windows(MARK.len()).any(|window| window == MARK) {
                return;
            }
        }
    }

    /// The next frame: its kind, its flags, its stream and what it holds.
    fn frame(&mut self) -> (u8, u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).expect("a frame");
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload).expect("the rest of a frame");
        (kind, flags, u32::from_be_bytes(stream), payload)
    }

    /// Reads until the answer on `stream` has ended, and nothing before that which ends it otherwise.
    fn answer(&mut self, stream: u32) {
        loop {
            let (kind, flags, of, payload) = self.frame();
            assert!(![3, 7].contains(&kind), "frame {kind} on {of}: {payload:?}");
            if (of, flags & 1) == (stream, 1) {
                return;
            }
        }
    }

    /// Reads to the end of the connection; gives the error codes of the frames that end it.
    fn goaways(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        let (mut at, mut codes) = (0, Vec::new());
        while let Some(&[a, b, c, kind, _, _, _, _, _]) = bytes[at..].first_chunk::<9>() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some(payload) = bytes.get(at + 9..at + 9 + length) else { break };
            if kind == 7 {
                codes.push(payload[7]);
            }
            at += 9 + length;
        }
        codes
    }
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of a delivery without a signature: `:method POST`, `:scheme https`, `:authority b`, `:path /webhooks/wegly`
/// (RFC 7541: from the static table, or literal).
pub(crate) fn head() -> Vec<u8> {
    let path = b"/webhooks/wegly";
    [&[0x83, 0x87, 0x01, 1, b'b', 0x04, path.len() as u8], &path[..]].concat()
}

/// A header in the words of RFC 7541, that no table keeps.
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// A bridge behind TLS, with what `tls.rs` needs; with lines for the sections `http` and of the last source.
pub(crate) fn behind_tls(test: &str, http: &str, last_source: &str) -> Option<(Bridge, tempfile::TempDir)> {
    let (folder, _) = tools("HTTP/2 by hand")?;
    let mut setup = Setup::new(test);
    setup.http += http;
    setup.http += &section(folder.path(), "server");
    setup.sources += last_source;
    Some((setup.start(), folder))
}

#[test]
fn a_stream_of_http_2_that_is_cut_off_is_no_event_whatever_it_says() {
    let Some((bridge, _folder)) = behind_tls("h2-cut", "", "") else { return };
    let refused = || bridge.metric("hookbridge_http_requests_total{code=\"bad_request\"}");
    let token = crate::support::sender::TOKEN;
    let path = format!("/webhooks/whazing/{token}");
    let mut head = [&[0x83, 0x87, 0x01, 1, b'b', 0x04, path.len() as u8], path.as_bytes()].concat();
    head.extend(literal("content-type", "application/json"));
    let with_length = [head.clone(), literal("content-length", "500")].concat();
    let mut count = 0;
    for head in [head, with_length] {
        // NO_ERROR, CANCEL: the one is no better than the other.
        for code in [0, 8] {
            let mut h2 = H2::open(bridge.http);
            h2.send(&frame(1, 0x4, 1, &head)).unwrap();
            h2.send(&frame(0, 0, 1, br#"{"messageId":"cut","fromMe":false,"ticket":{"id":"#)).unwrap();
            thread::sleep(Duration::from_millis(200));
            h2.send(&frame(3, 0, 1, &[0, 0, 0, code])).unwrap();
            count += 1;
            eventually("it is refused", SOON, || (refused() == count).then_some(()));
        }
    }
    let dead = bridge.metric("hookbridge_dead_letters_total{reason=\"malformed_json\",source=\"whazing\"}");
    assert_eq!(dead, 0);
}

#[test]
fn a_refused_stream_of_http_2_is_answered_before_it_is_left() {
    // Less than the first window of a stream: no frame has to wait for a word of the other side.
    const LENGTH: usize = 60_000;
    let Some((bridge, _folder)) = behind_tls("h2-refused", "body_timeout = \"2s\"\n", "") else { return };
    let mut h2 = H2::open(bridge.http);
    // A body that its sender goes on with when the answer is there: nothing breaks it.
    h2.send(&frame(1, 0x4, 1, &head())).unwrap();
    h2.answer(1);
    for _ in 0..LENGTH / 10_000 {
        h2.send(&frame(0, 0, 1, &[b' '; 10_000])).unwrap();
    }
    h2.send(&frame(0, 1, 1, b"")).unwrap();
    // One that does not end: its stream does, without an error (RFC 9113, 8.1).
    h2.send(&frame(1, 0x4, 3, &head())).unwrap();
    h2.answer(3);
    let ended = std::iter::repeat_with(|| h2.frame()).find(|(kind, ..)| [3, 7].contains(kind)).unwrap();
    assert_eq!(ended, (3, 0, 3, vec![0; 4]), "RST_STREAM with NO_ERROR");
    h2.send(&frame(1, 0x5, 5, &head())).unwrap();
    h2.answer(5);
    // One that says that it is far too large, and is read on for a while behind its answer.
    let path = format!("/webhooks/whazing/{}", crate::support::sender::TOKEN);
    let mut large = [&[0x83, 0x87, 0x01, 1, b'b', 0x04, path.len() as u8], path.as_bytes()].concat();
    large.extend(literal("content-type", "application/json"));
    large.extend(literal("content-length", "99999999"));
    h2.send(&frame(1, 0x4, 7, &large)).unwrap();
    h2.answer(7);
    h2.send(&[frame(0, 0, 7, &[b' '; 10_000]), frame(6, 0, 0, b"still on")].concat()).unwrap();
    let next = std::iter::repeat_with(|| h2.frame()).find(|(kind, ..)| [3, 6, 7].contains(kind)).unwrap();
    assert_eq!(next, (6, 1, 0, b"still on".to_vec()), "the answer to the ping, not the end of the stream");
}

#[test]
fn a_sender_that_closes_its_side_of_tls_gets_its_answer() {
    let Some((bridge, _folder)) = behind_tls("tls-half", "", "") else { return };
    for (token, status) in [(crate::support::sender::TOKEN, 202), ("wrong", 401)] {
        let mut stream = connect(bridge.http, b"\x08http/1.1").unwrap();
        let headers = format!("x-n8n-api-key: {token}\r\ncontent-type: application/json\r\ncontent-length: 2");
        stream
            .write_all(format!("POST /webhooks/whazing HTTP/1.1\r\nhost: b\r\n{headers}\r\n\r\n{{}}").as_bytes())
            .unwrap();
        // A word of TLS that nothing more comes, and one of TCP.
        stream.shutdown().unwrap();
        stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(crate::support::sender::read_answer(&mut stream).expect("an answer").status, status);
    }
}

#[test]
fn a_peer_that_says_nothing_does_not_hold_a_shutdown_up() {
    let Some((mut bridge, _folder)) = behind_tls("h2-end", "", "") else { return };
    let silent = [H2::open(bridge.http), H2::open(bridge.http)];
    eventually("they are there", SOON, || (bridge.metric("hookbridge_http_connections") == 2).then_some(()));
    let began = std::time::Instant::now();
    bridge.terminate();
    bridge.wait_end();
    assert!(began.elapsed() < Duration::from_secs(10), "half of shutdown_timeout: {:?}", began.elapsed());
    drop(silent);
}

#[test]
fn http_2_connections_that_only_cost_are_closed_and_others_are_served() {
    let Some((bridge, folder)) = behind_tls("h2-doors", "idle_timeout = \"2s\"\n", "") else { return };
    let before = memory(&bridge);
    let answered = |what: &str| {
        let ca = folder.path().join("ca.pem");
        assert_eq!(crate::tls::curl(bridge.http.port(), &ca, &[]).0, "2 200", "{what}");
    };

    // Requests that are taken back as soon as they are sent (CVE-2023-44487).
    let mut resets = H2::open(bridge.http);
    let sent = (0..100_000_u32).take_while(|n| {
        let stream = 2 * n + 1;
        resets.send(&[frame(1, 0x4, stream, &head()), frame(3, 0, stream, &[0, 0, 0, 8])].concat()).is_ok()
    });
    let sent = sent.count();
    let codes = resets.goaways();
    assert!(codes.contains(&0xb) || sent < 100_000, "{sent} sent, {codes:?}: expected ENHANCE_YOUR_CALM");
    answered("after resets");

    // A head that never ends (CVE-2024-27983): CONTINUATION after CONTINUATION.
    let mut endless = H2::open(bridge.http);
    endless.send(&frame(1, 0, 1, &head())).unwrap();
    // A literal, whose value has 127 + (120 << 7) bytes: near the 16 KiB that a frame may have.
    let header = [&[0x00, 1, b'x', 0x7f, 0x80, 0x78][..], &vec![b'a'; 15_487]].concat();
    let sent = (0..10_000).take_while(|_| endless.send(&frame(9, 0, 1, &header)).is_ok()).count();
    let codes = endless.goaways();
    assert!(sent < 10_000 && codes.iter().all(|code| *code == 0xb), "15 KiB each, {sent} of them: {codes:?}");
    answered("after an endless head");

    // More streams at once than are allowed are refused, not served.
    let mut many = H2::open(bridge.http);
    for n in 0..500 {
        if many.send(&frame(1, 0x4, 2 * n + 1, &head())).is_err() {
            break;
        }
    }
    answered("beside many streams");
    drop(many);

    // One that says nothing more is closed like any idle connection, also with its head half there.
    for more in [Vec::new(), frame(1, 0, 1, &head())] {
        let mut silent = H2::open(bridge.http);
        silent.send(&more).unwrap();
        silent.goaways();
    }
    let grown = memory(&bridge).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
    thread::sleep(Duration::from_millis(100));
    answered("at the end");
}
