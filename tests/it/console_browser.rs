//! The console as people have it: the page in a headless Chromium, driven through `chromedriver` (`WebDriver` over HTTP).
//!
//! With `HOOKBRIDGE_TEST_SHOTS=<folder>` it leaves pictures of what it saw there, to be looked at. With
//! `HOOKBRIDGE_TEST_AXE=<axe.min.js>` (from the npm package `axe-core`) it looks for barriers, too, and must find none.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{fs, thread};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bridge::{Bridge, SOON, Setup};
use crate::support::java::free_port;
use crate::support::sender::{self, Line};
use crate::support::{eventually, say, variable};

const PHONE: (u32, u32) = (390, 844);
const SMALL_PHONE: (u32, u32) = (360, 800);
const DESKTOP: (u32, u32) = (1280, 900);

/// A browser with one page.
struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: TempDir,
}

impl Browser {
    /// `None` where there is no Chromium with its driver.
    fn start() -> Option<Browser> {
        let port = free_port();
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(driver) = driver.spawn() else {
            say(
                "SKIPPED the console in a browser: no chromedriver; to enable it, install chromium and chromium-driver",
            );
            return None;
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let profile = TempDir::new().unwrap();
        let mut browser = Browser { driver, address, session: String::new(), profile };
        eventually("chromedriver listens", SOON, || std::net::TcpStream::connect(address).ok());
        let profile = format!("--user-data-dir={}", browser.profile.path().display());
        let args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
        let args: Vec<_> = args.into_iter().chain(["--disable-background-networking", &profile]).collect();
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": args }, "goog:loggingPrefs": { "browser": "ALL" } } } });
        let session = browser.call("POST", "/session", &wanted);
        session["sessionId"].as_str().unwrap_or_else(|| panic!("{session}")).clone_into(&mut browser.session);
        Some(browser)
    }

    /// A command of the protocol; its value.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut line = Line::open(self.address);
        let (host, length) = (self.address, body.len());
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n");
        line.send(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let answer = line.answer().expect("chromedriver answers");
        let mut value: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer.status, 200, "{method} {path}: {value}");
        value["value"].take()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{path}", self.session), body)
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": params }))
    }

    fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What axe finds, if it is there.
    fn assert_no_barrier(&self, at: &str) {
        let Some(axe) = variable("HOOKBRIDGE_TEST_AXE") else { return };
        let axe = fs::read_to_string(axe).unwrap();
        let script = format!(
            "{axe}; const done = arguments[arguments.length - 1];
             axe.run().then((found) => done(found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)])),
                            (error) => done(String(error)));"
        );
        let found = self.post("execute/async", &json!({ "script": script, "args": [] }));
        assert_eq!(found, json!([]), "{at}");
    }

    fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({selector:?}).innerText"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Types on the keyboard, whatever has the focus.
    fn keys(&self, keys: &[&str]) {
        let presses =
            keys.iter().flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })));
        let presses: Vec<_> = presses.collect();
        self.post("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": presses }] }));
    }

    fn look(&self, (width, height): (u32, u32), scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &scheme);
    }

    /// A picture of the whole page, for `folder`.
    fn shot(&self, folder: &Path, name: &str) {
        let whole = json!({ "captureBeyondViewport": true, "format": "png" });
        let shot = self.devtools("Page.captureScreenshot", &whole);
        let png = base64::prelude::BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(name), png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Some events of every outcome.
fn deliver(bridge: &Bridge) {
    for n in 0..12 {
        let id = format!("00000000-0000-4000-8000-0000000000{n:02}");
        let body = format!(r#"{{"event_key":"lead.won","payload":{{"lead":{{"id":"{id}"}},"new_field":1}}}}"#);
        assert_eq!(bridge.deliver("wegly", body).status, 200);
    }
    assert_eq!(bridge.deliver("wegly", "[]").status, 202);
    assert_eq!(sender::post(bridge.http, "/webhooks/wegly", &[], b"{}").status, 401);
}

#[test]
fn the_console_is_live_usable_by_keyboard_and_fits_a_phone() {
    let Some(browser) = Browser::start() else { return };
    let bridge = Setup::new("console-browser").start();
    browser.look(DESKTOP, "light");
    browser.post("url", &json!({ "url": format!("http://{}/", bridge.admin) }));
    eventually("it is live", SOON, || (browser.text("#live") == "live").then_some(()));
    assert_eq!(browser.text("#ready"), "ready");
    assert_eq!(browser.text("#dead-none"), "None since the start.");
    eventually("all is well", SOON, || (browser.text("#level") == "OK").then_some(()));
    assert_eq!(browser.text("#verdict-text"), "No trouble");

    // What happens shows up by itself.
    deliver(&bridge);
    eventually("the deliveries are shown", SOON, || {
        let row = browser.text("#type-rows tr[data-key='wegly lead.won']");
        (row.contains("12") && row.contains("ago")).then_some(())
    });
    assert!(browser.text("#dead-rows").contains("unknown_type"));
    assert!(browser.text("#dead-rows").contains("hookbridge dead-letters replay --id "));
    assert_eq!(browser.text("#level"), "WARNING");
    assert!(
        browser.text("#trouble-list").contains("requests of wegly refused: missing")
            || browser.text("#trouble-list").contains("1 request of wegly refused: missing")
    );
    assert!(browser.text("#refused-rows").contains("401"));
    assert!(browser.text("#answers").contains("unauthorized"));
    eventually("there is a plot", SOON, || {
        let path = browser.run("return document.querySelector('path.first').getAttribute('d')");
        path.as_str().is_some_and(|path| path.starts_with('M')).then_some(())
    });

    // A plot says what it was at a moment, by pointer and by keyboard.
    browser.run("document.querySelector('svg').focus()");
    browser.keys(&["\u{E012}"]);
    assert!(browser.text(".readout").contains("/s"), "{}", browser.text(".readout"));
    browser.keys(&["\u{E00C}"]);
    assert_eq!(browser.text(".readout"), "");
    let hover = "const svg = document.querySelector('svg'), box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent('pointermove', { clientX: box.right - 1, clientY: box.top + 9 }))";
    browser.run(hover);
    assert!(browser.text(".readout").contains("/s"), "{}", browser.text(".readout"));

    // By keyboard: the filter, then the catalog.
    browser.keys(&["/", "l", "e", "a", "d", ".", "w", "o", "n"]);
    assert_eq!(browser.run("return document.activeElement.id"), "filter");
    let shown = || browser.run("return document.querySelectorAll('#events > details:not([hidden])').length");
    assert_eq!(browser.run("return document.getElementById('type-rows').children.length"), 1);
    assert_eq!(shown(), 1);
    browser.run("document.querySelector('#events > details:not([hidden]) summary').focus()");
    browser.keys(&["\u{E007}"]);
    eventually("the record's fields are shown", SOON, || {
        browser.text("#events > details[open]").contains("Record wegly.LeadWon").then_some(())
    });

    // A field may be called anything: it is text.
    browser.run(
        "state.drift = [{ source: 'wegly', type: 'lead.won', field: '<img src=x onerror=\"document.title=1\">', count: 3 }]; others()",
    );
    assert!(browser.text("#drift-rows").contains("<img src=x onerror="), "{}", browser.text("#drift-rows"));
    assert_eq!(browser.run("return document.images.length"), 0);

    let pictures = variable("HOOKBRIDGE_TEST_SHOTS");
    for (size, scheme, name) in [
        (DESKTOP, "light", "desktop-light.png"),
        (DESKTOP, "dark", "desktop-dark.png"),
        (PHONE, "light", "phone-light.png"),
        (PHONE, "dark", "phone-dark.png"),
        (SMALL_PHONE, "light", "small-phone-light.png"),
    ] {
        browser.look(size, scheme);
        let wide = browser.run("return document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= u64::from(size.0), "{name}: {wide} wide");
        let top =
            browser.run("return document.querySelector('#trouble-list li').getBoundingClientRect().top + scrollY");
        assert!(top.as_f64().unwrap() < f64::from(size.1), "{name}: troubles begin at {top}, below the first screen");
        browser.assert_no_barrier(name);
        let back = browser.run("return getComputedStyle(document.body).backgroundColor");
        let dark = back.as_str().unwrap().trim_start_matches("rgb(").starts_with("15,");
        assert_eq!(dark, scheme == "dark", "{back}");
        if let Some(folder) = &pictures {
            browser.shot(Path::new(folder), name);
        }
    }

    // Nothing was refused by the policy, and nothing went wrong.
    let complaints = browser.post("se/log", &json!({ "type": "browser" }));
    assert_eq!(complaints, json!([]));
    drop(bridge);
    eventually("it says that the connection is lost", SOON, || {
        (browser.text("#live") == "connection lost, trying again").then_some(())
    });
    assert!(browser.text("#lost").starts_with("Connection lost since "), "{}", browser.text("#lost"));
    assert_eq!(browser.text("#level"), "UNKNOWN");
    let colour =
        |selector: &str| browser.run(&format!("return getComputedStyle(document.querySelector({selector:?})).color"));
    assert_eq!(colour("#type-rows th"), colour(".none"), "what is known no more is grey");
    browser.assert_no_barrier("connection lost");
}
