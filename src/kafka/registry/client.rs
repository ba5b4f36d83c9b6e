//! The registry's REST API (Confluent's), as far as it is needed.
//!
//! `schema_registry_converter` has the forms of the answers. The calls are ours: its own read an answer to its end,
//! however long that is, and drop the reasons of a compatibility check, which are what an operator needs to read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{RequestBuilder, StatusCode, header};
use schema_registry_converter::schema_registry_common::{RawError, RawRegisteredSchema};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::canonical::CanonicalSchema;
use super::error::{NoSchema, RegistryError, RegistryUnavailable};
use crate::config::{ConfigError, RegistryAuth, RegistrySettings};
use crate::kafka::route::Subject;
use crate::outbound::{self, Unread, with_causes};
use crate::values::time;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// An answer holds a schema, which Kafka keeps in a record of 1 MiB, or the reasons against one, which may quote two.
const MAX_ANSWER: usize = 4 << 20;

/// Of its reasons, what is kept: they stand in logs and in `/readyz`.
const MAX_REASONS: usize = 16 << 10;

/// Confluent's error codes for a subject that is not there, or has no such version. A mere 404 says no more than that
/// nobody answers at this path, which may be a proxy's word or a wrong address.
const NO_SUBJECT: [u32; 2] = [40401, 40402];

/// Confluent's error code for a schema that is not there.
const NO_SCHEMA: u32 = 40403;

/// What is said where the registry says no more than no.
const NO_REASONS: &str = "the registry calls it incompatible with an earlier version, and does not say why";

/// What a search for a schema found.
pub(super) enum Search {
    /// Under this id.
    Found(u32),
    NoSubject,
    NoSchema,
}

/// A version of a subject as the registry has it.
pub(super) struct SubjectVersion {
    pub(super) version: u32,
    pub(super) id: Option<u32>,
    pub(super) text: String,
    /// `AVRO`, `JSON` or `PROTOBUF`; may be missing where it is Avro.
    pub(super) format: Option<String>,
}

/// Why a call has no answer.
enum CallError {
    /// The registry's own error.
    Said(RawError),
    /// What answers has nothing at this path.
    NoRoute(String),
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

    fn no_answer(&self, error: &reqwest::Error) -> CallError {
        let RegistrySettings { url, timeout, .. } = &self.registry;
        let why = if error.is_timeout() {
            format!("no answer within {} (registry.timeout)", humantime::format_duration(*timeout))
        } else {
            outbound::why(error)
        };
        CallError::Failed(format!("registry {url}: {why}"))
    }

    /// Asks, and reads the whole answer.
    async fn answer(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), CallError> {
        let response = self.authorized(request).send().await.map_err(|e| self.no_answer(&e))?;
        let status = response.status();
        let body = outbound::body(response, MAX_ANSWER).await.map_err(|e| match e {
            Unread::Broken(e) => self.no_answer(&e),
            Unread::TooLarge(_) => CallError::Failed(format!("registry {}: {e}", self.registry.url)),
        })?;
        Ok((status, body))
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CallError> {
        let (status, body) = self.answer(request).await?;
        let url = &self.registry.url;
        if status.is_success() {
            let no_answer = |e| {
                format!("registry {url}: the answer is not that of a schema registry: {e}; {}", self.right_address())
            };
            return serde_json::from_slice(&body).map_err(|e| CallError::Failed(no_answer(e)));
        }
        let words = serde_json::from_slice::<RawError>(&body).ok();
        let no_route = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&status);
        Err(match words {
            Some(mut words) if !no_route || words.error_code >= 10_000 => {
                words.message = clip(words.message);
                CallError::Said(words)
            }
            _ if no_route => CallError::NoRoute(format!(
                "registry {url}: {status}: this is not the address of a schema registry's API; {}",
                self.right_address()
            )),
            _ => CallError::Failed(format!("registry {url}: {status}")),
        })
    }

    /// What to do when something answers that is no registry.
    fn right_address(&self) -> &'static str {
        if self.registry.url.contains("/apis/ccompat/") {
            "is there a proxy in front of it that does not know this path?"
        } else {
            "write the API's whole address in registry.url: Apicurio's ends in /apis/ccompat/v7, those of Confluent and \
             Karapace have no path"
        }
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
            Ok(found) => found.id.map(Search::Found).ok_or_else(|| without(subject, "id")),
            Err(CallError::Said(words)) if words.error_code == NO_SUBJECT[0] => Ok(Search::NoSubject),
            // Some say that there is no such version.
            Err(CallError::Said(words)) if [NO_SUBJECT[1], NO_SCHEMA].contains(&words.error_code) => {
                Ok(Search::NoSchema)
            }
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

    /// The numbers of the subject's versions, in their order; none where there is no such subject.
    pub(super) async fn versions(&self, subject: &Subject) -> Result<Vec<u32>, RegistryError> {
        let mut versions: Vec<u32> = match self.call(self.get(&format!("{}/versions", path_of(subject)))).await {
            Err(error) if error.is_no_subject() => return Ok(Vec::new()),
            versions => versions.map_err(|error| error.about(subject))?,
        };
        versions.sort_unstable();
        Ok(versions)
    }

    /// One of the subject's versions; `None` if it was deleted meanwhile.
    pub(super) async fn version(
        &self,
        subject: &Subject,
        version: u32,
    ) -> Result<Option<SubjectVersion>, RegistryError> {
        let path = format!("{}/versions/{version}", path_of(subject));
        let found: RawRegisteredSchema = match self.call(self.get(&path)).await {
            Err(error) if error.is_no_subject() => return Ok(None),
            found => found.map_err(|error| error.about(subject))?,
        };
        let text = found.schema.ok_or_else(|| without(subject, "schema"))?;
        Ok(Some(SubjectVersion { version, id: found.id, text, format: found.schema_type }))
    }

    /// The id of the newest version that is equal in parsing canonical form and logical types.
    pub(super) async fn equal_version(&self, subject: &Subject) -> Result<Option<u32>, RegistryError> {
        let ours = CanonicalSchema::of(&subject.schema);
        for version in self.versions(subject).await?.into_iter().rev() {
            let Some(found) = self.version(subject, version).await? else { continue };
            if ours.is_some() && CanonicalSchema::of(&found.text) == ours {
                return found.id.map(Some).ok_or_else(|| without(subject, "id"));
            }
        }
        Ok(None)
    }

    /// Why the registry would not have the schema beside the versions before it; `None` when it would, or has no check.
    pub(super) async fn incompatibilities(&self, subject: &Subject) -> Result<Option<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Compatibility {
            is_compatible: bool,
            #[serde(default)]
            messages: Vec<String>,
        }
        let all = format!("/compatibility{}/versions", path_of(subject));
        // Not every registry checks against all versions at once.
        for path in [format!("{all}?verbose=true"), format!("{all}/latest?verbose=true")] {
            return match self.call::<Compatibility>(self.post(&path, &body(subject))).await {
                Ok(Compatibility { is_compatible: true, .. }) => Ok(None),
                Ok(Compatibility { messages, .. }) if messages.is_empty() => Ok(Some(NO_REASONS.into())),
                Ok(Compatibility { messages, .. }) => Ok(Some(clip(messages.join("; ")))),
                Err(CallError::NoRoute(_)) => continue,
                // A subject that is not there has nothing to be incompatible with.
                Err(error) if error.is_no_subject() => Ok(None),
                Err(error) => match error.about(subject) {
                    RegistryError::Refused { reasons, .. } => Ok(Some(reasons)),
                    unavailable @ RegistryError::Unavailable(_) => Err(unavailable),
                },
            };
        }
        Ok(None)
    }

    /// The level at which the registry itself checks `subject`, or all that have none of their own; `None` where it does not say.
    pub(super) async fn level(&self, subject: Option<&Subject>) -> Option<String> {
        #[derive(Deserialize)]
        struct Level {
            #[serde(rename = "compatibilityLevel")]
            level: String,
        }
        let path = match subject {
            Some(subject) => format!("/config/{}?defaultToGlobal=true", escaped(&subject.name)),
            None => "/config".into(),
        };
        self.call::<Level>(self.get(&path)).await.ok().map(|answer| clip(answer.level))
    }
}

impl CallError {
    fn is_no_subject(&self) -> bool {
        matches!(self, CallError::Said(words) if NO_SUBJECT.contains(&words.error_code))
    }

    /// What it has against a schema (409 incompatible, 422 invalid) or its subject (404 with a code that we do not know) is not the
    /// same as a registry that cannot be used: it says nothing of the other subjects.
    fn about(self, subject: &Subject) -> RegistryError {
        match self {
            CallError::Said(words) if [409, 422].contains(&status(&words)) => {
                RegistryError::Refused { subject: subject.name.clone(), reasons: words.message }
            }
            CallError::Said(words) if status(&words) == 404 => {
                let reasons = format!("{} ({})", words.message, words.error_code);
                RegistryError::Refused { subject: subject.name.clone(), reasons }
            }
            CallError::Said(words) => {
                RegistryError::unavailable(format!("{}: {} ({})", subject.name, words.message, words.error_code))
            }
            CallError::NoRoute(words) | CallError::Failed(words) => RegistryError::unavailable(words),
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
pub(super) fn clip(mut words: String) -> String {
    if words.len() > MAX_REASONS {
        let end = (0..=MAX_REASONS).rev().find(|&end| words.is_char_boundary(end));
        words.truncate(end.unwrap_or(0));
        words.push('…');
    }
    words
}

fn path_of(subject: &Subject) -> String {
    format!("/subjects/{}", escaped(&subject.name))
}

fn escaped(name: &str) -> String {
    name.replace('/', "%2F")
}

/// Reads schemas by id, for those who read topics.
pub(crate) struct SchemaReader(Arc<ArcSwap<Client>>);

impl SchemaReader {
    /// # Errors
    /// When `registry.ca_file` cannot be used.
    pub(crate) fn new(settings: &RegistrySettings) -> Result<SchemaReader, ConfigError> {
        Ok(SchemaReader(Arc::new(ArcSwap::from_pointee(Client::new(settings)?))))
    }

    /// One that asks with whatever client is in force.
    pub(super) fn with(client: &Arc<ArcSwap<Client>>) -> SchemaReader {
        SchemaReader(Arc::clone(client))
    }

    /// The text of the schema with this id.
    ///
    /// # Errors
    /// When the registry has none, or does not answer.
    pub(crate) async fn schema(&self, id: u32) -> Result<String, NoSchema> {
        let client = self.0.load_full();
        let found = client.call::<RawRegisteredSchema>(client.get(&format!("/schemas/ids/{id}?deleted=true"))).await;
        let failed = |words| NoSchema::Unavailable { id, why: RegistryUnavailable(words) };
        Err(match found {
            Ok(RawRegisteredSchema { schema: Some(schema), .. }) => return Ok(schema),
            Ok(_) => failed("the registry's answer has no schema".to_owned()),
            Err(CallError::Said(words)) if status(&words) == 404 => NoSchema::Unknown { id, why: words.message },
            Err(CallError::Said(words)) => failed(words.message),
            Err(CallError::NoRoute(words) | CallError::Failed(words)) => failed(words),
        })
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::outbound::endless;

    /// What a bridge that speaks to `registry` has of it, and its first subject.
    fn speaking_to(registry: &str, timeout: &str) -> (RegistrySettings, Arc<Subject>) {
        let text = format!(
            "[kafka]\nbootstrap_servers = \"k:1\"\n[registry]\nurl = \"{registry}\"\ntimeout = \"{timeout}\"\n\
             [sources.whazing]\ntokens = [\"t0ken-1\"]\n"
        );
        let settings = crate::config::from_text("test", &text, &crate::config::Environment::default()).unwrap();
        let subject = Arc::clone(&crate::kafka::route::Routes::plan(&settings).subjects[0]);
        (settings.registry, subject)
    }

    #[tokio::test]
    async fn a_registry_that_does_not_answer_in_time_is_told_with_the_time_that_it_had() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let (settings, subject) = speaking_to(&url, "50ms");
        let error = Client::new(&settings).unwrap().find(&subject).await.err().unwrap().to_string();
        assert!(error.contains(&format!("registry {url}: no answer within 50ms (registry.timeout)")), "{error}");
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
            let (settings, subject) = speaking_to(&url, "30s");
            let client = Client::new(&settings).unwrap();
            let errors = [
                client.find(&subject).await.err().unwrap(),
                client.register(&subject).await.err().unwrap(),
                client.equal_version(&subject).await.err().unwrap(),
                client.incompatibilities(&subject).await.err().unwrap(),
            ];
            let words = errors.iter().map(ToString::to_string);
            let by_id = SchemaReader::new(&settings).unwrap().schema(1).await.unwrap_err().to_string();
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
}
