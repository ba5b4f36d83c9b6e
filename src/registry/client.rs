//! The registry's REST API (Confluent's), as far as it is needed.
//!
//! `schema_registry_converter` makes the calls it has; the compatibility check is ours, since its own drops the
//! registry's reasons, which is what an operator needs to read.

use std::error::Error as _;
use std::sync::OnceLock;

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{RequestBuilder, StatusCode, header};
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_all_versions, get_schema_by_id, get_schema_by_subject_and_version, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, SchemaType, SrCall, SuppliedSchema};
use serde::Deserialize;
use serde_json::{Value, json};

use super::RegistryError;
use crate::config::{ConfigError, RegistryAuth, RegistrySettings};
use crate::outbound::{self, with_causes};
use crate::route::Subject;
use crate::time;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Confluent's error code for a subject that is not there.
const NO_SUBJECT: u32 = 40401;

/// What is said where the registry says no more than no.
pub(super) const NO_REASONS: &str = "incompatible with a version before it";

/// What a search for a schema found.
pub(super) enum Search {
    /// Under this id.
    Found(u32),
    NoSubject,
    NoSchema,
}

/// Speaks to a registry.
pub(crate) struct Client {
    settings: SrSettings,
    registry: RegistrySettings,
    /// For what `schema_registry_converter` does not ask; made when it is needed, since each client has all authorities in
    /// memory.
    http: OnceLock<reqwest::Client>,
}

impl Client {
    pub(super) fn new(settings: &RegistrySettings) -> Result<Client, ConfigError> {
        let unusable = |e: &dyn std::fmt::Display| ConfigError::key("registry", e.to_string());
        let mut builder = SrSettings::new_builder(settings.url.clone());
        match &settings.auth {
            RegistryAuth::None => {}
            RegistryAuth::Basic { username, password } => {
                builder.set_basic_authorization(username, Some(password.expose()));
            }
            RegistryAuth::Bearer(token) => {
                builder.set_token_authorization(token.expose());
            }
        }
        builder.set_timeout(settings.timeout);
        Ok(Client {
            settings: builder.build_with(http_builder(settings)?).map_err(|e| unusable(&e))?,
            registry: settings.clone(),
            http: OnceLock::new(),
        })
    }

    fn http(&self) -> Result<&reqwest::Client, RegistryError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let builder = http_builder(&self.registry).map_err(|e| RegistryError::Unavailable(e.to_string()))?;
        let made = builder.timeout(self.registry.timeout).build();
        let made = made.map_err(|e| RegistryError::Unavailable(with_causes(&e)))?;
        Ok(self.http.get_or_init(|| made))
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.registry.auth {
            RegistryAuth::None => request,
            RegistryAuth::Basic { username, password } => request.basic_auth(username, Some(password.expose())),
            RegistryAuth::Bearer(token) => request.bearer_auth(token.expose()),
        }
    }

    /// The time by the registry's clock, in milliseconds since 1970, give or take a second; `None` when it does not say.
    pub(super) async fn time(&self) -> Option<i64> {
        // Whatever it answers, its head has the time.
        let request = self.http().ok()?.get(format!("{}/schemas/types", self.registry.url));
        let response = self.authorized(request).send().await.ok()?;
        time::parse_http_date(response.headers().get(header::DATE)?.to_str().ok()?)
    }

    /// Looks for this schema under the subject.
    pub(super) async fn find(&self, subject: &Subject) -> Result<Search, RegistryError> {
        let body = body(subject).to_string();
        match perform_sr_call(&self.settings, SrCall::PostForVersion(&subject.name, &body)).await {
            Ok(found) => Ok(found.id.map_or(Search::NoSchema, Search::Found)),
            Err(error) if registry_error(&error).is_some_and(|e| e.error_code == NO_SUBJECT) => Ok(Search::NoSubject),
            Err(error) if is_not_found(&error) => Ok(Search::NoSchema),
            Err(error) => Err(sort(subject, &error)),
        }
    }

    /// Registers the schema; gives its id.
    pub(super) async fn register(&self, subject: &Subject) -> Result<u32, RegistryError> {
        let schema = SuppliedSchema::new(None, SchemaType::Avro, subject.schema.clone());
        let posted = post_schema(&self.settings, subject.name.clone(), schema).await;
        posted.map(|schema| schema.id).map_err(|error| sort(subject, &error))
    }

    /// The id of the newest version that is equal in parsing canonical form and logical types.
    pub(super) async fn equal_version(&self, subject: &Subject) -> Result<Option<u32>, RegistryError> {
        let mut versions = match get_all_versions(&self.settings, subject.name.clone()).await {
            Err(error) if is_not_found(&error) => return Ok(None),
            versions => versions.map_err(|error| sort(subject, &error))?,
        };
        versions.sort_unstable();
        let ours = Form::of(&subject.schema);
        for version in versions.into_iter().rev() {
            let found = get_schema_by_subject_and_version(&self.settings, &subject.name, Some(version)).await;
            let found = found.map_err(|error| sort(subject, &error))?;
            if ours.is_some() && Form::of(&found.schema) == ours {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }

    /// Why the schema does not go with the versions before it; `None` when it does.
    pub(super) async fn incompatibilities(&self, subject: &Subject) -> Result<Option<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Verdict {
            is_compatible: bool,
            #[serde(default)]
            messages: Vec<String>,
        }
        let unavailable = |e: reqwest::Error| RegistryError::Unavailable(with_causes(&e));
        let url = format!("{}/compatibility/subjects/{}/versions?verbose=true", self.registry.url, subject.name);
        let request = self.http()?.post(url).header(header::CONTENT_TYPE, MEDIA_TYPE).body(body(subject).to_string());
        let response = self.authorized(request).send().await.map_err(unavailable)?;
        match response.status() {
            // A subject that is not there yet has nothing to be incompatible with.
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => {
                Ok(Some(response.text().await.map_err(unavailable)?))
            }
            status if !status.is_success() => {
                Err(RegistryError::Unavailable(format!("compatibility check of {}: {status}", subject.name)))
            }
            _ => {
                let verdict: Verdict = response.json().await.map_err(unavailable)?;
                let reasons =
                    if verdict.messages.is_empty() { NO_REASONS.to_owned() } else { verdict.messages.join("; ") };
                Ok((!verdict.is_compatible).then_some(reasons))
            }
        }
    }
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
    pub(crate) async fn schema(&self, id: u32) -> Result<String, String> {
        let found = get_schema_by_id(id, &self.0.settings).await;
        found.map(|schema| schema.schema).map_err(|error| match registry_error(&error) {
            Some(words) => format!("schema {id}: {}", words.message),
            None => format!("schema {id}: {}", error.source().map_or_else(|| error.error.clone(), with_causes)),
        })
    }
}

fn http_builder(settings: &RegistrySettings) -> Result<reqwest::ClientBuilder, ConfigError> {
    let builder = outbound::client(settings.ca_file.as_deref(), "registry.ca_file")?;
    // In clear nobody is trusted, and the system's authorities take 1 MiB; so it has to stay in clear.
    let in_clear = settings.url.starts_with("http:");
    Ok(if in_clear { builder.tls_certs_only([]).redirect(Policy::custom(in_clear_only)) } else { builder })
}

fn in_clear_only(attempt: Attempt<'_>) -> Action {
    if attempt.url().scheme() == "http" {
        Policy::default().redirect(attempt)
    } else {
        attempt.error("it sends on to https://, which registry.url is not")
    }
}

fn body(subject: &Subject) -> Value {
    json!({ "schema": subject.schema, "schemaType": "AVRO" })
}

/// The registry's own error, if it sent one.
fn registry_error(error: &SRCError) -> Option<&RawError> {
    error.source()?.downcast_ref()
}

/// 404 as a status, or as the first three digits of Confluent's five-digit codes.
fn is_not_found(error: &SRCError) -> bool {
    registry_error(error).is_some_and(|e| e.error_code == 404 || e.error_code / 100 == 404)
}

/// A schema it refuses (409 incompatible, 422 invalid) is not the same as a registry that cannot be used.
fn sort(subject: &Subject, error: &SRCError) -> RegistryError {
    match registry_error(error) {
        Some(words) if [409, 422].contains(&status(words)) => {
            RegistryError::Refused { subject: subject.name.clone(), reasons: words.message.clone() }
        }
        Some(words) if words.error_code != 0 => {
            RegistryError::Unavailable(format!("{}: {} ({})", subject.name, words.message, words.error_code))
        }
        _ => RegistryError::Unavailable(match error.source() {
            Some(cause) if registry_error(error).is_none() => with_causes(cause),
            _ => error.error.clone(),
        }),
    }
}

fn status(words: &RawError) -> u32 {
    if words.error_code >= 10_000 { words.error_code / 100 } else { words.error_code }
}

/// What makes two schemas equal for us: parsing canonical form, and the logical types it leaves out.
#[derive(PartialEq, Eq)]
struct Form {
    canonical: String,
    logical: Vec<String>,
}

impl Form {
    fn of(text: &str) -> Option<Form> {
        let canonical = apache_avro::Schema::parse_str(text).ok()?.canonical_form();
        let mut logical = Vec::new();
        collect_logical(&serde_json::from_str(text).ok()?, &mut logical);
        Some(Form { canonical, logical })
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
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

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
        assert!(words.contains("https://, which registry.url is not"), "{words}");
    }

    #[test]
    fn equal_is_what_reads_the_same_whatever_the_docs_say() {
        let text = |ty: &str, doc: &str| {
            format!(r#"{{"type":"record","name":"a.B","doc":"{doc}","fields":[{{"name":"f","type":["null",{ty}]}}]}}"#)
        };
        let plain = Form::of(&text(r#""string""#, "x"));
        assert!(plain.is_some());
        assert!(plain == Form::of(&text(r#"{"type":"string"}"#, "y")));
        assert!(plain != Form::of(&text(r#"{"type":"string","logicalType":"uuid"}"#, "x")));
        assert!(plain != Form::of(&text(r#""long""#, "x")));
        assert!(Form::of("{").is_none());
    }
}
