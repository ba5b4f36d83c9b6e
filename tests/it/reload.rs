//! SIGHUP: new secrets and certificates without a restart, and nothing of a configuration that is wrong.

use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use sha2::{Digest as _, Sha256};

use crate::support::bridge::{SOON, Setup};
use crate::support::registry::StandIn;
use crate::support::sender::{OLD_SECRET, SECRET, TOKEN, WEGLY_HEADER, WHAZING_HEADER, hex, mac, post};
use crate::support::{RUNTIME, eventually};
use crate::tls::{curl, section, tools};

const DEAL: &str = r#"{"event_key":"deal.updated","payload":{"id":"00000000-0000-4000-8000-0000000000d1"}}"#;

/// What an operator gets from `printf %s SECRET | sha256sum | cut -c1-8`.
fn fingerprint(secret: &str) -> String {
    base16ct::lower::encode_string(&Sha256::digest(secret))[..8].to_owned()
}

#[test]
fn a_file_that_a_secret_comes_from_may_be_replaced_in_any_way() {
    let mut bridge = Setup::new("reload-file").start();
    let (file, next) = (bridge.setup.dir.path().join("secret"), bridge.setup.dir.path().join("secret.new"));
    std::fs::write(&file, "the-first-one\n").unwrap();
    bridge.setup.sources = format!("[sources.wegly]\nsecrets = [\"${{file:{}}}\"]\n", file.display());
    bridge.reload("taken_over");
    let signed = |secret: &str| {
        let headers = [(WEGLY_HEADER, &*hex(&mac(secret, DEAL.as_bytes()))), ("content-type", "application/json")];
        post(bridge.http, "/webhooks/wegly", &headers, DEAL.as_bytes()).status
    };
    assert_eq!(signed("the-first-one"), 200);
    // As editors and `mv` do, then in place.
    std::fs::write(&next, "the-second-one").unwrap();
    std::fs::rename(&next, &file).unwrap();
    bridge.reload("taken_over");
    assert_eq!([signed("the-first-one"), signed("the-second-one")], [401, 200]);
    let told = [("added", "the-second-one"), ("removed", "the-first-one")];
    for (what, secret) in told {
        let changed = bridge.reloaded();
        assert!(changed.contains(&format!("{what} {}", fingerprint(secret))), "{what} {secret}: {changed}");
    }
    std::fs::write(&file, "the-third-one").unwrap();
    bridge.reload("taken_over");
    assert_eq!([signed("the-second-one"), signed("the-third-one")], [401, 200]);
}

#[test]
fn secrets_and_tokens_are_replaced_and_a_wrong_configuration_changes_nothing() {
    let mut bridge = Setup::new("reload").start();
    let http = bridge.http;
    let signed = |secret: &str| {
        let headers = [(WEGLY_HEADER, &*hex(&mac(secret, DEAL.as_bytes()))), ("content-type", "application/json")];
        post(http, "/webhooks/wegly", &headers, DEAL.as_bytes()).status
    };
    let with_token = |token: &str| {
        let headers = [(WHAZING_HEADER, token), ("content-type", "application/json")];
        post(http, "/webhooks/whazing", &headers, br#"{"Type":"NewTicket","ticket":{"id":5}}"#).status
    };
    assert_eq!([signed(SECRET), signed(OLD_SECRET), with_token(TOKEN)], [200; 3]);
    let sources = "[sources.wegly]\nsecrets = [\"wegly-secret-Zq3v8\"]\n[sources.whazing]\ntokens = [\"the-newest\"]\n";
    bridge.setup.sources = sources.into();
    assert_eq!(bridge.reload("taken_over"), "");
    assert_eq!([signed(SECRET), signed(OLD_SECRET), with_token(TOKEN), with_token("the-newest")], [200, 401, 401, 200]);
    let changed = bridge.reloaded();
    for (source, key, added, removed) in
        [("wegly", "secrets", None, OLD_SECRET), ("whazing", "tokens", Some("the-newest"), TOKEN)]
    {
        let (at, removed) = (format!("sources.{source}.{key} ("), fingerprint(removed));
        let told = changed.split_once(&at).unwrap_or_else(|| panic!("{at}: {changed}")).1.split_once(')').unwrap().0;
        assert!(told.contains("removed ") && told.contains(&removed), "{removed}: {told}");
        assert_eq!(told.contains("added"), added.is_some(), "{told}");
        assert!(added.is_none_or(|added| told.contains(&format!("added {}", fingerprint(added)))), "{told}");
    }
    assert_eq!(bridge.reload("taken_over"), "");
    assert_eq!(bridge.reloaded(), "nothing");

    for (wrong, expected) in [
        (sources.replace("the-newest", " "), "sources.whazing.tokens[0]: blank"),
        (sources.replace("the-newest", "x\" oops"), "hookbridge.toml:"),
        (format!("{sources}color = 1\n"), "color: unknown key"),
        (sources.replace("the-newest", "${file:/nowhere/token}"), "/nowhere/token: No such file"),
        (format!("{sources}max_body_bytes = \"1 TB\"\n"), "sources.whazing.max_body_bytes"),
    ] {
        bridge.setup.sources = wrong;
        let reason = bridge.reload("refused");
        assert!(reason.contains(expected), "{expected}: {reason}");
        assert_eq!([signed(SECRET), with_token("the-newest")], [200; 2], "{expected}");
    }
    // All that is wrong is said at once.
    bridge.setup.sources = sources.replace("the-newest", " ") + "color = 1\n[spool]\nmax_bytes = \"lots\"\n";
    let reason = bridge.reload("refused");
    for expected in ["sources.whazing.tokens[0]: blank", "color: unknown key", "spool.max_bytes: expected a size"] {
        assert!(reason.contains(expected), "{expected}: {reason}");
    }

    // What is for a whole life is named, and the rest is taken over.
    bridge.setup.sources = sources.replace("the-newest", "another")
        + "rate_limit = 1\n[sources.more]\nprofile = \"wegly\"\nsecrets = \"x\"\n";
    bridge.setup.http = "ack_timeout = \"19s\"\n".into();
    let keys = bridge.reload("taken_over");
    for key in ["http.ack_timeout", "sources.more.profile", "sources.more.secrets", "sources.whazing.rate_limit"] {
        assert!(keys.contains(key), "{key}: {keys}");
    }
    assert_eq!([with_token("the-newest"), with_token("another"), with_token("another")], [401, 200, 200]);
    assert_eq!(post(http, "/webhooks/more", &[], b"{}").sum(), (404, "unknown_source".into()));

    bridge.setup.sources = sources.replace("the-newest", "changeme");
    bridge.reload("taken_over");
    let warned = |line: &String| line.contains("sources.whazing.tokens[0]: the value is a placeholder");
    assert!(bridge.log().iter().any(warned), "a reload warns as a start does");
}

#[test]
fn a_certificate_is_replaced_for_new_connections_and_a_wrong_one_is_not() {
    let Some((folder, ca)) = tools("a certificate that is replaced") else { return };
    let mut setup = Setup::new("reload-tls");
    setup.http += &section(folder.path(), "server");
    let mut bridge = setup.start();
    let (port, others) = (bridge.http.port(), folder.path().join("others.pem"));
    let both = || [&ca, &others].map(|ca| curl(port, ca, &[]).0);
    assert_eq!(both(), ["2 200", "0 000"]);
    let good = bridge.setup.http.clone();
    bridge.setup.http = good.replace("server.", "stranger.");
    assert_eq!(bridge.reload("taken_over"), "");
    assert_eq!(both(), ["0 000", "2 200"]);
    bridge.setup.http = good.replace("server.key", "client.key");
    assert!(bridge.reload("refused").contains("does not belong to the certificate in http.tls.certificate_file"));
    assert_eq!(both(), ["0 000", "2 200"]);
    // It is no longer valid a second after it was made, which was a while ago.
    bridge.setup.http = good.replace("server.", "expired.");
    assert!(bridge.reload("refused").contains("the new certificate expired on "));
    assert_eq!(both(), ["0 000", "2 200"]);
    // Renewed in place, under the same names.
    bridge.setup.http = good.replace("server.", "stranger.");
    for kind in ["crt", "key"] {
        std::fs::copy(folder.path().join(format!("server.{kind}")), folder.path().join(format!("stranger.{kind}")))
            .unwrap();
    }
    assert_eq!(bridge.reload("taken_over"), "");
    assert_eq!(both(), ["2 200", "0 000"]);
}

#[test]
fn a_token_of_the_registry_is_replaced() {
    let registry = RUNTIME.block_on(StandIn::start(1));
    registry.ask_for("registry-token-1");
    let mut setup = Setup::new("reload-registry");
    setup.registry_url.clone_from(&registry.url);
    setup.registry = "token = \"registry-token-1\"\nverify_interval = \"1s\"\n".into();
    let mut bridge = setup.start();
    bridge.setup.registry = bridge.setup.registry.replace("token-1", "token-2");
    assert!(bridge.reload("refused").contains("registry: "), "it is tried out first");
    assert_eq!(bridge.deliver("wegly", DEAL).status, 200);
    registry.ask_for("registry-token-2");
    eventually("it is told that the registry is not to be used", SOON, || {
        (bridge.readyz().1["registry"]["ok"] == false).then_some(())
    });
    assert_eq!(bridge.reload("taken_over"), "");
    eventually("the registry is used again", SOON, || (bridge.readyz().1["registry"]["ok"] == true).then_some(()));
}

/// Another instance's states are read with schemas that the registry has to give.
#[test]
fn who_reads_latest_topics_has_the_new_token_too() {
    let registry = RUNTIME.block_on(StandIn::start(1));
    registry.ask_for("registry-token-1");
    let mut setup = Setup::new("reload-readers");
    setup.registry_url.clone_from(&registry.url);
    setup.registry = "token = \"registry-token-1\"\nverify_interval = \"1s\"\n".into();
    let mut more = Setup::new("reload-readers-more");
    (more.prefix, more.registry_url, more.registry) =
        (setup.prefix.clone(), setup.registry_url.clone(), setup.registry.clone());
    let mut bridges = [setup.start(), more.start()];
    registry.ask_for("registry-token-2");
    for bridge in &mut bridges {
        eventually("the registry is not to be used", SOON, || {
            (bridge.readyz().1["registry"]["ok"] == false).then_some(())
        });
        bridge.setup.registry = bridge.setup.registry.replace("token-1", "token-2");
        assert_eq!(bridge.reload("taken_over"), "");
    }
    assert_eq!((bridges[0].deliver("wegly", DEAL).status, registry.read()), (200, 0));
    // A state that somebody else wrote, with a schema that is none of ours.
    let kafka: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &bridges[0].setup.bootstrap).create().unwrap();
    let (topic, state) = (bridges[0].topic("wegly.deal-latest"), [0, 0, 1, 0, 0, 0]);
    kafka.send(BaseRecord::to(&topic).key("another's").payload(&state[..])).unwrap();
    kafka.flush(SOON).unwrap();
    eventually("its schema is read with the new token", SOON, || (registry.read() > 0).then_some(()));
}
