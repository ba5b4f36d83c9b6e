//! Answers of the admin listener.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::reply;

pub(super) fn refusal(status: StatusCode, code: &str, detail: &str) -> Response {
    answer(status, reply::PROBLEM, reply::problem(status, code, detail).to_string())
}

pub(super) fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
