//! TLS on the webhook listener, as a client that nobody here wrote sees it (curl), and HTTP/2 behind it.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::bridge::{SOON, Setup, words};
use crate::support::java;
use crate::support::sender::{SECRET, hex, mac};
use crate::support::{assert_in_time, eventually, skip};

const DEAL: &str = r#"{"event_key":"deal.updated","payload":{"id":"00000000-0000-4000-8000-0000000000d1"}}"#;

/// A folder with certificates: those of `certificates.sh`.
pub(crate) fn certificates() -> Result<tempfile::TempDir, String> {
    let folder = tempfile::tempdir().expect("a directory");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/certificates.sh");
    java::run(Command::new("sh").arg(script).arg(folder.path()))?;
    Ok(folder)
}

/// The section for the certificate `name` of `folder`.
pub(crate) fn section(folder: &Path, name: &str) -> String {
    let file = |kind: &str| folder.join(format!("{name}.{kind}")).display().to_string();
    format!("[http.tls]\ncertificate_file = {:?}\nkey_file = {:?}\n", file("crt"), file("key"))
}

/// What curl says to a delivery: version of HTTP, status, and its own words.
pub(crate) fn curl(port: u16, ca: &Path, more: &[&str]) -> (String, String) {
    let signature = hex(&mac(SECRET, DEAL.as_bytes()));
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "--cacert"])
        .arg(ca)
        .args(["-H", "content-type: application/json", "-H", &format!("x-wegly-signature: {signature}")])
        .args(["--data-raw", DEAL])
        .args(more)
        .arg(format!("https://127.0.0.1:{port}/webhooks/wegly"))
        .output()
        .expect("curl runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A folder with certificates, and the file of their authority; `None` when `test` has to do without, which is said.
pub(crate) fn tools(test: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    let missing = |why: &str| skip(test, why, "install openssl and curl");
    let curl = Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    if !curl.is_ok_and(|status| status.success()) {
        missing("no curl");
        return None;
    }
    let folder = certificates().inspect_err(|why| missing(why)).ok()?;
    let ca = folder.path().join("ca.pem");
    Some((folder, ca))
}

#[test]
fn behind_tls_deliveries_are_taken_over_http_1_1_and_2_and_nothing_else_gets_in() {
    let Some((folder, ca)) = tools("TLS on the webhook listener") else { return };
    let mut setup = Setup::new("tls");
    setup.http += "header_timeout = \"4s\"\n";
    setup.http += &section(folder.path(), "server");
    let checked = words(&setup.run(&["check"]));
    assert!(checked.contains("ok     http.tls.certificate_file"), "{checked}");
    let bridge = setup.start();
    let port = bridge.http.port();
    for (version, flag) in [("2", "--http2"), ("1.1", "--http1.1"), ("2", "--tlsv1.3"), ("2", "--tls-max=1.2")] {
        let flags = flag.split('=').collect::<Vec<_>>();
        assert_eq!(curl(port, &ca, &flags).0, format!("{version} 200"), "{flag}");
    }
    // A refusal before the body is read reaches the sender all the same, each time.
    for _ in 0..10 {
        assert_eq!(curl(port, &ca, &["-H", "x-wegly-signature: 00"]).0, "2 401", "twice the header");
        assert_eq!(curl(port, &ca, &["-H", "content-encoding: gzip"]).0, "2 415");
        assert_eq!(curl(port, &ca, &["-X", "PUT"]).0, "2 405");
        assert_eq!(curl(port, &ca, &["--request-target", "/x"]).0, "2 404");
    }
    assert_eq!(curl(port, &folder.path().join("others.pem"), &[]).0, "0 000", "of another authority");
    let (code, why) = curl(port, &ca, &["--tls-max", "1.1"]);
    assert_eq!(code, "0 000", "an old version is not spoken: {why}");

    // Neither plain HTTP nor a handshake that never comes is waited for.
    let plain = Command::new("curl").args(["-sS", "--max-time", "5", &format!("http://127.0.0.1:{port}/")]).output();
    assert!(!plain.unwrap().status.success());
    let silent = TcpStream::connect(bridge.http).unwrap();
    silent.set_read_timeout(Some(SOON)).unwrap();
    let began = Instant::now();
    assert_eq!(std::io::Read::read(&mut &silent, &mut [0]).unwrap_or(0), 0, "closed");
    assert_in_time(began, Duration::from_secs(4));
    eventually("failed handshakes are counted", SOON, || {
        (bridge.metric("hookbridge_tls_handshake_failures_total") >= 4).then_some(())
    });
    let ends_at = bridge.metric("hookbridge_tls_certificate_not_after_seconds");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((29 * 86_400..=30 * 86_400).contains(&(ends_at - now)), "{ends_at}");
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start_and_is_named() {
    let Some((folder, _)) = tools("certificates that are no good") else { return };
    let mut setup = Setup::new("tls-bad");
    let good = section(folder.path(), "server");
    fs::write(folder.path().join("empty.crt"), "").unwrap();
    fs::write(folder.path().join("empty.key"), "").unwrap();
    let encrypted = folder.path().join("encrypted.key");
    java::run(
        Command::new("openssl")
            .args(["pkcs8", "-topk8", "-passout", "pass:x", "-out"])
            .arg(&encrypted)
            .arg("-in")
            .arg(folder.path().join("server.key")),
    )
    .unwrap();
    for (text, expected) in [
        (good.replace("server.crt", "missing.crt"), "http.tls.certificate_file: "),
        (good.replace("server.crt", "empty.crt"), "holds no certificate"),
        (good.replace("server.key", "empty.key"), "http.tls.key_file: "),
        (good.replace("server.key", "client.key"), "does not belong to the certificate in http.tls.certificate_file"),
        (good.replace("server.key", "encrypted.key"), "expected a private key in PEM, without a passphrase"),
        (
            "[http.tls]\nkey_file = \"x\"\n".into(),
            "http.tls.certificate_file: missing, but http.tls.key_file is set: set both or neither",
        ),
    ] {
        setup.http = text;
        let output = setup.run(&["serve"]);
        assert_eq!(output.status.code(), Some(78), "{expected}");
        assert!(words(&output).contains(expected), "{expected}: {}", words(&output));
    }
    setup.http = section(folder.path(), "expired");
    let checked = words(&setup.run(&["check"]));
    assert!(checked.contains("FAIL   http.tls.certificate_file: the certificate CN = expired"), "{checked}");
}
