//! The registry's REST API (Confluent's), as far as it is needed.
//!
//! `schema_registry_converter` has the forms of the answers. The calls are ours: its own read an answer to its end,
//! however long that is, and drop the reasons of a compatibility check, which are what an operator needs to read.

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{RequestBuilder, StatusCode, header};
use schema_registry_converter::schema_registry_common::{RawError, RawRegisteredSchema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::{NoSchema, RegistryError};
use crate::config::{ConfigError, RegistryAuth, RegistrySettings};
use crate::kafka::route::Subject;
use crate::outbound::{self, with_causes};
use crate::values::time;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// An answer holds a schema, which Kafka keeps in a record of 1 MiB, or the reasons against one, which may quote two.
const MAX_ANSWER: usize = 4 << 20;

/// Of its reasons, what is kept: they stand in logs and in `/readyz`.
const MAX_REASONS: usize = 16 << 10;

/// Confluent's error code for a subject that is not there.
const NO_SUBJECT: u32 = 40401;

/// What is said where the registry says no more than no.
pub(super) const NO_REASONS: &str = "incompatible with an earlier version";

/// What a search for a schema found.
pub(super) enum Search {
    /// Under this id.
    Found(u32),
    NoSubject,
    NoSchema,
}

/// Why a call has no answer.
enum CallError {
    /// The registry's own error.
    Said(RawError),
    /// It cannot be reached, or is no registry.
    Failed(String),
}

/// Speaks to a registry.
pub(crate) struct Client {
    http: reqwest::Client,
    registry: RegistrySettings,
}

impl Client {
    pub(super) fn new(settings: &RegistrySettings) -> Result<Client, ConfigError> {
        let http = http_builder(settings)?.timeout(settings.timeout).build();
        let http = http.map_err(|e| ConfigError::key("registry", with_causes(&e)))?;
        Ok(Client { http, registry: settings.clone() })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.registry.url))
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let post = self.http.post(format!("{}{path}", self.registry.url));
        post.header(header::CONTENT_TYPE, MEDIA_TYPE).header(header::ACCEPT, MEDIA_TYPE).body(body.to_string())
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.registry.auth {
            RegistryAuth::None => request,
            RegistryAuth::Basic { username, password } => request.basic_auth(username, Some(password.expose())),
            RegistryAuth::Bearer(token) => request.bearer_auth(token.expose()),
        }
    }

    /// Asks, and reads the whole answer.
    async fn answer(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), CallError> {
        let response = self.authorized(request).send().await.map_err(|e| CallError::Failed(with_causes(&e)))?;
        let status = response.status();
        let body = outbound::body(response, MAX_ANSWER).await;
        Ok((status, body.map_err(|e| CallError::Failed(format!("registry {}: {e}", self.registry.url)))?))
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CallError> {
        let (status, body) = self.answer(request).await?;
        if status.is_success() {
            let no_answer =
                |e| format!("registry {}: the answer is not that of a schema registry: {e}", self.registry.url);
            return serde_json::from_slice(&body).map_err(|e| CallError::Failed(no_answer(e)));
        }
        Err(match serde_json::from_slice::<RawError>(&body) {
            Ok(mut words) => {
                words.message = clip(words.message);
                CallError::Said(words)
            }
            Err(_) => CallError::Failed(format!("registry {}: {status}", self.registry.url)),
        })
    }

    /// The time by the registry's clock, in milliseconds since 1970, give or take a second; `None` when it does not say.
    pub(super) async fn time(&self) -> Option<i64> {
        // Whatever it answers, its head has the time.
        let response = self.authorized(self.get("/schemas/types")).send().await.ok()?;
        time::parse_http_date(response.headers().get(header::DATE)?.to_str().ok()?)
    }

    /// Looks for this schema under the subject.
    pub(super) async fn find(&self, subject: &Subject) -> Result<Search, RegistryError> {
        let path = format!("{}?deleted=false", path_of(subject));
        match self.call::<RawRegisteredSchema>(self.post(&path, &body(subject))).await {
            Ok(found) => Ok(found.id.map_or(Search::NoSchema, Search::Found)),
            Err(CallError::Said(words)) if words.error_code == NO_SUBJECT => Ok(Search::NoSubject),
            Err(error) if error.is_not_found() => Ok(Search::NoSchema),
            Err(error) => Err(error.about(subject)),
        }
    }

    /// Registers the schema; gives its id.
    pub(super) async fn register(&self, subject: &Subject) -> Result<u32, RegistryError> {
        let path = format!("{}/versions", path_of(subject));
        let posted = self.call::<RawRegisteredSchema>(self.post(&path, &body(subject))).await;
        let posted = posted.map_err(|error| error.about(subject))?;
        posted.id.ok_or_else(|| without(subject, "id"))
    }

    /// The id of the newest version that is equal in parsing canonical form and logical types.
    pub(super) async fn equal_version(&self, subject: &Subject) -> Result<Option<u32>, RegistryError> {
        let path = format!("{}/versions", path_of(subject));
        let mut versions: Vec<u32> = match self.call(self.get(&path)).await {
            Err(error) if error.is_not_found() => return Ok(None),
            versions => versions.map_err(|error| error.about(subject))?,
        };
        versions.sort_unstable();
        let ours = CanonicalSchema::of(&subject.schema);
        for version in versions.into_iter().rev() {
            let found: RawRegisteredSchema =
                self.call(self.get(&format!("{path}/{version}"))).await.map_err(|error| error.about(subject))?;
            let schema = found.schema.ok_or_else(|| without(subject, "schema"))?;
            if ours.is_some() && CanonicalSchema::of(&schema) == ours {
                return found.id.map(Some).ok_or_else(|| without(subject, "id"));
            }
        }
        Ok(None)
    }

    /// Why the schema does not go with the versions before it; `None` when it does.
    pub(super) async fn incompatibilities(&self, subject: &Subject) -> Result<Option<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Compatibility {
            is_compatible: bool,
            #[serde(default)]
            messages: Vec<String>,
        }
        let path = format!("/compatibility{}/versions?verbose=true", path_of(subject));
        let (status, answer) =
            self.answer(self.post(&path, &body(subject))).await.map_err(|error| error.about(subject))?;
        match status {
            // A subject that is not there yet has nothing to be incompatible with.
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => {
                Ok(Some(clip(String::from_utf8_lossy(&answer).into_owned())))
            }
            status if !status.is_success() => {
                Err(RegistryError::unavailable(format!("compatibility check of {}: {status}", subject.name)))
            }
            _ => {
                let verdict: Compatibility = serde_json::from_slice(&answer)
                    .map_err(|e| RegistryError::unavailable(format!("compatibility check of {}: {e}", subject.name)))?;
                let reasons =
                    if verdict.messages.is_empty() { NO_REASONS.to_owned() } else { verdict.messages.join("; ") };
                Ok((!verdict.is_compatible).then(|| clip(reasons)))
            }
        }
    }
}

impl CallError {
    /// 404 as a status, or as the first three digits of Confluent's five-digit codes.
    fn is_not_found(&self) -> bool {
        matches!(self, CallError::Said(words) if status(words) == 404)
    }

    /// A schema it refuses (409 incompatible, 422 invalid) is not the same as a registry that cannot be used.
    fn about(self, subject: &Subject) -> RegistryError {
        match self {
            CallError::Said(words) if [409, 422].contains(&status(&words)) => {
                RegistryError::Refused { subject: subject.name.clone(), reasons: words.message }
            }
            CallError::Said(words) => {
                RegistryError::unavailable(format!("{}: {} ({})", subject.name, words.message, words.error_code))
            }
            CallError::Failed(words) => RegistryError::unavailable(words),
        }
    }
}

fn status(words: &RawError) -> u32 {
    if words.error_code >= 10_000 { words.error_code / 100 } else { words.error_code }
}

fn without(subject: &Subject, what: &str) -> RegistryError {
    RegistryError::unavailable(format!("{}: the registry's answer has no {what}", subject.name))
}

/// The beginning of what may be long.
fn clip(mut words: String) -> String {
    if words.len() > MAX_REASONS {
        let end = (0..=MAX_REASONS).rev().find(|&end| words.is_char_boundary(end));
        words.truncate(end.unwrap_or(0));
        words.push('…');
    }
    words
}

fn path_of(subject: &Subject) -> String {
    format!("/subjects/{}", subject.name.replace('/', "%2F"))
}

/// Reads schemas by id, for those who read topics.
pub(crate) struct SchemaReader(Client);

impl SchemaReader {
    /// # Errors
    /// When `registry.ca_file` cannot be used.
    pub(crate) fn new(settings: &RegistrySettings) -> Result<SchemaReader, ConfigError> {
        Client::new(settings).map(SchemaReader)
    }

    /// The text of the schema with this id.
    pub(crate) async fn schema(&self, id: u32) -> Result<String, NoSchema> {
        let found = self.0.call::<RawRegisteredSchema>(self.0.get(&format!("/schemas/ids/{id}?deleted=true"))).await;
        let why = match found {
            Ok(RawRegisteredSchema { schema: Some(schema), .. }) => return Ok(schema),
            Ok(_) => "the registry's answer has no schema".to_owned(),
            Err(CallError::Said(words)) => words.message,
            Err(CallError::Failed(words)) => words,
        };
        Err(NoSchema { id, why })
    }
}

fn http_builder(settings: &RegistrySettings) -> Result<reqwest::ClientBuilder, ConfigError> {
    let builder = outbound::client(settings.ca_file.as_deref(), "registry.ca_file")?;
    // In clear nobody is trusted, and the system's authorities take 1 MiB; so it has to stay in clear.
    let in_clear = outbound::is_in_clear(&settings.url);
    Ok(if in_clear { builder.tls_certs_only([]).redirect(Policy::custom(in_clear_only)) } else { builder })
}

fn in_clear_only(attempt: Attempt<'_>) -> Action {
    if attempt.url().scheme() == "http" {
        Policy::default().redirect(attempt)
    } else {
        attempt.error("it redirects to https://: write that address in registry.url")
    }
}

fn body(subject: &Subject) -> Value {
    json!({ "schema": subject.schema, "schemaType": "AVRO" })
}

/// What makes two schemas equal for us: parsing canonical form, and the logical types it leaves out.
#[derive(PartialEq, Eq)]
struct CanonicalSchema {
    canonical: String,
    logical: Vec<String>,
}

impl CanonicalSchema {
    fn of(text: &str) -> Option<CanonicalSchema> {
        let canonical = apache_avro::Schema::parse_str(text).ok()?.canonical_form();
        let mut logical = Vec::new();
        collect_logical(&serde_json::from_str(text).ok()?, &mut logical);
        Some(CanonicalSchema { canonical, logical })
    }
}

/// One entry per type that is not a record, in the order they are written; empty where there is no logical type.
fn collect_logical(ty: &Value, found: &mut Vec<String>) {
    match ty {
        Value::Array(branches) => branches.iter().for_each(|branch| collect_logical(branch, found)),
        Value::Object(object) if object.contains_key("fields") => {
            let fields = object["fields"].as_array().into_iter().flatten();
            fields.filter_map(|field| field.get("type")).for_each(|ty| collect_logical(ty, found));
        }
        Value::Object(object) if object.contains_key("items") => collect_logical(&object["items"], found),
        Value::Object(object) if object.get("type").is_some_and(|ty| !ty.is_string()) => {
            collect_logical(&object["type"], found);
        }
        _ => found.push(ty.get("logicalType").and_then(Value::as_str).unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::outbound::endless;

    /// What a bridge that speaks to `registry` has of it, and its first subject.
    fn speaking_to(registry: &str) -> (RegistrySettings, Arc<Subject>) {
        let text = format!(
            "[kafka]\nbootstrap_servers = \"k:1\"\n[registry]\nurl = \"{registry}\"\ntimeout = \"30s\"\n\
             [sources.whazing]\ntokens = [\"t0ken-1\"]\n"
        );
        let settings = crate::config::from_text("test", &text, &BTreeMap::new()).unwrap();
        let subject = Arc::clone(&crate::kafka::route::Routes::plan(&settings).subjects[0]);
        (settings.registry, subject)
    }

    #[tokio::test]
    async fn an_answer_that_does_not_end_is_not_read_to_its_end() {
        for (status, begin) in [
            ("200 OK", "{\"id\":1,\"schema\":\""),
            ("200 OK", "["),
            ("409 Conflict", "{\"error_code\":409,\"message\":\""),
            ("503 Service Unavailable", "<html>"),
        ] {
            let (url, sent) = endless(status, begin);
            let (settings, subject) = speaking_to(&url);
            let client = Client::new(&settings).unwrap();
            let errors = [
                client.find(&subject).await.err().unwrap(),
                client.register(&subject).await.err().unwrap(),
                client.equal_version(&subject).await.err().unwrap(),
                client.incompatibilities(&subject).await.err().unwrap(),
            ];
            let words = errors.iter().map(ToString::to_string);
            let by_id = SchemaReader(client).schema(1).await.unwrap_err().to_string();
            for words in words.chain([by_id]) {
                assert!(
                    words.contains(&format!("registry {url}: the answer is larger than {MAX_ANSWER} bytes")),
                    "{words}"
                );
            }
            // Beside what was read: what waits in the buffers of five connections.
            let sent = sent.load(Ordering::Relaxed);
            assert!(sent < 5 * (MAX_ANSWER + (40 << 20)), "{status}: {sent} bytes were taken");
        }
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(clip("short".into()), "short");
        let cut = clip(format!("a{}", "é".repeat(MAX_REASONS)));
        assert!(cut.ends_with("é…") && cut.len() <= MAX_REASONS + '…'.len_utf8());
    }

    #[tokio::test]
    async fn what_is_spoken_to_in_clear_is_not_followed_to_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let answer =
                "HTTP/1.1 308 Permanent Redirect\r\nlocation: https://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let client = reqwest::Client::builder().redirect(Policy::custom(in_clear_only)).build().unwrap();
        let words = with_causes(&client.post(url).send().await.unwrap_err());
        assert!(words.contains("redirects to https://: write that address in registry.url"), "{words}");
    }

    #[test]
    fn equal_is_what_reads_the_same_whatever_the_docs_say() {
        let text = |ty: &str, doc: &str| {
            format!(r#"{{"type":"record","name":"a.B","doc":"{doc}","fields":[{{"name":"f","type":["null",{ty}]}}]}}"#)
        };
        let plain = CanonicalSchema::of(&text(r#""string""#, "x"));
        assert!(plain.is_some());
        assert!(plain == CanonicalSchema::of(&text(r#"{"type":"string"}"#, "y")));
        assert!(plain != CanonicalSchema::of(&text(r#"{"type":"string","logicalType":"uuid"}"#, "x")));
        assert!(plain != CanonicalSchema::of(&text(r#""long""#, "x")));
        assert!(CanonicalSchema::of("{").is_none());
    }
}
