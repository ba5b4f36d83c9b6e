//! `[handshake]` of a profile: what a vendor asks before it sends anything, or now and then, and how it is answered.
//!
//! ```text
//! GET  /webhooks/x?hub.mode=subscribe&hub.verify_token=…&hub.challenge=42      ▸ 200  42
//! POST /webhooks/x  {"type":"url_verification","challenge":"abc"}, signed      ▸ 200  abc
//! ```
//!
//! Who asks proves who it is as the sender of a delivery does, or by a token in the query; or nobody has to, if the profile
//! says so.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::template::{self, TemplatePiece};
use super::{FlawAt, Method};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum HandshakeMethod {
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "POST")]
    Post,
}

/// The media type of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum AnswerType {
    #[default]
    #[serde(rename = "text/plain")]
    Text,
    #[serde(rename = "application/json")]
    Json,
}

/// What has to be right before a handshake is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeProof {
    /// What a delivery has to show: a signature, a token.
    Delivery,
    /// One of the source's `handshake_tokens`, in this parameter of the query.
    Token(String),
    /// Nothing.
    Open,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnswerPart {
    Text(String),
    /// A parameter of the query.
    Query(String),
    Header(HeaderName),
    /// A member of the body, by its path.
    Body(String),
}

/// A question, and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) method: HandshakeMethod,
    /// Parameters of the query that it is told by.
    pub(crate) query: BTreeMap<String, String>,
    /// Members of the body that it is told by, by their paths.
    pub(crate) body: BTreeMap<String, String>,
    pub(crate) proof: HandshakeProof,
    pub(crate) answer: Vec<AnswerPart>,
    pub(crate) answer_type: AnswerType,
}

impl Handshake {
    /// Whether it is answered only with its body, once that is verified as any delivery's is.
    pub(crate) fn needs_body(&self) -> bool {
        self.method == HandshakeMethod::Post && self.proof == HandshakeProof::Delivery
    }
}

/// A handshake as it is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenHandshake {
    /// The request's method.
    method: HandshakeMethod,
    /// Parameters of the query that determine it.
    #[serde(default)]
    query: BTreeMap<String, String>,
    /// Members of the body that determine it, by their paths.
    #[serde(default)]
    body: BTreeMap<String, String>,
    /// The query parameter that holds one of the source's `handshake_tokens`.
    token: Option<String>,
    /// Answer without any proof. Default: false.
    #[serde(default)]
    open: bool,
    /// What is answered, such as "{query:hub.challenge}".
    answer: String,
    /// The media type of the answer. Default: "text/plain".
    #[serde(default)]
    content_type: AnswerType,
}

/// `[handshake]`, or several `[[handshake]]`.
#[derive(Clone, Debug, Default)]
pub(super) struct WrittenHandshakes {
    all: Vec<WrittenHandshake>,
    is_list: bool,
}

impl<'de> Deserialize<'de> for WrittenHandshakes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList;
        impl<'de> Visitor<'de> for OneOrList {
            type Value = WrittenHandshakes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[handshake] or [[handshake]]")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WrittenHandshakes, A::Error> {
                let one = WrittenHandshake::deserialize(MapAccessDeserializer::new(map))?;
                Ok(WrittenHandshakes { all: vec![one], is_list: false })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<WrittenHandshakes, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(WrittenHandshakes { all, is_list: true })
            }
        }
        deserializer.deserialize_any(OneOrList)
    }
}

impl JsonSchema for WrittenHandshakes {
    fn schema_name() -> Cow<'static, str> {
        "Handshakes".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<WrittenHandshake>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

impl WrittenHandshakes {
    /// Checks each against `method`, by which deliveries are verified.
    pub(super) fn resolve(self, method: Method) -> Result<Vec<Handshake>, FlawAt> {
        let is_list = self.is_list;
        let place = |index: usize| if is_list { format!("handshake[{index}].") } else { "handshake.".to_owned() };
        let all = self.all.into_iter().enumerate();
        all.map(|(index, written)| written.resolve(method).map_err(|flaw| flaw.within(&place(index)))).collect()
    }
}

impl WrittenHandshake {
    fn resolve(self, method: Method) -> Result<Handshake, FlawAt> {
        let proof = match (self.token, self.open) {
            (Some(_), true) => return Err(FlawAt::new("open", "set `open` or `token`, not both")),
            (Some(token), false) if token.is_empty() => {
                return Err(FlawAt::new("token", "empty: expected the name of a query parameter"));
            }
            (Some(token), false) => HandshakeProof::Token(token),
            (None, true) => HandshakeProof::Open,
            (None, false) => HandshakeProof::Delivery,
        };
        let handshake = Handshake {
            method: self.method,
            query: self.query,
            body: self.body,
            proof,
            answer: answer_parts(&self.answer)?,
            answer_type: self.content_type,
        };
        handshake.check_proof(method)?;
        handshake.check_parts()?;
        handshake.check_is_told_apart()?;
        Ok(handshake)
    }
}

impl Handshake {
    /// A GET has no body that could be signed.
    fn check_proof(&self, method: Method) -> Result<(), FlawAt> {
        let unprovable = self.method == HandshakeMethod::Get
            && self.proof == HandshakeProof::Delivery
            && method.signature_length().is_some();
        if !unprovable {
            return Ok(());
        }
        let what = "a GET has no signature: name in `token` the query parameter with the verify token, or say \
                    `open = true` if the vendor sends none";
        Err(FlawAt::new("method", what))
    }

    /// What is answered before the body is read says nothing of the body, and the other way round.
    fn check_parts(&self) -> Result<(), FlawAt> {
        if self.needs_body() {
            let of_head = |part: &&AnswerPart| matches!(part, AnswerPart::Query(_) | AnswerPart::Header(_));
            let what = "for a POST that is verified like a delivery only the body counts: use `body` and {body:PATH}";
            if !self.query.is_empty() {
                return Err(FlawAt::new("query", what));
            }
            return match self.answer.iter().find(of_head) {
                Some(_) => Err(FlawAt::new("answer", what)),
                None => Ok(()),
            };
        }
        let what = "it is answered before a body is read: use `query`, {query:NAME} and {header:NAME}";
        if !self.body.is_empty() {
            return Err(FlawAt::new("body", what));
        }
        match self.answer.iter().find(|part| matches!(part, AnswerPart::Body(_))) {
            Some(_) => Err(FlawAt::new("answer", what)),
            None => Ok(()),
        }
    }

    /// A POST may be a delivery: what makes it a handshake has to be said.
    fn check_is_told_apart(&self) -> Result<(), FlawAt> {
        let asks_query = || !self.query.is_empty() || self.answer.iter().any(|p| matches!(p, AnswerPart::Query(_)));
        match self.method {
            HandshakeMethod::Post if self.needs_body() && self.body.is_empty() => {
                Err(FlawAt::new("body", "missing: it says which deliveries are handshakes; without it all would be"))
            }
            HandshakeMethod::Post if !self.needs_body() && !asks_query() => {
                Err(FlawAt::new("query", "missing: it says which requests are handshakes; without it all would be"))
            }
            HandshakeMethod::Get | HandshakeMethod::Post => Ok(()),
        }
    }
}

fn answer_parts(text: &str) -> Result<Vec<AnswerPart>, FlawAt> {
    let fail = |what: String| FlawAt::new("answer", what);
    let part = |piece| match piece {
        TemplatePiece::Text(text) => Ok(AnswerPart::Text(text)),
        TemplatePiece::Field { name, of } => match (name.as_str(), of) {
            ("query", Some(name)) if !name.is_empty() => Ok(AnswerPart::Query(name)),
            ("body", Some(path)) if !path.is_empty() => Ok(AnswerPart::Body(path)),
            ("header", Some(name)) => HeaderName::try_from(&name)
                .map(AnswerPart::Header)
                .map_err(|_| fail(format!("{name:?} is not a valid header name"))),
            (name, _) => {
                Err(fail(format!("got {{{name}}}, expected {{query:NAME}}, {{header:NAME}} or {{body:PATH}}")))
            }
        },
    };
    template::parse(text).map_err(|flaw| fail(flaw.to_string()))?.into_iter().map(part).collect()
}

#[cfg(test)]
impl Handshake {
    /// What `[handshake]` with these lines says, where deliveries are verified by `method`.
    pub(crate) fn from_lines(method: Method, lines: &str) -> Handshake {
        let written: WrittenHandshake = toml::from_str(lines).unwrap_or_else(|error| panic!("{error}"));
        written.resolve(method).unwrap_or_else(|flaw| panic!("{flaw:?}"))
    }
}
