//! The pages' one command: a management request, answered by the router that also answers
//! over HTTP.

use std::sync::Arc;

use axum::http::Method;
use serde::Serialize;
use serde_json::Value;
use tauri::State;

use super::gate::Gate;

/// What came back.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    status: u16,
    body: Value,
}

/// Sends one management request on behalf of the page.
#[tauri::command]
pub(super) async fn ask(
    gate: State<'_, Arc<Gate>>,
    method: String,
    path: String,
    body: Option<Value>,
) -> Result<Answer, String> {
    let method: Method = method.parse().map_err(|_| "there is no such method".to_owned())?;
    if !path.starts_with("/api/v1/") {
        return Err("only `/api/v1/` can be asked".to_owned());
    }
    let (status, body) = gate.ask(method, &path, body.as_ref()).await;
    Ok(Answer { status: status.as_u16(), body })
}
