//! The admin listener in the face of web pages: it has no password, and a browser goes wherever a page sends it.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::support::bridge::Setup;
use crate::support::sender::{Answer, Line};

/// The answer to a GET with exactly these headers.
fn get(admin: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    let mut line = Line::open(admin);
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    line.stream.write_all(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
    line.answer().unwrap_or_else(|| panic!("no answer to {path} with {headers}"))
}

const PATHS: [&str; 6] = ["/", "/livez", "/readyz", "/metrics", "/console/catalog.json", "/nothing"];

#[test]
fn only_addresses_and_names_that_no_stranger_can_have_lead_to_the_admin_listener() {
    let mut setup = Setup::new("admin-names");
    setup.runner = ["env", "HOOKBRIDGE__ADMIN__HOSTS=bridge.example.com,other.example.com"].map(String::from).to_vec();
    let bridge = setup.start();
    let port = bridge.admin.port();
    for path in PATHS {
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example"] {
            let answer = get(bridge.admin, path, &[&format!("Host: {host}:{port}")]);
            assert_eq!(answer.sum(), (421, "unknown_host".into()), "{host}{path}");
            assert!(!answer.body.contains("wegly"), "{}", answer.body);
        }
        for host in ["127.0.0.1", "[::1]", "localhost", "hookbridge", "bridge.example.com", "other.example.com"] {
            let answer = get(bridge.admin, path, &[&format!("Host: {host}:{port}")]);
            assert_eq!(answer.status, if path == "/nothing" { 404 } else { 200 }, "{host}{path}");
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{host}{path}");
        }
    }
    // In absolute form the line's name counts.
    let answer = get(bridge.admin, &format!("http://evil.example:{port}/readyz"), &["Host: localhost"]);
    assert_eq!(answer.sum(), (421, "unknown_host".into()));
}

#[test]
fn a_page_of_another_site_takes_no_place_of_those_who_look() {
    let bridge = Setup::new("admin-streams").start();
    let host = format!("Host: {}", bridge.admin);
    let own = format!("Origin: http://{}", bridge.admin);
    let own = own.as_str();
    let foreign: [&[&str]; 5] = [
        &["Origin: http://evil.example"],
        &["Origin: null"],
        &["Sec-Fetch-Site: cross-site"],
        &["Sec-Fetch-Site: same-site"],
        &[own, "Sec-Fetch-Site: cross-site"],
    ];
    for foreign in foreign {
        let answers: Vec<_> =
            (0..9).map(|_| get(bridge.admin, "/console/events", &[&[&host[..]], foreign].concat()).sum()).collect();
        assert!(answers.iter().all(|sum| *sum == (403, "other_origin".into())), "{foreign:?}: {answers:?}");
    }
    let wanted: [&[&str]; 4] = [&[], &[own], &[own, "Sec-Fetch-Site: same-origin"], &["Sec-Fetch-Site: none"]];
    for wanted in wanted {
        let answer = get(bridge.admin, "/console/events", &[&[&host[..]], wanted].concat());
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{wanted:?}");
    }
}
