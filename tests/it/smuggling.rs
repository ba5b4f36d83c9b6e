//! Requests whose end two readers could see in different places: a proxy in front, say, and the bridge. Each is refused, or it
//! is the last one on its connection; so nothing behind it is ever taken for a request.

use std::io::{ErrorKind, Read as _, Write as _};

use crate::support::bridge::Setup;
use crate::support::sender::{Line, TOKEN};

const BODY: &str = r#"{"Type":"NewTicket","ticket":{"id":5}}"#;
/// What must never be read as a request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn what_two_readers_could_read_differently_hides_no_request() {
    let bridge = Setup::new("smuggling").start();
    let (length, chunked) = (BODY.len(), format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()));
    let all = chunked.len();
    let whole = |status: u16, headers: &str, body: &str| (status, headers.to_owned(), body.to_owned());
    for (status, headers, body) in [
        // Two lengths: chunks count, and the connection ends.
        whole(200, "Content-Length: 5\r\nTransfer-Encoding: chunked", &chunked),
        whole(200, &format!("Transfer-Encoding: chunked\r\nContent-Length: {all}"), &chunked),
        whole(400, &format!("Content-Length: {length}\r\nContent-Length: 3"), BODY),
        whole(400, &format!("Content-Length: {length}, {length}"), BODY),
        whole(400, &format!("Content-Length: +{length}"), BODY),
        whole(400, &format!("Content-Length : {length}"), BODY),
        whole(400, "Transfer-Encoding: xchunked", &chunked),
        whole(400, "Transfer-Encoding: chunked, identity", &chunked),
        whole(400, "Transfer-Encoding : chunked", &chunked),
        whole(400, &format!("X-Folded: a\r\n b\r\nContent-Length: {length}"), BODY),
        whole(400, "Transfer-Encoding: chunked", &chunked.replace("\r\n", "\n")),
        whole(400, "Transfer-Encoding: chunked", "ffffffffffffffff1\r\n"),
        whole(400, "Transfer-Encoding: chunked", &format!("-{chunked}")),
    ] {
        let mut line = Line::open(bridge.http);
        let head = format!(
            "POST /webhooks/whazing HTTP/1.1\r\nHost: x\r\nX-N8N-API-KEY: {TOKEN}\r\nContent-Type: application/json\r\n{headers}\r\n\r\n"
        );
        // The bridge may end the connection before it has read all.
        let _ = line.stream.write_all(format!("{head}{body}{SMUGGLED}").as_bytes());
        let mut answers = Vec::new();
        let ended = line.stream.read_to_end(&mut answers);
        let waits = ended.is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(!waits, "{headers}: the connection goes on");
        let answers = String::from_utf8_lossy(&answers);
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{headers}: {answers}");
        assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{headers}: {answers}");
    }
    assert_eq!(bridge.metric("hookbridge_http_requests_total{code=\"not_found\"}"), 0, "nothing was smuggled");
}

#[test]
fn a_path_is_taken_as_it_is_spelled() {
    let bridge = Setup::new("paths").start();
    for path in [
        "/webhooks/./whazing",
        "//webhooks/whazing",
        "/webhooks//whazing",
        "/webhooks/wegly/../whazing",
        "/webhooks/wegly/..%2fwhazing",
        "/webhooks/whazing%00",
        "/webhooks/WHAZING",
        "/webhooks/whazing/",
        "/livez",
    ] {
        let headers = [("X-N8N-API-KEY", TOKEN), ("content-type", "application/json")];
        let answer = crate::support::sender::post(bridge.http, path, &headers, BODY.as_bytes());
        assert!([401, 404].contains(&answer.status), "{path}: {answer:?}");
    }
}
