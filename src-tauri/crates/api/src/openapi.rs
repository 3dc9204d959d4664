//! `GET openapi.json`: this contract as an OpenAPI document, which a test writes from the types.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};

const DOCUMENT: &str = include_str!("openapi.json");

pub(crate) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}
