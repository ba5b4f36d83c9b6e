//! What librdkafka says of a property that it does not take, in our words: what is expected. Never the value, which may be a
//! secret in the wrong place, and never the other name of the property that librdkafka goes by.

use crate::values::amount::grouped;

/// What is expected of a property, of what librdkafka says of it alone.
pub(crate) fn of_property(words: &str) -> String {
    let words = words.trim();
    let has = |part: &str| words.contains(part);
    if has("No such configuration property") {
        "unknown property".to_owned()
    } else if let Some((_, range)) = words.rsplit_once(" is outside allowed range ") {
        match range.split_once("..") {
            Some((least, most)) => format!("expected a number from {} to {}", grouped(least), grouped(most)),
            None => "expected another number".to_owned(),
        }
    } else if has("Expected bool value") || words.starts_with("Bool configuration") {
        "expected true or false".to_owned()
    } else if words.starts_with("Integer configuration") || words.starts_with("Float configuration") || is_number(words)
    {
        "expected a number".to_owned()
    } else if has("cannot be set to empty value") {
        "empty: expected a value".to_owned()
    } else if has("not supported in this build") {
        "this build of hookbridge does not have what it is for".to_owned()
    } else if has("must be set through") || has("not settable") {
        "cannot be set in a configuration".to_owned()
    } else if has("dlopen() failed") {
        "the plugin cannot be loaded".to_owned()
    } else {
        "not a value that this property takes".to_owned()
    }
}

/// Whether it wants a number, by what librdkafka says of a text.
pub(crate) fn is_number(words: &str) -> bool {
    let words = words.trim();
    words.starts_with("Invalid value for configuration property \"") && words.ends_with('"')
}

/// Why librdkafka does not take all properties together, and of which of `names` it says so, if it names one.
pub(crate) fn of_all<'a>(words: &str, names: impl IntoIterator<Item = &'a str>) -> (Option<&'a str>, String) {
    let words = words.strip_prefix("Client creation error: ").unwrap_or(words);
    let quoted = |name: &&str| words.contains(&format!("`{name}`")) || words.starts_with(&format!("{name} failed"));
    let name = names.into_iter().find(quoted);
    let failed = words.split_once(" failed: ").filter(|(failed, _)| !failed.contains(' '));
    let Some((property, reason)) = failed else {
        let plain = words.replace('`', "").replace("must be set <=", "must be at most");
        return (name, plain.replace("must be >=", "must be at least"));
    };
    let expected = match property {
        "ssl.key.location" | "ssl.key.pem" => {
            "expected a private key in PEM, and ssl.key.password if it has a passphrase".to_owned()
        }
        "ssl.ca.location" | "ssl.ca.pem" | "ssl.certificate.location" | "ssl.certificate.pem" => {
            "expected a certificate in PEM".to_owned()
        }
        "ssl.cipher.suites" | "ssl.curves.list" | "ssl.sigalgs.list" => {
            "expected names that OpenSSL has, with colons between them".to_owned()
        }
        _ => format!("OpenSSL cannot use it: {}", reason.rsplit("::").next().unwrap_or(reason)),
    };
    (name, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_of_a_property_is_told_without_its_value() {
        for (words, expected) in [
            ("No such configuration property: \"lingr.ms\"", "unknown property"),
            (
                "Configuration property \"queue.buffering.max.ms\" value 1e+07 is outside allowed range 0..900000\n",
                "expected a number from 0 to 900,000",
            ),
            ("Configuration property \"a\" value 7 is outside allowed range -1..12", "expected a number from -1 to 12"),
            ("Invalid value for configuration property \"queue.buffering.max.ms\"", "expected a number"),
            ("Integer configuration property \"a\" cannot be set to empty value", "expected a number"),
            ("Expected bool value for \"a\": true or false", "expected true or false"),
            ("Configuration property \"a\" cannot be set to empty value", "empty: expected a value"),
            ("Invalid value for configuration property \"a\": hunter2", "not a value that this property takes"),
            ("Invalid value \"hunter2\" for configuration property \"a\"", "not a value that this property takes"),
            ("dlopen() failed: hunter2.so: no", "the plugin cannot be loaded"),
            ("something new: hunter2", "not a value that this property takes"),
        ] {
            assert_eq!(of_property(words), expected);
        }
        assert!(!is_number("Invalid value for configuration property \"a\": x"));
    }

    #[test]
    fn of_all_together_the_one_that_is_named_is_found() {
        let names = ["reconnect.backoff.ms", "ssl.ca.location", "ssl.engine.id"];
        for (words, name, expected) in [
            (
                "Client creation error: `reconnect.backoff.max.ms` must be >= `reconnect.backoff.ms`",
                Some("reconnect.backoff.ms"),
                "reconnect.backoff.max.ms must be at least reconnect.backoff.ms",
            ),
            (
                "Client creation error: ssl.ca.location failed: error:05800088:x509 certificate routines::no certificate",
                Some("ssl.ca.location"),
                "expected a certificate in PEM",
            ),
            ("ssl.engine.id failed: error:1:a::b", Some("ssl.engine.id"), "OpenSSL cannot use it: b"),
            ("something else", None, "something else"),
        ] {
            assert_eq!(of_all(words, names), (name, expected.to_owned()));
        }
    }
}
