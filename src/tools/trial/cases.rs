//! A file of requests, and what is to become of each: for a vendor's profile what tests are for code.
//!
//! ```toml
//! [[case]]
//! name = "a deal is won"
//! source = "wegly"
//! body = "won.json"          # beside this file; or `json = '{"…"}'`
//! unsigned = true
//! [case.expect]
//! outcome = "published"
//! [[case.expect.event]]
//! type = "deal.won"
//! topics = ["wegly.deal"]
//! record = '{"deal": {"value": 12.5}}'
//! ```

mod expect;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;

use super::TrialRequest;
use crate::values::time;
use expect::Expectation;

/// Why a file of cases cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CasesError {
    #[error("{path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("{path}: {what}")]
    Unusable { path: String, what: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCases {
    case: Vec<WrittenCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCase {
    name: String,
    source: String,
    body: Option<PathBuf>,
    json: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    path: Option<String>,
    method: Option<String>,
    query: Option<String>,
    #[serde(default)]
    unsigned: bool,
    at: Option<String>,
    expect: Expectation,
}

/// A request, and what is to become of it.
pub(crate) struct TrialCase {
    pub(crate) name: String,
    pub(crate) request: TrialRequest,
    pub(crate) expect: Expectation,
}

/// Reads a file of cases; `now` is when requests without `at` are received.
///
/// # Errors
/// When the file, or a body that it names, cannot be read or used.
pub(crate) fn read_cases(file: &Path, now: i64) -> Result<Vec<TrialCase>, CasesError> {
    let path = file.display().to_string();
    let text = read(file)?;
    let text = String::from_utf8_lossy(&text);
    let unusable = |what: String| CasesError::Unusable { path: path.clone(), what };
    let written: WrittenCases = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1).unwrap_or_default();
        unusable(format!("line {line}: {}", error.message()))
    })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let case = |(at, case): (usize, WrittenCase)| {
        let place = format!("case {} ({:?})", at + 1, case.name);
        case.resolve(folder, now, |what| unusable(format!("{place}: {what}")))
    };
    written.case.into_iter().enumerate().map(case).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, CasesError> {
    fs::read(path).map_err(|error| CasesError::Unreadable { path: path.display().to_string(), error })
}

impl WrittenCase {
    fn resolve(self, folder: &Path, now: i64, unusable: impl Fn(&str) -> CasesError) -> Result<TrialCase, CasesError> {
        let body = match (&self.body, self.json) {
            (Some(body), None) => Bytes::from(read(&folder.join(body))?),
            (None, Some(json)) => Bytes::from(json),
            (None, None) if self.method.is_some() || self.query.is_some() => Bytes::new(),
            _ => return Err(unusable("expected `body`, a file, or `json`, a text: one of them")),
        };
        if self.expect.is_empty() {
            return Err(unusable("`expect` is empty: a case that cannot fail shows nothing"));
        }
        if !self.expect.is_readable() {
            return Err(unusable("expect.event.record: expected JSON"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            add_header(&mut headers, name, value).ok_or_else(|| unusable(&format!("{name:?}: not a header")))?;
        }
        assume_json(&mut headers);
        let received_at = match self.at.as_deref().map(time::parse_iso) {
            None => now,
            Some(Some(instant)) => instant.millis,
            Some(None) => return Err(unusable("at: expected a time such as 2026-06-02T12:00:00Z")),
        };
        let method = match self.method.as_deref() {
            None | Some("POST") => Method::POST,
            Some("GET") => Method::GET,
            Some(_) => return Err(unusable("method: expected GET or POST")),
        };
        let (source, path, query, unsigned) = (self.source, self.path, self.query, self.unsigned);
        let request = TrialRequest { source, method, headers, path, query, body, unsigned, received_at };
        Ok(TrialCase { name: self.name, request, expect: self.expect })
    }
}

/// Adds a header, unless it cannot be one.
pub(crate) fn add_header(headers: &mut HeaderMap, name: &str, value: &str) -> Option<()> {
    let name = HeaderName::try_from(name.trim()).ok()?;
    headers.append(name, HeaderValue::try_from(value.trim()).ok()?);
    Some(())
}

/// Says that the body is JSON, unless the headers say what it is.
pub(crate) fn assume_json(headers: &mut HeaderMap) {
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
}
