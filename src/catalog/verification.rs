//! `[verify]` of a profile: how a sender proves who it is.
//!
//! ```text
//! method                        what kind of proof
//! header, separator, prefix     where it stands, and how it is taken out of its header
//! encoding, secret              how it is spelled, and how the operator's secret is
//! signed                        what a signature is over
//! timestamp, tolerance          where the signed time stands, and how far from now it may be
//! ```
//!
//! What would let somebody in is refused when the file is read: a signature that is not over the body, or a tolerance of a
//! time that anybody may change.

use std::time::Duration;

use http::{HeaderName, header};
use schemars::JsonSchema;
use serde::Deserialize;

use super::FlawAt;
use super::template::{self, TemplatePiece};

/// How a source proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Method {
    /// A header holds an HMAC.
    HmacSha1,
    HmacSha256,
    HmacSha512,
    /// A header holds a signature that anybody can check, and only the sender can make.
    Ed25519,
    /// A header, `Authorization: Bearer` or the path holds a shared token.
    Token,
    /// `Authorization: Basic` holds a user and a password.
    Basic,
}

impl Method {
    /// How many bytes a signature has; `None` where there is none.
    pub(crate) fn signature_length(self) -> Option<usize> {
        match self {
            Method::HmacSha1 => Some(20),
            Method::HmacSha256 => Some(32),
            Method::HmacSha512 | Method::Ed25519 => Some(64),
            Method::Token | Method::Basic => None,
        }
    }

    /// What may stand in front of a signature where a profile does not say what does.
    pub(crate) fn usual_prefix(self) -> &'static str {
        match self {
            Method::HmacSha1 => "sha1=",
            Method::HmacSha256 => "sha256=",
            Method::HmacSha512 => "sha512=",
            Method::Ed25519 | Method::Token | Method::Basic => "",
        }
    }
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProofEncoding {
    /// Either of the two; the length tells which.
    #[default]
    Any,
    Hex,
    Base64,
}

/// How an operator's secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretEncoding {
    /// The key is the text itself.
    Text,
    Hex,
    Base64,
    /// Either of the last two: for keys of one length.
    #[serde(skip)]
    HexOrBase64,
}

/// A piece of what is signed, beside the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MessagePart {
    Text(String),
    Header(HeaderName),
    Method,
    Path,
    Query,
    Timestamp,
}

/// Where the signed time stands.
#[derive(Clone, Debug)]
pub(crate) struct SignedTime {
    /// A header of its own; `None` where it is an item of the signature's.
    pub(crate) header: Option<HeaderName>,
    /// What stands in front of it.
    pub(crate) prefix: String,
}

/// How a source proves who it is, in full.
#[derive(Clone, Debug)]
pub(crate) struct Verification {
    pub(crate) method: Method,
    /// Holds the proof.
    pub(crate) header: HeaderName,
    /// Stands between the items of the header, if it is a list.
    pub(crate) separator: Option<String>,
    /// Stands in front of the proof; an item that begins otherwise is none.
    pub(crate) prefix: Option<String>,
    pub(crate) encoding: ProofEncoding,
    pub(crate) secret_encoding: SecretEncoding,
    /// Stands in front of a secret, and may be left away.
    pub(crate) secret_prefix: String,
    pub(crate) before_body: Vec<MessagePart>,
    pub(crate) after_body: Vec<MessagePart>,
    pub(crate) time: Option<SignedTime>,
    /// How far the signed time may be from now, before or after.
    pub(crate) tolerance: Option<Duration>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenSecretForm {
    /// How the secret is written. Default: "text".
    encoding: Option<SecretEncoding>,
    /// What stands in front of a secret, and may be left away, such as "whsec_".
    prefix: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WrittenSignedTime {
    /// The header that holds the time; without it, an item of the signature's header.
    header: Option<String>,
    /// What stands in front of the time.
    prefix: Option<String>,
}

/// `[verify]` as it is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenVerification {
    /// How senders prove who they are.
    method: Method,
    /// The header that holds the proof.
    header: Option<String>,
    /// Between the items of that header, if it is a list.
    separator: Option<String>,
    /// In front of the proof, such as "v1=".
    prefix: Option<String>,
    /// How the bytes of a signature are written. Default: "any".
    encoding: Option<ProofEncoding>,
    /// How secrets are written.
    secret: Option<WrittenSecretForm>,
    /// What is signed, such as "{timestamp}.{body}". Default: the body.
    signed: Option<String>,
    /// Where the signed time stands.
    timestamp: Option<WrittenSignedTime>,
    /// How far the signed time may be from now, such as "5m".
    tolerance: Option<String>,
}

impl WrittenVerification {
    /// Checks that it holds together and lets nobody in who cannot sign.
    pub(super) fn resolve(self) -> Result<Verification, FlawAt> {
        self.check_fits_method()?;
        let header = match &self.header {
            Some(name) => header_name("header", name)?,
            None if self.method == Method::Basic => header::AUTHORIZATION,
            None => return Err(FlawAt::new("header", "missing: name the header that holds the proof")),
        };
        for (key, text) in [("separator", &self.separator), ("prefix", &self.prefix)] {
            not_empty(key, text.as_deref())?;
        }
        let time = self.timestamp.as_ref().map(|written| self.signed_time(written)).transpose()?;
        let (before_body, after_body) = self.signed.as_deref().map(signed_parts).transpose()?.unwrap_or_default();
        check_time_is_signed(&header, time.as_ref(), [&before_body, &after_body])?;
        let (secret_encoding, secret_prefix) = self.secret_form()?;
        Ok(Verification {
            method: self.method,
            header,
            encoding: self.encoding.unwrap_or_default(),
            secret_encoding,
            secret_prefix,
            before_body,
            after_body,
            tolerance: self.tolerance.as_deref().map(|text| tolerance(text, time.is_some())).transpose()?,
            time,
            separator: self.separator,
            prefix: self.prefix,
        })
    }

    /// A token is no signature: what describes one would be without effect.
    fn check_fits_method(&self) -> Result<(), FlawAt> {
        if self.method.signature_length().is_some() {
            return Ok(());
        }
        let keys = [
            ("separator", self.separator.is_some()),
            ("encoding", self.encoding.is_some()),
            ("secret", self.secret.is_some()),
            ("signed", self.signed.is_some()),
            ("timestamp", self.timestamp.is_some()),
            ("tolerance", self.tolerance.is_some()),
            ("prefix", self.prefix.is_some() && self.method == Method::Basic),
        ];
        match keys.into_iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => {
                Err(FlawAt::new(key, "only for methods that sign: hmac-sha1, hmac-sha256, hmac-sha512, ed25519"))
            }
            None => Ok(()),
        }
    }

    fn signed_time(&self, written: &WrittenSignedTime) -> Result<SignedTime, FlawAt> {
        not_empty("timestamp.prefix", written.prefix.as_deref())?;
        let header = written.header.as_deref().map(|name| header_name("timestamp.header", name)).transpose()?;
        if header.is_none() && (self.separator.is_none() || written.prefix.is_none()) {
            let what = "expected `header`, or for an item of the signature's header `prefix`, with verify.separator";
            return Err(FlawAt::new("timestamp", what));
        }
        Ok(SignedTime { header, prefix: written.prefix.clone().unwrap_or_default() })
    }

    fn secret_form(&self) -> Result<(SecretEncoding, String), FlawAt> {
        let written = self.secret.as_ref();
        not_empty("secret.prefix", written.and_then(|form| form.prefix.as_deref()))?;
        let encoding = written.and_then(|form| form.encoding);
        let encoding = match (self.method, encoding) {
            (Method::Ed25519, None) => SecretEncoding::HexOrBase64,
            (Method::Ed25519, Some(SecretEncoding::Text)) => {
                return Err(FlawAt::new(
                    "secret.encoding",
                    "a key of ed25519 is no text: expected \"hex\" or \"base64\"",
                ));
            }
            (_, written) => written.unwrap_or(SecretEncoding::Text),
        };
        Ok((encoding, written.and_then(|form| form.prefix.clone()).unwrap_or_default()))
    }
}

fn header_name(key: &str, name: &str) -> Result<HeaderName, FlawAt> {
    HeaderName::try_from(name).map_err(|_| FlawAt::new(key, format!("{name:?} is not a valid header name")))
}

/// An empty text would fit everything.
fn not_empty(key: &str, text: Option<&str>) -> Result<(), FlawAt> {
    if text == Some("") { Err(FlawAt::new(key, "empty: leave the key out instead")) } else { Ok(()) }
}

/// What is signed before and behind the body.
fn signed_parts(text: &str) -> Result<(Vec<MessagePart>, Vec<MessagePart>), FlawAt> {
    let fail = |what: String| FlawAt::new("signed", what);
    let (mut before, mut after) = (Vec::new(), None);
    for piece in template::parse(text).map_err(|flaw| fail(flaw.to_string()))? {
        let part = match piece {
            TemplatePiece::Text(text) => MessagePart::Text(text),
            TemplatePiece::Field { name, of } => match (name.as_str(), of) {
                ("body", None) if after.is_none() => {
                    after = Some(Vec::new());
                    continue;
                }
                ("body", None) => return Err(fail("has {body} twice".into())),
                ("header", Some(name)) => MessagePart::Header(header_name("signed", &name)?),
                ("method", None) => MessagePart::Method,
                ("path", None) => MessagePart::Path,
                ("query", None) => MessagePart::Query,
                ("timestamp", None) => MessagePart::Timestamp,
                (name, _) => {
                    let known = "{body}, {header:NAME}, {method}, {path}, {query} or {timestamp}";
                    return Err(fail(format!("got {{{name}}}, expected {known}")));
                }
            },
        };
        after.as_mut().unwrap_or(&mut before).push(part);
    }
    match after {
        Some(after) => Ok((before, after)),
        None => Err(fail("has no {body}: whoever has seen one signature could send any body with it".into())),
    }
}

/// A time that is not signed says nothing: whoever repeats an old delivery would write a new one.
fn check_time_is_signed(
    proof: &HeaderName,
    time: Option<&SignedTime>,
    parts: [&Vec<MessagePart>; 2],
) -> Result<(), FlawAt> {
    let mut parts = parts.into_iter().flatten();
    let Some(time) = time else {
        if parts.any(|part| *part == MessagePart::Timestamp) {
            return Err(FlawAt::new("signed", "{timestamp}: say in verify.timestamp where the time stands"));
        }
        return Ok(());
    };
    let header = time.header.as_ref().unwrap_or(proof);
    let is_it = |part: &MessagePart| match part {
        MessagePart::Timestamp => true,
        MessagePart::Header(name) => name == header,
        _ => false,
    };
    if parts.any(is_it) {
        return Ok(());
    }
    let field = match &time.header {
        Some(name) => format!("{{timestamp}} or {{header:{name}}}"),
        None => "{timestamp}".to_owned(),
    };
    let what = format!("is not signed, so that anybody could change it: put {field} into verify.signed");
    Err(FlawAt::new("timestamp", what))
}

fn tolerance(text: &str, has_time: bool) -> Result<Duration, FlawAt> {
    let fail = |what: String| FlawAt::new("tolerance", what);
    if !has_time {
        return Err(fail("there is no signed time to hold against it: say in verify.timestamp where it stands".into()));
    }
    match humantime::parse_duration(text) {
        Ok(time) if time.is_zero() => Err(fail("must be longer than 0".into())),
        Ok(time) => Ok(time),
        Err(error) => Err(fail(format!("{error}; expected a duration such as \"5m\""))),
    }
}

#[cfg(test)]
impl Verification {
    /// What `[verify]` with these lines says.
    pub(crate) fn from_lines(lines: &str) -> Verification {
        let written: WrittenVerification = toml::from_str(lines).unwrap_or_else(|error| panic!("{error}"));
        written.resolve().unwrap_or_else(|flaw| panic!("{flaw:?}"))
    }
}
