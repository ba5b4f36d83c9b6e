//! A registry for trying out: the part of Confluent's REST API that serializers, deserializers and hookbridge use,
//! kept in memory. Not for production: no authentication, no references, gone with the process.
//!
//! Paths, codes and shapes are those of Confluent's "Schema Registry API Reference".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// What hookbridge promises of its schemas, as docker-compose.yml has it.
const DEFAULT_LEVEL: &str = "FULL_TRANSITIVE";
const LEVELS: [&str; 7] =
    ["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"];

#[derive(Default)]
struct SchemaStore {
    /// The schema with id `n` stands at `n - 1`.
    schemas: Vec<Value>,
    /// Ids of a subject's versions; version `n` stands at `n - 1`.
    subjects: BTreeMap<String, Vec<usize>>,
    /// Compatibility levels of subjects; that of all others stands under the empty name.
    levels: BTreeMap<String, String>,
}

type SharedSchemas = Arc<Mutex<SchemaStore>>;

/// An answer other than 2xx, in the registry's own form.
struct RegistryProblem {
    status: StatusCode,
    code: u32,
    message: String,
}

type RegistryAnswer = Result<Value, RegistryProblem>;

fn refuse(status: StatusCode, code: u32, message: impl Into<String>) -> RegistryProblem {
    RegistryProblem { status, code, message: message.into() }
}

fn no_subject(subject: &str) -> RegistryProblem {
    refuse(StatusCode::NOT_FOUND, 40401, format!("Subject '{subject}' not found."))
}

fn no_schema() -> RegistryProblem {
    refuse(StatusCode::NOT_FOUND, 40403, "Schema not found")
}

fn reply(answer: RegistryAnswer) -> Response {
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => (refusal.status, json!({ "error_code": refusal.code, "message": refusal.message })),
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
    (status, headers, Body::from(body.to_string())).into_response()
}

/// An empty registry.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(async || reply(Ok(json!({})))))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(find))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/schemas/ids/{id}", get(by_id))
        .route("/schemas/types", get(async || reply(Ok(json!(["AVRO"])))))
        .route("/compatibility/subjects/{subject}/versions", post(compatible_with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatible_with))
        .route("/config", get(config).put(configure))
        .route("/config/{subject}", get(subject_config).put(configure_subject))
        .fallback(async || reply(Err(refuse(StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found"))))
        .with_state(SharedSchemas::default())
}

fn lock(store: &SharedSchemas) -> MutexGuard<'_, SchemaStore> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The Avro schema in a request's body.
fn schema_of(body: &Bytes) -> Result<Value, RegistryProblem> {
    let invalid = |what: String| refuse(StatusCode::UNPROCESSABLE_ENTITY, 42201, format!("Invalid schema: {what}"));
    let body: Value = serde_json::from_slice(body).map_err(|e| invalid(e.to_string()))?;
    if body.get("schemaType").is_some_and(|ty| ty != "AVRO") {
        return Err(invalid("only AVRO is supported here".into()));
    }
    if body["references"].as_array().is_some_and(|references| !references.is_empty()) {
        return Err(invalid("references are not supported here".into()));
    }
    let text = body["schema"].as_str().ok_or_else(|| invalid("`schema` is missing".into()))?;
    Schema::parse_str(text).map_err(|e| invalid(e.to_string()))?;
    serde_json::from_str(text).map_err(|e| invalid(e.to_string()))
}

impl SchemaStore {
    fn versions(&self, subject: &str) -> Result<&Vec<usize>, RegistryProblem> {
        self.subjects.get(subject).ok_or_else(|| no_subject(subject))
    }

    fn schema(&self, id: usize) -> Option<&Value> {
        self.schemas.get(id.checked_sub(1)?)
    }

    fn level(&self, subject: &str) -> &str {
        self.levels.get(subject).or_else(|| self.levels.get("")).map_or(DEFAULT_LEVEL, String::as_str)
    }

    /// Why `schema` does not go with the versions before it, at the subject's level.
    fn incompatibilities(&self, subject: &str, schema: &Value, only: Option<usize>) -> Vec<String> {
        let level = self.level(subject);
        let ids = self.subjects.get(subject).map(Vec::as_slice).unwrap_or_default();
        let compared = match only {
            Some(version) => ids.get(version - 1..version).unwrap_or_default(),
            None if level.ends_with("TRANSITIVE") => ids,
            None => &ids[ids.len().saturating_sub(1)..],
        };
        let Ok(new) = Schema::parse(schema) else { return vec!["not an Avro schema".into()] };
        let mut reasons = Vec::new();
        for old in compared.iter().filter_map(|id| Schema::parse(self.schema(*id)?).ok()) {
            let backward = level.starts_with("BACKWARD") || level.starts_with("FULL");
            let forward = level.starts_with("FORWARD") || level.starts_with("FULL");
            if let Some(error) = backward.then(|| SchemaCompatibility::can_read(&old, &new).err()).flatten() {
                reasons.push(format!("the new schema cannot read what an old one wrote: {error}"));
            }
            if let Some(error) = forward.then(|| SchemaCompatibility::can_read(&new, &old).err()).flatten() {
                reasons.push(format!("an old schema cannot read what the new one writes: {error}"));
            }
        }
        reasons
    }

    fn described(&self, subject: &str, version: usize, id: usize) -> Value {
        let text = self.schema(id).map(ToString::to_string);
        json!({ "subject": subject, "version": version, "id": id, "schema": text })
    }

    /// A version by number, or `latest`.
    fn version(&self, subject: &str, version: &str) -> Result<(usize, usize), RegistryProblem> {
        let ids = self.versions(subject)?;
        let number = match version {
            "latest" | "-1" => ids.len(),
            number => number
                .parse()
                .map_err(|_| refuse(StatusCode::UNPROCESSABLE_ENTITY, 42202, format!("'{number}' is not a version")))?,
        };
        let id = number.checked_sub(1).and_then(|at| ids.get(at)).copied();
        id.map(|id| (number, id))
            .ok_or_else(|| refuse(StatusCode::NOT_FOUND, 40402, format!("Version {version} not found.")))
    }
}

async fn subjects(State(store): State<SharedSchemas>) -> Response {
    reply(Ok(json!(lock(&store).subjects.keys().collect::<Vec<_>>())))
}

async fn versions(State(store): State<SharedSchemas>, Path(subject): Path<String>) -> Response {
    reply(lock(&store).versions(&subject).map(|ids| json!((1..=ids.len()).collect::<Vec<_>>())))
}

async fn version(State(store): State<SharedSchemas>, Path((subject, version)): Path<(String, String)>) -> Response {
    let store = lock(&store);
    reply(store.version(&subject, &version).map(|(number, id)| store.described(&subject, number, id)))
}

async fn by_id(State(store): State<SharedSchemas>, Path(id): Path<usize>) -> Response {
    let store = lock(&store);
    reply(store.schema(id).map(|schema| json!({ "schema": schema.to_string() })).ok_or_else(no_schema))
}

async fn find(State(store): State<SharedSchemas>, Path(subject): Path<String>, body: Bytes) -> Response {
    let find = || {
        let schema = schema_of(&body)?;
        let store = lock(&store);
        let ids = store.versions(&subject)?;
        let at = ids.iter().position(|id| store.schema(*id) == Some(&schema)).ok_or_else(no_schema)?;
        Ok(store.described(&subject, at + 1, ids[at]))
    };
    reply(find())
}

async fn register(State(store): State<SharedSchemas>, Path(subject): Path<String>, body: Bytes) -> Response {
    let register = || {
        let schema = schema_of(&body)?;
        let mut store = lock(&store);
        let known = store.schemas.iter().position(|other| *other == schema).map(|at| at + 1);
        if let Some(id) = known
            && store.subjects.get(&subject).is_some_and(|ids| ids.contains(&id))
        {
            return Ok(json!({ "id": id }));
        }
        let reasons = store.incompatibilities(&subject, &schema, None);
        if !reasons.is_empty() {
            let message =
                format!("Schema being registered is incompatible with an earlier schema: {}", reasons.join("; "));
            return Err(refuse(StatusCode::CONFLICT, 409, message));
        }
        let id = known.unwrap_or_else(|| {
            store.schemas.push(schema);
            store.schemas.len()
        });
        store.subjects.entry(subject).or_default().push(id);
        Ok(json!({ "id": id }))
    };
    reply(register())
}

async fn compatible_with_all(State(store): State<SharedSchemas>, Path(subject): Path<String>, body: Bytes) -> Response {
    let check = || {
        let schema = schema_of(&body)?;
        let reasons = lock(&store).incompatibilities(&subject, &schema, None);
        Ok(json!({ "is_compatible": reasons.is_empty(), "messages": reasons }))
    };
    reply(check())
}

async fn compatible_with(
    State(store): State<SharedSchemas>,
    Path((subject, version)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let check = || {
        let schema = schema_of(&body)?;
        let store = lock(&store);
        let (number, _) = store.version(&subject, &version)?;
        let reasons = store.incompatibilities(&subject, &schema, Some(number));
        Ok(json!({ "is_compatible": reasons.is_empty(), "messages": reasons }))
    };
    reply(check())
}

async fn config(State(store): State<SharedSchemas>) -> Response {
    reply(Ok(json!({ "compatibilityLevel": lock(&store).level("") })))
}

async fn subject_config(State(store): State<SharedSchemas>, Path(subject): Path<String>) -> Response {
    let store = lock(&store);
    reply(match store.levels.get(&subject) {
        Some(level) => Ok(json!({ "compatibilityLevel": level })),
        None => Err(refuse(
            StatusCode::NOT_FOUND,
            40408,
            format!("Subject '{subject}' does not have subject-level compatibility configured"),
        )),
    })
}

async fn configure(store: State<SharedSchemas>, body: Bytes) -> Response {
    configure_subject(store, Path(String::new()), body).await
}

async fn configure_subject(State(store): State<SharedSchemas>, Path(subject): Path<String>, body: Bytes) -> Response {
    let wanted: Value = serde_json::from_slice(&body).unwrap_or_default();
    let level = wanted["compatibility"].as_str().filter(|level| LEVELS.contains(level));
    reply(match level {
        Some(level) => {
            lock(&store).levels.insert(subject, level.to_owned());
            Ok(json!({ "compatibility": level }))
        }
        None => Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, 42203, "Invalid compatibility level")),
    })
}
