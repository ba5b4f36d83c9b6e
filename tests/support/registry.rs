//! A small stand-in of Confluent's registry (REST), for where no real one can be had and for what a shared one cannot
//! be put through, such as being replaced by an empty one. And the two questions tests ask any registry.

use std::collections::BTreeMap;
use std::future::pending;
use std::mem::take;
use std::sync::{Arc, Mutex};

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::RUNTIME;
use super::servers::servers;

/// A stand-in that answers until it is dropped.
pub(crate) struct StandIn {
    pub(crate) url: String,
    state: Shared,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Store {
    first_id: usize,
    /// Texts; the place is the id, less `first_id`.
    schemas: Vec<String>,
    /// Ids of the versions, by subject.
    subjects: BTreeMap<String, Vec<usize>>,
    /// Subjects that are checked; the others take anything, as Apicurio's do.
    checked: BTreeMap<String, String>,
    /// The token that whoever asks has to have, if any.
    token: Option<String>,
    /// Whether a schema can be checked against one version only, as in Karapace.
    checks_one_version_only: bool,
    /// A subject to which it says no when asked, for reasons of its own.
    refused: Option<String>,
    /// A subject of which it takes no schema, though it has nothing against any when asked.
    closed: Option<String>,
    /// A subject whose search has an answer that nobody knows.
    odd: Option<String>,
    /// Whether the next request gets no answer.
    loses_one: bool,
    /// How many schemas were read by their ids.
    read: usize,
    /// How many schemas were posted to be registered.
    posted: usize,
}

type Shared = Arc<Mutex<Store>>;
type Answer = (StatusCode, Json<Value>);

impl StandIn {
    /// Starts an empty one whose first schema gets `first_id`.
    pub(crate) async fn start(first_id: usize) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state: Shared = Arc::new(Mutex::new(Store { first_id, ..Store::default() }));
        let router = Router::new()
            .route("/subjects", get(subjects))
            .route("/subjects/{subject}", post(find))
            .route("/subjects/{subject}/versions", get(versions).post(register))
            .route("/subjects/{subject}/versions/{version}", get(version))
            .route("/schemas/ids/{id}", get(by_id))
            .route("/compatibility/subjects/{subject}/versions", post(compatible_with_all))
            .route("/compatibility/subjects/{subject}/versions/{version}", post(compatible_with_one))
            .route("/config", get(general_level))
            .route("/config/{subject}", put(configure).get(level))
            .fallback(no_such_route)
            .layer(middleware::from_fn_with_state(Arc::clone(&state), guard))
            .with_state(Arc::clone(&state));
        let task = tokio::spawn(serve(listener, router));
        StandIn { url, state, task }
    }

    /// From here on only who has `token` is answered.
    pub(crate) fn ask_for(&self, token: &str) {
        self.state.lock().expect("the store").token = Some(token.to_owned());
    }

    /// From here on it has no route that checks a schema against all versions at once.
    pub(crate) fn check_one_version_only(&self) {
        self.state.lock().expect("the store").checks_one_version_only = true;
    }

    /// From here on it says no when it is asked about `subject`.
    pub(crate) fn refuse(&self, subject: &str) {
        self.state.lock().expect("the store").refused = Some(subject.to_owned());
    }

    /// From here on it registers no schema of `subject`.
    pub(crate) fn close(&self, subject: &str) {
        self.state.lock().expect("the store").closed = Some(subject.to_owned());
    }

    /// From here on a search in `subject` has an answer that nobody knows.
    pub(crate) fn answer_oddly(&self, subject: &str) {
        self.state.lock().expect("the store").odd = Some(subject.to_owned());
    }

    /// The next request gets no answer, as happens now and then with an Apicurio that is asked at a path which it does not have.
    pub(crate) fn lose_one(&self) {
        self.state.lock().expect("the store").loses_one = true;
    }

    /// How many schemas were read by their ids.
    pub(crate) fn read(&self) -> usize {
        self.state.lock().expect("the store").read
    }

    /// How many schemas were posted to be registered.
    pub(crate) fn posted(&self) -> usize {
        self.state.lock().expect("the store").posted
    }

    /// How many subjects it holds.
    pub(crate) fn subjects(&self) -> usize {
        self.state.lock().expect("the store").subjects.len()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[allow(clippy::disallowed_methods, reason = "a stand-in needs no time limits")]
async fn serve(listener: TcpListener, router: Router) {
    let _ = axum::serve(listener, router).await;
}

async fn guard(State(state): State<Shared>, request: Request, next: Next) -> Response {
    if take(&mut state.lock().expect("the store").loses_one) {
        pending::<()>().await;
    }
    let token = state.lock().expect("the store").token.clone();
    let given = request.headers().get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token.as_deref().is_none_or(|token| given == Some(token)) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, Json(json!({"error_code": 40101, "message": "Unauthorized"}))).into_response()
}

fn no_such_subject() -> Answer {
    (StatusCode::NOT_FOUND, Json(json!({"error_code": 40401, "message": "Subject not found."})))
}

/// As a proxy says it, or the framework that a registry is made with.
async fn no_such_route() -> Answer {
    (StatusCode::NOT_FOUND, Json(json!({"error_code": 404, "message": "HTTP 404 Not Found"})))
}

fn text(body: &Value) -> String {
    body["schema"].as_str().unwrap_or_default().to_owned()
}

async fn subjects(State(store): State<Shared>) -> Json<Value> {
    Json(json!(store.lock().expect("the store").subjects.keys().collect::<Vec<_>>()))
}

async fn find(State(store): State<Shared>, Path(subject): Path<String>, Json(body): Json<Value>) -> Answer {
    let store = store.lock().expect("the store");
    if store.odd.as_ref() == Some(&subject) {
        let words = json!({"error_code": 40404, "message": "Subject was soft deleted."});
        return (StatusCode::NOT_FOUND, Json(words));
    }
    let Some(versions) = store.subjects.get(&subject) else { return no_such_subject() };
    let wanted = text(&body);
    match versions.iter().position(|id| store.schemas[id - store.first_id] == wanted) {
        Some(at) => {
            let found = json!({"subject": subject, "version": at + 1, "id": versions[at], "schema": wanted});
            (StatusCode::OK, Json(found))
        }
        None => (StatusCode::NOT_FOUND, Json(json!({"error_code": 40403, "message": "Schema not found."}))),
    }
}

async fn register(State(store): State<Shared>, Path(subject): Path<String>, Json(body): Json<Value>) -> Answer {
    let mut store = store.lock().expect("the store");
    store.posted += 1;
    let wanted = text(&body);
    let mut reasons = store.reasons(&subject, &wanted);
    if store.closed.as_ref() == Some(&subject) {
        reasons.push("closed on Mondays".into());
    }
    if !reasons.is_empty() {
        return (StatusCode::CONFLICT, Json(json!({"error_code": 409, "message": reasons.join("; ")})));
    }
    let at = store.schemas.iter().position(|schema| *schema == wanted).unwrap_or(store.schemas.len());
    if at == store.schemas.len() {
        store.schemas.push(wanted);
    }
    let id = store.first_id + at;
    let versions = store.subjects.entry(subject).or_default();
    if !versions.contains(&id) {
        versions.push(id);
    }
    (StatusCode::OK, Json(json!({"id": id})))
}

async fn versions(State(store): State<Shared>, Path(subject): Path<String>) -> Answer {
    match store.lock().expect("the store").subjects.get(&subject) {
        Some(ids) => (StatusCode::OK, Json(json!((1..=ids.len()).collect::<Vec<_>>()))),
        None => no_such_subject(),
    }
}

async fn version(State(store): State<Shared>, Path((subject, version)): Path<(String, usize)>) -> Answer {
    let store = store.lock().expect("the store");
    let id = store.subjects.get(&subject).and_then(|ids| ids.get(version - 1)).copied();
    let Some(id) = id else { return no_such_subject() };
    let schema = &store.schemas[id - store.first_id];
    (StatusCode::OK, Json(json!({"subject": subject, "version": version, "id": id, "schema": schema})))
}

async fn by_id(State(store): State<Shared>, Path(id): Path<usize>) -> Answer {
    let mut store = store.lock().expect("the store");
    store.read += 1;
    match id.checked_sub(store.first_id).and_then(|at| store.schemas.get(at)) {
        Some(schema) => (StatusCode::OK, Json(json!({"schema": schema}))),
        None => (StatusCode::NOT_FOUND, Json(json!({"error_code": 40403, "message": "Schema not found."}))),
    }
}

async fn compatible_with_all(store: State<Shared>, subject: Path<String>, body: Json<Value>) -> Answer {
    if store.lock().expect("the store").checks_one_version_only {
        return (StatusCode::NOT_FOUND, Json(json!({"detail": "Not Found"})));
    }
    compatible(store, subject, body)
}

async fn compatible_with_one(
    store: State<Shared>,
    Path((subject, version)): Path<(String, String)>,
    body: Json<Value>,
) -> Answer {
    assert_eq!(version, "latest", "nobody asks about another one");
    compatible(store, Path(subject), body)
}

fn compatible(State(store): State<Shared>, Path(subject): Path<String>, Json(body): Json<Value>) -> Answer {
    let store = store.lock().expect("the store");
    if !store.subjects.contains_key(&subject) {
        return no_such_subject();
    }
    let mut reasons = store.reasons(&subject, &text(&body));
    if store.refused.as_ref() == Some(&subject) {
        reasons.push("not on a Friday".into());
    }
    (StatusCode::OK, Json(json!({"is_compatible": reasons.is_empty(), "messages": reasons})))
}

async fn configure(State(store): State<Shared>, Path(subject): Path<String>, Json(body): Json<Value>) -> Answer {
    let level = body["compatibility"].as_str().unwrap_or_default().to_owned();
    store.lock().expect("the store").checked.insert(subject, level);
    (StatusCode::OK, Json(body))
}

async fn general_level() -> Json<Value> {
    Json(json!({"compatibilityLevel": "NONE"}))
}

async fn level(State(store): State<Shared>, Path(subject): Path<String>) -> Answer {
    match store.lock().expect("the store").checked.get(&subject) {
        Some(level) => (StatusCode::OK, Json(json!({"compatibilityLevel": level}))),
        None => (StatusCode::NOT_FOUND, Json(json!({"error_code": 40408, "message": "No level of its own."}))),
    }
}

impl Store {
    /// Why `text` does not go with the versions of `subject`: with any of them, whichever level was asked for.
    fn reasons(&self, subject: &str, text: &str) -> Vec<String> {
        if !self.checked.contains_key(subject) {
            return Vec::new();
        }
        let Ok(new) = Schema::parse_str(text) else { return vec!["not an Avro schema".into()] };
        let versions = self.subjects.get(subject).into_iter().flatten();
        let old = versions.filter_map(|id| Schema::parse_str(&self.schemas[id - self.first_id]).ok());
        old.filter_map(|old| SchemaCompatibility::can_read(&old, &new).err()).map(|e| e.to_string()).collect()
    }
}

/// `GET`s JSON from the registry at `url`.
pub(crate) fn fetch(url: &str) -> Value {
    let answer = RUNTIME.block_on(async { reqwest::get(url).await.expect("the registry").text().await });
    serde_json::from_str(&answer.expect("an answer")).expect("JSON")
}

/// Sends JSON to the run's registry; gives what it says.
pub(crate) fn send(method: reqwest::Method, path: &str, body: &Value) -> Value {
    send_to(&servers().registry, method, path, body)
}

/// The same, to the registry at `url`.
pub(crate) fn send_to(url: &str, method: reqwest::Method, path: &str, body: &Value) -> Value {
    let url = format!("{url}{path}");
    let answer = RUNTIME.block_on(async {
        let request = reqwest::Client::new().request(method, url);
        let request = request.header("content-type", "application/vnd.schemaregistry.v1+json").body(body.to_string());
        request.send().await.expect("the registry").text().await
    });
    serde_json::from_str(&answer.expect("an answer")).expect("JSON")
}
