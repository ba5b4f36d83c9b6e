//! What `send` posts, to whom, and what it says of answers that are none.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use crate::dev::Dev;
use crate::support::bridge::{Setup, words};
use crate::support::java::free_port;
use crate::tls::{section, tools};

const DEAL: &str = r#"{"event_key":"deal.updated", "payload":{"id":"00000000-0000-4000-8000-0000000000d1"} }"#;

#[test]
fn a_body_of_ones_own_is_signed_and_posted_as_it_is() {
    let bridge = Setup::new("send-body").start();
    let setup = &bridge.setup;
    let url = format!("http://{}", bridge.http);
    let file = setup.dir.path().join("own.json");
    fs::write(&file, format!("{DEAL}\n")).unwrap();
    let sent = setup.run(&["send", "wegly", "--url", &url, "--body", file.to_str().unwrap()]);
    assert_eq!(sent.status.code(), Some(0), "{}", words(&sent));
    let id = crate::support::sender::event_id("wegly", format!("{DEAL}\n").as_bytes());
    let line = format!("{id} deal.updated {} published\n", bridge.topic("wegly.deal"));
    assert!(words(&sent).starts_with(&line), "{}", words(&sent));

    let mut child = Command::new(env!("CARGO_BIN_EXE_hookbridge"))
        .args(["send", "whazing", "--body", "-", "--url", &url, "--config"])
        .arg(setup.write())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"no json").unwrap();
    let letter = child.wait_with_output().unwrap();
    assert_eq!(letter.status.code(), Some(0), "{}", words(&letter));
    let id = crate::support::sender::event_id("whazing", b"no json");
    let line = format!("{id} - {} dead_lettered malformed_json\n", bridge.topic("hookbridge.dead-letters"));
    assert!(words(&letter).starts_with(&line), "{}", words(&letter));
}

/// The exit code, and what is said on standard error.
fn ended(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn an_answer_that_is_no_acceptance_comes_with_its_remedy() {
    let bridge = Setup::new("send-remedies").start();
    let (setup, url) = (&bridge.setup, format!("http://{}", bridge.http));
    let nobody = format!("http://127.0.0.1:{}", free_port());
    // It takes connections, and says nothing that is HTTP.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let of_mute = format!("http://{}", mute.local_addr().unwrap());
    std::thread::spawn(move || mute.incoming().for_each(drop));
    for (args, code, expected) in [
        (&["wegly", "--secret", "wrong"][..], 1, &["401 unauthorized", "--secret"][..]),
        (&["nobody", "--profile", "wegly", "--secret", "x"], 1, &["404 unknown_source", "no source nobody"]),
        (&["nobody"], 64, &["unknown profile nobody"]),
        (&["wgely"], 64, &["unknown profile wgely", "did you mean wegly?"]),
        (&["wegly", "deal.wno"], 64, &["unknown event type deal.wno: did you mean deal.won?"]),
        (&["other", "--profile", "wegly"], 64, &["has no source other, expected one of", "--secret"]),
        (&["wegly", "--url", &nobody], 69, &[&*nobody, "connection refused", "hookbridge serve", "--url"]),
        (&["wegly", "--count", "500", "--url", &nobody], 69, &["connection refused"]),
        (&["wegly", "--url", "127.0.0.1:8080"], 64, &["expected an address such as http://127.0.0.1:8080"]),
        (&["wegly", "--url", "http://no-such-host.invalid"], 69, &["no-such-host.invalid", "check the host name"]),
        (&["wegly", "--url", &of_mute], 69, &["ended without an answer"]),
        (&["wegly", "--url", &url.replace("http", "https")], 69, &["does not speak TLS", "http://"]),
        (&["wegly", "--url", &format!("{url}/elsewhere")], 1, &["404 not_found", "nothing there accepts webhooks"]),
        (&["wegly", "--body", "no-such-file"], 64, &["--body no-such-file: No such file"]),
        (&["wegly", "-H", "no header"], 64, &["expected `name: value`"]),
    ] {
        let own_url = if args.contains(&"--url") { &[][..] } else { &["--url", &url] };
        let (ended_with, said) = ended(&setup.run(&[&["send"], args, own_url].concat()));
        assert_eq!(ended_with, Some(code), "{args:?}: {said}");
        assert!(expected.iter().all(|words| said.contains(words)), "{args:?}: {said}");
    }
}

#[test]
fn the_address_behind_tls_is_that_of_the_configuration_and_its_certificate_is_trusted() {
    let Some((folder, ca)) = tools("send to a bridge with TLS") else { return };
    let mut setup = Setup::new("send-tls");
    let port = free_port();
    setup.ports[0] = port;
    setup.http += &section(folder.path(), "server");
    let bridge = setup.start();
    let setup = &bridge.setup;
    // The certificate is not its own authority, so that has to be named.
    let (code, said) = ended(&setup.run(&["send", "wegly", "deal.won", "--ca-file", ca.to_str().unwrap()]));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = ended(&setup.run(&["send", "wegly", "deal.won", "--url", &format!("http://127.0.0.1:{port}")]));
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("https://"), "{said}");
}

#[test]
fn a_load_has_a_sum_and_a_few_have_a_line_each() {
    let dev = Dev::start();
    let text = |args: &[&str]| String::from_utf8_lossy(&dev.send(args).stdout).into_owned();
    let few = text(&["wegly", "--count", "3"]);
    assert_eq!(few.lines().filter(|line| line.ends_with(" published")).count(), 3, "{few}");
    assert!(few.contains("\nsent 3 in "), "{few}");
    let many = text(&["wegly", "--count", "21"]);
    assert!(many.starts_with("sent 21 in "), "{many}");
}
