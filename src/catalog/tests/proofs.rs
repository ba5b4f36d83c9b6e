//! What `[verify]` and `[handshake]` may say, and what is refused since it would let somebody in.

use super::*;

/// What loading the vendor says with these lines in place of those under `[verify]`.
fn verify(lines: &str) -> String {
    let words = broken("profile.toml", |text| text.replace("method = \"token\"\nheader = \"x-token\"", lines));
    words.trim_start_matches("loja/profile.toml: ").to_owned()
}

const SIGNED: &str = "method = \"hmac-sha256\"\nheader = \"x-sig\"\n";

#[test]
fn a_proof_that_anybody_could_make_is_refused_by_its_key() {
    for (lines, expected) in [
        (
            "signed = \"{timestamp}.\"\ntimestamp = { header = \"x-t\" }",
            "verify.signed: has no {body}: whoever has seen",
        ),
        ("signed = \"\"", "verify.signed: has no {body}"),
        ("signed = \"v0:{header:x-t}\"", "verify.signed: has no {body}"),
        ("signed = \"{body}.{body}\"", "verify.signed: has {body} twice"),
        ("signed = \"{bdy}.{body}\"", "verify.signed: got {bdy}, expected {body}, {header:NAME}"),
        ("signed = \"{body:a}\"", "verify.signed: got {body}, expected"),
        ("signed = \"{header:a b}{body}\"", "verify.signed: \"a b\" is not a valid header name"),
        ("signed = \"{body\"", "verify.signed: `{` without `}`; write `{{` for a brace"),
        ("signed = \"body}\"", "verify.signed: `}` without `{`"),
        ("signed = \"{timestamp}.{body}\"", "verify.signed: {timestamp}: say in verify.timestamp where"),
        ("tolerance = \"5m\"", "verify.tolerance: there is no signed time"),
        ("signed = \"{body}\"\ntolerance = \"5m\"", "verify.tolerance: there is no signed time"),
        (
            "timestamp = { header = \"x-t\" }\ntolerance = \"5m\"",
            "verify.timestamp: is not signed, so that anybody could change it: put {timestamp} or {header:x-t} into",
        ),
        ("signed = \"{header:x-u}{body}\"\ntimestamp = { header = \"x-t\" }", "verify.timestamp: is not signed"),
        (
            "separator = \",\"\nsigned = \"{body}\"\ntimestamp = { prefix = \"t=\" }",
            "verify.timestamp: is not signed, so that anybody could change it: put {timestamp} into",
        ),
        ("signed = \"{timestamp}{body}\"\ntimestamp = { prefix = \"t=\" }", "verify.timestamp: expected `header`, or"),
        (
            "separator = \",\"\nsigned = \"{timestamp}{body}\"\ntimestamp = {}",
            "verify.timestamp: expected `header`, or",
        ),
        (
            "signed = \"{timestamp}{body}\"\ntimestamp = { header = \"x-t\" }\ntolerance = \"0s\"",
            "verify.tolerance: must be longer than 0",
        ),
        (
            "signed = \"{timestamp}{body}\"\ntimestamp = { header = \"x-t\" }\ntolerance = \"5\"",
            "verify.tolerance: time unit needed",
        ),
        ("prefix = \"\"", "verify.prefix: empty"),
        ("separator = \"\"", "verify.separator: empty"),
        ("secret = { prefix = \"\" }", "verify.secret.prefix: empty"),
        ("secret = { encoding = \"either\" }", "verify.secret.encoding: expected \"text\", "),
        (
            "encoding = \"base32\"",
            "verify.encoding: expected \"any\", \"hex\", \"base64\", got \"base32\": did you mean \"base64\"?",
        ),
        ("timestamp = { head = \"x\" }", "verify.timestamp.head: unknown key: did you mean `header`?"),
    ] {
        let words = verify(&format!("{SIGNED}{lines}"));
        assert!(words.starts_with(expected), "{lines}: {words}\nexpected {expected}");
    }
}

#[test]
fn a_key_that_its_method_has_no_use_for_is_refused() {
    for (lines, expected) in [
        ("method = \"token\"", "verify.header: missing"),
        ("method = \"hmac-sha1\"", "verify.header: missing"),
        ("method = \"token\"\nheader = \"x t\"", "verify.header: \"x t\" is not a valid header name"),
        ("method = \"token\"\nheader = \"x-t\"\nsigned = \"{body}\"", "verify.signed: only for methods that sign"),
        ("method = \"token\"\nheader = \"x-t\"\ntolerance = \"5m\"", "verify.tolerance: only for methods that sign"),
        ("method = \"basic\"\nencoding = \"hex\"", "verify.encoding: only for methods that sign"),
        ("method = \"basic\"\nprefix = \"Basic \"", "verify.prefix: only for methods that sign"),
        (
            "method = \"ed25519\"\nheader = \"x-s\"\nsecret = { encoding = \"text\" }",
            "verify.secret.encoding: a key of ed25519 is no text",
        ),
        ("method = \"hmac-md5\"\nheader = \"x-s\"", "verify.method: expected \"hmac-sha1\", "),
    ] {
        let words = verify(lines);
        assert!(words.starts_with(expected), "{lines}: {words}\nexpected {expected}");
    }
}

#[test]
fn what_vendors_need_can_be_said() {
    for lines in [
        "method = \"basic\"",
        "method = \"token\"\nheader = \"authorization\"\nprefix = \"Token \"",
        "method = \"hmac-sha512\"\nheader = \"X-Sig\"\nsigned = \"{{{method} {path}?{query}}}{header:x-id}{body}\"",
        "method = \"ed25519\"\nheader = \"x-s\"\nsigned = \"{timestamp}{body}\"\ntimestamp = { header = \"x-t\" }",
    ] {
        assert_eq!(verify(lines), "", "{lines}");
    }
}

/// What loading the vendor says with a handshake of these lines, verified by `method`.
fn handshake(method: &str, lines: &str) -> String {
    let verify = format!("method = {method:?}\nheader = \"x-s\"\n\n[handshake]\n{lines}");
    self::verify(&verify)
}

#[test]
fn a_handshake_that_cannot_be_told_apart_or_proven_is_refused() {
    let (token, signed) = ("token", "hmac-sha256");
    for (method, lines, expected) in [
        (
            signed,
            "method = \"GET\"\nanswer = \"{query:c}\"",
            "handshake.method: a GET has no signature: name in `token`",
        ),
        (
            signed,
            "method = \"GET\"\nopen = true\ntoken = \"t\"\nanswer = \"x\"",
            "handshake.open: set `open` or `token`",
        ),
        (signed, "method = \"GET\"\ntoken = \"\"\nanswer = \"x\"", "handshake.token: empty"),
        (signed, "method = \"GET\"\nopen = true\nanswer = \"{body:c}\"", "handshake.answer: it is answered before"),
        (
            signed,
            "method = \"GET\"\nopen = true\nanswer = \"x\"\nbody = { a = \"b\" }",
            "handshake.body: it is answered",
        ),
        (signed, "method = \"POST\"\nanswer = \"{body:c}\"", "handshake.body: missing: it says which deliveries"),
        (signed, "method = \"POST\"\nanswer = \"{query:c}\"\nbody = { a = \"b\" }", "handshake.answer: for a POST"),
        (signed, "method = \"POST\"\nanswer = \"{header:x}\"\nbody = { a = \"b\" }", "handshake.answer: for a POST"),
        (signed, "method = \"POST\"\nanswer = \"x\"\nquery = { a = \"b\" }", "handshake.query: for a POST"),
        (token, "method = \"POST\"\nopen = true\nanswer = \"x\"", "handshake.query: missing: it says which requests"),
        (token, "method = \"PUT\"\nanswer = \"x\"", "handshake.method: expected \"GET\", \"POST\", got \"PUT\""),
        (
            token,
            "method = \"GET\"\nanswer = \"{challenge}\"",
            "handshake.answer: got {challenge}, expected {query:NAME}",
        ),
        (token, "method = \"GET\"\nanswer = \"{query:}\"", "handshake.answer: got {query}, expected"),
        (token, "method = \"GET\"\nanswer = \"{header:a b}\"", "handshake.answer: \"a b\" is not a valid header name"),
        (token, "method = \"GET\"\nanswer = \"{\\\"a\\\":1}\"", "handshake.answer: got {\"a\"}, expected"),
        (token, "method = \"GET\"", "handshake.answer: missing"),
        (token, "method = \"GET\"\nanswer = \"\"\nstatus = 204", "handshake.status: unknown key: "),
    ] {
        let words = handshake(method, lines);
        assert!(words.starts_with(expected), "{lines}: {words}\nexpected {expected}");
    }
    let second =
        "method = \"POST\"\nopen = true\nanswer = \"{query:c}\"\n[[handshake]]\nmethod = \"GET\"\nanswer = \"x\"";
    let words = verify(&format!("{SIGNED}[[handshake]]\n{second}"));
    assert!(words.starts_with("handshake[1].method: a GET has no signature"), "{words}");
}

#[test]
fn handshakes_of_vendors_can_be_said() {
    for (method, lines) in [
        (
            "hmac-sha256",
            "method = \"GET\"\nquery = { \"hub.mode\" = \"subscribe\" }\ntoken = \"hub.verify_token\"\nanswer = \"{query:hub.challenge}\"",
        ),
        ("hmac-sha256", "method = \"POST\"\nbody = { type = \"url_verification\" }\nanswer = \"{body:challenge}\""),
        ("hmac-sha256", "method = \"POST\"\nopen = true\nanswer = \"{query:validationToken}\""),
        ("token", "method = \"GET\"\nanswer = \"ok\""),
        (
            "token",
            "method = \"GET\"\nanswer = '{{\"v\":\"{header:x-challenge}\"}}'\ncontent_type = \"application/json\"",
        ),
    ] {
        assert_eq!(handshake(method, lines), "", "{lines}");
    }
}
