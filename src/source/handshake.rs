//! Answers what a vendor asks before it sends events. Nothing of it becomes a delivery.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::Method as HttpMethod;
use serde_json::Value;

use super::verify::{RequestHead, Unauthorized, Verified, Verifier};
use crate::catalog::{AnswerPart, AnswerType, Handshake, HandshakeMethod, HandshakeProof};

/// No question is longer; a longer body is a delivery.
const MOST_BODY_BYTES: usize = 64 << 10;
/// What is given back of a question at the most, part by part.
const MOST_ECHO_BYTES: usize = 4 << 10;

/// What a vendor is answered, with 200.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HandshakeAnswer {
    pub(crate) content_type: &'static str,
    pub(crate) text: String,
}

/// The answer to a request that its head shows to be one of `handshakes`, if who asks may have it.
pub(crate) fn answer_to_head(
    handshakes: &[Handshake],
    verifier: &Verifier,
    head: RequestHead<'_>,
    in_path: Option<&str>,
) -> Option<Result<HandshakeAnswer, Unauthorized>> {
    let query: Vec<_> = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).collect();
    let in_query = |name: &str| parameter(&query, name);
    let by_head = handshakes.iter().filter(|handshake| !handshake.needs_body() && is_asked_by(handshake, head.method));
    by_head.filter(|handshake| all_hold(&handshake.query, in_query)).find_map(|handshake| {
        let answer = answer(handshake, |part| match part {
            AnswerPart::Query(name) => in_query(name),
            AnswerPart::Header(name) => Some(head.headers.get(name)?.to_str().ok()?.into()),
            AnswerPart::Body(_) | AnswerPart::Text(_) => None,
        })?;
        let allowed = match &handshake.proof {
            HandshakeProof::Open => Ok(()),
            HandshakeProof::Token(name) => verifier.takes_handshake_token(in_query(name).as_deref()),
            HandshakeProof::Delivery => verifier.admit(head, in_path).map(|_| ()),
        };
        Some(allowed.map(|()| answer))
    })
}

/// The answer to a verified body that is a question.
pub(crate) fn answer_to_body(delivery: &Verified) -> Option<HandshakeAnswer> {
    let mut asked = delivery.source().profile.handshakes.iter().filter(|handshake| handshake.needs_body()).peekable();
    asked.peek()?;
    if delivery.body().len() > MOST_BODY_BYTES {
        return None;
    }
    let body: Value = serde_json::from_slice(delivery.body()).ok()?;
    let in_body = |path: &str| member(&body, path);
    asked.filter(|handshake| all_hold(&handshake.body, in_body)).find_map(|handshake| {
        answer(handshake, |part| match part {
            AnswerPart::Body(path) => in_body(path),
            AnswerPart::Query(_) | AnswerPart::Header(_) | AnswerPart::Text(_) => None,
        })
    })
}

fn is_asked_by(handshake: &Handshake, method: &HttpMethod) -> bool {
    match handshake.method {
        HandshakeMethod::Get => method == HttpMethod::GET,
        HandshakeMethod::Post => method == HttpMethod::POST,
    }
}

/// Whether every name has its value.
fn all_hold<'a>(conditions: &BTreeMap<String, String>, value: impl Fn(&str) -> Option<Cow<'a, str>>) -> bool {
    conditions.iter().all(|(name, expected)| value(name).is_some_and(|value| value == *expected))
}

/// The first parameter of this name.
fn parameter<'a>(query: &'a [(Cow<'a, str>, Cow<'a, str>)], name: &str) -> Option<Cow<'a, str>> {
    query.iter().find(|(known, _)| known == name).map(|(_, value)| Cow::Borrowed(&**value))
}

/// The text, number or boolean at the end of `path`.
fn member<'a>(body: &'a Value, path: &str) -> Option<Cow<'a, str>> {
    match path.split('.').try_fold(body, |value, name| value.get(name))? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        scalar @ (Value::Number(_) | Value::Bool(_)) => Some(Cow::Owned(scalar.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The answer, if everything that it repeats is there.
fn answer<'a>(handshake: &Handshake, value: impl Fn(&AnswerPart) -> Option<Cow<'a, str>>) -> Option<HandshakeAnswer> {
    let mut text = String::new();
    for part in &handshake.answer {
        match part {
            AnswerPart::Text(plain) => text.push_str(plain),
            part => {
                let echo = value(part).filter(|echo| echo.len() <= MOST_ECHO_BYTES)?;
                match handshake.answer_type {
                    AnswerType::Text => text.push_str(&echo),
                    AnswerType::Json => text.push_str(&within_json(&echo)),
                }
            }
        }
    }
    let content_type = match handshake.answer_type {
        AnswerType::Text => "text/plain; charset=utf-8",
        AnswerType::Json => "application/json",
    };
    Some(HandshakeAnswer { content_type, text })
}

/// The text as it stands between the quotes of a JSON string.
fn within_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Uri};

    use super::*;
    use crate::catalog::{Method, Verification};
    use crate::values::secret::Secret;

    const META: &str = r#"
        method = "GET"
        query = { "hub.mode" = "subscribe" }
        token = "hub.verify_token"
        answer = "{query:hub.challenge}"
    "#;

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| text.parse().unwrap_or_else(|never| match never {})).collect()
    }

    /// The door of a source that verifies in this way, with two tokens for handshakes.
    fn door(lines: &str) -> Verifier {
        let door = Verifier::new(&Verification::from_lines(lines), &secrets(&["s3cret"])).ok().unwrap();
        door.with_handshake_tokens(&secrets(&["before", "now"]))
    }

    fn signing_door() -> Verifier {
        door("method = \"hmac-sha256\"\nheader = \"x-s\"")
    }

    /// What a request without a body is answered.
    fn ask(
        door: &Verifier,
        lines: &str,
        (method, path): (HttpMethod, &str),
        headers: &[(&'static str, &str)],
    ) -> Option<Result<String, Unauthorized>> {
        let rule = if door.proves_by_head() { Method::Token } else { Method::HmacSha256 };
        let handshake = Handshake::from_lines(rule, lines);
        let uri: Uri = path.parse().unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let head = RequestHead { method: &method, uri: &uri, headers: &headers };
        let answer = answer_to_head(&[handshake], door, head, None)?;
        Some(answer.map(|answer| answer.text))
    }

    #[test]
    fn metas_challenge_is_given_back_to_who_has_a_token() {
        let ask = |query: &str| ask(&signing_door(), META, (HttpMethod::GET, &format!("/webhooks/x?{query}")), &[]);
        let mode = "hub.mode=subscribe";
        for (query, expected) in [
            (format!("{mode}&hub.challenge=1158201444&hub.verify_token=now"), Some(Ok("1158201444"))),
            (format!("hub.verify_token=before&hub.challenge=a%26b+c&{mode}"), Some(Ok("a&b c"))),
            (format!("{mode}&hub.challenge=1&hub.verify_token=later"), Some(Err(Unauthorized::Wrong))),
            (format!("{mode}&hub.challenge=1&hub.verify_token="), Some(Err(Unauthorized::Wrong))),
            (format!("{mode}&hub.challenge=1&hub.verify_token=s3cret"), Some(Err(Unauthorized::Wrong))),
            (format!("{mode}&hub.challenge=1"), Some(Err(Unauthorized::Missing))),
            (format!("{mode}&hub.verify_token=now"), None),
            ("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=now".into(), None),
            ("hub.challenge=1&hub.verify_token=now".into(), None),
            (format!("{mode}&hub.challenge={}&hub.verify_token=now", "1".repeat(4097)), None),
        ] {
            assert_eq!(ask(&query), expected.map(|answer| answer.map(str::to_owned)), "{query}");
        }
    }

    #[test]
    fn only_its_own_method_asks() {
        let target = "/webhooks/x?hub.mode=subscribe&hub.challenge=1&hub.verify_token=now";
        for method in [HttpMethod::POST, HttpMethod::HEAD, HttpMethod::OPTIONS, HttpMethod::PUT] {
            assert_eq!(ask(&signing_door(), META, (method.clone(), target), &[]), None, "{method}");
        }
        let graph = "method = \"POST\"\nopen = true\nanswer = \"{query:validationToken}\"";
        let ask = |method, target| ask(&signing_door(), graph, (method, target), &[]);
        assert_eq!(ask(HttpMethod::POST, "/webhooks/x?validationToken=a%20b"), Some(Ok("a b".into())));
        assert_eq!(ask(HttpMethod::POST, "/webhooks/x"), None);
        assert_eq!(ask(HttpMethod::GET, "/webhooks/x?validationToken=a"), None);
    }

    #[test]
    fn a_token_of_deliveries_lets_a_handshake_in() {
        let door = door("method = \"token\"\nheader = \"x-t\"");
        let lines =
            "method = \"GET\"\nanswer = '{{\"v\":\"{header:x-challenge}\"}}'\ncontent_type = \"application/json\"";
        let ask = |headers: &[(&'static str, &str)]| ask(&door, lines, (HttpMethod::GET, "/webhooks/x"), headers);
        assert_eq!(ask(&[("x-t", "s3cret"), ("x-challenge", "a\"b")]), Some(Ok(r#"{"v":"a\"b"}"#.into())));
        assert_eq!(ask(&[("x-t", "now"), ("x-challenge", "a")]), Some(Err(Unauthorized::Wrong)));
        assert_eq!(ask(&[("x-challenge", "a")]), Some(Err(Unauthorized::Missing)));
        assert_eq!(ask(&[("x-t", "s3cret")]), None);
    }

    #[test]
    fn members_are_found_by_their_paths() {
        let body: Value = serde_json::from_str(r#"{"a":{"b":"c","d":[1]},"n":7,"t":true,"z":null}"#).unwrap();
        for (path, expected) in [
            ("a.b", Some("c")),
            ("n", Some("7")),
            ("t", Some("true")),
            ("a", None),
            ("a.d", None),
            ("z", None),
            ("a.b.c", None),
        ] {
            assert_eq!(member(&body, path).as_deref(), expected, "{path}");
        }
    }
}
