//! Whether the properties of TLS and SASL belong together: librdkafka leaves out without a word what `security.protocol` does not
//! ask for, and connects in plain text.

use std::collections::BTreeMap;

use super::fault::{ConfigFault, Faults};
use super::written_where::FaultPlace;
use crate::values::secret::Secret;
use crate::values::similar::closest;

const SECTION: &str = "kafka.properties";
const PROTOCOL: &str = "security.protocol";
/// What librdkafka does without it.
const DEFAULT: &str = "PLAINTEXT";
/// Those that this build has, to prove who we are.
pub(crate) const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];
/// Makes tokens that nobody signs.
const UNSECURED: &str = "enable.sasl.oauthbearer.unsecure.jwt";

/// Notes what contradicts `security.protocol`, and what it lacks.
pub(super) fn check(properties: &BTreeMap<String, Secret>, servers: &str, faults: &mut Faults) {
    let protocol = properties.get(PROTOCOL).map_or(DEFAULT, Secret::expose).to_ascii_uppercase();
    let (has_sasl, has_tls) = match protocol.as_str() {
        "PLAINTEXT" => (false, false),
        "SSL" => (false, true),
        "SASL_PLAINTEXT" => (true, false),
        "SASL_SSL" => (true, true),
        // librdkafka knows no others.
        _ => return,
    };
    let first = |belongs: fn(&str) -> bool| properties.keys().find(|name| belongs(name));
    let (sasl, tls) = (first(is_of_sasl).filter(|_| !has_sasl), first(is_of_tls).filter(|_| !has_tls));
    let Some(set) = sasl.or(tls) else {
        check_servers(&protocol, servers, faults);
        if has_sasl {
            check_sasl(&protocol, properties, faults);
        }
        return;
    };
    let meant = match (sasl, tls) {
        (Some(_), None) if !has_tls => "\"SASL_SSL\", or to \"SASL_PLAINTEXT\" if Kafka has no TLS",
        (None, _) if !has_sasl => "\"SSL\", or remove the properties of TLS",
        _ => "\"SASL_SSL\"",
    };
    let (what, at) = if properties.contains_key(PROTOCOL) {
        (format!("{set} has no effect with {protocol}"), PROTOCOL)
    } else {
        (format!("{set} has no effect without {PROTOCOL}: the connection is in plain text"), set.as_str())
    };
    let key = format!("{SECTION}.{PROTOCOL}");
    // What else is wrong with the property that has no effect is said, too.
    let place = FaultPlace { key: key.clone(), ..faults.written().place(&format!("{SECTION}.{at}")) };
    if !faults.has(&key) {
        faults.put(ConfigFault { place, what, remedy: Some(format!("set {PROTOCOL} to {meant}")) });
    }
}

fn is_of_sasl(name: &str) -> bool {
    name.starts_with("sasl.")
}

fn is_of_tls(name: &str) -> bool {
    name.starts_with("ssl.") || name == "enable.ssl.certificate.verification"
}

/// A server with another protocol in front would be left out.
fn check_servers(protocol: &str, servers: &str, faults: &mut Faults) {
    const KEY: &str = "kafka.bootstrap_servers";
    for server in servers.split(',') {
        let Some((own, _)) = server.split_once("://").filter(|(own, _)| !own.eq_ignore_ascii_case(protocol)) else {
            continue;
        };
        let own = own.to_ascii_uppercase();
        let what = format!("{own} stands in front of a server, but kafka.properties.{PROTOCOL} is {protocol}");
        faults.add_with(KEY, what, format!("set {PROTOCOL} to {own:?}, and remove {own}:// here"));
    }
}

/// With SASL there is a mechanism, and what that needs.
fn check_sasl(protocol: &str, properties: &BTreeMap<String, Secret>, faults: &mut Faults) {
    let spelled = ["sasl.mechanisms", "sasl.mechanism"].into_iter().find(|name| properties.contains_key(*name));
    let listed = || MECHANISMS.map(|mechanism| format!("{mechanism:?}")).join(", ");
    let Some(name) = spelled else {
        let what = format!("{protocol} asks for sasl.mechanism, which is missing");
        return faults.add_with(format!("{SECTION}.{PROTOCOL}"), what, format!("set it to one of {}", listed()));
    };
    let mechanism = properties.get(name).map_or("", Secret::expose);
    if !MECHANISMS.iter().any(|known| known.eq_ignore_ascii_case(mechanism)) {
        let key = format!("{SECTION}.{name}");
        let what = format!("expected one of {}", listed());
        return match closest(mechanism, MECHANISMS) {
            Some(meant) => faults.add_with(key, what, format!("did you mean {meant:?}?")),
            None => faults.add(key, what),
        };
    }
    if mechanism.eq_ignore_ascii_case("OAUTHBEARER") {
        if properties.get(UNSECURED).is_none_or(|value| !value.expose().trim().eq_ignore_ascii_case("true")) {
            let what = format!("hookbridge has no source of tokens but {UNSECURED}, which is for trying things out");
            faults.add_with(
                format!("{SECTION}.{name}"),
                what,
                "use a SCRAM mechanism, PLAIN, or a client's certificate",
            );
        }
        return;
    }
    // One that is there and wrong is told already.
    let is_missing = |name: &&str| {
        properties.get(*name).is_none_or(|value| value.expose().is_empty()) && !faults.has(&format!("{SECTION}.{name}"))
    };
    let missing: Vec<&str> = ["sasl.username", "sasl.password"].into_iter().filter(is_missing).collect();
    if !missing.is_empty() {
        let what = format!("this mechanism asks for sasl.username and sasl.password: missing {}", missing.join(", "));
        faults.add(format!("{SECTION}.{name}"), what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Written;

    fn said(properties: &[(&str, &str)], servers: &str) -> String {
        let mut faults = Faults::new(Written::default());
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), value.parse().unwrap())).collect();
        check(&properties, servers, &mut faults);
        let all = faults.into_all();
        let words = all.iter().map(|fault| {
            let remedy = fault.remedy.clone().unwrap_or_default();
            format!("{}: {}: {remedy}", fault.place.key.replace("kafka.properties.", ""), fault.what)
        });
        words.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_the_protocol_does_not_ask_for_is_told() {
        const USER: (&str, &str) = ("sasl.username", "u");
        const CA: (&str, &str) = ("ssl.ca.location", "ca.pem");
        const EITHER: &str = "set security.protocol to \"SASL_SSL\", or to \"SASL_PLAINTEXT\" if Kafka has no TLS";
        const BOTH: &str = "set security.protocol to \"SASL_SSL\"";
        const TLS: &str = "set security.protocol to \"SSL\", or remove the properties of TLS";
        let of = |protocol| ("security.protocol", protocol);
        for (properties, set, remedy) in [
            (vec![USER], "sasl.username", EITHER),
            (vec![CA], "ssl.ca.location", TLS),
            (vec![("enable.ssl.certificate.verification", "false")], "enable.ssl.certificate.verification", TLS),
            (vec![CA, USER], "sasl.username", BOTH),
            (vec![of("plaintext"), USER], "sasl.username", EITHER),
            (vec![of("PLAINTEXT"), CA], "ssl.ca.location", TLS),
            (vec![of("SSL"), USER], "sasl.username", BOTH),
            (vec![of("sasl_plaintext"), CA, USER], "ssl.ca.location", BOTH),
        ] {
            let words = said(&properties, "a:1");
            assert!(
                words.starts_with(&format!("security.protocol: {set} has no effect with"))
                    && words.ends_with(&format!(": {remedy}")),
                "{words}"
            );
            assert!(!words.contains('\n'), "{words}");
        }
    }

    #[test]
    fn a_mechanism_and_what_it_needs_are_asked_for() {
        const SASL: (&str, &str) = ("security.protocol", "SASL_SSL");
        assert!(said(&[SASL], "a:1").starts_with("security.protocol: SASL_SSL asks for sasl.mechanism"));
        let plain = said(&[SASL, ("sasl.mechanism", "PLAIN"), ("sasl.username", "u")], "a:1");
        assert!(plain.starts_with("sasl.mechanism: ") && plain.ends_with(": missing sasl.password: "), "{plain}");
        let tokens = said(&[SASL, ("sasl.mechanisms", "OAUTHBEARER")], "a:1");
        assert!(tokens.starts_with("sasl.mechanisms: hookbridge has no source of tokens"), "{tokens}");
        assert_eq!(said(&[SASL, ("sasl.mechanisms", "OAUTHBEARER"), (UNSECURED, "true")], "a:1"), "");
        for (word, meant) in [("SCRAM-SHA512", "SCRAM-SHA-512"), ("PLAN", "PLAIN")] {
            let words = said(&[SASL, ("sasl.mechanisms", word)], "a:1");
            assert!(words.ends_with(&format!("\"OAUTHBEARER\": did you mean {meant:?}?")), "{words}");
        }
        assert!(said(&[SASL, ("sasl.mechanism", "GSSAPI")], "a:1").starts_with("sasl.mechanism: expected one of"));
        let whole = [SASL, ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.username", "u"), ("sasl.password", "p")];
        assert_eq!(said(&whole, "sasl_ssl://a:1,b:1"), "");
        assert_eq!(said(&[("security.protocol", "SSLL"), ("sasl.username", "u")], "a:1"), "");
    }

    #[test]
    fn a_server_with_another_protocol_is_told() {
        assert_eq!(said(&[], "PLAINTEXT://a:1"), "");
        let words = said(&[], "a:1,ssl://b:1");
        assert!(words.starts_with("kafka.bootstrap_servers: SSL stands in front of a server, but"), "{words}");
    }
}
